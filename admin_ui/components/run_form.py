"""The form that plans and starts runs of one pipeline, built from the variables that it declares."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from admin_ui.components.parts import action, card
from admin_ui.components.run_table import run_path
from admin_ui.components.variable_field import VariableField, cannot_show, is_day
from admin_ui.frame import Frame
from admin_ui.telling import leave, telling, told
from convergence.errors import ConvergenceError, Unauthenticated
from convergence.v1.pipeline_service_pb2 import Pipeline
from convergence.v1.run_pb2 import Run
from convergence.v1.tenant_service_pb2 import Tenant

_LOOK = "outlined dense stack-label hide-bottom-space"
_VARIABLE = "v."
"""What the names of variables begin with in an address."""
_MOST_TENANTS = 500


class _Call(Protocol):
    """`run_pipeline` and `plan_pipeline`."""

    def __call__(
        self,
        tenant_id: str,
        *,
        provider: str,
        domain: str,
        template_name: str,
        date: str,
        variables: Mapping[str, str],
        request_id: str,
    ) -> Awaitable[Run]: ...


class RunForm:
    """Tenant, date, a field for each variable, and what to do with them.

    Args:
        given: what stands in it at first: `tenant`, `date` and `v.NAME`, as addresses have them.
        show_plan: what becomes of the run of a plan.
    """

    def __init__(
        self,
        page: Frame,
        pipeline: Pipeline,
        given: Mapping[str, str],
        show_plan: Callable[[Run], Awaitable[None]],
    ) -> None:
        self._page = page
        self._pipeline = pipeline
        self._show_plan = show_plan
        self._request_ids: dict[str, str] = {}
        with card("Run it"):
            for note in _notes(pipeline, given):
                ui.label(note).classes("note warns")
            self._fields(given)
            self._problem = ui.label().classes("problem").props("role=alert")
            self._problem.visible = False
            with ui.row().classes("gap-2 justify-end"):
                action("Plan", self._plan, icon="fact_check")
                action("Run", self._run, icon="play_arrow", is_main=True)

    def _fields(self, given: Mapping[str, str]) -> None:
        self._boxes: dict[str, ValidationElement[str | None]] = {}
        with ui.element("div").classes("form"):
            if self._page.session.is_operator:
                self._boxes["tenant_id"] = self._tenant_box(given.get("tenant", ""))
            self._boxes["date"] = _date_box(given.get("date", ""))
            self._variables = [
                VariableField(declared, given.get(_VARIABLE + declared.name)) for declared in self._pipeline.variables
            ]
        for box in self._boxes.values():
            box.on_value_change(lambda event: _refuse(event.sender, None))
            box.on_value_change(self._forget_requests)
        for field in self._variables:
            field.on_change(self._forget_requests)

    def _tenant_box(self, given: str) -> ui.select:
        box = ui.select(
            [given] if given else [], label="tenant *", value=given or None, new_value_mode="add-unique", clearable=True
        )
        box.props(_LOOK).props["hint"] = "Type to search. Enter takes an id that is not listed"
        ui.timer(0.01, lambda: self._load_tenants(box), once=True)
        return box.classes("w-full")

    async def _load_tenants(self, box: ui.select) -> None:
        async with telling():
            found = await self._page.session.client.list_tenants(states=[Tenant.ACTIVE], page_size=_MOST_TENANTS)
            ids = [tenant.tenant_id for tenant in found.tenants]
            if box.value and box.value not in ids:
                ids.append(box.value)
            box.set_options(ids)

    async def _plan(self) -> None:
        run = await self._send("plan", self._page.session.client.plan_pipeline)
        if run is not None:
            # What the plan finds may be other than before, although the form is the same.
            self._request_ids.pop("plan", None)
            await self._show_plan(run)

    async def _run(self) -> None:
        run = await self._send("run", self._page.session.client.run_pipeline)
        if run is not None:
            ui.navigate.to(run_path(run))

    async def _send(self, name: str, call: _Call) -> Run | None:
        """The run that the service has accepted; None when it has refused, which the form then tells."""
        self._clear()
        # As long as the form is the same, a repeated request, also one of a double click, does nothing twice.
        request_id = self._request_ids.setdefault(name, str(uuid.uuid4()))
        pipeline = self._pipeline
        try:
            run = await call(
                self._tenant_id(),
                provider=pipeline.provider,
                domain=pipeline.domain,
                template_name=pipeline.template_name,
                date=self._boxes["date"].value or "",
                variables={field.name: field.value for field in self._variables if field.value is not None},
                request_id=request_id,
            )
        except Unauthenticated:
            leave()
        except ConvergenceError as error:
            self._refuse(error)
        else:
            return run
        return None

    def _forget_requests(self) -> None:
        """Another form is another request."""
        self._request_ids.clear()

    def _tenant_id(self) -> str:
        box = self._boxes.get("tenant_id")
        return self._page.session.tenant_id if box is None else box.value or ""

    def _clear(self) -> None:
        self._problem.visible = False
        for box in self._boxes.values():
            _refuse(box, None)
        for field in self._variables:
            field.refuse(None)

    def _refuse(self, error: ConvergenceError) -> None:
        """Tell what is wrong at the fields, and what is about none of them in the box."""
        wrong = dict[str, list[str]]()
        for violation in error.violations:
            wrong.setdefault(violation.field, []).append(violation.description)
        for name, box in self._boxes.items():
            _refuse(box, wrong.pop(name, None))
        for field in self._variables:
            field.refuse(_sentence(wrong.pop(f"variables.{field.name}", None)))
        rest = tuple(violation for violation in error.violations if violation.field in wrong)
        if rest or not error.violations:
            self._problem.text = told(type(error)(error.code, error.message, replace(error.details, violations=rest)))
        else:
            self._problem.text = "Nothing was started: some fields have to be corrected."
        self._problem.visible = True


def _notes(pipeline: Pipeline, given: Mapping[str, str]) -> list[str]:
    """What of the address cannot stand in the form, so that nobody takes the form for what the address says."""
    declared = {one.name: one for one in pipeline.variables}
    notes = [] if not given.get("date") or is_day(given["date"]) else [f"date: {given['date']!r} is no day"]
    for key, value in given.items():
        name = key.removeprefix(_VARIABLE)
        if name == key:
            continue
        if name not in declared:
            notes.append(f"{name}: the pipeline has no such variable any more")
        elif why := cannot_show(declared[name], value):
            notes.append(why)
    return notes


def _date_box(given: str) -> ui.input:
    box = ui.input("date", value=given if is_day(given) else "").props(_LOOK).props("type=date")
    box.props["hint"] = "The day that the run is about. Today in UTC when it is empty"
    return box.classes("w-full")


def _refuse(box: ValidationElement[str | None], why: list[str] | None) -> None:
    box.error = _sentence(why)


def _sentence(parts: list[str] | None) -> str | None:
    return "; ".join(parts) if parts else None
