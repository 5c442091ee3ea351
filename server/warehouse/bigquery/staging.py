"""Rows in files on their way into tables: loaded into a table of their own first, from where one statement takes them.

A load job could write to the destination at once, but would make its REQUIRED columns NULLABLE when it replaces them,
cannot merge, and is atomic only for itself. Loading is free; the statement bills what it reads of the loaded rows.
"""

import asyncio
import logging
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core.exceptions import Conflict
from google.cloud import bigquery

from server.domain.schema import DatasetRef, TableField, TableRef, TableSpec
from server.warehouse.bigquery.calls import ONCE, TIMEOUT, Calls
from server.warehouse.bigquery.errors import failure, is_transient_result
from server.warehouse.bigquery.jobs import Jobs, job_pauses
from server.warehouse.bigquery.schemas import table_of
from server.warehouse.bigquery.statements import name, path
from server.warehouse.port import RowFile, WarehouseError

PREFIX = "x_meta_load_"
"""What the names of such tables begin with; no step may write one."""
# Whoever was stopped before it could remove its table leaves it for so long: an effect's job may still read it.
_KEPT = timedelta(days=1)
_AS_TEXT = {
    "DATETIME": "CAST({} AS DATETIME)",
    "BIGNUMERIC": "CAST({} AS BIGNUMERIC)",
    "JSON": "PARSE_JSON({}, wide_number_mode => 'round')",
}

logger = logging.getLogger(__name__)


class Staging:
    """Loads files into tables that exist for one effect."""

    def __init__(self, client: bigquery.Client, calls: Calls, jobs: Jobs) -> None:
        self._client = client
        self._calls = calls
        self._jobs = jobs

    async def load(self, file: RowFile, dataset: DatasetRef, location: str, labels: dict[str, str]) -> TableRef:
        """A new table with the file's rows. Raises WarehouseError."""
        table = TableRef(dataset.project, dataset.dataset, f"{PREFIX}{uuid.uuid4().hex}")
        resource = table_of(table, TableSpec(fields=tuple(map(_staged, file.fields))))
        resource.expires = datetime.now(UTC) + _KEPT
        await self._calls.run(lambda: self._client.create_table(resource, exists_ok=True, retry=ONCE, timeout=TIMEOUT))
        try:
            await self._fill(table, file, location, labels)
        except WarehouseError:
            await self.drop(table)
            raise
        return table

    async def _fill(self, table: TableRef, file: RowFile, location: str, labels: dict[str, str]) -> None:
        wait = job_pauses()
        while error := await self._loaded(file, table, location, labels):
            if not is_transient_result(error):
                raise failure(error)
            await asyncio.sleep(next(wait))

    async def _loaded(
        self, file: RowFile, table: TableRef, location: str, labels: dict[str, str]
    ) -> dict[str, Any] | None:
        """Run one load job; answers what it failed of."""
        job_id = f"convergence-{uuid.uuid4()}"
        parquet = bigquery.ParquetOptions()  # type: ignore[no-untyped-call]
        # Without it a LIST becomes a RECORD with a field `list`.
        parquet.enable_list_inference = True
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            parquet_options=parquet,
            labels=labels,
        )

        def start() -> Any:
            with file.path.open("rb") as rows:
                return self._client.load_table_from_file(
                    rows, str(table), job_id=job_id, location=location, job_config=config, timeout=TIMEOUT
                )

        try:
            job = await self._calls.run(start, expect=Conflict)
        except Conflict:
            # The acknowledgement of the call before was lost.
            job = await self._jobs.surely(job_id, location)
        error: dict[str, Any] | None = (await self._jobs.finished(job)).error_result
        return error

    async def drop(self, table: TableRef) -> None:
        """Remove the table; should that fail, it goes by itself after a while."""
        try:
            await self._calls.run(
                lambda: self._client.delete_table(str(table), not_found_ok=True, retry=ONCE, timeout=TIMEOUT)
            )
        except WarehouseError:
            logger.warning("The table %s was left behind and expires in a day", table, exc_info=True)


def rows_of(file: RowFile, table: TableRef) -> str:
    """The query that gives the rows of a file that was loaded into the table."""
    columns = ", ".join(f"{_value(field, f'T.{name(field.name)}')} AS {name(field.name)}" for field in file.fields)
    return f"SELECT {columns} FROM {path(table)} T"


def _staged(field: TableField) -> TableField:
    """The column as the file has it."""
    return field.model_copy(
        update={
            "type": "STRING" if field.type in _AS_TEXT else field.type,
            "mode": "REPEATED" if field.mode == "REPEATED" else "NULLABLE",
            "fields": tuple(map(_staged, field.fields)),
        }
    )


def _value(field: TableField, staged: str, depth: int = 0) -> str:
    """The SQL that makes of a staged column what it is to be; the column itself where it is that already."""
    if not _has_text(field):
        return staged
    if field.mode == "REPEATED":
        element = f"e{depth}"
        one = _value(field.model_copy(update={"mode": "NULLABLE"}), element, depth + 1)
        return f"ARRAY(SELECT {one} FROM UNNEST({staged}) AS {element} WITH OFFSET AS o{depth} ORDER BY o{depth})"
    if field.type == "RECORD":
        parts = (f"{_value(part, f'{staged}.{name(part.name)}', depth)} AS {name(part.name)}" for part in field.fields)
        return f"IF({staged} IS NULL, NULL, STRUCT({', '.join(parts)}))"
    return _AS_TEXT[field.type].format(staged)


def _has_text(field: TableField) -> bool:
    return field.type in _AS_TEXT or any(map(_has_text, field.fields))
