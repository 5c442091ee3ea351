"""Backfills: made, read, changed, and their days begun one after the other."""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import date

from server.domain.audit import Actor, AuditAction
from server.domain.backfill import Backfill, BackfillSettings, BackfillState, Day
from server.domain.pipeline import PipelineName
from server.domain.quotas import Plans
from server.domain.run import RunStatus
from server.store.port import NewRun, RequestKey
from server.store.schedule_port import (
    BackfillEnded,
    BackfillFilter,
    BackfillPosition,
    BackfillWork,
    NewBackfill,
    WaitingDay,
)
from server.store.sql import audit
from server.store.sql.database import Row, Transaction, from_micros, marks, to_micros
from server.store.sql.queues import move, require_half
from server.store.sql.rows import moment
from server.store.sql.runs import accept, requested, take_request
from server.store.sql.waiting import IS_HELD

_OPEN_RUNS = (
    "FROM runs WHERE runs.backfill_id = backfills.backfill_id AND runs.backfill_id != ''"
    " AND runs.status IN ('PENDING', 'RUNNING', 'CANCELLING')"
)
# One of a suspended tenant, which cannot begin, takes no place from the others.
_ACTIVE_RUNS = f"{_OPEN_RUNS} AND NOT (runs.status = 'PENDING' AND {IS_HELD})"
_HAS_ENDED = f"waiting_runs = 0 AND NOT EXISTS (SELECT 1 {_OPEN_RUNS})"


def latest_statuses(
    tx: Transaction, name: PipelineName, tenant_ids: Iterable[str], start: date, end: date
) -> Mapping[Day, RunStatus]:
    """The status of the latest run of each tenant's days."""
    latest = dict[Day, RunStatus]()
    for tenant_id in tenant_ids:
        rows = tx.execute(
            "SELECT run_date, status FROM runs WHERE tenant_id = ? AND template_name = ? AND run_date >= ?"
            " AND run_date < ? AND provider = ? AND domain = ? AND kind = 'EXECUTE'"
            " ORDER BY created_at, pipeline_logging_id",
            (tenant_id, name.template_name, start.isoformat(), end.isoformat(), name.provider, name.domain),
        )
        latest |= {(tenant_id, date.fromisoformat(row["run_date"])): RunStatus(row["status"]) for row in rows}
    return latest


def create(tx: Transaction, new: NewBackfill, by: Actor, request: RequestKey | None) -> Backfill:
    """Store a backfill, or find the one that the same request has made."""
    if request is not None and not take_request(tx, request, new.backfill_id):
        return _found(find_request(tx, request))
    insert(tx, new, by)
    return _found(find(tx, new.backfill_id))


