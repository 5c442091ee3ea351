"""What pydantic found wrong, as faults that a person can act on."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from server.domain.faults import Fault
from server.pipeline_files.yaml_source import Path

_SHOWN = 80


def model_faults(
    error: ValidationError, model: type[BaseModel], data: object, *, also: Iterable[str] = ()
) -> list[tuple[Path, Fault]]:
    """The faults of `data`, which `model` refused, each with its path in `data`.

    Reasons: UNKNOWN_FIELD with the nearest known name, MISSING_FIELD, INVALID_FIELD. `also` are names that the
    top level knows besides the model's own. Several complaints about one value are one fault.
    """
    messages: dict[tuple[Path, str], list[str]] = {}
    details = [(_path(detail["loc"], data), detail) for detail in error.errors(include_url=False)]
    for path, detail in details:
        if detail["type"] == "too_short" and any(_is_inside(other, path) for other, _ in details):
            # pydantic counts wrong items as missing.
            continue
        reason, message = _explain(detail, path, model, also)
        known = messages.setdefault((path, reason), [])
        if message not in known:
            known.append(message)
    return [(path, Fault(reason, "; or ".join(texts))) for (path, reason), texts in messages.items()]


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'table'?`, or the names there are, or ''."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(repr(match) for match in near)}?"
    return f"; known are {', '.join(names[:20])}" if names else ""


def shown(value: object) -> str:
    """A value for a message: short, and never a whole structure."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _explain(detail: ErrorDetails, path: Path, model: type[BaseModel], also: Iterable[str]) -> tuple[str, str]:
    name = str(path[-1])[:_SHOWN] if path else ""
    match detail["type"]:
        case "extra_forbidden":
            known = [*_names(_annotation(model, path[:-1])), *(also if len(path) == 1 else ())]
            return "UNKNOWN_FIELD", f"{name!r} is not a known field{suggestion(name, known)}"
        case "missing":
            return "MISSING_FIELD", f"{name} is missing"
        case _:
            return "INVALID_FIELD", _what_is_wrong(detail)


def _what_is_wrong(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "value_error" | "assertion_error":
            # "Value error, " comes from pydantic, the rest from the model's author.
            return detail["msg"].partition(", ")[2]
        case "too_short" | "too_long":
            counted = detail["msg"].replace(" after validation", "")
            return counted[counted.index("should") :]
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            expected = "should be a mapping"
        case "bool_type" | "bool_parsing":
            expected = "should be true or false"
        case "int_type" | "int_parsing" | "int_from_float":
            expected = "should be a whole number"
        case "list_type" | "tuple_type":
            expected = "should be a list"
        case _:
            expected = detail["msg"].replace("Input should", "should")
    return f"{expected}, not {shown(detail['input'])}"


def _path(loc: tuple[int | str, ...], data: Any) -> Path:
    """The error's place in the data: pydantic's own parts (names of union members, `[key]`) fall out."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        is_new = isinstance(data, Mapping) and position == len(loc) - 1 and part != "[key]"
        if _has(data, part):
            data = data[part]
            path.append(part)
        elif is_new:
            path.append(part)
    return tuple(path)


def _is_inside(path: Path, other: Path) -> bool:
    return len(path) > len(other) and path[: len(other)] == other


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)


def _annotation(annotation: object, path: Path) -> object:
    for part in path:
        annotation = _inside(annotation, part)
    return annotation


def _inside(annotation: object, part: str | int) -> object:
    """The annotation of what `part` names inside a value of that annotation, or None."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _inside(arguments[0], part)
    if origin in {Union, UnionType}:
        return next((found for one in arguments if (found := _inside(one, part)) is not None), None)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return arguments[1]
    if isinstance(origin, type) and issubclass(origin, Sequence) and isinstance(part, int):
        return arguments[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    return None


def _names(annotation: Any) -> list[str]:
    if get_origin(annotation) in {Annotated, Union, UnionType}:
        return [name for one in get_args(annotation) for name in _names(one)]
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return list(annotation.model_fields) if is_model else []
