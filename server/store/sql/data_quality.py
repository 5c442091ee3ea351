"""What steps found out about the quality of data."""

from collections.abc import Collection, Sequence

from server.domain.data_quality import Check, DataQualityResult
from server.domain.run import Run
from server.store.port import DataQualityFilter, DataQualityPosition
from server.store.sql.database import Transaction, to_micros
from server.store.sql.outbox import note
from server.store.sql.rows import moment

_NEWEST = "ORDER BY checked_at DESC, pipeline_logging_id DESC, step_id DESC, place DESC LIMIT ?"
_OF_STEP = "pipeline_logging_id = ? AND step_id = ?"


def keep_checks(tx: Transaction, run: Run, step_id: str, checks: Sequence[Check]) -> None:
    """Keep what an attempt found, in the place of what attempts before it did. One without checks changes nothing."""
    if not checks:
        return
    tx.execute(f"DELETE FROM data_quality_results WHERE {_OF_STEP}", (run.pipeline_logging_id, step_id))
    for place, check in zip(range(len(checks), 0, -1), checks, strict=True):
        _insert(tx, _result(tx, run, step_id, place, check))
    note(tx, run.tenant_id, "dq", f"{run.pipeline_logging_id}/{step_id}")


def _result(tx: Transaction, run: Run, step_id: str, place: int, check: Check) -> DataQualityResult:
    return DataQualityResult.model_validate(
        {
            **check.model_dump(),
            "pipeline_logging_id": run.pipeline_logging_id,
            "tenant_id": run.tenant_id,
            "pipeline_id": run.pipeline_id,
            "step_id": step_id,
            "run_created_at": run.created_at,
            "checked_at": moment(tx.now),
            "place": place,
        }
    )


def _insert(tx: Transaction, result: DataQualityResult) -> None:
    tx.execute(
        """
        INSERT INTO data_quality_results
            (pipeline_logging_id, step_id, check_id, tenant_id, table_name, status, checked_at, place, body)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            result.pipeline_logging_id,
            result.step_id,
            result.check_id,
            result.tenant_id,
            result.table_name,
            result.status,
            tx.now,
            result.place,
            result.model_dump_json(),
        ),
    )


def list_results(
    tx: Transaction, wanted: DataQualityFilter, after: DataQualityPosition | None, limit: int
) -> list[DataQualityResult]:
    """A page of results, newest first."""
    conditions = [
        ("tenant_id = ?", wanted.tenant_id),
        ("pipeline_logging_id = ?", wanted.pipeline_logging_id),
        ("table_name = ?", wanted.table_name),
    ]
    where = [condition for condition, value in conditions if value]
    values: list[object] = [value for _, value in conditions if value]
    if after is not None:
        where.append("(checked_at, pipeline_logging_id, step_id, place) < (?, ?, ?, ?)")
        values += [to_micros(after.checked_at), after.pipeline_logging_id, after.step_id, after.place]
    matching = f"SELECT * FROM data_quality_results WHERE {' AND '.join(where)}"
    if not wanted.statuses:
        return _results(tx, f"{matching} {_NEWEST}", [*values, limit])
    # The indexes have the results of one status in this order, and not those of several.
    statuses = dict.fromkeys(wanted.statuses)
    pages = [f"SELECT * FROM ({matching} AND status = ? {_NEWEST}) AS page"] * len(statuses)
    each = [value for status in statuses for value in (*values, status, limit)]
    return _results(tx, f"{' UNION ALL '.join(pages)} {_NEWEST}", [*each, limit])


def results_of(tx: Transaction, steps: Collection[tuple[str, str]]) -> list[DataQualityResult]:
    """All results of steps, each given by its run and its id."""
    sql = f"SELECT * FROM data_quality_results WHERE {_OF_STEP}"
    return [result for step in steps for result in _results(tx, sql, step)]


def _results(tx: Transaction, sql: str, values: Sequence[object]) -> list[DataQualityResult]:
    # A newer version may have written more than this one knows.
    return [DataQualityResult.model_validate_json(row["body"], extra="ignore") for row in tx.execute(sql, values)]
