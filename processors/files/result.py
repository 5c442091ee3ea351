"""What became of a file, and how the files of one load come to one schema."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processors.files.detection import JSON_TEXT, TEXT, Kinds, narrowest
from processors.files.faults import BadRecord, FileFault
from processors.files.options import Field_
from processors.files.values import absent, from_text, is_required, quoted


@dataclass(frozen=True)
class FileColumn:
    """A column in the Parquet."""

    header: str
    """As the file calls it."""
    name: str
    field: Field_ | None
    """The table's; None when the type is detected."""
    kinds: Kinds = frozenset()
    """Of a detected column: the types that fit all of its values."""
    staged: str = ""
    """Of a detected column: TEXT, JSON_TEXT or the BigQuery type that it has until `FileReader.finish`."""


@dataclass(frozen=True)
class FileRows:
    """The rows of a file, typed but for the columns whose type the load's other files decide too."""

    name: str
    path: Path
    """Parquet with the columns `columns`, whose types are those of processors.files.values.WIRE."""
    rows: int
    columns: tuple[FileColumn, ...]
    bad_count: int
    """Records that are not in it."""
    bad_records: tuple[BadRecord, ...]
    """The first of them."""

    @property
    def fields(self) -> list[Field_]:
        """The BigQuery fields of the columns as this file alone would have them, in the file's order."""
        return merged([self])

    @property
    def renamed(self) -> dict[str, str]:
        """The columns that are not called what the file calls them."""
        return {column.header: column.name for column in self.columns if column.header != column.name}


def merged(files: Iterable[FileRows]) -> list[Field_]:
    """The BigQuery fields of all columns of a load, in the order in which they occur.

    A type that is detected is the narrowest that fits in every file; a file that lacks a column has only NULLs there.

    Raises:
        FileFault: files lack columns that are REQUIRED in the table and that others have, all of them.
    """
    files = list(files)
    found: dict[str, list[FileColumn]] = {}
    for file in files:
        for column in file.columns:
            found.setdefault(column.name.lower(), []).append(column)
    fields = [_field(columns) for columns in found.values()]
    lacking = [
        f"{file.name} has no column {field['name']}"
        for file in files
        for field in fields
        if is_required(field) and field["name"].lower() not in {column.name.lower() for column in file.columns}
    ]
    if lacking:
        raise FileFault(f"{'; '.join(lacking)}: it is REQUIRED, and other files of the load have it")
    return fields


def _field(columns: Sequence[FileColumn]) -> Field_:
    first = columns[0]
    if first.field is not None:
        return first.field
    return {"name": first.name, "type": narrowest(column.kinds for column in columns), "mode": "NULLABLE"}


def finishing(file: FileRows, fields: Sequence[Field_]) -> str | None:
    """The SELECT list that gives the file's rows the columns `fields`; None when they have them already."""
    by_name = {column.name.lower(): column for column in file.columns}
    chosen = [_chosen(by_name.get(field["name"].lower()), field) for field in fields]
    if chosen == [quoted(column.name) for column in file.columns]:
        return None
    return ", ".join(f"{sql} AS {quoted(field['name'])}" for sql, field in zip(chosen, fields, strict=True))


def _chosen(column: FileColumn | None, field: Field_) -> str:
    if column is None:
        return absent(field)
    name, kind = quoted(column.name), str(field["type"])
    if column.field is not None or column.staged == kind or (column.staged, kind) == (JSON_TEXT, "JSON"):
        return name
    if (column.staged, kind) == ("BYTES", "STRING"):
        return f"to_base64({name})"
    texts: Mapping[str, str] = {TEXT: name, JSON_TEXT: f"json_extract_string({name}, '')"}
    return from_text(kind, texts.get(column.staged, f"CAST({name} AS VARCHAR)"))


def with_fields(file: FileRows, fields: Sequence[Field_]) -> FileRows:
    """The same rows when their Parquet has got the columns `fields`."""
    headers = {column.name.lower(): column.header for column in file.columns}
    columns = tuple(
        FileColumn(headers.get(field["name"].lower(), str(field["name"])), field["name"], field) for field in fields
    )
    return FileRows(file.name, file.path, file.rows, columns, file.bad_count, file.bad_records)
