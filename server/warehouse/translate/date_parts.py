"""Parts of dates and times: truncating, EXTRACT, LAST_DAY. BigQuery's weeks start on other days than DuckDB's."""

from sqlglot import exp

from server.warehouse.translate.coercion import is_text
from server.warehouse.translate.moments import (
    TIMESTAMP,
    first_day,
    in_days,
    known_zone,
    moment_of,
    require_moment,
    zone_of,
)
from server.warehouse.translate.rules import Rules, Types, call, cast, invalid, literal, unsupported, written

_UNITS = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "QUARTER", "YEAR", "ISOYEAR")
_WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_CLOCK_UNITS = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR")


def part_of(node: exp.Expr, key: str = "unit") -> tuple[str, int]:
    """The unit, and for weeks by how many days their start lies before Monday's.

    Raises:
        WarehouseError: INVALID_QUERY, UNSUPPORTED_SQL.
    """
    unit = node.args.get(key) or exp.Var(this="DAY")
    if isinstance(unit, exp.WeekStart):
        day = unit.name.upper()
        if day not in _WEEKDAYS:
            raise invalid(f"WEEK({day}) is not a date part; write WEEK(MONDAY) or another day", node)
        return "WEEK", -_WEEKDAYS.index(day) % 7
    name = unit.name.upper()
    if name in ("WEEK", "ISOWEEK"):
        return "WEEK", 0 if name == "ISOWEEK" else 1
    if name not in _UNITS:
        raise unsupported(f"the date part {name}", node)
    return name, 0


def start_of(value: exp.Expr, unit: str, shift: int) -> exp.Expr:
    """Where the unit that a moment lies in begins; the shift is that of `part_of`."""
    if not shift:
        return call("DATE_TRUNC", literal(unit), value.copy())
    moved = exp.Paren(this=exp.Add(this=value.copy(), expression=in_days(shift)))
    return exp.Paren(this=exp.Sub(this=call("DATE_TRUNC", literal(unit), moved), expression=in_days(shift)))


def _trunc(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE_TRUNC, TIMESTAMP_TRUNC, DATETIME_TRUNC; the result has the type of the argument."""
    value, zone = node.args["this"], zone_of(node)
    unit, shift = part_of(node)
    kind = types.kind(value)
    require_moment(value, types, written(node), "DATE", "DATETIME", "TIMESTAMP")
    if kind == "DATE" or (is_text(value) and isinstance(node, exp.DateTrunc)):
        require_days(unit, node)
        return cast(start_of(cast(value.copy(), "DATE"), unit, shift), "DATE")
    if is_text(value):
        value = cast(value.copy(), "TIMESTAMP" if isinstance(node, exp.DatetimeTrunc) else TIMESTAMP)
    if not zone:
        return start_of(value, unit, shift)
    return call("TIMEZONE", zone.copy(), start_of(call("TIMEZONE", zone, value.copy()), unit, shift))


def require_days(unit: str, node: exp.Expr) -> None:
    """Refuse parts of a day, of a DATE. Raises INVALID_QUERY."""
    if unit in _CLOCK_UNITS:
        raise invalid(f"a DATE has no {unit}; use DAY or a greater part, or a DATETIME or TIMESTAMP", node)


def _time_trunc(node: exp.Expr, types: Types) -> exp.Expr:
    require_moment(node.args["this"], types, "TIME_TRUNC", "TIME")
    unit = clock_part_of(node)
    moment = exp.Paren(this=exp.Add(this=first_day(), expression=cast(node.args["this"], "TIME")))
    return cast(call("DATE_TRUNC", literal(unit), moment), "TIME")


def clock_part_of(node: exp.Expr) -> str:
    """The unit, of a TIME. Raises INVALID_QUERY for one that no clock shows."""
    unit, _ = part_of(node)
    if unit not in _CLOCK_UNITS:
        raise invalid(f"a TIME has no {unit}; use HOUR or a smaller part", node)
    return unit


def _extract(node: exp.Expr, types: Types) -> exp.Expr:
    """EXTRACT(part FROM x [AT TIME ZONE zone])."""
    part, value = node.args["this"].name.upper(), node.args["expression"]
    if isinstance(value, exp.AtTimeZone):
        value = call("TIMEZONE", known_zone(value.args["zone"]), moment_of(value.args["this"]))
    elif types.kind(value) == "DATE":
        require_days(part, node)
    elif types.kind(value) == "TIMESTAMP" and part == "TIME":
        value = call("TIMEZONE", literal("UTC"), value.copy())
    value = value.copy()
    if part in ("DATE", "TIME", "DATETIME"):
        return cast(value, "TIMESTAMP" if part == "DATETIME" else part)
    if isinstance(node.args["this"], exp.WeekStart) or part == "WEEK":
        return _week_number(part, value)
    names = {"DAYOFWEEK": "DOW", "DAYOFYEAR": "DOY", "ISOWEEK": "WEEK"}
    if part not in (*_UNITS, *names):
        raise unsupported(f"the date part {part}", node)
    number = call("DATE_PART", literal(names.get(part, part)), value)
    if part == "DAYOFWEEK":
        return exp.Paren(this=exp.Add(this=number, expression=literal(1)))
    seconds = {"MILLISECOND": 1_000, "MICROSECOND": 1_000_000}
    if part in seconds:
        return exp.Paren(this=exp.Mod(this=number, expression=literal(seconds[part])))
    return number


def _week_number(day: str, value: exp.Expr) -> exp.Expr:
    """The week of the year; the days before the first of its weekdays are in week 0."""
    first = 6 if day == "WEEK" else _WEEKDAYS.index(day)
    # How many days the weekday lies behind the first of its week.
    behind = exp.Mod(
        this=exp.Paren(this=exp.Add(this=call("ISODOW", value), expression=literal(6 - first))), expression=literal(7)
    )
    days = exp.Add(this=call("DAYOFYEAR", value.copy()), expression=literal(6))
    weeks = exp.Paren(this=exp.Sub(this=days, expression=exp.Paren(this=behind)))
    return exp.Paren(this=exp.IntDiv(this=weeks, expression=literal(7)))


def _last_day(node: exp.Expr, types: Types) -> exp.Expr:
    """LAST_DAY(x[, part]): the day before the part's next start."""
    require_moment(node.args["this"], types, "LAST_DAY", "DATE", "DATETIME")
    value = cast(node.args["this"].copy(), "DATE")
    if node.args.get("unit") is None:
        return call("LAST_DAY", value)
    unit, shift = part_of(node)
    require_days(unit, node)
    if unit == "ISOYEAR":
        # The ISO year has 364 or 371 days: so many after its start the next one has begun, and no later one.
        inside = exp.Paren(this=exp.Add(this=start_of(value, unit, 0), expression=in_days(371)))
        start = start_of(cast(inside, "DATE"), unit, 0)
    else:
        start = exp.Paren(this=exp.Add(this=start_of(value, unit, shift), expression=call(f"TO_{unit}S", literal(1))))
    return cast(exp.Sub(this=start, expression=in_days(1)), "DATE")


DATE_PARTS = Rules(
    by_type={
        exp.DateTrunc: _trunc,
        exp.TimestampTrunc: _trunc,
        exp.DatetimeTrunc: _trunc,
        exp.Extract: _extract,
        exp.LastDay: _last_day,
        exp.TimeTrunc: _time_trunc,
    },
    unchanged=(exp.WeekStart,),
)
