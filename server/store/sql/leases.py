"""The worker's side: claims, leases, steps, the end of a run."""

from collections.abc import Collection, Iterator, Sequence

from server.domain.audit import Actor, AuditAction
from server.domain.load import Load
from server.domain.quotas import Plans
from server.domain.run import LogEntry, Run, RunStatus, StepRun, StepStatus
from server.store.port import MAX_LEASES_LOST, Claim, Lease, LeaseLost, RunEnd, RunHeld, StepEnd
from server.store.sql import audit, deliveries, health, loads, schedules
from server.store.sql.credentials import latest_versions
from server.store.sql.data_quality import keep_checks
from server.store.sql.database import Row, Transaction, found, marks
from server.store.sql.outbox import note_tenant, release
from server.store.sql.queues import bill, lock, move
from server.store.sql.rows import moment, run_of, snapshot_of
from server.store.sql.runs import (
    add_event,
    change,
    end_open_steps,
    ended,
    note_run,
    store_step,
    stored_run,
    stored_steps,
)
from server.store.sql.tenants import find_tenant
from server.store.sql.waiting import IS_FULL, IS_HELD, IS_PAUSED, claimable, is_claimable

# A worker, and until when it has the run.
_LEASED = "lease_worker = ?, lease_epoch = lease_epoch + 1, lease_until = ?"


def has_work(tx: Transaction, plans: Plans, *, suspects: bool, backfills: bool) -> bool:
    """Whether a claim could find something."""
    if next(_abandoned(tx, suspects=suspects), None) is not None:
        return True
    return next(claimable(tx, plans, backfills=backfills), None) is not None


def claim(
    tx: Transaction, worker_id: str, lease_micros: int, plans: Plans, *, suspects: bool, backfills: bool
) -> Claim | None:
    """Take over an abandoned run, or claim the next waiting one."""
    for abandoned in _abandoned(tx, suspects=suspects):
        if (taken := _take_over(tx, abandoned, worker_id, lease_micros, plans)) is not None:
            return taken
    # Past the tenants of which others claim a run at this moment; only where there is nothing else, after them.
    for lock_as in dict.fromkeys((tx.skip_locked, tx.for_update)):
        for tenant_id in claimable(tx, plans, backfills=backfills):
            if (run_id := _first_waiting(tx, tenant_id, plans, lock_as, backfills=backfills)) is not None:
                return _begin(tx, run_id, worker_id, lease_micros, plans)
    return None


def _first_waiting(tx: Transaction, tenant_id: str, plans: Plans, lock_as: str, *, backfills: bool) -> str | None:
    """The tenant's oldest waiting run, one of a backfill only when no other waits, with its queue locked.

    None when others were faster, or are at it.
    """
    held = tx.execute(f"SELECT 1 FROM queues WHERE tenant_id = ? AND pending > 0{lock_as}", (tenant_id,)).fetchone()
    # What others did before this transaction had the queue may have used up what the tenant may; where writers take
    # turns it had all queues from the beginning.
    if held is None or (tx.for_update and not is_claimable(tx, plans, tenant_id)):
        return None
    run_id = _oldest_waiting(tx, tenant_id, "backfill_id = ''")
    if run_id is None and backfills:
        run_id = _oldest_waiting(tx, tenant_id, f"backfill_id != '' AND NOT {IS_PAUSED} AND NOT {IS_FULL}")
    return run_id


def _begin(tx: Transaction, run_id: str, worker_id: str, lease_micros: int, plans: Plans) -> Claim:
    """Let a waiting run begin."""
    assignments = f"status = 'RUNNING', started_at = coalesce(started_at, ?), {_LEASED}"
    run = change(tx, run_id, assignments, (tx.now, worker_id, tx.now + lease_micros))
    tx.execute(
        "UPDATE queues SET pending = pending - 1, active = active + 1, claimed_at = ? WHERE tenant_id = ?",
        (tx.now, run.tenant_id),
    )
    return _claimed(tx, run, worker_id, plans)


def _oldest_waiting(tx: Transaction, tenant_id: str, condition: str) -> str | None:
    """The tenant's oldest waiting run of which that holds."""
    row = tx.execute(
        f"SELECT pipeline_logging_id FROM runs WHERE tenant_id = ? AND status = 'PENDING'"
        f" AND {condition} AND NOT {IS_HELD}"
        f" ORDER BY created_at, pipeline_logging_id LIMIT 1{tx.skip_locked}",
        (tenant_id,),
    ).fetchone()
    return None if row is None else str(row["pipeline_logging_id"])


