"""Fires schedules: looks for ticks that have passed, and starts their runs.

Every server does it. Which ticks have passed is the store's time to say; that none fires twice is its transactions' to
see to. So it matters neither how many servers there are nor what their clocks say.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import shuffle
from uuid import uuid4

from server.domain.audit import PRODUCT
from server.domain.backfill import BackfillOrder, BackfillSettings, Reprocess, days_to_run
from server.domain.run import RunTrigger
from server.domain.schedule import Schedule, TickOutcome
from server.domain.tenant import TenantState
from server.domain.ticks import Reckoning, day_of, fire_time, reckon
from server.errors import QuotaExhausted, ServiceError, TenantNotActive
from server.exact_writes import inexact_writes
from server.metrics import count_accepted
from server.plans import PlansFile
from server.preparation import RunRequest
from server.rounds import Rests, all_of, keep_looking
from server.runs import Caller, Runs, why_inactive
from server.store.port import NewRun, QuotaExceeded, StoreBusy, TenantGone
from server.store.schedule_port import (
    NewBackfill,
    ScheduleStore,
    Settlement,
    TickToFire,
    TickToRecord,
    WaitingTick,
)

_AT_A_TIME = 100
_SHORT = timedelta(minutes=10)
_REST_SECONDS = 30.0
_MAX_MESSAGE = 1_000
_MISSED = "no server was up, or none got to it in time"

logger = logging.getLogger(__name__)


class _NoRun(Exception):
    """A tick starts no run."""

    def __init__(self, outcome: TickOutcome, message: str, *, is_failure: bool = False) -> None:
        self.outcome = outcome
        self.message = message[:_MAX_MESSAGE]
        self.is_failure = is_failure
        super().__init__(message)

    def record(self, tick: datetime) -> TickToRecord:
        """What is recorded of the tick."""
        return TickToRecord(tick, self.outcome, self.message, is_failure=self.is_failure)


class Scheduler:
    """Fires until it is cancelled. Several may be at it at once."""

    def __init__(self, store: ScheduleStore, runs: Runs, plans: PlansFile) -> None:
        self._store = store
        self._runs = runs
        self._plans = plans
        self._rests = Rests()
        self._places = asyncio.Semaphore(store.writes_at_once)

    async def run(self) -> None:
        """Follow the store and its time."""
        await keep_looking(self._store, self.round, "schedules")

    async def round(self) -> bool:
        """Deal with what is due; False when nothing was. Raises StoreBusy."""
        resting = self._rests.current()
        due = await self._store.due_schedules(skip=resting, limit=_AT_A_TIME)
        waiting = await self._store.waiting_ticks(skip=resting, limit=_AT_A_TIME)
        # Servers that look at the same time begin with different ones.
        shuffle(due.schedules)
        work = [self._careful(schedule, partial(self._turn_back, schedule)) for schedule in due.ahead]
        work += [self._careful(schedule, partial(self._settle, schedule, due.now)) for schedule in due.schedules]
        work += [self._careful(tick.schedule, partial(self._start_waiting, tick)) for tick in waiting]
        await all_of(work)
        return bool(work)

    async def _careful(self, schedule: Schedule, work: Callable[[], Awaitable[None]]) -> None:
        """One schedule that fails keeps no other from firing."""
        async with self._places:
            try:
                await work()
            except StoreBusy:
                raise
            except Exception:
                self._rests.add((schedule.tenant_id, schedule.schedule_id), _REST_SECONDS)
                logger.exception("A schedule could not be dealt with; it is tried again", extra=_fields(schedule))

    async def _turn_back(self, schedule: Schedule) -> None:
        logger.warning("The store's time was ahead; the schedule goes on from now", extra=_fields(schedule))
        await self._store.turn_back(schedule)

    async def _settle(self, schedule: Schedule, now: datetime) -> None:
        reckoning = await _reckoned(schedule, now)
        settlement = _missed(schedule, reckoning, now)
        plans = self._plans.current()
        if len(reckoning.to_run) != 1:
            caught_up = [TickToRecord(tick, TickOutcome.BUFFERED, "it is caught up") for tick in reckoning.to_run]
            recorded = (*settlement.recorded, *caught_up)
            await self._store.settle(schedule, replace(settlement, recorded=recorded), plans)
            return
        (tick,) = reckoning.to_run
        try:
            fired = await self._fire(schedule, tick)
            with _refusals():
                accepted = await self._store.settle(schedule, replace(settlement, fired=fired), plans)
            if accepted:
                count_accepted(fired.run.name, fired.run.trigger)
        except _NoRun as reason:
            _tell(schedule, reason)
            recorded = (*settlement.recorded, reason.record(tick))
            await self._store.settle(schedule, replace(settlement, recorded=recorded), plans)

    async def _start_waiting(self, waiting: WaitingTick) -> None:
        try:
            fired = await self._fire(waiting.schedule, waiting.tick.nominal_time)
            with _refusals():
                accepted = await self._store.start_tick(waiting, fired, self._plans.current())
            if accepted:
                count_accepted(fired.run.name, fired.run.trigger)
        except _NoRun as reason:
            _tell(waiting.schedule, reason)
            await self._store.refuse_tick(waiting, reason.record(waiting.tick.nominal_time))

    async def _fire(self, schedule: Schedule, tick: datetime) -> TickToFire:
        """The run of a tick, checked. Raises _NoRun."""
        settings = schedule.settings
        caller = Caller(schedule.tenant_id, PRODUCT, RunTrigger.SCHEDULE, is_admin=True)
        request = RunRequest(settings.name, day_of(settings, tick).isoformat(), settings.variables)
        with _refusals():
            run = await self._runs.checked(caller, request)
        return _fired(schedule, tick, replace(run, schedule_id=schedule.schedule_id))


async def _reckoned(schedule: Schedule, now: datetime) -> Reckoning:
    """What becomes of the ticks that have passed."""
    if schedule.next_tick is not None and now - schedule.next_tick < _SHORT:
        return reckon(schedule, now)
    # After a long outage there are very many of them to go through.
    return await asyncio.to_thread(reckon, schedule, now)


def _missed(schedule: Schedule, reckoning: Reckoning, now: datetime) -> Settlement:
    """What is recorded of ticks that start no run, and the tick to go on with."""
    following = reckoning.next_tick
    return Settlement(
        at=now,
        next_tick=following,
        due_at=fire_time(schedule, following) if following else None,
        missed=reckoning.missed,
        recorded=tuple(TickToRecord(tick, TickOutcome.MISSED, _MISSED) for tick in reckoning.recorded),
    )


def _fired(schedule: Schedule, tick: datetime, run: NewRun) -> TickToFire:
    """The run of a tick, and the schedule's refresh window."""
    settings = schedule.settings
    if not settings.refresh_window_days:
        return TickToFire(tick, run)
    if problems := "; ".join(inexact_writes(run.snapshot)):
        return TickToFire(tick, run, message=f"the refresh window was not begun: {problems}"[:_MAX_MESSAGE])
    day = day_of(settings, tick)
    window = BackfillSettings(
        name=settings.name,
        start_date=day - timedelta(days=settings.refresh_window_days),
        end_date=day,
        variables=settings.variables,
        order=BackfillOrder.NEWEST_FIRST,
        reprocess=Reprocess.ALL,
    )
    days, _ = days_to_run(window, [schedule.tenant_id], {})
    refresh = NewBackfill(str(uuid4()), (schedule.tenant_id,), window, tuple(days), schedule_id=schedule.schedule_id)
    return TickToFire(tick, run, refresh)


@contextmanager
def _refusals() -> Iterator[None]:
    """What is said of a run that is refused. Raises _NoRun."""
    try:
        yield
    except TenantNotActive as error:
        raise _NoRun(TickOutcome.SKIPPED, error.message) from None
    except TenantGone:
        raise _NoRun(TickOutcome.SKIPPED, why_inactive(TenantState.OFFBOARDED, "")) from None
    except QuotaExceeded as exceeded:
        raise _NoRun(TickOutcome.REFUSED, QuotaExhausted(exceeded).message) from None
    except ServiceError as error:
        raise _NoRun(TickOutcome.REFUSED, error.message, is_failure=True) from None


def _tell(schedule: Schedule, reason: _NoRun) -> None:
    level = logging.WARNING if reason.outcome is TickOutcome.REFUSED else logging.INFO
    logger.log(level, "A tick starts no run: %s", reason.message, extra=_fields(schedule))


def _fields(schedule: Schedule) -> dict[str, str]:
    return {"tenant_id": schedule.tenant_id, "schedule_id": schedule.schedule_id}
