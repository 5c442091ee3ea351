"""Removing what is old: in batches, so that nobody waits long behind one, and never anything of an active run."""

from server.domain.quotas import month_of
from server.store.port import EndPosition, RemovedEvents
from server.store.sql.database import Transaction, from_micros, marks


def remove_runs(tx: Transaction, ended_before: int, limit: int) -> int:
    """Remove runs that ended before then, with everything that belongs to them; answers how many."""
    rows = tx.execute(
        "SELECT pipeline_logging_id FROM runs WHERE finished_at < ?"
        f" ORDER BY finished_at, pipeline_logging_id LIMIT ?{tx.skip_locked}",
        (ended_before, limit),
    ).fetchall()
    ids = [str(row["pipeline_logging_id"]) for row in rows]
    chosen = f"pipeline_logging_id IN {marks(ids)}"
    # What could not be copied into a tenant's tables in all that time cannot be copied any more.
    tx.execute(f"DELETE FROM outbox WHERE key IN {marks(ids)}", ids)
    tx.execute(
        f"DELETE FROM outbox WHERE key IN (SELECT pipeline_logging_id || '/' || step_id FROM steps WHERE {chosen})", ids
    )
    for table in ("events", "data_quality_results", "deliveries", "steps", "snapshots", "requests", "runs"):
        tx.execute(f"DELETE FROM {table} WHERE {chosen}", ids)
    return len(ids)


def remove_events(tx: Transaction, ended_before: int, after: EndPosition, limit: int) -> RemovedEvents:
    """Leave only the last event of runs that ended before then, beginning behind `after`."""
    rows = tx.execute(
        "SELECT pipeline_logging_id, finished_at, last_sequence FROM runs"
        " WHERE finished_at < ? AND (finished_at, pipeline_logging_id) > (?, ?)"
        " ORDER BY finished_at, pipeline_logging_id LIMIT ?",
        (ended_before, after.finished_at, after.pipeline_logging_id, limit),
    ).fetchall()
    bare = 0
    for row in rows:
        removed = tx.execute(
            "DELETE FROM events WHERE pipeline_logging_id = ? AND sequence < ?",
            (row["pipeline_logging_id"], row["last_sequence"]),
        )
        bare += removed.rowcount > 0
    last = EndPosition(rows[-1]["finished_at"], rows[-1]["pipeline_logging_id"]) if rows else after
    return RemovedEvents(bare, last, is_end=len(rows) < limit)


def remove_usage(tx: Transaction) -> None:
    """Forget what was used before the present month."""
    tx.execute("DELETE FROM usage WHERE period < ?", (month_of(from_micros(tx.now)),))
