"""What the mirror has still to copy, and which worker copies it."""

from collections.abc import Iterable, Sequence

from server.domain.audit import Actor, AuditAction
from server.domain.tenant import SYSTEM_TENANT
from server.store.port import Flush, OutboxEntry
from server.store.sql import audit
from server.store.sql.database import Transaction, marks

# What the x_meta_ tables show: the kind of an entry, its key, and where those of a tenant are.
_PROJECTED = (
    ("run", "pipeline_logging_id", "runs WHERE kind = 'EXECUTE' AND tenant_id"),
    (
        "step",
        "steps.pipeline_logging_id || '/' || step_id",
        "steps JOIN runs ON runs.pipeline_logging_id = steps.pipeline_logging_id WHERE kind = 'EXECUTE' AND tenant_id",
    ),
    (
        "dq",
        "pipeline_logging_id || '/' || step_id",
        "(SELECT DISTINCT tenant_id, pipeline_logging_id, step_id FROM data_quality_results) AS done WHERE tenant_id",
    ),
    ("tick", "schedule_id || '/' || nominal_time", "scheduled_runs WHERE tenant_id"),
    ("api_key", "key_id", "api_keys WHERE tenant_id"),
    ("credential", "name", "(SELECT DISTINCT tenant_id, name FROM credentials) AS named WHERE tenant_id"),
)


# What the tables of the central dataset show.
_CENTRAL = (("tenant", "tenant_id", "tenants"), ("api_key", "key_id", "api_keys"))


_NOTE = "INSERT INTO outbox (tenant_id, kind, key, noted_at) VALUES (?, ?, ?, ?)"


def note(tx: Transaction, tenant_id: str, kind: str, key: str) -> None:
    """Leave a note that this record's projection is out of date."""
    tx.execute(_NOTE, (tenant_id, kind, key, tx.now))


def note_many(tx: Transaction, tenant_id: str, records: Iterable[tuple[str, str]]) -> None:
    """The same of several records, each a kind and a key."""
    tx.executemany(_NOTE, [(tenant_id, kind, key, tx.now) for kind, key in records])


def note_tenant(tx: Transaction, tenant_id: str) -> None:
    """Leave a note that what the central dataset shows of a tenant is out of date."""
    note(tx, SYSTEM_TENANT, "tenant", tenant_id)


# The tenants of entries one by one, past all that one has: those that are skipped may have very many.
_IS_ANY_OF_OTHERS = """
WITH RECURSIVE noted (tenant_id) AS (
    SELECT MIN(tenant_id) FROM outbox
    UNION ALL
    SELECT (SELECT MIN(tenant_id) FROM outbox WHERE outbox.tenant_id > noted.tenant_id) FROM noted
    WHERE noted.tenant_id IS NOT NULL
)
SELECT 1 FROM noted WHERE tenant_id NOT IN {skip} LIMIT 1
"""


def outbox(tx: Transaction, skip: Sequence[str], limit: int) -> list[OutboxEntry]:
    """The oldest entries of the tenants that are not to be skipped."""
    if skip and tx.execute(_IS_ANY_OF_OTHERS.format(skip=marks(skip)), skip).fetchone() is None:
        return []
    others = f"WHERE tenant_id NOT IN {marks(skip)} " if skip else ""
    rows = tx.execute(f"SELECT * FROM outbox {others}ORDER BY number LIMIT ?", (*skip, limit))
    return [OutboxEntry(row["number"], row["tenant_id"], row["kind"], row["key"]) for row in rows]


def begin_flush(tx: Transaction, tenant_id: str, worker_id: str, lease_micros: int, unused: int) -> Flush | None:
    """Have the tenant's tables to this worker for a while, unless another one has them."""
    row = tx.execute(
        """
        INSERT INTO mirrors (tenant_id, worker_id, lease_until, flushes) VALUES (?, ?, ?, 1)
        ON CONFLICT (tenant_id) DO UPDATE
        SET flushes = mirrors.flushes
                      + CASE WHEN mirrors.flushes = ? AND mirrors.worker_id = excluded.worker_id THEN 0 ELSE 1 END,
            worker_id = excluded.worker_id, lease_until = excluded.lease_until
        WHERE mirrors.worker_id = excluded.worker_id OR mirrors.lease_until <= ?
        RETURNING flushes, settled
        """,
        (tenant_id, worker_id, tx.now + lease_micros, unused, tx.now),
    ).fetchone()
    return None if row is None else Flush(tenant_id, row["flushes"], row["settled"])


def keep_flush(tx: Transaction, flush: Flush, lease_micros: int) -> bool:
    """Have the tables longer; False when another flush has begun."""
    return bool(
        tx.execute(
            "UPDATE mirrors SET lease_until = ? WHERE tenant_id = ? AND flushes = ?",
            (tx.now + lease_micros, flush.tenant_id, flush.number),
        ).rowcount
    )


def release(tx: Transaction, worker_id: str) -> None:
    """Let other workers have the tables that this one had."""
    tx.execute("UPDATE mirrors SET lease_until = 0 WHERE worker_id = ?", (worker_id,))


def acknowledge(tx: Transaction, flush: Flush, numbers: Sequence[int], *, settled: int) -> None:
    """Remove entries of the tenant that are projected; none when another flush has begun, which projects them again."""
    held = tx.execute(
        "UPDATE mirrors SET settled = ? WHERE tenant_id = ? AND flushes = ?",
        (settled, flush.tenant_id, flush.number),
    ).rowcount
    if held:
        tx.executemany("DELETE FROM outbox WHERE number = ?", [(number,) for number in numbers])


def note_all(tx: Transaction, tenant_id: str, by: Actor) -> int:
    """Have everything of a tenant copied again, or all that the central dataset shows."""
    if tenant_id == SYSTEM_TENANT:
        selected = [f"SELECT ?, '{kind}', {key}, {tx.now} FROM {source}" for kind, key, source in _CENTRAL]
    else:
        selected = [
            f"SELECT tenant_id, '{kind}', {key}, {tx.now} FROM {source} = ?" for kind, key, source in _PROJECTED
        ]
    noted = 0
    for select in selected:
        noted += tx.execute(f"INSERT INTO outbox (tenant_id, kind, key, noted_at) {select}", (tenant_id,)).rowcount
    told = {"records": str(noted)}
    audit.record(tx, by, AuditAction.MIRROR_REBUILD, tenant_id, tenant_id=tenant_id, details=told)
    return noted
