"""The Warehouse port: everything the product asks of BigQuery, or of the store that stands in for it.

Every adapter passes the same contract tests. Queries are BigQuery SQL on both sides of the port; the caller
has already passed them through `sql_guard`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from server.domain.schema import DatasetRef, TableRef, TableSpec

WriteMode = Literal["append", "overwrite"]


class WarehouseError(Exception):
    """The warehouse refused a request, in a sentence that the tenant who made it may read.

    `reason` is UPPER_SNAKE: INVALID_QUERY, SCHEMA_MISMATCH, TABLE_NOT_FOUND, DATASET_NOT_FOUND,
    REQUIRED_FIELD_IS_NULL, INVALID_ROWS, UNSUPPORTED_SQL, JOB_ID_REUSED, WAREHOUSE_BUSY, WAREHOUSE_FAILED.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class TableChange:
    """What `ensure_table` did."""

    created: bool
    added_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteEffect:
    """One write that happens once: the same `job_id` a second time answers with the first outcome.

    It is the same effect only with the same destination, mode and text of the query, so a caller that tries again
    renders the same text again.
    """

    job_id: str
    """Letters, digits, `-` and `_`, at most 1,024: BigQuery's rule for job ids."""
    sql: str
    """Exactly one SELECT in BigQuery SQL."""
    destination: TableRef
    mode: WriteMode
    spec: TableSpec
    """Used to create the destination when it is missing; empty fields take the query's schema."""
    default_dataset: DatasetRef
    """Where unqualified table names in `sql` live."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What a committed write did."""

    job_id: str
    rows_written: int
    table_created: bool = False
    adopted: bool = False
    """True when the effect had been committed before and was not repeated."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A query's answer: column names in order, and rows of plain Python values (RECORD: dict, REPEATED: list)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def as_dicts(self) -> list[dict[str, Any]]:
        """One dict a row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Warehouse(Protocol):
    """A warehouse. Every method may raise WarehouseError.

    Each may be cancelled and then leaves nothing half done. What can be repeated (`ensure_*`, `upsert`) and what
    changes nothing ends with CancelledError, wherever the cancellation met it; `write` tells what it did.
    """

    async def ensure_dataset(self, dataset: DatasetRef, *, location: str, description: str = "") -> bool:
        """Create the dataset unless it exists; True when it was created."""
        ...

    async def list_tables(self, dataset: DatasetRef) -> list[str]:
        """The names of the dataset's tables, sorted; none when there is no such dataset."""
        ...

    async def get_table(self, table: TableRef) -> TableSpec | None:
        """The table's schema and settings, or None when there is no such table."""
        ...

    async def ensure_table(self, table: TableRef, spec: TableSpec) -> TableChange:
        """Create the table, or add the NULLABLE and REPEATED columns that it lacks.

        Raises:
            WarehouseError: SCHEMA_MISMATCH listing every other difference (type, mode, a new REQUIRED column);
                columns the table has beyond `spec` are left alone. DATASET_NOT_FOUND.
        """
        ...

    async def write(self, effect: WriteEffect) -> JobOutcome:
        """Write a query's rows to a table, atomically, and once per job id.

        The destination is created from `effect.spec` when missing. Columns are matched by name, without case; a column
        that the query does not give becomes NULL, so it must not be REQUIRED. `overwrite` replaces all rows and keeps
        schema, description, partitioning and clustering. Types must be equal or widen as BigQuery coerces them
        (INT64 to NUMERIC, BIGNUMERIC, FLOAT64; NUMERIC to BIGNUMERIC, FLOAT64; BIGNUMERIC to FLOAT64).

        Cancelled before its commit it leaves nothing and raises CancelledError; cancelled after it, it answers with the
        outcome. The task's `cancelling()` stays as it is, and its next call of the warehouse raises CancelledError.

        Raises:
            WarehouseError: SCHEMA_MISMATCH listing every difference, REQUIRED_FIELD_IS_NULL, INVALID_QUERY ...;
                nothing was written then. JOB_ID_REUSED when the job id was that of another destination, mode or query.
        """
        ...

    async def upsert(self, table: TableRef, keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, replacing those with the same key; atomic and repeatable. Values are JSON-able; absent columns
        become NULL."""
        ...

    async def query(self, sql: str, *, default_dataset: DatasetRef, max_rows: int = 1_000) -> Rows:
        """Run one SELECT and fetch at most `max_rows` rows."""
        ...

    async def close(self) -> None:
        """Finish and release everything."""
        ...
