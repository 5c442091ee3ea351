"""What workers tell of themselves, and how far the mirror is."""

from server.store.health_port import MOST_COUNTED, SILENT_SECONDS, Health, SeenWorker, WorkerReport
from server.store.sql.database import Row, Transaction, found, from_micros
from server.store.sql.rows import moment
from server.store.sql.run_lists import queue_of

_SILENT_MICROS = int(SILENT_SECONDS * 1_000_000)


def report(tx: Transaction, told: WorkerReport) -> None:
    """Note what a worker tells; what is gone is forgotten."""
    tx.execute("DELETE FROM workers WHERE seen_at < ?", (tx.now - _SILENT_MICROS,))
    tx.execute(
        """
        INSERT INTO workers (worker_id, version, places, running, warehouse_fault, started_at, seen_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (worker_id) DO UPDATE
        SET running = excluded.running, warehouse_fault = excluded.warehouse_fault, seen_at = excluded.seen_at
        """,
        (told.worker_id, told.version, told.places, told.running, told.warehouse_fault, tx.now, tx.now),
    )


def forget(tx: Transaction, worker_id: str) -> None:
    """The worker is no more."""
    tx.execute("DELETE FROM workers WHERE worker_id = ?", (worker_id,))


def health(tx: Transaction) -> Health:
    """How workers and the mirror stand."""
    workers = tx.execute(
        "SELECT * FROM workers WHERE seen_at >= ? ORDER BY started_at, worker_id", (tx.now - _SILENT_MICROS,)
    ).fetchall()
    backlog = found(
        tx.execute(
            "SELECT COUNT(*) AS entries, MIN(NULLIF(noted_at, 0)) AS since"
            " FROM (SELECT noted_at FROM outbox ORDER BY number LIMIT ?) AS oldest",
            (MOST_COUNTED,),
        ).fetchone()
    )
    since = backlog["since"]
    behind_since = from_micros(since) if since else None
    queue = queue_of(tx, None)
    return Health(
        workers=[_worker(row) for row in workers],
        mirror_backlog=backlog["entries"],
        mirror_behind_since=behind_since,
        pending_runs=int(queue["pending"] or 0),
        active_runs=int(queue["active"] or 0),
        oldest_pending=moment(queue["oldest_pending"]),
        now=from_micros(tx.now),
    )


def _worker(row: Row) -> SeenWorker:
    told = WorkerReport(
        worker_id=row["worker_id"],
        version=row["version"],
        places=row["places"],
        running=row["running"],
        warehouse_fault=row["warehouse_fault"],
    )
    return SeenWorker(told, from_micros(row["started_at"]), from_micros(row["seen_at"]))
