"""The fields of one request: what the service refuses is told at the field that it is about."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from admin_ui.components.parts import action, titled_dialog
from admin_ui.telling import leave, told
from convergence.errors import ConvergenceError, Unauthenticated, Violation

_Answer = TypeVar("_Answer")
_Field = TypeVar("_Field", bound=ValidationElement[Any])

Call = Callable[[str], Awaitable[_Answer]]
"""Sends the request, given its id."""

PIPELINE_PARTS = {"provider": "pipeline", "domain": "pipeline", "template_name": "pipeline"}
"""The service names a pipeline by three fields, a form by one."""
_ABOUT = {
    "SCHEDULE_EXISTS": "schedule_id",
    "PIPELINE_NOT_FOUND": "pipeline",
    "TENANT_NOT_FOUND": "tenant_id",
    "TENANT_NOT_ACTIVE": "tenant_id",
}
"""The fields that reasons are about which come without one."""


class Form:
    """Fields by their names in the request, and a box for what is wrong besides them.

    Args:
        on_change: called whenever the form says something else.
        also_called: what the service calls fields by beside their names.
    """

    def __init__(
        self, on_change: Callable[[], None] = lambda: None, also_called: Mapping[str, str] = PIPELINE_PARTS
    ) -> None:
        self._on_change = on_change
        self._also_called = also_called
        self._fields: dict[str, ValidationElement[Any] | _Problem] = {}
        self._rest: _Problem | None = None
        self._request_id = ""
        self.refused: ConvergenceError | None = None
        """Why the last `send` came to nothing."""

    def add(self, name: str, field: _Field) -> _Field:
        """Take a field in, in place of an earlier one of that name, with the looks of all."""
        field.classes("w-full form-field").props("outlined dense stack-label hide-bottom-space")
        self._fields[name] = field
        field.on_value_change(lambda: self._change(field))
        return field

    def remove(self, name: str) -> None:
        """Forget a field that is gone."""
        self._fields.pop(name, None)

    def line(self, name: str, label: str, value: str = "", *, hint: str = "", kind: str = "text") -> ui.input:
        """A field of one line; `kind` is what HTML calls the type of an input."""
        return self.add(name, _hinted(ui.input(label, value=value).props(f"type={kind}"), hint))

    def lines(self, name: str, label: str, *, value: str = "", hint: str = "") -> ui.textarea:
        """A field of several values, one a line."""
        return self.add(name, _hinted(ui.textarea(label, value=value).props("autogrow rows=2"), hint))

    def choice(
        self, name: str, label: str, options: Mapping[Any, str], value: object, *, hint: str = "", typed: bool = False
    ) -> ui.select:
        """A field with one of several values; with `typed` they are searched by typing."""
        field = ui.select(dict(options), label=label, value=value, with_input=typed).props("options-dense")
        return self.add(name, _hinted(field, hint))

    def place(self, name: str) -> None:
        """Here stands what is wrong with something that is no field."""
        self._fields[name] = _Problem()

    def rest(self) -> None:
        """Here stands what is wrong besides: close to the button that sends the form."""
        self._rest = _Problem()

    def changed(self) -> None:
        """Something that is no field of the form says something else."""
        self._request_id = ""
        self._on_change()

    async def send(self, call: Call[_Answer]) -> _Answer | None:
        """What `call` answers; None when that is refused, which is told.

        The id of the request stays the same until the form says something else: to send it twice does nothing twice.
        """
        self.clear_faults()
        self._request_id = self._request_id or str(uuid.uuid4())
        try:
            return await call(self._request_id)
        except Unauthenticated:
            leave()
        except ConvergenceError as error:
            self.show(error)
        return None

    def show(self, error: ConvergenceError) -> None:
        """Say at each field what is wrong with it, and the rest in the box."""
        self.clear_faults()
        self.refused = error
        about = _ABOUT.get(error.reason, "")
        is_about_one = about in self._fields and not error.violations
        placed, rest = dict[str, list[str]](), list[str]()
        for violation in [Violation(about, error.message)] if is_about_one else error.violations:
            name, part = self._place(violation.field)
            if name:
                placed.setdefault(name, []).append(part + violation.description)
            else:
                rest.append(f"{violation.field}: {violation.description}" if violation.field else violation.description)
        for name, wrong in placed.items():
            self._fields[name].error = "; ".join(wrong)
        if self._rest is not None:
            self._rest.error = "\n".join(rest) if placed else told(error)

    def clear_faults(self) -> None:
        """Nothing is wrong any more."""
        self.refused = None
        for field in (*self._fields.values(), self._rest):
            if field is not None:
                field.error = None

    def _place(self, path: str) -> tuple[str, str]:
        """The field that a path is about, and which part of it; '' when none of the form is."""
        whole = name = path.removeprefix("tenant.")
        while name and name not in self._fields and name not in self._also_called:
            name = name[: max(name.rfind("."), name.rfind("["), 0)]
        part = whole[len(name) :].strip(".[]")
        name = self._also_called.get(name, name)
        field = self._fields.get(name)
        if field is None or (isinstance(field, ui.element) and not field.visible):
            return "", ""
        return name, f"entry {int(part) + 1}: " if part.isdecimal() else f"{part}: " if part else ""

    def _change(self, field: ValidationElement[Any]) -> None:
        field.error = None
        self.changed()


class _Problem:
    """A box that is there as long as it has something to say."""

    def __init__(self) -> None:
        self._box = ui.label().classes("problem w-full").props("role=alert")
        self.error = None

    @property
    def error(self) -> str | None:
        """What is wrong; None for nothing."""
        return self._box.text or None

    @error.setter
    def error(self, text: str | None) -> None:
        self._box.text = text or ""
        self._box.visible = bool(text)


async def ask_in_form(title: str, answer: str, fill: Callable[[Form], Call[_Answer]]) -> _Answer | None:
    """A dialog with a form that stays until the service has done what it says; None when nobody wants that.

    Args:
        answer: what the button that sends it says.
        fill: puts the fields in, and answers with what sends them.
    """
    with titled_dialog(title, is_persistent=True) as dialog:
        form = Form()
        call = fill(form)

        async def send() -> None:
            answered = await form.send(call)
            if answered is not None:
                dialog.submit(answered)

        form.rest()
        with ui.row().classes("w-full justify-end items-center"):
            ui.button("Leave it", on_click=lambda: dialog.submit(None)).props("flat no-caps")
            action(answer, send, is_main=True)
    answered: _Answer | None = await dialog
    dialog.delete()
    return answered


def split_lines(text: str | None) -> list[str]:
    """The values of a field that has one a line."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _hinted(field: _Field, hint: str) -> _Field:
    if hint:
        field.props["hint"] = hint
    return field
