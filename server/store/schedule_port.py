"""The port of the store that keeps schedules, their ticks and backfills. The control store fills it too."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from server.domain.audit import Actor
from server.domain.backfill import Backfill, BackfillSettings, BackfillState, Day
from server.domain.pipeline import PipelineName
from server.domain.quotas import Plans
from server.domain.run import RunStatus
from server.domain.schedule import NewSchedule, Schedule, ScheduleSettings, ScheduleState, Tick, TickOutcome
from server.store.port import ControlStore, NewRun, RequestKey


class ScheduleConflict(Exception):
    """The tenant has a schedule of that id."""


class ScheduleChanged(Exception):
    """Somebody else has changed the schedule in the meantime."""


class NeverFires(Exception):
    """A new schedule ends before its first tick."""


class TooManySchedules(Exception):
    """The tenant has as many schedules as it may."""


class MadeAndGone(Exception):
    """What the same request has made was deleted since."""


class BackfillEnded(Exception):
    """The backfill has ended, or is being cancelled."""


@dataclass(frozen=True, slots=True)
class NewBackfill:
    """A backfill that passed every check."""

    backfill_id: str
    tenant_ids: tuple[str, ...]
    settings: BackfillSettings
    days: tuple[Day, ...]
    """What to run, in order."""
    skipped_days: int = 0
    warnings: tuple[str, ...] = ()
    schedule_id: str = ""


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """Which schedules to list; empty means any. By tenant and id, or by when they fire next."""

    tenant_id: str | None = None
    provider: str = ""
    domain: str = ""
    template_name: str = ""
    states: tuple[ScheduleState, ...] = ()
    soonest_first: bool = False
    """Only those that fire at all."""


@dataclass(frozen=True, slots=True)
class SchedulePosition:
    """Where a page of schedules ended: the key of its last one."""

    tenant_id: str
    schedule_id: str
    fires_at: datetime | None = None
    """Where they come by when they fire next."""


@dataclass(frozen=True, slots=True)
class TickFilter:
    """Which ticks to list; empty means any. Newest first."""

    tenant_id: str
    schedule_id: str = ""
    outcomes: tuple[TickOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class TickPosition:
    """Where a page of ticks ended: the key of its last one."""

    nominal_time: datetime
    schedule_id: str


@dataclass(frozen=True, slots=True)
class BackfillFilter:
    """Which backfills to list; empty means any. Newest first."""

    tenant_id: str | None = None
    """Those of this tenant alone."""
    schedule_id: str = ""
    states: tuple[BackfillState, ...] = ()


@dataclass(frozen=True, slots=True)
class BackfillPosition:
    """Where a page of backfills ended: the key of its last one."""

    created_at: datetime
    backfill_id: str


@dataclass(frozen=True, slots=True)
class TickToRecord:
    """What became of a tick that starts no run now."""

    nominal_time: datetime
    outcome: TickOutcome
    message: str = ""
    is_failure: bool = False
    """It counts towards the pause of its schedule."""


@dataclass(frozen=True, slots=True)
class TickToFire:
    """A tick that starts a run, unless the schedule's rule for overlaps is against it."""

    nominal_time: datetime
    run: NewRun
    refresh: NewBackfill | None = None
    """The schedule's refresh window, which is begun unless an earlier one goes on."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of the ticks of a schedule that have passed."""

    at: datetime
    """The store's time by which they have."""
    next_tick: datetime | None
    due_at: datetime | None
    """When to deal with `next_tick`."""
    missed: int = 0
    recorded: tuple[TickToRecord, ...] = ()
    fired: TickToFire | None = None


@dataclass(frozen=True, slots=True)
class DueSchedules:
    """Schedules with ticks that have passed, those that wait longest first."""

    now: datetime
    """The store's time."""
    schedules: list[Schedule]
    ahead: list[Schedule]
    """Schedules that were dealt with at a time that is still to come: the time was wrong then."""


@dataclass(frozen=True, slots=True)
class WaitingTick:
    """A BUFFERED tick whose turn it is."""

    schedule: Schedule
    tick: Tick


@dataclass(frozen=True, slots=True)
class WaitingDay:
    """A day of a backfill that may begin."""

    backfill: Backfill
    position: int
    tenant_id: str
    day: date


@dataclass(frozen=True, slots=True)
class BackfillWork:
    """What there is to do for backfills."""

    days: list[WaitingDay] = field(default_factory=list)
    to_end: list[str] = field(default_factory=list)
    """Backfills of which nothing is left, by their ids."""
    to_cancel: list[str] = field(default_factory=list)
    """Runs of backfills that are being cancelled, by their pipeline_logging_ids."""


