"""Ticks: each a row, stored in the transaction of its run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.pipeline import PipelineName
from server.domain.schedule import Overlap, Schedule, Tick, TickOutcome
from server.domain.ticks import day_of
from server.store.schedule_port import TickFilter, TickPosition, TickToRecord
from server.store.sql.database import Row, Transaction, found, from_micros, marks, to_micros
from server.store.sql.outbox import note, note_many
from server.store.sql.rows import moment

_AT_A_TIME = 500
_PLACE = "tenant_id = ? AND schedule_id = ? AND nominal_time = ?"
_IS_BUFFERED = "outcome = 'BUFFERED' AND tenant_id = ? AND schedule_id = ?"
_OPEN = "runs.schedule_id != '' AND backfill_id = '' AND status IN ('PENDING', 'RUNNING', 'CANCELLING')"
_IS_OPEN = f"tenant_id = ? AND schedule_id = ? AND {_OPEN}"


def without(skip: Collection[tuple[str, str]], table: str = "schedules") -> tuple[str, list[object]]:
    """A condition that leaves out those schedules, to be appended with AND, and its values."""
    if not skip:
        return "", []
    pairs = ", ".join(["(?, ?)"] * len(skip))
    return f" AND ({table}.tenant_id, {table}.schedule_id) NOT IN (VALUES {pairs})", [
        part for pair in skip for part in pair
    ]


_INSERT = """
INSERT INTO scheduled_runs (tenant_id, schedule_id, nominal_time, provider, domain, template_name, fired_at, run_date,
                            outcome, message, pipeline_logging_id, pipeline_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, schedule_id, nominal_time)
"""
# One that waits starts its run, or does not; the schedule may have been changed since.
_REPLACE_OPEN = """
DO UPDATE SET provider = excluded.provider, domain = excluded.domain, template_name = excluded.template_name,
              fired_at = excluded.fired_at, run_date = excluded.run_date, outcome = excluded.outcome,
              message = excluded.message, pipeline_logging_id = excluded.pipeline_logging_id,
              pipeline_id = excluded.pipeline_id
WHERE scheduled_runs.outcome = 'BUFFERED'
"""


def is_dealt_with(tx: Transaction, schedule: Schedule, nominal_time: datetime) -> bool:
    """Whether the tick has a record."""
    place = (schedule.tenant_id, schedule.schedule_id, to_micros(nominal_time))
    return tx.execute(f"SELECT 1 FROM scheduled_runs WHERE {_PLACE}", place).fetchone() is not None


def record(tx: Transaction, schedule: Schedule, tick: TickToRecord, run: tuple[str, str] = ("", "")) -> None:
    """Store what becomes of a tick; `run` is its run's pipeline_logging_id and pipeline_id."""
    tx.execute(f"{_INSERT} {_REPLACE_OPEN}", _values(tx, schedule, tick, run))
    note(tx, schedule.tenant_id, "tick", _key(schedule, tick.nominal_time))


def _values(
    tx: Transaction, schedule: Schedule, tick: TickToRecord, run: tuple[str, str] = ("", "")
) -> tuple[object, ...]:
    name = schedule.settings.name
    return (
        schedule.tenant_id,
        schedule.schedule_id,
        to_micros(tick.nominal_time),
        name.provider,
        name.domain,
        name.template_name,
        tx.now,
        day_of(schedule.settings, tick.nominal_time).isoformat(),
        tick.outcome,
        tick.message,
        *run,
    )


def _key(schedule: Schedule, nominal_time: datetime) -> str:
    """What the outbox names a tick by."""
    return f"{schedule.schedule_id}/{to_micros(nominal_time)}"


def record_all(tx: Transaction, schedule: Schedule, ticks: Sequence[TickToRecord]) -> None:
    """Store ticks, but for those that have been dealt with before. After an outage they are very many."""
    if ticks:
        tx.executemany(f"{_INSERT} DO NOTHING", [_values(tx, schedule, tick) for tick in ticks])
        note_many(tx, schedule.tenant_id, [("tick", _key(schedule, tick.nominal_time)) for tick in ticks])


