"""The form of a backfill: first its plan, then its start with the same request."""

import re
from collections.abc import Mapping
from typing import Any

from nicegui import ui

from admin_ui.components.backfill_table import backfill_path
from admin_ui.components.form import PIPELINE_PARTS, Form
from admin_ui.components.parts import action, card, facts, skeleton
from admin_ui.components.values import bytes_text
from admin_ui.components.variable_fields import VariableFields
from admin_ui.days import end_of
from admin_ui.frame import Frame
from admin_ui.list_addresses import pipeline_parts
from convergence.arguments import Reading, parse_number
from convergence.v1.backfill_pb2 import Backfill

_ORDERS = {Backfill.OLDEST_FIRST: "Oldest first", Backfill.NEWEST_FIRST: "Newest first"}
_REPROCESS = {
    Backfill.NONE: "Leave them",
    Backfill.ONLY_FAILED: "Run those again whose latest run failed",
    Backfill.ALL: "Run all of them again",
}
_SEPARATORS = re.compile(r"[\s,;]+")


class BackfillForm:
    """Plans a backfill, and starts it.

    Args:
        pipelines: paths of those that can be chosen, and what is shown of each.
        pipeline: the path that is chosen at first; '' for none.
    """

    def __init__(self, page: Frame, *, pipelines: Mapping[str, str], pipeline: str, tenant: str) -> None:
        self._page = page
        self._planned: dict[str, Any] | None = None
        self._edits = 0
        self._form = Form(self._on_change, {**PIPELINE_PARTS, "end_date": "last_day"})
        self._inputs: dict[str, Any] = {}
        with ui.element("div").classes("form-page"):
            with ui.element("div").classes("form-part"):
                with card("What"), ui.element("div").classes("form-grid"):
                    self._what(pipelines, pipeline, tenant)
                with card("How"), ui.element("div").classes("form-grid"):
                    self._how()
                with card("Variables"):
                    self._variables = VariableFields(self._form, {})
            with ui.element("div").classes("form-part form-side"):
                self._form.rest()
                with card("Plan"):
                    self._plan_box = ui.element("div").classes("w-full")
                with ui.row().classes("w-full items-center gap-2"):
                    self._plan_button = action("Plan", self._plan)
                    self._start_button = action("Start", self._start, is_main=True)
                    ui.link("Leave it", "/backfills")
        self._forget_plan()
        ui.timer(0.01, self._load_variables, once=True)

    def _line(self, name: str, label: str, value: str = "", *, hint: str = "", kind: str = "text") -> ui.input:
        self._inputs[name] = field = self._form.line(name, label, value, hint=hint, kind=kind)
        return field

    def _choice(self, name: str, label: str, options: Mapping[Any, str], value: object) -> ui.select:
        self._inputs[name] = field = self._form.choice(name, label, options, value, typed=name == "pipeline")
        return field

    def _what(self, pipelines: Mapping[str, str], pipeline: str, tenant: str) -> None:
        options = {**({pipeline: pipeline} if pipeline else {}), **pipelines}
        choice = self._choice("pipeline", "Pipeline", options, pipeline or None)
        choice.on_value_change(self._load_variables)
        if self._page.session.is_operator:
            with ui.element("div").classes("flex flex-col gap-2"):
                self._whose(tenant)
        self._line("start_date", "First day", kind="date")
        self._line("last_day", "Last day", kind="date", hint="It is run, too")

    def _whose(self, tenant: str) -> None:
        hint = "Ids, with spaces or commas between them"
        tenants = self._line("tenant_ids", "Tenants", tenant, hint=hint)
        everyone = ui.checkbox("All active tenants").props('dense aria-label="All active tenants"')
        everyone.on_value_change(self._form.changed)
        self._inputs["all_tenants"] = everyone
        tenants.bind_enabled_from(everyone, "value", lambda value: not value)

    def _how(self) -> None:
        self._choice("order", "Order", _ORDERS, Backfill.OLDEST_FIRST)
        self._choice("reprocess", "Days that have a run already", _REPROCESS, Backfill.NONE)
        hint = "1 to 100; they yield to other runs"
        self._line("max_active_runs", "Runs at a time", "1", hint=hint).props("inputmode=numeric")

    def _on_change(self) -> None:
        self._edits += 1
        if self._planned is not None:
            self._forget_plan()

    def _forget_plan(self) -> None:
        self._planned = None
        self._start_button.visible = False
        self._plan_box.clear()
        with self._plan_box:
            ui.label("The plan says how many runs there would be, and what they would read.").classes("dim")

    async def _load_variables(self) -> None:
        await self._variables.load(self._page.session, str(self._inputs["pipeline"].value or ""))

    def _request(self) -> dict[str, Any]:
        """What is written, as the client takes it. Raises InvalidArgument for what cannot be read."""
        reading = Reading()
        inputs = self._inputs
        text = {name: str(one.value or "").strip() for name, one in inputs.items()}
        active = reading.read(parse_number, text["max_active_runs"] or "1", "max_active_runs")
        if not text["pipeline"]:
            reading.refuse("pipeline", "choose one")
        for name in ("start_date", "last_day"):
            if not text[name]:
                reading.refuse(name, "choose a day")
        if text["start_date"] and text["last_day"] and text["last_day"] < text["start_date"]:
            reading.refuse("last_day", "comes before the first day")
        if "tenant_ids" in text and not text["tenant_ids"] and not inputs["all_tenants"].value:
            reading.refuse("tenant_ids", "name tenants, or choose all of them")
        reading.end()
        provider, domain, template_name = pipeline_parts(text["pipeline"])
        is_all = bool(inputs["all_tenants"].value) if "all_tenants" in inputs else False
        named = [one for one in _SEPARATORS.split(text.get("tenant_ids", "")) if one]
        return {
            "tenant_ids": [] if is_all else named,
            "all_tenants": is_all,
            "provider": provider,
            "domain": domain,
            "template_name": template_name,
            "start_date": text["start_date"],
            "end_date": end_of(text["last_day"]),
            "variables": self._variables.values(),
            "order": inputs["order"].value,
            "reprocess": inputs["reprocess"].value,
            "max_active_runs": active or 0,
        }

    async def _plan(self) -> None:
        self._forget_plan()
        edits = self._edits
        found = await self._form.send(lambda _: self._ask())
        if found is not None and edits == self._edits:
            self._show_plan(*found)
        else:
            self._forget_plan()

    async def _ask(self) -> tuple[dict[str, Any], Backfill]:
        """The request, and what would come of it."""
        request = self._request()
        self._plan_box.clear()
        with self._plan_box:
            skeleton(5)
        return request, await self._page.session.client.backfill_pipeline(**request, plan_only=True)

    def _show_plan(self, request: dict[str, Any], plan: Backfill) -> None:
        self._planned = request
        self._plan_box.clear()
        runs = "1 run" if plan.total_runs == 1 else f"{plan.total_runs:,} runs"
        with self._plan_box:
            facts(
                {
                    "runs": f"{plan.total_runs:,}",
                    "tenants": f"{len(plan.tenant_ids):,}" if self._page.session.is_operator else "",
                    "days left out": f"{plan.skipped_days:,}" if plan.skipped_days else "",
                    "would read": _would_read(plan),
                }
            )
            if not plan.total_runs:
                ui.label(
                    "There is nothing to run. Days that have a run already are left alone unless you say otherwise."
                ).classes("note mt-3")
            for warning in plan.warnings:
                ui.label(warning).classes("note mt-3")
        self._start_button.text = f"Start {runs}"
        self._start_button.visible = plan.total_runs > 0

    async def _start(self) -> None:
        client, request = self._page.session.client, self._planned
        if request is None:
            return
        made = await self._form.send(lambda request_id: client.backfill_pipeline(**request, request_id=request_id))
        if made is not None:
            ui.navigate.to(backfill_path(made))


def _would_read(plan: Backfill) -> str:
    if not plan.total_runs:
        return "nothing"
    return bytes_text(plan.estimated_bytes) if plan.estimated_bytes else "unknown"