def _abandoned(tx: Transaction, *, suspects: bool) -> Iterator[Row]:
    """The runs whose leases have ended; those that lost all but one of their leases only if `suspects` are wanted."""
    rows = tx.execute(
        f"""
        SELECT pipeline_logging_id, tenant_id FROM runs
        WHERE status IN ('RUNNING', 'CANCELLING') AND lease_until <= ? AND (status = 'CANCELLING' OR NOT {IS_HELD})
              AND (leases_lost + CASE WHEN lease_worker = '' THEN 0 ELSE 1 END != ? OR ? = 1)
        ORDER BY lease_until, pipeline_logging_id LIMIT 20
        """,
        (tx.now, MAX_LEASES_LOST - 1, int(suspects)),
    )
    yield from rows.fetchall()


def _take_over(tx: Transaction, abandoned: Row, worker_id: str, lease_micros: int, plans: Plans) -> Claim | None:
    """Count a lost lease, and take the run over unless it ended of that or others have taken it."""
    run_id = str(abandoned["pipeline_logging_id"])
    if not lock(tx, abandoned["tenant_id"], tx.skip_locked):
        return None
    held = tx.execute(
        "SELECT lease_worker, lease_until FROM runs"
        " WHERE pipeline_logging_id = ? AND status IN ('RUNNING', 'CANCELLING')"
        f" AND lease_until <= ?{tx.skip_locked}",
        (run_id, tx.now),
    ).fetchone()
    if held is None or (held["lease_worker"] and not _lose_lease(tx, run_id, held["lease_until"])):
        return None
    row = found(
        tx.execute(
            f"UPDATE runs SET {_LEASED} WHERE pipeline_logging_id = ? RETURNING *",
            (worker_id, tx.now + lease_micros, run_id),
        ).fetchone()
    )
    # Whose it is now is shown in the queue's table.
    note_run(tx, row)
    return _claimed(tx, run_of(row, stored_steps(tx, run_id)), worker_id, plans)


def _lose_lease(tx: Transaction, pipeline_logging_id: str, until: int) -> bool:
    """Count a lost lease; False when the run ended of it."""
    for step in stored_steps(tx, pipeline_logging_id):
        # Whoever takes the run over may be lost too before the next attempt begins.
        if step.status is StepStatus.RUNNING and step.lost_at is None:
            _keep_step(tx, pipeline_logging_id, step.model_copy(update={"lost_at": moment(until)}))
    row = found(
        tx.execute(
            "UPDATE runs SET leases_lost = leases_lost + 1 WHERE pipeline_logging_id = ? RETURNING leases_lost",
            (pipeline_logging_id,),
        ).fetchone()
    )
    lost = row["leases_lost"]
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
        rows_processed=min(sum(step.rows_processed for step in run.steps), 2**63 - 1),
    )
    _end_run(tx, run.tenant_id, pipeline_logging_id, end)


def _claimed(tx: Transaction, run: Run, worker_id: str, plans: Plans) -> Claim:
    """What the worker that has the run's lease now has to know of it."""
    row = found(
        tx.execute(
            "SELECT lease_epoch, leases_lost, body, traceparent FROM runs JOIN snapshots USING (pipeline_logging_id)"
            " WHERE pipeline_logging_id = ?",
            (run.pipeline_logging_id,),
        ).fetchone()
    )
    tenant = find_tenant(tx, run.tenant_id)
    return Claim(
        Lease(run.pipeline_logging_id, worker_id, row["lease_epoch"]),
        run,
        snapshot_of(row["body"]),
        tenant.allowed_sources if tenant else (),
        plans.quotas(tenant.plan, tenant.quotas).maximum_bytes_billed if tenant else None,
        latest_versions(tx, run.tenant_id),
        is_suspect=row["leases_lost"] == MAX_LEASES_LOST - 1,
        traceparent=row["traceparent"] or "",
    )


