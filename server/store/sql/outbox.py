"""What the mirror has still to copy, and which worker copies it."""

from collections.abc import Sequence

from server.store.port import OutboxEntry
from server.store.sql.database import Transaction, marks

# What the x_meta_ tables show: the kind of an entry, its key, and where those of a tenant are.
_PROJECTED = (
    ("run", "pipeline_logging_id", "runs WHERE kind = 'EXECUTE' AND tenant_id"),
    (
        "step",
        "steps.pipeline_logging_id || '/' || step_id",
        "steps JOIN runs ON runs.pipeline_logging_id = steps.pipeline_logging_id WHERE kind = 'EXECUTE' AND tenant_id",
    ),
    ("api_key", "key_id", "api_keys WHERE tenant_id"),
)


def note(tx: Transaction, tenant_id: str, kind: str, key: str) -> None:
    """Leave a note that this record's projection is out of date."""
    tx.execute("INSERT INTO outbox (tenant_id, kind, key) VALUES (?, ?, ?)", (tenant_id, kind, key))


def outbox(tx: Transaction, skip: Sequence[str], limit: int) -> list[OutboxEntry]:
    """The oldest entries of the tenants that are not to be skipped."""
    others = f"WHERE tenant_id NOT IN {marks(skip)} " if skip else ""
    rows = tx.execute(f"SELECT * FROM outbox {others}ORDER BY number LIMIT ?", (*skip, limit))
    return [OutboxEntry(row["number"], row["tenant_id"], row["kind"], row["key"]) for row in rows]


def lease(tx: Transaction, tenant_id: str, worker_id: str, lease_micros: int) -> bool:
    """Have the tenant's tables to this worker, unless another one has them."""
    return bool(
        tx.execute(
            """
            INSERT INTO mirrors (tenant_id, worker_id, lease_until) VALUES (?, ?, ?)
            ON CONFLICT (tenant_id) DO UPDATE SET worker_id = excluded.worker_id, lease_until = excluded.lease_until
            WHERE mirrors.worker_id = excluded.worker_id OR mirrors.lease_until <= ?
            """,
            (tenant_id, worker_id, tx.now + lease_micros, tx.now),
        ).rowcount
    )


def release(tx: Transaction, worker_id: str) -> None:
    """Let other workers have the tables that this one had."""
    tx.execute("UPDATE mirrors SET lease_until = 0 WHERE worker_id = ?", (worker_id,))


def acknowledge(tx: Transaction, worker_id: str, entries: Sequence[OutboxEntry]) -> None:
    """Remove entries that are projected; those of tables that the worker has lost meanwhile are to be done again.

    It may have written an older state over a newer one, whose entries are gone.
    """
    tenants = sorted({entry.tenant_id for entry in entries})
    rows = tx.execute(
        f"SELECT tenant_id FROM mirrors WHERE worker_id = ? AND lease_until > ? AND tenant_id IN {marks(tenants)}",
        (worker_id, tx.now, *tenants),
    )
    held = {row["tenant_id"] for row in rows}
    tx.executemany("DELETE FROM outbox WHERE number = ?", [(entry.number,) for entry in entries])
    for entry in entries:
        if entry.tenant_id not in held:
            note(tx, entry.tenant_id, entry.kind, entry.key)


def note_all(tx: Transaction, tenant_id: str) -> int:
    """Have everything of a tenant copied again."""
    noted = 0
    for kind, key, source in _PROJECTED:
        noted += tx.execute(
            f"INSERT INTO outbox (tenant_id, kind, key) SELECT tenant_id, '{kind}', {key} FROM {source} = ?",
            (tenant_id,),
        ).rowcount
    return noted