@dataclass(frozen=True, slots=True)
class Standing:
    """What a tick meets when its turn comes."""

    is_dealt_with: bool
    """It has a record."""
    is_another_next: bool
    """An earlier tick of the schedule waits."""
    is_run_open: bool
    """The run of an earlier tick has not ended."""


def standing(tx: Transaction, schedule: Schedule, nominal_time: datetime) -> Standing:
    """What the tick meets."""
    of_schedule = (schedule.tenant_id, schedule.schedule_id)
    row = found(
        tx.execute(
            f"SELECT EXISTS (SELECT 1 FROM scheduled_runs WHERE {_PLACE}) AS dealt_with,"
            f" EXISTS (SELECT 1 FROM scheduled_runs WHERE {_IS_BUFFERED}) AS another_next,"
            f" EXISTS (SELECT 1 FROM runs WHERE {_IS_OPEN}) AS run_open",
            (*of_schedule, to_micros(nominal_time), *of_schedule, *of_schedule),
        ).fetchone()
    )
    return Standing(bool(row["dealt_with"]), bool(row["another_next"]), bool(row["run_open"]))


def is_buffered(tx: Transaction, schedule: Schedule, nominal_time: datetime) -> bool:
    """Whether the tick still waits."""
    place = (schedule.tenant_id, schedule.schedule_id, to_micros(nominal_time))
    row = tx.execute(f"SELECT 1 FROM scheduled_runs WHERE {_PLACE} AND outcome = 'BUFFERED'", place).fetchone()
    return row is not None


def has_open_run(tx: Transaction, schedule: Schedule) -> bool:
    """Whether the run of an earlier tick has not ended."""
    of_schedule = (schedule.tenant_id, schedule.schedule_id)
    return tx.execute(f"SELECT 1 FROM runs WHERE {_IS_OPEN} LIMIT 1", of_schedule).fetchone() is not None


def _buffered(tx: Transaction, schedule: Schedule, limit: int) -> list[datetime]:
    rows = tx.execute(
        f"SELECT nominal_time FROM scheduled_runs WHERE {_IS_BUFFERED} ORDER BY nominal_time LIMIT ?",
        (schedule.tenant_id, schedule.schedule_id, limit),
    )
    return [from_micros(row["nominal_time"]) for row in rows.fetchall()]


def skip_buffered(tx: Transaction, schedule: Schedule, message: str) -> None:
    """Let no tick of the schedule wait any more."""
    while waiting := _buffered(tx, schedule, _AT_A_TIME):
        for tick in waiting:
            record(tx, schedule, TickToRecord(tick, TickOutcome.SKIPPED, message))


def waiting(tx: Transaction, skip: Collection[tuple[str, str]], limit: int) -> list[Row]:
    """Rows of BUFFERED ticks whose schedules have no open run, or need none to have ended; the oldest first."""
    others, values = without(skip, "ticks")
    same = "runs.tenant_id = ticks.tenant_id AND runs.schedule_id = ticks.schedule_id"
    rows = tx.execute(
        f"""
        SELECT ticks.* FROM scheduled_runs AS ticks
        JOIN schedules ON schedules.tenant_id = ticks.tenant_id AND schedules.schedule_id = ticks.schedule_id
        WHERE outcome = 'BUFFERED' AND is_paused = 0
          AND (overlap = ? OR NOT EXISTS (SELECT 1 FROM runs WHERE {same} AND {_OPEN})){others}
        ORDER BY nominal_time LIMIT ?
        """,
        (Overlap.ALLOW, *values, limit),
    )
    return list(rows.fetchall())


