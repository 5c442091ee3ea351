"""A Parquet file: its columns, and how DuckDB reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processors.files.columns import Column
from processors.files.duck import Duck
from processors.files.faults import FileFault
from processors.files.parquet_values import contradictions, detected, native_refusal, native_value
from processors.files.staging import Cell, not_null
from processors.files.values import literal, quoted

_MAGIC = b"PAR1"


@dataclass(frozen=True)
class ParquetFile:
    """A file that looks like Parquet."""

    name: str
    path: Path
    types: Mapping[str, Any]
    """The DuckDB type of each column, in their order."""

    @property
    def rows(self) -> str:
        """The SQL of the rows, with columns `c0`, `c1`, ... and the `ordinal` of each from 1."""
        columns = "".join(f"{quoted(header)} AS c{place}, " for place, header in enumerate(self.types))
        source = f"read_parquet({literal(str(self.path))}, file_row_number = true)"
        return f"SELECT {columns} file_row_number + 1 AS ordinal FROM {source}"  # noqa: S608

    def cells(self, columns: Sequence[Column], *, ignore_unknown: bool) -> list[Cell]:
        """How the columns are read; those without a type keep what they have.

        Raises:
            FileFault: columns have types that do not fit the table's, or that cannot be read, all of them.
        """
        faults = [fault for column in columns for fault in self._faults(column, ignore_unknown=ignore_unknown)]
        if faults:
            raise FileFault(f"{self.name}: {'; '.join(faults)}")
        return [self._cell(column, place) for place, column in enumerate(columns)]

    def _faults(self, column: Column, *, ignore_unknown: bool) -> list[str]:
        native = self.types[column.header]
        if column.field is not None:
            return contradictions(column.field, native, column.header, ignore_unknown=ignore_unknown)
        return [] if detected(native) else [f"{column.header} has the type {native}, which cannot be read"]

    def _cell(self, column: Column, place: int) -> Cell:
        native = self.types[column.header]
        field = column.field or {"name": column.name, "type": (detected(native) or ("STRING",))[0]}
        cell = f"s{place}"
        refused = not_null(column, native_refusal(field, native, cell), place)
        return Cell(column, f"c{column.position}", native_value(field, native, cell), refused)


def opened(duck: Duck, path: Path, name: str) -> ParquetFile:
    """Read the columns.

    Raises:
        FileFault: the file is not Parquet, or not all of one.
    """
    with path.open("rb") as file:
        begin = file.read(len(_MAGIC))
        file.seek(max(path.stat().st_size - len(_MAGIC), 0))
        end = file.read()
    if begin == end == b"PARE":
        raise FileFault(f"{name}: the Parquet file is encrypted")
    if begin != _MAGIC:
        raise FileFault(f"{name}: the file is not Parquet" if begin else f"{name}: the file is empty")
    if end != _MAGIC or path.stat().st_size <= 2 * len(_MAGIC):
        raise FileFault(f"{name}: the Parquet file is cut off")
    return ParquetFile(name, path, duck.types(f"SELECT * FROM read_parquet({literal(str(path))})"))  # noqa: S608
