"""The Warehouse port on one DuckDB file."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from server.domain.run import EffectState
from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.warehouse.embedded.catalog import Catalog, prepare
from server.warehouse.embedded.connection import Connection, open_file
from server.warehouse.embedded.estimate import estimated_bytes
from server.warehouse.embedded.loading import ensure_table, load_ndjson, upsert
from server.warehouse.embedded.session import Session
from server.warehouse.embedded.writing import explain_refusal, plan, write
from server.warehouse.limits import require_within
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
from server.warehouse.translate import translate
from server.warehouse.types import python_value

# DuckDB's errors that tell of one row only.
_SHORT = {"REQUIRED_FIELD_IS_NULL", "INVALID_QUERY"}


class EmbeddedWarehouse:
    """BigQuery's datasets, tables and SQL in one file, for one process at a time.

    Names are BigQuery's: the table `project.dataset.table` is the table of that name in the DuckDB schema
    `project.dataset`. Names that differ only in case cannot stand side by side.
    """

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self.project = project
        self._writing: dict[str, asyncio.Task[Any]] = {}
        """Who carries out which effect now."""

    @classmethod
    async def open(cls, path: Path, *, project: str, loads_from: Path | None = None) -> "EmbeddedWarehouse":
        """Open the file, or create it. `project` is the one of dataset names without a project; the files of effects
        lie below the folder `loads_from`.

        Raises:
            WarehouseError: WAREHOUSE_BUSY while another process has it open; WAREHOUSE_FAILED.
        """
        duck = await asyncio.to_thread(open_file, path, loads_from=loads_from)
        connection = Connection(duck)
        try:
            await connection.write(prepare)
            await asyncio.to_thread(duck.execute, "SET lock_configuration = true")
        except BaseException:
            await connection.close()
            raise
        return cls(connection, project)

    def acting_as(self, key: Mapping[str, str], *, token_uri: str) -> "EmbeddedWarehouse":
        """This warehouse: whoever works with it is the installation."""
        return self

    async def close(self) -> None:
        """Wait for running queries and close the file; another process may open it then."""
        await self._connection.close()

    async def ensure_dataset(self, dataset: DatasetRef, *, location: str, description: str = "") -> bool:
        """Create the dataset unless it exists; True when it was created."""

        def work(session: Session) -> bool:
            catalog = Catalog(session)
            if catalog.has_dataset(dataset):
                return False
            catalog.create_dataset(dataset, location, description)
            return True

        return await self._connection.write(work, str(dataset))

    async def delete_dataset(self, dataset: DatasetRef) -> bool:
        """Remove the dataset with everything in it; see the port."""

        def work(session: Session) -> bool:
            catalog = Catalog(session)
            if not catalog.has_dataset(dataset):
                return False
            catalog.drop_dataset(dataset)
            return True

        return await self._connection.write(work, str(dataset))

    async def list_tables(self, dataset: DatasetRef) -> list[str]:
        """The names of the dataset's tables, sorted; none when there is no such dataset."""
        return sorted(table.table for table, _ in await self.tables() if table.in_dataset == dataset)

    async def get_table(self, table: TableRef) -> TableSpec | None:
        """The table's schema and settings, or None when there is no such table."""
        return await self._connection.read(lambda session: Catalog(session).table(table))

    async def tables(self) -> list[tuple[TableRef, TableSpec]]:
        """Every table of the file, in the order of its name."""
        return await self._connection.read(lambda session: Catalog(session).tables())

    async def ensure_table(self, table: TableRef, spec: TableSpec) -> TableChange:
        """Create the table, or add the columns it lacks; see the port."""
        created, added = await self._connection.write(lambda session: ensure_table(session, table, spec), str(table))
        return TableChange(created, added)

    async def write(self, effect: WriteEffect) -> JobOutcome:
        """Write a query's rows to a table, atomically, and once per job id; see the port."""
        if task := asyncio.current_task():
            self._writing[effect.job_id] = task
        try:
            return await self._connection.effect(lambda session: write(session, effect), str(effect.destination))
        except WarehouseError as error:
            # Its transaction is rolled back. A reused id is that of a write that was committed.
            error.left_nothing = error.reason != "JOB_ID_REUSED"
            if error.reason not in _SHORT:
                raise
            refusal = error
            # DuckDB stops at the first row that is wrong; the whole of it takes another look at the query.
            told = await self._connection.read(lambda session: explain_refusal(session, effect, refusal)) or error
            told.left_nothing = True
            raise told from None
        finally:
            self._writing.pop(effect.job_id, None)

    async def plan_write(self, effect: WriteEffect) -> WritePlan:
        """Check everything that `write` checks before it runs the query, and change nothing."""
        return await self._connection.read(lambda session: plan(session, effect))

    async def settle(self, job_id: str, dataset: DatasetRef) -> Settled:
        """Stop the effect of that id, and tell what became of it.

        No other process has the file: an effect that is neither carried out here nor committed never will be.
        """
        if task := self._writing.get(job_id):
            task.cancel()
            await asyncio.wait({task})
        outcome = await self._connection.read(lambda session: Catalog(session).outcome(job_id))
        return Settled(EffectState.COMMITTED if outcome else EffectState.STOPPED, outcome)

    async def upsert(
        self,
        table: TableRef,
        keys: Sequence[str],
        rows: Sequence[Mapping[str, Any]],
        *,
        job_id: str | None = None,
        fixed: str | None = None,
    ) -> None:
        """Insert rows, replacing those with the same key; a transaction that has ended when this does, so that nothing
        of it is ever to be settled."""
        await self._connection.write(lambda session: upsert(session, table, keys, rows, fixed), str(table))

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
        """Run one SELECT and fetch at most `max_rows` rows. Labels are for warehouses that send bills."""

        def work(session: Session) -> Rows:
            catalog = Catalog(session)
            query = translate(sql, catalog, default_dataset)
            may_read(query.reads)
            estimate = estimated_bytes(session, catalog, query)
            require_within(maximum_bytes_billed, estimate)
            readers = [python_value(field) for field in query.fields]
            rows = session.run(f"SELECT * FROM ({query.sql}) LIMIT {max_rows:d}")  # noqa: S608
            values = tuple(tuple(read(v) for read, v in zip(readers, row, strict=True)) for row in rows)
            return Rows(tuple(field.name for field in query.fields), values, estimate, estimate)

        return await self._connection.read(work)

    async def dry_run(self, sql: str, *, default_dataset: DatasetRef, may_read: MayRead = anything) -> DryRun:
        """What `query` would give and read."""

        def work(session: Session) -> DryRun:
            catalog = Catalog(session)
            query = translate(sql, catalog, default_dataset)
            may_read(query.reads)
            return DryRun(query.fields, query.reads, estimated_bytes(session, catalog, query))

        return await self._connection.read(work)

    async def load_ndjson(self, path: Path, table: TableRef, spec: TableSpec, *, replace: bool = False) -> int:
        """Load a file of JSON lines into a table, creating dataset and table; returns the number of rows.

        Atomic. `replace` empties the table first. Memory does not grow with the file.

        Raises:
            WarehouseError: INVALID_ROWS naming file, line and column of what is wrong; SCHEMA_MISMATCH.
            OSError: the file cannot be read.
        """
        return await self._connection.effect(
            lambda session: load_ndjson(session, path, table, spec, replace=replace),
            str(table.in_dataset),
            str(table),
        )
