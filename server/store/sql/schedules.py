"""Schedules: made, read, changed, paused."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from server.domain.audit import PRODUCT, Actor, AuditAction
from server.domain.backfill import BackfillState
from server.domain.run import Run, RunStatus
from server.domain.schedule import MAX_SCHEDULES, NewSchedule, Schedule, ScheduleSettings, ScheduleState, TickOutcome
from server.domain.ticks import fire_time, first_tick, first_to_fire, reckon
from server.store.port import RequestKey
from server.store.schedule_port import (
    DueSchedules,
    MadeAndGone,
    NeverFires,
    ScheduleChanged,
    ScheduleConflict,
    ScheduleFilter,
    SchedulePosition,
    Settlement,
    TickToRecord,
    TooManySchedules,
)
from server.store.sql import audit, backfills, ticks
from server.store.sql.database import Row, Transaction, found, from_micros, to_micros
from server.store.sql.offboarded import require_not_gone
from server.store.sql.queues import lock
from server.store.sql.rows import micros, moment
from server.store.sql.runs import requested, take_request

_PLACE = "tenant_id = ? AND schedule_id = ?"
_IS_ENDED = "(end_time IS NOT NULL AND end_time <= ?)"
_STATES = {
    ScheduleState.ACTIVE: f"(is_paused = 0 AND NOT {_IS_ENDED})",
    ScheduleState.PAUSED: f"(is_paused = 1 AND NOT {_IS_ENDED})",
    ScheduleState.ENDED: _IS_ENDED,
}
# Clocks are set by less all the time.
_TOLERANCE_MICROS = 60 * 1_000_000
_TIMING = ("cron", "interval", "time_zone", "start_time", "end_time", "jitter")


def create(tx: Transaction, new: NewSchedule, by: Actor, request: RequestKey | None) -> Schedule:
    """Store a schedule, or find the one that the same request has made."""
    if request is not None and not take_request(tx, request, new.schedule_id):
        return _found(find_request(tx, request))
    lock(tx, new.tenant_id)
    require_not_gone(tx, new.tenant_id)
    count = found(
        tx.execute("SELECT COUNT(*) AS count FROM schedules WHERE tenant_id = ?", (new.tenant_id,)).fetchone()
    )
    if count["count"] >= MAX_SCHEDULES:
        raise TooManySchedules(new.tenant_id)
    schedule = insert(tx, new, by)
    if schedule.next_tick is None and schedule.state is not ScheduleState.PAUSED:
        raise NeverFires(new.schedule_id)
    return schedule


def insert(tx: Transaction, new: NewSchedule, by: Actor) -> Schedule:
    """Store a schedule; it fires from this moment on, unless it begins paused. Raises ScheduleConflict."""
    is_paused = bool(new.pause_reason)
    schedule = Schedule(
        tenant_id=new.tenant_id,
        schedule_id=new.schedule_id,
        settings=new.settings,
        state=ScheduleState.PAUSED if is_paused else ScheduleState.ACTIVE,
        created_at=from_micros(tx.now),
        updated_at=from_micros(tx.now),
    )
    inserted = tx.execute(
        """
        INSERT INTO schedules (tenant_id, schedule_id, provider, domain, template_name, settings, overlap, end_time,
                               is_paused, pause_reason, next_tick, due_at, moved_at, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
        """,
        (
            new.tenant_id,
            new.schedule_id,
            *_settings_columns(new.settings),
            int(is_paused),
            new.pause_reason,
            *_first(tx, schedule, is_paused=is_paused),
            tx.now,
            tx.now,
        ),
    ).rowcount
    if not inserted:
        raise ScheduleConflict(new.schedule_id)
    _audit(tx, by, AuditAction.SCHEDULE_CREATE, schedule, {"pipeline": str(new.settings.name)})
    return _stored(tx, new.tenant_id, new.schedule_id)


def _settings_columns(settings: ScheduleSettings) -> tuple[object, ...]:
    name = settings.name
    body = settings.model_dump_json(exclude_defaults=True)
    return name.provider, name.domain, name.template_name, body, settings.overlap, micros(settings.end_time)


_NEXT = ("next_tick", "due_at", "moved_at")


def _first(tx: Transaction, schedule: Schedule, *, is_paused: bool) -> tuple[int | None, int | None, int]:
    """For `_NEXT`: the first tick from now on, and when it fires; nothing of a schedule that is paused."""
    tick = None if is_paused else first_tick(schedule, from_micros(tx.now))
    return micros(tick), micros(fire_time(schedule, tick) if tick else None), tx.now


def find_request(tx: Transaction, request: RequestKey) -> Schedule | None:
    """The schedule that the same request has made. Raises RequestConflict, MadeAndGone."""
    schedule_id = requested(tx, request)
    if schedule_id is None:
        return None
    if (made := find(tx, request.tenant_id, schedule_id)) is None:
        raise MadeAndGone(schedule_id)
    return made


def find(tx: Transaction, tenant_id: str, schedule_id: str, lock_as: str = "") -> Schedule | None:
    """The schedule."""
    row = tx.execute(f"SELECT * FROM schedules WHERE {_PLACE}{lock_as}", (tenant_id, schedule_id)).fetchone()
    return None if row is None else schedule_of(tx, row)


def _stored(tx: Transaction, tenant_id: str, schedule_id: str) -> Schedule:
    return _found(find(tx, tenant_id, schedule_id))


def _found(schedule: Schedule | None) -> Schedule:
    if schedule is None:
        raise LookupError("a schedule that the store relies on is missing")
    return schedule


def schedule_of(tx: Transaction, row: Row) -> Schedule:
    """A row of `schedules`, as it stands at this moment."""
    is_ended = row["end_time"] is not None and row["end_time"] <= tx.now
    state = ScheduleState.PAUSED if row["is_paused"] else ScheduleState.ACTIVE
    return Schedule(
        tenant_id=row["tenant_id"],
        schedule_id=row["schedule_id"],
        settings=ScheduleSettings.model_validate_json(row["settings"]),
        state=ScheduleState.ENDED if is_ended else state,
        pause_reason=row["pause_reason"],
        next_tick=moment(row["next_tick"]),
        due_at=moment(row["due_at"]),
        missed_ticks=row["missed_ticks"],
        consecutive_failures=row["consecutive_failures"],
        last_run=row["last_run"],
        revision=row["revision"],
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
    )


def list_schedules(
    tx: Transaction, wanted: ScheduleFilter, after: SchedulePosition | None, limit: int
) -> list[Schedule]:
    """A page of schedules, by tenant and id or by when they fire next."""
    filters = {
        "tenant_id": wanted.tenant_id,
        "provider": wanted.provider,
        "domain": wanted.domain,
        "template_name": wanted.template_name,
    }
    used = {name: value for name, value in filters.items() if value}
    where, values = [f"{name} = ?" for name in used], list[object](used.values())
    if wanted.states:
        where.append(f"({' OR '.join(_STATES[state] for state in wanted.states)})")
        values += [tx.now] * len(wanted.states)
    order = "tenant_id, schedule_id"
    if wanted.soonest_first:
        order = f"due_at, {order}"
        where.append(f"due_at IS NOT NULL AND {_STATES[ScheduleState.ACTIVE]}")
        values.append(tx.now)
    if after is not None:
        where.append(f"({order}) > ({'?, ' if wanted.soonest_first else ''}?, ?)")
        values += [micros(after.fires_at)] if wanted.soonest_first else []
        values += [after.tenant_id, after.schedule_id]
    rows = tx.execute(
        f"SELECT * FROM schedules WHERE {' AND '.join(where) or 'TRUE'} ORDER BY {order} LIMIT ?",
        (*values, limit),
    )
    return [schedule_of(tx, row) for row in rows.fetchall()]


def due(tx: Transaction, skip: Collection[tuple[str, str]], limit: int) -> DueSchedules:
    """Schedules with a tick to deal with, those that wait longest first."""
    without, values = ticks.without(skip)
    rows = tx.execute(
        f"SELECT * FROM schedules WHERE due_at <= ? AND is_paused = 0{without} ORDER BY due_at LIMIT ?",
        (tx.now, *values, limit),
    )
    due = [schedule_of(tx, row) for row in rows.fetchall()]
    ahead = tx.execute(
        f"SELECT * FROM schedules WHERE moved_at > ?{without} ORDER BY moved_at LIMIT ?",
        (tx.now + _TOLERANCE_MICROS, *values, limit),
    )
    return DueSchedules(from_micros(tx.now), due, [schedule_of(tx, row) for row in ahead.fetchall()])


def is_ahead(tx: Transaction, moment: datetime) -> bool:
    """Whether that is still to come, so that whoever took it for the present was wrong."""
    return to_micros(moment) > tx.now + _TOLERANCE_MICROS


def locked(tx: Transaction, tenant_id: str, schedule_id: str) -> Schedule | None:
    """The schedule as nobody else can change it, or start or end its runs, before this transaction ends."""
    lock(tx, tenant_id)
    return find(tx, tenant_id, schedule_id, tx.for_update)


def _unchanged(tx: Transaction, was: Schedule) -> Schedule:
    """The schedule, locked. Raises ScheduleChanged when it is not as it was, but for its ticks."""
    schedule = locked(tx, was.tenant_id, was.schedule_id)
    if schedule is None or schedule.etag != was.etag:
        raise ScheduleChanged(was.schedule_id)
    return _corrected(tx, schedule)


def _corrected(tx: Transaction, schedule: Schedule) -> Schedule:
    """The schedule as it goes on from now, also when nobody has noticed yet that it was ahead."""
    place = (schedule.tenant_id, schedule.schedule_id)
    row = found(tx.execute(f"SELECT moved_at FROM schedules WHERE {_PLACE}", place).fetchone())
    if not is_ahead(tx, from_micros(row["moved_at"])):
        return schedule
    turn_back(tx, schedule)
    return _stored(tx, *place)


def update(tx: Transaction, was: Schedule, settings: ScheduleSettings, by: Actor) -> Schedule:
    """Change what a person says of a schedule."""
    schedule = _unchanged(tx, was)
    changed = schedule.model_copy(update={"settings": settings})
    old, new = schedule.settings.model_dump(mode="json"), settings.model_dump(mode="json")
    told = {name: json.dumps(value) for name, value in new.items() if value != old[name]}
    _set(
        tx,
        changed,
        ("provider", "domain", "template_name", "settings", "overlap", "end_time"),
        _settings_columns(settings),
    )
    if told.keys() & set(_TIMING):
        _close_passed(tx, schedule, "the schedule was changed before it fired")
        _set(tx, changed, _NEXT, _first(tx, changed, is_paused=_is_paused(tx, schedule)))
    return _touched(tx, changed, by, AuditAction.SCHEDULE_UPDATE, told)


def delete(tx: Transaction, was: Schedule, by: Actor) -> None:
    """Remove a schedule; the records of its ticks stay."""
    schedule = _unchanged(tx, was)
    _close_passed(tx, schedule, "the schedule was deleted before it fired")
    ticks.skip_buffered(tx, schedule, "the schedule was deleted while it waited")
    if window := backfills.open_of_schedule(tx, was.tenant_id, was.schedule_id):
        backfills.change(tx, window, BackfillState.CANCELLING, "its schedule was deleted", by)
    tx.execute(f"DELETE FROM schedules WHERE {_PLACE}", (was.tenant_id, was.schedule_id))
    _audit(tx, by, AuditAction.SCHEDULE_DELETE, schedule, {})


def pause(tx: Transaction, tenant_id: str, schedule_id: str, reason: str, by: Actor) -> Schedule | None:
    """Stop a schedule, or give another reason for its pause."""
    schedule = locked(tx, tenant_id, schedule_id)
    # Whoever pauses once more and gives no reason takes none away.
    return None if schedule is None else _pause(tx, _corrected(tx, schedule), reason or schedule.pause_reason, by)


def pause_all(tx: Transaction, tenant_id: str, reason: str, by: Actor) -> None:
    """Stop every schedule of a tenant."""
    rows = tx.execute("SELECT schedule_id FROM schedules WHERE tenant_id = ? AND is_paused = 0", (tenant_id,))
    for row in rows.fetchall():
        pause(tx, tenant_id, row["schedule_id"], reason, by)


def _pause(tx: Transaction, schedule: Schedule, reason: str, by: Actor) -> Schedule:
    _close_passed(tx, schedule, "the schedule was paused before it fired")
    ticks.skip_buffered(tx, schedule, "the schedule was paused while it waited")
    _set(tx, schedule, ("is_paused", "pause_reason", "next_tick", "due_at"), (1, reason, None, None))
    return _touched(tx, schedule, by, AuditAction.SCHEDULE_PAUSE, {"reason": reason})


def resume(tx: Transaction, tenant_id: str, schedule_id: str, by: Actor) -> Schedule | None:
    """Let a schedule fire from this moment on. Raises TenantGone."""
    schedule = locked(tx, tenant_id, schedule_id)
    # One that fires already must not leave out a tick that is due.
    if schedule is None or not _is_paused(tx, schedule):
        return schedule
    require_not_gone(tx, tenant_id)
    schedule = _corrected(tx, schedule)
    columns = ("is_paused", "pause_reason", "consecutive_failures", *_NEXT)
    _set(tx, schedule, columns, (0, "", 0, *_first(tx, schedule, is_paused=False)))
    return _touched(tx, schedule, by, AuditAction.SCHEDULE_RESUME, {})


def _is_paused(tx: Transaction, schedule: Schedule) -> bool:
    place = (schedule.tenant_id, schedule.schedule_id)
    return tx.execute(f"SELECT 1 FROM schedules WHERE {_PLACE} AND is_paused = 1", place).fetchone() is not None


def _close_passed(tx: Transaction, schedule: Schedule, message: str) -> None:
    """Record the ticks that have passed and that nobody has dealt with yet: none is without a record."""
    now = from_micros(tx.now)
    # Also those that would fire later: the next one is looked for from this moment on.
    at_once = schedule.settings.model_copy(update={"jitter": timedelta()})
    schedule = schedule.model_copy(update={"settings": at_once})
    while True:
        reckoning = reckon(schedule, now)
        records = [TickToRecord(tick, TickOutcome.MISSED) for tick in reckoning.recorded]
        records += [TickToRecord(tick, TickOutcome.SKIPPED, message) for tick in reckoning.to_run]
        ticks.record_all(tx, schedule, records)
        _add_missed(tx, schedule, reckoning.missed)
        if reckoning.next_tick == schedule.next_tick:
            return
        schedule = schedule.model_copy(update={"next_tick": reckoning.next_tick})


def _add_missed(tx: Transaction, schedule: Schedule, count: int) -> None:
    if count:
        tx.execute(
            f"UPDATE schedules SET missed_ticks = missed_ticks + ? WHERE {_PLACE}",
            (count, schedule.tenant_id, schedule.schedule_id),
        )


def move_on(tx: Transaction, schedule: Schedule, settlement: Settlement, run: str) -> None:
    """Go on with another tick; `run` was started by this one, unless it is ''."""
    _set(
        tx,
        schedule,
        (*_NEXT, "missed_ticks", "last_run"),
        (
            micros(settlement.next_tick),
            micros(settlement.due_at),
            tx.now,
            schedule.missed_ticks + settlement.missed,
            run or schedule.last_run,
        ),
    )


def turn_back(tx: Transaction, schedule: Schedule) -> None:
    """Go on from now: what was decided at a time that is still to come holds no longer, but for runs that started."""
    now = from_micros(tx.now)
    schedule = schedule.model_copy(update={"created_at": min(schedule.created_at, now)})
    tick = None
    if not _is_paused(tx, schedule):
        missed = ticks.first_missed_ahead(tx, schedule)
        tick = min(filter(None, (first_to_fire(schedule, now), missed)), default=None)
    undone = ticks.undo_ahead(tx, schedule, tick or now)
    if tick is not None and (schedule.next_tick is None or tick < schedule.next_tick):
        _set(tx, schedule, ("next_tick", "due_at"), (micros(tick), micros(fire_time(schedule, tick))))
    columns = ("created_at", "missed_ticks", "moved_at")
    _set(tx, schedule, columns, (micros(schedule.created_at), max(0, schedule.missed_ticks - undone), tx.now))


def note_run(tx: Transaction, schedule: Schedule, pipeline_logging_id: str) -> None:
    """Remember the latest run."""
    _set(tx, schedule, ("last_run",), (pipeline_logging_id,))


def count_end(tx: Transaction, run: Run) -> None:
    """Count the end of a run that a tick, or the retry of such a run, has started."""
    if not run.schedule_id or run.backfill_id or run.status is RunStatus.CANCELLED:
        # Somebody's wish is no failure, and a refresh window is not the schedule's own run.
        return
    schedule = locked(tx, run.tenant_id, run.schedule_id)
    # One of the same id may have been made since.
    if schedule is None or run.created_at < schedule.created_at:
        return
    if run.status is RunStatus.SUCCESS:
        _set(tx, schedule, ("consecutive_failures",), (0,))
    elif not run.retry_of:
        # Its tick has been counted.
        count_failure(tx, schedule, f"the latest is {run.pipeline_logging_id}")


def count_failure(tx: Transaction, schedule: Schedule, told: str) -> None:
    """Count a tick whose run failed or was refused; the schedule is paused when they are as many as it says."""
    failures = schedule.consecutive_failures + 1
    _set(tx, schedule, ("consecutive_failures",), (failures,))
    limit = schedule.settings.pause_after_failures
    if limit and failures >= limit and not _is_paused(tx, schedule):
        present = _stored(tx, schedule.tenant_id, schedule.schedule_id)
        _pause(tx, present, f"{failures} failures in a row; {told}", PRODUCT)


def _set(tx: Transaction, schedule: Schedule, columns: Sequence[str], values: Sequence[object]) -> None:
    assignments = ", ".join(f"{column} = ?" for column in columns)
    tx.execute(
        f"UPDATE schedules SET {assignments} WHERE {_PLACE}", (*values, schedule.tenant_id, schedule.schedule_id)
    )


def _touched(tx: Transaction, schedule: Schedule, by: Actor, action: AuditAction, told: dict[str, str]) -> Schedule:
    """The schedule after a change, which its etag tells."""
    _set(tx, schedule, ("revision", "updated_at"), (schedule.revision + 1, tx.now))
    _audit(tx, by, action, schedule, told)
    return _stored(tx, schedule.tenant_id, schedule.schedule_id)


def _audit(tx: Transaction, by: Actor, action: AuditAction, schedule: Schedule, told: dict[str, str]) -> None:
    audit.record(tx, by, action, schedule.schedule_id, tenant_id=schedule.tenant_id, details=told)
