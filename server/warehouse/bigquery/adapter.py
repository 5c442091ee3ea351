"""The Warehouse port on BigQuery."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import bigquery
from requests.adapters import HTTPAdapter

from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.threads import in_own_thread
from server.warehouse.bigquery.calls import CONNECTIONS, ONCE, TIMEOUT, Calls
from server.warehouse.bigquery.credentials import installation_credentials, service_account_credentials
from server.warehouse.bigquery.effects import Effects
from server.warehouse.bigquery.jobs import Job, Jobs, Statement
from server.warehouse.bigquery.schemas import fields_of
from server.warehouse.bigquery.staging import Staging, rows_of
from server.warehouse.bigquery.statements import bare_nulls, write_statement
from server.warehouse.bigquery.tables import Tables
from server.warehouse.bigquery.upserts import rows_parameter, upsert_statement
from server.warehouse.limits import require_within
from server.warehouse.partitions import first_day
from server.warehouse.port import (
    DryRun,
    JobOutcome,
    MayRead,
    Rows,
    Settled,
    TableChange,
    WarehouseError,
    WriteEffect,
    WritePlan,
    anything,
)
from server.warehouse.pruning import unpruned_warnings
from server.warehouse.schema_contract import fitted

_CREATED = "table_created"
_MOST_TABLES = 50
"""Source: `referencedTables` in BigQuery's REST reference for `JobStatistics2`: of more tables it is not complete."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _looks_anew(
    method: Callable[Concatenate["BigQueryWarehouse", _P], Awaitable[_T]],
) -> Callable[Concatenate["BigQueryWarehouse", _P], Coroutine[Any, Any, _T]]:
    """After an answer that something is not where it was looked for, the next call asks again where datasets are."""

    @wraps(method)
    async def looking(self: "BigQueryWarehouse", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await method(self, *args, **kwargs)
        except WarehouseError as error:
            if error.reason == "DATASET_NOT_FOUND" or "not found in location" in error.message:
                self._tables.forget_locations()
            raise

    return looking


@dataclass(frozen=True, slots=True)
class _Checked:
    """An effect whose query fits its destination."""

    dry_run: DryRun
    nulls: frozenset[str]
    spec: TableSpec
    """The destination as the write finds it: created, or grown."""
    change: TableChange


class BigQueryWarehouse:
    """The datasets and tables of one Google Cloud project."""

    def __init__(self, client: bigquery.Client, *, endpoint: str | None, calls: Calls | None = None) -> None:
        """`calls`: those of another warehouse, to share its threads."""
        self._client = client
        self._endpoint = endpoint
        self._owns_calls = calls is None
        self._calls = calls or Calls()
        self._tables = Tables(client, self._calls)
        self._jobs = Jobs(client, self._calls)
        self._effects = Effects(self._jobs)
        self._staging = Staging(client, self._calls, self._jobs)

    @classmethod
    async def open(
        cls, *, project: str, location: str, endpoint: str | None = None, credentials_file: Path | None = None
    ) -> "BigQueryWarehouse":
        """Make ready, without a call to BigQuery.

        Raises:
            WarehouseError: ACCESS_DENIED when there are no credentials, or none that can be read.
        """
        credentials = await asyncio.to_thread(
            installation_credentials, endpoint=endpoint, credentials_file=credentials_file
        )
        return cls.seen_by(credentials, project=project, location=location, endpoint=endpoint)

    @classmethod
    def seen_by(
        cls,
        credentials: Credentials,
        *,
        project: str,
        location: str,
        endpoint: str | None = None,
        calls: Calls | None = None,
    ) -> "BigQueryWarehouse":
        """The warehouse as somebody sees it who has these credentials: the installation, or a tenant."""
        options = {"api_endpoint": endpoint} if endpoint else None
        # As many connections are kept as there are calls at a time; requests keeps ten by itself.
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        session.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        client = bigquery.Client(
            project=project, location=location, credentials=credentials, client_options=options, _http=session
        )
        return cls(client, endpoint=endpoint, calls=calls)

    def acting_as(self, key: Mapping[str, str], *, token_uri: str) -> "BigQueryWarehouse":
        """The same project as a service account sees it."""
        return self.seen_by(
            service_account_credentials(key, token_uri=token_uri),
            project=self._client.project,
            location=self._client.location,
            endpoint=self._endpoint,
            calls=self._calls,
        )

    async def close(self) -> None:
        """Release the connections. Jobs that still run go on, and are found again by their ids."""
        if self._owns_calls:
            self._calls.close()
        await asyncio.to_thread(self._client.close)

    async def ensure_dataset(self, dataset: DatasetRef, *, location: str, description: str = "") -> bool:
        """Create the dataset unless it exists; True when it was created."""
        return await self._tables.ensure_dataset(dataset, location=location, description=description)

    async def delete_dataset(self, dataset: DatasetRef) -> bool:
        """Remove the dataset with everything in it; see the port."""
        return await self._tables.delete_dataset(dataset)

    async def list_tables(self, dataset: DatasetRef) -> list[str]:
        """The names of the dataset's tables, sorted; none when there is no such dataset."""
        return await self._tables.names(dataset)

    async def get_table(self, table: TableRef) -> TableSpec | None:
        """The table's schema and settings, or None when there is no such table."""
        return await self._tables.spec(table)

    async def ensure_table(self, table: TableRef, spec: TableSpec) -> TableChange:
        """Create the table, or add the columns it lacks; see the port."""
        return await self._tables.ensure(table, spec)

    @_looks_anew
    async def write(self, effect: WriteEffect) -> JobOutcome:
        """Write a query's rows to a table, once per job id; see the port."""
        location = await self._tables.location(effect.destination.in_dataset)
        change = TableChange(created=False)
        staged = list[TableRef]()

        async def prepare() -> Statement:
            nonlocal change
            checked = await self._check(effect, location)
            if checked.change.created or checked.change.added_columns:
                change = await self._tables.ensure(effect.destination, checked.spec)
            rows = effect
            if effect.file is not None:
                table = await self._staging.load(
                    effect.file, effect.destination.in_dataset, location, dict(effect.labels)
                )
                staged.append(table)
                rows = replace(effect, sql=rows_of(effect.file, table))
            sql = write_statement(rows, checked.spec, checked.dry_run.fields, checked.nulls)
            statement = _statement(effect, sql, location)
            # For whoever adopts the job.
            return replace(statement, labels={**statement.labels, _CREATED: str(change.created).lower()})

        try:
            job, adopted = await self._effects.carry_out(effect, location, prepare)
        finally:
            # After a cancellation the job may go on for somebody who adopts it.
            if staged and not _is_being_cancelled():
                await asyncio.gather(*map(self._staging.drop, staged))
        return _outcome(job, change.added_columns, adopted=adopted)

    @_looks_anew
    async def plan_write(self, effect: WriteEffect) -> WritePlan:
        """Check everything that `write` checks before it runs the query, and change nothing."""
        location = await self._tables.location(effect.destination.in_dataset)
        checked = await self._check(effect, location)
        dry_run = checked.dry_run
        if sql := _planned_statement(effect, checked):
            job = await self._jobs.dry_run(_statement(effect, sql, location))
            dry_run = replace(dry_run, bytes_processed=int(job.total_bytes_processed or 0))
        require_within(effect.maximum_bytes_billed, dry_run.bytes_processed)
        reads = sorted(dry_run.reads)
        columns = await asyncio.gather(*map(self._tables.partitioned_by, reads))
        partitioned = {table: column for table, column in zip(reads, columns, strict=True) if column}
        warnings = await in_own_thread(unpruned_warnings, effect.sql, effect.default_dataset, partitioned)
        return WritePlan(dry_run, checked.change, warnings)

    async def settle(self, job_id: str, dataset: DatasetRef) -> Settled:
        """Stop the effect of that id, and tell what became of it."""
        state, job = await self._effects.settle(job_id, lambda: self._tables.location(dataset))
        return Settled(state, _outcome(job, (), adopted=True) if job else None)

    async def _check(self, effect: WriteEffect, location: str) -> _Checked:
        """Hold the effect's rows against its destination, a query's by a dry run."""
        if effect.file is not None:
            fields = effect.file.fields
            spec, change = fitted(effect, await self._tables.spec(effect.destination), fields)
            return _Checked(DryRun(fields, frozenset(), 0), frozenset(), spec, change)
        job = await self._jobs.dry_run(_statement(effect, effect.sql, location))
        dry_run = _dry_run(job)
        effect.may_read(dry_run.reads)
        have = await self._tables.spec(effect.destination)
        # A long query takes a second to parse, in which nobody else would be served.
        nulls = await in_own_thread(bare_nulls, effect.sql)
        spec, change = await in_own_thread(fitted, effect, have, dry_run.fields, nulls)
        return _Checked(dry_run, nulls, spec, change)

    @_looks_anew
    async def upsert(
        self,
        table: TableRef,
        keys: Sequence[str],
        rows: Sequence[Mapping[str, Any]],
        *,
        job_id: str | None = None,
        fixed: str | None = None,
    ) -> None:
        """Insert rows, replacing those with the same key; one MERGE, whatever their number."""
        spec = await self._tables.spec(table)
        if spec is None:
            raise WarehouseError("TABLE_NOT_FOUND", f"table {table} was not found")
        text = rows_parameter(table, spec, keys, rows)
        if rows:
            location = await self._tables.location(table.in_dataset)
            sql = upsert_statement(table, spec, keys, since=first_day(spec, rows, fixed))
            parameters = (bigquery.ScalarQueryParameter("rows", "STRING", text),)

            async def prepare() -> Statement:
                return Statement(sql, location, labels={"tenant_id": table.dataset}, parameters=parameters)

            await self._effects.complete(job_id or _job_id(), location, prepare, adopt=False)

    @_looks_anew
    async def query(
        self,
        sql: str,
        *,
        default_dataset: DatasetRef,
        max_rows: int = 1_000,
        labels: Mapping[str, str] = MappingProxyType({}),
        maximum_bytes_billed: int | None = None,
        may_read: MayRead = anything,
    ) -> Rows:
        """Run one SELECT and fetch at most `max_rows` rows."""
        location = await self._tables.location(default_dataset)
        statement = Statement(sql, location, default_dataset, dict(labels), maximum_bytes_billed)
        may_read(_dry_run(await self._jobs.dry_run(statement)).reads)
        job = await self._jobs.query(statement, _job_id)

        def fetch() -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
            rows = job.result(max_results=max_rows, retry=ONCE, timeout=TIMEOUT, job_retry=None)
            return tuple(field.name for field in rows.schema), tuple(row.values() for row in rows)

        columns, rows = await self._calls.run(fetch)
        return Rows(columns, rows, *_usage(job))

    @_looks_anew
    async def dry_run(self, sql: str, *, default_dataset: DatasetRef, may_read: MayRead = anything) -> DryRun:
        """What `query` would give and read."""
        location = await self._tables.location(default_dataset)
        found = _dry_run(await self._jobs.dry_run(Statement(sql, location, default_dataset, {}, None)))
        may_read(found.reads)
        return found


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _statement(effect: WriteEffect, sql: str, location: str) -> Statement:
    return Statement(sql, location, effect.default_dataset, dict(effect.labels), effect.maximum_bytes_billed)


def _planned_statement(effect: WriteEffect, checked: _Checked) -> str | None:
    """The DML as far as the destination has its columns by now; None when there is nothing yet to try it on."""
    new = {column.lower() for column in checked.change.added_columns}
    given = [field for field in checked.dry_run.fields if field.name.lower() not in new]
    if checked.change.created or not given or any(key.lower() in new for key in effect.merge_keys):
        return None
    return write_statement(effect, checked.spec, given, checked.nulls)


def _dry_run(job: Job) -> DryRun:
    """What a dry run found. Raises UNSUPPORTED_SQL when it does not tell all tables that the query reads."""
    reads = frozenset(TableRef(table.project, table.dataset_id, table.table_id) for table in job.referenced_tables)
    if len(reads) >= _MOST_TABLES:
        raise WarehouseError(
            "UNSUPPORTED_SQL",
            f"the query reads {_MOST_TABLES} tables or more, those behind views included; BigQuery does not name all "
            "of so many, and it cannot be checked whether they may be read; read fewer in one query",
        )
    return DryRun(fields_of(job.schema or ()), reads, int(job.total_bytes_processed or 0))


def _outcome(job: Job, added_columns: tuple[str, ...], *, adopted: bool) -> JobOutcome:
    stats = job.dml_stats
    # Rows that a replacing write deleted are not rows of the query.
    rows = stats.inserted_row_count + stats.updated_row_count if stats else job.num_dml_affected_rows or 0
    created = job.labels.get(_CREATED) == "true"
    return JobOutcome(job.job_id, rows, created, added_columns, *_usage(job), adopted=adopted)


def _usage(job: Job) -> tuple[int, int, int]:
    """Bytes processed, bytes billed, milliseconds of slots."""
    return int(job.total_bytes_processed or 0), int(job.total_bytes_billed or 0), int(job.slot_millis or 0)


def _job_id() -> str:
    return f"convergence-{uuid.uuid4()}"
