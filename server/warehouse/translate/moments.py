"""Moments: dates and times as TIMESTAMPs, the zones whose clocks tell them, the types that functions of them take."""

import re

import pytz
from sqlglot import exp

from server.warehouse.translate.coercion import is_text
from server.warehouse.translate.rules import Types, call, cast, invalid, literal
from server.warehouse.translate.text_forms import timestamp_of

TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
_OFFSET = re.compile(r"[+-](\d{1,2})(?::?(\d{2}))?")
_GMT = re.compile(r"GMT[+-]\d{2}:\d{2}")
"""What an offset is to DuckDB."""


def first_day() -> exp.Expr:
    """The DATE that UNIX times begin with."""
    return cast(literal("1970-01-01"), "DATE")


def in_days(count: int) -> exp.Expr:
    """An INTERVAL of so many days."""
    return call("TO_DAYS", literal(count))


def zone_of(node: exp.Expr, key: str = "zone") -> exp.Expr | None:
    """The zone that a function was given. Raises INVALID_QUERY for one that there is not."""
    zone = node.args.get(key)
    return known_zone(zone) if zone else None


def known_zone(zone: exp.Expr) -> exp.Expr:
    """A zone by name, or by its distance from UTC. Raises INVALID_QUERY for a literal that is neither."""
    if not isinstance(zone, exp.Literal) or not zone.is_string:
        return zone.copy()
    if offset := _OFFSET.fullmatch(zone.name):
        return literal(f"GMT{zone.name[0]}{int(offset[1]):02}:{offset[2] or '00'}")
    if zone.name not in pytz.all_timezones_set and not _GMT.fullmatch(zone.name):
        raise invalid(f"{zone.name!r} is no time zone; write one like 'America/Los_Angeles' or '+05:30'", zone)
    return zone.copy()


def require_moment(value: exp.Expr, types: Types, what: str, *kinds: str) -> None:
    """Refuse values of other types; a literal text becomes what is needed. Raises INVALID_QUERY."""
    kind = types.kind(value)
    if kind not in (*kinds, "NULL") and not is_text(value):
        raise invalid(f"{what} needs a {' or '.join(kinds)} and was given {kind}; use CAST", value)


def moment_of(node: exp.Expr) -> exp.Expr:
    """A value as a TIMESTAMP."""
    return timestamp_of(node) if is_text(node) else cast(node.copy(), TIMESTAMP)


def local_time(value: exp.Expr, kind: str, zone: exp.Expr | None) -> tuple[exp.Expr, exp.Expr]:
    """A value of that type as the time on the clocks of a zone, and how many seconds these are before UTC's."""
    if kind == "TIMESTAMP":
        local = cast(call("TIMEZONE", known_zone(zone) if zone else literal("UTC"), value.copy()), "TIMESTAMP")
        return local, _seconds_before_utc(value, local)
    if kind == "TIME":
        value = exp.Paren(this=exp.Add(this=first_day(), expression=value.copy()))
    return cast(value.copy(), "TIMESTAMP"), literal(0)


def _seconds_before_utc(moment: exp.Expr, local: exp.Expr) -> exp.Expr:
    return call("DATE_DIFF", literal("SECOND"), call("TIMEZONE", literal("UTC"), moment.copy()), local.copy())


def timestamp_text(value: exp.Expr, zone: exp.Expr | None = None) -> exp.Expr:
    """A TIMESTAMP as CAST and STRING write it: `2026-01-02 03:04:05.120+00`."""
    local = call("TIMEZONE", zone or literal("UTC"), value.copy())
    return call("bq_timestamp_text", local, _seconds_before_utc(value, local))