def renew(tx: Transaction, leases: Collection[Lease], lease_micros: int) -> frozenset[Lease]:
    """Extend the leases that still hold."""
    return frozenset(
        lease
        # In one order, as others that lock several runs do it.
        for lease in sorted(leases, key=_key)
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
        "UPDATE runs SET lease_worker = '', lease_until = ?"
        " WHERE pipeline_logging_id = ? AND lease_worker = ? AND lease_epoch = ?"
        " AND status IN ('RUNNING', 'CANCELLING')",
        (tx.now, *_key(lease)),
    )


def expire_worker(tx: Transaction, worker_id: str) -> int:
    """The worker is dead: its leases end now."""
    release(tx, worker_id)
    deliveries.release(tx, worker_id)
    health.forget(tx, worker_id)
    return tx.execute(
        # Whoever is alive after all finds its leases gone.
        "UPDATE runs SET lease_until = ?, lease_epoch = lease_epoch + 1"
        " WHERE lease_worker = ? AND status IN ('RUNNING', 'CANCELLING')",
        (tx.now, worker_id),
    ).rowcount


def expire_run(tx: Transaction, pipeline_logging_id: str, by: Actor) -> bool:
    """The run's lease ends now."""
    row = tx.execute(
        "UPDATE runs SET lease_until = ?, lease_epoch = lease_epoch + 1"
        " WHERE pipeline_logging_id = ? AND status IN ('RUNNING', 'CANCELLING') AND lease_worker != ''"
        " RETURNING tenant_id",
        (tx.now, pipeline_logging_id),
    ).fetchone()
    if row is not None:
        audit.record(tx, by, AuditAction.RUN_RESCUE, pipeline_logging_id, tenant_id=row["tenant_id"])
    return row is not None


def cancelling(tx: Transaction, leases: Collection[Lease]) -> frozenset[Lease]:
    """The leases whose runs are to be cancelled."""
    ids = [lease.pipeline_logging_id for lease in leases]
    rows = tx.execute(
        "SELECT pipeline_logging_id, lease_worker, lease_epoch FROM runs"
        f" WHERE pipeline_logging_id IN {marks(ids)} AND status = 'CANCELLING'",
        ids,
    )
    asked = {(row["pipeline_logging_id"], row["lease_worker"], row["lease_epoch"]) for row in rows}
    return frozenset(lease for lease in leases if _key(lease) in asked)


def _fence(tx: Transaction, lease: Lease, *, forget_losses: bool = False) -> None:
    """A lease that has run out but that nobody took over still holds: its worker is alive after all."""
    row = tx.execute(
        "SELECT leases_lost FROM runs WHERE pipeline_logging_id = ? AND lease_worker = ? AND lease_epoch = ?"
        f" AND status IN ('RUNNING', 'CANCELLING'){tx.for_update}",
        _key(lease),
    ).fetchone()
    if row is None:
        raise LeaseLost(lease.pipeline_logging_id)
    if forget_losses and row["leases_lost"]:
        tx.execute("UPDATE runs SET leases_lost = 0 WHERE pipeline_logging_id = ?", (lease.pipeline_logging_id,))


def start_step(tx: Transaction, lease: Lease, step: StepRun) -> StepRun:
    """Record that an attempt begins."""
    _fence(tx, lease)
    if _is_held(tx, lease.pipeline_logging_id):
        raise RunHeld(lease.pipeline_logging_id)
    started = step.model_copy(
        update={
            "status": StepStatus.RUNNING,
            "attempt": step.attempt + 1,
            "started_at": moment(tx.now),
            "finished_at": None,
            "lost_at": None,
            "error_message": "",
        }
    )
    return store_step(tx, lease.pipeline_logging_id, started)


def _is_held(tx: Transaction, pipeline_logging_id: str) -> bool:
    held = f"SELECT 1 FROM runs WHERE pipeline_logging_id = ? AND status = 'RUNNING' AND {IS_HELD}"
    return tx.execute(held, (pipeline_logging_id,)).fetchone() is not None


def record_effects(tx: Transaction, lease: Lease, step: StepRun, load: Load | None) -> None:
    """Record the writes of a running step, and what they were billed; its watchers hear of both when it has ended."""
    _fence(tx, lease)
    before = _bill(tx, lease, step)
    if before.status is not StepStatus.RUNNING or before.attempt != step.attempt:
        raise LeaseLost(lease.pipeline_logging_id)
    if load is not None:
        loads.begin(tx, lease, step.step_id, load)
    _keep_step(tx, lease.pipeline_logging_id, step)


