"""Dates and times: BigQuery's functions, whose result types and week starts differ from DuckDB's."""

import re

from sqlglot import exp

from server.warehouse.port import WarehouseError
from server.warehouse.translate.rules import Rules, Types, call, cast, literal, unsupported

_TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
_UNITS = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "QUARTER", "YEAR", "ISOYEAR")
_WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_FORMAT = re.compile(r"(?:[^%]|%[YmdHMSyjbBaAIpuwUWGVf%])*")


def _days(count: int) -> exp.Expr:
    return call("TO_DAYS", literal(count))


def _zone(node: exp.Expr) -> exp.Expr | None:
    zone = node.args.get("zone")
    return zone.copy() if zone else None


def _moment(node: exp.Expr) -> exp.Expr:
    return cast(node.copy(), _TIMESTAMP)


def _date(node: exp.Expr, _types: Types) -> exp.Expr:
    """DATE(x), DATE(timestamp, zone)."""
    value, zone = node.args["this"], _zone(node)
    return cast(call("TIMEZONE", zone, _moment(value)) if zone else value.copy(), "DATE")


def _to_date(node: exp.Expr, _types: Types) -> exp.Expr:
    return cast(node.args["this"].copy(), "DATE")


def _datetime(node: exp.Expr, _types: Types) -> exp.Expr:
    """DATETIME(x), DATETIME(timestamp, zone)."""
    value, zone = node.args["this"], node.args.get("expression")
    return call("TIMEZONE", zone.copy(), _moment(value)) if zone else cast(value.copy(), "TIMESTAMP")


def _timestamp(node: exp.Expr, _types: Types) -> exp.Expr:
    """TIMESTAMP(x), TIMESTAMP(x, zone)."""
    value, zone = node.args["this"], _zone(node)
    return call("TIMEZONE", zone, cast(value.copy(), "TIMESTAMP")) if zone else _moment(value)


def _now(node: exp.Expr, _types: Types) -> exp.Expr:
    """CURRENT_DATE, CURRENT_DATETIME, each with an optional zone, UTC without."""
    zone = node.args.get("this") or literal("UTC")
    kind = "DATE" if isinstance(node, exp.CurrentDate) else "TIMESTAMP"
    return cast(call("TIMEZONE", zone.copy(), exp.CurrentTimestamp()), kind)


def _unit(node: exp.Expr, key: str = "unit") -> tuple[str, int]:
    """The unit, and for weeks by how many days their start lies before Monday's."""
    unit = node.args.get(key) or exp.Var(this="DAY")
    if isinstance(unit, exp.WeekStart):
        day = unit.name.upper()
        if day not in _WEEKDAYS:
            raise WarehouseError("INVALID_QUERY", f"WEEK({day}) is not a date part; write WEEK(MONDAY) or another day")
        return "WEEK", -_WEEKDAYS.index(day) % 7
    name = unit.name.upper()
    if name in ("WEEK", "ISOWEEK"):
        return "WEEK", 0 if name == "ISOWEEK" else 1
    if name not in _UNITS:
        raise unsupported(f"the date part {name}")
    return name, 0


def _start_of(value: exp.Expr, unit: str, shift: int) -> exp.Expr:
    if not shift:
        return call("DATE_TRUNC", literal(unit), value.copy())
    moved = exp.Paren(this=exp.Add(this=value.copy(), expression=_days(shift)))
    return exp.Paren(this=exp.Sub(this=call("DATE_TRUNC", literal(unit), moved), expression=_days(shift)))


