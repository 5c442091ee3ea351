"""JSON: read by path, converted, and written as TO_JSON_STRING and FORMAT write values.

Source: GoogleSQL's "JSON functions", "JSON encodings" and "FORMAT clause" pages. JSON goes in and out as text.
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from server.domain.schema import TableField
from server.warehouse.embedded.functions.function import Function

_MISSING = object()
_STEP = re.compile(r"""\.(?:"((?:[^"\\]|\\.)*)"|([^.\[\]"']+))|\[(?:(\d+)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]""")
_SAFE_INTEGER = 2**53


@lru_cache(maxsize=1_000)
def _steps(path: str) -> tuple[str | int, ...]:
    if not path.startswith("$"):
        raise ValueError(f"the JSON path {path!r} does not begin with $")
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"the JSON path {path!r} is not supported from its character {at + 1} on")
        quoted, name, index, single, double = found.groups()
        steps.append(
            int(index) if index is not None else next(t for t in (quoted, name, single, double) if t is not None)
        )
        at = found.end()
    return tuple(steps)


def _at(text: str, path: str) -> Any:
    """What stands at the path, `_MISSING` when nothing does or the text is no JSON."""
    steps = _steps(path)
    try:
        value = json.loads(text)
    except ValueError:
        return _MISSING
    for step in steps:
        value = _member(value, step)
    return value


