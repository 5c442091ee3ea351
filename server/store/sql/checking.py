"""Whether the store is as it has to be: what every change of it promises, looked up."""

from collections.abc import Iterator, Sequence

from server.domain.audit import Actor, AuditAction
from server.domain.run import StepRun
from server.store.port import Finding
from server.store.sql import audit
from server.store.sql.database import Row, Transaction
from server.store.sql.queues import move
from server.store.sql.waiting import IS_HELD

# How long after the end of its lease a run may be without a worker.
_ABANDONED_MICROS = 300 * 1_000_000
_OPEN = "status IN ('PENDING', 'RUNNING', 'CANCELLING')"

_QUEUES = f"""
SELECT subjects.tenant_id AS subject,
       COALESCE(queues.pending, 0) AS pending, COALESCE(queues.active, 0) AS active,
       COALESCE(counted.pending, 0) AS counted_pending, COALESCE(counted.active, 0) AS counted_active
FROM (SELECT tenant_id FROM queues UNION SELECT tenant_id FROM runs WHERE {_OPEN}) AS subjects
LEFT JOIN queues ON queues.tenant_id = subjects.tenant_id
LEFT JOIN (
    SELECT tenant_id, SUM(CASE WHEN status = 'PENDING' THEN 1 ELSE 0 END) AS pending,
           SUM(CASE WHEN status = 'PENDING' THEN 0 ELSE 1 END) AS active
    FROM runs WHERE {_OPEN} GROUP BY tenant_id
) AS counted ON counted.tenant_id = subjects.tenant_id
WHERE COALESCE(queues.pending, 0) != COALESCE(counted.pending, 0)
   OR COALESCE(queues.active, 0) != COALESCE(counted.active, 0)
"""
_EVENTS = """
SELECT runs.pipeline_logging_id AS subject
FROM runs LEFT JOIN events ON events.pipeline_logging_id = runs.pipeline_logging_id
GROUP BY runs.pipeline_logging_id, last_sequence, finished_at
HAVING COUNT(sequence) = 0 OR MAX(sequence) != last_sequence OR MAX(sequence) - MIN(sequence) + 1 != COUNT(sequence)
    OR (MIN(sequence) != 1 AND (MIN(sequence) != last_sequence OR finished_at IS NULL))
"""
"""1 to n, or of a run that has ended the last one: retention leaves that."""
_ENDS = f"""
SELECT pipeline_logging_id AS subject, status FROM runs
WHERE ({_OPEN} AND finished_at IS NOT NULL) OR (NOT {_OPEN} AND finished_at IS NULL)
"""
_STEPS = f"""
SELECT runs.pipeline_logging_id AS subject, body FROM runs
JOIN steps ON steps.pipeline_logging_id = runs.pipeline_logging_id
WHERE NOT {_OPEN} AND kind = 'EXECUTE'
  AND (body LIKE '%"status":"PENDING"%' OR body LIKE '%"status":"RUNNING"%')
"""
"""Steps that may be open: what a processor told of its work may look the same."""
_SNAPSHOTS = """
SELECT runs.pipeline_logging_id AS subject FROM runs
LEFT JOIN snapshots ON snapshots.pipeline_logging_id = runs.pipeline_logging_id
WHERE snapshots.pipeline_logging_id IS NULL
"""
_ABANDONED = f"""
SELECT pipeline_logging_id AS subject, lease_worker FROM runs
WHERE status IN ('RUNNING', 'CANCELLING') AND lease_until < ? AND (status = 'CANCELLING' OR NOT {IS_HELD})
"""
_PROJECTIONS = """
SELECT key AS subject, number FROM outbox
WHERE kind IN ('run', 'step', 'dq')
  AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.pipeline_logging_id = SUBSTR(outbox.key, 1, 36))
"""


def findings(tx: Transaction) -> list[Finding]:
    """Everything that is not as it has to be."""
    return [
        *(_queue_finding(row) for row in tx.execute(_QUEUES)),
        *_found(tx, "EVENTS", _EVENTS, "its events are not 1 to n"),
        *_found(tx, "RUN_END", _ENDS, "its status and the time of its end do not fit together"),
        *_open_steps(tx),
        *_found(tx, "SNAPSHOT", _SNAPSHOTS, "what it was accepted with is missing"),
        *_found(tx, "ABANDONED", _ABANDONED, "no worker has taken it over for minutes", tx.now - _ABANDONED_MICROS),
        *_found(tx, "OUTBOX", _PROJECTIONS, "an outbox entry is about a run that is gone", is_repairable=True),
    ]


def _found(
    tx: Transaction, check: str, sql: str, message: str, *values: object, is_repairable: bool = False
) -> Iterator[Finding]:
    for row in tx.execute(sql, values):
        yield Finding(check, str(row["subject"]), message, is_repairable)


def _open_steps(tx: Transaction) -> Iterator[Finding]:
    for row in tx.execute(_STEPS):
        step = StepRun.model_validate_json(row["body"])
        if not step.status.is_terminal:
            message = f"it has ended and its step {step.step_id} has not"
            yield Finding("OPEN_STEP", str(row["subject"]), message, is_repairable=False)


def _queue_finding(row: Row) -> Finding:
    message = (
        f"its queue says {row['pending']} waiting and {row['active']} active runs; "
        f"there are {row['counted_pending']} and {row['counted_active']}"
    )
    return Finding("QUEUE", str(row["subject"]), message, is_repairable=True)


def mend(tx: Transaction, found: Sequence[Finding], by: Actor) -> None:
    """Mend what was found and can be mended; it is looked at again, since it may be right by now."""
    for finding in found:
        if finding.check == "QUEUE":
            _recount(tx, finding.subject)
    for row in tx.execute(_PROJECTIONS).fetchall():
        tx.execute("DELETE FROM outbox WHERE number = ?", (row["number"],))
    told = {"findings": str(sum(finding.is_repairable for finding in found))}
    audit.record(tx, by, AuditAction.STORE_REPAIR, "", tenant_id=None, details=told)


def _recount(tx: Transaction, tenant_id: str) -> None:
    # Locks the queue: what is counted must not change before it is written down.
    move(tx, tenant_id)
    rows = tx.execute(
        f"SELECT status, COUNT(*) AS runs FROM runs WHERE tenant_id = ? AND {_OPEN} GROUP BY status", (tenant_id,)
    )
    runs = {row["status"]: row["runs"] for row in rows}
    pending = runs.pop("PENDING", 0)
    tx.execute(
        "UPDATE queues SET pending = ?, active = ? WHERE tenant_id = ?", (pending, sum(runs.values()), tenant_id)
    )
