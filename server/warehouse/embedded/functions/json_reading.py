"""JSON read out of texts by path.

Source: GoogleSQL's "JSON functions" and "JSONPath format". A text is read as far as it takes to find a value: what
comes behind it may be broken, and numbers keep the form they are written in.
"""

import json
import re
from functools import lru_cache
from typing import Any

from server.warehouse.embedded.functions.function import Function

MISSING = object()
_STEP = re.compile(
    r"""\.(?:"((?:[^"\\]|\\.)*)"|([^.\[\]"']+))|\[(?:(\d+)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([A-Za-z_]\w*))\]"""
)
_MODE = re.compile(r"\s*(strict|lax recursive|lax)\s+(?=\$)", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n]*")

Steps = tuple[str | int, ...]


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class Repeated(dict[str, Any]):
    """An object with a name that stands in it several times; the first one counts."""

    pairs: list[tuple[str, Any]]


def json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; `Repeated` when a name stands in it more than once."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = Repeated()
    for name, value in pairs:
        repeated.setdefault(name, value)
    repeated.pairs = pairs
    return repeated


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=json_object, parse_float=Number, parse_int=Number, parse_constant=_refuse, strict=False
)


def read(text: str) -> Any:
    """The value of a whole JSON text, its numbers as `Number`. Raises ValueError."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("the JSON text is nested too deeply") from None


_OWN = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number, strict=False)


def read_written(text: str) -> Any:
    """What DuckDB's to_json has written: JSON, in which NaN and the infinities stand as such."""
    return _OWN.decode(text)


def write(value: Any) -> str:
    """A value of `read` without white space."""
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        pairs = value.pairs if isinstance(value, Repeated) else value.items()
        return f"{{{','.join(f'{write(name)}:{write(part)}' for name, part in pairs)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(write, value))}]"
    return json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=1_000)
def steps_of(path: str) -> Steps:
    """The names and places in a path. Raises ValueError."""
    if not path.startswith("$"):
        raise ValueError(f"the JSON path {path!r} does not begin with $")
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"the JSON path {path!r} is not supported from its character {at + 1} on")
        index = found[3]
        steps.append(int(index) if index is not None else next(t for t in found.groups() if t is not None))
        at = found.end()
    return tuple(steps)


def member(value: Any, step: str | int) -> Any:
    """One step into a value, `MISSING` where there is nothing."""
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and step < len(value) else MISSING
    return value.get(step, MISSING) if isinstance(value, dict) else MISSING


def _at(text: str, path: str) -> Any:
    """What stands at the path, `MISSING` when nothing does or the text is no JSON up to there."""
    steps = steps_of(path)
    try:
        value = read(text)
    except ValueError:
        return _in_part(text, steps)
    for step in steps:
        value = member(value, step)
    return value


def _in_part(text: str, steps: Steps) -> Any:
    """What stands at the path of a text that breaks off somewhere."""
    at = 0
    try:
        for step in steps:
            at = _position(text, _space(text, at), step)
        return _DECODER.raw_decode(text, _space(text, at))[0]
    except (ValueError, IndexError, RecursionError):
        return MISSING


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _position(text: str, at: int, step: str | int) -> int:
    """Where the member of the object or array begins that starts here. Raises ValueError, IndexError."""
    if text[at] != ("[" if isinstance(step, int) else "{"):
        raise ValueError
    at, place = _space(text, at + 1), 0
    while True:
        name: Any = place
        if isinstance(step, str):
            name, at = _DECODER.raw_decode(text, at)
            at = _space(text, at)
            if text[at] != ":":
                raise ValueError
            at = _space(text, at + 1)
        if name == step:
            return at
        at = _space(text, _DECODER.raw_decode(text, at)[1])
        if text[at] != ",":
            raise ValueError
        at, place = _space(text, at + 1), place + 1


def scalar(value: Any) -> str | None:
    """A text as it is, a number or a truth as JSON writes it; nothing of the rest."""
    if value is MISSING or value is None or isinstance(value, dict | list):
        return None
    return str(value) if isinstance(value, str) else write(value)


def _value(text: str, path: str) -> str | None:
    return scalar(_at(text, path))


def _query(text: str, path: str) -> str | None:
    """Of a text: JSON's null is NULL."""
    value = _at(text, path)
    return None if value is MISSING or value is None else write(value)


def _query_json(text: str, path: str) -> str | None:
    """Of JSON: its null stays one. In the modes that begin with `lax` an array of all that the path finds."""
    mode = _MODE.match(path)
    if mode and mode[1].lower() != "strict":
        recursive = "recursive" in mode[1].lower()
        values = [read(text)]
        for step in steps_of(path[mode.end() :]):
            values = [found for value in values for found in _lax_members(value, step, recursive=recursive)]
        return write(values)
    value = _at(text, path[mode.end() :] if mode else path)
    return None if value is MISSING else write(value)


def _lax_members(value: Any, step: str | int, *, recursive: bool) -> list[Any]:
    if isinstance(step, int):
        found = [member(value if isinstance(value, list) else [value], step)]
    else:
        parts = value if isinstance(value, list) else [value]
        while recursive and any(isinstance(part, list) for part in parts):
            parts = [inner for part in parts for inner in (part if isinstance(part, list) else [part])]
        found = [member(part, step) for part in parts]
    return [part for part in found if part is not MISSING]


def _value_array(text: str, path: str) -> list[str | None] | None:
    values = _at(text, path)
    if not isinstance(values, list) or any(isinstance(value, dict | list) for value in values):
        return None
    return [scalar(value) for value in values]


def _query_array(text: str, path: str) -> list[str] | None:
    values = _at(text, path)
    return [write(value) for value in values] if isinstance(values, list) else None


def _field(text: str, name: str) -> str | None:
    value = member(read(text), name)
    return None if value is MISSING else write(value)


def _element(text: str, place: int) -> str | None:
    value = member(read(text), place) if place >= 0 else MISSING
    return None if value is MISSING else write(value)


_V = "VARCHAR"
JSON_READING = (
    Function("bq_json_value", _value, (_V, _V), _V, gives_null=True),
    Function("bq_json_query", _query, (_V, _V), _V, gives_null=True),
    Function("bq_json_query_json", _query_json, (_V, _V), _V, gives_null=True),
    Function("bq_json_value_array", _value_array, (_V, _V), "VARCHAR[]", gives_null=True),
    Function("bq_json_query_array", _query_array, (_V, _V), "VARCHAR[]", gives_null=True),
    Function("bq_json_field", _field, (_V, _V), _V, gives_null=True),
    Function("bq_json_element", _element, (_V, "BIGINT"), _V, gives_null=True),
)
