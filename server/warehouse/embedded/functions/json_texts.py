"""JSON converted to values, and values written as TO_JSON_STRING and TO_JSON write them.

Source: GoogleSQL's "JSON functions" and "JSON encodings" pages. JSON goes in and out as text.
"""

import base64
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from server.domain.schema import TableField
from server.warehouse.embedded.functions.function import Function
from server.warehouse.embedded.functions.json_reading import (
    Number,
    Repeated,
    json_object,
    read,
    read_written,
    scalar,
    write,
)

_SAFE_INTEGER = 2**53
_INTEGERS = (-(2**63), 2**64)
_NAMELESS = re.compile(r"_field_\d+")
_OCTET = re.compile(r"\\x([0-9A-Fa-f]{2})")
_FRACTION = re.compile(r"\.(\d{1,6})")
_DIGITS = 17


def sorted_json(value: Any, *, exact: bool = False) -> Any:
    """A value of JSON as the type keeps it: names in order, numbers of 64 bits. `exact` refuses to round a number."""
    if isinstance(value, Number):
        return _number_of_json(value, exact=exact)
    if isinstance(value, dict):
        return {name: sorted_json(part, exact=exact) for name, part in sorted(value.items())}
    if isinstance(value, list):
        return [sorted_json(part, exact=exact) for part in value]
    return value


def _number_of_json(text: Number, *, exact: bool) -> Number:
    if text.lstrip("-").isdigit() and _INTEGERS[0] <= int(text) < _INTEGERS[1]:
        return Number(int(text))
    number = float(text)
    if math.isinf(number) or (exact and Decimal(repr(number)) != Decimal(text) and len(text) > _DIGITS):
        raise ValueError(f"the JSON number {text} cannot be kept exactly; use wide_number_mode => 'round'")
    return Number(repr(number))


def _parsed(text: str, mode: str) -> str:
    if mode not in ("exact", "round"):
        raise ValueError("PARSE_JSON: wide_number_mode is 'exact' or 'round'")
    try:
        value = read(text)
    except ValueError as error:
        raise ValueError(f"the text is not JSON: {error}") from None
    return write(sorted_json(value, exact=mode == "exact"))


def _kind(text: str) -> str:
    value = json.loads(text)
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _strictly(wanted: str, *kinds: type) -> Callable[[str], Any]:
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


def _lax_number_text(text: str) -> str | None:
    """As text: DuckDB takes NaN from Python for NULL."""
    number = _lax_number(text)
    return None if number is None else repr(number)


def _lax_boolean(text: str) -> bool | None:
    value = json.loads(text)
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return bool(value) if isinstance(value, bool | int | float) else None


def _each(convert: Callable[[str], Any], *, lax: bool) -> Callable[[str], Any]:
    """The conversion for every element of an array; of what is no array NULL, or an error."""

    def converted(text: str) -> list[Any] | None:
        value = json.loads(text)
        if isinstance(value, list):
            return [convert(json.dumps(item)) for item in value]
        if lax:
            return None
        raise ValueError(f"the JSON value {text[:60]} is not an array")

    return converted


@lru_cache(maxsize=1_000)
def described(fields: str) -> tuple[TableField, ...]:
    """The types of values, as the translation describes them."""
    return tuple(TableField.model_validate(field) for field in json.loads(fields))


def _written(text: str | None, fields: str, pretty: bool | None) -> str | None:
    """TO_JSON_STRING of a value that DuckDB's to_json has written."""
    if pretty is None:
        return None
    (field,) = described(fields)
    value = encoded(None if text is None else read_written(text), field)
    return _pretty(value, "\n") if pretty else write(value)


def _made(text: str | None, fields: str, stringify: bool | None) -> str | None:
    """TO_JSON of such a value; `stringify` writes numbers that FLOAT64 does not hold as texts."""
    if stringify is None:
        return None
    (field,) = described(fields)
    wide = _as_text_when_wide if stringify else lambda number: number
    return write(sorted_json(encoded(None if text is None else read_written(text), field, wide=wide)))


def _pretty(value: Any, line: str) -> str:
    inner = f"{line}  "
    if isinstance(value, dict) and value:
        parts = [f"{write(name)}: {_pretty(part, inner)}" for name, part in value.items()]
        return f"{{{inner}{f',{inner}'.join(parts)}{line}}}"
    if isinstance(value, list) and value:
        return f"[{inner}{f',{inner}'.join(_pretty(part, inner) for part in value)}{line}]"
    return write(value)


def pretty_json(value: Any) -> str:
    """A value of JSON in lines."""
    return _pretty(value, "\n")


