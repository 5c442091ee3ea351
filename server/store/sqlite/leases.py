"""The worker's side: claims, leases, steps, the end of a run."""

import json
from collections.abc import Collection, Sequence

from server.domain.pipeline import RunSnapshot
from server.domain.run import Effect, LogEntry, Run, RunStatus, StepRun, StepStatus
from server.store.port import MAX_LEASES_LOST, Claim, Lease, LeaseLost, RunEnd, StepEnd
from server.store.sqlite.database import Transaction
from server.store.sqlite.rows import moment
from server.store.sqlite.runs import (
    add_event,
    announce,
    end_open_steps,
    ended,
    note_run,
    store_step,
    stored_run,
    stored_steps,
)

# Hops from one waiting tenant to the next through the partial index, so the cost follows the number of tenants that
# wait and not the length of any tenant's queue.
_NEXT_WAITING = """
WITH RECURSIVE waiting (tenant_id) AS (
    SELECT MIN(tenant_id) FROM runs WHERE status = 'PENDING'
    UNION ALL
    SELECT (SELECT MIN(tenant_id) FROM runs WHERE status = 'PENDING' AND tenant_id > waiting.tenant_id)
    FROM waiting WHERE waiting.tenant_id IS NOT NULL
),
heads AS (
    SELECT tenant_id,
           (SELECT COUNT(*) FROM runs AS active
            WHERE active.tenant_id = waiting.tenant_id AND active.status IN ('RUNNING', 'CANCELLING')) AS active,
           (SELECT MIN(created_at) FROM runs AS first
            WHERE first.tenant_id = waiting.tenant_id AND first.status = 'PENDING') AS oldest
    FROM waiting WHERE tenant_id IS NOT NULL
)
SELECT runs.pipeline_logging_id
FROM heads JOIN runs ON runs.tenant_id = heads.tenant_id AND runs.status = 'PENDING' AND runs.created_at = heads.oldest
WHERE heads.active < ?
ORDER BY heads.active, heads.oldest, runs.pipeline_logging_id
LIMIT 1
"""


def claim(tx: Transaction, worker_id: str, lease_micros: int, max_concurrent_runs: int) -> Claim | None:
    """Take over an abandoned run, or claim the next waiting one."""
    while (abandoned := _abandoned(tx)) is not None:
        if _lose_lease(tx, abandoned):
            return _lease(tx, abandoned, worker_id, lease_micros)
    row = tx.execute(_NEXT_WAITING, (max_concurrent_runs,)).fetchone()
    if row is None:
        return None
    tx.execute(
        "UPDATE runs SET status = 'RUNNING', started_at = coalesce(started_at, ?) WHERE pipeline_logging_id = ?",
        (tx.now, row["pipeline_logging_id"]),
    )
    announce(tx, row["pipeline_logging_id"])
    return _lease(tx, row["pipeline_logging_id"], worker_id, lease_micros)


def has_work(tx: Transaction) -> bool:
    """Whether a claim could find something."""
    waiting = tx.execute("SELECT 1 FROM runs WHERE status = 'PENDING' LIMIT 1").fetchone()
    return waiting is not None or _abandoned(tx) is not None


def _abandoned(tx: Transaction) -> str | None:
    row = tx.execute(
        """
        SELECT pipeline_logging_id FROM runs WHERE status IN ('RUNNING', 'CANCELLING') AND lease_until <= ?
        ORDER BY lease_until LIMIT 1
        """,
        (tx.now,),
    ).fetchone()
    return None if row is None else str(row["pipeline_logging_id"])


def _lose_lease(tx: Transaction, pipeline_logging_id: str) -> bool:
    """Count a lost lease; False when the run ended of it."""
    (worker, lost) = tx.execute(
        """
        UPDATE runs SET leases_lost = leases_lost + (lease_worker != '') WHERE pipeline_logging_id = ?
        RETURNING lease_worker, leases_lost
        """,
        (pipeline_logging_id,),
    ).fetchone()
    if not worker:
        return True
    if lost >= MAX_LEASES_LOST:
        _fail_poison(tx, pipeline_logging_id)
        return False
    message = f"the worker was lost; the run goes on with another one ({lost} of {MAX_LEASES_LOST - 1} times)"
    add_event(tx, pipeline_logging_id, LogEntry(level="WARNING", message=message))
    return True


