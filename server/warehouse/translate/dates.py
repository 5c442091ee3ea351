"""Dates and times: BigQuery's functions, whose result types and week starts differ from DuckDB's."""

import re

import pytz
from sqlglot import exp

from server.warehouse.port import WarehouseError
from server.warehouse.translate.coercion import is_text
from server.warehouse.translate.intervals import difference, moved_moment
from server.warehouse.translate.numbers import ARITHMETIC
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import Rule, Rules, Types, call, cast, invalid, literal, unsupported, written
from server.warehouse.translate.text_forms import timestamp_of

_TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
_UNITS = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "QUARTER", "YEAR", "ISOYEAR")
_WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_CLOCK_UNITS = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR")
_CALENDAR_UNITS = ("MONTH", "QUARTER", "YEAR")
_OFFSET = re.compile(r"[+-](\d{1,2})(?::?(\d{2}))?")
_GMT = re.compile(r"GMT[+-]\d{2}:\d{2}")
"""What an offset is to DuckDB."""
# The format elements that DuckDB writes and reads as BigQuery does.
_FORMAT = re.compile(r"(?:[^%]|%[YmdHMSyjbBaAIpuwUWGV%])*")


def _first_day() -> exp.Expr:
    return cast(literal("1970-01-01"), "DATE")


def _days(count: int) -> exp.Expr:
    return call("TO_DAYS", literal(count))


def _zone(node: exp.Expr, key: str = "zone") -> exp.Expr | None:
    zone = node.args.get(key)
    return _known_zone(zone) if zone else None


def _known_zone(zone: exp.Expr) -> exp.Expr:
    """A zone by name, or by its distance from UTC. Raises INVALID_QUERY for a literal that is neither."""
    if not isinstance(zone, exp.Literal) or not zone.is_string:
        return zone.copy()
    if offset := _OFFSET.fullmatch(zone.name):
        return literal(f"GMT{zone.name[0]}{int(offset[1]):02}:{offset[2] or '00'}")
    if zone.name not in pytz.all_timezones_set and not _GMT.fullmatch(zone.name):
        raise invalid(f"{zone.name!r} is no time zone; write one like 'America/Los_Angeles' or '+05:30'", zone)
    return zone.copy()


def _require(value: exp.Expr, types: Types, what: str, *kinds: str) -> None:
    """Refuse values of other types; a literal text becomes what is needed."""
    kind = types.kind(value)
    if kind not in (*kinds, "NULL") and not is_text(value):
        raise invalid(f"{what} needs a {' or '.join(kinds)} and was given {kind}; use CAST", value)


def _moment(node: exp.Expr) -> exp.Expr:
    return timestamp_of(node) if is_text(node) else cast(node.copy(), _TIMESTAMP)


def _date(node: exp.Expr, _types: Types) -> exp.Expr:
    """DATE(x), DATE(timestamp, zone)."""
    value, zone = node.args["this"], _zone(node)
    return cast(call("TIMEZONE", zone, _moment(value)) if zone else value.copy(), "DATE")


