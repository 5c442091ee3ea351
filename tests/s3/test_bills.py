"""Real bills by way of S3 into tables: the sums are those that Python finds in the same files."""

import csv
import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from server.domain.run import RunStatus
from tests.s3.place import ROOT, Place

SHARED = ROOT.parent / "shared" / "data"
CUR = SHARED / "aws_cur" / "sample-anonymous-aws-cur.csv"
FOCUS = SHARED / "focus" / "focus_sample.csv"

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the shared billing data is not beside this checkout")


def records(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def total(rows: list[dict[str, str]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows if row[column]), Decimal(0))


async def test_a_cost_and_usage_report(place: Place) -> None:
    lines = CUR.read_text().splitlines(keepends=True)
    halves = [lines[0] + "".join(lines[1:600]), lines[0] + "".join(lines[600:])]
    folder = "cur/daily/20231101-20231201/"
    keys = [f"{folder}20231119T0000Z/daily-{number}.csv.gz" for number in (1, 2)]
    for key, half in zip(keys, halves, strict=True):
        place.put(key, gzip.compress(half.encode()))
    place.put(f"{folder}daily-Manifest.json", json.dumps({"bucket": place.bucket, "reportKeys": keys}))
    settings = {
        "source": {"manifest": "cur/daily/%Y%m01-*/*-Manifest.json"},
        "file": {"column_names": "snake_case"},
        "destination": {
            "write_mode": "overwrite_partition",
            "schema_template": "cost_and_usage_report",
            "allow_field_addition": True,
            "table_config": {"time_partitioning": {"field": "bill_billing_period_start_date", "type": "MONTH"}},
        },
        "date": "2023-11-18",
    }
    run = await place.run(**settings)
    assert run.status is RunStatus.SUCCESS, run.error_message
    expected = records(CUR)
    assert (run.rows_processed, run.steps[0].details["bad_record_count"]) == (len(expected), 0)
    assert await place.rows(
        "SELECT SUM(line_item_unblended_cost), SUM(line_item_usage_amount), SUM(pricing_public_on_demand_cost),"
        " COUNT(DISTINCT line_item_line_item_type) FROM costs"
    ) == [
        (
            total(expected, "lineItem/UnblendedCost"),
            total(expected, "lineItem/UsageAmount"),
            total(expected, "pricing/publicOnDemandCost"),
            len({row["lineItem/LineItemType"] for row in expected}),
        )
    ]
    # Loaded again, the month is replaced and not doubled.
    place.put(keys[1], gzip.compress(halves[1].encode(), compresslevel=1))
    assert (await place.run(**settings)).rows_processed == len(expected)
    assert await place.rows("SELECT COUNT(*) FROM costs") == [(len(expected),)]


async def test_focus(place: Place) -> None:
    place.put("focus/2024-09.csv", FOCUS.read_bytes())
    run = await place.run(
        file={"csv": {"null_markers": ["", "NULL"]}},
        destination={"schema_template": "focus_1_0", "allow_field_addition": True},
    )
    assert run.status is RunStatus.SUCCESS, run.error_message
    expected = [{name: "" if value == "NULL" else value for name, value in row.items()} for row in records(FOCUS)]
    assert run.rows_processed == len(expected) == 1_000
    columns = ("BilledCost", "EffectiveCost", "ListCost")
    sums = ", ".join(f"SUM({column})" for column in columns)
    assert await place.rows(f"SELECT {sums}, COUNT(Tags), COUNT(DISTINCT ServiceName) FROM costs") == [
        (
            *(total(expected, column) for column in columns),
            sum(row["Tags"] != "" for row in expected),
            len({row["ServiceName"] for row in expected} - {""}),
        )
    ]
