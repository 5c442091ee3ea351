"""What the embedded warehouse remembers beside the rows: datasets, exact schemas, jobs that are done.

It stands in a DuckDB schema without a dot in its name, so no `project.dataset` can reach it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from duckdb.sqltypes import DuckDBPyType

from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.warehouse.embedded.metadata import is_view, view
from server.warehouse.embedded.session import Session, physical
from server.warehouse.identity import identity, reused
from server.warehouse.partitions import INGESTION_TIME
from server.warehouse.port import JobOutcome, WarehouseError, WriteEffect
from server.warehouse.translate import View
from server.warehouse.types import duckdb_type, quoted

# Each brings the bookkeeping to its number, counted from 1. The first files have no number, so that none may fail on
# what is there.
_VERSIONS = (
    """
CREATE TABLE IF NOT EXISTS _warehouse.datasets (
    project VARCHAR, dataset VARCHAR, location VARCHAR NOT NULL, description VARCHAR NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now(), PRIMARY KEY (project, dataset));
CREATE TABLE IF NOT EXISTS _warehouse.tables (
    project VARCHAR, dataset VARCHAR, name VARCHAR, spec JSON NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now(), PRIMARY KEY (project, dataset, name));
CREATE TABLE IF NOT EXISTS _warehouse.jobs (
    job_id VARCHAR PRIMARY KEY, outcome JSON NOT NULL, finished_at TIMESTAMPTZ DEFAULT now());
""",
    """
ALTER TABLE _warehouse.jobs ADD COLUMN IF NOT EXISTS destination VARCHAR;
ALTER TABLE _warehouse.jobs ADD COLUMN IF NOT EXISTS mode VARCHAR;
ALTER TABLE _warehouse.jobs ADD COLUMN IF NOT EXISTS sql_digest VARCHAR;
""",
    """
