"""What one thread does with one DuckDB cursor."""

from collections.abc import Sequence
from threading import Event
from typing import Any

import duckdb
from duckdb.sqltypes import DuckDBPyType

from server.domain.schema import TableRef
from server.warehouse.types import quoted


class Session:
    """A DuckDB cursor inside a transaction; every statement is a point where cancellation takes effect."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, cancelled: Event) -> None:
        self._cursor = cursor
        self._cancelled = cancelled

    def run(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""
        if self._cancelled.is_set():
            raise duckdb.InterruptException("cancelled")
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
