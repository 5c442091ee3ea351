"""Schedules, and the ticks by which they start runs."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import Field

from server.domain.cron import cron_problem, time_zone_problem
from server.domain.faults import Fault
from server.domain.pipeline import FileSchedule, PipelineName
from server.domain.record import Record

MAX_SCHEDULES = 1_000
"""Of one tenant."""
_DAY_SECONDS = 86_400
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(3000, 1, 1, tzinfo=UTC)
_MOST_DAYS = 366
_MOST_CAUGHT_UP = 1_000
_MOST_FAILURES = 1_000
_MAX_TEXT = 1_000
_MAX_ID = 63
_SCHEDULE_ID = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{_MAX_ID - 1}}}")


class ScheduleState(StrEnum):
    """Whether a schedule fires."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


class Overlap(StrEnum):
    """What to do at a tick when the run of an earlier one has not ended."""

    SKIP = "SKIP"
    BUFFER_ONE = "BUFFER_ONE"
    ALLOW = "ALLOW"


class CatchUpPolicy(StrEnum):
    """What to do about ticks that passed while no server was up."""

    SKIP = "SKIP"
    LATEST = "LATEST"
    ALL = "ALL"


class TickOutcome(StrEnum):
    """What became of a tick."""

    FIRED = "FIRED"
    BUFFERED = "BUFFERED"
    SKIPPED = "SKIPPED"
    MISSED = "MISSED"
    REFUSED = "REFUSED"


class CatchUp(Record):
    """How ticks that passed while no server was up are made up for."""

    policy: CatchUpPolicy = CatchUpPolicy.LATEST
    max_runs: int = 10
    """For ALL; the latest ones are kept."""
    window: timedelta = timedelta(days=7)
    """Ticks longer ago are only counted."""


class ScheduleSettings(Record):
    """What a person says of a schedule."""

    name: PipelineName
    description: str = ""
    variables: dict[str, str] = Field(default_factory=dict)
    cron: str = ""
    """Five fields; '' when there is an interval."""
    interval: timedelta | None = None
    time_zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp()
    jitter: timedelta = timedelta()
    date_offset_days: int = 0
    refresh_window_days: int = 0
    pause_after_failures: int = 0
    start_time: datetime | None = None
    end_time: datetime | None = None


class Schedule(Record):
    """A schedule of a tenant, as it stands."""

    tenant_id: str
    schedule_id: str
    settings: ScheduleSettings
    state: ScheduleState
    pause_reason: str = ""
    next_tick: datetime | None = None
    """The nominal time of the tick to deal with next; None when there is none, or the schedule does not fire."""
    due_at: datetime | None = None
    """When that fires."""
    missed_ticks: int = 0
    consecutive_failures: int = 0
    last_run: str = ""
    revision: int = 0
    """Grows with each change that a person makes, and with a pause."""
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        """Changes with each change of the schedule, and not with its ticks."""
        text = f"{self.tenant_id}/{self.schedule_id}/{self.created_at.isoformat()}/{self.revision}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A schedule that passed every check."""

    tenant_id: str
    schedule_id: str
    settings: ScheduleSettings
    pause_reason: str = ""
    """When it says something, the schedule is PAUSED from the beginning."""


class Tick(Record):
    """One nominal time of a schedule, and what became of it."""

    tenant_id: str
    schedule_id: str
    nominal_time: datetime
    name: PipelineName
    fired_at: datetime
    """When it was dealt with."""
    date: str
    """The day that its run is about, YYYY-MM-DD."""
    outcome: TickOutcome
    pipeline_logging_id: str = ""
    pipeline_id: str = ""
    """The run's; '' without one."""
    message: str = ""


def schedule_of_file(name: PipelineName, file: FileSchedule, tenant_id: str) -> NewSchedule:
    """The schedule that a new tenant gets of a pipeline file."""
    catch_up = CatchUp(
        policy=CatchUpPolicy(file.catch_up.policy.upper()),
        max_runs=file.catch_up.max_runs,
        window=timedelta(days=file.catch_up.window_days),
    )
    settings = ScheduleSettings(
        name=name,
        variables=dict(file.variables),
        cron=file.cron or "",
        interval=timedelta(minutes=file.interval_minutes) if file.interval_minutes else None,
        time_zone=file.time_zone,
        overlap=Overlap(file.overlap.upper()),
        catch_up=catch_up,
        jitter=timedelta(minutes=file.jitter_minutes),
        date_offset_days=file.date_offset_days,
        refresh_window_days=file.refresh_window_days,
        pause_after_failures=file.pause_after_failures,
    )
    reason = "as its pipeline's file says: resume it when everything that it needs is there" if file.paused else ""
    return NewSchedule(tenant_id, _id_of_file(name), settings, reason)


