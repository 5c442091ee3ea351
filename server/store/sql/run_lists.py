"""Runs as they are listed and counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from server.domain.pipeline import PipelineName
from server.domain.run import Run, RunStatus
from server.store.port import PipelineStatistics, RunFilter, RunPosition, RunStatistics
from server.store.sql.database import Row, Transaction, found, marks, to_micros
from server.store.sql.rows import moment, run_of

# What is counted reads no more, however many there are.
_MOST_COUNTED = 10_000
_MOST_IN_STATISTICS = 100_000
_MOST_PIPELINES = 500
_TEXTS = ("pipeline_id", "pipeline_logging_id", "tenant_id", "error_message")
_SECOND = 1_000_000


def list_runs(tx: Transaction, wanted: RunFilter, after: RunPosition | None, limit: int) -> list[Run]:
    """A page of runs, newest first, or oldest."""
    where, values = _conditions(wanted)
    if after is not None:
        where.append(f"(created_at, pipeline_logging_id) {'>' if wanted.is_oldest_first else '<'} (?, ?)")
        values += [to_micros(after.created_at), after.pipeline_logging_id]
    matching = f"SELECT * FROM runs WHERE {' AND '.join(where)}"
    order = "ASC" if wanted.is_oldest_first else "DESC"
    in_order = f"ORDER BY created_at {order}, pipeline_logging_id {order} LIMIT ?"
    if not wanted.statuses:
        return [run_of(row) for row in tx.execute(f"{matching} {in_order}", [*values, limit])]
    # The indexes have the runs of one status in this order, and not those of several.
    statuses = dict.fromkeys(wanted.statuses)
    pages = [f"SELECT * FROM ({matching} AND status = ? {in_order}) AS page"] * len(statuses)
    each = [value for status in statuses for value in (*values, status, limit)]
    return [run_of(row) for row in tx.execute(f"{' UNION ALL '.join(pages)} {in_order}", [*each, limit])]


def _conditions(wanted: RunFilter) -> tuple[list[str], list[object]]:
    """What holds for the runs, whatever their status, and the values for it."""
    conditions: list[tuple[str, object]] = [
        ("kind = ?", wanted.kind),
        ("tenant_id = ?", wanted.tenant_id),
        ("pipeline_id = ?", wanted.pipeline_id),
        ("provider = ?", wanted.provider),
        ("domain = ?", wanted.domain),
        ("template_name = ?", wanted.template_name),
        ("created_at >= ?", wanted.created_after and to_micros(wanted.created_after)),
        ("created_at < ?", wanted.created_before and to_micros(wanted.created_before)),
        # The indexes of both hold none of the other runs, which has to be said.
        ("schedule_id = ? AND schedule_id != ''", wanted.schedule_id),
        ("backfill_id = ? AND backfill_id != ''", wanted.backfill_id),
    ]
    used = [(condition, value) for condition, value in conditions if value not in (None, "")]
    where, values = [condition for condition, _ in used], [value for _, value in used]
    if wanted.triggers:
        where.append(f"trigger_kind IN {marks(wanted.triggers)}")
        values += wanted.triggers
    if wanted.text:
        where.append("(" + " OR ".join(f"LOWER({name}) LIKE ? ESCAPE '!'" for name in _TEXTS) + ")")
        values += [_containing(wanted.text)] * len(_TEXTS)
    return where, values


def _containing(text: str) -> str:
    """The pattern of what has the text in it."""
    # SQLite reads a pattern up to its first NUL; no text has one.
    literal = text.lower().replace("\0", "\ufffd").replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{literal}%"


def count_runs(tx: Transaction, wanted: RunFilter) -> Mapping[RunStatus, int]:
    """How many of the latest runs are in which status."""
    where, values = _conditions(wanted)
    rows = tx.execute(
        f"SELECT status, COUNT(*) AS runs FROM (SELECT status FROM runs WHERE {' AND '.join(where)}"
        " ORDER BY created_at DESC LIMIT ?) AS latest GROUP BY status",
        (*values, _MOST_COUNTED),
    )
    return {RunStatus(row["status"]): row["runs"] for row in rows}


class _Latest(NamedTuple):
    """The runs that are looked at, to stand behind FROM, and the values for it."""

    sql: str
    values: Sequence[object]


def statistics(tx: Transaction, tenant_id: str | None, since: datetime, until: datetime, buckets: int) -> RunStatistics:
    """How the latest runs of a period went, and what waits now."""
    of_tenant, tenant = ("", ()) if tenant_id is None else ("tenant_id = ? AND ", (tenant_id,))
    start, end = to_micros(since), to_micros(until)
    latest = _Latest(
        f"(SELECT * FROM runs WHERE {of_tenant}kind = 'EXECUTE' AND created_at >= ? AND created_at < ?"
        " ORDER BY created_at DESC LIMIT ?) AS latest",
        (*tenant, start, end, _MOST_IN_STATISTICS),
    )
    queue = queue_of(tx, tenant_id)
    return RunStatistics(
        buckets=_buckets(tx, latest, start, max(1, (end - start) // buckets), buckets),
        pipelines=_pipelines(tx, latest),
        pending=int(queue["pending"] or 0),
        active=int(queue["active"] or 0),
        oldest_pending=moment(queue["oldest_pending"]),
    )


def _buckets(tx: Transaction, latest: _Latest, start: int, length: int, count: int) -> list[Mapping[RunStatus, int]]:
    """`start` and `length` in microseconds."""
    counted: list[dict[RunStatus, int]] = [{} for _ in range(count)]
    rows = tx.execute(
        "SELECT (created_at - CAST(? AS BIGINT)) / CAST(? AS BIGINT) AS bucket, status, COUNT(*) AS runs"
        f" FROM {latest.sql} GROUP BY 1, 2",
        (start, length, *latest.values),
    )
    for row in rows:
        # What is left over of a period that does not divide evenly is the last one's.
        of_bucket, status = counted[min(row["bucket"], count - 1)], RunStatus(row["status"])
        of_bucket[status] = of_bucket.get(status, 0) + row["runs"]
    return list(counted)


def _pipelines(tx: Transaction, latest: _Latest) -> list[PipelineStatistics]:
    rows = tx.execute(
        f"""
        SELECT provider, domain, template_name, status, COUNT(*) AS runs, COUNT(finished_at - started_at) AS timed,
               SUM(finished_at - started_at) AS total, MAX(finished_at - started_at) AS longest
        FROM {latest.sql} GROUP BY provider, domain, template_name, status
        """,
        latest.values,
    )
    of_name = dict[PipelineName, list[Row]]()
    for row in rows:
        of_name.setdefault(PipelineName(row["provider"], row["domain"], row["template_name"]), []).append(row)
    made = [_pipeline(name, of_status) for name, of_status in of_name.items()]
    return sorted(made, key=lambda one: (-sum(one.runs_by_status.values()), one.name))[:_MOST_PIPELINES]


def _pipeline(name: PipelineName, rows: Sequence[Row]) -> PipelineStatistics:
    timed = sum(row["timed"] for row in rows)
    total = sum(int(row["total"] or 0) for row in rows)
    return PipelineStatistics(
        name,
        {RunStatus(row["status"]): row["runs"] for row in rows},
        mean_seconds=total / timed / _SECOND if timed else 0,
        longest_seconds=max(row["longest"] or 0 for row in rows) / _SECOND,
    )


def queue_of(tx: Transaction, tenant_id: str | None) -> Row:
    """How many runs wait and are active, and since when the first one waits."""
    tenant = () if tenant_id is None else (tenant_id,)
    of_queues, of_runs = (" WHERE tenant_id = ?", " AND tenant_id = ?") if tenant else ("", "")
    return found(
        tx.execute(
            "SELECT SUM(pending) AS pending, SUM(active) AS active,"
            f" (SELECT MIN(created_at) FROM runs WHERE status = 'PENDING'{of_runs}) AS oldest_pending"
            f" FROM queues{of_queues}",
            (*tenant, *tenant),
        ).fetchone()
    )
