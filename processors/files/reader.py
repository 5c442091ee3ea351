"""From the files of one load to Parquet files with one schema."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import duckdb

from processors.files import csv_faults, csv_file, ndjson_file, parquet_file
from processors.files.columns import Column, columns_of
from processors.files.csv_faults import Rejected, bad_records, rejected
from processors.files.csv_file import CsvFile
from processors.files.detection import ANY, JSON_TEXT, TEXT, candidates
from processors.files.duck import WIDE, Duck
from processors.files.faults import BadRecord, FileFault, ReadingStopped
from processors.files.options import Field_, ReadOptions
from processors.files.parquet_file import ParquetFile
from processors.files.parquet_values import detected
from processors.files.result import FileColumn, FileRows, finishing, with_fields
from processors.files.staging import Cell, refused_rows, stage
from processors.files.unpacking import require_lines, unpacked
from processors.files.values import literal

_MOST_BYTES = 64 << 30


class FileReader:
    """Reads the files of a load, one after the other; runs in a thread, and is stopped from others.

    It takes some 100 MiB besides the memory that DuckDB may have: 256 MB, or 512 MB for NDJSON and for more than 500
    columns. On the disk it needs room for the file as it is unpacked, beside the result, until `read` returns.
    """

    def __init__(self, options: ReadOptions, *, detect: bool, most_bytes: int = _MOST_BYTES) -> None:
        """`detect`: columns that the table lacks are read too, and their types found. `most_bytes`: of a file as it is
        unpacked.
        """
        self._options = options
        self._detect = detect
        self._most_bytes = most_bytes
        self._stopped = Event()
        self._running: Duck | None = None

    def interrupt(self) -> None:
        """Make what runs in another thread raise ReadingStopped, and everything after it.

        A statement that begins in the same moment may run on: repeat it until the thread is done.
        """
        self._stopped.set()
        if running := self._running:
            running.interrupt()

    def read(self, path: Path, name: str, into: Path, wanted: Sequence[Field_]) -> FileRows:
        """Turn a file into the Parquet `into`, typed as the table's fields `wanted` say; `name` is for messages.

        Columns match without regard to case; those of the table that the file lacks are not in the result. Of columns
        whose type is detected it says which types fit: `merged` and `finish` are next.

        Raises:
            FileFault: the file cannot be read, or has columns that do not fit the table.
            ReadingStopped: see `interrupt`.
        """
        path, into = path.absolute(), into.absolute()
        for local in (path, into):
            if set(str(local)) & set("*?[]"):
                raise ValueError(f"DuckDB would take {local} for a pattern")
        kind = self._options.format_of(name)
        with tempfile.TemporaryDirectory(prefix="reading-", dir=into.parent) as made, _told(name):
            folder = Path(made)
            plain = unpacked(path, name, folder, self._most_bytes, self._check)
            work = _Work(name, plain, folder, folder / "staged.parquet", wanted)
            read = {"csv": self._csv, "ndjson": self._ndjson, "parquet": self._parquet}[kind](work)
            work.staged.replace(into)
        return replace(read, path=into)

    def finish(self, file: FileRows, fields: Sequence[Field_]) -> FileRows:
        """Give the file's Parquet the columns that `merged` found for all files of the load, in their order.

        Columns that the file lacks are NULL, or empty if they are REPEATED.

        Raises:
            ReadingStopped: see `interrupt`.
        """
        chosen = finishing(file, fields)
        if chosen is not None:
            with (
                tempfile.TemporaryDirectory(prefix="reading-", dir=file.path.parent) as folder,
                _told(file.name),
                self._duck(Path(folder), file.path, columns=len(fields)) as duck,
            ):
                finished = Path(folder) / "finished.parquet"
                rows = f"SELECT {chosen} FROM read_parquet({literal(str(file.path))})"  # noqa: S608
                duck.copy(rows, finished)
                finished.replace(file.path)
        return with_fields(file, fields)

    def joined(self, files: Sequence[FileRows], into: Path) -> Path:
        """One Parquet with the rows of all files, which `finish` has given the same columns; of one file its own.

        Raises:
            ReadingStopped: see `interrupt`.
        """
        if len(files) == 1:
            return files[0].path
        paths = ", ".join(literal(str(file.path)) for file in files)
        with (
            tempfile.TemporaryDirectory(prefix="reading-", dir=into.parent) as folder,
            _told("the files of the load"),
            self._duck(Path(folder), *(file.path for file in files), columns=len(files[0].columns)) as duck,
        ):
            whole = Path(folder) / "joined.parquet"
            duck.copy(f"SELECT * FROM read_parquet([{paths}])", whole)  # noqa: S608
            whole.replace(into)
        return into

    def _csv(self, work: "_Work") -> FileRows:
        require_lines(work.plain, work.name, csv_file.LONGEST_LINE, self._check)
        names = [str(field["name"]) for field in work.wanted]
        file = csv_file.opened(work.plain, work.name, self._options.csv, names, work.folder)
        cells = file.cells(self._columns(file.headers, work))
        return self._lines(work, _Lines(file, file.rows(), file.rows(ordered=True), cells, TEXT, csv_faults.reason))

    def _ndjson(self, work: "_Work") -> FileRows:
        require_lines(work.plain, work.name, csv_file.LONGEST_LINE, self._check)
        lines = ndjson_file.lines_of(work.plain, work.name)
        with self._duck(work.folder, work.plain) as duck:
            keys = ndjson_file.keys_of(duck, lines) or [str(field["name"]) for field in work.wanted]
            columns = self._columns(keys, work)
            cells = ndjson_file.cells(duck, lines, columns, ignore_unknown=self._options.ignore_unknown_values)
        taken = [column.header for column in columns]
        rows, in_order = (ndjson_file.objects(lines, taken, ordered=ordered) for ordered in (False, True))
        return self._lines(
            work, _Lines(lines, rows, in_order, cells, JSON_TEXT, ndjson_file.reason, ndjson_file.NOT_AN_OBJECT)
        )

    def _lines(self, work: "_Work", lines: "_Lines") -> FileRows:
        """Read CSV or NDJSON: some lines are rejected for their structure, and some are refused for their values."""
        # Each expression that parses JSON keeps memory of its own, on each thread.
        wide = len(lines.cells) if lines.how == TEXT else WIDE + 1
        with self._duck(work.folder, lines.file.path, columns=wide) as duck:
            good, refused_count = stage(duck, lines.rows, lines.cells, work.staged, lines.refused_row)
            rejects = rejected(duck, lines.file)
            untyped = {cell.column.name: lines.how for cell in lines.cells if cell.column.field is None}
            kinds = candidates(duck, work.staged, untyped)
        refused = []
        if refused_count:
            with self._duck(work.folder, lines.file.path, columns=wide, ordered=True) as duck:
                refused = refused_rows(duck, lines.in_order, lines.cells, lines.refused_row)
        bad = bad_records(lines.file, rejects, refused, lines.reason, self._check) if rejects or refused else []
        columns = tuple(
            FileColumn(column.header, column.name, column.field, kinds.get(column.name, ANY), lines.how)
            for column in (cell.column for cell in lines.cells)
        )
        return FileRows(work.name, work.staged, good, columns, refused_count + len(rejects), tuple(bad))

    def _parquet(self, work: "_Work") -> FileRows:
        with self._duck(work.folder, work.plain) as duck:
            file = parquet_file.opened(duck, work.plain, work.name)
            columns = self._columns(list(file.types), work)
            cells = file.cells(columns, ignore_unknown=self._options.ignore_unknown_values)
        with self._duck(work.folder, work.plain, columns=len(cells)) as duck:
            good, refused_count = stage(duck, file.rows, cells, work.staged)
            refused = refused_rows(duck, file.rows, cells) if refused_count else []
        bad = [
            BadRecord(work.name, row.ordinal, row.column.header if row.column else None, row.reason) for row in refused
        ]
        typed = tuple(_typed(column, file) for column in columns)
        return FileRows(work.name, work.staged, good, typed, refused_count, tuple(bad))

    def _columns(self, headers: Sequence[str], work: "_Work") -> list[Column]:
        found = columns_of(headers, work.wanted, self._options, work.name, detect=self._detect)
        if not found:
            raise FileFault(f"{work.name}: none of the file's columns is one of the table's")
        return found

    def _check(self) -> None:
        if self._stopped.is_set():
            raise ReadingStopped

    @contextmanager
    def _duck(self, folder: Path, *sources: Path, columns: int = 0, ordered: bool = False) -> Iterator[Duck]:
        with Duck(folder, *sources, check=self._check, columns=columns, ordered=ordered) as duck:
            self._running = duck
            try:
                yield duck
            finally:
                self._running = None


@dataclass(frozen=True)
class _Work:
    """A file that is being read."""

    name: str
    plain: Path
    """The file, unpacked."""
    folder: Path
    """For whatever is needed until it is read."""
    staged: Path
    wanted: Sequence[Field_]


@dataclass(frozen=True)
class _Lines:
    """A file of lines as it is read."""

    file: CsvFile
    rows: str
    """The SQL of its rows, in any order."""
    in_order: str
    """The same in the file's order, with the `ordinal` of each."""
    cells: Sequence[Cell]
    how: str
    """How columns without a type are staged."""
    reason: Callable[[Rejected, CsvFile], str]
    """Why a line was rejected."""
    refused_row: str | None = None
    """The SQL of why a whole row is refused."""


def _typed(column: Column, file: ParquetFile) -> FileColumn:
    if column.field is not None:
        return FileColumn(column.header, column.name, column.field)
    kind, kinds = detected(file.types[column.header]) or ("STRING", ANY)
    return FileColumn(column.header, column.name, None, kinds, kind)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What DuckDB says of a file, in words for its owner; its own words may hold anything."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise ReadingStopped from error
    except duckdb.OutOfMemoryException as error:
        raise FileFault(
            f"{name}: the file has too many columns, or too large values, for the memory of a step"
        ) from error
    except duckdb.InvalidInputException as error:
        if "state machine" in str(error):
            raise FileFault(
                f"{name}: the file mixes line breaks: LF, CRLF or CR have to end all lines, and be quoted elsewhere"
            ) from error
        raise FileFault(f"{name}: the file is broken") from error
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
        raise
    except duckdb.Error as error:
        raise FileFault(f"{name}: the file is broken") from error
