"""INTERVAL: literals of several parts, MAKE_INTERVAL, JUSTIFY_*, differences, texts. No result has a column of it.

Source: GoogleSQL's "Interval functions" and "Interval literals". DuckDB keeps months, days and microseconds apart, too.
"""

import re
from decimal import Decimal

from sqlglot import exp

from server.warehouse.translate.numbers import as_kind, number_kind
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import (
    Rule,
    Rules,
    Types,
    arguments,
    call,
    cast,
    invalid,
    literal,
    unsupported,
    written,
)

_PARTS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")
_UNITS = (*_PARTS, "QUARTER", "WEEK", "MILLISECOND", "MICROSECOND")
# How many of what DuckDB counts in are one of each part.
_WEIGHTS = (
    ("months", 12),
    ("months", 1),
    ("days", 1),
    ("micros", 3_600_000_000),
    ("micros", 60_000_000),
    ("micros", 1_000_000),
)
_MADE_OF = {"months": "TO_MONTHS", "days": "TO_DAYS", "micros": "TO_MICROSECONDS"}
# The microseconds of `p.i` beside its months and days.
_MICROS = (
    "(CAST(DATE_PART('hour', p.i) AS BIGINT) * 3600000000 + CAST(DATE_PART('minute', p.i) AS BIGINT) * 60000000 "
    "+ CAST(DATE_PART('microsecond', p.i) AS BIGINT))"
)
_MONTHS = "(CAST(DATE_PART('year', p.i) AS BIGINT) * 12 + CAST(DATE_PART('month', p.i) AS BIGINT))"
_DAYS = "CAST(DATE_PART('day', p.i) AS BIGINT)"
_DAY = 86_400_000_000


def _literal(node: exp.Expr, types: Types) -> exp.Expr:
    """INTERVAL '1-2 3' YEAR TO DAY; a literal of one part stays as it is."""
    unit = node.args.get("unit")
    if not isinstance(unit, exp.IntervalSpan):
        if unit is None or unit.name.upper() not in _UNITS:
            raise unsupported(f"the date part {unit.name.upper()}" if unit else "an INTERVAL without a date part", node)
        return node
    first, last = (part.name.upper() for part in (unit.this, unit.args["expression"]))
    text = node.this.name if isinstance(node.this, exp.Literal) else None
    if text is None or first not in _PARTS or last not in _PARTS or _PARTS.index(first) >= _PARTS.index(last):
        raise invalid(f"an INTERVAL from {first} TO {last} needs a literal text, and its parts in order", node)
    counts = _counts(text, _PARTS.index(first), _PARTS.index(last))
    if counts is None:
        raise invalid(f"{text[:60]!r} is no INTERVAL from {first} TO {last}", node)
    return _made({name: literal(count) for name, count in counts.items()})


def _counts(text: str, first: int, last: int) -> dict[str, int] | None:
    """Months, days and microseconds of `Y-M D H:M:S.F`, of which the parts from first to last are there."""
    shape = ""
    for place in range(first, last + 1):
        before = "" if place == first else "-" if place == 1 else ":" if place > 3 else r"\s+"
        sign = "([+-]?)" if place == first or place in (2, 3) else ""
        shape += before + sign + (r"(\d+(?:\.\d{0,9})?)" if place == 5 else r"(\d+)")
    found = re.fullmatch(rf"\s*{shape}\s*", text)
    if found is None:
        return None
    totals = {"months": 0, "days": 0, "micros": 0}
    factor, weights = 1, iter(_WEIGHTS[first:])
    for part in found.groups():
        if part in ("", "+", "-"):
            factor = -1 if part == "-" else 1
            continue
        name, weight = next(weights)
        totals[name] += factor * int(Decimal(part) * weight)
    return totals


def _made(counts: dict[str, exp.Expr]) -> exp.Expr:
    parts = [call(_MADE_OF[name], cast(count, "BIGINT")) for name, count in counts.items()]
    first, *others = parts
    for part in others:
        first = exp.Add(this=first, expression=part)
    return exp.Paren(this=first)


