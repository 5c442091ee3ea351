"""Backfills: a pipeline for each day of a range and each of several tenants."""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum

from pydantic import Field

from server.domain.faults import Fault
from server.domain.pipeline import PipelineName
from server.domain.record import Record
from server.domain.run import RunStatus
from server.domain.schedule import date_variable_fault

MAX_DAYS = 1_000
MAX_RUNS = 50_000
"""Of one backfill, over all its tenants."""
MAX_ACTIVE_RUNS = 100


class BackfillState(StrEnum):
    """Where a backfill stands. The last two are terminal."""

    PLANNED = "PLANNED"
    """Only worked out, and not stored."""
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    FINISHED = "FINISHED"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing of it is still to come."""
        return self in {BackfillState.CANCELLED, BackfillState.FINISHED}


class BackfillOrder(StrEnum):
    """Which day comes first."""

    OLDEST_FIRST = "OLDEST_FIRST"
    NEWEST_FIRST = "NEWEST_FIRST"


class Reprocess(StrEnum):
    """What to do about days that have a run already."""

    NONE = "NONE"
    ONLY_FAILED = "ONLY_FAILED"
    ALL = "ALL"

    def wants(self, latest: RunStatus | None) -> bool:
        """Whether to run a day of which the latest run has that status; None is no run."""
        if latest is None or self is Reprocess.ALL:
            return True
        return self is Reprocess.ONLY_FAILED and latest.is_terminal and latest is not RunStatus.SUCCESS


class BackfillSettings(Record):
    """What a person says of a backfill."""

    name: PipelineName
    start_date: date
    end_date: date
    """The day after the last one."""
    variables: dict[str, str] = Field(default_factory=dict)
    order: BackfillOrder = BackfillOrder.OLDEST_FIRST
    reprocess: Reprocess = Reprocess.NONE
    max_active_runs: int = 1

    @property
    def days(self) -> list[date]:
        """The days in the order in which they are run."""
        count = (self.end_date - self.start_date).days
        ascending = [self.start_date + timedelta(days=number) for number in range(count)]
        return ascending if self.order is BackfillOrder.OLDEST_FIRST else ascending[::-1]


class Backfill(Record):
    """A backfill as it stands."""

    backfill_id: str
    """'' for one that was only planned."""
    tenant_ids: tuple[str, ...]
    settings: BackfillSettings
    state: BackfillState
    total_runs: int
    skipped_days: int = 0
    """Days that were left out, or dropped with their tenant; each tenant's counted."""
    waiting_runs: int
    """Those that have not begun."""
    runs_by_status: dict[RunStatus, int] = Field(default_factory=dict)
    """Those that have."""
    schedule_id: str = ""
    """The schedule whose refresh window it is; '' for one that somebody asked for."""
    created_by: str = ""
    """key_id of the API key that asked for it; '' for the product itself."""
    reason: str = ""
    """Why it is paused or cancelled."""
    warnings: tuple[str, ...] = ()
    """What somebody who runs many days had better know."""
    estimated_bytes: int = 0
    """What its runs would read; only of a PLANNED one, and 0 when that is not known."""
    created_at: datetime
    finished_at: datetime | None = None


Day = tuple[str, date]
"""A tenant and a day."""


def days_to_run(
    settings: BackfillSettings, tenant_ids: Collection[str], latest: Mapping[Day, RunStatus]
) -> tuple[list[Day], int]:
    """What to run, in order, and how many days are left out; `latest` are the statuses of the days' latest runs.

    Day by day, so that the tenants get on together.
    """
    every = [(tenant_id, day) for day in settings.days for tenant_id in tenant_ids]
    wanted = [day for day in every if settings.reprocess.wants(latest.get(day))]
    return wanted, len(every) - len(wanted)


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_of(text: str) -> date | None:
    """The day that a text is, as days are written everywhere; None for what is none."""
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def range_faults(start_date: str, end_date: str) -> list[Fault]:
    """What is wrong with a range of days, of which the second is the day after the last one."""
    given = {"start_date": start_date, "end_date": end_date}
    faults = [
        _range_fault(field, f"{text[:40]!r} is no day; a day is written like 2025-11-18")
        for field, text in given.items()
        if day_of(text) is None
    ]
    start, end = day_of(start_date), day_of(end_date)
    if start is None or end is None:
        return faults
    if start >= end:
        told = f"{end} is the day after the last one, and has to come after {start}"
        return [_range_fault("end_date", told)]
    if (count := (end - start).days) > MAX_DAYS:
        return [
            _range_fault("end_date", f"from {start} to {end} are {count:,} days; a backfill has at most {MAX_DAYS:,}")
        ]
    return []


def _range_fault(field: str, told: str) -> Fault:
    return Fault("INVALID_DATE_RANGE", told, field=field)


def backfill_faults(variables: Mapping[str, str], max_active_runs: int) -> Iterator[Fault]:
    """What is wrong with a backfill but for its days."""
    if "date" in variables:
        yield date_variable_fault()
    if not 1 <= max_active_runs <= MAX_ACTIVE_RUNS:
        message = f"max_active_runs is 1 to {MAX_ACTIVE_RUNS}, or 0 for 1"
        yield Fault("INVALID_FIELD", message, field="max_active_runs")