def tick_of(row: Row) -> Tick:
    """A row of `scheduled_runs`."""
    return Tick(
        tenant_id=row["tenant_id"],
        schedule_id=row["schedule_id"],
        nominal_time=from_micros(row["nominal_time"]),
        name=PipelineName(row["provider"], row["domain"], row["template_name"]),
        fired_at=from_micros(row["fired_at"]),
        date=row["run_date"],
        outcome=TickOutcome(row["outcome"]),
        pipeline_logging_id=row["pipeline_logging_id"],
        pipeline_id=row["pipeline_id"],
        message=row["message"],
    )


_AHEAD = "tenant_id = ? AND schedule_id = ? AND fired_at > ?"


def first_missed_ahead(tx: Transaction, schedule: Schedule) -> datetime | None:
    """The first tick that was MISSED by a time that is still to come."""
    row = tx.execute(
        f"SELECT MIN(nominal_time) AS first FROM scheduled_runs WHERE {_AHEAD} AND outcome = 'MISSED'",
        (schedule.tenant_id, schedule.schedule_id, tx.now),
    ).fetchone()
    return moment(row["first"]) if row else None


def undo_ahead(tx: Transaction, schedule: Schedule, start: datetime) -> int:
    """Of the ticks that were dealt with at a time that is still to come, forget those from `start` on without a run.

    The others count as dealt with now. Answers how many of those that are forgotten were MISSED.
    """
    ahead = (schedule.tenant_id, schedule.schedule_id, tx.now)
    rows = tx.execute(
        f"DELETE FROM scheduled_runs WHERE {_AHEAD} AND nominal_time >= ? AND pipeline_logging_id = ''"
        " RETURNING outcome",
        (*ahead, to_micros(start)),
    ).fetchall()
    kept = tx.execute(
        f"UPDATE scheduled_runs SET fired_at = ? WHERE {_AHEAD} RETURNING nominal_time", (tx.now, *ahead)
    ).fetchall()
    note_many(tx, schedule.tenant_id, [("tick", _key(schedule, from_micros(row["nominal_time"]))) for row in kept])
    return sum(row["outcome"] == TickOutcome.MISSED for row in rows)


def list_ticks(tx: Transaction, wanted: TickFilter, after: TickPosition | None, limit: int) -> list[Tick]:
    """A page of ticks, newest first."""
    where, values = ["tenant_id = ?"], list[object]([wanted.tenant_id])
    if wanted.schedule_id:
        where.append("schedule_id = ?")
        values.append(wanted.schedule_id)
    if wanted.outcomes:
        where.append(f"outcome IN {marks(wanted.outcomes)}")
        values += wanted.outcomes
    if after is not None:
        where.append("(nominal_time, schedule_id) < (?, ?)")
        values += [to_micros(after.nominal_time), after.schedule_id]
    rows = tx.execute(
        f"SELECT * FROM scheduled_runs WHERE {' AND '.join(where)}"
        " ORDER BY nominal_time DESC, schedule_id DESC LIMIT ?",
        (*values, limit),
    )
    return [tick_of(row) for row in rows]


def ticks_of(tx: Transaction, tenant_id: str, keys: Collection[tuple[str, int]]) -> list[Tick]:
    """The ticks of a tenant with those keys."""
    rows = (
        tx.execute(f"SELECT * FROM scheduled_runs WHERE {_PLACE}", (tenant_id, schedule_id, nominal)).fetchone()
        for schedule_id, nominal in keys
    )
    return [tick_of(row) for row in rows if row is not None]


def remove(tx: Transaction, dealt_with_before: int, limit: int) -> int:
    """Remove ticks that were dealt with before then; not one that is still to come, lest it fires once more."""
    rows = tx.execute(
        "SELECT tenant_id, schedule_id, nominal_time FROM scheduled_runs WHERE fired_at < ? AND nominal_time < ?"
        f" AND outcome != 'BUFFERED' ORDER BY fired_at LIMIT ?{tx.skip_locked}",
        (dealt_with_before, dealt_with_before, limit),
    ).fetchall()
    places = [(row["tenant_id"], row["schedule_id"], row["nominal_time"]) for row in rows]
    tx.executemany(f"DELETE FROM scheduled_runs WHERE {_PLACE}", places)
    return len(places)
