"""The fields of one request: what the service refuses is told at the field that it is about."""

import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from admin_ui.telling import leave, told
from convergence.errors import ConvergenceError, Unauthenticated, Violation

_Answer = TypeVar("_Answer")
_Field = TypeVar("_Field", bound=ValidationElement[Any])


class RequestForm:
    """Fields by their names in the request, and a box for what is wrong besides them."""

    def __init__(self) -> None:
        self._places: dict[str, Callable[[str | None], None]] = {}
        self._request_id = ""
        self.refused: ConvergenceError | None = None
        """Why the last `send` came to nothing."""
        self._tell_rest: Callable[[str | None], None] = lambda _: None

    def add(self, name: str, field: _Field) -> _Field:
        """A field of the form, with the looks of all."""
        field.classes("w-full form-field").props("outlined dense stack-label hide-bottom-space")
        self._places[name] = partial(setattr, field, "error")
        field.on_value_change(lambda _: self._change(name))
        return field

    def place(self, name: str) -> None:
        """Here stands what is wrong with something that is no field."""
        self._places[name] = _box()

    def rest(self) -> None:
        """Here stands what is wrong besides: close to the button that sends the form."""
        self._tell_rest = _box()

    def line(self, name: str, label: str, *, value: str = "", hint: str = "") -> ui.input:
        """A field of one line."""
        return self.add(name, _hinted(ui.input(label, value=value), hint))

    def lines(self, name: str, label: str, *, value: str = "", hint: str = "") -> ui.textarea:
        """A field of several values, one a line."""
        return self.add(name, _hinted(ui.textarea(label, value=value).props("autogrow rows=2"), hint))

    def fault(self, name: str, what: str) -> None:
        """Say at a field what is wrong with it."""
        self._places[name](what)

    async def send(self, call: Callable[[str], Awaitable[_Answer]]) -> _Answer | None:
        """What `call` answers, given the id of the request; None when that is refused, which is told.

        The id stays the same until the request has succeeded or the form says something else.
        """
        self.clear_faults()
        self._request_id = self._request_id or str(uuid.uuid4())
        try:
            answer = await call(self._request_id)
        except Unauthenticated:
            leave()
            return None
        except ConvergenceError as error:
            self._tell(error)
            return None
        self._request_id = ""
        return answer

    def clear_faults(self) -> None:
        """Nothing is wrong any more."""
        self.refused = None
        for tell in (*self._places.values(), self._tell_rest):
            tell(None)

    def changed(self) -> None:
        """Something that is no field of the form says something else."""
        self._request_id = ""

    def _change(self, name: str) -> None:
        self.changed()
        self._places[name](None)

    def _tell(self, error: ConvergenceError) -> None:
        self.refused = error
        placed = dict[str, list[str]]()
        rest = list[str]()
        for violation in error.violations:
            name, _, entry = _field_name(violation.field).partition("[")
            if name in self._places:
                placed.setdefault(name, []).append(_description(violation, entry))
            else:
                rest.append(f"{violation.field}: {violation.description}" if violation.field else violation.description)
        for name, wrong in placed.items():
            self.fault(name, "; ".join(wrong))
        self._tell_rest("\n".join(rest) if placed else told(error))


def split_lines(text: str | None) -> list[str]:
    """The values of a field that has one a line."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _box() -> Callable[[str | None], None]:
    """A box that is there as long as it has something to say."""
    box = ui.label().classes("problem w-full").props("role=alert")
    box.visible = False

    def tell(text: str | None) -> None:
        box.text = text or ""
        box.visible = bool(text)

    return tell


def _field_name(path: str) -> str:
    return path.removeprefix("tenant.")


def _description(violation: Violation, entry: str) -> str:
    position = entry.removesuffix("]")
    return f"entry {int(position) + 1}: {violation.description}" if position.isdecimal() else violation.description


def _hinted(field: _Field, hint: str) -> _Field:
    if hint:
        field.props["hint"] = hint
    return field