ALTER TABLE _warehouse.jobs ADD COLUMN IF NOT EXISTS partition VARCHAR;
ALTER TABLE _warehouse.jobs ADD COLUMN IF NOT EXISTS merge_keys VARCHAR;
""",
)
_HIDDEN_SINCE = 3
"""The number from which on tables that are partitioned by time of loading have their hidden column."""
FIND_JOB = "SELECT outcome, destination, mode, sql_digest, partition, merge_keys FROM _warehouse.jobs WHERE job_id = ?"


class Catalog:
    """The bookkeeping, read and written within a session's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def describe(self, sql: str) -> list[DuckDBPyType]:
        """The column types of a DuckDB query."""
        return self._session.describe(sql)

    def has_dataset(self, dataset: DatasetRef) -> bool:
        """True when the dataset exists."""
        sql = "SELECT 1 FROM _warehouse.datasets WHERE project = ? AND dataset = ?"
        return self._session.row(sql, [dataset.project, dataset.dataset]) is not None

    def create_dataset(self, dataset: DatasetRef, location: str, description: str) -> None:
        """Create a dataset that does not exist. Refuses a name that differs from another's only in case."""
        sql = "SELECT dataset FROM _warehouse.datasets WHERE project = ? AND lower(dataset) = lower(?)"
        _require_no_twin(self._session.row(sql, [dataset.project, dataset.dataset]), f"dataset {dataset}")
        self._session.run(f"CREATE SCHEMA {quoted(str(dataset))}")
        insert = "INSERT INTO _warehouse.datasets (project, dataset, location, description) VALUES (?, ?, ?, ?)"
        self._session.run(insert, [dataset.project, dataset.dataset, location, description])

    def drop_dataset(self, dataset: DatasetRef) -> None:
        """Remove a dataset that exists, and its tables. Which jobs were done stays known."""
        for table in ("tables", "datasets"):
            sql = f"DELETE FROM _warehouse.{table} WHERE project = ? AND dataset = ?"  # noqa: S608 - names of this file
            self._session.run(sql, [dataset.project, dataset.dataset])
        self._session.run(f"DROP SCHEMA {quoted(str(dataset))} CASCADE")

    def table(self, ref: TableRef) -> TableSpec | None:
        """The table's schema and settings, None when there is no such table."""
        sql = "SELECT spec FROM _warehouse.tables WHERE project = ? AND dataset = ? AND name = ?"
        row = self._session.row(sql, [ref.project, ref.dataset, ref.table])
        return TableSpec.model_validate_json(row[0]) if row else None

    def tables(self) -> list[tuple[TableRef, TableSpec]]:
        """Every table, in the order of its name."""
        rows = self._session.run("SELECT project, dataset, name, spec FROM _warehouse.tables ORDER BY ALL")
        return [(TableRef(*names), TableSpec.model_validate_json(spec)) for *names, spec in rows]

    def matching(self, ref: TableRef) -> list[tuple[TableRef, TableSpec]]:
        """The tables whose names begin as `ref` does before its `*`, the one that was made last first."""
        sql = (
            "SELECT name, spec FROM _warehouse.tables WHERE project = ? AND dataset = ? AND starts_with(name, ?) "
            "ORDER BY created_at DESC, name DESC"
        )
        rows = self._session.run(sql, [ref.project, ref.dataset, ref.table.removesuffix("*")])
        return [(ref.in_dataset.table(name), TableSpec.model_validate_json(spec)) for name, spec in rows]

    def view(self, ref: TableRef) -> View | None:
        """A dataset's description of itself, None when the name is not that of one or there is no such dataset."""
        if not is_view(ref.table) or not self.has_dataset(ref.in_dataset):
            return None
        sql = "SELECT name, spec, created_at FROM _warehouse.tables WHERE project = ? AND dataset = ? ORDER BY name"
        rows = self._session.run(sql, [ref.project, ref.dataset])
        return view(
            ref.table,
            [(ref.in_dataset.table(name), TableSpec.model_validate_json(spec), at) for name, spec, at in rows],
            self._session,
        )

    def create_table(self, ref: TableRef, spec: TableSpec) -> None:
        """Create a table that does not exist.

        Raises:
            WarehouseError: DATASET_NOT_FOUND.
        """
        if not self.has_dataset(ref.in_dataset):
            raise WarehouseError("DATASET_NOT_FOUND", f"dataset {ref.in_dataset} was not found")
        sql = "SELECT name FROM _warehouse.tables WHERE project = ? AND dataset = ? AND lower(name) = lower(?)"
        _require_no_twin(self._session.row(sql, [ref.project, ref.dataset, ref.table]), f"table {ref}")
        columns = [
            f"{quoted(field.name)} {duckdb_type(field)}{_CONSTRAINTS.get(field.mode, '')}" for field in spec.fields
        ]
        if is_by_ingestion(spec):
            columns.append(_hidden_column(spec))
        self._session.run(f"CREATE TABLE {physical(ref)} ({', '.join(columns)})")
        insert = "INSERT INTO _warehouse.tables (project, dataset, name, spec) VALUES (?, ?, ?, ?)"
        self._session.run(insert, [ref.project, ref.dataset, ref.table, json.dumps(spec.to_json())])

    def add_columns(self, ref: TableRef, spec: TableSpec, added: TableSpec) -> None:
        """Give an existing table the columns of `added` beside those of `spec`."""
        for field in added.fields:
            name = quoted(field.name)
            default = " DEFAULT []" if field.mode == "REPEATED" else ""
            self._session.run(f"ALTER TABLE {physical(ref)} ADD COLUMN {name} {duckdb_type(field)}{default}")
        grown = spec.model_copy(update={"fields": spec.fields + added.fields})
        sql = "UPDATE _warehouse.tables SET spec = ? WHERE project = ? AND dataset = ? AND name = ?"
        self._session.run(sql, [json.dumps(grown.to_json()), ref.project, ref.dataset, ref.table])

    def job(self, effect: WriteEffect) -> JobOutcome | None:
        """The outcome of the effect when it was committed before.

        Raises:
            WarehouseError: JOB_ID_REUSED when it was another effect that had the job id.
        """
        row = self._session.row(FIND_JOB, [effect.job_id])
        if row is None:
            return None
        _require_same(effect, row[1:])
        return _adopted(row[0])

    def outcome(self, job_id: str) -> JobOutcome | None:
        """The outcome of whatever effect was committed under that id."""
        row = self._session.row(FIND_JOB, [job_id])
        return None if row is None else _adopted(row[0])

    def record_job(self, effect: WriteEffect, outcome: JobOutcome) -> None:
        """Remember a job in the transaction of its effect."""
        insert = (
            "INSERT INTO _warehouse.jobs (job_id, outcome, destination, mode, sql_digest, partition, merge_keys) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        self._session.run(insert, [effect.job_id, json.dumps(asdict(outcome)), *identity(effect).values()])


# An array is never NULL on BigQuery.
_CONSTRAINTS = {"REQUIRED": " NOT NULL", "REPEATED": " NOT NULL DEFAULT []"}


def is_by_ingestion(spec: TableSpec) -> bool:
    """Whether the table is partitioned by the time of loading: it has a column for it that its fields do not show."""
    return spec.time_partitioning is not None and spec.time_partitioning.field is None


def _hidden_column(spec: TableSpec) -> str:
    """Rows that are not given a partition get that of the present time (UTC)."""
    unit = spec.time_partitioning.type if spec.time_partitioning else "DAY"
    return f"{quoted(INGESTION_TIME)} TIMESTAMP WITH TIME ZONE DEFAULT date_trunc('{unit}', now())"


def prepare(session: Session) -> None:
    """Create the bookkeeping in a file that has none, and bring that of an older file up to date.

    Raises:
        WarehouseError: WAREHOUSE_FAILED for a file of a newer release.
    """
    session.run("CREATE SCHEMA IF NOT EXISTS _warehouse")
    session.run("CREATE TABLE IF NOT EXISTS _warehouse.version (number INTEGER NOT NULL)")
    row = session.row("SELECT number FROM _warehouse.version")
    number = row[0] if row else 0
    if number > len(_VERSIONS):
        raise WarehouseError("WAREHOUSE_FAILED", "a newer release made the warehouse file; use that release or a later")
    for statements in _VERSIONS[number:]:
        session.run(statements)
    if number < _HIDDEN_SINCE:
        _add_hidden_columns(session)
    session.run("DELETE FROM _warehouse.version")
    session.run("INSERT INTO _warehouse.version VALUES (?)", [len(_VERSIONS)])


def _add_hidden_columns(session: Session) -> None:
    """Rows of an older file count as loaded when their table was made."""
    tables = session.run("SELECT project, dataset, name, spec, created_at FROM _warehouse.tables")
    for *names, text, created_at in tables:
        spec, table = TableSpec.model_validate_json(text), physical(TableRef(*names))
        if spec.time_partitioning and is_by_ingestion(spec):
            session.run(f"ALTER TABLE {table} ADD COLUMN {_hidden_column(spec)}")
            unit = spec.time_partitioning.type
            session.run(f"UPDATE {table} SET {quoted(INGESTION_TIME)} = date_trunc('{unit}', ?)", [created_at])  # noqa: S608


def _adopted(recorded: str) -> JobOutcome:
    known = json.loads(recorded)
    added = tuple(known.pop("added_columns", ()))
    return replace(JobOutcome(**known, added_columns=added), adopted=True)


def _require_same(effect: WriteEffect, recorded: Sequence[str | None]) -> None:
    """Jobs of the first files have no identity, and count as the same."""
    parts = zip(identity(effect).items(), recorded, strict=True)
    if other := [name for (name, part), known in parts if known not in (None, part)]:
        raise reused(effect, other)


def _require_no_twin(row: tuple[str, ...] | None, what: str) -> None:
    if row:
        raise WarehouseError(
            "WAREHOUSE_FAILED",
            f"{what} would differ from {row[0]} only in case; the embedded warehouse cannot hold both",
        )
