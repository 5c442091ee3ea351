"""The Warehouse port: everything the product asks of BigQuery, or of the store that stands in for it.

Every adapter passes the same contract tests. Queries are BigQuery SQL on both sides of the port; the caller
has already passed them through `sql_guard`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from server.domain.run import EffectState
from server.domain.schema import DatasetRef, TableField, TableRef, TableSpec

WriteMode = Literal["append", "overwrite", "overwrite_partition", "merge"]

MayRead = Callable[[frozenset[TableRef]], None]
"""Told the tables that the warehouse itself finds a query to read, before the query runs; raises to refuse it."""


def anything(_tables: frozenset[TableRef]) -> None:
    """The `MayRead` of queries that nobody outside has written."""


class WarehouseError(Exception):
    """The warehouse refused a request, in a sentence that the tenant who made it may read.

    `reason` is UPPER_SNAKE. Of the query: INVALID_QUERY, UNSUPPORTED_SQL, TABLE_NOT_FOUND, DATASET_NOT_FOUND,
    ACCESS_DENIED, BYTES_BILLED_LIMIT. Of the write: SCHEMA_MISMATCH, REQUIRED_FIELD_IS_NULL, ROWS_OUTSIDE_PARTITION,
    KEY_NOT_UNIQUE, INVALID_ROWS, JOB_ID_REUSED, EFFECT_SEALED. Of the moment, so that another try may succeed:
    WAREHOUSE_BUSY, WAREHOUSE_FAILED.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        self.left_nothing = False
        """Of a write: nothing of it was committed, or will be. False when that is not known."""
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class TableChange:
    """What `ensure_table` did, or would do."""

    created: bool
    added_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowFile:
    """Rows in a Parquet file, in the place of a query's.

    The file has the columns of `fields` and no others. Each type is Parquet's own for it: INT64, DOUBLE, BOOLEAN, DATE,
    TIME in microseconds, TIMESTAMP in microseconds UTC, DECIMAL(38, 9) for NUMERIC, STRUCT for RECORD, LIST for
    REPEATED; DATETIME, BIGNUMERIC and JSON are strings, as BigQuery's CAST and PARSE_JSON read them.
    """

    path: Path
    fields: tuple[TableField, ...]
    digest: str
    """What the rows were made from: other rows, another digest."""


@dataclass(frozen=True, slots=True)
class WriteEffect:
    """One write that happens once: the same `job_id` a second time answers with the first outcome.

    It is the same effect only with the same destination, mode, partition, keys and text of the query, so a caller that
    tries again renders the same text again. Rows in a file are the same when its digest is.
    """

    job_id: str
    """Letters, digits, `-` and `_`, at most 1,000: BigQuery's rule for job ids, with room for a number."""
    sql: str
    """Exactly one SELECT in BigQuery SQL; '' when the rows lie in a `file`."""
    destination: TableRef
    mode: WriteMode
    spec: TableSpec
    """The template of the destination, see `Warehouse.write`; with empty fields there is none.

    Description, partitioning and clustering are used when the destination is created.
    """
    default_dataset: DatasetRef
    """Where unqualified table names in `sql` live."""
    partition: date | None = None
    """A day in the partition that `overwrite_partition` replaces; None in the other modes."""
    merge_keys: tuple[str, ...] = ()
    """Columns whose values tell rows apart, for `merge`."""
    add_columns: bool = False
    """Columns of the query that the destination, or the template that it is created from, lacks are added to it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    maximum_bytes_billed: int | None = None
    """Refuse to process more than this."""
    seals: int = 0
    """How often it may have been settled and still be begun. Whoever settles an effect seals it against those who were
    about to begin it; whoever knows of that and has the right to begin it anew says so with one more."""
    may_read: MayRead = anything
    file: RowFile | None = None
    """Where the rows are, in the place of a query."""

    @property
    def origin(self) -> str:
        """Where the rows come from, in words."""
        return "the query" if self.file is None else "the load"


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What a committed write did."""

    job_id: str
    """The job that did it: the effect's id, with the number of the try behind it where the warehouse needs one."""
    rows_written: int
    """Rows that the query gave; of a merge, those inserted and those updated."""
    table_created: bool = False
    added_columns: tuple[str, ...] = ()
    bytes_processed: int = 0
    bytes_billed: int = 0
    slot_milliseconds: int = 0
    adopted: bool = False
    """True when the effect had been committed before and was not repeated."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an effect."""

    state: EffectState
    outcome: JobOutcome | None = None
    """What it did when it was committed; what it was billed for when it was stopped while it ran."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a query would give and cost, found out without running it."""

    fields: tuple[TableField, ...]
    """The columns of its result."""
    reads: frozenset[TableRef]
    bytes_processed: int
    """An upper bound on BigQuery; on the embedded warehouse an estimate of the columns' sizes in BigQuery's terms.

    In the plan of a write, those of the write.
    """