def _id_of_file(name: PipelineName) -> str:
    """`gcp-cost-cost_billing`; a long one is shortened and stays its own."""
    text = str(name).replace("/", "-")
    if len(text) <= _MAX_ID:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: _MAX_ID - 9]}-{digest}"


@dataclass(frozen=True, slots=True)
class _Limit:
    """What a number or a length of time may be."""

    field: str
    value: float
    lowest: float
    highest: float
    told: str


def schedule_id_faults(schedule_id: str) -> list[Fault]:
    """What is wrong with the id of a new schedule."""
    if _SCHEDULE_ID.fullmatch(schedule_id):
        return []
    message = "a schedule_id is 1 to 63 lower-case letters, digits, _ and -, and starts with a letter or a digit"
    return [Fault("INVALID_SCHEDULE_ID", message, field="schedule_id")]


def settings_faults(settings: ScheduleSettings) -> list[Fault]:
    """Everything that is wrong with a schedule by itself, whatever its pipeline."""
    return [
        *_timing_faults(settings),
        *_text_faults(settings),
        *_limit_faults(settings),
        *_range_faults(settings),
    ]


def _timing_faults(settings: ScheduleSettings) -> Iterator[Fault]:
    if problem := time_zone_problem(settings.time_zone):
        yield Fault("INVALID_TIME_ZONE", problem, field="time_zone")
    if bool(settings.cron) == (settings.interval is not None):
        message = "a schedule has a cron expression, such as '0 6 * * *', or an interval: one of the two"
        yield Fault("MISSING_FIELD" if not settings.cron else "INVALID_FIELD", message, field="cron")
    elif settings.cron and (problem := cron_problem(settings.cron)):
        yield Fault("INVALID_CRON", problem, field="cron")


def _text_faults(settings: ScheduleSettings) -> Iterator[Fault]:
    if len(settings.description) > _MAX_TEXT or not settings.description.isprintable():
        yield Fault(
            "INVALID_FIELD", f"a description is at most {_MAX_TEXT:,} printable characters", field="description"
        )
    if "date" in settings.variables:
        yield date_variable_fault()


def date_variable_fault() -> Fault:
    """A `date` among the variables of what has many runs would give all of them the same."""
    message = "each run has a date of its own; leave it out of the variables"
    return Fault("INVALID_VARIABLE_VALUE", message, field="variables.date")


def _limit_faults(settings: ScheduleSettings) -> Iterator[Fault]:
    catch_up, longest = settings.catch_up, _MOST_DAYS * _DAY_SECONDS
    limits = [
        _Limit("jitter", settings.jitter.total_seconds(), 0, _DAY_SECONDS, "0 to a day"),
        _Limit("catch_up.max_runs", catch_up.max_runs, 1, _MOST_CAUGHT_UP, f"1 to {_MOST_CAUGHT_UP:,}"),
        _Limit("catch_up.window", catch_up.window.total_seconds(), 60, longest, "a minute to 366 days"),
        _Limit("date_offset_days", settings.date_offset_days, -_MOST_DAYS, _MOST_DAYS, "-366 to 366"),
        _Limit("refresh_window_days", settings.refresh_window_days, 0, _MOST_DAYS, "0 to 366"),
        _Limit("pause_after_failures", settings.pause_after_failures, 0, _MOST_FAILURES, f"0 to {_MOST_FAILURES:,}"),
    ]
    if settings.interval is not None:
        seconds = settings.interval.total_seconds()
        limits.append(_Limit("interval", seconds, 60, longest, "a minute to 366 days"))
        if seconds % 1:
            yield Fault("INVALID_FIELD", "an interval is whole seconds", field="interval")
    for limit in limits:
        if not limit.lowest <= limit.value <= limit.highest:
            yield Fault("INVALID_FIELD", f"{limit.field} is {limit.told}", field=limit.field)


def _range_faults(settings: ScheduleSettings) -> Iterator[Fault]:
    start, end = settings.start_time, settings.end_time
    if start is not None and end is not None and start >= end:
        yield Fault("INVALID_FIELD", "end_time is later than start_time, or not set", field="end_time")
    for name, moment in (("start_time", start), ("end_time", end)):
        if moment is not None and not _EARLIEST <= moment < _LATEST:
            yield Fault("INVALID_FIELD", f"{name} is of the years 1970 to 2999", field=name)