def encoded(value: Any, field: TableField, wide: Callable[[Number], Any] | None = None) -> Any:
    """A value that DuckDB's to_json has written, as JSON encodes it; `wide` decides about exact numbers for TO_JSON."""
    if value is None:
        return None
    if field.mode == "REPEATED":
        one = field.model_copy(update={"mode": "NULLABLE"})
        return [encoded(item, one, wide) for item in value]
    if field.type == "RECORD":
        names = ["" if _NAMELESS.fullmatch(part.name) else part.name for part in field.fields]
        parts = [encoded(value[part.name], part, wide) for part in field.fields]
        return json_object(list(zip(names, parts, strict=True)))
    if field.type in _EXACT:
        number = Number(number_text(value))
        return wide(number) if wide else _as_text_when_inexact(number)
    return _ENCODED.get(field.type, str)(value)


def _as_text_when_inexact(number: Number) -> Any:
    """TO_JSON_STRING writes whole numbers up to 2^53 as numbers and all others as texts."""
    return number if "." not in number and abs(int(number)) <= _SAFE_INTEGER else str(number)


def _as_text_when_wide(number: Number) -> Any:
    return number if abs(Decimal(number)) <= _SAFE_INTEGER else str(number)


def _encoded_float(value: Any) -> Any:
    """NaN and the infinities are texts."""
    number = float(value)
    if math.isfinite(number):
        return Number(float_text(number))
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


_EXACT = ("INT64", "NUMERIC", "BIGNUMERIC")


def octets(text: str) -> bytes:
    """The bytes that DuckDB has written as a text, with escapes."""
    return _OCTET.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1")


def clock_text(text: str) -> str:
    """A time as CAST writes it: three or six digits behind the point, or none."""
    return _FRACTION.sub(lambda found: "." + found[1].ljust(3 if len(found[1]) <= 3 else 6, "0"), text)


_ENCODED: Mapping[str, Callable[[Any], Any]] = {
    "BOOLEAN": bool,
    "JSON": sorted_json,
    "FLOAT64": _encoded_float,
    "BYTES": lambda value: base64.b64encode(octets(value)).decode(),
    "TIMESTAMP": lambda value: clock_text(value).replace(" ", "T").replace("+00", "Z"),
    "DATETIME": lambda value: clock_text(value).replace(" ", "T"),
    "TIME": clock_text,
}


def number_text(value: Any) -> str:
    """An exact number as CAST writes it: no zeros at the end of a fraction."""
    text = f"{Decimal(value):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def float_text(number: float) -> str:
    """A FLOAT64 as CAST writes it: 15 digits, or 17 where it takes as many to read the same number back."""
    if number == 0:
        return "0"
    short = f"{number:.15g}"
    return short if float(short) == number else f"{number:.17g}"


def texts_in(text: str | None, fields: str) -> Iterator[str | None]:
    """The texts of all the values in a value, for a search in them."""
    (field,) = described(fields)
    yield from _texts(None if text is None else encoded(read(text), field, wide=lambda number: number))


def _texts(value: Any) -> Iterator[str | None]:
    if isinstance(value, Repeated):
        value = [part for _, part in value.pairs]
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
    else:
        yield scalar(value)


_V = "VARCHAR"
_CONVERTED: tuple[tuple[str, Callable[[str], Any], str], ...] = (
    ("string", _strictly("STRING", str), _V),
    ("int64", _strictly("INT64", int), "BIGINT"),
    ("float64", lambda text: float(_strictly("FLOAT64", int, float)(text)), "DOUBLE"),
    ("bool", _strictly("BOOL", bool), "BOOLEAN"),
    ("lax_string", lambda text: scalar(read(text)), _V),
    ("lax_int64", _lax_integer, "BIGINT"),
    ("lax_float64", _lax_number_text, _V),
    ("lax_bool", _lax_boolean, "BOOLEAN"),
)
JSON_TEXTS = (
    Function("bq_json_parse", _parsed, (_V, _V), _V),
    Function("bq_json_type", _kind, (_V,), _V),
    *(Function(f"bq_json_{word}", run, (_V,), kind, gives_null=True) for word, run, kind in _CONVERTED),
    *(
        Function(f"bq_json_{word}_array", _each(run, lax=word.startswith("lax")), (_V,), f"{kind}[]", gives_null=True)
        for word, run, kind in _CONVERTED
    ),
    Function("bq_json_write", _written, (_V, _V, "BOOLEAN"), _V, gives_null=True, takes_null=True),
    Function("bq_json_make", _made, (_V, _V, "BOOLEAN"), _V, gives_null=True, takes_null=True),
)
