"""Writes of a query's rows: once per job id, and everything in one transaction."""

from dataclasses import dataclass
from datetime import date

from server.domain.schema import TableSpec
from server.warehouse.embedded.catalog import Catalog, is_by_ingestion
from server.warehouse.embedded.contract import assignment, has_required_inside, null_counts
from server.warehouse.embedded.estimate import estimated_bytes, stored_bytes
from server.warehouse.embedded.session import Session, physical
from server.warehouse.limits import require_within
from server.warehouse.partitions import INGESTION_TIME, boundary, partition_range, shown_range
from server.warehouse.port import DryRun, JobOutcome, TableChange, WarehouseError, WriteEffect, WritePlan
from server.warehouse.pruning import unpruned_warnings
from server.warehouse.schema_contract import fitted
from server.warehouse.translate import Translated, translate
from server.warehouse.types import duckdb_type, quoted, text_literal

_OUTSIDE = "rows outside the partition"
"""What DuckDB's error says of them; `explain_refusal` finds the words for a person."""

_DUCKDB = {"DATE": "DATE", "DATETIME": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ"}


@dataclass(frozen=True, slots=True)
class _Checked:
    """An effect whose query fits its destination."""

    query: Translated
    spec: TableSpec
    """The destination as the write finds it: created, or grown."""
    change: TableChange
    bytes_processed: int


def write(session: Session, effect: WriteEffect) -> JobOutcome:
    """Carry out the effect, or answer with what it did when it was committed before."""
    catalog = Catalog(session)
    if done := catalog.job(effect):
        return done
    checked = _check(session, catalog, effect)
    _prepare(catalog, effect, checked)
    if has_required_inside(checked.spec.fields) and (missing := missing_values(session, effect)):
        raise missing
    rows = _merge(session, effect, checked) if effect.mode == "merge" else _replace(session, effect, checked)
    outcome = JobOutcome(
        effect.job_id,
        rows,
        table_created=checked.change.created,
        added_columns=checked.change.added_columns,
        bytes_processed=checked.bytes_processed,
        bytes_billed=checked.bytes_processed,
    )
    catalog.record_job(effect, outcome)
    return outcome


def plan(session: Session, effect: WriteEffect) -> WritePlan:
    """Check everything that `write` checks before it runs the query."""
    catalog = Catalog(session)
    checked = _check(session, catalog, effect)
    partitioned = {}
    for table in checked.query.reads:
        spec = catalog.table(table)
        if spec and spec.time_partitioning:
            partitioned[table] = spec.time_partitioning.field or INGESTION_TIME
    warnings = unpruned_warnings(effect.sql, effect.default_dataset, partitioned)
    dry_run = DryRun(checked.query.fields, checked.query.reads, checked.bytes_processed)
    return WritePlan(dry_run, checked.change, warnings)


def _check(session: Session, catalog: Catalog, effect: WriteEffect) -> _Checked:
    query = _given(catalog, effect)
    effect.may_read(query.reads)
    if not catalog.has_dataset(effect.destination.in_dataset):
        raise WarehouseError("DATASET_NOT_FOUND", f"dataset {effect.destination.in_dataset} was not found")
    spec, change = fitted(effect, catalog.table(effect.destination), query.fields, query.untyped)
    estimate = _bytes_read(session, catalog, effect, query)
    if effect.mode != "append" and not change.created:
        replaced = _within(effect, spec) if effect.mode == "overwrite_partition" else "TRUE"
        estimate += stored_bytes(session, catalog, effect.destination, replaced)
    require_within(effect.maximum_bytes_billed, estimate)
    return _Checked(query, spec, change, estimate)


def _given(catalog: Catalog, effect: WriteEffect) -> Translated:
    """The effect's rows, as DuckDB reads them."""
    file = effect.file
    if file is None:
        return translate(effect.sql, catalog, effect.default_dataset)
    names = [quoted(field.name) for field in file.fields]
    values = ", ".join(
        f"CAST({name} AS {duckdb_type(field)}) AS {name}" for name, field in zip(names, file.fields, strict=True)
    )
    sql = f"SELECT {values} FROM read_parquet({text_literal(str(file.path))})"  # noqa: S608
    return Translated(sql, file.fields, frozenset(), frozenset(), frozenset())


def _bytes_read(session: Session, catalog: Catalog, effect: WriteEffect, query: Translated) -> int:
    if effect.file is None:
        return estimated_bytes(session, catalog, query)
    return effect.file.path.stat().st_size


def _prepare(catalog: Catalog, effect: WriteEffect, checked: _Checked) -> None:
    if checked.change.created:
        catalog.create_table(effect.destination, checked.spec)
    elif checked.change.added_columns:
        added = TableSpec(fields=checked.spec.fields[-len(checked.change.added_columns) :])
        have = checked.spec.model_copy(update={"fields": checked.spec.fields[: -len(added.fields)]})
        catalog.add_columns(effect.destination, have, added)


def _replace(session: Session, effect: WriteEffect, checked: _Checked) -> int:
    """Delete what the mode replaces, then insert; a query that reads the table it changes is computed first."""
    sql = checked.query.sql
    if effect.mode == "append":
        return _insert(session, effect, checked, sql)
    if effect.destination in checked.query.reads:
        session.run(f"CREATE OR REPLACE TEMP TABLE replacement AS {sql}")
        sql = "SELECT * FROM temp.replacement"
    replaced = _within(effect, checked.spec) if effect.mode == "overwrite_partition" else "TRUE"
    session.run(f"DELETE FROM {physical(effect.destination)} WHERE {replaced}")  # noqa: S608
    return _insert(session, effect, checked, sql)


def _insert(session: Session, effect: WriteEffect, checked: _Checked, sql: str) -> int:
    values = _values(checked)
    source = f"({sql})"
    if effect.mode == "overwrite_partition":
        if is_by_ingestion(checked.spec):
            values[INGESTION_TIME] = _bounds(effect, checked.spec)[0]
        else:
            inside = f"coalesce({_within(effect, checked.spec)}, false)"
            source += f" WHERE CASE WHEN {inside} THEN true ELSE error('{_OUTSIDE}') END"
    names = ", ".join(map(quoted, values))
    return session.count(
        f"INSERT INTO {physical(effect.destination)} ({names}) SELECT {', '.join(values.values())} FROM {source}"  # noqa: S608
    )


def _values(checked: _Checked) -> dict[str, str]:
    """The destination's columns that the query gives, each with the SQL of its value."""
    targets = [(field, checked.spec.column(field.name)) for field in checked.query.fields]
    return {target.name: assignment(field, target) for field, target in targets if target}


def _merge(session: Session, effect: WriteEffect, checked: _Checked) -> int:
    values = _values(checked)
    keys = [field.name for field in checked.spec.fields if field.name.lower() in map(str.lower, effect.merge_keys)]
    columns = ", ".join(f"{value} AS {quoted(name)}" for name, value in values.items())
    session.run(f"CREATE OR REPLACE TEMP TABLE incoming AS SELECT {columns} FROM ({checked.query.sql})")  # noqa: S608
    _require_unique(session, effect, keys)
    same = " AND ".join(f"t.{quoted(key)} IS NOT DISTINCT FROM s.{quoted(key)}" for key in keys)
    changes = ", ".join(f"{quoted(name)} = s.{quoted(name)}" for name in values if name not in keys)
    names = ", ".join(map(quoted, values))
    given = ", ".join(f"s.{quoted(name)}" for name in values)
    return session.count(
        f"MERGE INTO {physical(effect.destination)} AS t USING temp.incoming AS s ON {same} "  # noqa: S608
        f"{f'WHEN MATCHED THEN UPDATE SET {changes} ' if changes else ''}"
        f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({given})"
    )


def _require_unique(session: Session, effect: WriteEffect, keys: list[str]) -> None:
    names = ", ".join(map(quoted, keys))
    doubled = session.row(
        f"SELECT count(*) OVER (), {names} FROM temp.incoming GROUP BY {names} HAVING count(*) > 1 LIMIT 1"  # noqa: S608
    )
    if doubled:
        count, *example = doubled
        shown = ", ".join(f"{key} = {value}" for key, value in zip(keys, example, strict=True))
        raise WarehouseError(
            "KEY_NOT_UNIQUE",
            f"table {effect.destination}: {effect.origin} gives more than one row for the same {', '.join(keys)}: "
            f"{count} keys, such as {shown}",
        )


def _within(effect: WriteEffect, spec: TableSpec) -> str:
    """The condition of the rows in the partition that is replaced, of the table and of the query alike."""
    partitioning = spec.time_partitioning
    column = spec.column(partitioning.field) if partitioning and partitioning.field else None
    name = quoted(column.name if column else INGESTION_TIME)
    start, end = _bounds(effect, spec)
    return f"{name} >= {start} AND {name} < {end}"


def _bounds(effect: WriteEffect, spec: TableSpec) -> tuple[str, str]:
    """First moment of the partition, and the first one after it, in DuckDB's SQL."""
    partitioning = spec.time_partitioning
    if partitioning is None or effect.partition is None:
        raise ValueError("overwrite_partition needs a partition")
    column = spec.column(partitioning.field) if partitioning.field else None
    kind = column.type if column else "TIMESTAMP"
    start, end = (first_moment(kind, day) for day in partition_range(partitioning, effect.partition))
    return start, end


def first_moment(kind: str, day: date) -> str:
    """The first moment of a day as a literal of the partitioning column's type, in DuckDB's SQL."""
    return f"{_DUCKDB[kind]} {boundary(kind, day).partition(' ')[2]}"


def missing_values(session: Session, effect: WriteEffect) -> WarehouseError | None:
    """Which REQUIRED columns the effect's query leaves NULL; None when it leaves none."""
    catalog = Catalog(session)
    query = _given(catalog, effect)
    fields = (catalog.table(effect.destination) or effect.spec).fields
    names = {field.name.lower() for field in query.fields}
    tests = null_counts([field for field in fields if field.name.lower() in names])
    counts = ", ".join(f"count_if({test})" for test in tests.values())
    found = session.row(f"SELECT {counts} FROM ({query.sql})") if counts else None  # noqa: S608
    lacking = [f"{path} ({count} rows)" for path, count in zip(tests, found or (), strict=True) if count]
    if not lacking:
        return None
    return WarehouseError(
        "REQUIRED_FIELD_IS_NULL",
        f"table {effect.destination}: {effect.origin} gives NULL for REQUIRED columns: {', '.join(lacking)}",
    )


def explain_refusal(session: Session, effect: WriteEffect, error: WarehouseError) -> WarehouseError | None:
    """More about an error that DuckDB told of the first row that was wrong; None when there is no more."""
    if error.reason == "REQUIRED_FIELD_IS_NULL":
        return missing_values(session, effect)
    return _rows_outside(session, effect) if _OUTSIDE in error.message else None


def _rows_outside(session: Session, effect: WriteEffect) -> WarehouseError:
    catalog = Catalog(session)
    query = _given(catalog, effect)
    spec, _ = fitted(effect, catalog.table(effect.destination), query.fields, query.untyped)
    partitioning = spec.time_partitioning
    column = partitioning.field if partitioning else None
    shown = shown_range(partitioning, effect.partition) if partitioning and effect.partition else ""
    count, example = session.row(
        f"SELECT count(*), any_value({quoted(column or '')}) FROM ({query.sql}) "  # noqa: S608
        f"WHERE NOT coalesce({_within(effect, spec)}, false)"
    ) or (0, None)
    return WarehouseError(
        "ROWS_OUTSIDE_PARTITION",
        f"table {effect.destination}: {count} rows of {effect.origin} have a {column} outside the partition {shown} "
        f"that is replaced, such as {'NULL' if example is None else example}; leave them out, or choose another "
        "write_mode",
    )