@dataclass(frozen=True, slots=True)
class WritePlan:
    """What an effect would do, found out without doing it."""

    dry_run: DryRun
    table: TableChange
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """A query's answer: column names in order, and rows of plain Python values (RECORD: dict, REPEATED: list)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    bytes_processed: int = 0
    bytes_billed: int = 0
    slot_milliseconds: int = 0

    def as_dicts(self) -> list[dict[str, Any]]:
        """One dict a row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Warehouse(Protocol):
    """A warehouse. Every method may raise WarehouseError.

    Each may be cancelled and then leaves nothing half done. What can be repeated (`ensure_*`, `upsert`) and what
    changes nothing ends with CancelledError, wherever the cancellation met it; for `write` see there.
    """

    async def ensure_dataset(self, dataset: DatasetRef, *, location: str, description: str = "") -> bool:
        """Create the dataset unless it exists; True when it was created."""
        ...

    async def delete_dataset(self, dataset: DatasetRef) -> bool:
        """Remove the dataset with everything in it, for good; False when there was none."""
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
        """Write the rows of a query, or of a file, to a table, atomically, and once per job id.

        Columns are matched by name, without case. Each column of the query needs a name of its own and a column of the
        destination; a column that the query does not give becomes NULL, so it must not be REQUIRED. Types must be equal
        or widen as BigQuery coerces them (INT64 to NUMERIC, BIGNUMERIC, FLOAT64; NUMERIC to BIGNUMERIC, FLOAT64;
        BIGNUMERIC to FLOAT64). No mode changes the destination's schema otherwise, its description, partitioning or
        clustering.

        The fields of `effect.spec` are the template of the destination. A missing destination is created with all of
        them, or with the query's columns when there are none. One that is there must not contradict it: a column that
        both have has the same type and mode in both, also within RECORDs, and a REQUIRED column of the template is
        there. It may have columns beyond the template, and lack others of it that the query does not give either.
        Descriptions, partitioning and clustering are not compared. With `add_columns`, the columns of the query that
        the destination lacks are added, whether it is created or there, and are what the template says when it has
        them, otherwise what the query gives; a column added to a table is NULLABLE or REPEATED.

        `append` adds the rows; `overwrite` replaces all rows. `overwrite_partition` replaces those of the partition
        that holds `effect.partition` (of an HOUR-partitioned table: of that day), and refuses rows of the query that
        lie outside it; a table partitioned by time of loading gets the rows in that partition. `merge` updates the
        rows that have the same values in `merge_keys` (NULL equals NULL), in the columns that the query gives, and
        inserts the others; it refuses a query that gives one key twice.

        Cancelled, it answers with the outcome when it knows that it has committed: the task's `cancelling()` stays as
        it is then, and its next call of the warehouse raises CancelledError. Otherwise it raises CancelledError, and
        `settle` tells what became of the effect.

        Raises:
            WarehouseError: SCHEMA_MISMATCH listing every difference, REQUIRED_FIELD_IS_NULL, ROWS_OUTSIDE_PARTITION,
                KEY_NOT_UNIQUE, INVALID_QUERY ...; nothing was written then. JOB_ID_REUSED when the job id was that of
                another effect. EFFECT_SEALED when it was settled more often than `effect.seals`. Whatever
                `effect.may_read` raises.
        """
        ...

    async def plan_write(self, effect: WriteEffect) -> WritePlan:
        """Check everything that `write` checks before it runs the query of the effect, and change nothing.

        The bytes are those of the whole write: the query, and what its mode reads of a destination that is there.

        Raises:
            WarehouseError: as `write` before the query runs, BYTES_BILLED_LIMIT included. Whatever `effect.may_read`
                raises.
        """
        ...

    async def settle(self, job_id: str, dataset: DatasetRef) -> Settled:
        """Stop the effect of that id, begun by this process or an earlier one, and tell what became of it.

        `dataset` is that of its destination. An effect that was never begun is STOPPED. One that is STOPPED is sealed
        as well: whoever was about to begin it, in whatever process, is refused.
        """
        ...

    async def upsert(
        self,
        table: TableRef,
        keys: Sequence[str],
        rows: Sequence[Mapping[str, Any]],
        *,
        job_id: str | None = None,
        fixed: str | None = None,
    ) -> None:
        """Insert rows, replacing those with the same key; atomic and repeatable. Values are JSON-able; absent columns
        become NULL.

        With a `job_id` the upsert can be settled like an effect. `fixed` names a column whose value for a key never
        changes and is given in every row: where the table is partitioned by it, only those partitions are looked at.
        """
        ...

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
        """Run one SELECT and fetch at most `max_rows` rows. Raises also whatever `may_read` raises."""
        ...

    async def dry_run(self, sql: str, *, default_dataset: DatasetRef, may_read: MayRead = anything) -> DryRun:
        """What `query` would give and read. Raises also whatever `may_read` raises."""
        ...

    def acting_as(self, key: Mapping[str, str], *, token_uri: str) -> "Warehouse":
        """The warehouse as a service account sees and changes it, by its JSON key; to be closed before this one.

        The embedded warehouse knows no accounts and answers with itself.
        """
        ...

    async def close(self) -> None:
        """Finish and release everything."""
        ...
