"""The variables of a pipeline as fields."""

from collections.abc import Mapping, Sequence

from nicegui import ui

from admin_ui.components.form_fields import FormFields, choice_field, text_field
from convergence.v1.pipeline_service_pb2 import VariableDeclaration

_DATE = "date"
"""Each run has its own; it is never among those that are asked for."""
_KINDS = {"date": "date", "integer": "text", "number": "text"}


class VariableFields:
    """One field for each variable that a pipeline declares, and for each that is set without being declared.

    Args:
        fields: of the form; those of the variables are called `variables.NAME`.
        given: what is set at first.
    """

    def __init__(self, fields: FormFields, given: Mapping[str, str]) -> None:
        self._fields = fields
        self._given = dict(given)
        self._inputs: dict[str, ui.input | ui.select] = {}
        self._box = ui.element("div").classes("w-full form-grid")
        self.show(None)

    def show(self, declared: Sequence[VariableDeclaration] | None) -> None:
        """Show the variables of another pipeline, None when none is chosen; what was written stays by its name."""
        written = self._given | self.values()
        for name in self._inputs:
            self._fields.remove(f"variables.{name}")
        self._box.clear()
        known = {one.name: one for one in declared or () if one.name != _DATE}
        others = {name: VariableDeclaration(name=name) for name in written if name not in known}
        with self._box:
            self._inputs = {name: _field(one, written.get(name, "")) for name, one in {**known, **others}.items()}
            if not self._inputs:
                ui.label("Choose a pipeline first." if declared is None else "It has no variables.").classes("dim")
        for name, field in self._inputs.items():
            self._fields.add(f"variables.{name}", field)

    def values(self) -> dict[str, str]:
        """What is set; a field that is empty leaves its variable out, unless it was set to nothing."""
        written = {name: str(field.value or "") for name, field in self._inputs.items()}
        return {name: value for name, value in written.items() if value or self._given.get(name) == ""}


def _field(declared: VariableDeclaration, value: str) -> ui.input | ui.select:
    label = f"{declared.name} (required)" if declared.required else declared.name
    hint = declared.description
    known = list(declared.allowed_values) or (["true", "false"] if declared.type == "boolean" else [])
    if known:
        unset = f"not set: {declared.default_value}" if declared.HasField("default_value") else "not set"
        options = {"": unset, **{one: one for one in known}, **({value: value} if value else {})}
        field: ui.input | ui.select = choice_field(label, options, value, hint=hint)
    else:
        field = text_field(label, value, hint=hint, kind=_KINDS.get(declared.type, "text"))
    if declared.HasField("default_value"):
        field.props["placeholder"] = declared.default_value
    return field