def _make(node: exp.Expr, types: Types) -> exp.Expr:
    """MAKE_INTERVAL(year, month, day, hour, minute, second), each by its place or its name."""
    given: dict[str, exp.Expr] = {}
    for key in _PARTS:
        if (value := node.args.get(key.lower())) is not None:
            name = value.name.upper() if isinstance(value, exp.Kwarg) else key
            given[name] = value.args["expression"] if isinstance(value, exp.Kwarg) else value
    number_kind(list(given.values()) or [literal(0)], types, "MAKE_INTERVAL", only=("INT64",))
    totals: dict[str, exp.Expr] = {name: literal(0) for name in _MADE_OF}
    for part, (name, weight) in zip(_PARTS, _WEIGHTS, strict=True):
        if part in given:
            product = exp.Mul(this=exp.Paren(this=as_kind(given[part], "INT64")), expression=literal(weight))
            totals[name] = exp.Add(this=totals[name], expression=product)
    return _made({name: exp.Paren(this=total) for name, total in totals.items()})


def _justify(template: str) -> Rule:
    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        if (kind := types.kind(node.this)) not in ("INTERVAL", "NULL"):
            raise invalid(f"{written(node)} needs an INTERVAL and was given {kind}", node)
        return once(template, i=node.this)

    return rule


def _template(months: str, days: str, micros: str) -> str:
    parts = (f"TO_MONTHS(CAST({months} AS BIGINT))", f"TO_DAYS(CAST({days} AS BIGINT))", f"TO_MICROSECONDS({micros})")
    return " + ".join(parts)


_ALL_DAYS = f"({_DAYS} + {_MICROS} // {_DAY})"
_OF_DAYS = _template(f"{_MONTHS} + {_DAYS} // 30", f"{_DAYS} % 30", _MICROS)
_OF_HOURS = _template(_MONTHS, _ALL_DAYS, f"{_MICROS} % {_DAY}")
_OF_BOTH = _template(f"{_MONTHS} + {_ALL_DAYS} // 30", f"{_ALL_DAYS} % 30", f"{_MICROS} % {_DAY}")


def interval_text(value: exp.Expr) -> exp.Expr:
    """An INTERVAL as CAST writes it: `1-2 3 4:5:6.789`."""
    return once(f"BQ_INTERVAL_TEXT({_MONTHS}, {_DAYS}, {_MICROS})", i=value)


def difference(node: exp.Expr, kind: str) -> exp.Expr:
    """What lies between two values of one type: days between dates, hours and less between times."""
    left, right = node.this.copy(), node.args["expression"].copy()
    if kind == "DATE":
        return call("TO_DAYS", cast(exp.Sub(this=left, expression=right), "INTEGER"))
    return call("TO_MICROSECONDS", call("DATE_DIFF", literal("MICROSECOND"), right, left))


def moved_moment(moment: exp.Expr, interval: exp.Expr, operator: str) -> exp.Expr:
    """A TIMESTAMP, moved on (`+`) or back (`-`) by an INTERVAL of which only its value tells whether it has months."""
    failure = failing("a TIMESTAMP is not moved by an INTERVAL with months", "TIMESTAMP WITH TIME ZONE")
    return once(f"CASE WHEN {_MONTHS} <> 0 THEN {failure} ELSE p.t {operator} p.i END", t=moment, i=interval)


def _bucket(kind: str, duckdb_type: str) -> Rule:
    """DATE_BUCKET and its like: the start of the interval that a time lies in, counted from an origin."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        value, width, *origin = arguments(node, 2, 3)
        if (given := types.kind(width)) != "INTERVAL":
            raise invalid(f"{kind}_BUCKET needs an INTERVAL and was given {given}", node)
        start = origin[0] if origin else literal("1950-01-01")
        for moment in (value, start):
            if (given := types.kind(moment)) not in (kind, "NULL") and not isinstance(moment, exp.Literal):
                raise invalid(f"{kind}_BUCKET needs a {kind} and was given {given}; use CAST", node)
        bucket = call("TIME_BUCKET", width.copy(), cast(value.copy(), duckdb_type), cast(start.copy(), duckdb_type))
        return cast(bucket, duckdb_type)

    return rule


INTERVALS = Rules(
    by_type={
        exp.Interval: _literal,
        exp.MakeInterval: _make,
        exp.JustifyDays: _justify(_OF_DAYS),
        exp.JustifyHours: _justify(_OF_HOURS),
        exp.JustifyInterval: _justify(_OF_BOTH),
    },
    by_name={
        "DATE_BUCKET": _bucket("DATE", "DATE"),
        "DATETIME_BUCKET": _bucket("DATETIME", "TIMESTAMP"),
        "TIMESTAMP_BUCKET": _bucket("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    },
    unchanged=(exp.IntervalSpan,),
)