def _fail_poison(tx: Transaction, pipeline_logging_id: str) -> None:
    """The end of a run that no worker survives; one that was to be cancelled is cancelled by that."""
    message = f"the run's worker was lost {MAX_LEASES_LOST} times; it is not tried again"
    run = stored_run(tx, pipeline_logging_id)
    cancelled = run.status is RunStatus.CANCELLING
    failed = next((step.step_id for step in run.steps if step.status is StepStatus.RUNNING), "")
    for step in run.steps:
        if step.status is StepStatus.RUNNING:
            status = StepStatus.CANCELLED if cancelled else StepStatus.FAILED
            store_step(tx, pipeline_logging_id, ended(tx, step, status, message))
    end_open_steps(tx, run, StepStatus.CANCELLED if cancelled else StepStatus.SKIPPED, "")
    end = RunEnd(
        RunStatus.CANCELLED if cancelled else RunStatus.FAILED,
        message,
        failed_step="" if cancelled else failed,
        rows_processed=sum(step.rows_processed for step in run.steps),
    )
    _end_run(tx, pipeline_logging_id, end)


def _lease(tx: Transaction, pipeline_logging_id: str, worker_id: str, lease_micros: int) -> Claim:
    (epoch, snapshot, sources, maximum_bytes_billed) = tx.execute(
        """
        UPDATE runs SET lease_worker = ?, lease_epoch = lease_epoch + 1, lease_until = ? WHERE pipeline_logging_id = ?
        RETURNING lease_epoch,
                  (SELECT body FROM snapshots WHERE snapshots.pipeline_logging_id = runs.pipeline_logging_id),
                  (SELECT allowed_sources FROM tenants WHERE tenants.tenant_id = runs.tenant_id),
                  (SELECT maximum_bytes_billed FROM tenants WHERE tenants.tenant_id = runs.tenant_id)
        """,
        (worker_id, tx.now + lease_micros, pipeline_logging_id),
    ).fetchone()
    run = stored_run(tx, pipeline_logging_id)
    # Whose it is now is shown in the queue's table.
    note_run(tx, pipeline_logging_id)
    return Claim(
        Lease(pipeline_logging_id, worker_id, epoch),
        run,
        RunSnapshot.model_validate_json(snapshot),
        tuple(json.loads(sources or "[]")),
        maximum_bytes_billed,
    )


def renew(tx: Transaction, leases: Collection[Lease], lease_micros: int) -> frozenset[Lease]:
    """Extend the leases that still hold."""
    return frozenset(
        lease
        for lease in leases
        if tx.execute(
            "UPDATE runs SET lease_until = ? WHERE pipeline_logging_id = ? AND lease_worker = ? AND lease_epoch = ?"
            " AND status IN ('RUNNING', 'CANCELLING')",
            (tx.now + lease_micros, *_key(lease)),
        ).rowcount
    )


def _key(lease: Lease) -> tuple[str, str, int]:
    return lease.pipeline_logging_id, lease.worker_id, lease.epoch


def hand_back(tx: Transaction, lease: Lease) -> None:
    """Let the next worker take the run over at once, as if nothing had been lost."""
    tx.execute(
        "UPDATE runs SET lease_worker = '', lease_until = 0"
        " WHERE pipeline_logging_id = ? AND lease_worker = ? AND lease_epoch = ?"
        " AND status IN ('RUNNING', 'CANCELLING')",
        _key(lease),
    )


def expire_worker(tx: Transaction, worker_id: str) -> int:
    """The worker is dead: its leases end now."""
    return tx.execute(
        "UPDATE runs SET lease_until = 0 WHERE lease_worker = ? AND status IN ('RUNNING', 'CANCELLING')",
        (worker_id,),
    ).rowcount