def _trunc(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE_TRUNC, TIMESTAMP_TRUNC, DATETIME_TRUNC; the result has the type of the argument."""
    value, zone = node.args["this"], _zone(node)
    unit, shift = _unit(node)
    if types.kind(value) == "DATE":
        return cast(_start_of(value, unit, shift), "DATE")
    if not zone:
        return _start_of(value, unit, shift)
    return call("TIMEZONE", zone.copy(), _start_of(call("TIMEZONE", zone, value.copy()), unit, shift))


def _extract(node: exp.Expr, _types: Types) -> exp.Expr:
    """EXTRACT(part FROM x [AT TIME ZONE zone])."""
    part, value = node.args["this"].name.upper(), node.args["expression"]
    if isinstance(value, exp.AtTimeZone):
        value = call("TIMEZONE", value.args["zone"].copy(), value.args["this"].copy())
    value = value.copy()
    if part in ("DATE", "TIME"):
        return cast(value, part)
    if isinstance(node.args["this"], exp.WeekStart) or part == "WEEK":
        return _week_number(part, value)
    names = {"DAYOFWEEK": "DOW", "DAYOFYEAR": "DOY", "ISOWEEK": "WEEK"}
    if part not in (*_UNITS, *names):
        raise unsupported(f"the date part {part}")
    number = call("DATE_PART", literal(names.get(part, part)), value)
    if part == "DAYOFWEEK":
        return exp.Paren(this=exp.Add(this=number, expression=literal(1)))
    seconds = {"MILLISECOND": 1_000, "MICROSECOND": 1_000_000}
    if part in seconds:
        return exp.Paren(this=exp.Mod(this=number, expression=literal(seconds[part])))
    return number


def _week_number(day: str, value: exp.Expr) -> exp.Expr:
    codes = {"WEEK": "%U", "SUNDAY": "%U", "MONDAY": "%W"}
    if day not in codes:
        raise unsupported(f"EXTRACT(WEEK({day}))")
    return cast(call("STRFTIME", value, literal(codes[day])), "BIGINT")


def _shift(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE_ADD, TIMESTAMP_SUB and their like; a DATE stays a DATE."""
    value = node.args["this"]
    unit, _ = _unit(node)
    is_date = isinstance(node, exp.DateAdd | exp.DateSub) and types.kind(value) in ("DATE", "STRING")
    step = call(f"TO_{unit}S", cast(node.args["expression"].copy(), "BIGINT"))
    added = isinstance(node, exp.DateAdd | exp.TimestampAdd | exp.DatetimeAdd)
    moved = (exp.Add if added else exp.Sub)(this=exp.Paren(this=_kept(node, value, is_date)), expression=step)
    return cast(moved, "DATE") if is_date else exp.Paren(this=moved)


def _kept(node: exp.Expr, value: exp.Expr, is_date: bool) -> exp.Expr:
    if is_date:
        return cast(value.copy(), "DATE")
    return _moment(value) if isinstance(node, exp.TimestampAdd | exp.TimestampSub) else value.copy()


def _calendar_difference(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE_DIFF, DATETIME_DIFF: how many starts of the unit lie between."""
    end, start = (_as_date(node.args[key], types) for key in ("this", "expression"))
    unit, shift = _unit(node)
    if unit != "WEEK":
        return call("DATE_DIFF", literal(unit), start, end)
    days = call("DATE_DIFF", literal("DAY"), _start_of(start, unit, shift), _start_of(end, unit, shift))
    return exp.Paren(this=exp.IntDiv(this=days, expression=literal(7)))


def _as_date(node: exp.Expr, types: Types) -> exp.Expr:
    return cast(node.copy(), "DATE") if types.kind(node) == "STRING" else node.copy()


def _elapsed(node: exp.Expr, _types: Types) -> exp.Expr:
    """TIMESTAMP_DIFF: whole units that have passed."""
    unit, _ = _unit(node)
    if unit not in ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY"):
        raise WarehouseError("INVALID_QUERY", f"TIMESTAMP_DIFF has no date part {unit}; use DAY or a smaller one")
    return call("DATE_SUB", literal(unit), _moment(node.args["expression"]), _moment(node.args["this"]))


def _format(node: exp.Expr) -> exp.Expr:
    text = node.args["format"]
    if not isinstance(text, exp.Literal | exp.RawString):
        raise unsupported("a date format that is not a literal")
    if not _FORMAT.fullmatch(text.name):
        raise unsupported(
            f"the date format {text.name!r}; %Y %m %d %H %M %S %F %T %j %y %b %B %a %A %I %p are supported"
        )
    return literal(text.name)


def _formatted(node: exp.Expr, _types: Types) -> exp.Expr:
    """FORMAT_DATE, FORMAT_DATETIME, FORMAT_TIMESTAMP (in UTC or in a zone)."""
    zone, value = _zone(node), node.args["this"].copy()
    return call("STRFTIME", call("TIMEZONE", zone, value) if zone else value, _format(node))


def _to_timestamp(node: exp.Expr, _types: Types) -> exp.Expr:
    return _moment(node.args["this"])


def _parsed(node: exp.Expr, _types: Types) -> exp.Expr:
    """PARSE_DATE, PARSE_TIMESTAMP."""
    moment = call("STRPTIME", node.args["this"].copy(), _format(node))
    if isinstance(node, exp.StrToDate):
        return cast(moment, "DATE")
    return call("TIMEZONE", _zone(node) or literal("UTC"), moment)


def _last_day(node: exp.Expr, _types: Types) -> exp.Expr:
    unit = node.args.get("unit")
    if unit and unit.name.upper() != "MONTH":
        raise unsupported("LAST_DAY of anything but a MONTH")
    return call("LAST_DAY", node.args["this"].copy())


def _days_between(node: exp.Expr, _types: Types) -> exp.Expr:
    """GENERATE_DATE_ARRAY(start, end[, INTERVAL 1 unit])."""
    step = node.args.get("step")
    unit = step.args["unit"].name.upper() if step else "DAY"
    count = step.args["this"].copy() if step else literal(1)
    ends = [cast(node.args[key].copy(), "DATE") for key in ("start", "end")]
    return cast(call("GENERATE_SERIES", *ends, call(f"TO_{unit}S", cast(count, "BIGINT"))), "DATE[]")


DATES = Rules(
    by_type={
        exp.Date: _date,
        exp.TsOrDsToDate: _to_date,
        exp.TsOrDsToDatetime: _datetime,
        exp.TsOrDsToTimestamp: _to_timestamp,
        exp.Datetime: _datetime,
        exp.Timestamp: _timestamp,
        exp.CurrentDate: _now,
        exp.CurrentDatetime: _now,
        exp.DateTrunc: _trunc,
        exp.TimestampTrunc: _trunc,
        exp.DatetimeTrunc: _trunc,
        exp.Extract: _extract,
        exp.DateAdd: _shift,
        exp.DateSub: _shift,
        exp.TimestampAdd: _shift,
        exp.TimestampSub: _shift,
        exp.DatetimeAdd: _shift,
        exp.DatetimeSub: _shift,
        exp.DateDiff: _calendar_difference,
        exp.DatetimeDiff: _calendar_difference,
        exp.TimestampDiff: _elapsed,
        exp.TimeToStr: _formatted,
        exp.StrToDate: _parsed,
        exp.StrToTime: _parsed,
        exp.LastDay: _last_day,
        exp.GenerateDateArray: _days_between,
    },
    unchanged=(exp.DateFromParts, exp.CurrentTimestamp, exp.WeekStart),
)
