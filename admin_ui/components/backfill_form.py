"""The form of a backfill: first its plan, then its start with the same request."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nicegui import ui

from admin_ui.components.backfill_table import backfill_path
from admin_ui.components.form_fields import PIPELINE_PARTS, FormFields, choice_field, text_field
from admin_ui.components.parts import action, card, facts, skeleton
from admin_ui.components.values import bytes_text
from admin_ui.components.variable_fields import VariableFields
from admin_ui.days import end_of
from admin_ui.frame import Frame
from admin_ui.list_addresses import pipeline_parts
from admin_ui.telling import leave, telling
from convergence.arguments import Reading, parse_number
from convergence.errors import ConvergenceError, Unauthenticated
from convergence.v1.backfill_pb2 import Backfill

_ORDERS = {Backfill.OLDEST_FIRST: "Oldest first", Backfill.NEWEST_FIRST: "Newest first"}
_REPROCESS = {
    Backfill.NONE: "Leave them",
    Backfill.ONLY_FAILED: "Run those again whose latest run failed",
    Backfill.ALL: "Run all of them again",
}
_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(slots=True)
class _Planned:
    """A request that has been planned, and can be started as it is."""

    request: dict[str, Any]
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class BackfillForm:
    """Plans a backfill, and starts it.

    Args:
        pipelines: paths of those that can be chosen, and what is shown of each.
        pipeline: the path that is chosen at first; '' for none.
    """

    def __init__(self, page: Frame, *, pipelines: Mapping[str, str], pipeline: str, tenant: str) -> None:
        self._page = page
        self._planned: _Planned | None = None
        self._edits = 0
        self._fields = FormFields(self._on_change, {**PIPELINE_PARTS, "end_date": "last_day"})
        self._inputs: dict[str, Any] = {}
        with ui.element("div").classes("form-page"):
            with ui.element("div").classes("form-part"):
                with card("What"), ui.element("div").classes("form-grid"):
                    self._what(pipelines, pipeline, tenant)
                with card("How"), ui.element("div").classes("form-grid"):
                    self._how()
                with card("Variables"):
                    self._variables = VariableFields(self._fields, {})
            with ui.element("div").classes("form-part form-side"):
                self._fields.box()
                with card("Plan"):
                    self._plan_box = ui.element("div").classes("w-full")
                with ui.row().classes("w-full items-center gap-2"):
                    self._plan_button = action("Plan", self._plan)
                    self._start_button = action("Start", self._start, is_main=True)
                    ui.link("Leave it", "/backfills")
        self._forget_plan()
        ui.timer(0.01, self._load_variables, once=True)

    def _add(self, name: str, one: Any) -> Any:
        self._inputs[name] = self._fields.add(name, one)
        return one

    def _what(self, pipelines: Mapping[str, str], pipeline: str, tenant: str) -> None:
        options = {**({pipeline: pipeline} if pipeline else {}), **pipelines}
        choice = self._add("pipeline", choice_field("Pipeline", options, pipeline or None, typed=True))
        choice.on_value_change(self._load_variables)
        if self._page.session.is_operator:
            with ui.element("div").classes("flex flex-col gap-2"):
                self._whose(tenant)
        self._add("start_date", text_field("First day", kind="date"))
        self._add("last_day", text_field("Last day", kind="date", hint="It is run, too"))

    def _whose(self, tenant: str) -> None:
        hint = "Ids, with spaces or commas between them"
        tenants = self._add("tenant_ids", text_field("Tenants", tenant, hint=hint))
        everyone = ui.checkbox("All active tenants").props('dense aria-label="All active tenants"')
        everyone.on_value_change(self._on_change)
        self._inputs["all_tenants"] = everyone
        tenants.bind_enabled_from(everyone, "value", lambda value: not value)

    def _how(self) -> None:
        self._add("order", choice_field("Order", _ORDERS, Backfill.OLDEST_FIRST))
        self._add("reprocess", choice_field("Days that have a run already", _REPROCESS, Backfill.NONE))
        field = text_field("Runs at a time", "1", hint="1 to 100; they yield to other runs")
        self._add("max_active_runs", field).props("inputmode=numeric")

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
        path = str(self._inputs["pipeline"].value or "")
        if not path:
            return
        provider, domain, template_name = pipeline_parts(path)
        async with telling():
            found = await self._page.session.client.get_pipeline(
                provider=provider, domain=domain, template_name=template_name
            )
            if path == self._inputs["pipeline"].value:
                self._variables.show(found.variables)

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
        self._fields.clear()
        self._forget_plan()
        edits = self._edits
        try:
            request = self._request()
            self._plan_box.clear()
            with self._plan_box:
                skeleton(5)
            plan = await self._page.session.client.backfill_pipeline(**request, plan_only=True)
        except Unauthenticated:
            leave()
        except ConvergenceError as error:
            self._forget_plan()
            self._fields.show(error)
        else:
            if edits == self._edits:
                self._show_plan(plan, _Planned(request))
            else:
                self._forget_plan()

    def _show_plan(self, plan: Backfill, planned: _Planned) -> None:
        self._planned = planned
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
        planned = self._planned
        if planned is None:
            return
        try:
            made = await self._page.session.client.backfill_pipeline(**planned.request, request_id=planned.request_id)
        except Unauthenticated:
            leave()
        except ConvergenceError as error:
            self._fields.show(error)
        else:
            ui.navigate.to(backfill_path(made))


def _would_read(plan: Backfill) -> str:
    if not plan.total_runs:
        return "nothing"
    return bytes_text(plan.estimated_bytes) if plan.estimated_bytes else "unknown"
