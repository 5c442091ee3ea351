"""Types that no table knows: over all rows of a file, and all files of a load."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from processors.files.faults import FileFault
from processors.files.result import merged
from tests.files.reading import field, finished, read, types

CSV = [
    ("BOOLEAN", ["true", "FALSE", ""]),
    ("STRING", ["yes", "no"]),
    ("STRING", ["true", "1"]),
    ("INT64", ["0", "-7", " 42 ", ""]),
    ("INT64", ["9223372036854775807"]),
    ("NUMERIC", ["9223372036854775808"]),
    ("STRING", ["123412340534", "012341234053"]),
    ("STRING", ["+7", "8"]),
    ("STRING", ["00.5", "1"]),
    ("NUMERIC", ["1", "-0.5", ".25", "1.123456789"]),
    ("FLOAT64", ["1.1234567891", "1"]),
    ("FLOAT64", ["1e-7", "1", "2.5E+3"]),
    ("FLOAT64", ["9" * 30 + ".5"]),
    ("STRING", ["9" * 30]),
    ("STRING", ["1e999"]),
    ("STRING", ["NaN", "1.5"]),
    ("STRING", ["1_000"]),
    ("STRING", ["0x1F"]),
    ("DATE", ["2025-11-18", ""]),
    ("STRING", ["2025-02-30"]),
    ("TIMESTAMP", ["2025-11-18T00:00:00Z", "2025-11-18 08:00:00.5"]),
    ("TIMESTAMP", ["2025-11-18", "2025-11-18T08:00:00Z"]),
    ("STRING", ["08:00:00"]),
    ("STRING", ["", ""]),
    ("STRING", ["2025-11-18T00:00:00Z/2025-11-19T00:00:00Z"]),
]
JSON = [
    ("BOOLEAN", [True, None]),
    ("STRING", ["true"]),
    ("INT64", [1, -7, None]),
    ("STRING", ["1", "2"]),
    ("STRING", [1, "2"]),
    ("STRING", [1, True]),
    ("NUMERIC", [1, 2.5]),
    ("FLOAT64", [1e-7, 1]),
    ("NUMERIC", [2**64 - 1]),
    ("DATE", ["2025-11-18"]),
    ("TIMESTAMP", ["2025-11-18T08:00:00Z"]),
    ("JSON", [{"a": 1}, None]),
    ("JSON", [[1], {"a": 1}]),
    ("JSON", [[1], "x", 2]),
    ("STRING", [None]),
    ("STRING", ["", "2025-11-18"]),
]


@pytest.mark.parametrize(("kind", "cells"), CSV)
def test_types_of_texts(kind: str, cells: list[str], tmp_path: Path) -> None:
    file = read(tmp_path, "v,n\n" + "".join(f"{cell},1\n" for cell in cells), detect=True)
    assert file.fields[0] == {"name": "v", "type": kind, "mode": "NULLABLE"}
    assert len(finished(file)[0]) == len(cells)


@pytest.mark.parametrize(("kind", "values"), JSON)
def test_types_of_json(kind: str, values: list[object], tmp_path: Path) -> None:
    content = "".join(json.dumps({"v": value, "n": 1}) + "\n" for value in values)
    file = read(tmp_path, content, name="rows.ndjson", detect=True)
    assert file.fields[0] == {"name": "v", "type": kind, "mode": "NULLABLE"}
    there = [value for value, _ in finished(file)[0] if value is not None]
    assert len(there) == len([value for value in values if value is not None])


def test_the_last_row_of_many_decides_too(tmp_path: Path) -> None:
    digits = "".join(f"{n},{n}\n" for n in range(50_000))
    file = read(tmp_path, f"a,b\n{digits}x,0.5\n", detect=True)
    assert [of["type"] for of in file.fields] == ["STRING", "NUMERIC"]
    assert finished(file)[0][-1] == ("x", Decimal("0.5"))


def test_the_files_of_a_load_agree(tmp_path: Path) -> None:
    first = read(tmp_path, "id,cost,day,seen,odd\n7,1,2025-11-18,true,1\n", name="1.csv", detect=True)
    second = read(tmp_path, "COST,id,day,extra\n1.5,007,2025-11-18T08:00:00Z,x\n", name="2.csv", detect=True)
    third = read(tmp_path, "cost,id,day,seen,odd\n,,,,\n", name="3.csv", detect=True)
    fourth = read(tmp_path, '{"cost": 1e-12, "seen": false, "odd": {"a": 1}}', name="4.ndjson", detect=True)
    files = (first, second, third, fourth)

    assert {of["name"]: of["type"] for of in merged(files)} == {
        "id": "STRING",
        "cost": "FLOAT64",
        "day": "TIMESTAMP",
        "seen": "BOOLEAN",
        "odd": "STRING",
        "extra": "STRING",
    }
    assert finished(*files) == [
        [("7", 1.0, datetime(2025, 11, 18, tzinfo=UTC), True, "1", None)],
        [("007", 1.5, datetime(2025, 11, 18, 8, tzinfo=UTC), None, None, "x")],
        [(None,) * 6],
        [(None, 1e-12, None, False, '{"a":1}', None)],
    ]
    assert len({json.dumps(types(file)) for file in files}) == 1


def test_parquet_and_csv_agree(tmp_path: Path) -> None:
    path = tmp_path / "made"
    with duckdb.connect() as duck:
        duck.execute(
            f"COPY (SELECT 7::INTEGER AS i, 1.5::DECIMAL(9,2) AS d, DATE '2025-11-18' AS t, true AS s, 'a'::BLOB AS y) "
            f"TO '{path}' (FORMAT parquet)"
        )
    native = read(tmp_path, path.read_bytes(), name="a.parquet", detect=True)
    texts = read(tmp_path, "i,d,t,s,y\n1.5,1e-11,2025-11-18T08:00:00Z,x,z\n", detect=True)
    assert finished(native, texts) == [
        [(Decimal(7), 1.5, datetime(2025, 11, 18, tzinfo=UTC), "true", "YQ==")],
        [(Decimal("1.5"), 1e-11, datetime(2025, 11, 18, 8, tzinfo=UTC), "x", "z")],
    ]


def test_the_tables_columns_keep_their_types(tmp_path: Path) -> None:
    wanted = (field("id"), field("day", "DATE"))
    first = read(tmp_path, "id,new\n7,1\n", *wanted, name="1.csv", detect=True)
    second = read(tmp_path, "day,id\n2025-11-18,8\n", *wanted, name="2.csv", detect=True)
    assert finished(first, second) == [[("7", 1, None)], [("8", None, date(2025, 11, 18))]]


def test_lacking_arrays_are_empty(tmp_path: Path) -> None:
    many = field("many", "INT64", "REPEATED")
    first = read(tmp_path, '{"many": [1]}', many, name="1.ndjson", detect=True)
    second = read(tmp_path, '{"a": 1}', many, name="2.ndjson", detect=True)
    assert finished(first, second) == [[([1], None)], [([], 1)]]


def test_a_file_that_lacks_a_required_column_is_a_fault(tmp_path: Path) -> None:
    required = field("id", mode="REQUIRED")
    first = read(tmp_path, "id,a\n7,1\n", required, field("a"), name="1.csv")
    second = read(tmp_path, "a\n1\n", required, field("a"), name="2.csv")
    with pytest.raises(
        FileFault, match=r"^2.csv has no column id: it is REQUIRED, and other files of the load have it$"
    ):
        merged([first, second])


def test_a_file_without_rows_has_columns_all_the_same(tmp_path: Path) -> None:
    file = read(tmp_path, "a,b\n", field("a", "INT64"), detect=True)
    assert types(file) == {"a": "BIGINT", "b": "VARCHAR"}
    assert finished(file) == [[]]
