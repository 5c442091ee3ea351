"""NDJSON: nested values by the same rules as cells, and lines that are no rows."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from processors.files.faults import FileFault
from tests.files.reading import bad, field, finished, read, rows, types

NESTED = (
    field("name", mode="REQUIRED"),
    field(
        "project",
        "RECORD",
        fields=[
            field("id", mode="REQUIRED"),
            field("day", "DATE"),
            field("labels", "RECORD", "REPEATED", [field("key"), field("n", "INT64")]),
        ],
    ),
    field("costs", "NUMERIC", "REPEATED"),
    field("more", "JSON"),
)


def lines(*objects: object) -> str:
    return "".join(f"{json.dumps(line)}\n" for line in objects)


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.json.gz"])
def test_records_and_arrays_are_read_at_any_depth(name: str, tmp_path: Path) -> None:
    project = {"id": "p", "day": "2025-11-18", "labels": [{"key": "a", "n": "1"}, {"n": 2}, {}]}
    content = lines(
        {"name": "a", "project": project, "costs": [1, "2.5", 0.1], "more": {"x": [1]}},
        {"NAME": "b", "project": None, "costs": None, "more": None},
    ).replace("NAME", "name")

    file = read(tmp_path, content, *NESTED, name=name)

    labels = [{"key": "a", "n": 1}, {"key": None, "n": 2}, {"key": None, "n": None}]
    assert rows(file) == [
        (
            "a",
            {"id": "p", "day": date(2025, 11, 18), "labels": labels},
            [Decimal(1), Decimal("2.5"), Decimal("0.1")],
            '{"x":[1]}',
        ),
        ("b", None, [], None),
    ]
    assert types(file) == {
        "name": "VARCHAR",
        "project": 'STRUCT(id VARCHAR, "day" DATE, labels STRUCT("key" VARCHAR, n BIGINT)[])',
        "costs": "DECIMAL(38,9)[]",
        "more": "VARCHAR",
    }


def test_keys_match_without_case_in_records_too(tmp_path: Path) -> None:
    content = '{"NAME": "a", "Project": {"ID": "p", "Labels": [{"KEY": "k"}]}}\n{"NAME": "b", "Project": {"id": "q"}}\n'
    file = read(tmp_path, content, *NESTED, name="rows.ndjson")
    assert rows(file) == [
        ("a", {"id": "p", "day": None, "labels": [{"key": "k", "n": None}]}),
        ("b", {"id": "q", "day": None, "labels": []}),
    ]
    assert file.renamed == {"NAME": "name", "Project": "project"}


def test_bad_lines_are_told_with_what_is_wrong_in_them(tmp_path: Path) -> None:
    good = {"name": "a", "project": {"id": "p"}, "costs": [1]}
    content = "\n".join(
        [
            json.dumps(good),  # 1
            "",  # 2
            "{",  # 3
            "[1]",  # 4
            '{"name": "a",}',  # 5
            '{"name": NaN}',  # 6
            "{}\x01{}",  # 7
            json.dumps({**good, "name": None}),  # 8
            json.dumps({**good, "project": {"day": "2025-02-30", "id": "p"}}),  # 9
            json.dumps({**good, "project": {"day": None}}),  # 10
            json.dumps({**good, "project": {"id": "p", "labels": [{"n": 1}, {"n": 1.5}]}}),  # 11
            json.dumps({**good, "project": []}),  # 12
            json.dumps({**good, "costs": 1}),  # 13
            json.dumps({**good, "costs": [1, None]}),  # 14
            json.dumps({**good, "costs": [1, "x"]}),  # 15
            json.dumps({**good, "name": {"x": 1}}),  # 16
            json.dumps({**good, "project": {"id": "p", "labels": [1]}}),  # 17
            "  ",  # 18
            json.dumps({**good, "project": {"id": "p", "extra": 1, "other": 2}}),  # 19
            '{"name": "a", "project": {"id": "p", "ID": "q"}}',  # 20
        ]
    )

    file = read(tmp_path, content, *NESTED, name="rows.ndjson")

    assert len(rows(file)) == 1
    assert {record.line: (record.column, record.reason) for record in file.bad_records} == {
        3: (None, "the line is not JSON"),
        4: (None, "the line is not a JSON object"),
        5: (None, "the line is not JSON"),
        6: (None, "the line is not JSON"),
        7: (None, "the line is not JSON"),
        8: ("name", "NULL in a REQUIRED column"),
        9: ("project", '"2025-02-30" in field day is not DATE: it has to be a day like 2025-11-18'),
        10: ("project", "field id is NULL, and it is REQUIRED"),
        11: ("project", '"1.5" in field labels.n is not INT64: it has to be a whole number of 64 bits'),
        12: ("project", "the value is no object, and the field is a RECORD"),
        13: ("costs", "the value is no array, and the field is REPEATED"),
        14: ("costs", "the value is an array with a null element"),
        15: ("costs", '"x" is not NUMERIC: it has to be a number with at most 29 digits before the point'),
        16: ("name", '"{"x":1}" is not STRING: it has to be text in UTF-8'),
        17: ("project", "field labels is no object, and the field is a RECORD"),
        19: ("project", "the value is an object with fields that the table lacks: extra, other"),
        20: ("project", "field id is given twice, in upper and lower case"),
    }
    assert file.bad_count == 17


def test_lines_are_counted_with_crlf_and_after_lines_that_are_not_utf_8(tmp_path: Path) -> None:
    content = b'{"n": 1}\r\n\r\n{"n": "\xff"}\r\n{"n": "x"}\r\n\r\n{"n": 2}\r\n{"n": 2.5}'
    file = read(tmp_path, content, field("n", "INT64"), name="rows.ndjson")
    assert bad(file) == [(3, None), (4, "n"), (7, "n")]
    assert rows(file) == [(1,), (2,)]
    assert file.bad_records[0].reason == "the line is not UTF-8"


def test_keys_that_the_table_lacks_are_told_or_left_out(tmp_path: Path) -> None:
    content = lines({"name": "a", "x": 1}, {"y/z": 2, "name": "b", "project": {"id": "p", "extra": 1}})
    with pytest.raises(FileFault, match=r"the file has columns that the table lacks: y_z, x; allow_field_addition"):
        read(tmp_path, content, *NESTED, name="rows.ndjson")
    file = read(tmp_path, content, *NESTED, name="rows.ndjson", ignore_unknown_values=True)
    assert rows(file) == [("a", None), ("b", {"id": "p", "day": None, "labels": []})]


def test_keys_of_any_characters_are_columns(tmp_path: Path) -> None:
    content = lines({"a/b": 1, "c~d": 2, 'e"f': 3, "0": 4, "$.x": 5, "it's": 6})
    file = read(tmp_path, content, name="rows.ndjson", detect=True)
    assert [of["name"] for of in file.fields] == ["a_b", "c_d", "e_f", "_0", "__x", "it_s"]
    assert finished(file) == [[(1, 2, 3, 4, 5, 6)]]


def test_a_file_without_any_object_has_the_tables_columns(tmp_path: Path) -> None:
    empty = read(tmp_path, "", *NESTED, name="rows.ndjson")
    assert (empty.rows, empty.bad_count, rows(empty)) == (0, 0, [])
    assert [of["name"] for of in empty.fields] == ["name", "project", "costs", "more"]
    nothing = read(tmp_path, "{}\nx\n", field("a", "INT64"), name="rows.ndjson")
    assert rows(nothing) == [(None,)]
    assert bad(nothing) == [(2, None)]
    with pytest.raises(FileFault, match="none of the file's columns"):
        read(tmp_path, "{}\n", name="rows.ndjson", detect=True)


def test_a_line_that_is_too_long_is_a_fault(tmp_path: Path) -> None:
    content = '{"name": "a"}\n{"name": "' + "x" * (10 << 20) + '"}\n'
    with pytest.raises(FileFault, match=r"rows.ndjson, line 2: the line is longer than 10 MiB"):
        read(tmp_path, content, *NESTED, name="rows.ndjson")


def test_whole_numbers_and_texts_keep_all_their_digits(tmp_path: Path) -> None:
    content = (
        '{"n": 9223372036854775807, "t": "0.12345678901234567890123456789", "m": "12345678901234567890.123456789"}'
    )
    wanted = (field("n", "INT64"), field("t", "BIGNUMERIC"), field("m", "NUMERIC"))
    assert rows(read(tmp_path, content, *wanted, name="rows.ndjson")) == [
        (2**63 - 1, "0.12345678901234567890123456789", Decimal("12345678901234567890.123456789"))
    ]
