"""Files of all kinds: what Python writes comes back equal, and no record of any file is lost unseen."""

import csv
import io
import json
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.files.faults import FileFault
from processors.files.result import FileRows
from processors.files.unpacking import require_lines
from tests.files.reading import field, finished, read, rows
from tests.fuzzing import PATIENCE, fuzzing

WANTED = (
    field("text"),
    field("whole", "INT64"),
    field("amount", "NUMERIC"),
    field("measure", "FLOAT64"),
    field("day", "DATE"),
    field("moment", "TIMESTAMP"),
    field("flag", "BOOLEAN"),
)
# DuckDB takes a text with a NUL for shorter than it is; no bill has one.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
ROWS = st.lists(
    st.tuples(
        TEXTS.filter(bool)
        | st.sampled_from(['"', '""', "\n", "\r\n", ",", ' "x" ', "a\r", '",\n"', "NULL", " "])
        | st.none(),
        st.integers(-(2**63), 2**63 - 1) | st.none(),
        st.decimals(min_value=-(10**28), max_value=10**28, places=9) | st.none(),
        st.floats(allow_nan=False, allow_infinity=False) | st.none(),
        st.dates() | st.none(),
        st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)) | st.none(),
        st.booleans() | st.none(),
    ),
    max_size=12,
)
WRONG = ["x", "2025-02-30", "1e999", '"', "a,b", "a\nb", "True story"]


def written(cell: object) -> str:
    if isinstance(cell, datetime):
        return cell.isoformat()
    return "" if cell is None else str(cell)


def table(records: list[Any], end: str, *, quote_all: bool) -> str:
    """Python leaves a line break unquoted that is not its own; a file with one mixes line breaks."""
    texts = [[written(cell) for cell in record] for record in records]
    breaks = any("\r" in cell or "\n" in cell for record in texts for cell in record)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL if quote_all or breaks else csv.QUOTE_MINIMAL)
    writer.writerow([of["name"] for of in WANTED])
    writer.writerows(texts)
    return out.getvalue()


def attempt(content: str | bytes, *wanted: Any, **how: Any) -> tuple[FileRows, list[Any]] | None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            file = read(Path(folder), content, *wanted, **how)
        except FileFault:
            return None
        return file, finished(file)[0] if how.get("detect") else rows(file)


@PATIENCE
@fuzzing(12)
@given(
    ROWS,
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.sampled_from(["costs.csv", "costs.csv.gz"]),
)
def test_fuzzed_rows_come_back_equal(records: list[Any], end: str, quote_all: bool, name: str) -> None:
    found = attempt(table(records, end, quote_all=quote_all), *WANTED, name=name)

    assert found is not None
    assert found[0].bad_records == ()
    assert Counter(found[1]) == Counter(records)


