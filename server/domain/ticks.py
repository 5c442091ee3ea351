"""The ticks of a schedule: when they are, and which of those that have passed start a run."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from server.domain.cron import cron_times
from server.domain.schedule import CatchUp, CatchUpPolicy, Schedule, ScheduleSettings

ON_TIME = timedelta(minutes=5)
"""A tick that is later than this, or after which another one has passed, passed while no server was up."""
MAX_MISSED_RECORDS = 1_000
"""Of the ticks of one outage that start no run, the latest are recorded; the others are only counted."""
MAX_AT_ONCE = 20_000
"""Ticks that are looked at in one go: after a long outage there may be more."""


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What becomes of the ticks that have passed."""

    missed: int
    """How many start no run."""
    recorded: tuple[datetime, ...]
    """Those of them that are recorded, ascending."""
    to_run: tuple[datetime, ...]
    """Those that start a run, ascending."""
    next_tick: datetime | None
    """The one to go on with."""


@dataclass(frozen=True, slots=True)
class _Fire:
    """A tick, when it fires, and the tick behind it."""

    tick: datetime
    at: datetime
    following: datetime | None


def first_tick(schedule: Schedule, now: datetime) -> datetime | None:
    """The nominal time of the first tick after this moment; None when there is none before the end."""
    return next(_ticks(schedule, after=now), None)


def first_to_fire(schedule: Schedule, now: datetime) -> datetime | None:
    """The nominal time of the first tick that fires after this moment, or is on time now."""
    after = now - ON_TIME
    first = first_tick(schedule, max(after - schedule.settings.jitter, schedule.created_at))
    return next((fire.tick for fire in _fires(schedule, first) if fire.at > after), None) if first else None


def fire_time(schedule: Schedule, tick: datetime) -> datetime:
    """When a tick fires: up to `jitter` later, and before the next one; always the same."""
    return next(_fires(schedule, tick)).at if schedule.settings.jitter else tick


def fire_times(schedule: Schedule, count: int) -> list[datetime]:
    """When the next ticks fire, at most so many."""
    if schedule.next_tick is None:
        return []
    return [fire.at for fire in islice(_fires(schedule, schedule.next_tick), count)]


def day_of(settings: ScheduleSettings, tick: datetime) -> date:
    """The day that the run of a tick is about: the tick's in the schedule's zone, moved by the offset."""
    return tick.astimezone(ZoneInfo(settings.time_zone)).date() + timedelta(days=settings.date_offset_days)


def reckon(schedule: Schedule, now: datetime) -> Reckoning:
    """Say what becomes of the ticks from `next_tick` on that have passed.

    The latest one fires if it is on time. Of the others, and of a latest one that is late, the schedule's policy says
    which are caught up.
    """
    if schedule.next_tick is None:
        return Reckoning(0, (), (), None)
    fires = _fires(schedule, schedule.next_tick)
    passed = list(islice(takewhile(lambda fire: fire.at <= now, fires), MAX_AT_ONCE))
    if len(passed) == MAX_AT_ONCE:
        # Whatever the policy says, the first of so many start no run.
        missed = MAX_AT_ONCE - MAX_MISSED_RECORDS
        return Reckoning(missed, (), (), passed[missed].tick)
    count = len(passed) - _count_to_run(schedule.settings.catch_up, passed, now)
    oldest = now - schedule.settings.catch_up.window
    return Reckoning(
        missed=count,
        recorded=tuple(fire.tick for fire in passed[:count][-MAX_MISSED_RECORDS:] if fire.at >= oldest),
        to_run=tuple(fire.tick for fire in passed[count:]),
        next_tick=passed[-1].following if passed else schedule.next_tick,
    )


def _count_to_run(catch_up: CatchUp, passed: Sequence[_Fire], now: datetime) -> int:
    """How many of the latest ticks start a run."""
    on_time = int(bool(passed) and now - passed[-1].at <= ON_TIME)
    in_window = sum(fire.at >= now - catch_up.window for fire in passed)
    match catch_up.policy:
        case CatchUpPolicy.SKIP:
            return on_time
        case CatchUpPolicy.LATEST:
            return max(on_time, min(1, in_window))
        case CatchUpPolicy.ALL:
            return max(on_time, min(catch_up.max_runs, in_window))


def _fires(schedule: Schedule, first: datetime) -> Iterator[_Fire]:
    """The tick `first` and those after it."""
    ticks = _ticks(schedule, after=first)
    tick: datetime | None = first
    while tick is not None:
        following = next(ticks, None)
        yield _Fire(tick, tick + _delay(schedule, tick, following), following)
        tick = following


def _delay(schedule: Schedule, tick: datetime, following: datetime | None) -> timedelta:
    longest = schedule.settings.jitter
    if not longest:
        return longest
    identity = f"{schedule.tenant_id}/{schedule.schedule_id}/{tick.isoformat()}"
    share = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8]) / 2**64
    return share * (longest if following is None else min(longest, following - tick))


def _ticks(schedule: Schedule, *, after: datetime) -> Iterator[datetime]:
    """The nominal times after that moment, within the schedule's start and end."""
    settings = schedule.settings
    start, end = settings.start_time, settings.end_time
    if start is not None:
        # A tick at the start is one.
        after = max(after, start - timedelta(microseconds=1))
    for tick in _times(schedule, after):
        if end is not None and tick >= end:
            return
        yield tick


def _times(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    settings = schedule.settings
    if settings.interval is None:
        yield from cron_times(settings.cron, settings.time_zone, after)
        return
    base = settings.start_time or schedule.created_at.replace(microsecond=0)
    tick = base + settings.interval * ((after - base) // settings.interval + 1)
    latest = datetime.max.replace(tzinfo=UTC) - settings.interval
    while tick < latest:
        yield tick
        tick += settings.interval
