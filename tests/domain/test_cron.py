"""Cron expressions in time zones, against a walk over every minute."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.cron import cron_problem, cron_times, time_zone_problem

# Where clocks are set by an hour at a full one, at midnight, by half an hour, at a quarter to three, and by two hours.
ZONES = [
    *("Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Pacific/Chatham"),
    *("Antarctica/Troll", "Africa/Casablanca", "UTC"),
]


@cache
def changes(zone: str) -> list[datetime]:
    """When the zone's clocks are set in two years; in UTC some moment."""
    moment, found = datetime(2025, 1, 1, tzinfo=UTC), []
    while moment.year < 2027:
        following = moment + timedelta(hours=1)
        if moment.astimezone(ZoneInfo(zone)).utcoffset() != following.astimezone(ZoneInfo(zone)).utcoffset():
            found.append(following)
        moment = following
    return found or [datetime(2025, 3, 30, 1, tzinfo=UTC)]


def fields(lowest: int, highest: int) -> st.SearchStrategy[str]:
    few = st.lists(st.integers(lowest, highest), min_size=1, max_size=3).map(lambda some: ",".join(map(str, some)))
    return st.just("*") | st.sampled_from([2, 3, 5, 7, 15]).map(lambda step: f"*/{step}") | few


EXPRESSIONS = st.builds("{} {} * * *".format, fields(0, 59), fields(0, 23))
PLACES = st.sampled_from(ZONES).flatmap(
    lambda zone: st.tuples(
        st.just(zone), st.sampled_from(changes(zone)), st.timedeltas(timedelta(hours=-30), timedelta(hours=6))
    )
)


def until(expression: str, zone: str, after: datetime, end: datetime) -> list[datetime]:
    times = []
    for time in cron_times(expression, zone, after):
        if time >= end:
            break
        times.append(time)
    return times


def matches(expression: str, clock: datetime) -> bool:
    def is_in(field: str, value: int) -> bool:
        if field.startswith("*"):
            return value % int(field[2:] or 1) == 0
        return value in map(int, field.split(","))

    minute, hour = expression.split()[:2]
    return is_in(minute, clock.minute) and is_in(hour, clock.hour)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, PLACES)
def test_every_minute_that_clocks_show_is_judged(expression: str, place: tuple[str, datetime, timedelta]) -> None:
    zone, change, distance = place
    after, end = (change + distance).replace(second=0, microsecond=0), change + timedelta(hours=30)
    minutes = [after + timedelta(minutes=1) * n for n in range(1, int((end - after) / timedelta(minutes=1)))]
    clocks = [minute.astimezone(ZoneInfo(zone)) for minute in minutes]
    found = until(expression, zone, after, end)
    if any(field.startswith("*") for field in expression.split()[:2]):
        assert found == [clock.astimezone(UTC) for clock in clocks if matches(expression, clock)]
        return
    shown = [clock.astimezone(UTC) for clock in clocks if matches(expression, clock) and not clock.fold]
    # The others are those that clocks have skipped, at the end of the gap.
    others = set(found) - set(shown)
    assert set(shown) <= set(found)
    for moment in others:
        earlier = (moment - timedelta(minutes=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        gap = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) - earlier
        assert gap > timedelta(minutes=1)
        assert any(matches(expression, earlier + timedelta(minutes=n)) for n in range(1, int(gap.total_seconds() / 60)))


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, PLACES, st.floats(0, 0.99))
def test_it_does_not_matter_from_where_one_looks(
    expression: str, place: tuple[str, datetime, timedelta], share: float
) -> None:
    """The next time is the same from anywhere between two: so none is left out, and none comes twice."""
    zone, change, distance = place
    times = list(islice(cron_times(expression, zone, change + distance), 40))
    for earlier, later in pairwise(times):
        assert earlier < later
        assert next(cron_times(expression, zone, earlier + (later - earlier) * share)) == later


def berlin(expression: str, day: str, count: int = 3) -> list[str]:
    start = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    return [
        f"{time.astimezone(ZoneInfo('Europe/Berlin')):%d %H:%M %Z}"
        for time in islice(cron_times(expression, "Europe/Berlin", start.astimezone(UTC)), count)
    ]


def test_where_clocks_go_forward() -> None:
    assert berlin("30 2 * * *", "2025-03-30", 2) == ["30 03:00 CEST", "31 02:30 CEST"]
    assert berlin("0,30 2,3 * * *", "2025-03-30", 2) == ["30 03:00 CEST", "30 03:30 CEST"]
    assert berlin("30 * * * *", "2025-03-30") == ["30 00:30 CET", "30 01:30 CET", "30 03:30 CEST"]


def test_where_clocks_go_back() -> None:
    assert berlin("30 2 * * *", "2025-10-26", 2) == ["26 02:30 CEST", "27 02:30 CET"]
    assert berlin("30 * * * *", "2025-10-26", 4)[2:] == ["26 02:30 CEST", "26 02:30 CET"]


@pytest.mark.parametrize(
    "expression", ["0 6 * * *", "*/15 0-6,22 1-31/2 JAN-MAR MON", "0 0 L * *", "0 0 * * 5#2", "0 0 29 2 *"]
)
def test_what_is_right(expression: str) -> None:
    assert not cron_problem(expression)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("", "five fields, not 0"),
        ("@daily", "write '0 0 * * *' for @daily"),
        ("@noon", "five fields, not 1"),
        ("0 6 * * * *", "five fields, not 6"),
        ("61 * * * *", "for its minute (which is 0 to 59)"),
        ("* 24 * * *", "for its hour"),
        ("0 0 30 2 *", "names a day that never comes"),
        ("0 0 32 2 *", "for its day-of-month (which is 1 to 31"),
        ("0 0 1 13 *", "JAN to DEC"),
        ("0 0 * * FOO", "SUN to SAT"),
        ("0 0 */0 * *", "for its day-of-month"),
        ("H * * * *", "for its minute"),
        ("٣ * * * *", "for its minute"),
        ("* " * 200, "characters"),
    ],
)
def test_what_is_wrong(expression: str, told: str) -> None:
    assert told in cron_problem(expression)


def test_zones() -> None:
    assert not time_zone_problem("Europe/Berlin")
    assert "Did you mean Europe/Berlin?" in time_zone_problem("Europe/berlin")
    for name in ("", "../etc/passwd", "localtime", "CEST", "/usr/share/zoneinfo/UTC"):
        assert "IANA" in time_zone_problem(name)
