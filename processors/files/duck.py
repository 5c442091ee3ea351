"""A DuckDB for reading one file: small, closed to everything but its folder, and stopped from other threads."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from processors.files.values import literal

# Each thread that writes Parquet keeps some blocks for every column: with two, 256 MB are enough for 500 columns.
WIDE = 500
_MEMORY, _MEMORY_WHEN_WIDE = "256MB", "512MB"
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}


class Duck:
    """An in-memory DuckDB that can read `source` and do as it likes in `folder`.

    An `ordered` one keeps the order of rows; the other one is faster, and needs less memory for writing Parquet.
    It is opened for files of so many columns. `check` is called before each statement.
    """

    def __init__(
        self, folder: Path, *sources: Path, check: Callable[[], None], columns: int = 0, ordered: bool = False
    ) -> None:
        self._check = check
        self._connection = duckdb.connect(config=_CONFIG)
        files = ", ".join(literal(str(source)) for source in sources)
        for setting in (
            "TimeZone = 'UTC'",
            "enable_progress_bar = false",
            f"memory_limit = '{_MEMORY_WHEN_WIDE if columns > WIDE else _MEMORY}'",
            f"threads = {1 if ordered or columns > WIDE else 2}",
            f"preserve_insertion_order = {str(ordered).lower()}",
            f"temp_directory = {literal(str(folder / 'spilled'))}",
            f"allowed_directories = [{literal(str(folder))}]",
            f"allowed_paths = [{files}]",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._connection.execute(f"SET {setting}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement, unless `check` raises."""
        self._check()
        return self._connection.execute(sql).fetchall()

    def row(self, sql: str) -> tuple[Any, ...]:
        """The only row of a query."""
        return self.rows(sql)[0]

    def types(self, sql: str) -> dict[str, Any]:
        """The names and DuckDB types of a query's columns."""
        description = self._connection.execute(f"{sql} LIMIT 0").description or ()
        return {name: kind for name, kind, *_ in description}

    def copy(self, sql: str, into: Path) -> int:
        """Write a query's rows to a Parquet file; returns how many there are."""
        (rows,) = self.row(f"COPY ({sql}) TO {literal(str(into))} (FORMAT parquet, ROW_GROUP_SIZE_BYTES '8MB')")
        return int(rows)

    def interrupt(self) -> None:
        """Stop what another thread runs here."""
        self._connection.interrupt()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()
