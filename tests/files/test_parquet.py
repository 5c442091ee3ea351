"""Parquet: native values for the table's fields, and files that are none."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from processors.files.faults import FileFault
from tests.files.reading import bad, field, finished, read, rows


def parquet(folder: Path, select: str) -> bytes:
    path = folder / "made.parquet"
    with duckdb.connect() as duck:
        duck.execute("SET TimeZone = 'UTC'")
        duck.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.mark.parametrize("name", ["rows.parquet", "rows.parquet.gz"])
def test_native_values_are_taken_for_the_fields_they_fit(name: str, tmp_path: Path) -> None:
    moment = "TIMESTAMP '2025-11-18 08:00:00.5'"
    cases: dict[str, tuple[str, str, Any]] = {
        "a": ("'x'", "STRING", "x"),
        "b": ("7::TINYINT", "INT64", 7),
        "c": ("7::UBIGINT", "INT64", 7),
        "d": ("7::INTEGER", "NUMERIC", Decimal(7)),
        "e": ("1.25::DECIMAL(10,2)", "NUMERIC", Decimal("1.25")),
        "f": ("0.1::DOUBLE", "NUMERIC", Decimal("0.1")),
        "g": ("0.1::FLOAT", "NUMERIC", Decimal("0.1")),
        "h": ("1.5::FLOAT", "FLOAT64", 1.5),
        "i": ("1.5::DECIMAL(10,2)", "FLOAT64", 1.5),
        "j": (moment, "TIMESTAMP", datetime(2025, 11, 18, 8, 0, 0, 500_000, tzinfo=UTC)),
        "k": (f"{moment}::TIMESTAMP_NS", "TIMESTAMP", datetime(2025, 11, 18, 8, 0, 0, 500_000, tzinfo=UTC)),
        "l": (f"{moment}::TIMESTAMPTZ", "TIMESTAMP", datetime(2025, 11, 18, 8, 0, 0, 500_000, tzinfo=UTC)),
        "m": (moment, "DATETIME", "2025-11-18 08:00:00.5"),
        "n": ("DATE '2025-11-18'", "TIMESTAMP", datetime(2025, 11, 18, tzinfo=UTC)),
        "o": ("TIMESTAMP '2025-11-18'", "DATE", date(2025, 11, 18)),
        "p": ("TIME '08:00:00'", "TIME", time(8)),
        "q": ("'a'::BLOB", "BYTES", b"a"),
        "r": ("'a'::BLOB", "STRING", "a"),
        "s": ("MAP {'k': 'v'}", "JSON", '{"k":"v"}'),
        "t": ("{'x': [1, 2]}", "JSON", '{"x":[1,2]}'),
        "u": ("'12'", "INT64", 12),
        "v": ("7", "STRING", "7"),
        "w": ("uuid '00000000-0000-0000-0000-000000000007'", "STRING", "00000000-0000-0000-0000-000000000007"),
        "x": ("true", "BOOLEAN", True),
        "y": ("1::DECIMAL(38,20)", "BIGNUMERIC", "1.00000000000000000000"),
    }
    select = "SELECT " + ", ".join(f"{sql} AS {of}" for of, (sql, _, _) in cases.items())

    file = read(tmp_path, parquet(tmp_path, select), *(field(of, case[1]) for of, case in cases.items()), name=name)

    assert bad(file) == []
    assert rows(file) == [tuple(expected for _, _, expected in cases.values())]


def test_values_that_do_not_fit_are_bad_records_with_the_number_of_their_row(tmp_path: Path) -> None:
    data = parquet(
        tmp_path,
        "SELECT n::DOUBLE AS i, CASE WHEN n <> 0 THEN 'x' END AS r, (5000000000000000000::HUGEINT * n)::UBIGINT AS u "
        "FROM range(4) AS numbers(n)",
    )
    file = read(
        tmp_path, data, field("i", "FLOAT64"), field("r", mode="REQUIRED"), field("u", "INT64"), name="a.parquet"
    )
    assert rows(file) == [(1.0, "x", 5 * 10**18)]
    assert bad(file) == [(1, "r"), (3, "u"), (4, "u")]


def test_records_and_arrays_are_converted_at_any_depth(tmp_path: Path) -> None:
    wanted = field(
        "project",
        "RECORD",
        "REPEATED",
        [field("ID", "INT64", "REQUIRED"), field("tags", "STRING", "REPEATED"), field("z")],
    )
    data = parquet(
        tmp_path,
        "SELECT [{'id': '7', 'tags': ['a', 'b']}, {'id': '8', 'tags': NULL}] AS project UNION ALL "
        "SELECT [{'id': 'x', 'tags': []}] UNION ALL SELECT NULL UNION ALL SELECT [NULL] UNION ALL "
        "SELECT [{'id': '1', 'tags': ['a', NULL]}] UNION ALL SELECT [{'id': NULL, 'tags': []}]",
    )
    file = read(tmp_path, data, wanted, name="a.parquet")
    assert rows(file) == [
        ([],),
        ([{"ID": 7, "tags": ["a", "b"], "z": None}, {"ID": 8, "tags": [], "z": None}],),
    ]
    assert [(record.line, record.reason) for record in file.bad_records] == [
        (2, '"x" in field ID is not INT64: it has to be a whole number of 64 bits'),
        (4, "the value is an array with a null element"),
        (5, "field tags is an array with a null element"),
        (6, "field ID is NULL, and it is REQUIRED"),
    ]


def test_types_that_contradict_the_table_are_told_together(tmp_path: Path) -> None:
    data = parquet(tmp_path, "SELECT {'x': 1, 'new': 2} AS a, [1] AS b, 1 AS c, 1 AS d, INTERVAL 1 DAY AS e")
    wanted = (
        field("a", "RECORD", fields=[field("x", "INT64")]),
        field("b"),
        field("c", "RECORD", fields=[field("x")]),
        field("d", "INT64", "REPEATED"),
        field("e", "STRING"),
    )
    with pytest.raises(FileFault) as raised:
        read(tmp_path, data, *wanted, name="a.parquet")
    assert str(raised.value) == (
        "a.parquet: a.new is a field that the table lacks; b is INTEGER[], and STRING in the table; "
        "c is INTEGER, and RECORD in the table; d is INTEGER, and REPEATED in the table; "
        "e has the type INTERVAL, which cannot be read"
    )
    kept = read(tmp_path, data, wanted[0], name="a.parquet", ignore_unknown_values=True)
    assert rows(kept) == [({"x": 1},)]


def test_types_are_detected_from_the_files_own(tmp_path: Path) -> None:
    data = parquet(
        tmp_path,
        "SELECT 1::SMALLINT AS i, 1::UBIGINT AS u, 1.5::DECIMAL(12,4) AS d, 1::DECIMAL(38,20) AS big, "
        "1.5::DOUBLE AS f, TIMESTAMP '2025-11-18' AS t, DATE '2025-11-18' AS day, '7' AS s, MAP {'k': 1} AS m, "
        "[1] AS l, true AS b, 'a'::BLOB AS y, NULL::INTEGER AS n, TIME '08:00:00' AS c",
    )
    file = read(tmp_path, data, name="a.parquet", detect=True)
    assert {of["name"]: of["type"] for of in file.fields} == {
        "i": "INT64",
        "u": "NUMERIC",
        "d": "NUMERIC",
        "big": "BIGNUMERIC",
        "f": "FLOAT64",
        "t": "TIMESTAMP",
        "day": "DATE",
        "s": "STRING",
        "m": "JSON",
        "l": "JSON",
        "b": "BOOLEAN",
        "y": "BYTES",
        "n": "INT64",
        "c": "TIME",
    }
    assert finished(file)[0][0][5] == datetime(2025, 11, 18, tzinfo=UTC)
    with pytest.raises(FileFault, match="e has the type INTERVAL, which cannot be read"):
        read(tmp_path, parquet(tmp_path, "SELECT INTERVAL 1 DAY AS e"), name="a.parquet", detect=True)


def test_columns_are_renamed_and_may_have_any_name(tmp_path: Path) -> None:
    data = parquet(tmp_path, 'SELECT 1 AS "lineItem/Cost", 2 AS "ordinal", 3 AS "s0", 4 AS "v0", 5 AS "it\'s ""x"""')
    file = read(tmp_path, data, name="a.parquet", detect=True, column_names="snake_case")
    assert rows(file) == [(1, 2, 3, 4, 5)]
    assert [of["name"] for of in file.fields] == ["line_item_cost", "ordinal", "s0", "v0", "it_s_x"]


def test_files_that_are_no_parquet(tmp_path: Path) -> None:
    good = parquet(tmp_path, "SELECT n, 'text ' || n AS t FROM range(5000) AS numbers(n)")
    broken = bytearray(good)
    broken[len(good) - 200 : len(good) - 8] = bytes(192)
    inside = bytearray(good)
    inside[50:2_000] = b"\xff" * 1_950
    for data, said in (
        (b"", "a.parquet: the file is empty"),
        (b"a,b\n1,2\n", "a.parquet: the file is not Parquet"),
        (good[:-10], "a.parquet: the Parquet file is cut off"),
        (b"PAR1", "a.parquet: the Parquet file is cut off"),
        (b"PARE" + good[4:-4] + b"PARE", "a.parquet: the Parquet file is encrypted"),
        (bytes(broken), "a.parquet: the file is broken"),
        (bytes(inside), "a.parquet: the file is broken"),
    ):
        with pytest.raises(FileFault) as raised:
            read(tmp_path, data, name="a.parquet", detect=True)
        assert str(raised.value) == said
