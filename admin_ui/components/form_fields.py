"""The fields of a form, each with what is wrong with it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from admin_ui.telling import told
from convergence.errors import ConvergenceError, Violation

_Field = TypeVar("_Field", bound=ValidationElement[Any])

_LOOK = "outlined dense stack-label hide-bottom-space"
_PLACES = {
    "SCHEDULE_EXISTS": "schedule_id",
    "PIPELINE_NOT_FOUND": "pipeline",
    "TENANT_NOT_FOUND": "tenant_id",
    "TENANT_NOT_ACTIVE": "tenant_id",
}
"""The fields that reasons are about which come without one."""

PIPELINE_PARTS = {"provider": "pipeline", "domain": "pipeline", "template_name": "pipeline"}
"""The service names a pipeline by three fields, a form by one."""


class FormFields:
    """Fields by the names that the service has for them.

    Args:
        on_change: called whenever a value changes.
        also_called: what the service calls fields by beside their names.
    """

    def __init__(self, on_change: Callable[[], None], also_called: Mapping[str, str] = PIPELINE_PARTS) -> None:
        self._on_change = on_change
        self._also_called = also_called
        self._fields: dict[str, ValidationElement[Any]] = {}
        self._box: ui.label | None = None

    def add(self, name: str, field: _Field) -> _Field:
        """Take a field in, in place of an earlier one of that name."""
        self._fields[name] = field
        field.on_value_change(self._on_change)
        return field

    def remove(self, name: str) -> None:
        """Forget a field that is gone."""
        self._fields.pop(name, None)

    def changed(self) -> None:
        """Something of the form changed that is no field with faults."""
        self._on_change()

    def box(self) -> None:
        """Here stands what is wrong with no single field."""
        self._box = ui.label().classes("problem w-full").props("role=alert")
        self._box.visible = False

    def show(self, error: ConvergenceError) -> None:
        """Say at each field what is wrong with it, and the rest in the box."""
        at_fields, others = dict[str, list[str]](), list[str]()
        place = _PLACES.get(error.reason, "")
        about = Violation(place, error.message) if place in self._fields and not error.violations else None
        for violation in [about] if about else error.violations:
            name = self._also_called.get(violation.field, violation.field)
            field = self._fields.get(name)
            if field is not None and field.visible:
                at_fields.setdefault(name, []).append(violation.description)
            else:
                others.append(": ".join(part for part in (violation.field, violation.description) if part))
        self.clear()
        for name, descriptions in at_fields.items():
            self._fields[name].error = "; ".join(descriptions)
        if others or not at_fields:
            self._tell("\n".join(others) if others else told(error))

    def clear(self) -> None:
        """Nothing is wrong."""
        for field in self._fields.values():
            field.error = None
        self._tell("")

    def _tell(self, text: str) -> None:
        if self._box is not None:
            self._box.text = text
            self._box.visible = bool(text)


def text_field(label: str, value: str = "", *, hint: str = "", kind: str = "text") -> ui.input:
    """A line to write in."""
    field = ui.input(label, value=value).props(f"{_LOOK} type={kind}").classes("w-full")
    if hint:
        field.props["hint"] = hint
    return field


def choice_field(label: str, options: Mapping[Any, str], value: object, *, hint: str = "", typed: bool = False) -> Any:
    """One of several; with `typed` they are searched by typing."""
    field = ui.select(dict(options), label=label, value=value, with_input=typed)
    field.props(f"{_LOOK} options-dense").classes("w-full")
    if hint:
        field.props["hint"] = hint
    return field
