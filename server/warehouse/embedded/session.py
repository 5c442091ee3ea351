"""What one thread does with one DuckDB cursor."""

from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Lock
from typing import Any

import duckdb
from duckdb.sqltypes import DuckDBPyType

from server.domain.schema import TableRef
from server.warehouse.types import quoted


class Session:
    """A DuckDB cursor inside a transaction; every statement is a point where cancellation takes effect.

    A thread uses it; `interrupt` alone may be called from another.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._cancelled = Event()
        self._committing = False
        self._guard = Lock()

    def commit(self) -> None:
        """Commit, unless cancelled before; from here on nothing interrupts."""
        with self._guard:
            self._require_wanted()
            self._committing = True
        try:
            self._cursor.execute("COMMIT")
        finally:
            self._committing = False

    def rollback(self) -> None:
        """Leave nothing; closing the cursor would do the same."""
        with suppress(duckdb.Error):
            self._cursor.execute("ROLLBACK")

    def close(self) -> None:
        """Release the cursor."""
        self._cursor.close()

    def interrupt(self) -> None:
        """Cancel: end the statement that runs, and let none begin.

        A COMMIT is left alone: DuckDB may report an interrupt for one that has happened.
        """
        self._cancelled.set()
        with self._guard, suppress(duckdb.Error):
            if not self._committing:
                self._cursor.interrupt()

    def pause(self, seconds: float) -> None:
        """Wait, no longer than until cancelled."""
        self._cancelled.wait(seconds)

    def _require_wanted(self) -> None:
        if self._cancelled.is_set():
            raise duckdb.InterruptException("cancelled")

    def run(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""
        self._require_wanted()
        return self._cursor.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """The first row, None when there is none."""
        rows = self.run(sql, parameters)
        return rows[0] if rows else None

    def count(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """The number of rows that an INSERT or DELETE says it changed."""
        row = self.row(sql, parameters)
        return int(row[0]) if row else 0

    def describe(self, sql: str) -> list[DuckDBPyType]:
        """The column types of a query; DuckDB binds it and does not run it."""
        return list(self._cursor.sql(sql).types)


def physical(table: TableRef) -> str:
    """The table's name in DuckDB: the dataset is a schema whose name is `project.dataset`."""
    return f"{quoted(str(table.in_dataset))}.{quoted(table.table)}"