def cancelling(tx: Transaction, leases: Collection[Lease]) -> frozenset[Lease]:
    """The leases whose runs are to be cancelled."""
    return frozenset(
        lease
        for lease in leases
        if tx.execute(
            "SELECT 1 FROM runs WHERE pipeline_logging_id = ? AND lease_worker = ? AND lease_epoch = ?"
            " AND status = 'CANCELLING'",
            _key(lease),
        ).fetchone()
    )


def _fence(tx: Transaction, lease: Lease) -> None:
    """A lease that has run out but that nobody took over still holds: its worker is alive after all."""
    held = tx.execute(
        "SELECT 1 FROM runs WHERE pipeline_logging_id = ? AND lease_worker = ? AND lease_epoch = ?"
        " AND status IN ('RUNNING', 'CANCELLING')",
        _key(lease),
    ).fetchone()
    if not held:
        raise LeaseLost(lease.pipeline_logging_id)


def start_step(tx: Transaction, lease: Lease, step: StepRun) -> StepRun:
    """Record that an attempt begins."""
    _fence(tx, lease)
    started = step.model_copy(
        update={
            "status": StepStatus.RUNNING,
            "attempt": step.attempt + 1,
            "started_at": moment(tx.now),
            "finished_at": None,
            "error_message": "",
        }
    )
    return store_step(tx, lease.pipeline_logging_id, started)


def record_effects(tx: Transaction, lease: Lease, step_id: str, effects: Sequence[Effect]) -> None:
    """Record the writes that a running step has begun; its watchers hear of them when they have ended."""
    _fence(tx, lease)
    step = next(step for step in stored_steps(tx, lease.pipeline_logging_id) if step.step_id == step_id)
    tx.execute(
        "UPDATE steps SET body = ? WHERE pipeline_logging_id = ? AND step_id = ?",
        (step.model_copy(update={"effects": tuple(effects)}).model_dump_json(), lease.pipeline_logging_id, step_id),
    )


def finish_step(tx: Transaction, lease: Lease, end: StepEnd) -> StepRun:
    """Record how an attempt ended."""
    _fence(tx, lease)
    for log in end.logs:
        add_event(tx, lease.pipeline_logging_id, log)
    # A run that gets on is no poison, however often others took its workers with them.
    tx.execute("UPDATE runs SET leases_lost = 0 WHERE pipeline_logging_id = ?", (lease.pipeline_logging_id,))
    return store_step(tx, lease.pipeline_logging_id, ended(tx, end.step, end.step.status, end.step.error_message))


def add_logs(tx: Transaction, lease: Lease, logs: Sequence[LogEntry]) -> None:
    """Append log lines."""
    _fence(tx, lease)
    for log in logs:
        add_event(tx, lease.pipeline_logging_id, log)


def finish_run(tx: Transaction, lease: Lease, end: RunEnd) -> Run:
    """Record the run's end, and the tenant's beginning where the run made it."""
    _fence(tx, lease)
    for log in end.logs:
        add_event(tx, lease.pipeline_logging_id, log)
    run = _end_run(tx, lease.pipeline_logging_id, end)
    if end.activates_tenant:
        tx.execute(
            "UPDATE tenants SET state = 'ACTIVE', updated_at = ? WHERE tenant_id = ? AND state = 'ONBOARDING'",
            (tx.now, run.tenant_id),
        )
    return run


def _end_run(tx: Transaction, pipeline_logging_id: str, end: RunEnd) -> Run:
    tx.execute(
        """
        UPDATE runs SET status = ?, finished_at = ?, error_message = ?, failed_step = ?, rows_processed = ?, plan = ?
        WHERE pipeline_logging_id = ?
        """,
        (
            end.status,
            tx.now,
            end.error_message,
            end.failed_step,
            end.rows_processed,
            end.plan.model_dump_json() if end.plan else None,
            pipeline_logging_id,
        ),
    )
    return announce(tx, pipeline_logging_id)