class ScheduleStore(Protocol):
    """Schedules, ticks and backfills, each method one transaction. Each may raise StoreBusy."""

    @property
    def version(self) -> int:
        """See `ControlStore`."""
        ...

    async def wait_for_change(self, seen: int, timeout: float) -> int:  # noqa: ASYNC109
        """See `ControlStore`."""
        ...

    @property
    def writes_at_once(self) -> int:
        """See `ControlStore`."""
        ...

    # -- schedules -----------------------------------------------------------------------------------------------

    async def create_schedule(self, new: NewSchedule, *, by: Actor, request: RequestKey | None) -> Schedule:
        """Store a schedule; the same request again answers the one that it has made.

        Raises:
            TenantGone, ScheduleConflict, TooManySchedules.
            RequestConflict: the request id was used for something else. MadeAndGone.
        """
        ...

    async def find_schedule_request(self, request: RequestKey) -> Schedule | None:
        """The schedule that an earlier, equal request made, or None. Raises RequestConflict, MadeAndGone."""
        ...

    async def get_schedule(self, tenant_id: str, schedule_id: str) -> Schedule | None:
        """The schedule, or None."""
        ...

    async def list_schedules(
        self, wanted: ScheduleFilter, *, after: SchedulePosition | None, limit: int
    ) -> list[Schedule]:
        """Schedules behind `after`."""
        ...

    async def update_schedule(self, was: Schedule, settings: ScheduleSettings, *, by: Actor) -> Schedule:
        """Change a schedule that is still as it `was`. Raises ScheduleChanged."""
        ...

    async def delete_schedule(self, was: Schedule, *, by: Actor) -> None:
        """Delete a schedule that is still as it `was`; its waiting ticks are skipped. Raises ScheduleChanged."""
        ...

    async def pause_schedule(self, tenant_id: str, schedule_id: str, reason: str, *, by: Actor) -> Schedule | None:
        """Stop a schedule; its waiting ticks are skipped. None: there is no such schedule."""
        ...

    async def resume_schedule(self, tenant_id: str, schedule_id: str, *, by: Actor) -> Schedule | None:
        """Let a schedule go on with its next tick from now. None: there is no such schedule."""
        ...

    # -- ticks ---------------------------------------------------------------------------------------------------

    async def list_ticks(self, wanted: TickFilter, *, after: TickPosition | None, limit: int) -> list[Tick]:
        """Ticks behind `after`."""
        ...

    async def due_schedules(self, *, skip: Collection[tuple[str, str]], limit: int) -> DueSchedules:
        """Schedules with a tick to deal with now, but for those in `skip`."""
        ...

    async def settle(self, schedule: Schedule, settlement: Settlement, plans: Plans) -> str | None:
        """Record ticks and accept the run of one of them, in one transaction; answers the run's id, '' for none.

        None, and nothing is recorded, when the schedule is not as it was any more: another server has settled them,
        or somebody has changed it.

        Raises:
            TenantGone, QuotaExceeded: of the run, or of the refresh window's first.
        """
        ...

    async def waiting_ticks(self, *, skip: Collection[tuple[str, str]], limit: int) -> list[WaitingTick]:
        """BUFFERED ticks whose runs may begin, but for those of the schedules in `skip`."""
        ...

    async def start_tick(self, waiting: WaitingTick, fired: TickToFire, plans: Plans) -> bool:
        """Accept the run of a BUFFERED tick. False when it is not its turn any more. Raises as `settle`."""
        ...

    async def refuse_tick(self, waiting: WaitingTick, tick: TickToRecord) -> None:
        """A BUFFERED tick starts no run."""
        ...

    async def turn_back(self, schedule: Schedule) -> None:
        """Let a schedule that was ahead go on with its first tick from now; what fired then does not fire again."""
        ...

    # -- backfills -----------------------------------------------------------------------------------------------

    async def latest_statuses(
        self, name: PipelineName, tenant_ids: Collection[str], start: date, end: date
    ) -> Mapping[Day, RunStatus]:
        """The status of the latest run of the pipeline, for each tenant and day that has one; `end` is exclusive."""
        ...

    async def create_backfill(self, new: NewBackfill, *, by: Actor, request: RequestKey | None) -> Backfill:
        """Store a backfill; the same request again answers the one that it has made. Raises RequestConflict."""
        ...

    async def find_backfill_request(self, request: RequestKey) -> Backfill | None:
        """The backfill that an earlier, equal request made, or None. Raises RequestConflict."""
        ...

    async def get_backfill(self, backfill_id: str) -> Backfill | None:
        """The backfill, or None."""
        ...

    async def list_backfills(
        self, wanted: BackfillFilter, *, after: BackfillPosition | None, limit: int
    ) -> list[Backfill]:
        """Backfills behind `after`."""
        ...

    async def change_backfill(
        self, backfill_id: str, state: BackfillState, reason: str, *, by: Actor
    ) -> Backfill | None:
        """Let a backfill be ACTIVE, PAUSED or CANCELLING. None: there is no such backfill. Raises BackfillEnded."""
        ...

    async def backfill_work(self, *, skip: Collection[tuple[str, str]], limit: int) -> BackfillWork:
        """What there is to do; no days of the backfills and tenants in `skip`, and of each kind at most `limit`."""
        ...

    async def start_day(self, waiting: WaitingDay, run: NewRun, plans: Plans) -> bool:
        """Accept the run of a day. False when the backfill has no room, or the day has begun.

        Raises:
            TenantGone.
            QuotaExceeded: also when less than half of a quota would be left to other runs.
        """
        ...

    async def waiting_tenants(self, backfill_id: str) -> list[str]:
        """The tenants of a backfill with days that have not begun."""
        ...

    async def drop_days(self, backfill_id: str, tenant_id: str) -> None:
        """Take the tenant's days that have not begun out of a backfill."""
        ...

    async def end_backfill(self, backfill_id: str) -> None:
        """Record the end of a backfill of which nothing is left; not when that has changed."""
        ...


class BackfillStore(ControlStore, ScheduleStore, Protocol):
    """Backfills with the runs and the tenants that they are about."""