def end_load(tx: Transaction, lease: Lease, effect_id: str, *, is_committed: bool) -> None:
    """Record what became of a load, this run's or another's."""
    _fence(tx, lease)
    loads.end(tx, effect_id, is_committed=is_committed)


def _keep_step(tx: Transaction, pipeline_logging_id: str, step: StepRun) -> None:
    """Replace a step's record, of which nobody is told yet."""
    tx.execute(
        "UPDATE steps SET body = ? WHERE pipeline_logging_id = ? AND step_id = ?",
        (step.model_dump_json(), pipeline_logging_id, step.step_id),
    )


def _bill(tx: Transaction, lease: Lease, step: StepRun) -> StepRun:
    """Count what the step was billed since it was recorded last. Gives what was recorded."""
    row = tx.execute(
        "SELECT body FROM steps WHERE pipeline_logging_id = ? AND step_id = ?",
        (lease.pipeline_logging_id, step.step_id),
    ).fetchone()
    recorded = StepRun.model_validate_json(found(row)["body"])
    if billed := step.bytes_billed - recorded.bytes_billed:
        bill(tx, _tenant_of(tx, lease.pipeline_logging_id), billed)
    return recorded


def _tenant_of(tx: Transaction, pipeline_logging_id: str) -> str:
    """The run's tenant. Raises LeaseLost when there is no such run any more."""
    row = tx.execute("SELECT tenant_id FROM runs WHERE pipeline_logging_id = ?", (pipeline_logging_id,)).fetchone()
    if row is None:
        raise LeaseLost(pipeline_logging_id)
    return str(row["tenant_id"])


def finish_step(tx: Transaction, lease: Lease, end: StepEnd) -> StepRun:
    """Record how an attempt ended."""
    # A run that gets on is no poison, however often others took its workers with them.
    _fence(tx, lease, forget_losses=True)
    for log in end.logs:
        add_event(tx, lease.pipeline_logging_id, log)
    if end.step.bytes_billed:
        _bill(tx, lease, end.step)
    if end.checks:
        keep_checks(tx, stored_run(tx, lease.pipeline_logging_id), end.step.step_id, end.checks)
    if end.message is not None:
        deliveries.queue(tx, lease.pipeline_logging_id, end.step.step_id, end.message)
    return store_step(tx, lease.pipeline_logging_id, ended(tx, end.step, end.step.status, end.step.error_message))


def add_logs(tx: Transaction, lease: Lease, logs: Sequence[LogEntry]) -> None:
    """Append log lines."""
    _fence(tx, lease)
    for log in logs:
        add_event(tx, lease.pipeline_logging_id, log)


def finish_run(tx: Transaction, lease: Lease, end: RunEnd) -> Run:
    """Record the run's end, and the tenant's beginning where the run made it."""
    tenant_id = _tenant_of(tx, lease.pipeline_logging_id)
    lock(tx, tenant_id)
    _fence(tx, lease)
    for log in end.logs:
        add_event(tx, lease.pipeline_logging_id, log)
    run = _end_run(tx, tenant_id, lease.pipeline_logging_id, end)
    if end.activates_tenant:
        tx.execute(
            "UPDATE tenants SET state = 'ACTIVE', updated_at = ? WHERE tenant_id = ? AND state = 'ONBOARDING'",
            (tx.now, run.tenant_id),
        )
    if end.deletes_dataset:
        tx.execute(
            "UPDATE tenants SET dataset_state = 'DELETED', updated_at = ? WHERE tenant_id = ? AND state = 'OFFBOARDED'",
            (tx.now, run.tenant_id),
        )
        loads.forget(tx, run.tenant_id)
    if end.activates_tenant or end.deletes_dataset:
        note_tenant(tx, run.tenant_id)
    return run


def _end_run(tx: Transaction, tenant_id: str, pipeline_logging_id: str, end: RunEnd) -> Run:
    move(tx, tenant_id, active=-1)
    run = change(
        tx,
        pipeline_logging_id,
        "status = ?, finished_at = ?, error_message = ?, failed_step = ?, rows_processed = ?, plan = ?",
        (
            end.status,
            tx.now,
            end.error_message,
            end.failed_step,
            end.rows_processed,
            end.plan.model_dump_json() if end.plan else None,
        ),
    )
    schedules.count_end(tx, run)
    return run
