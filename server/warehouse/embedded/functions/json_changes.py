"""JSON made and changed: JSON_SET, JSON_REMOVE and their like.

Source: GoogleSQL's "JSON functions". A change that does not fit the value is left out; the others happen.
"""

from collections.abc import Callable
from typing import Any

from server.warehouse.embedded.functions.function import Function
from server.warehouse.embedded.functions.json_reading import MISSING, Steps, member, read, steps_of, write

# Longest array that a change may make: its place may be any number.
_MOST = 1_000_000


def _change(
    text: str,
    pairs: list[str | None],
    flag: bool | None,
    one: Callable[[Any, Steps, Any, bool], Any],
) -> str:
    """Apply `path, value, path, value, ...`, each to what the one before has made. `flag` is the named argument."""
    value = read(text)
    for path, new in zip(pairs[::2], pairs[1::2], strict=True):
        if path is not None and flag is not None:
            value = one(value, steps_of(path), read(new or "null"), flag)
    return write(value)


def _set(value: Any, steps: Steps, new: Any, create: bool) -> Any:
    """The value with `new` at the path; what is missing on the way is made, unless it may not be."""
    if not steps:
        return new
    step, rest = steps[0], steps[1:]
    if value is None and create:
        value = [] if isinstance(step, int) else {}
    if not isinstance(value, list | dict) or isinstance(value, list) != isinstance(step, int):
        return value
    inner = member(value, step)
    if inner is MISSING:
        if not create:
            return value
        inner = None
    changed = _set(inner, rest, new, create)
    if isinstance(value, list) and isinstance(step, int):
        return [*_padded(value, step), changed, *value[step + 1 :]]
    return {**value, step: changed} if isinstance(value, dict) else value


def _padded(values: list[Any], place: int) -> list[Any]:
    if place > _MOST:
        raise ValueError(f"the place {place} in a JSON array is too great")
    return values[:place] + [None] * (place - len(values))


def _within(value: Any, steps: Steps, change: Callable[[Any], Any]) -> Any:
    """The value with what stands at the path changed, when there is something."""
    if not steps:
        return change(value)
    inner = member(value, steps[0])
    if inner is MISSING:
        return value
    changed, step = _within(inner, steps[1:], change), steps[0]
    if isinstance(step, int):
        return [*value[:step], changed, *value[step + 1 :]]
    return {**value, step: changed}


def _append(value: Any, steps: Steps, new: Any, each: bool) -> Any:
    def change(array: Any) -> Any:
        if array is not None and not isinstance(array, list):
            return array
        return [*(array or []), *_inserted(new, each)]

    return _within(value, steps, change)


def _insert(value: Any, steps: Steps, new: Any, each: bool) -> Any:
    place = steps[-1] if steps else ""
    if not isinstance(place, int):
        return value

    def change(array: Any) -> Any:
        if array is not None and not isinstance(array, list):
            return array
        known = array or []
        return [*_padded(known, place), *_inserted(new, each), *known[place:]]

    return _within(value, steps[:-1], change)


def _inserted(new: Any, each: bool) -> list[Any]:
    """The value to add, or the elements of a SQL array, which come wrapped in another one."""
    (array,) = new if isinstance(new, list) else (new,)
    return list(array) if each and isinstance(array, list) else [array]


def _remove(text: str, paths: list[str | None]) -> str:
    value = read(text)
    for path in paths:
        if path is None:
            continue
        steps = steps_of(path)
        if not steps:
            raise ValueError("JSON_REMOVE cannot remove the whole value ($)")
        value = _within(value, steps[:-1], lambda inner, last=steps[-1]: _without(inner, last))  # type: ignore[misc]
    return write(value)


def _without(value: Any, step: str | int) -> Any:
    if member(value, step) is MISSING:
        return value
    if isinstance(step, int):
        return [*value[:step], *value[step + 1 :]]
    return {name: part for name, part in value.items() if name != step}


def _strip_nulls(text: str, path: str, arrays: bool, empty: bool) -> str:
    value = _within(read(text), steps_of(path), lambda inner: _stripped(inner, arrays=arrays, empty=empty))
    return write(None if value is MISSING else value)


def _stripped(value: Any, *, arrays: bool, empty: bool) -> Any:
    """The value without JSON's nulls; MISSING when nothing is left and nothing is what it should be."""
    if isinstance(value, dict):
        parts = {name: _stripped(part, arrays=arrays, empty=empty) for name, part in value.items()}
        kept = {name: part for name, part in parts.items() if part is not None and part is not MISSING}
        return kept if kept or not empty else MISSING
    if isinstance(value, list):
        items = [_stripped(item, arrays=arrays, empty=empty) for item in value]
        if not arrays:
            return [None if item is MISSING else item for item in items]
        left = [item for item in items if item is not None and item is not MISSING]
        return left if left or not empty else MISSING
    return value


def _keys(text: str, depth: int, mode: str) -> list[str]:
    """JSON_KEYS: the names of all members as paths, in the order of the alphabet."""
    if depth <= 0:
        raise ValueError("JSON_KEYS needs a depth above 0")
    if mode.lower() not in ("strict", "lax", "lax recursive"):
        raise ValueError("JSON_KEYS: the mode is 'strict', 'lax' or 'lax recursive'")
    found: set[str] = set()
    _collect(read(text), "", depth, mode.lower(), found)
    return sorted(found)


def _collect(value: Any, path: str, depth: int, mode: str, found: set[str], *, inside: bool = False) -> None:
    if isinstance(value, list) and (mode == "lax recursive" or (mode == "lax" and not inside)):
        for item in value:
            _collect(item, path, depth, mode, found, inside=True)
    if isinstance(value, dict) and depth != 0:
        for name, part in value.items():
            plain = name.isidentifier() or (name.replace("-", "_").isidentifier())
            inner = f"{path}{'.' if path else ''}{name if plain else write(name)}"
            found.add(inner)
            _collect(part, inner, depth - 1, mode, found)


def _made_object(names: list[str | None] | None, values: list[str | None] | None) -> str:
    """JSON_OBJECT of names and JSON texts; of a name that comes again the first counts."""
    if names is None or values is None or None in names:
        raise ValueError("JSON_OBJECT: the names, and the arrays, cannot be NULL")
    if len(names) != len(values):
        raise ValueError("JSON_OBJECT needs as many names as values")
    found: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        found.setdefault(str(name), read(value or "null"))
    return write(dict(sorted(found.items())))


_V, _T = "VARCHAR", "VARCHAR[]"
JSON_CHANGES = (
    Function("bq_json_set", lambda text, pairs, flag: _change(text, pairs, flag, _set), (_V, _T, "BOOLEAN"), _V),
    Function("bq_json_append", lambda text, pairs, flag: _change(text, pairs, flag, _append), (_V, _T, "BOOLEAN"), _V),
    Function("bq_json_insert", lambda text, pairs, flag: _change(text, pairs, flag, _insert), (_V, _T, "BOOLEAN"), _V),
    Function("bq_json_remove", _remove, (_V, _T), _V),
    Function("bq_json_strip", _strip_nulls, (_V, _V, "BOOLEAN", "BOOLEAN"), _V),
    Function("bq_json_keys", _keys, (_V, "BIGINT", _V), _T),
    Function("bq_json_object", _made_object, (_T, _T), _V, gives_null=True, takes_null=True),
)
