"""What a run would do, as its plan found out."""

import asyncio
import json
from functools import partial

from google.protobuf.json_format import MessageToDict
from nicegui import ui

from admin_ui.components.code_text import CodeText
from admin_ui.components.faults import fault_list
from admin_ui.components.parts import card, facts
from admin_ui.components.row_table import RowTable
from admin_ui.components.run_table import run_path
from admin_ui.components.values import bytes_text, chip, origin_text
from admin_ui.frame import Frame
from admin_ui.run_watch import follow
from admin_ui.telling import telling
from convergence.v1.run_pb2 import Plan, PlanStep, Run, RunEvent, StepRun
from convergence.watching import ends_run

_PATIENCE_SECONDS = 15.0
_VARIABLES = {"name": "Variable", "value": "Value", "origin": "Set by"}


class PlanView:
    """A place for one plan at a time, empty at first."""

    def __init__(self, page: Frame) -> None:
        self._page = page
        self._box = ui.element("div").classes("plan")
        self._told: ui.label | None = None
        self._run_id = ""

    async def show(self, run: Run) -> None:
        """Show the plan that this run of the kind PLAN makes. Returns when it is shown, or when it takes long."""
        self._run_id = run.pipeline_logging_id
        shown = asyncio.Event()
        self._begin(run)
        follow(self._page, run.tenant_id, run.pipeline_logging_id, partial(self._on_event, run, shown))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await shown.wait()
        except TimeoutError:
            if self._is_present(run):
                self._say("Still working on the plan; it is shown here as soon as it is there.")

    def _is_present(self, run: Run) -> bool:
        """Whether no other plan has been asked for since."""
        return self._run_id == run.pipeline_logging_id

    def _begin(self, run: Run) -> None:
        self._box.clear()
        with self._box, card("Plan"), ui.row().classes("items-center gap-3").props("role=status"):
            ui.spinner(size="20px")
            self._told = ui.label("Planning: nothing is written …")
            ui.link("Its run", run_path(run))
        ui.run_javascript(f"getElement({self._box.id}).scrollIntoView({{ behavior: 'smooth', block: 'start' }})")

    def _say(self, what: str) -> None:
        if self._told is not None:
            self._told.text = what

    def _on_event(self, run: Run, shown: asyncio.Event, event: RunEvent) -> None:
        if not self._is_present(run):
            shown.set()
        elif event.WhichOneof("event") == "step" and event.step.status == StepRun.RUNNING:
            self._say(f"Planning the step {event.step.step_id} …")
        elif ends_run(event):
            ui.timer(0.01, partial(self._load, run, shown), once=True)

    async def _load(self, run: Run, shown: asyncio.Event) -> None:
        try:
            async with telling():
                ended = await self._page.session.client.get_run(run.tenant_id, run.pipeline_logging_id)
                if self._is_present(run):
                    self._render(ended)
        finally:
            shown.set()

    def _render(self, run: Run) -> None:
        self._box.clear()
        with self._box:
            with card("Plan"):
                _summary(run)
            for number, step in enumerate(run.plan.steps, start=1):
                with card(f"{number}. {step.step_id}"):
                    _step(step)


def _summary(run: Run) -> None:
    """Whether it would go well, and what it would cost in all."""
    with ui.row().classes("w-full items-center gap-3"):
        ui.label(run.pipeline_id).classes("text-weight-bold wrap-any")
        ui.label(f"{run.tenant_id}, {run.date}").classes("num wrap-any")
        ui.link("Its run", run_path(run)).classes("ml-auto")
    if run.status != Run.SUCCESS:
        chip(Run.Status.Name(run.status))
        ui.label(run.error_message or "There is no plan.").classes("problem")
        return
    if run.plan.faults:
        ui.label("The run would fail:").classes("text-weight-bold")
        fault_list(run.plan.faults)
    else:
        ui.label("Nothing is known that would make the run fail.").classes("note")
    facts({"would read": _amount(run.plan)})


def _amount(what: Plan | PlanStep) -> str:
    return f"{bytes_text(what.estimated_bytes)}, about ${what.estimated_cost_usd:,.2f}"


def _step(step: PlanStep) -> None:
    writes = f"{step.table_written} ({step.write_mode})" if step.write_mode else step.table_written
    facts(
        {
            "step type": step.ps_type,
            "reads": ", ".join(step.tables_read),
            "writes": writes,
            "would read": _amount(step) if step.sql else "",
        }
    )
    for warning in step.warnings:
        ui.label(warning).classes("note warns")
    if step.schema_changes:
        ui.label("Changes of the schema").classes("small dim")
        with ui.element("ul").classes("plain-list"):
            for change in step.schema_changes:
                with ui.element("li"):
                    ui.label(change).classes("wrap-any")
    if step.sql:
        CodeText(step.sql, language="sql", name=f"SQL of the step {step.step_id}")
    if step.variables:
        with ui.expansion(f"Variables ({len(step.variables)})").classes("w-full").props("dense"):
            _variables(step)
    if settings := MessageToDict(step.settings):
        with ui.expansion("Settings").classes("w-full").props("dense"):
            CodeText(
                json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True),
                language="json",
                name=f"Settings of the step {step.step_id}",
            )


def _variables(step: PlanStep) -> None:
    table = RowTable(f"Variables of the step {step.step_id}", _VARIABLES, {}, key="name").props("dense")
    table.show([{"name": one.name, "value": one.value, "origin": origin_text(one)} for one in step.variables])
