"""The form that plans and starts runs of one pipeline, built from the variables that it declares."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypedDict

from nicegui import ui

from admin_ui.components.form import Form
from admin_ui.components.parts import action, card
from admin_ui.components.run_table import run_path
from admin_ui.components.variable_fields import VariableFields
from admin_ui.days import is_day
from admin_ui.frame import Frame
from convergence.v1.pipeline_service_pb2 import Pipeline
from convergence.v1.run_pb2 import Run

_VARIABLE = "v."
"""What the names of variables begin with in an address."""


class _Request(TypedDict):
    """What `run_pipeline` and `plan_pipeline` take."""

    tenant_id: str
    provider: str
    domain: str
    template_name: str
    date: str
    variables: Mapping[str, str]


class RunForm:
    """Tenant, date, a field for each variable, and what to do with them.

    Args:
        tenants: to complete what is typed; None where there is only one's own.
        given: what stands in it at first: `tenant`, `date` and `v.NAME`, as addresses have them.
        show_plan: what becomes of the run of a plan.
    """

    def __init__(
        self,
        page: Frame,
        pipeline: Pipeline,
        *,
        tenants: Sequence[str] | None,
        given: Mapping[str, str],
        show_plan: Callable[[Run], Awaitable[None]],
    ) -> None:
        self._page = page
        self._pipeline = pipeline
        self._show_plan = show_plan
        self._tenant: ui.input | None = None
        self._form = form = Form()
        with card("Run it"):
            for note in _notes(pipeline, given):
                ui.label(note).classes("note warns")
            with ui.element("div").classes("form-grid"):
                if tenants is not None:
                    self._tenant = form.line("tenant_id", "Tenant (required)", given.get("tenant", ""))
                    self._tenant.set_autocomplete(list(tenants))
                day = given.get("date", "")
                hint = "The day that the run is about. Today in UTC when it is empty"
                self._date = form.line("date", "Date", day if is_day(day) else "", kind="date", hint=hint)
            self._variables = VariableFields(form, _variables(pipeline, given))
            self._variables.show(pipeline.variables)
            form.rest()
            with ui.row().classes("gap-2 justify-end"):
                action("Plan", self._plan, icon="fact_check")
                action("Run", self._run, icon="play_arrow", is_main=True)

    async def _plan(self) -> None:
        # Without the id: what the plan finds may be other than before, although the form is the same.
        run = await self._form.send(lambda _: self._page.session.client.plan_pipeline(**self._request()))
        if run is not None:
            await self._show_plan(run)

    async def _run(self) -> None:
        client = self._page.session.client
        run = await self._form.send(lambda request_id: client.run_pipeline(**self._request(), request_id=request_id))
        if run is not None:
            ui.navigate.to(run_path(run))

    def _request(self) -> _Request:
        tenant, pipeline = self._tenant, self._pipeline
        return {
            "tenant_id": self._page.session.tenant_id if tenant is None else (tenant.value or "").strip(),
            "provider": pipeline.provider,
            "domain": pipeline.domain,
            "template_name": pipeline.template_name,
            "date": self._date.value or "",
            "variables": self._variables.values(),
        }


def _given_variables(given: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(_VARIABLE): value for name, value in given.items() if name.startswith(_VARIABLE)}


def _variables(pipeline: Pipeline, given: Mapping[str, str]) -> dict[str, str]:
    """What the address sets. A default itself would hide who sets the value, and go before what a step says."""
    defaults = {one.name: one.default_value if one.HasField("default_value") else None for one in pipeline.variables}
    return {
        name: value for name, value in _given_variables(given).items() if name in defaults and value != defaults[name]
    }


def _notes(pipeline: Pipeline, given: Mapping[str, str]) -> list[str]:
    """What of the address does not stand in the form, so that nobody takes the form for what the address says."""
    declared = {one.name for one in pipeline.variables}
    unknown = [name for name in _given_variables(given) if name not in declared]
    day = given.get("date", "")
    notes = [f"date: {day!r} is no day"] if day and not is_day(day) else []
    return notes + [f"{name}: the pipeline has no such variable any more" for name in unknown]
