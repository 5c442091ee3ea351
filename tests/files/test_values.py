"""The rules for values, against what Python says of the same texts."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.files.values import from_text
from tests.files.reading import bad, field, read, rows
from tests.fuzzing import PATIENCE, fuzzing

DUCK = duckdb.connect()
DUCK.execute("SET TimeZone = 'UTC'")
WIDE = Context(prec=2_000, Emax=999_999, Emin=-999_999)


def value(kind: str, text: str) -> Any:
    found = DUCK.execute(f"SELECT {from_text(kind, 't')} FROM (SELECT ?::VARCHAR AS t)", [text]).fetchall()
    return found[0][0]


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


GOOD: dict[str, dict[str, Any]] = {
    "INT64": {
        "0": 0,
        "-7": -7,
        "+7": 7,
        " 42 ": 42,
        "\t42\n": 42,
        "007": 7,
        "9223372036854775807": 2**63 - 1,
        "-9223372036854775808": -(2**63),
    },
    "FLOAT64": {
        "1.5": 1.5,
        ".5": 0.5,
        "5.": 5.0,
        "-1e-7": -1e-7,
        "1E+22": 1e22,
        " 2 ": 2.0,
        "inf": float("inf"),
        "-Infinity": float("-inf"),
        "+INF": float("inf"),
        "1e-400": 0.0,
    },
    "NUMERIC": {
        "1.5": Decimal("1.5"),
        "-.5": Decimal("-0.5"),
        "1e3": Decimal(1000),
        "15E-10": Decimal("0.000000002"),
        "0.0000000005": Decimal("0.000000001"),
        "-0.0000000005": Decimal("-0.000000001"),
        "0.00000000049": Decimal(0),
        "123456789.0000000005": Decimal("123456789.000000001"),
        "9" * 29 + ".999999999": Decimal("9" * 29 + ".999999999"),
        "9223372036854775808": Decimal(2**63),
        " 1 ": Decimal(1),
    },
    "BIGNUMERIC": {
        "1.5": "1.5",
        " -1e30 ": "-1e30",
        "9" * 38 + "." + "9" * 38: "9" * 38 + "." + "9" * 38,
    },
    "BOOLEAN": {
        **dict.fromkeys(("true", "T", "Yes", "y", "1", " TRUE "), True),
        **dict.fromkeys(("false", "f", "NO", "n", "0"), False),
    },
    "DATE": {
        "2025-11-18": date(2025, 11, 18),
        "2024-02-29": date(2024, 2, 29),
        "2025-11-18T00:00:00.000Z": date(2025, 11, 18),
        "2025-11-18 00:00": date(2025, 11, 18),
        "0001-01-01": date(1, 1, 1),
    },
    "TIMESTAMP": {
        "2025-11-18T08:09:10Z": at(2025, 11, 18, 8, 9, 10),
        "2025-11-18 08:09:10": at(2025, 11, 18, 8, 9, 10),
        "2025-11-18T08:09": at(2025, 11, 18, 8, 9),
        "2025-11-18": at(2025, 11, 18),
        "2025-11-18T08:09:10.123Z": at(2025, 11, 18, 8, 9, 10, 123_000),
        # As Azure writes it; BigQuery has microseconds.
        "2025-11-18T08:09:10.1234567Z": at(2025, 11, 18, 8, 9, 10, 123_456),
        "2025-11-18T08:09:10+05:30": at(2025, 11, 18, 2, 39, 10),
        "2025-11-18T08:09:10-08": at(2025, 11, 18, 16, 9, 10),
        # As BigQuery writes it.
        "2025-11-18 08:09:10 UTC": at(2025, 11, 18, 8, 9, 10),
    },
    "DATETIME": {
        "2025-11-18T08:09:10": "2025-11-18 08:09:10",
        "2025-11-18 08:09:10.5": "2025-11-18 08:09:10.5",
        "2025-11-18": "2025-11-18 00:00:00",
    },
    "TIME": {"08:09:10": time(8, 9, 10), "23:59:59.999999": time(23, 59, 59, 999_999), "08:09": time(8, 9)},
    "BYTES": {"YQ==": b"a", " YWI= ": b"ab"},
    "JSON": {'{"a": [1, 2.50]}': '{"a": [1, 2.50]}', '"NaN, ]"': '"NaN, ]"', "null": "null", " 1 ": " 1 "},
    "STRING": {"": "", " a ": " a ", "1.5": "1.5"},
}
BAD: dict[str, list[str]] = {
    "INT64": [
        "1.5",
        "1.0",
        "0x1F",
        "0b1",
        "1_000",
        "1e3",
        "1,000",
        "--1",
        "+",
        "",
        " ",
        "9223372036854775808",
        "٣",
        "1 2",
    ],
    "FLOAT64": ["1e400", "-1e400", "1_0", "0x1F", "1,5", "e5", "1e", ".", "nanx", "infinit", "", "1 2", "1f"],
    "NUMERIC": [
        "1_000",
        "1_0.5",
        "nan",
        "inf",
        "0x1F",
        "1e29",
        "9" * 30,
        "9" * 29 + ".9999999995",
        "1e",
        "",
        ".",
        "1 2",
    ],
    "BIGNUMERIC": ["1e39", "nan", "1_0", "0x1F", "", "6e38", "1e999999999"],
    "BOOLEAN": ["tru", "2", "-1", "on", "", "yess"],
    "DATE": [
        *("2025-1-1", "2025/01/01", "25-01-01", "2025-02-30", "epoch", "infinity", "0000-01-01", "2025-01-01 (BC)"),
        *("2025-01-01T00:00:01Z", "2025-01-01T00:00:00+02:00", "20250101", "-2025-01-01", "12025-01-01", ""),
    ],
    "TIMESTAMP": [
        *("2025-11-18T24:00:00Z", "2025-11-18T23:59:60Z", "2025-11-18T8:09:10Z", "2025-11-18T08:09:10 Europe/Berlin"),
        *(
            "2025-11-18T08:09:10.Z",
            "2025-11-18T08:09:10+25:00",
            "0001-01-01T00:00:00+05:00",
            "epoch",
            "now",
            "1763452800",
        ),
        *(
            "9999-12-31T23:59:59-05:00",
            "2025-02-29T00:00:00Z",
            "2025-11-18T",
            "18.11.2025",
            "11/18/2025 08:09",
            "infinity",
        ),
    ],
    "DATETIME": ["2025-11-18T08:09:10Z", "2025-11-18 08:09:10+00:00", "2025-13-01", "x", ""],
    "TIME": ["24:00:00", "1:2:3", "08:60:00", "08:09:10Z", "8", "08:09:10+02", ""],
    "BYTES": ["YQ", "Y Q==", "****", "YQ=a"],
    "JSON": ["{", "{'a': 1}", "NaN", '{"a": Infinity}', "[1,]", '{"a": 1,}', '["x", nan]', "1 2", "", "01"],
}


@pytest.mark.parametrize(("kind", "text", "expected"), [(k, t, v) for k, of in GOOD.items() for t, v in of.items()])
def test_texts_that_are_values(kind: str, text: str, expected: Any) -> None:
    assert value(kind, text) == expected


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD.items() for text in texts])
def test_texts_that_are_none(kind: str, text: str) -> None:
    assert value(kind, text) is None


def test_not_a_number_is_a_value_of_float64() -> None:
    assert str(value("FLOAT64", "NaN")) == str(value("FLOAT64", " nan ")) == "nan"


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind not in {"JSON", "STRING", "BYTES"}])
def test_csv_and_json_have_the_same_rules(kind: str, tmp_path: Path) -> None:
    texts = [text for text in [*GOOD[kind], *BAD[kind]] if text.strip()]
    quoted = "\n".join(f'"{text}"' for text in texts)
    lines = "\n".join(json.dumps({"v": text}) for text in texts)

    csv = read(tmp_path, f"v\n{quoted}\n", field("v", kind))
    ndjson = read(tmp_path, lines, field("v", kind), name="costs.ndjson")

    assert rows(csv) == rows(ndjson)
    assert [reason.reason for reason in csv.bad_records] == [reason.reason for reason in ndjson.bad_records]
    assert csv.bad_count == len([text for text in BAD[kind] if text.strip()])
    assert len(bad(ndjson)) + ndjson.rows == len(texts)


def integer(text: str) -> int | None:
    if not re.fullmatch(r"[ \t\r\n]*[+-]?[0-9]+[ \t\r\n]*", text):
        return None
    return number if -(2**63) <= (number := int(text)) < 2**63 else None


def numeric(text: str) -> Decimal | None:
    if not re.fullmatch(r"[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?[ \t]*", text):
        return None
    try:
        number = WIDE.create_decimal(text.strip()).quantize(Decimal("1e-9"), ROUND_HALF_UP, WIDE)
    except InvalidOperation:
        return None
    return number if abs(number) < Decimal(10) ** 29 else None


def double(text: str) -> float | None:
    if not re.fullmatch(r"[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*", text):
        return None
    return None if abs(number := float(text)) == float("inf") else number


def day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None
    except ValueError:
        return None


@PATIENCE
@fuzzing(300)
@given(
    st.sampled_from([("INT64", integer), ("NUMERIC", numeric), ("FLOAT64", double)]),
    st.from_regex(r"\A[ \t]?[+-]?[0-9]{0,28}(\.[0-9]{0,12})?([eE][+-]?[0-9]{1,2})?[ ]?\Z")
    | st.text("0123456789+-._eEx, \t", max_size=12),
)
@example(("NUMERIC", numeric), "-165.849800505804865500949848448558E+6")
def test_fuzzed_numbers(rule: tuple[str, Callable[[str], Any]], text: str) -> None:
    kind, expected = rule
    found = value(kind, text)
    # Exponent forms near the limit of NUMERIC are refused, and never read as something else.
    assert found == expected(text) or (kind == "NUMERIC" and found is None and "e" in text.lower())


@PATIENCE
@fuzzing(300)
@given(st.dates().map(str) | st.from_regex(r"\A[0-9]{3,5}[-/ ][0-9]{1,2}[-/ ][0-9]{1,2}\Z"))
def test_fuzzed_days(text: str) -> None:
    assert value("DATE", text) == day(text)


@PATIENCE
@fuzzing(300)
@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-14 * 60, 14 * 60), st.sampled_from("T "))
def test_fuzzed_times_with_offsets(moment: datetime, minutes: int, between: str) -> None:
    hours, rest = divmod(abs(minutes), 60)
    text = f"{moment.isoformat(between)}{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
    assert value("TIMESTAMP", text) == moment.replace(tzinfo=UTC) - timedelta(minutes=minutes)


@PATIENCE
@fuzzing(300)
@given(st.text('{}[]",:nNaiIftruelsE0123.- \\', max_size=20))
def test_fuzzed_json_is_pythons_strict_json(text: str) -> None:
    def refused(constant: str) -> Any:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refused)
        valid = True
    except ValueError:
        valid = False
    assert (value("JSON", text) is not None) == valid
