"""Schedules at work: ticks that have passed, and the runs that they start."""

from collections.abc import Collection

from server.domain.audit import PRODUCT
from server.domain.quotas import Plans
from server.domain.schedule import Overlap, Schedule, TickOutcome
from server.store.schedule_port import Settlement, TickToFire, TickToRecord, WaitingTick
from server.store.sql import backfills, schedules, ticks
from server.store.sql.database import Transaction
from server.store.sql.queues import move, why_none_yields
from server.store.sql.runs import accept


def settle(tx: Transaction, was: Schedule, settlement: Settlement, plans: Plans) -> str | None:
    """Record what becomes of ticks that have passed, and go on with the next.

    None when that has been done, and when they have not passed: the time by which they had was wrong.
    """
    schedule = _locked(tx, was)
    if schedule is None or schedule.etag != was.etag or schedule.next_tick != was.next_tick:
        return None
    if schedules.is_ahead(tx, settlement.at):
        return None
    refused = [tick for tick in settlement.recorded if tick.is_failure]
    failed = [tick for tick in refused if not ticks.is_dealt_with(tx, schedule, tick.nominal_time)]
    ticks.record_all(tx, schedule, settlement.recorded)
    run = _fire(tx, schedule, settlement.fired, plans) if settlement.fired else ""
    schedules.move_on(tx, schedule, settlement, run)
    for tick in failed:
        schedules.count_failure(tx, schedule, tick.message)
    return run


def _locked(tx: Transaction, was: Schedule) -> Schedule | None:
    """The schedule, with its tenant's queue, which runs that start and end need."""
    move(tx, was.tenant_id)
    return schedules.find(tx, was.tenant_id, was.schedule_id, tx.for_update)


def _fire(tx: Transaction, schedule: Schedule, fired: TickToFire, plans: Plans) -> str:
    """Start the run of a tick, or let the tick wait, or skip it, as the schedule says; answers the run's id or ''."""
    standing = ticks.standing(tx, schedule, fired.nominal_time)
    if standing.is_dealt_with:
        return ""
    outcome, message = _place(schedule.settings.overlap, standing)
    if outcome is TickOutcome.FIRED:
        return _start(tx, schedule, fired, plans)
    ticks.record(tx, schedule, TickToRecord(fired.nominal_time, outcome, message))
    return ""


def _place(overlap: Overlap, standing: ticks.Standing) -> tuple[TickOutcome, str]:
    """What becomes of a tick at this moment, and why."""
    if overlap is Overlap.ALLOW or not (standing.is_another_next or standing.is_run_open):
        return TickOutcome.FIRED, ""
    if standing.is_another_next:
        return TickOutcome.SKIPPED, "an earlier tick waits already"
    if overlap is Overlap.BUFFER_ONE:
        return TickOutcome.BUFFERED, "it waits for the run of an earlier tick"
    return TickOutcome.SKIPPED, "the run of an earlier tick had not ended"


def _start(tx: Transaction, schedule: Schedule, fired: TickToFire, plans: Plans) -> str:
    run = accept(tx, fired.run, plans)
    message = fired.message or _begin_refresh(tx, schedule, fired, plans)
    tick = TickToRecord(fired.nominal_time, TickOutcome.FIRED, message)
    ticks.record(tx, schedule, tick, (run.pipeline_logging_id, run.pipeline_id))
    return run.pipeline_logging_id


def _begin_refresh(tx: Transaction, schedule: Schedule, fired: TickToFire, plans: Plans) -> str:
    """Begin with the refresh window, unless an earlier one goes on or none could end; then that is told."""
    if fired.refresh is None:
        return ""
    if why := why_none_yields(tx, schedule.tenant_id, plans):
        return f"the refresh window was not begun: {why}"
    if earlier := backfills.open_of_schedule(tx, schedule.tenant_id, schedule.schedule_id):
        return f"the refresh window was not begun: that of an earlier tick goes on, backfill {earlier}"
    backfills.insert(tx, fired.refresh, PRODUCT)
    return ""


def waiting_ticks(tx: Transaction, skip: Collection[tuple[str, str]], limit: int) -> list[WaitingTick]:
    """BUFFERED ticks whose turn it is: of a schedule one, unless its runs may overlap."""
    found = list[WaitingTick]()
    of_schedule = dict[tuple[str, str], Schedule]()
    for row in ticks.waiting(tx, skip, limit):
        tick = ticks.tick_of(row)
        place = (tick.tenant_id, tick.schedule_id)
        is_first = place not in of_schedule
        schedule = of_schedule[place] if not is_first else schedules.find(tx, *place)
        if schedule is not None and (is_first or schedule.settings.overlap is Overlap.ALLOW):
            of_schedule[place] = schedule
            found.append(WaitingTick(schedule, tick))
    return found


def start_tick(tx: Transaction, waiting: WaitingTick, fired: TickToFire, plans: Plans) -> bool:
    """Start the run of a BUFFERED tick; False when it is not its turn any more."""
    schedule = _locked(tx, waiting.schedule)
    if schedule is None or not ticks.is_buffered(tx, schedule, waiting.tick.nominal_time):
        return False
    if schedule.settings.overlap is not Overlap.ALLOW and ticks.has_open_run(tx, schedule):
        return False
    schedules.note_run(tx, schedule, _start(tx, schedule, fired, plans))
    return True


def refuse_tick(tx: Transaction, waiting: WaitingTick, tick: TickToRecord) -> None:
    """A BUFFERED tick starts no run."""
    schedule = _locked(tx, waiting.schedule)
    if schedule is None or not ticks.is_buffered(tx, schedule, tick.nominal_time):
        return
    ticks.record(tx, schedule, tick)
    if tick.is_failure:
        schedules.count_failure(tx, schedule, tick.message)


def turn_back(tx: Transaction, was: Schedule) -> None:
    """The time went ahead and came back: go on from now, and deal anew with what started no run meanwhile."""
    schedule = _locked(tx, was)
    if schedule is not None:
        schedules.turn_back(tx, schedule)
