"""A CSV file: where its columns begin, how DuckDB reads it, and which records have no structure."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from processors.files.columns import Column
from processors.files.faults import FileFault
from processors.files.options import CsvOptions
from processors.files.staging import Cell, not_null
from processors.files.unpacking import beginning_at
from processors.files.values import from_text, is_repeated, is_value, literal, refusal, type_of

LONGEST_LINE = 10 << 20
"""Bytes of a record. csv.reader, which finds names and lines, has a limit of its own for the whole process."""
csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))

_BOM = "\ufeff"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class CsvFile:
    """A file whose first record is the header, if it has one."""

    name: str
    path: Path
    headers: Sequence[str]
    options: CsvOptions
    lines_before: int
    """Lines of the original file that come before `path` begins."""

    def rows(self, *, ordered: bool = False) -> str:
        """The SQL of the records with a cell for each column, as texts `c0`, `c1`, ...; others are rejected.

        Blank lines are no records, but in a file with one column.
        """
        options = self.options
        names = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(self.headers)))
        markers = ", ".join(map(literal, options.null_markers))
        # The newline is left to DuckDB: told that it is LF, it finds no rows in a file with CRLF, and says nothing.
        source = (
            f"read_csv({literal(str(self.path))}, auto_detect = false, header = {str(options.header).lower()}, "
            f"delim = {literal(options.delimiter)}, quote = {literal(options.quote)}, "
            f"escape = {literal(options.escape if options.quote else '')}, nullstr = [{markers}]::VARCHAR[], "
            f"columns = {{{names}}}, compression = 'none', store_rejects = true, rejects_limit = 0, "
            f"max_line_size = {LONGEST_LINE}, buffer_size = {2 * LONGEST_LINE})"
        )
        return f"SELECT {'row_number() OVER () AS ordinal, ' if ordered else ''}* FROM {source}"  # noqa: S608

    def cells(self, columns: Sequence[Column]) -> list[Cell]:
        """How the columns are read; those without a type stay texts.

        Raises:
            FileFault: a column is a RECORD or REPEATED in the table.
        """
        nested = [
            f"{column.header} is {type_of(column.field) if not is_repeated(column.field) else 'REPEATED'}"
            for column in columns
            if column.field is not None and (type_of(column.field) == "RECORD" or is_repeated(column.field))
        ]
        if nested:
            raise FileFault(f"{self.name}: CSV has no nested values, but in the table {', '.join(nested)}")
        return [_cell(column, place) for place, column in enumerate(columns)]


def _cell(column: Column, place: int) -> Cell:
    source, cell, value = f"c{column.position}", f"s{place}", f"v{place}"
    kind = "STRING" if column.field is None else type_of(column.field)
    refused = None
    if kind != "STRING":
        refused = f"CASE WHEN {value} IS NULL AND {is_value(cell)} THEN {refusal(kind, cell)} END"
    return Cell(column, source, from_text(kind, cell), not_null(column, refused, place))


def opened(path: Path, name: str, options: CsvOptions, wanted: Sequence[str], folder: Path) -> CsvFile:
    """Read the names of the columns; `wanted` are those of the table, for a file without a header.

    Raises:
        FileFault: the file has no header line, or is not UTF-8.
    """
    record, offset, lines = _first_record(path, name, options)
    headers = record
    if not options.header:
        headers = [wanted[place] if place < len(wanted) else f"column_{place + 1}" for place in range(len(record))]
    if offset:
        path = beginning_at(path, offset, folder)
    return CsvFile(name, path, headers, options, lines)


def _first_record(path: Path, name: str, options: CsvOptions) -> tuple[list[str], int, int]:
    """The first record that is not blank behind the leading lines; the bytes and the lines before it."""
    offset = lines = 0
    with path.open("rb") as raw, io.TextIOWrapper(raw, "utf-8", errors="surrogateescape", newline="") as text:
        if raw.peek(2)[:2] in _UTF16:
            raise FileFault(f"{name}: the file is UTF-16; it has to be UTF-8")
        while line := text.readline(LONGEST_LINE):
            lines += 1
            if lines > options.skip_leading_rows and line.strip(_BOM + "\r\n"):
                return _split(line, text, name, options), offset, lines - 1
            offset += len(line.encode("utf-8", "surrogateescape"))
    what = "no header line" if options.header else "no rows"
    raise FileFault(f"{name}: the file is empty: it has {what}")


def quotes_at_once(line: str, options: CsvOptions) -> str:
    """The line as csv.reader has to see it: DuckDB takes a quote for one behind a single blank too."""
    if not options.quote or options.delimiter == " " or f" {options.quote}" not in line:
        return line
    start = line[1:] if line.startswith(f" {options.quote}") else line
    return start.replace(f"{options.delimiter} {options.quote}", options.delimiter + options.quote)


def _split(line: str, text: io.TextIOWrapper, name: str, options: CsvOptions) -> list[str]:
    lines = chain([line.removeprefix(_BOM)], iter(lambda: text.readline(LONGEST_LINE), ""))
    doubled = options.escape == options.quote
    try:
        record = next(
            csv.reader(
                (quotes_at_once(line, options) for line in lines),
                delimiter=options.delimiter,
                quotechar=options.quote or None,
                quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
                doublequote=doubled,
                escapechar=None if doubled or not options.quote else options.escape,
                strict=True,
            )
        )
    except csv.Error as error:
        raise FileFault(f"{name}: the quotes of the header line cannot be read; is one not closed?") from error
    if any("\udc80" <= character <= "\udcff" for cell in record for character in cell):
        raise FileFault(f"{name}: the header line is not UTF-8")
    return record
