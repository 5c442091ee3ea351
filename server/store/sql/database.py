"""What the store's SQL needs of a database: transactions, their time, and notice of changes."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Clock = Callable[[], datetime]


class Row(Protocol):
    """A row of a result."""

    def __getitem__(self, column: str, /) -> Any:
        """The column's value."""
        ...


class Result(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows that were changed."""
        ...

    def fetchone(self) -> Row | None:
        """The next row, or None."""
        ...

    def fetchall(self) -> Sequence[Row]:
        """All rows."""
        ...

    def __iter__(self) -> Iterator[Row]:
        """One row after the other."""
        ...


class Transaction(Protocol):
    """A connection inside a transaction."""

    for_update: str
    """What a SELECT ends with to lock its rows, waiting for whoever has them; '' where writers take turns anyway."""
    skip_locked: str
    """The same, leaving out rows that others have."""

    @property
    def now(self) -> int:
        """The transaction's one moment, by the database's clock: microseconds since 1970 UTC."""
        ...

    def take_turns(self, subject: str) -> None:
        """Wait until no other transaction is about this subject, and keep them waiting."""
        ...

    def execute(self, sql: str, values: Sequence[object] = (), /) -> Result:
        """Run one statement, with a value for each `?`."""
        ...

    def executemany(self, sql: str, values: Sequence[Sequence[object]], /) -> object:
        """Run one statement for each row of values."""
        ...


class Database(Protocol):
    """A database: each access is a function that runs in a transaction. Every method may raise StoreBusy."""

    version: int
    """Grows with every commit that this process has seen, its own or another's."""
    writes_at_once: int
    """As many writes one caller may have under way without keeping others waiting."""

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one moment of the database; it changes nothing."""
        ...

    async def scan(self, work: Callable[[Transaction], T]) -> T:
        """As `read`, for what may look at very many rows: short reads do not wait behind it."""
        ...

    async def write(self, work: Callable[[Transaction], T], *, urgent: bool = False, is_long: bool = False) -> T:
        """Run `work` in one transaction, which an exception rolls back. It may be run several times.

        `urgent` work is short and does not wait behind writes that wait for locks. What `is_long` may look at or change
        very many rows.
        """
        ...

    async def wait_for_change(self, seen: int, timeout: float) -> int:  # noqa: ASYNC109
        """Wait until `version` differs from `seen`, at most `timeout` seconds; answers the version."""
        ...

    async def close(self) -> None:
        """Finish what is under way and release everything."""
        ...


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def marks(values: Sequence[object]) -> str:
    """As many placeholders: `IN (?, ?)`; of none, a list that holds nothing."""
    return f"({', '.join('?' * len(values)) or 'NULL'})"


def found(row: Row | None) -> Row:
    """A row that is known to be there."""
    if row is None:
        raise LookupError("a row that the store relies on is missing")
    return row


def ago(tx: Transaction, days: float) -> int:
    """The moment so many days before the transaction's."""
    return tx.now - int(days * 86_400 * 1_000_000)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def from_micros(micros: int) -> datetime:
    """The inverse of `to_micros`."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