def insert(tx: Transaction, new: NewBackfill, by: Actor) -> None:
    """Store a backfill with its days; one without any has finished."""
    state = BackfillState.ACTIVE if new.days else BackfillState.FINISHED
    owner = new.tenant_ids[0] if len(new.tenant_ids) == 1 else ""
    tx.execute(
        """
        INSERT INTO backfills (backfill_id, tenant_id, tenant_ids, schedule_id, settings, warnings, state,
                               max_active_runs, total_runs, skipped_days, waiting_runs, created_by, created_at,
                               finished_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            new.backfill_id,
            owner,
            json.dumps(new.tenant_ids),
            new.schedule_id,
            new.settings.model_dump_json(exclude_defaults=True),
            json.dumps(new.warnings),
            state,
            new.settings.max_active_runs,
            len(new.days),
            new.skipped_days,
            len(new.days),
            by.key_id,
            tx.now,
            tx.now if state.is_terminal else None,
        ),
    )
    tx.executemany(
        "INSERT INTO backfill_days (backfill_id, position, tenant_id, run_date) VALUES (?, ?, ?, ?)",
        [(new.backfill_id, position, tenant_id, day.isoformat()) for position, (tenant_id, day) in enumerate(new.days)],
    )
    told = {"pipeline": str(new.settings.name), "runs": str(len(new.days)), "schedule": new.schedule_id}
    audit.record(tx, by, AuditAction.BACKFILL_START, new.backfill_id, tenant_id=owner or None, details=told)


def find_request(tx: Transaction, request: RequestKey) -> Backfill | None:
    """The backfill that the same request has made. Raises RequestConflict."""
    backfill_id = requested(tx, request)
    return None if backfill_id is None else find(tx, backfill_id)


def find(tx: Transaction, backfill_id: str) -> Backfill | None:
    """The backfill, with what has become of its runs."""
    row = tx.execute("SELECT * FROM backfills WHERE backfill_id = ?", (backfill_id,)).fetchone()
    return None if row is None else _backfills_of(tx, [row])[0]


def _found(backfill: Backfill | None) -> Backfill:
    if backfill is None:
        raise LookupError("a backfill that the store relies on is missing")
    return backfill


def _backfills_of(tx: Transaction, rows: Collection[Row]) -> list[Backfill]:
    counted = dict[str, dict[RunStatus, int]]()
    ids = [row["backfill_id"] for row in rows]
    for row in tx.execute(
        f"SELECT backfill_id, status, COUNT(*) AS runs FROM runs WHERE backfill_id IN {marks(ids)}"
        " AND backfill_id != '' GROUP BY backfill_id, status",
        ids,
    ):
        counted.setdefault(row["backfill_id"], {})[RunStatus(row["status"])] = row["runs"]
    return [_backfill_of(row, counted.get(row["backfill_id"], {})) for row in rows]


def _backfill_of(row: Row, runs_by_status: dict[RunStatus, int]) -> Backfill:
    return Backfill(
        backfill_id=row["backfill_id"],
        tenant_ids=tuple(json.loads(row["tenant_ids"])),
        settings=BackfillSettings.model_validate_json(row["settings"]),
        state=BackfillState(row["state"]),
        total_runs=row["total_runs"],
        skipped_days=row["skipped_days"],
        waiting_runs=row["waiting_runs"],
        runs_by_status=runs_by_status,
        schedule_id=row["schedule_id"],
        created_by=row["created_by"],
        reason=row["reason"],
        warnings=tuple(json.loads(row["warnings"])),
        created_at=from_micros(row["created_at"]),
        finished_at=moment(row["finished_at"]),
    )


def list_backfills(
    tx: Transaction, wanted: BackfillFilter, after: BackfillPosition | None, limit: int
) -> list[Backfill]:
    """A page of backfills, newest first."""
    filters = {"tenant_id": wanted.tenant_id, "schedule_id": wanted.schedule_id}
    used = {name: value for name, value in filters.items() if value}
    where, values = [f"{name} = ?" for name in used], list[object](used.values())
    if wanted.states:
        where.append(f"state IN {marks(wanted.states)}")
        values += wanted.states
    if after is not None:
        where.append("(created_at, backfill_id) < (?, ?)")
        values += [to_micros(after.created_at), after.backfill_id]
    rows = tx.execute(
        f"SELECT * FROM backfills WHERE {' AND '.join(where) or 'TRUE'}"
        " ORDER BY created_at DESC, backfill_id DESC LIMIT ?",
        (*values, limit),
    )
    return _backfills_of(tx, rows.fetchall())


def change(tx: Transaction, backfill_id: str, state: BackfillState, reason: str, by: Actor) -> Backfill | None:
    """Let a backfill go on, wait or end."""
    row = _locked(tx, backfill_id)
    if row is None:
        return None
    now = BackfillState(row["state"])
    is_over = now in {BackfillState.CANCELLING, BackfillState.CANCELLED}
    if state is BackfillState.CANCELLING and is_over:
        return find(tx, backfill_id)
    if is_over or now.is_terminal:
        raise BackfillEnded(backfill_id)
    if state is BackfillState.ACTIVE:
        reason = ""
    elif state is now:
        # Whoever pauses once more and gives no reason takes none away.
        reason = reason or row["reason"]
    tx.execute("UPDATE backfills SET state = ?, reason = ? WHERE backfill_id = ?", (state, reason, backfill_id))
    if state is BackfillState.CANCELLING:
        tx.execute("DELETE FROM backfill_days WHERE backfill_id = ?", (backfill_id,))
        tx.execute(
            "UPDATE backfills SET total_runs = total_runs - waiting_runs, skipped_days = skipped_days + waiting_runs,"
            " waiting_runs = 0 WHERE backfill_id = ?",
            (backfill_id,),
        )
    told = {"reason": reason} if reason else {}
    audit.record(tx, by, _ACTIONS[state], backfill_id, tenant_id=row["tenant_id"] or None, details=told)
    end(tx, backfill_id)
    return find(tx, backfill_id)


_ACTIONS = {
    BackfillState.ACTIVE: AuditAction.BACKFILL_RESUME,
    BackfillState.PAUSED: AuditAction.BACKFILL_PAUSE,
    BackfillState.CANCELLING: AuditAction.BACKFILL_CANCEL,
}


def _locked(tx: Transaction, backfill_id: str) -> Row | None:
    return tx.execute(f"SELECT * FROM backfills WHERE backfill_id = ?{tx.for_update}", (backfill_id,)).fetchone()


def open_of_schedule(tx: Transaction, tenant_id: str, schedule_id: str) -> str:
    """The backfill of a schedule that has not ended, or ''."""
    row = tx.execute(
        "SELECT backfill_id FROM backfills WHERE tenant_id = ? AND schedule_id = ? AND schedule_id != ''"
        " AND finished_at IS NULL",
        (tenant_id, schedule_id),
    ).fetchone()
    return "" if row is None else str(row["backfill_id"])


def work(tx: Transaction, skip: Collection[tuple[str, str]], limit: int) -> BackfillWork:
    """What there is to do, for those first that have waited longest."""
    others, values = _others(skip)
    rows = tx.execute(
        f"""
        SELECT * FROM (
            SELECT backfills.*, (SELECT COUNT(*) {_ACTIVE_RUNS}) AS open_runs FROM backfills
            WHERE finished_at IS NULL AND state = 'ACTIVE' AND waiting_runs > 0 {others}
        ) AS active WHERE open_runs < max_active_runs ORDER BY served_at, backfill_id LIMIT ?
        """,
        (*values, limit),
    ).fetchall()
    days = list[WaitingDay]()
    for backfill, row in zip(_backfills_of(tx, rows), rows, strict=True):
        days += _waiting_days(tx, backfill, row["max_active_runs"] - row["open_runs"], skip)
    return BackfillWork(days[:limit], _ended(tx, limit), _to_cancel(tx, limit))


def _others(skip: Collection[tuple[str, str]]) -> tuple[str, list[object]]:
    """A condition that there are days of tenants that are not to be skipped, and its values."""
    if not skip:
        return "", []
    pairs = ", ".join(["(?, ?)"] * len(skip))
    days = "SELECT 1 FROM backfill_days AS days WHERE days.backfill_id = backfills.backfill_id"
    return (
        f"AND EXISTS ({days} AND (days.backfill_id, days.tenant_id) NOT IN (VALUES {pairs}))",
        [part for pair in skip for part in pair],
    )


def waiting_tenants(tx: Transaction, backfill_id: str) -> list[str]:
    """The tenants with days that have not begun."""
    rows = tx.execute("SELECT DISTINCT tenant_id FROM backfill_days WHERE backfill_id = ?", (backfill_id,))
    return [row["tenant_id"] for row in rows]


def _waiting_days(
    tx: Transaction, backfill: Backfill, room: int, skip: Collection[tuple[str, str]]
) -> list[WaitingDay]:
    tenants = [tenant_id for backfill_id, tenant_id in skip if backfill_id == backfill.backfill_id]
    others = f" AND tenant_id NOT IN {marks(tenants)}" if tenants else ""
    rows = tx.execute(
        f"SELECT * FROM backfill_days WHERE backfill_id = ?{others} ORDER BY position LIMIT ?",
        (backfill.backfill_id, *tenants, room),
    )
    return [
        WaitingDay(backfill, row["position"], row["tenant_id"], date.fromisoformat(row["run_date"])) for row in rows
    ]


def _ended(tx: Transaction, limit: int) -> list[str]:
    rows = tx.execute(f"SELECT backfill_id FROM backfills WHERE finished_at IS NULL AND {_HAS_ENDED} LIMIT ?", (limit,))
    return [row["backfill_id"] for row in rows]


def _to_cancel(tx: Transaction, limit: int) -> list[str]:
    rows = tx.execute(
        "SELECT pipeline_logging_id FROM runs JOIN backfills ON backfills.backfill_id = runs.backfill_id"
        " WHERE backfills.finished_at IS NULL AND state = 'CANCELLING' AND runs.backfill_id != ''"
        " AND runs.status IN ('PENDING', 'RUNNING') LIMIT ?",
        (limit,),
    )
    return [row["pipeline_logging_id"] for row in rows]


def start_day(tx: Transaction, waiting: WaitingDay, run: NewRun, plans: Plans) -> bool:
    """Start the run of a day; False when that has been done, or there is no room for it now."""
    backfill_id = waiting.backfill.backfill_id
    # The queue before the backfill, as everything takes them.
    move(tx, waiting.tenant_id)
    if _locked(tx, backfill_id) is None or not _has_room(tx, backfill_id):
        return False
    begun = tx.execute(
        "DELETE FROM backfill_days WHERE backfill_id = ? AND position = ?", (backfill_id, waiting.position)
    ).rowcount
    if not begun:
        return False
    require_half(tx, waiting.tenant_id, plans)
    tx.execute(
        "UPDATE backfills SET waiting_runs = waiting_runs - 1, served_at = ? WHERE backfill_id = ?",
        (tx.now, backfill_id),
    )
    accept(tx, run, plans)
    return True


def _has_room(tx: Transaction, backfill_id: str) -> bool:
    row = tx.execute(
        f"SELECT 1 FROM backfills WHERE backfill_id = ? AND state = 'ACTIVE'"
        f" AND (SELECT COUNT(*) {_ACTIVE_RUNS}) < max_active_runs",
        (backfill_id,),
    ).fetchone()
    return row is not None


def drop_days(tx: Transaction, backfill_id: str, tenant_id: str) -> None:
    """Take a tenant's days that have not begun out of a backfill."""
    if _locked(tx, backfill_id) is None:
        return
    dropped = tx.execute(
        "DELETE FROM backfill_days WHERE backfill_id = ? AND tenant_id = ?", (backfill_id, tenant_id)
    ).rowcount
    tx.execute(
        "UPDATE backfills SET waiting_runs = waiting_runs - ?, total_runs = total_runs - ?,"
        " skipped_days = skipped_days + ? WHERE backfill_id = ?",
        (dropped, dropped, dropped, backfill_id),
    )


def end(tx: Transaction, backfill_id: str) -> None:
    """Record the end of a backfill of which nothing is left."""
    tx.execute(
        f"""
        UPDATE backfills
        SET state = CASE WHEN state = 'CANCELLING' THEN 'CANCELLED' ELSE 'FINISHED' END, finished_at = ?
        WHERE backfill_id = ? AND finished_at IS NULL AND {_HAS_ENDED}
        """,
        (tx.now, backfill_id),
    )


def remove(tx: Transaction, ended_before: int, limit: int) -> int:
    """Remove backfills that ended before then; their runs have a retention of their own."""
    rows = tx.execute(
        "SELECT backfill_id FROM backfills WHERE finished_at IS NOT NULL AND finished_at < ?"
        f" ORDER BY finished_at LIMIT ?{tx.skip_locked}",
        (ended_before, limit),
    ).fetchall()
    ids = [row["backfill_id"] for row in rows]
    tx.execute(f"DELETE FROM requests WHERE pipeline_logging_id IN {marks(ids)}", ids)
    tx.execute(f"DELETE FROM backfills WHERE backfill_id IN {marks(ids)}", ids)
    return len(ids)
