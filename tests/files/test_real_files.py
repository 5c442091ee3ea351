"""Bills as the clouds write them, against Python's own reading of the same files."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from processors.files.options import CsvOptions, ReadOptions
from processors.files.reader import FileReader
from processors.files.result import FileRows, merged
from tests.files.reading import field

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CUR = SHARED / "aws_cur" / "sample-anonymous-aws-cur.csv"
FOCUS = SHARED / "focus" / "focus_sample.csv"
EXPORT = SHARED / "gcp_billing_export"

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the shared billing data is not beside this checkout")


def records(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def asked(file: FileRows, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as duck:
        duck.execute("SET TimeZone = 'UTC'")
        return duck.execute(f"SELECT {sql} FROM read_parquet('{file.path}')").fetchall()


def test_a_cost_and_usage_report(tmp_path: Path) -> None:
    wanted = [
        field("line_item_unblended_cost", "NUMERIC"),
        field("line_item_usage_amount", "BIGNUMERIC"),
        field("line_item_usage_account_id", mode="REQUIRED"),
        field("line_item_usage_start_date", "TIMESTAMP", "REQUIRED"),
    ]
    reader = FileReader(ReadOptions(column_names="snake_case"), detect=True)
    packed = tmp_path / "cur.csv.gz"
    packed.write_bytes(gzip.compress(CUR.read_bytes()))

    file = reader.read(packed, "cur.csv.gz", tmp_path / "cur.parquet", wanted)
    file = reader.finish(file, merged([file]))

    expected = list(records(CUR))
    nano = Decimal("1e-9")
    costs = [Decimal(row["lineItem/UnblendedCost"] or 0).quantize(nano, ROUND_HALF_UP) for row in expected]
    assert (file.rows, file.bad_count) == (len(expected), 0) == (1281, 0)
    assert len(file.fields) == len(expected[0])
    assert asked(file, "sum(line_item_unblended_cost), count(DISTINCT line_item_usage_start_date)") == [
        (sum(costs), len({row["lineItem/UsageStartDate"] for row in expected}))
    ]
    assert Counter(text for (text,) in asked(file, "line_item_usage_amount")) == Counter(
        row["lineItem/UsageAmount"] for row in expected
    )
    kinds = {of["name"]: of["type"] for of in file.fields}
    assert kinds["bill_billing_period_start_date"] == "TIMESTAMP"
    assert kinds["line_item_blended_cost"] == "FLOAT64"
    assert kinds["identity_time_interval"] == "STRING"


def test_a_focus_export_with_null_in_quotes(tmp_path: Path) -> None:
    reader = FileReader(ReadOptions(csv=CsvOptions(null_markers=["NULL"])), detect=True)
    wanted = [field("BilledCost", "BIGNUMERIC"), field("Tags", "JSON"), field("ChargePeriodStart", "TIMESTAMP")]

    file = reader.read(FOCUS, "focus_sample.csv", tmp_path / "focus.parquet", wanted)
    file = reader.finish(file, merged([file]))

    expected = list(records(FOCUS))
    assert (file.rows, file.bad_count) == (len(expected), 0) == (1000, 0)
    assert sum(Decimal(cost) for (cost,) in asked(file, "BilledCost")) == sum(
        Decimal(row["BilledCost"]) for row in expected
    )
    assert asked(file, "count(*) FILTER (CommitmentDiscountId IS NULL), count(Tags)") == [
        (
            sum(row["CommitmentDiscountId"] == "NULL" for row in expected),
            sum(row["Tags"] != "NULL" for row in expected),
        )
    ]
    assert asked(file, "count(nullif(COLUMNS(*)::VARCHAR = 'NULL', false))")[0] == (0,) * len(expected[0])


def test_a_billing_export_of_google(tmp_path: Path) -> None:
    schema = json.loads((EXPORT / "detailed_export_schema.json").read_text())
    reader = FileReader(ReadOptions(), detect=False)

    file = reader.read(EXPORT / "detailed_export_nested.ndjson", "export.ndjson", tmp_path / "export.parquet", schema)

    expected = [json.loads(line) for line in (EXPORT / "detailed_export_nested.ndjson").read_text().splitlines()]
    assert (file.rows, file.bad_count) == (len(expected), 0) == (500, 0)
    credited = sum(Decimal(str(credit["amount"])) for row in expected for credit in row["credits"])
    labels = sum(len(row["project"]["labels"]) for row in expected if row["project"])
    assert asked(file, "round(sum(cost), 6), sum(len(project.labels))")[0] == (
        pytest.approx(round(sum(row["cost"] for row in expected), 6)),
        labels,
    )
    assert asked(file, "sum(list_sum(list_transform(credits, lambda c: c.amount)))")[0][0] == pytest.approx(
        float(credited)
    )
    assert asked(file, "count(DISTINCT service.id)") == [(len({row["service"]["id"] for row in expected}),)]