def _to_date(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE(x), and what FORMAT_DATE formats."""
    kinds = ("DATE",) if isinstance(node.parent, exp.TimeToStr) else ("DATE", "DATETIME", "TIMESTAMP")
    _require(node.args["this"], types, written(node), *kinds)
    return cast(node.args["this"].copy(), "DATE")


def _datetime(node: exp.Expr, types: Types) -> exp.Expr:
    """DATETIME(x), DATETIME(timestamp, zone), DATETIME(date, time), and what FORMAT_DATETIME formats."""
    value, other = node.args["this"], node.args.get("expression")
    _require(value, types, "DATETIME", "DATE", "DATETIME", "TIMESTAMP")
    if other is None:
        return cast(value.copy(), "TIMESTAMP")
    if types.kind(other) == "TIME":
        return exp.Paren(this=exp.Add(this=cast(value.copy(), "DATE"), expression=other.copy()))
    return call("TIMEZONE", _known_zone(other), _moment(value))


def _time(node: exp.Expr, types: Types) -> exp.Expr:
    """TIME(x), TIME(timestamp, zone), and what FORMAT_TIME formats."""
    value, kind = node.args["this"], types.kind(node.args["this"])
    _require(value, types, "TIME", "TIME", "DATETIME", "TIMESTAMP")
    zone = _zone(node)
    local = call("TIMEZONE", zone or literal("UTC"), value.copy()) if kind == "TIMESTAMP" else value.copy()
    return cast(local, "TIME")


def _timestamp(node: exp.Expr, types: Types) -> exp.Expr:
    """TIMESTAMP(x), TIMESTAMP(x, zone)."""
    value, zone = node.args["this"], _zone(node)
    if types.kind(value) == "STRING" and not zone:
        return timestamp_of(value)
    return call("TIMEZONE", zone, cast(value.copy(), "TIMESTAMP")) if zone else _moment(value)


def _now(node: exp.Expr, _types: Types) -> exp.Expr:
    """CURRENT_DATE, CURRENT_DATETIME, CURRENT_TIME, each with an optional zone, UTC without."""
    kinds: dict[type[exp.Expr], str] = {exp.CurrentDate: "DATE", exp.CurrentTime: "TIME"}
    local = call("TIMEZONE", _zone(node, "this") or literal("UTC"), exp.CurrentTimestamp())
    return cast(local, kinds.get(type(node), "TIMESTAMP"))


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
    kind = types.kind(value)
    _require(value, types, written(node), "DATE", "DATETIME", "TIMESTAMP")
    if kind == "DATE" or (is_text(value) and isinstance(node, exp.DateTrunc)):
        _require_days(unit, node)
        return cast(_start_of(cast(value.copy(), "DATE"), unit, shift), "DATE")
    if is_text(value):
        value = cast(value.copy(), "TIMESTAMP" if isinstance(node, exp.DatetimeTrunc) else _TIMESTAMP)
    if not zone:
        return _start_of(value, unit, shift)
    return call("TIMEZONE", zone.copy(), _start_of(call("TIMEZONE", zone, value.copy()), unit, shift))


def _require_days(unit: str, node: exp.Expr) -> None:
    if unit in _CLOCK_UNITS:
        raise invalid(f"a DATE has no {unit}; use DAY or a greater part, or a DATETIME or TIMESTAMP", node)


def _time_trunc(node: exp.Expr, types: Types) -> exp.Expr:
    _require(node.args["this"], types, "TIME_TRUNC", "TIME")
    unit = _clock_unit(node)
    moment = exp.Paren(this=exp.Add(this=_first_day(), expression=cast(node.args["this"], "TIME")))
    return cast(call("DATE_TRUNC", literal(unit), moment), "TIME")


def _clock_unit(node: exp.Expr) -> str:
    unit, _ = _unit(node)
    if unit not in _CLOCK_UNITS:
        raise invalid(f"a TIME has no {unit}; use HOUR or a smaller part", node)
    return unit


def _extract(node: exp.Expr, types: Types) -> exp.Expr:
    """EXTRACT(part FROM x [AT TIME ZONE zone])."""
    part, value = node.args["this"].name.upper(), node.args["expression"]
    if isinstance(value, exp.AtTimeZone):
        value = call("TIMEZONE", _known_zone(value.args["zone"]), _moment(value.args["this"]))
    elif types.kind(value) == "DATE":
        _require_days(part, node)
    elif types.kind(value) == "TIMESTAMP" and part == "TIME":
        value = call("TIMEZONE", literal("UTC"), value.copy())
    value = value.copy()
    if part in ("DATE", "TIME", "DATETIME"):
        return cast(value, "TIMESTAMP" if part == "DATETIME" else part)
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
    """The week of the year; the days before the first of its weekdays are in week 0."""
    first = 6 if day == "WEEK" else _WEEKDAYS.index(day)
    # How many days the weekday lies behind the first of its week.
    behind = exp.Mod(
        this=exp.Paren(this=exp.Add(this=call("ISODOW", value), expression=literal(6 - first))), expression=literal(7)
    )
    days = exp.Add(this=call("DAYOFYEAR", value.copy()), expression=literal(6))
    weeks = exp.Paren(this=exp.Sub(this=days, expression=exp.Paren(this=behind)))
    return exp.Paren(this=exp.IntDiv(this=weeks, expression=literal(7)))


def _shift(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE_ADD, TIMESTAMP_SUB and their like; a DATE stays a DATE."""
    value = node.args["this"]
    unit, _ = _unit(node)
    if isinstance(node, exp.TimestampAdd | exp.TimestampSub):
        _require(value, types, written(node), "TIMESTAMP")
        _require_elapsed(unit, node)
    else:
        _require(value, types, written(node), "DATE", "DATETIME", "TIMESTAMP")
    is_date = isinstance(node, exp.DateAdd | exp.DateSub) and types.kind(value) in ("DATE", "STRING")
    if is_date:
        _require_days(unit, node)
    if types.kind(node.args["expression"]) not in ("INT64", "STRING"):
        raise invalid(f"{written(node)} needs a whole number of {unit}s", node)
    step = call(f"TO_{unit}S", cast(node.args["expression"].copy(), "BIGINT"))
    added = isinstance(node, exp.DateAdd | exp.TimestampAdd | exp.DatetimeAdd)
    moved = (exp.Add if added else exp.Sub)(this=exp.Paren(this=_kept(node, value, is_date)), expression=step)
    return cast(moved, "DATE") if is_date else exp.Paren(this=moved)


def _require_elapsed(unit: str, node: exp.Expr) -> None:
    if unit in _CALENDAR_UNITS or unit == "WEEK":
        raise invalid(f"a TIMESTAMP is not moved by a {unit}, which differs in length; use DAY or a smaller part", node)


def _time_shift(node: exp.Expr, types: Types) -> exp.Expr:
    """TIME_ADD and TIME_SUB go round the clock."""
    _require(node.args["this"], types, written(node), "TIME")
    step = call(f"TO_{_clock_unit(node)}S", cast(node.args["expression"].copy(), "BIGINT"))
    operator = exp.Add if isinstance(node, exp.TimeAdd) else exp.Sub
    return cast(operator(this=cast(node.args["this"].copy(), "TIME"), expression=step), "TIME")


def _time_difference(node: exp.Expr, types: Types) -> exp.Expr:
    for key in ("this", "expression"):
        _require(node.args[key], types, "TIME_DIFF", "TIME")
    ends = (cast(node.args[key].copy(), "TIME") for key in ("expression", "this"))
    return call("DATE_DIFF", literal(_clock_unit(node)), *ends)


def _sum(node: exp.Expr, types: Types) -> exp.Expr:
    """`date + 1`, `time + INTERVAL ...`; numbers are another module's."""
    left, right = node.args["this"], node.args["expression"]
    kinds = types.kind(left), types.kind(right)
    if "INTERVAL" in kinds and kinds != ("INTERVAL", "INTERVAL"):
        return _moved(node, kinds)
    if "DATE" in kinds and "INT64" in kinds and (isinstance(node, exp.Add) or kinds[0] == "DATE"):
        days = "expression" if kinds[0] == "DATE" else "this"
        node.set(days, cast(node.args[days].copy(), "INTEGER"))
        return exp.Paren(this=node.copy())
    if not {"DATE", "DATETIME", "TIMESTAMP", "TIME", "INTERVAL"} & set(kinds):
        return ARITHMETIC.by_type[type(node)](node, types)
    if isinstance(node, exp.Sub) and kinds[0] == kinds[1] != "INTERVAL":
        return difference(node, kinds[0])
    if kinds == ("INTERVAL", "INTERVAL"):
        return exp.Paren(this=node.copy())
    raise invalid(f"cannot calculate with {kinds[0]} and {kinds[1]}", node)


def _moved(node: exp.Expr, kinds: tuple[str, str]) -> exp.Expr:
    if not {"DATE", "DATETIME", "TIMESTAMP", "TIME"} & set(kinds):
        raise invalid(f"cannot calculate with {kinds[0]} and {kinds[1]}", node)
    if "TIMESTAMP" not in kinds:
        return exp.Paren(this=node.copy())
    moment, interval = node.this, node.args["expression"]
    if kinds[0] == "INTERVAL":
        moment, interval = interval, moment
    if not isinstance(interval, exp.Interval):
        return moved_moment(moment, interval, "-" if isinstance(node, exp.Sub) else "+")
    if (unit := interval.text("unit").upper()) in _CALENDAR_UNITS:
        _require_elapsed(unit, node)
    return exp.Paren(this=node.copy())


def _kept(node: exp.Expr, value: exp.Expr, is_date: bool) -> exp.Expr:
    if is_date:
        return cast(value.copy(), "DATE")
    if isinstance(node, exp.DatetimeAdd | exp.DatetimeSub):
        return cast(value.copy(), "TIMESTAMP")
    return _moment(value) if isinstance(node, exp.TimestampAdd | exp.TimestampSub) else value.copy()


def _calendar_difference(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE_DIFF, DATETIME_DIFF: how many starts of the unit lie between."""
    values = [node.args[key] for key in ("this", "expression")]
    for value in values:
        _require(value, types, written(node), "DATE", "DATETIME", "TIMESTAMP")
    kinds = {types.kind(value) for value in values if not is_text(value)}
    if "TIMESTAMP" in kinds and kinds & {"DATE", "DATETIME"}:
        raise invalid(f"{written(node)} needs two values of one type, not {' and '.join(sorted(kinds))}", node)
    if kinds == {"TIMESTAMP"}:
        return _elapsed(node, types)
    wanted = "TIMESTAMP" if isinstance(node, exp.DatetimeDiff) or "DATETIME" in kinds else "DATE"
    end, start = (cast(value.copy(), wanted) for value in values)
    unit, shift = _unit(node)
    if wanted == "DATE":
        _require_days(unit, node)
    if unit != "WEEK":
        return call("DATE_DIFF", literal(unit), start, end)
    days = call("DATE_DIFF", literal("DAY"), _start_of(start, unit, shift), _start_of(end, unit, shift))
    return exp.Paren(this=exp.IntDiv(this=days, expression=literal(7)))


def _elapsed(node: exp.Expr, types: Types) -> exp.Expr:
    """TIMESTAMP_DIFF: whole units that have passed."""
    for key in ("this", "expression"):
        _require(node.args[key], types, written(node), "TIMESTAMP")
    unit, _ = _unit(node)
    if unit not in ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY"):
        raise WarehouseError("INVALID_QUERY", f"TIMESTAMP_DIFF has no date part {unit}; use DAY or a smaller one")
    return call("DATE_SUB", literal(unit), _moment(node.args["expression"]), _moment(node.args["this"]))


def _formatted(node: exp.Expr, types: Types) -> exp.Expr:
    """FORMAT_DATE, FORMAT_DATETIME, FORMAT_TIME, FORMAT_TIMESTAMP (in UTC or in a zone)."""
    pattern, zone = node.args["format"], _zone(node) or literal("UTC")
    local, offset = local_time(node.args["this"], types.kind(node.args["this"]), zone)
    if isinstance(pattern, exp.Literal | exp.RawString) and _FORMAT.fullmatch(pattern.name):
        return call("STRFTIME", local, literal(pattern.name))
    return call("bq_format_time", pattern.copy(), local, zone, offset)


def local_time(value: exp.Expr, kind: str, zone: exp.Expr | None) -> tuple[exp.Expr, exp.Expr]:
    """A value of that type as the time on the clocks of a zone, and how many seconds these are before UTC's."""
    if kind == "TIMESTAMP":
        local = cast(call("TIMEZONE", _known_zone(zone) if zone else literal("UTC"), value.copy()), "TIMESTAMP")
        return local, _seconds_before_utc(value, local)
    if kind == "TIME":
        value = exp.Paren(this=exp.Add(this=_first_day(), expression=value.copy()))
    return cast(value.copy(), "TIMESTAMP"), literal(0)


def _seconds_before_utc(moment: exp.Expr, local: exp.Expr) -> exp.Expr:
    return call("DATE_DIFF", literal("SECOND"), call("TIMEZONE", literal("UTC"), moment.copy()), local.copy())


def timestamp_text(value: exp.Expr, zone: exp.Expr | None = None) -> exp.Expr:
    """A TIMESTAMP as CAST and STRING write it: `2026-01-02 03:04:05.120+00`."""
    local = call("TIMEZONE", zone or literal("UTC"), value.copy())
    return call("bq_timestamp_text", local, _seconds_before_utc(value, local))


def _string(node: exp.Expr, types: Types) -> exp.Expr:
    """STRING(timestamp[, zone]), STRING(date), STRING(datetime), STRING(time), STRING(json)."""
    value, kind = node.args["this"], types.kind(node.args["this"])
    if kind == "JSON":
        return call("bq_json_string", cast(value.copy(), "VARCHAR"))
    _require(value, types, "STRING", "TIMESTAMP", "DATE", "DATETIME", "TIME", "JSON")
    if kind == "TIMESTAMP":
        return timestamp_text(value, _zone(node))
    if kind in ("DATETIME", "TIME"):
        return call(f"bq_{kind.lower()}_text", value.copy())
    return cast(value.copy(), "VARCHAR")


def _to_timestamp(node: exp.Expr, types: Types) -> exp.Expr:
    """What FORMAT_TIMESTAMP formats."""
    _require(node.args["this"], types, "FORMAT_TIMESTAMP", "TIMESTAMP")
    return _moment(node.args["this"])


def _parsed(node: exp.Expr, types: Types) -> exp.Expr:
    """PARSE_DATE, PARSE_DATETIME, PARSE_TIME, PARSE_TIMESTAMP."""
    text, pattern, zone = node.args["this"], node.args["format"], _zone(node) or literal("UTC")
    if (kind := types.kind(text)) not in ("STRING", "NULL"):
        raise invalid(f"{written(node)} needs a text and was given {kind}", node)
    moment = call("bq_parse_time", pattern.copy(), text.copy(), zone)
    kinds: dict[type[exp.Expr], str] = {exp.StrToDate: "DATE", exp.ParseTime: "TIME", exp.ParseDatetime: "TIMESTAMP"}
    if isinstance(node, exp.StrToTime):
        return call("TIMEZONE", literal("UTC"), moment)
    return cast(moment, kinds[type(node)])


def _last_day(node: exp.Expr, types: Types) -> exp.Expr:
    """LAST_DAY(x[, part]): the day before the part's next start."""
    _require(node.args["this"], types, "LAST_DAY", "DATE", "DATETIME")
    value = cast(node.args["this"].copy(), "DATE")
    if node.args.get("unit") is None:
        return call("LAST_DAY", value)
    unit, shift = _unit(node)
    _require_days(unit, node)
    if unit == "ISOYEAR":
        # The ISO year has 364 or 371 days: so many after its start the next one has begun, and no later one.
        inside = exp.Paren(this=exp.Add(this=_start_of(value, unit, 0), expression=_days(371)))
        start = _start_of(cast(inside, "DATE"), unit, 0)
    else:
        start = exp.Paren(this=exp.Add(this=_start_of(value, unit, shift), expression=call(f"TO_{unit}S", literal(1))))
    return cast(exp.Sub(this=start, expression=_days(1)), "DATE")


_CLOCK = ("hour", "min", "sec")


def _from_parts(name: str, *keys: str) -> Rule:
    """TIME(h, m, s) and DATETIME(y, m, d, h, m, s)."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        parts = [node.args[key] for key in keys]
        if wrong := [kind for part in parts if (kind := types.kind(part)) not in ("INT64", "NULL")]:
            raise invalid(f"{written(node)} needs whole numbers and was given {wrong[0]}", node)
        values = {f"v{place}": cast(part.copy(), "BIGINT") for place, part in enumerate(parts)}
        *others, seconds = (f"p.{key}" for key in values)
        made = f"{name}({', '.join(others)}, CAST({seconds} AS DOUBLE))"
        failure = failing(
            f"{written(node)} needs an hour below 24", "TIME" if len(parts) == len(_CLOCK) else "TIMESTAMP"
        )
        return once(f"CASE WHEN {others[-2]} = 24 THEN {failure} ELSE {made} END", **values)

    return rule


def _floor_rest(value: exp.Expr, divisor: int) -> exp.Expr:
    """What is left over when the value is divided and rounded down; not below 0."""
    rest = exp.Paren(this=exp.Mod(this=value.copy(), expression=literal(divisor)))
    positive = exp.Paren(this=exp.Add(this=rest, expression=literal(divisor)))
    return exp.Paren(this=exp.Mod(this=positive, expression=literal(divisor)))


def _since_1970(divisor: int) -> Rule:
    """UNIX_SECONDS and its like: whole units, rounded down."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        _require(node.args["this"], types, written(node), "TIMESTAMP")
        micros = call("EPOCH_US", _moment(node.args["this"]))
        past = exp.Paren(this=exp.Sub(this=micros, expression=_floor_rest(micros, divisor)))
        return micros if divisor == 1 else exp.Paren(this=exp.IntDiv(this=past, expression=literal(divisor)))

    return rule


def _after_1970(node: exp.Expr, types: Types) -> exp.Expr:
    """TIMESTAMP_SECONDS, TIMESTAMP_MILLIS, TIMESTAMP_MICROS."""
    scale = node.args.get("scale")
    factor = 10 ** (6 - (int(scale.name) if scale is not None else 0))
    if (kind := types.kind(node.args["this"])) not in ("INT64", "NULL"):
        raise invalid(f"{written(node)} needs a whole number and was given {kind}", node)
    micros = exp.Mul(this=cast(node.args["this"].copy(), "BIGINT"), expression=literal(factor))
    return call("TIMEZONE", literal("UTC"), call("MAKE_TIMESTAMP", exp.Paren(this=micros)))


def _unix_date(node: exp.Expr, types: Types) -> exp.Expr:
    _require(node.args["this"], types, "UNIX_DATE", "DATE")
    return call("DATE_DIFF", literal("DAY"), _first_day(), cast(node.args["this"].copy(), "DATE"))


def _from_unix_date(node: exp.Expr, _types: Types) -> exp.Expr:
    days = cast(node.args["this"].copy(), "INTEGER")
    return cast(exp.Add(this=_first_day(), expression=days), "DATE")


def _instants_between(node: exp.Expr, types: Types) -> exp.Expr:
    """GENERATE_TIMESTAMP_ARRAY(start, end, INTERVAL n unit)."""
    step = node.args["step"]
    unit = _step_unit(node, step)
    ends = []
    for key in ("start", "end"):
        _require(node.args[key], types, "GENERATE_TIMESTAMP_ARRAY", "TIMESTAMP")
        ends.append(_moment(node.args[key]))
    _require_elapsed(unit, node)
    return call("GENERATE_SERIES", *ends, step.copy())


def _step_unit(node: exp.Expr, step: exp.Expr) -> str:
    if not isinstance(step, exp.Interval):
        raise unsupported(f"{written(node)} by other steps than INTERVAL n part", node)
    return step.text("unit").upper()


def _days_between(node: exp.Expr, _types: Types) -> exp.Expr:
    """GENERATE_DATE_ARRAY(start, end[, INTERVAL 1 unit])."""
    step = node.args.get("step")
    unit = _step_unit(node, step) if step else "DAY"
    count = step.args["this"].copy() if step else literal(1)
    ends = {name: cast(node.args[key].copy(), "DATE") for name, key in (("a", "start"), ("b", "end"))}
    zero = failing("the step of GENERATE_DATE_ARRAY is zero", "DATE[]")
    series = f"CAST(GENERATE_SERIES(p.a, p.b, TO_{unit}S(p.n)) AS DATE[])"
    return once(f"CASE WHEN p.n = 0 THEN {zero} ELSE {series} END", n=cast(count, "BIGINT"), **ends)


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
        exp.ParseDatetime: _parsed,
        exp.ParseTime: _parsed,
        exp.LastDay: _last_day,
        exp.Add: _sum,
        exp.Sub: _sum,
        exp.Time: _time,
        exp.TsOrDsToTime: _time,
        exp.CurrentTime: _now,
        exp.TimeAdd: _time_shift,
        exp.TimeSub: _time_shift,
        exp.TimeDiff: _time_difference,
        exp.TimeTrunc: _time_trunc,
        exp.String: _string,
        exp.TimeFromParts: _from_parts("MAKE_TIME", *_CLOCK),
        exp.TimestampFromParts: _from_parts("MAKE_TIMESTAMP", "year", "month", "day", *_CLOCK),
        exp.UnixSeconds: _since_1970(1_000_000),
        exp.UnixMillis: _since_1970(1_000),
        exp.UnixMicros: _since_1970(1),
        exp.UnixToTime: _after_1970,
        exp.UnixDate: _unix_date,
        exp.DateFromUnixDate: _from_unix_date,
        exp.GenerateTimestampArray: _instants_between,
        exp.GenerateDateArray: _days_between,
    },
    unchanged=(exp.DateFromParts, exp.CurrentTimestamp, exp.WeekStart),
)
