"""CSV: cells, columns, and records that are bad, each in the line where a person finds it."""

import csv
import gzip
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from processors.files.faults import FileFault
from processors.files.options import CsvOptions, ReadOptions
from processors.files.reader import FileReader
from tests.files.reading import bad, field, read, rows, types

ABC = (field("a"), field("b", "INT64"), field("c", "NUMERIC"))


def test_every_type_has_its_column_in_the_parquet(tmp_path: Path) -> None:
    values = {
        "STRING": ("x", "VARCHAR", "x"),
        "INT64": ("7", "BIGINT", 7),
        "FLOAT64": ("1.5", "DOUBLE", 1.5),
        "BOOLEAN": ("true", "BOOLEAN", True),
        "DATE": ("2025-11-18", "DATE", date(2025, 11, 18)),
        "TIMESTAMP": ("2025-11-18T08:00:00Z", "TIMESTAMP WITH TIME ZONE", datetime(2025, 11, 18, 8, tzinfo=UTC)),
        "DATETIME": ("2025-11-18T08:00:00", "VARCHAR", "2025-11-18 08:00:00"),
        "TIME": ("08:00:00", "TIME", time(8)),
        "NUMERIC": ("0.1", "DECIMAL(38,9)", Decimal("0.1")),
        "BIGNUMERIC": ("0.1", "VARCHAR", "0.1"),
        "BYTES": ("YQ==", "BLOB", b"a"),
        "JSON": ('"{}"', "VARCHAR", "{}"),
    }
    content = ",".join(values) + "\n" + ",".join(text for text, _, _ in values.values()) + "\n" + "," * 11 + "\n"

    file = read(tmp_path, content, *(field(kind, kind) for kind in values))

    assert types(file) == {kind: of for kind, (_, of, _) in values.items()}
    assert rows(file) == [tuple(value for _, _, value in values.values()), (None,) * len(values)]
    assert [given["type"] for given in file.fields] == list(values)


def test_columns_keep_the_files_order_and_take_the_tables_names(tmp_path: Path) -> None:
    wanted = (field("line_item_type"), field("Cost", "INT64"), field("lacking"))

    file = read(tmp_path, "COST,lineItem/Type\n1,x\n", *wanted, column_names="snake_case", ignore_unknown_values=True)
    kept = read(tmp_path, "COST,line_item/type\n1,x\n", *wanted)

    assert file.fields == [wanted[0]]
    assert kept.fields == [wanted[1], wanted[0]]
    assert rows(kept) == [(1, "x")]
    assert kept.renamed == {"COST": "Cost", "line_item/type": "line_item_type"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["costs.csv", "costs.csv.gz"])
def test_bad_records_are_told_by_the_line_they_begin_in(end: str, name: str, tmp_path: Path) -> None:
    lines = [
        "a,b,c",  # 1
        "",  # 2
        "good,1,1",  # 3
        '"two',  # 4
        'lines, and a ""quote""",x,1',  # 5
        "few,1",  # 6
        "",  # 7
        "",  # 8
        "many,1,2,3",  # 9
        '"three',  # 10
        "",  # 11
        'lines",2',  # 12
        "good,2,0.5",  # 13
        '"behind"it,1,2',  # 14
        "last,1.0,1",  # 15
        "one",  # 16
        "right,3,nine",  # 17
    ]
    file = read(tmp_path, end.join(lines) + end, *ABC, name=name)

    assert bad(file) == [(4, "b"), (6, None), (9, None), (10, None), (14, None), (15, "b"), (16, None), (17, "c")]
    assert rows(file) == [("good", 1, Decimal(1)), ("good", 2, Decimal("0.5"))]
    assert {record.line: record.reason for record in file.bad_records} == {
        4: '"x" is not INT64: it has to be a whole number of 64 bits',
        6: "the record has 2 of 3 cells",
        9: "the record has more than 3 cells",
        10: "the record has 2 of 3 cells",
        14: "cell 1 goes on behind its closing quote, or has none",
        15: '"1.0" is not INT64: it has to be a whole number of 64 bits',
        16: "the record has 1 of 3 cells",
        17: '"nine" is not NUMERIC: it has to be a number with at most 29 digits before the point',
    }
    assert str(file.bad_records[0]) == f"{name}, line 4, column b: {file.bad_records[0].reason}"


