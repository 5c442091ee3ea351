"""FORMAT: values as text by specifiers.

Source: GoogleSQL's "FORMAT function".
"""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from server.domain.schema import TableField
from server.warehouse.embedded.functions.function import Function
from server.warehouse.embedded.functions.json_reading import read_written, write
from server.warehouse.embedded.functions.json_texts import (
    clock_text,
    described,
    encoded,
    float_text,
    number_text,
    octets,
    pretty_json,
    sorted_json,
)

_SPECIFIER = re.compile(r"%([-+ #0']*)(\d+|\*)?(?:\.(\d+|\*)?)?([dioxXfFeEgGstTpP%])")
_PRECISION = "6"
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _format(pattern: str, values: list[str | None], fields: str) -> str | None:
    """FORMAT(pattern, ...); `values` are JSON texts. NULL as soon as another specifier than %t or %T meets a NULL."""
    arguments = iter(zip(values, described(fields), strict=True))
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
        width, precision = (next(arguments)[0] if part == "*" else part for part in (width, precision))
        text, field = next(arguments)
    except StopIteration:
        raise ValueError("FORMAT has fewer values than its format uses") from None
    if "." in found[0] and precision is None:
        precision = "0"
    if width is not None and int(width) < 0:
        flags, width = f"{flags}-", width[1:]
    value = None if text is None else read_written(text)
    if letter in "tT":
        shown = _printed(value, field, literal=letter == "T")
    elif value is None:
        return None
    elif letter in "sPp":
        shown = _shown_text(value, field, letter)
    else:
        return _shown_number(value, field, (flags, letter), int(width or 0), precision)
    shown = shown[: int(precision)] if precision is not None else shown
    return shown.ljust(int(width or 0)) if "-" in flags else shown.rjust(int(width or 0))


def _shown_text(value: Any, field: TableField, letter: str) -> str:
    if letter in "pP":
        if field.type != "JSON":
            raise ValueError(f"FORMAT: %{letter} needs JSON and was given {field.type}")
        return (pretty_json if letter == "P" else write)(encoded(value, field))
    if field.type != "STRING" or field.mode == "REPEATED":
        raise ValueError(f"FORMAT: %s needs a STRING and was given {field.type}; use %t")
    return str(value)


def _shown_number(value: Any, field: TableField, specifier: tuple[str, str], width: int, precision: str | None) -> str:
    flags, letter = specifier[0], "d" if specifier[1] == "i" else specifier[1]
    is_whole = field.type == "INT64"
    if field.mode == "REPEATED" or field.type not in _NUMBERS or is_whole != (letter in "doxX"):
        raise ValueError(f"FORMAT: %{letter} cannot show a value of type {field.type}")
    number = _NUMBERS[field.type if letter in "fF" else "FLOAT64" if not is_whole else "INT64"](value)
    if isinstance(number, Decimal):
        number = number.quantize(Decimal(1).scaleb(-int(precision or _PRECISION)), "ROUND_HALF_UP")
    sign = "+" if "+" in flags else " " if " " in flags else ""
    alternate, grouped = "#" if "#" in flags and letter != "o" else "", "," if "'" in flags else ""
    exact = "" if is_whole else f".{precision or _PRECISION}"
    text = format(number, f"{sign}{alternate}{grouped if letter in 'dfFgG' else ''}{exact}{letter}")
    if "#" in flags and letter == "o":
        text = f"0{text}"
    if "-" in flags:
        return text.ljust(width)
    if "0" not in flags or not math.isfinite(number):
        return text.rjust(width)
    lead = text[0] if text[0] in "+- " else ""
    return lead + text[len(lead) :].rjust(width - len(lead), "0")


_NUMBERS: Mapping[str, Callable[[Any], Any]] = {
    "INT64": int,
    "FLOAT64": float,
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,
}


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
    if not literal or field.type in ("INT64", "BOOLEAN"):
        return text
    return _LITERALS[field.type](text) if field.type in _LITERALS else f'{field.type} "{text}"'


def _printed_float(value: Any) -> str:
    number = float(value)
    if not math.isfinite(number):
        return str(number)
    text = float_text(number)
    return f"{text}.0" if text.lstrip("-").isdigit() else text


def _printed_octets(value: Any) -> str:
    return "".join(chr(o) if 32 <= o < 127 and o != 92 else "\\\\" if o == 92 else f"\\x{o:02x}" for o in octets(value))


def _quoted(text: str) -> str:
    quote = "'" if '"' in text and "'" not in text else '"'
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in text)
    return f"{quote}{escaped.replace(quote, chr(92) + quote)}{quote}"


_PRINTED: Mapping[str, Callable[[Any], str]] = {
    "BOOLEAN": write,
    "JSON": lambda value: write(sorted_json(value)),
    "FLOAT64": _printed_float,
    "NUMERIC": number_text,
    "BIGNUMERIC": number_text,
    "BYTES": _printed_octets,
    "TIMESTAMP": clock_text,
    "DATETIME": clock_text,
    "TIME": clock_text,
}
_LITERALS: Mapping[str, Callable[[str], str]] = {
    "STRING": _quoted,
    "JSON": lambda text: f"JSON '{text}'",
    "FLOAT64": lambda text: text if text.strip("-")[0].isdigit() else f'CAST("{text}" AS FLOAT64)',
    "BYTES": lambda text: f'b"{text}"',
}

FORMATS = (Function("bq_format", _format, ("VARCHAR", "VARCHAR[]", "VARCHAR"), "VARCHAR", gives_null=True),)
