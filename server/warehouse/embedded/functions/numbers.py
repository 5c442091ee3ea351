"""Exact arithmetic on NUMERIC and BIGNUMERIC, which DuckDB would do in DOUBLE, and shifts of 64 bits."""

import re
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, DecimalException

from server.warehouse.embedded.functions.function import Function

# Twice the digits that a value has, so that only the last rounding decides.
_EXACT = Context(prec=80)
# name, DuckDB's type, digits after the point
_TYPES = (("numeric", "DECIMAL(38, 9)", 9), ("bignumeric", "DECIMAL(38, 18)", 18))
_WORD = 1 << 64


def _divide(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        raise ValueError("division by zero")
    return _EXACT.divide(a, b)


def _whole_division(a: Decimal, b: Decimal) -> Decimal:
    return _divide(a, b).to_integral_value(ROUND_DOWN)


def _power(a: Decimal, b: Decimal) -> Decimal:
    return _EXACT.power(a, b) if b else Decimal(1)


def _logarithm(a: Decimal, base: Decimal) -> Decimal:
    if a <= 0 or base <= 0 or base == 1:
        raise ValueError("LOG needs a number above 0, and a base above 0 that is not 1")
    return _EXACT.divide(_EXACT.ln(a), _EXACT.ln(base))


def _ln(a: Decimal) -> Decimal:
    if a <= 0:
        raise ValueError("the logarithm of a number needs it to be above 0")
    return _EXACT.ln(a)


_UNARY: dict[str, Callable[[Decimal], Decimal]] = {"sqrt": _EXACT.sqrt, "exp": _EXACT.exp, "ln": _ln}
_BINARY: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "multiply": _EXACT.multiply,
    "divide": _divide,
    "div": _whole_division,
    "pow": _power,
    "log": _logarithm,
}


def _fitted(run: Callable[[Decimal, Decimal], Decimal], digits: int) -> Callable[[Decimal, Decimal], Decimal]:
    """`run`, its result rounded half away from zero to the type's digits."""

    def fitted(a: Decimal, b: Decimal) -> Decimal:
        try:
            return _within(run(a, b).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _EXACT), digits)
        except DecimalException:
            raise ValueError("the result is not defined, or out of the range of NUMERIC") from None

    return fitted


def _fitted_of_one(run: Callable[[Decimal], Decimal], digits: int) -> Callable[[Decimal], Decimal]:
    fitted = _fitted(lambda a, _: run(a), digits)
    return lambda a: fitted(a, a)


def _within(value: Decimal, digits: int) -> Decimal:
    if abs(value) >= Decimal(10) ** (38 - digits):
        raise ValueError("the result is out of the range of NUMERIC")
    return value


def _rounded(digits: int) -> Callable[[Decimal, int, bool], Decimal]:
    def rounded(value: Decimal, places: int, to_even: bool) -> Decimal:
        if places >= digits:
            return value
        step = Decimal(1).scaleb(-max(places, -39))
        return _within(value.quantize(step, ROUND_HALF_EVEN if to_even else ROUND_HALF_UP, _EXACT), digits)

    return rounded


def _truncated(digits: int) -> Callable[[Decimal, int], Decimal]:
    def truncated(value: Decimal, places: int) -> Decimal:
        return value if places >= digits else value.quantize(Decimal(1).scaleb(-max(places, -39)), ROUND_DOWN, _EXACT)

    return truncated


def _shifted_left(value: int, bits: int) -> int:
    """Bits that leave the word are lost; the 64th is the sign."""
    word = (value << _bits(bits)) % _WORD
    return word - _WORD if word >= _WORD >> 1 else word


def _shifted_right(value: int, bits: int) -> int:
    """Zeros come in from the left, whatever the sign."""
    return (value % _WORD) >> bits if _bits(bits) else value


def _bits(bits: int) -> int:
    if bits < 0:
        raise ValueError("a shift needs a number of bits that is not below 0")
    return min(bits, 64)


def _hexadecimal(text: str) -> int:
    """`0x1F`, `-0x1F`: CAST of such a text."""
    number = int(text.strip(), 16)
    if not -(_WORD >> 1) <= number < _WORD >> 1:
        raise ValueError(f"bad INT64 value: {text}")
    return number


# A sign before or behind, commas before the point, blanks around each of the three.
_NUMBER = re.compile(r"\s*([+-]?)\s*([0-9,]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?\s*([+-]?)\s*")


def _parsed(digits: int) -> Callable[[str], Decimal]:
    """PARSE_NUMERIC, whose texts may have more in them than those of CAST."""

    def parsed(text: str) -> Decimal:
        found = _NUMBER.fullmatch(text)
        if found is None or (found[1] and found[5]) or not re.search("[0-9]", f"{found[2]}{found[3] or ''}"):
            raise ValueError(f"bad NUMERIC value: {text}")
        number = Decimal(f"{found[2].replace(',', '')}{found[3] or ''}{found[4] or ''}")
        if "-" in (found[1], found[5]):
            number = -number
        try:
            return _within(number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _EXACT), digits)
        except DecimalException:
            raise ValueError(f"bad NUMERIC value: {text}") from None

    return parsed


def _exact() -> tuple[Function, ...]:
    found: list[Function] = []
    for name, kind, digits in _TYPES:
        for word, one in _UNARY.items():
            found.append(Function(f"bq_{word}_{name}", _fitted_of_one(one, digits), (kind,), kind))
        for word, two in _BINARY.items():
            found.append(Function(f"bq_{word}_{name}", _fitted(two, digits), (kind, kind), kind))
        found.append(Function(f"bq_parse_{name}", _parsed(digits), ("VARCHAR",), kind))
        found.append(Function(f"bq_round_{name}", _rounded(digits), (kind, "BIGINT", "BOOLEAN"), kind))
        found.append(Function(f"bq_trunc_{name}", _truncated(digits), (kind, "BIGINT"), kind))
    return tuple(found)


NUMBERS = (
    *_exact(),
    Function("bq_hexadecimal", _hexadecimal, ("VARCHAR",), "BIGINT"),
    Function("bq_shift_left", _shifted_left, ("BIGINT", "BIGINT"), "BIGINT"),
    Function("bq_shift_right", _shifted_right, ("BIGINT", "BIGINT"), "BIGINT"),
)