def test_lines_are_counted_from_the_files_beginning(tmp_path: Path) -> None:
    content = '\ufeffA report "of\nNovember\n\na,b,c\nx,y,1\nz,1\n'
    file = read(tmp_path, content, *ABC, csv={"skip_leading_rows": 2})
    assert bad(file) == [(5, "b"), (6, None)]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert rows(read(tmp_path, "\ufeffa,b\nx,1\n", *ABC)) == [("x", 1)]
    assert rows(read(tmp_path, '\ufeff"a",b\nx,1\n', *ABC)) == [("x", 1)]


def test_a_header_may_span_lines(tmp_path: Path) -> None:
    file = read(tmp_path, '"the\ncosts",b\nx,1\ny,z\n', field("the_costs"), field("b", "INT64"))
    assert rows(file) == [("x", 1)]
    assert bad(file) == [(4, "b")]
    assert file.renamed == {"the\ncosts": "the_costs"}


def test_a_blank_line_is_a_row_where_a_row_has_one_cell(tmp_path: Path) -> None:
    file = read(tmp_path, "b\n1\n\nx\n2\n", field("b", "INT64"))
    assert rows(file) == [(1,), (2,), (None,)]
    assert bad(file) == [(4, "b")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_records_of_one_character_are_told_by_their_lines(end: str, tmp_path: Path) -> None:
    file = read(tmp_path, end.join(["a,b", "x", "y", "good,1", "z", "bad,q", "x", ""]), *ABC)
    assert bad(file) == [(2, None), (3, None), (5, None), (6, "b"), (7, None)]


def test_only_the_first_bad_records_are_told_and_all_are_counted(tmp_path: Path) -> None:
    content = "a,b\n" + "".join(f"x,y\n{n},{n}\nz\n" for n in range(1_000))
    file = read(tmp_path, content, *ABC)
    assert (file.rows, file.bad_count, len(file.bad_records)) == (1_000, 2_000, 100)
    assert [record.line for record in file.bad_records][:5] == [2, 4, 5, 7, 8]


def test_null_markers_are_null_with_and_without_quotes(tmp_path: Path) -> None:
    content = 'a,b\nNULL,"NULL"\n"",\n-,- \n'
    file = read(tmp_path, content, *ABC, csv={"null_markers": ["NULL", "-"]})
    assert rows(file) == [("", None), (None, None)]
    assert bad(file) == [(4, "b")]
    assert rows(read(tmp_path, 'a,b\n"",""\n,\n', *ABC)) == [(None, None), (None, None)]


def test_null_in_a_required_column_is_a_bad_record(tmp_path: Path) -> None:
    file = read(tmp_path, "a,b\nx,1\n,2\ny,\nz,q\n", field("a", mode="REQUIRED"), field("b", "INT64", "REQUIRED"))
    assert rows(file) == [("x", 1)]
    assert [(record.line, record.column, record.reason[:4]) for record in file.bad_records] == [
        (3, "a", "NULL"),
        (4, "b", "NULL"),
        (5, "b", '"q" '),
    ]


def test_what_is_not_utf_8_is_a_bad_record(tmp_path: Path) -> None:
    file = read(tmp_path, b"a,b\nx,1\ny\xff,2\nz,3\n", *ABC)
    assert bad(file) == [(3, None)]
    assert file.bad_records[0].reason == "cell 1 is not UTF-8"


@pytest.mark.parametrize("escape", ['"', "\\"])
@pytest.mark.parametrize(("delimiter", "quote"), [(";", "'"), ("\t", '"'), ("|", "$"), ("§", '"')])
def test_dialects(delimiter: str, quote: str, escape: str, tmp_path: Path) -> None:
    escape = quote if escape == '"' else escape
    cell = f"{quote}1{delimiter}\n{escape}{quote}2{quote}"
    content = f"a{delimiter}b\n{cell}{delimiter}1\n{cell}{delimiter}x\nend\\{delimiter}y\n"
    file = read(tmp_path, content, *ABC, csv={"delimiter": delimiter, "quote": quote, "escape": escape})
    assert rows(file) == [(f"1{delimiter}\n{quote}2", 1)]
    assert bad(file) == [(4, "b"), (6, "b")]


def test_quotes_may_be_of_no_meaning(tmp_path: Path) -> None:
    file = read(tmp_path, 'a,b\n"x,1\n5"",z\n', *ABC, csv={"quote": ""})
    assert rows(file) == [('"x', 1)]
    assert bad(file) == [(3, "b")]


def test_without_a_header_the_columns_are_the_tables(tmp_path: Path) -> None:
    assert rows(read(tmp_path, "x,1\ny,2\n", *ABC, csv={"header": False})) == [("x", 1), ("y", 2)]
    file = read(tmp_path, "x,1,2,new\n", *ABC, csv={"header": False}, detect=True)
    assert [of["name"] for of in file.fields] == ["a", "b", "c", "column_4"]
    bads = read(tmp_path, "\nx,1,2\n\ny,2,z\n", *ABC, csv={"header": False})
    assert bad(bads) == [(4, "c")]


def test_columns_that_the_table_lacks_are_told_together_or_left_out(tmp_path: Path) -> None:
    content = "new,a,New,b\n1,x,2,3\n"
    with pytest.raises(FileFault) as raised:
        read(tmp_path, content, *ABC)
    assert str(raised.value) == (
        "costs.csv: the file has columns that the table lacks: new, New_2; "
        "allow_field_addition adds them, ignore_unknown_values leaves them out"
    )
    assert rows(read(tmp_path, content, *ABC, ignore_unknown_values=True)) == [("x", 3)]
    with pytest.raises(FileFault, match="none of the file's columns is one of the table's"):
        read(tmp_path, "x,y\n1,2\n", *ABC, ignore_unknown_values=True)


def test_nested_columns_cannot_come_from_csv(tmp_path: Path) -> None:
    wanted = (field("r", "RECORD", fields=[field("x")]), field("many", "STRING", "REPEATED"))
    with pytest.raises(
        FileFault, match=r"costs.csv: CSV has no nested values, but in the table r is RECORD, many is REPEA"
    ):
        read(tmp_path, "r,many\n1,2\n", *wanted)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty: it has no header line"),
        ("\n\r\n\n", "the file is empty: it has no header line"),
        ("a,,b\n", "column 2 has no name"),
        ('a,"b\nx,1\ny,2\n', "the quotes of the header line cannot be read"),
        ("a,b\n".encode("utf-16"), "the file is UTF-16"),
        (b"a\xff,b\n", "the header line is not UTF-8"),
        ('a,b\nx,1\n"y,2\nz,3\n', "line 3: a quote is not closed"),
        ('a,b\nx,1\n\n"y,2\nz,3\n"w",4\nv,5\n', "line 4: a quote is not closed"),
        ('a,b\nx,1\ny,"2\n', "line 3: a quote is not closed"),
        ("a,b\nx,1\r\ny,2\n", "mixes line breaks"),
        ("a,b\r\nx,1\ny,2\r\n", "mixes line breaks"),
        ("a,b\nx,1\rz\ny,2\n", "mixes line breaks"),
    ],
)
def test_faults_of_the_whole_file(content: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(FileFault) as raised:
        read(tmp_path, content, *ABC)
    assert said in str(raised.value)
    assert str(raised.value).startswith("costs.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("megabytes", [10, 21])
def test_a_line_that_is_too_long_is_a_fault(megabytes: int, tmp_path: Path) -> None:
    """One that DuckDB's buffer does not hold would be left out without a word."""
    content = "a,b\nx,1\n" + "y" * (megabytes << 20) + ",2\nz,3\n"
    with pytest.raises(FileFault, match=r"costs.csv, line 3: the line is longer than 10 MiB"):
        read(tmp_path, content, *ABC)


def test_gzip_is_checked_to_the_last_byte(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n" + b"".join(b"x%d,%d\n" % (n * n, n) for n in range(20_000)))
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0xFF
    wrong_sum = bytearray(packed)
    wrong_sum[-8] ^= 0xFF
    for data, said in (
        (b"a,b\nx,1\n", "called .gz and is not gzip"),
        (packed[:-20], "the gzip file is cut off"),
        (packed[:-4], "the gzip file is cut off"),
        (packed[:2], "the gzip file is cut off"),
        (bytes(flipped), "the gzip file is broken"),
        (bytes(wrong_sum), "the gzip file is broken"),
        (packed + b"rest", "the gzip file is broken"),
        (b"", "called .gz and is not gzip"),
    ):
        (tmp_path / "source").write_bytes(data)
        with pytest.raises(FileFault, match=said):
            reader(tmp_path, "costs.csv.gz")
    (tmp_path / "source").write_bytes(packed + gzip.compress(b"y,-1\n") + bytes(100))
    assert reader(tmp_path, "costs.csv.gz").rows == 20_001
    assert reader(tmp_path, "costs.csv").rows == 20_001


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(gzip.compress(b"a,b\n" + b"x,1\n" * 1_000_000))
    with pytest.raises(FileFault, match=r"costs.csv.gz: the file unpacks to more than 2 MiB"):
        reader(tmp_path, "costs.csv.gz", most_bytes=2 << 20)


def reader(folder: Path, name: str, **limits: int) -> Any:
    reading = FileReader(ReadOptions(), detect=False, **limits)
    return reading.read(folder / "source", name, folder / "out.parquet", list(ABC))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/b/costs.csv", "csv"),
        ("costs.CSV.GZ", "csv"),
        ("costs.json", "ndjson"),
        ("costs.jsonl.gz", "ndjson"),
        ("costs.ndjson", "ndjson"),
        ("costs.snappy.parquet", "parquet"),
    ],
)
def test_the_name_tells_the_format(name: str, kind: str) -> None:
    assert ReadOptions().format_of(name) == kind
    assert ReadOptions(format="csv").format_of(name) == "csv"


def test_a_name_that_does_not_tell_is_a_fault() -> None:
    with pytest.raises(
        FileFault, match=r"manifest.txt: the name does not tell the format; it has to end in .csv, .json"
    ):
        ReadOptions().format_of("manifest.txt")


@pytest.mark.parametrize(
    "dialect", [{"delimiter": '"'}, {"delimiter": "\n"}, {"delimiter": ""}, {"quote": "''"}, {"more": 1}]
)
def test_dialects_that_cannot_be_read(dialect: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"delimiter|quote|more"):
        CsvOptions(**dialect)


def test_many_rows_are_split_between_threads_and_all_there(tmp_path: Path) -> None:
    """More than one of DuckDB's buffers, so that it reads several places of the file at a time."""
    path = tmp_path / "costs"
    wrong = {20_001: "x", 80_000: None, 150_000: "y"}
    with path.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(["a", "b"])
        for n in range(200_000):
            cell = wrong.get(n, n)
            text = "several\nlines, quoted" if n % 10_007 == 0 else f"text of some length that fills a line {n:>160}"
            writer.writerow([text] if cell is None else [text, cell])
    lines = sum(1 + (n % 10_007 == 0) for n in range(200_000))
    assert path.stat().st_size > 3 * (10 << 20)
    assert lines > 200_000

    file = FileReader(ReadOptions(), detect=False).read(path, "costs.csv", tmp_path / "out.parquet", list(ABC))

    assert file.rows == 200_000 - len(wrong)
    assert bad(file) == [
        (2 + n + sum(1 for m in range(0, n, 10_007)), None if cell is None else "b") for n, cell in wrong.items()
    ]