@PATIENCE
@fuzzing(12)
@given(
    st.lists(
        st.tuples(
            ROWS.filter(bool).map(lambda some: some[0]),
            st.none() | st.tuples(st.integers(1, 6), st.sampled_from(WRONG)),
        )
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_fuzzed_bad_cells_are_found_in_their_lines(
    records: list[tuple[Any, tuple[int, str] | None]], end: str, quote_all: bool, blanks: list[int]
) -> None:
    """Every record is written alone, so that its line is known; among them are blank lines and short records."""
    content, expected, good = table([], end, quote_all=quote_all), [], []
    for place, (record, wrong) in enumerate(records):
        content += end * blanks.count(place)
        cells = list(record)
        line = len(content.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        if place % 7 == 6:
            content += f"short{end}"
            expected.append((line, None))
            continue
        if wrong is not None:
            cells[wrong[0]] = wrong[1]
            expected.append((line, WANTED[wrong[0]]["name"]))
        else:
            good.append(record)
        content += table([cells], end, quote_all=quote_all).partition(end)[2]

    found = attempt(content, *WANTED)

    assert found is not None
    told = [(bad.line, bad.column) for bad in found[0].bad_records]
    assert found[0].bad_count == len(expected)
    assert told == expected[:100]
    assert len(found[1]) == len(good)


@PATIENCE
@fuzzing(40)
@given(st.text('"\n\r,; ab1\\\t\x01é', max_size=40), st.booleans())
@example('"a"b,"1\n2",3\n4,5\n', True)
@example("a,1,\n", False)
def test_fuzzed_garbage_is_rows_or_bad_records_or_a_fault(body: str, detect: bool) -> None:
    """Of well-formed CSV every record is one or the other, and Python's reader counts the same."""
    found = attempt("a,b\n" + body, field("a"), field("b", "INT64"), detect=detect)

    if found is not None:
        file, there = found
        assert file.rows == len(there)
        assert file.bad_count == len(file.bad_records)
        lines = [bad.line for bad in file.bad_records]
        assert lines == sorted(set(lines))
        assert all(2 <= line <= 1 + len(body.splitlines()) + body.count("\r") for line in lines)
        if (records := well_formed(body)) is not None:
            assert file.rows + file.bad_count == len(records)


def well_formed(body: str) -> list[list[str]] | None:
    """The records that are not blank, if quotes stand only around whole cells."""
    try:
        records = list(csv.reader(io.StringIO(body, newline=""), strict=True))
    except csv.Error:
        return None
    if any('"' in cell for record in records for cell in record) or ' "' in body:
        return None
    return [record for record in records if record]


@PATIENCE
@fuzzing(12)
@given(st.binary(max_size=60), st.sampled_from(["costs.csv", "costs.ndjson", "costs.parquet"]))
def test_fuzzed_bytes_never_break_the_reader(content: bytes, name: str) -> None:
    attempt(content, field("a"), field("b", "INT64"), name=name, detect=True)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "n", "Id", "x", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
NESTED = (
    field("a", "RECORD", fields=[field("id"), field("n", "INT64"), field("x", "FLOAT64", "REPEATED")]),
    field("b", "RECORD", "REPEATED", [field("id", "JSON"), field("n", "NUMERIC")]),
    field("c", "TIMESTAMP"),
)


@PATIENCE
@fuzzing(12)
@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), JSON, max_size=4) | JSON, max_size=6), st.booleans()
)
def test_fuzzed_json_is_rows_or_bad_records(lines: list[Any], ignore: bool) -> None:
    content = "\n".join(json.dumps(line) for line in lines)

    found = attempt(content, *NESTED, name="rows.ndjson", detect=True, ignore_unknown_values=ignore)

    if found is None:
        assert any(isinstance(line, dict) and "" in line for line in lines), "a column has no name"
        return
    assert found[0].rows == len(found[1])
    assert found[0].rows + found[0].bad_count == len(lines)
    objects = [number for number, line in enumerate(lines, 1) if isinstance(line, dict)]
    assert {bad.line for bad in found[0].bad_records if bad.column is None} == set(range(1, len(lines) + 1)) - set(
        objects
    )


@PATIENCE
@fuzzing(15)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b"]), TEXTS | st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1),
        min_size=1,
    )
)
def test_fuzzed_json_texts_come_back_equal(lines: list[dict[str, Any]]) -> None:
    content = "\n".join(json.dumps(line, ensure_ascii=len(lines) % 2 == 0) for line in lines)
    found = attempt(content, field("a"), field("b"), name="rows.ndjson")
    assert found is not None
    names = [of["name"] for of in found[0].fields]
    expected = [tuple(None if line.get(name) is None else str(line[name]) for name in names) for line in lines]
    assert Counter(found[1]) == Counter(expected)


@given(
    breaks=st.sampled_from([b"\n", b"\r", b"\r\n"]), lines=st.lists(st.binary(max_size=9).map(bytes.hex), max_size=20)
)
def test_a_file_is_refused_for_its_first_line_that_is_too_long(breaks: bytes, lines: list[str]) -> None:
    lengths = [len(line) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines")
        path.write_bytes(breaks.join(line.encode() for line in lines))
        if all(length <= 8 for length in lengths):
            require_lines(path, "lines", 8, lambda: None)
        else:
            first = next(number for number, length in enumerate(lengths, 1) if length > 8)
            with pytest.raises(FileFault, match=f"^lines, line {first}: the line is longer than"):
                require_lines(path, "lines", 8, lambda: None)
