"""The variables of a pipeline as fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from admin_ui.components.form import Form
from admin_ui.days import is_day
from admin_ui.list_addresses import pipeline_parts
from admin_ui.sessions import Session
from admin_ui.telling import telling
from convergence.v1.pipeline_service_pb2 import VariableDeclaration

_DATE = "date"
"""Each run has its own; it is never among those that are asked for."""
_TYPES = {"integer": "A whole number", "number": "A number"}


class VariableFields:
    """One field for each variable that a pipeline declares, and for each that is set without being declared.

    Args:
        form: takes the fields in; those of the variables are called `variables.NAME`.
        given: what is set at first.
    """

    def __init__(self, form: Form, given: Mapping[str, str]) -> None:
        self._form = form
        self._given = dict(given)
        self._path = ""
        self._inputs: dict[str, ui.input | ui.select] = {}
        self._box = ui.element("div").classes("w-full form-grid")
        self.show(None)

    async def load(self, session: Session, path: str) -> None:
        """Show the variables of the pipeline with that path, unless another is asked for meanwhile; '' for none."""
        self._path = path
        if not path:
            return
        provider, domain, template_name = pipeline_parts(path)
        async with telling():
            found = await session.client.get_pipeline(provider=provider, domain=domain, template_name=template_name)
            if path == self._path:
                self.show(found.variables)

    def show(self, declared: Sequence[VariableDeclaration] | None) -> None:
        """Show the variables of another pipeline, None when none is chosen; what was written stays by its name."""
        untouched = {name: value for name, value in self._given.items() if name not in self._inputs}
        written = untouched | self.values()
        for name in self._inputs:
            self._form.remove(f"variables.{name}")
        self._box.clear()
        known = {one.name: one for one in declared or () if one.name != _DATE}
        others = {name: VariableDeclaration(name=name) for name in written if name not in known}
        with self._box:
            self._inputs = {name: self._field(one, written.get(name)) for name, one in {**known, **others}.items()}
            if not self._inputs:
                ui.label("Choose a pipeline first." if declared is None else "It has no variables.").classes("dim")

    def values(self) -> dict[str, str]:
        """What is set; a text that is empty leaves its variable out, unless it was set to nothing."""
        values = dict[str, str]()
        for name, field in self._inputs.items():
            value = field.value
            if value or (value == "" and (isinstance(field, ui.select) or self._given.get(name) == "")):
                values[name] = str(value)
        return values

    def _field(self, declared: VariableDeclaration, value: str | None) -> ui.input | ui.select:
        name = f"variables.{declared.name}"
        label = f"{declared.name} (required)" if declared.required else declared.name
        known = list(declared.allowed_values) or (["true", "false"] if declared.type == "boolean" else [])
        if known:
            options = _options(declared, known, value)
            return self._form.choice(name, label, options, value, hint=declared.description)
        # A browser shows nothing in the field of a day for what is none.
        is_date = declared.type == "date" and (not value or is_day(value))
        hint = _hint(declared, is_date=is_date)
        field = self._form.line(name, label, value or "", hint=hint, kind="date" if is_date else "text")
        field.props["placeholder"] = "(empty)" if value == "" else declared.default_value
        if declared.type in _TYPES:
            field.props["inputmode"] = "decimal"
        return field


def _options(declared: VariableDeclaration, known: Sequence[str], value: str | None) -> dict[Any, str]:
    """What can be chosen; also the value that is set, for the service to say that it is none of them."""
    unset = f"Default: {_shown(declared.default_value)}" if declared.HasField("default_value") else "Not set"
    values = [*known, *([value] if value is not None and value not in known else [])]
    return {None: unset} | {one: _shown(one) for one in values}


def _hint(declared: VariableDeclaration, *, is_date: bool) -> str:
    hints = [
        declared.description,
        "A day, YYYY-MM-DD" if declared.type == "date" and not is_date else _TYPES.get(declared.type, ""),
        f"Default: {declared.default_value}" if is_date and declared.default_value else "",
        f"Must match {declared.pattern}" if declared.pattern else "",
    ]
    return ". ".join(hint.removesuffix(".") for hint in hints if hint)


def _shown(value: str) -> str:
    return value or "(empty)"