def _member(value: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and step < len(value) else _MISSING
    return value.get(step, _MISSING) if isinstance(value, dict) else _MISSING


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _scalar(value: Any) -> str | None:
    """A text as it is, a number or a truth as JSON writes it; nothing of the rest."""
    if value is _MISSING or value is None or isinstance(value, dict | list):
        return None
    return value if isinstance(value, str) else _text(value)


def _value(text: str, path: str) -> str | None:
    return _scalar(_at(text, path))


def _query(text: str, path: str) -> str | None:
    value = _at(text, path)
    return None if value is _MISSING else _text(value)


def _value_array(text: str, path: str) -> list[str | None] | None:
    values = _at(text, path)
    if not isinstance(values, list) or any(isinstance(value, dict | list) for value in values):
        return None
    return [_scalar(value) for value in values]


def _query_array(text: str, path: str) -> list[str] | None:
    values = _at(text, path)
    return [_text(value) for value in values] if isinstance(values, list) else None


def _field(text: str, name: str) -> str | None:
    value = _member(json.loads(text), name)
    return None if value is _MISSING else _text(value)


def _element(text: str, place: int) -> str | None:
    value = _member(json.loads(text), place) if place >= 0 else _MISSING
    return None if value is _MISSING else _text(value)


def _parsed(text: str) -> str:
    try:
        return _text(json.loads(text))
    except ValueError as error:
        raise ValueError(f"the text is not JSON: {error}") from None


def _kind(text: str) -> str:
    value = json.loads(text)
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _strictly(wanted: str, *kinds: type) -> Any:
    def convert(text: str) -> Any:
        value = json.loads(text)
        if type(value) is float and int in kinds and float not in kinds and value.is_integer():
            value = int(value)
        if type(value) not in kinds:
            raise ValueError(f"the JSON value {text[:60]} is not of type {wanted}")
        return value

    return convert


def _lax_integer(text: str) -> int | None:
    if text in ("true", "false"):
        return int(text == "true")
    number = _lax_number(text)
    return None if number is None or not -(2.0**63) <= number < 2.0**63 else _rounded(text, number)


def _rounded(text: str, number: float) -> int:
    value = json.loads(text)
    exact = value if isinstance(value, int) else Decimal(value if isinstance(value, str) else repr(number))
    return int(Decimal(exact).to_integral_value("ROUND_HALF_UP"))


def _lax_number(text: str) -> float | None:
    value = json.loads(text)
    try:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except ValueError:
        return None


def _lax_boolean(text: str) -> bool | None:
    value = json.loads(text)
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return bool(value) if isinstance(value, bool | int | float) else None


@lru_cache(maxsize=1_000)
def _described(fields: str) -> tuple[TableField, ...]:
    return tuple(TableField.model_validate(field) for field in json.loads(fields))


def _decoded(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _written(text: str, fields: str, pretty: bool) -> str:
    """TO_JSON_STRING of a value that DuckDB's to_json has written."""
    (field,) = _described(fields)
    compact = _encoded(_decoded(text), field)
    return json.dumps(json.loads(compact), ensure_ascii=False, indent=2) if pretty else compact


def _encoded(value: Any, field: TableField) -> str:
    if value is None:
        return "null"
    if field.mode == "REPEATED":
        one = field.model_copy(update={"mode": "NULLABLE"})
        return f"[{','.join(_encoded(item, one) for item in value)}]"
    if field.type == "RECORD":
        return f"{{{','.join(f'{_text(p.name)}:{_encoded(value[p.name], p)}' for p in field.fields)}}}"
    return _ENCODED.get(field.type, _text)(value)


def _encoded_float(value: Any) -> str:
    """NaN and the infinities are texts."""
    return _text(value) if isinstance(value, str) else _number(value, "FLOAT64")


_ENCODED: Mapping[str, Callable[[Any], str]] = {
    "INT64": lambda value: str(value) if abs(value) <= _SAFE_INTEGER else f'"{value}"',
    "FLOAT64": _encoded_float,
    "NUMERIC": lambda value: _number(value, "NUMERIC"),
    "BIGNUMERIC": lambda value: _number(value, "BIGNUMERIC"),
    "TIMESTAMP": lambda value: _text(value.replace(" ", "T").replace("+00", "Z")),
    "DATETIME": lambda value: _text(value.replace(" ", "T")),
}


def _number(value: Any, kind: str) -> str:
    """Numbers as CAST writes them: no zeros at the end of a fraction, floats as short as they read back."""
    if kind == "FLOAT64":
        return repr(float(value)).removesuffix(".0")
    text = f"{Decimal(value):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


_SPECIFIER = re.compile(r"%([-+ #0']*)(\d+|\*)?(?:\.(\d+|\*))?([dioxXfFeEgGstTpP%])")


def _format(pattern: str, values: list[str | None], fields: str) -> str | None:
    """FORMAT(pattern, ...); `values` are JSON texts. NULL as soon as another specifier than %t or %T meets a NULL."""
    arguments = iter(zip(values, _described(fields), strict=True))
    parts, at = [], 0
    for found in _SPECIFIER.finditer(pattern):
        if "%" in pattern[at : found.start()]:
            break
        parts.append(pattern[at : found.start()])
        at = found.end()
        if found[4] == "%":
            parts.append("%")
            continue
        shown = _specified(found, arguments)
        if shown is None:
            return None
        parts.append(shown)
    if "%" in pattern[at:]:
        raise ValueError(f"FORMAT does not know the specifier at {pattern[pattern.index('%', at) :][:10]!r}")
    if next(arguments, None) is not None:
        raise ValueError("FORMAT has more values than its format uses")
    return "".join([*parts, pattern[at:]])


def _specified(found: re.Match[str], arguments: Any) -> str | None:
    flags, width, precision, letter = found.groups()
    try:
        width, precision = (str(_decoded(next(arguments)[0])) if part == "*" else part for part in (width, precision))
        text, field = next(arguments)
    except StopIteration:
        raise ValueError("FORMAT has fewer values than its format uses") from None
    value = None if text is None else _decoded(text)
    if letter in "tT":
        shown = _printed(value, field, literal=letter == "T")
    elif value is None:
        return None
    elif letter in "sPp":
        shown = _shown_text(value, field, letter)
    else:
        return _shown_number(value, field, found, int(width or 0), precision)
    shown = shown[: int(precision)] if precision is not None else shown
    return shown.ljust(int(width or 0)) if "-" in flags else shown.rjust(int(width or 0))


def _shown_text(value: Any, field: TableField, letter: str) -> str:
    if letter in "pP":
        return json.dumps(value, ensure_ascii=False, indent=2) if letter == "P" else _text(value)
    if field.type not in ("STRING", "JSON") or not isinstance(value, str):
        raise ValueError(f"FORMAT: %s needs a STRING and was given {field.type}; use %t")
    return value


def _shown_number(value: Any, field: TableField, found: re.Match[str], width: int, precision: str | None) -> str:
    flags, letter, is_whole = found[1], {"i": "d"}.get(found[4], found[4]), field.type == "INT64"
    if is_whole != (letter in "doxX") or field.mode == "REPEATED" or isinstance(value, str | bool | dict):
        raise ValueError(f"FORMAT: %{letter} cannot show a value of type {field.type}")
    number = float(value) if field.type == "FLOAT64" else value
    if isinstance(number, Decimal) and letter in "fF":
        number = number.quantize(Decimal(1).scaleb(-int(precision or 6)), "ROUND_HALF_UP")
    sign = "+" if "+" in flags else " " if " " in flags else ""
    alternate, grouped = "#" if "#" in flags else "", "," if "'" in flags else ""
    exact = "" if is_whole else f".{precision or 6}"
    text = format(number, f"{sign}{alternate}{grouped}{exact}{letter}")
    if "-" in flags:
        return text.ljust(width)
    if "0" not in flags:
        return text.rjust(width)
    lead = text[0] if text[0] in "+- " else ""
    return lead + text[len(lead) :].rjust(width - len(lead), "0")


def _printed(value: Any, field: TableField, *, literal: bool) -> str:
    """%t, and %T, which writes a literal."""
    if value is None:
        return "NULL"
    if field.mode == "REPEATED":
        one = field.model_copy(update={"mode": "NULLABLE"})
        return f"[{', '.join(_printed(item, one, literal=literal) for item in value)}]"
    if field.type == "RECORD":
        inner = ", ".join(_printed(value[part.name], part, literal=literal) for part in field.fields)
        return f"{'STRUCT' if literal and len(field.fields) == 1 else ''}({inner})"
    text = _PRINTED.get(field.type, str)(value)
    return _LITERALS.get(field.type, f'{field.type} "{{}}"').format(text) if literal else text


_PRINTED: Mapping[str, Callable[[Any], str]] = {
    "INT64": _text,
    "BOOLEAN": _text,
    "JSON": _text,
    "FLOAT64": lambda value: value if isinstance(value, str) else repr(float(value)),
    "NUMERIC": lambda value: _number(value, "NUMERIC"),
    "BIGNUMERIC": lambda value: _number(value, "BIGNUMERIC"),
}
_LITERALS = {"INT64": "{}", "BOOLEAN": "{}", "FLOAT64": "{}", "JSON": "JSON '{}'", "STRING": '"{}"'}


_V = "VARCHAR"
JSON_TEXTS = (
    Function("bq_json_value", _value, (_V, _V), _V, gives_null=True),
    Function("bq_json_query", _query, (_V, _V), _V, gives_null=True),
    Function("bq_json_value_array", _value_array, (_V, _V), "VARCHAR[]", gives_null=True),
    Function("bq_json_query_array", _query_array, (_V, _V), "VARCHAR[]", gives_null=True),
    Function("bq_json_field", _field, (_V, _V), _V, gives_null=True),
    Function("bq_json_element", _element, (_V, "BIGINT"), _V, gives_null=True),
    Function("bq_json_parse", _parsed, (_V,), _V),
    Function("bq_json_type", _kind, (_V,), _V),
    Function("bq_json_string", _strictly("STRING", str), (_V,), _V),
    Function("bq_json_int64", _strictly("INT64", int), (_V,), "BIGINT"),
    Function("bq_json_float64", _strictly("FLOAT64", int, float), (_V,), "DOUBLE"),
    Function("bq_json_bool", _strictly("BOOL", bool), (_V,), "BOOLEAN"),
    Function("bq_json_lax_string", lambda text: _scalar(json.loads(text)), (_V,), _V, gives_null=True),
    Function("bq_json_lax_int64", _lax_integer, (_V,), "BIGINT", gives_null=True),
    Function("bq_json_lax_float64", _lax_number, (_V,), "DOUBLE", gives_null=True),
    Function("bq_json_lax_bool", _lax_boolean, (_V,), "BOOLEAN", gives_null=True),
    Function("bq_json_write", _written, (_V, _V, "BOOLEAN"), _V),
    Function("bq_format", _format, (_V, "VARCHAR[]", _V), _V, gives_null=True),
)
