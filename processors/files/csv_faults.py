"""Records of a CSV file that are bad: which DuckDB rejects, and in which line each of them begins.

DuckDB knows where in the file a rejected record begins, but not where a row does that it let pass. csv.reader finds the
records a second time; it is told of the rejected ones, so that both count the same rows.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from processors.files.csv_file import LONGEST_LINE, CsvFile, quotes_at_once
from processors.files.duck import Duck
from processors.files.faults import MOST_REPORTED, BadRecord, FileFault
from processors.files.staging import Refused

_UNQUOTED = "UNQUOTED VALUE"
_TOO_LONG = "LINE SIZE OVER MAXIMUM"
_KEPT_OF_A_RECORD = 10_000
"""Characters of a rejected record that DuckDB keeps."""


@dataclass(frozen=True)
class Rejected:
    """A record without the structure that the header asks for."""

    fault: str
    """DuckDB's word for it."""
    place: int
    """Of the first cell that is missing, from 0, or of the first that is wrong, from 1."""


def rejected(duck: Duck, file: CsvFile) -> dict[int, Rejected]:
    """The records that DuckDB rejected, by where they begin in the file.

    Raises:
        FileFault: a quote that is not closed made one record of many lines, or a line is too long.
    """
    _require_lines(duck, file)
    found = duck.rows(
        "SELECT line_byte_position, min_by(error_type, column_idx), min(column_idx) FROM reject_errors "
        "GROUP BY line_byte_position ORDER BY line_byte_position"
    )
    # DuckDB counts from 1. Of a file with CRLF, a record may begin with the LF before it.
    return {position - 1: Rejected(fault, place) for position, fault, place in found}


def _require_lines(duck: Duck, file: CsvFile) -> None:
    lost = duck.rows(
        f"SELECT line_byte_position, error_type FROM reject_errors WHERE error_type = '{_TOO_LONG}' "  # noqa: S608
        rf"OR (error_type = '{_UNQUOTED}' AND (regexp_matches(trim(csv_line, e'\r\n'), '[\r\n]') "
        rf"OR length(csv_line) >= {_KEPT_OF_A_RECORD} OR csv_line LIKE e'%\n')) ORDER BY 1 LIMIT 1"
    )
    for position, fault in lost:
        (told,) = bad_records(file, {position - 1: Rejected(fault, 0)}, [], reason, lambda: None)
        line = told.line
        if fault == _TOO_LONG:
            raise FileFault(f"{file.name}, line {line}: the line is longer than {LONGEST_LINE >> 20} MiB")
        raise FileFault(
            f"{file.name}, line {line}: a quote is not closed, or not where a cell ends; the lines that follow "
            "cannot be told apart"
        )


def bad_records(
    file: CsvFile,
    rejects: Mapping[int, Rejected],
    refused: Sequence[Refused],
    reason: Callable[[Rejected, CsvFile], str],
    check: Callable[[], None],
) -> list[BadRecord]:
    """The first bad records, in the order of their lines.

    `reason` puts a rejected one into words; `check` raises when nobody wants them any more.
    """
    by_ordinal = {row.ordinal: row for row in refused}
    wanted = min(MOST_REPORTED, len(rejects) + len(refused))
    found: list[BadRecord] = []
    try:
        for line, ordinal, reject in _records(file, rejects):
            if line % 1_000 == 0:
                check()
            if reject is not None:
                found.append(BadRecord(file.name, line, None, reason(reject, file)))
            elif ordinal in by_ordinal:
                row = by_ordinal[ordinal]
                found.append(BadRecord(file.name, line, row.column.header if row.column else None, row.reason))
            if len(found) == wanted:
                return found
    except csv.Error:
        pass
    raise FileFault(
        f"{file.name}: quotes and line breaks contradict each other; the lines of the bad records cannot be told"
    )


def reason(reject: Rejected, file: CsvFile) -> str:
    """Why a record of CSV was rejected."""
    cells = len(file.headers)
    return {
        "MISSING COLUMNS": f"the record has {reject.place} of {cells} cells",
        "TOO MANY COLUMNS": f"the record has more than {cells} cells",
        "INVALID ENCODING": f"cell {reject.place} is not UTF-8",
        _UNQUOTED: f"cell {reject.place} goes on behind its closing quote, or has none",
    }.get(reject.fault, "the record is not CSV")


def _records(file: CsvFile, rejects: Mapping[int, Rejected]) -> Iterator[tuple[int, int, Rejected | None]]:
    """The line of each record, its ordinal among the rows that passed (the header's is 0), and why it was rejected."""
    with file.path.open("rb") as raw, io.TextIOWrapper(raw, "utf-8", errors="surrogateescape", newline="") as text:
        feed = _Feed(file, text, rejects)
        options = file.options
        ordinal = -1 if options.header else 0
        for record in csv.reader(
            feed,
            delimiter=options.delimiter,
            quotechar=options.quote or None,
            quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
        ):
            line, reject = feed.begun()
            # A blank line is a row where a row has one cell.
            ordinal += reject is None and bool(record or len(file.headers) == 1)
            if record or len(file.headers) == 1:
                yield file.lines_before + line, ordinal, reject


class _Feed:
    """The lines of a file for csv.reader, which remembers where the record begins that is being read."""

    def __init__(self, file: CsvFile, text: io.TextIOWrapper, rejects: Mapping[int, Rejected]) -> None:
        self._options = file.options
        self._text = text
        self._rejects = iter(sorted(rejects.items()))
        self._following = next(self._rejects, None)
        self._line = 0
        self._offset = 0
        self._begun: tuple[int, Rejected | None] | None = None

    def begun(self) -> tuple[int, Rejected | None]:
        """The first line of the record that was read last, and why it was rejected."""
        begun, self._begun = self._begun or (self._line, None), None
        return begun

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self._line += 1
        reject = self._reject_in(len(line.rstrip("\r\n").encode("utf-8", "surrogateescape")))
        self._offset += len(line.encode("utf-8", "surrogateescape"))
        self._begun = self._begun or (self._line, reject)
        if reject is not None and reject.fault == _TOO_LONG:
            # It would lead csv.reader astray.
            return "rejected\n"
        return self._with_doubled_quotes(quotes_at_once(line, self._options))

    def _reject_in(self, length: int) -> Rejected | None:
        """The rejected record that begins in this line; DuckDB may say that it does in the line breaks before."""
        if self._following is None or not length or self._following[0] >= self._offset + length:
            return None
        reject = self._following[1]
        self._following = next(self._rejects, None)
        return reject

    def _with_doubled_quotes(self, line: str) -> str:
        quote, escape = self._options.quote, self._options.escape
        if not quote or escape == quote:
            return line
        return line.replace(escape * 2, "__").replace(escape + quote, quote * 2)
