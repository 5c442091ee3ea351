"""The JSON Schemas of what people write, with which editors complete and check them while they are written.

They are made from the models that the server itself checks with, and are no stricter: what only the server can know,
they leave to the server. `python -m server.validate` knows more.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

from server.domain.pipeline import Pipeline

Json = dict[str, Any]

_DIALECT = "http://json-schema.org/draft-07/schema#"
_PLACEHOLDER: Json = {"type": "string", "pattern": r"\{[A-Za-z_][A-Za-z0-9_]*\}"}
_PLAIN: Json = {"type": ["string", "number", "boolean"]}
_PS_TYPE = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$"
# What stands in a file is more than the texts that these let through.
_NO_SCHEMAS = {"default", "enum", "const", "properties", "required", "discriminator"}
_STRICTER = {"integer", "number", "boolean"}


def pipeline_schema(models: Mapping[str, type[BaseModel] | None], with_suites: Collection[str]) -> Json:
    """The schema of pipeline files.

    Args:
        models: of each ps_type what its settings have to be; None where the processor does not say.
        with_suites: the ps_types whose steps may name a file in place of a suite.
    """
    schema = Pipeline.model_json_schema()
    definitions: Json = schema.pop("$defs")
    declaration = definitions["Variable"]["properties"]
    declaration["default"] = {"anyOf": [_PLAIN, {"type": "null"}]}
    declaration["allowed_values"]["items"] = _PLAIN
    definitions["Variable"] = {"anyOf": [definitions["Variable"], _PLAIN]}
    definitions["FileSchedule"]["properties"]["variables"]["additionalProperties"] = _PLAIN
    step = definitions["Step"]
    del step["properties"]["settings"], step["additionalProperties"]
    known = sorted(models)
    step["properties"]["ps_type"] = {"anyOf": [{"enum": known}, {"type": "string", "pattern": _PS_TYPE}]}
    step["properties"]["config"] = {"type": ["object", "null"], "description": "Settings, as on the step itself."}
    step["allOf"] = [
        {"if": _is(ps_type), "then": _with_settings(ps_type, model, step, definitions, ps_type in with_suites)}
        for ps_type in known
        if (model := models[ps_type]) is not None
    ]
    schema["properties"]["schedule"] = {"anyOf": [{"$ref": "#/$defs/FileSchedule"}, {"type": "null"}]}
    return _whole("Convergence pipeline", {**schema, "$defs": definitions})


def suite_schema(step: type[BaseModel]) -> Json:
    """The schema of suites, which are the setting `suite` of such a step."""
    definitions = {name: _lenient(value) for name, value in step.model_json_schema()["$defs"].items()}
    return _whole("Convergence suite", {**definitions.pop("Suite"), "$defs": definitions})


def plans_schema(model: type[BaseModel]) -> Json:
    """The schema of the plans file."""
    return _whole("Convergence plans", model.model_json_schema())


def _whole(title: str, schema: Json) -> Json:
    return {"$schema": _DIALECT, "title": title, **_untitled(schema)}


def _is(ps_type: str) -> Json:
    return {"properties": {"ps_type": {"const": ps_type}}, "required": ["ps_type"]}


def _with_settings(ps_type: str, model: type[BaseModel], step: Json, definitions: Json, has_suite: bool) -> Json:
    """A step of that type: its settings stand on it, or under `config`."""
    own = model.model_json_schema(ref_template=f"#/$defs/{ps_type}.{{model}}")
    for name, definition in own.pop("$defs", {}).items():
        definitions[f"{ps_type}.{name}"] = _lenient(definition)
    settings = {name: _lenient(value) for name, value in own["properties"].items()}
    if has_suite:
        settings["suite"] = {"anyOf": [{"type": "string"}, settings["suite"]]}
    nested = {"type": ["object", "null"], "properties": settings, "additionalProperties": False}
    # Settings that every step has are said again: what is not named here is refused.
    common = dict.fromkeys(step["properties"], True)
    return {"properties": {**common, **settings, "config": nested}, "additionalProperties": False}


def _lenient(schema: Any) -> Any:
    """The same with a `{variable}` in the place of whatever is no text."""
    if isinstance(schema, list):
        return [_lenient(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: value if name in _NO_SCHEMAS else _lenient(value) for name, value in schema.items()}
    if "properties" in schema:
        # Whose names may be those of keywords.
        inner["properties"] = {name: _lenient(value) for name, value in schema["properties"].items()}
    if schema.get("type") in _STRICTER or "enum" in schema:
        return {"anyOf": [inner, _PLACEHOLDER]}
    return inner


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic makes of names: editors show them in place of what a name is for."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _untitled(value) for name, value in schema.items() if not (name == "title" and isinstance(value, str))
    }
