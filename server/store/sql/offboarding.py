"""The end of a tenant."""

from server.domain.audit import Actor, AuditAction
from server.domain.quotas import Plans
from server.domain.run import RunStatus
from server.domain.tenant import CHANGEABLE, DatasetState, TenantState
from server.store.port import NewRun, RequestKey
from server.store.sql import audit, credentials, keys, schedules
from server.store.sql.database import Transaction
from server.store.sql.outbox import note_tenant
from server.store.sql.queues import move
from server.store.sql.runs import accept, find_run, remember, request_cancel
from server.store.sql.tenants import find_tenant


def offboard(tx: Transaction, tenant_id: str, by: Actor, request: RequestKey | None) -> None:
    """End a tenant, once: with its keys and its credentials."""
    _take_queue(tx, tenant_id)
    tenant = find_tenant(tx, tenant_id)
    if tenant is None:
        return
    if request is not None:
        remember(tx, request)
    if tenant.state is not TenantState.OFFBOARDED:
        dataset = DatasetState.KEPT if tenant.state in CHANGEABLE else DatasetState.FOREIGN
        tx.execute(
            "UPDATE tenants SET state = 'OFFBOARDED', dataset_state = ?, updated_at = ? WHERE tenant_id = ?",
            (dataset, tx.now, tenant_id),
        )
        note_tenant(tx, tenant_id)
        told = {"state": tenant.state, "dataset": dataset}
        audit.record(tx, by, AuditAction.TENANT_OFFBOARD, tenant_id, tenant_id=tenant_id, details=told)
    schedules.pause_all(tx, tenant_id, "the tenant was offboarded", by)
    keys.revoke_all(tx, tenant_id, by)
    credentials.delete_all(tx, tenant_id, by)


def cancel_runs(tx: Transaction, tenant_id: str, by: Actor, limit: int) -> int:
    """Cancel runs that wait or are at work, but for the one that removes the dataset."""
    rows = tx.execute(
        """
        SELECT pipeline_logging_id FROM runs
        WHERE tenant_id = ? AND status IN ('PENDING', 'RUNNING')
              AND pipeline_logging_id NOT IN (SELECT offboarding_run FROM tenants WHERE tenant_id = ?)
        LIMIT ?
        """,
        (tenant_id, tenant_id, limit),
    ).fetchall()
    for row in rows:
        request_cancel(tx, row["pipeline_logging_id"], by)
    return len(rows)


def delete_dataset_by(tx: Transaction, run: NewRun, plans: Plans) -> None:
    """Accept the run, unless one is at it or has done it."""
    _take_queue(tx, run.tenant_id)
    tenant = find_tenant(tx, run.tenant_id)
    if tenant is None or tenant.dataset_state is not DatasetState.KEPT:
        return
    earlier = find_run(tx, tenant.offboarding_run)
    if earlier is not None and (not earlier.status.is_terminal or earlier.status is RunStatus.SUCCESS):
        return
    accept(tx, run, plans)
    tx.execute(
        "UPDATE tenants SET offboarding_run = ?, updated_at = ? WHERE tenant_id = ?",
        (run.pipeline_logging_id, tx.now, run.tenant_id),
    )
    note_tenant(tx, run.tenant_id)


def _take_queue(tx: Transaction, tenant_id: str) -> None:
    """From here on no run of the tenant is accepted or begins until this transaction has ended."""
    move(tx, tenant_id)
