"""Inputs for the variables that a pipeline declares."""

from collections.abc import Callable
from datetime import date

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from convergence.v1.pipeline_service_pb2 import VariableDeclaration

_KINDS = {"integer": "A whole number", "number": "A number", "date": "A day, YYYY-MM-DD"}
_LOOK = "outlined dense stack-label hide-bottom-space"


class VariableField:
    """The input of one variable. What is left alone has no value: the pipeline's default holds."""

    def __init__(self, declared: VariableDeclaration, given: str | None) -> None:
        """`given` stands in it at first; None when nothing does."""
        self.name = declared.name
        # The default itself would hide who sets the value, and go before what a step says.
        if declared.HasField("default_value") and given == declared.default_value:
            given = None
        choices = list(declared.allowed_values) or (["true", "false"] if declared.type == "boolean" else [])
        self._is_choice = bool(choices)
        label = f"{declared.name} *" if declared.required else declared.name
        self._box = _choice(declared, label, choices, given) if choices else _text(declared, label, given)
        self._box.on_value_change(lambda: self.refuse(None))

    @property
    def value(self) -> str | None:
        """What to send, None for nothing."""
        value = self._box.value
        return value if self._is_choice or value else None

    def refuse(self, why: str | None) -> None:
        """Say at the field what is wrong with it, or nothing."""
        self._box.error = why

    def on_change(self, told: Callable[[], None]) -> None:
        """Have this called, without arguments, with every change."""
        self._box.on_value_change(told)


def cannot_show(declared: VariableDeclaration, given: str) -> str:
    """Why a value cannot stand in the variable's field; '' when it can."""
    if declared.HasField("default_value") and given == declared.default_value:
        return ""
    if declared.allowed_values or declared.type == "boolean":
        known = list(declared.allowed_values) or ["true", "false"]
        return "" if given in known else f"{declared.name}: {given!r} is not one of its values any more"
    if not given and declared.default_value:
        return f"{declared.name}: it was empty, and a field that is left empty means its default"
    if declared.type == "date" and given and not is_day(given):
        return f"{declared.name}: {given!r} is no day"
    return ""


def is_day(text: str) -> bool:
    """Whether it is a day as a date's input has it."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _choice(
    declared: VariableDeclaration, label: str, choices: list[str], given: str | None
) -> ValidationElement[str | None]:
    options: dict[str | None, str] = {} if declared.required else {None: f"Default: {_shown(declared.default_value)}"}
    options |= {choice: _shown(choice) for choice in choices}
    box = ui.select(options, label=label, value=given if given in choices else None).props(_LOOK)
    if declared.description:
        box.props["hint"] = declared.description
    return box.classes("w-full")


def _text(declared: VariableDeclaration, label: str, given: str | None) -> ValidationElement[str | None]:
    is_date = declared.type == "date"
    box = ui.input(label, value=given if given and (not is_date or is_day(given)) else "").props(_LOOK)
    box.props["placeholder"] = declared.default_value
    hints = [declared.description, "" if is_date else _KINDS.get(declared.type, "")]
    if is_date:
        box.props["type"] = "date"
        hints.append(f"Default: {declared.default_value}" if declared.default_value else "")
    if declared.type in {"integer", "number"}:
        box.props["inputmode"] = "decimal"
    hints.append(f"Must match {declared.pattern}" if declared.pattern else "")
    if hint := ". ".join(hint.removesuffix(".") for hint in hints if hint):
        box.props["hint"] = hint
    return box.classes("w-full")


def _shown(value: str) -> str:
    return value or "(empty)"
