"""Small files as they are written in a test, and the rows that come of them."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from processors.files.options import CsvOptions, ReadOptions
from processors.files.reader import FileReader
from processors.files.result import FileRows, merged

Rows = list[tuple[Any, ...]]


def field(name: str, kind: str = "STRING", mode: str = "NULLABLE", fields: Sequence[Any] = ()) -> dict[str, Any]:
    more = {"fields": list(fields)} if fields else {}
    return {"name": name, "type": kind, "mode": mode, **more}


def read(
    folder: Path,
    content: str | bytes,
    *wanted: Mapping[str, Any],
    name: str = "costs.csv",
    detect: bool = False,
    csv: Mapping[str, Any] | None = None,
    **options: Any,
) -> FileRows:
    """Write the content, as gzip if the name says so, and read it."""
    data = content.encode() if isinstance(content, str) else content
    path = folder / "source"
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    reader = FileReader(ReadOptions(csv=CsvOptions(**(csv or {})), **options), detect=detect)
    return reader.read(path, name, folder / f"{name}.parquet", list(wanted))


def finished(*files: FileRows) -> list[Rows]:
    """The rows of the files of one load, with the columns that the load has."""
    fields = merged(files)
    reader = FileReader(ReadOptions(), detect=True)
    return [rows(reader.finish(file, fields)) for file in files]


def rows(file: FileRows) -> Rows:
    """What is in the Parquet, in the order of its first column."""
    with duckdb.connect() as duck:
        duck.execute("SET TimeZone = 'UTC'")
        return duck.execute(f"SELECT * FROM read_parquet('{file.path}') ORDER BY ALL").fetchall()


def types(file: FileRows) -> dict[str, str]:
    """The DuckDB types of the Parquet's columns."""
    with duckdb.connect() as duck:
        described = duck.execute(f"DESCRIBE FROM read_parquet('{file.path}')").fetchall()
    return {name: kind for name, kind, *_ in described}


def bad(file: FileRows) -> list[tuple[int, str | None]]:
    """The line and the column of each bad record; none is missing."""
    assert file.bad_count == len(file.bad_records)
    return [(record.line, record.column) for record in file.bad_records]
