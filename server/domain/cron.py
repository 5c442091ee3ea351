"""Cron expressions and time zones: what is wrong with one, and the times that one names.

Cron is read as Debian's cron reads it (cronsim): a time of the day comes once a day, also where clocks change.
"""

import difflib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

_MAX_LENGTH = 200
_EXAMPLE = "write minute, hour, day of month, month and day of week, such as '0 6 * * *' for 06:00 each day"
_RANGES = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, or L for the last one",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7, or SUN to SAT",
}
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# A day of a leap year's February is the rarest there is.
_SAMPLE = datetime(2024, 1, 1)
# A zone may leave out a whole day, as Samoa did in 2011.
_LONGEST_GAP = timedelta(days=2)


def cron_problem(expression: str) -> str:
    """What is wrong with a cron expression, and what would be right; '' when nothing is."""
    if len(expression) > _MAX_LENGTH:
        return f"the cron expression has {len(expression):,} characters; at most {_MAX_LENGTH} are possible"
    fields = expression.split()
    if len(fields) != 5:
        written_out = _NICKNAMES.get(expression.strip().lower(), "")
        right = f"write {written_out!r} for {expression.strip()}" if written_out else _EXAMPLE
        return f"a cron expression has five fields, not {len(fields)}: {right}"
    try:
        next(CronSim(expression, _SAMPLE))
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        if field == "day-of-month" and fields[3] != "*" and not cron_problem(" ".join([*fields[:3], "*", fields[4]])):
            # Right in another month.
            return f"{expression!r} names a day that never comes"
        return f"{expression!r} is no cron expression, for its {field} (which is {_RANGES.get(field, '')}): {_EXAMPLE}"
    except StopIteration:
        return f"{expression!r} names a day that never comes"
    return ""


def time_zone_problem(name: str) -> str:
    """What is wrong with the name of a time zone; '' when nothing is."""
    if name in _time_zones():
        return ""
    close = difflib.get_close_matches(name[:100], _time_zones(), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"{name[:100]!r} is no IANA time zone; write one such as Europe/Berlin or UTC.{hint}"


@cache
def _time_zones() -> frozenset[str]:
    # What a machine calls its own time is another one's somewhere else.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def cron_times(expression: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """The times after `after` that the expression names in the zone: in UTC, ascending, each once.

    As in Debian's cron, a time of the day comes once a day: where clocks are set back the first time, and one that
    clocks skip at the first moment behind the gap. What has a `*` for the minute or the hour goes on with real time.
    """
    zone = ZoneInfo(time_zone)
    is_time_of_day = not any(field.startswith("*") for field in expression.split()[:2])
    return (_times_of_day if is_time_of_day else _times_as_they_pass)(expression, zone, after)


# cronsim is asked for the times of a clock that nobody sets: with a zone it leaves times out where clocks are set by
# less than an hour, or not at a full one.


def _times_of_day(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    last = after
    # What a gap that is just over has moved behind itself is before it on the clock.
    is_even = _offset(after - _LONGEST_GAP, zone) == _offset(after, zone)
    for clock in CronSim(expression, _clock(after, zone) - (timedelta() if is_even else _LONGEST_GAP)):
        moment = _first_moment(clock, zone)
        if moment > last:
            last = moment
            yield moment


def _first_moment(clock: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which the clock shows that time, or a later one."""
    moment = clock.replace(tzinfo=zone).astimezone(UTC)
    if _clock(moment, zone) == clock:
        return moment
    before = clock.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change(before, moment, zone)


def _times_as_they_pass(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    last, clock = after, _clock(after, zone)
    while True:
        offset = _offset(last, zone)
        for time in CronSim(expression, clock):
            moment = time.replace(tzinfo=UTC) - offset
            if _offset(moment, zone) != offset:
                # Somebody has set the clock since: what it shows from then on counts.
                last = _change(last, moment, zone)
                clock = _clock(last, zone) - timedelta(seconds=1)
                break
            last = moment
            yield moment
        else:
            return


def _clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """What clocks of the zone show."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first moment with another offset than `before`, to the second; `after` has another one."""
    offset = _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
