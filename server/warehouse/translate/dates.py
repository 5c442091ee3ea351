"""Dates and times made, converted, formatted and parsed: BigQuery's functions, whose types differ from DuckDB's."""

import re

from sqlglot import exp

from server.warehouse.translate.moments import (
    first_day,
    known_zone,
    local_time,
    moment_of,
    require_moment,
    timestamp_text,
    zone_of,
)
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import Rule, Rules, Types, call, cast, invalid, literal, written
from server.warehouse.translate.text_forms import timestamp_of

# The format elements that DuckDB writes and reads as BigQuery does.
_FORMAT = re.compile(r"(?:[^%]|%[YmdHMSyjbBaAIpuwUWGV%])*")


def _date(node: exp.Expr, _types: Types) -> exp.Expr:
    """DATE(x), DATE(timestamp, zone)."""
    value, zone = node.args["this"], zone_of(node)
    return cast(call("TIMEZONE", zone, moment_of(value)) if zone else value.copy(), "DATE")


def _to_date(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE(x), and what FORMAT_DATE formats."""
    kinds = ("DATE",) if isinstance(node.parent, exp.TimeToStr) else ("DATE", "DATETIME", "TIMESTAMP")
    require_moment(node.args["this"], types, written(node), *kinds)
    return cast(node.args["this"].copy(), "DATE")


def _datetime(node: exp.Expr, types: Types) -> exp.Expr:
    """DATETIME(x), DATETIME(timestamp, zone), DATETIME(date, time), and what FORMAT_DATETIME formats."""
    value, other = node.args["this"], node.args.get("expression")
    require_moment(value, types, "DATETIME", "DATE", "DATETIME", "TIMESTAMP")
    if other is None:
        return cast(value.copy(), "TIMESTAMP")
    if types.kind(other) == "TIME":
        return exp.Paren(this=exp.Add(this=cast(value.copy(), "DATE"), expression=other.copy()))
    return call("TIMEZONE", known_zone(other), moment_of(value))


def _time(node: exp.Expr, types: Types) -> exp.Expr:
    """TIME(x), TIME(timestamp, zone), and what FORMAT_TIME formats."""
    value, kind = node.args["this"], types.kind(node.args["this"])
    require_moment(value, types, "TIME", "TIME", "DATETIME", "TIMESTAMP")
    zone = zone_of(node)
    local = call("TIMEZONE", zone or literal("UTC"), value.copy()) if kind == "TIMESTAMP" else value.copy()
    return cast(local, "TIME")


def _timestamp(node: exp.Expr, types: Types) -> exp.Expr:
    """TIMESTAMP(x), TIMESTAMP(x, zone)."""
    value, zone = node.args["this"], zone_of(node)
    if types.kind(value) == "STRING" and not zone:
        return timestamp_of(value)
    return call("TIMEZONE", zone, cast(value.copy(), "TIMESTAMP")) if zone else moment_of(value)


def _now(node: exp.Expr, _types: Types) -> exp.Expr:
    """CURRENT_DATE, CURRENT_DATETIME, CURRENT_TIME, each with an optional zone, UTC without."""
    kinds: dict[type[exp.Expr], str] = {exp.CurrentDate: "DATE", exp.CurrentTime: "TIME"}
    local = call("TIMEZONE", zone_of(node, "this") or literal("UTC"), exp.CurrentTimestamp())
    return cast(local, kinds.get(type(node), "TIMESTAMP"))


def _formatted(node: exp.Expr, types: Types) -> exp.Expr:
    """FORMAT_DATE, FORMAT_DATETIME, FORMAT_TIME, FORMAT_TIMESTAMP (in UTC or in a zone)."""
    pattern, zone = node.args["format"], zone_of(node) or literal("UTC")
    local, offset = local_time(node.args["this"], types.kind(node.args["this"]), zone)
    if isinstance(pattern, exp.Literal | exp.RawString) and _FORMAT.fullmatch(pattern.name):
        return call("STRFTIME", local, literal(pattern.name))
    return call("bq_format_time", pattern.copy(), local, zone, offset)


def _string(node: exp.Expr, types: Types) -> exp.Expr:
    """STRING(timestamp[, zone]), STRING(date), STRING(datetime), STRING(time), STRING(json)."""
    value, kind = node.args["this"], types.kind(node.args["this"])
    if kind == "JSON":
        return call("bq_json_string", cast(value.copy(), "VARCHAR"))
    require_moment(value, types, "STRING", "TIMESTAMP", "DATE", "DATETIME", "TIME", "JSON")
    if kind == "TIMESTAMP":
        return timestamp_text(value, zone_of(node))
    if kind in ("DATETIME", "TIME"):
        return call(f"bq_{kind.lower()}_text", value.copy())
    return cast(value.copy(), "VARCHAR")


def _to_timestamp(node: exp.Expr, types: Types) -> exp.Expr:
    """What FORMAT_TIMESTAMP formats."""
    require_moment(node.args["this"], types, "FORMAT_TIMESTAMP", "TIMESTAMP")
    return moment_of(node.args["this"])


def _parsed(node: exp.Expr, types: Types) -> exp.Expr:
    """PARSE_DATE, PARSE_DATETIME, PARSE_TIME, PARSE_TIMESTAMP."""
    text, pattern, zone = node.args["this"], node.args["format"], zone_of(node) or literal("UTC")
    if (kind := types.kind(text)) not in ("STRING", "NULL"):
        raise invalid(f"{written(node)} needs a text and was given {kind}", node)
    moment = call("bq_parse_time", pattern.copy(), text.copy(), zone)
    kinds: dict[type[exp.Expr], str] = {exp.StrToDate: "DATE", exp.ParseTime: "TIME", exp.ParseDatetime: "TIMESTAMP"}
    if isinstance(node, exp.StrToTime):
        return call("TIMEZONE", literal("UTC"), moment)
    return cast(moment, kinds[type(node)])


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
        require_moment(node.args["this"], types, written(node), "TIMESTAMP")
        micros = call("EPOCH_US", moment_of(node.args["this"]))
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
    require_moment(node.args["this"], types, "UNIX_DATE", "DATE")
    return call("DATE_DIFF", literal("DAY"), first_day(), cast(node.args["this"].copy(), "DATE"))


def _from_unix_date(node: exp.Expr, _types: Types) -> exp.Expr:
    days = cast(node.args["this"].copy(), "INTEGER")
    return cast(exp.Add(this=first_day(), expression=days), "DATE")


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
        exp.TimeToStr: _formatted,
        exp.StrToDate: _parsed,
        exp.StrToTime: _parsed,
        exp.ParseDatetime: _parsed,
        exp.ParseTime: _parsed,
        exp.Time: _time,
        exp.TsOrDsToTime: _time,
        exp.CurrentTime: _now,
        exp.String: _string,
        exp.TimeFromParts: _from_parts("MAKE_TIME", *_CLOCK),
        exp.TimestampFromParts: _from_parts("MAKE_TIMESTAMP", "year", "month", "day", *_CLOCK),
        exp.UnixSeconds: _since_1970(1_000_000),
        exp.UnixMillis: _since_1970(1_000),
        exp.UnixMicros: _since_1970(1),
        exp.UnixToTime: _after_1970,
        exp.UnixDate: _unix_date,
        exp.DateFromUnixDate: _from_unix_date,
    },
    unchanged=(exp.DateFromParts, exp.CurrentTimestamp),
)
