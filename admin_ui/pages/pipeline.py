"""One pipeline: what it is, how its runs went, and the form that starts one."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from admin_ui.components.choices import may_run, tenant_choices
from admin_ui.components.code_text import CodeText
from admin_ui.components.faults import fault_list
from admin_ui.components.parts import Awaited, card, facts
from admin_ui.components.plan_view import PlanView
from admin_ui.components.row_table import RowTable
from admin_ui.components.run_form import RunForm
from admin_ui.components.run_history import RunHistory
from admin_ui.components.run_table import RunTable
from admin_ui.components.values import chip, pipeline_path
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import RunsAddress
from admin_ui.telling import keep_showing, showing
from convergence.v1.pipeline_service_pb2 import Pipeline, PipelineStep
from convergence.v1.run_pb2 import Run

_SECONDS = 5.0
_HISTORY = 50
_LATEST = 10
_LINE = "line-"
_STEPS = {"step": "Step", "trigger": "When", "timeout": "Timeout", "tries": "Tries"}
_STEP_SLOTS = {
    "step": '<q-td :props="props" class="wide-cell"><div class="wrap-any">{{ props.row.name }}</div>'
    '<div class="mono dim wrap-any">{{ props.value }}, {{ props.row.type }}</div></q-td>'
}


@ui.page("/pipelines/{provider}/{domain}/{template_name}", response_timeout=PAGE_SECONDS)
async def pipeline_page(request: Request, provider: str, domain: str, template_name: str) -> None:
    """A pipeline of a domain."""
    await _show(request, provider, domain, template_name)


@ui.page("/pipelines/{provider}/{template_name}", response_timeout=PAGE_SECONDS)
async def pipeline_without_domain_page(request: Request, provider: str, template_name: str) -> None:
    """A pipeline directly under its provider."""
    await _show(request, provider, "", template_name)


async def _show(request: Request, provider: str, domain: str, template_name: str) -> None:
    path = "/".join(part for part in (provider, domain, template_name) if part)
    with frame(path, path="/pipelines") as page, showing(page):
        pipeline = await page.session.client.get_pipeline(provider=provider, domain=domain, template_name=template_name)
        tenants = await tenant_choices(page.session)
        _PipelinePage(page, pipeline, tenants, dict(request.query_params))


class _PipelinePage:
    def __init__(
        self, page: Frame, pipeline: Pipeline, tenants: Sequence[str] | None, given: Mapping[str, str]
    ) -> None:
        self._page = page
        self._pipeline = pipeline
        path = pipeline_path(pipeline)
        self._file = f"configs/{path}.yml"
        self._runs_url = RunsAddress(pipeline=path).url()
        self._links(path)
        if pipeline.faults:
            fault_list(pipeline.faults, file=self._file, anchor=_LINE)
        with ui.element("div").classes("grid-2 top-aligned" if self._may_run() else "w-full"):
            if self._may_run():
                RunForm(page, pipeline, tenants=tenants, given=given, show_plan=self._plan)
            with ui.element("div").classes("stack"):
                self._about()
        self._plan_view = PlanView(page)
        self._runs()
        self._text()
        keep_showing(page, self._refresh, seconds=_SECONDS)

    def _may_run(self) -> bool:
        return self._pipeline.valid and may_run(self._page.session, self._pipeline.provider)

    def _links(self, path: str) -> None:
        query = urlencode({"pipeline": path})
        with self._page.head:
            _button("Runs", self._runs_url, "play_circle")
            if self._may_run():
                _button("New schedule", f"/schedules/new?{query}", "schedule")
                _button("New backfill", f"/backfills/new?{query}", "history")

    def _about(self) -> None:
        pipeline = self._pipeline
        with card("About"):
            with ui.row().classes("items-center gap-3 no-wrap"):
                _file_chip(pipeline.valid)
                ui.label(pipeline.description).classes("wrap-any")
            facts(
                {"pipeline id": pipeline.pipeline_id, "file": self._file, "config": pipeline.config_hash[:16]},
            )
        if not pipeline.steps:
            return
        with card(f"Steps ({len(pipeline.steps)})"):
            table = RowTable("Steps", _STEPS, _STEP_SLOTS, key="number")
            table.show([_step_row(number, step) for number, step in enumerate(pipeline.steps)])

    def _runs(self) -> None:
        with card("Latest runs"):
            self._found = Awaited("It has never run.", lines=3)
            with self._found.box:
                self._history = RunHistory()
                self._table = RunTable(with_tenant=self._page.session.is_operator)
                ui.link("All runs", self._runs_url)

    def _text(self) -> None:
        pipeline = self._pipeline
        marked = [fault.line for fault in pipeline.faults if fault.file == self._file]
        with card(self._file):
            CodeText(pipeline.yaml, language="yaml", name="Text of the file", marked=marked, anchor=_LINE)

    async def _plan(self, run: Run) -> None:
        await self._plan_view.show(run)

    async def _refresh(self) -> None:
        pipeline, session = self._pipeline, self._page.session
        found = await session.client.list_runs(
            session.tenant_id,
            provider=pipeline.provider,
            domain=pipeline.domain,
            template_name=pipeline.template_name,
            page_size=_HISTORY,
        )
        # A filter without a domain is one for any.
        self._show_runs([run for run in found.runs if run.domain == pipeline.domain])

    def _show_runs(self, runs: Sequence[Run]) -> None:
        self._found.show(is_any=bool(runs))
        self._history.show(runs)
        self._table.show(runs[:_LATEST])


def _file_chip(is_valid: bool) -> None:
    chip("VALID" if is_valid else "BROKEN").classes(add="s-SUCCESS" if is_valid else "s-FAILED")


def _button(name: str, url: str, icon: str) -> None:
    button = ui.button(name, icon=icon).props("no-caps outline dense color=primary").classes("px-3")
    button.props["href"] = url


def _step_row(number: int, step: PipelineStep) -> dict[str, object]:
    return {
        "number": number,
        "step": step.step_id,
        "name": step.name or step.step_id,
        "type": step.ps_type,
        "trigger": step.trigger.replace("_", " ") or "while nothing failed",
        "timeout": f"{step.timeout_minutes:g} min",
        "tries": "once" if step.max_attempts == 1 else f"up to {step.max_attempts} times",
    }
