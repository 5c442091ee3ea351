"""aws.s3_data_loader on a real S3 endpoint: what is loaded, and that it is loaded once."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from server.domain.run import Run, RunStatus
from tests.s3.place import OWN, Place
from tests.warehouse.tables import column, spec

FIRST = "account,cost,day\na,1.50,2025-11-17\nb,2.25,2025-11-18\n"
SECOND = "account,cost,day\nc,4.00,2025-11-18\n"
READ = "SELECT account, cost FROM costs ORDER BY account, cost"


def succeeded(run: Run) -> dict[str, Any]:
    assert run.status is RunStatus.SUCCESS, run.error_message
    return run.steps[0].details


async def test_objects_by_prefix_glob_and_day(place: Place) -> None:
    place.put("in/2025-11-18/a.csv", FIRST)
    place.put("in/2025-11-18/b.csv.gz", gzip.compress(SECOND.encode()))
    place.put("in/2025-11-18/deeper/c.csv", "account\nno\n")
    place.put("in/2025-11-17/a.csv", "account\nno\n")
    place.put("in/2025-11-18/", "")
    source = {"prefix": "in/%Y-%m-%d/", "glob": "*.csv*"}
    run = await place.run(source=source)
    details = succeeded(run)
    assert (run.rows_processed, details["objects_loaded"], details["objects_skipped"]) == (3, 2, 0)
    assert details["table_created"]
    assert await place.rows(READ) == [("a", Decimal("1.5")), ("b", Decimal("2.25")), ("c", Decimal(4))]
    lines = await place.lines(run)
    assert f"Read s3://{place.bucket}/in/2025-11-18/a.csv: 2 rows, {len(FIRST)} bytes (1 of 2)" in lines
    # Nothing of the attempt's files is left.
    assert [path.name for path in place.scratch.folder.iterdir()] == ["lock"]


async def test_csv_ndjson_and_parquet_are_one_load(place: Place, tmp_path: Path) -> None:
    place.put("a.csv.gz", gzip.compress(b"account,cost,day\n0012,1.10,2025-11-18\n"))
    place.put("b.ndjson", '{"account": "0013", "cost": "2.20", "day": "2025-11-18"}\n{"account": "0014", "cost": 3}\n')
    with duckdb.connect() as duck:
        rows = "SELECT '0015' AS account, 4.40::DECIMAL(18, 4) AS cost, DATE '2025-11-18' AS day"
        duck.execute(f"COPY ({rows}) TO '{tmp_path / 'c.parquet'}'")
    place.put("c.snappy.parquet", (tmp_path / "c.parquet").read_bytes())
    await place.warehouse.ensure_table(OWN.table("costs"), BILLS)
    run = await place.run()
    assert (succeeded(run)["objects_loaded"], run.rows_processed) == (3, 4)
    assert await place.rows("SELECT account, cost, day IS NULL FROM costs ORDER BY account") == [
        ("0012", Decimal("1.1"), False),
        ("0013", Decimal("2.2"), False),
        ("0014", Decimal(3), True),
        ("0015", Decimal("4.4"), False),
    ]


BILLS = spec(column("account", "STRING", "REQUIRED"), column("cost", "NUMERIC"), column("day", "DATE"))


async def test_each_object_is_loaded_once_and_a_changed_one_again(place: Place) -> None:
    place.put("a.csv", FIRST)
    assert succeeded(await place.run())["objects_loaded"] == 1
    again = await place.run()
    details = succeeded(again)
    assert (again.rows_processed, details["objects_loaded"], details["objects_skipped"]) == (0, 0, 1)
    place.put("b.csv", SECOND)
    assert succeeded(await place.run())["objects_loaded"] == 1
    assert [row[0] for row in await place.rows(READ)] == ["a", "b", "c"]
    place.put("b.csv", SECOND.replace("c,4", "d,5"))
    assert succeeded(await place.run())["objects_loaded"] == 1
    assert [row[0] for row in await place.rows(READ)] == ["a", "b", "c", "d"]
    assert succeeded(await place.run(skip_loaded=False))["objects_loaded"] == 2
    assert [row[0] for row in await place.rows(READ)] == ["a", "a", "b", "b", "c", "d", "d"]
    assert succeeded(await place.run())["objects_loaded"] == 0


async def test_what_replaces_takes_all_objects_or_none(place: Place) -> None:
    table = {"time_partitioning": {"field": "day", "type": "MONTH"}}
    destination = {"write_mode": "overwrite_partition", "table_config": table}
    october = {"destination": destination, "source": {"prefix": "10/"}, "date": "2025-10-03"}
    november = {"destination": destination, "source": {"prefix": "11/"}, "date": "2025-11-03"}
    place.put("10/a.csv", "account,cost,day\nold,1.00,2025-10-31\n")
    place.put("11/a.csv", FIRST)
    place.put("11/b.csv", SECOND)
    for month in (october, november):
        assert succeeded(await place.run(**month))["objects_skipped"] == 0
    for month in (october, november):
        assert succeeded(await place.run(**month))["objects_loaded"] == 0
    place.put("11/b.csv", SECOND.replace("c,4", "c,6"))
    assert succeeded(await place.run(**november))["objects_loaded"] == 2
    expected = [("a", Decimal("1.5")), ("b", Decimal("2.25")), ("c", Decimal(6)), ("old", Decimal(1))]
    assert await place.rows(READ) == expected
    # An object that is gone takes its rows with it.
    place.s3.delete_object(Bucket=place.bucket, Key="11/b.csv")
    assert succeeded(await place.run(**november))["objects_loaded"] == 1
    assert await place.rows(READ) == [expected[0], expected[1], expected[3]]


async def test_merge_updates_by_its_keys(place: Place) -> None:
    destination = {"write_mode": "merge", "merge_keys": ["account"]}
    place.put("a.csv", FIRST)
    succeeded(await place.run(destination=destination))
    place.put("b.csv", "account,cost,day\nb,9.00,2025-11-18\nz,1.00,2025-11-18\n")
    assert succeeded(await place.run(destination=destination))["objects_loaded"] == 1
    assert await place.rows(READ) == [("a", Decimal("1.5")), ("b", Decimal(9)), ("z", Decimal(1))]


async def test_a_table_that_is_gone_is_loaded_anew(place: Place) -> None:
    place.put("a.csv", FIRST)
    succeeded(await place.run())
    await place.warehouse.delete_dataset(OWN)
    await place.warehouse.ensure_dataset(OWN, location="US")
    assert succeeded(await place.run())["objects_loaded"] == 1
    assert len(await place.rows(READ)) == 2


async def test_a_manifest_names_the_objects(place: Place) -> None:
    folder = "cur/daily/20251101-20251201/"
    keys = [f"{folder}v2/daily-1.csv.gz", f"{folder}v2/daily-2.csv"]
    place.put(keys[0], gzip.compress(FIRST.encode()))
    place.put(keys[1], SECOND)
    place.put(f"{folder}v1/daily-1.csv.gz", gzip.compress(b"account\nold\n"))
    place.put(f"{folder}v1/daily-Manifest.json", "no manifest that matches")
    place.put(f"{folder}daily-Manifest.json", json.dumps({"bucket": place.bucket, "reportKeys": keys}))
    run = await place.run(source={"manifest": "cur/daily/%Y%m01-*/*-Manifest.json"})
    assert succeeded(run)["objects_loaded"] == 2
    assert [row[0] for row in await place.rows(READ)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ('{"bucket": "BUCKET", "reportKeys": ["other/a.csv"]}', "lists objects outside of its own folder"),
        ('{"bucket": "BUCKET", "reportKeys": ["in/../other/a.csv"]}', "lists objects outside of its own folder"),
        ('{"bucket": "others", "reportKeys": ["in/a.csv"]}', "lists objects outside of its own folder"),
        ('{"bucket": "BUCKET"}', "is no manifest of a Cost and Usage Report"),
        ("[" * 100_000, "is no manifest of a Cost and Usage Report"),
        ('{"bucket": "BUCKET", "reportKeys": ["in/gone.csv"]}', "which s3://BUCKET/in/m.json lists: there is no such"),
    ],
    ids=["elsewhere", "by way of", "another bucket", "no keys", "deep", "gone"],
)
async def test_a_wrong_manifest(place: Place, manifest: str, says: str) -> None:
    place.put("other/a.csv", FIRST)
    place.put("in/m.json", manifest.replace("BUCKET", place.bucket))
    run = await place.run(source={"manifest": "in/*.json"})
    assert run.status is RunStatus.FAILED
    assert says.replace("BUCKET", place.bucket) in run.error_message


async def test_two_manifests_are_one_too_many(place: Place) -> None:
    place.put("in/a-Manifest.json", "{}")
    place.put("in/b-Manifest.json", "{}")
    run = await place.run(source={"manifest": "in/*-Manifest.json"})
    assert "matches 2 manifests, and has to match one: in/a-Manifest.json, in/b-Manifest.json" in run.error_message


async def test_objects_that_are_missing(place: Place) -> None:
    run = await place.run(source={"prefix": "none/"})
    assert run.status is RunStatus.FAILED
    assert f"no object matches s3://{place.bucket}/none/**" in run.error_message
    skipped = await place.run(source={"prefix": "none/", "missing": "skip"})
    assert (skipped.status, skipped.steps[0].status.value) == (RunStatus.SUCCESS, "SKIPPED")


async def test_bad_records_are_told_by_file_line_and_column(place: Place) -> None:
    place.put("in/1.csv", "BilledCost,BillingAccountId,BillingCurrency,ChargePeriodStart,Tags\n" + FOCUS_LINES)
    destination = {"schema_template": "focus_1_0"}
    source = {"prefix": "in/"}
    run = await place.run(source=source, destination=destination)
    assert run.status is RunStatus.FAILED
    uri = f"s3://{place.bucket}/in/1.csv"
    assert "2 bad records, and max_bad_records is 0: " in run.error_message
    assert f"{uri}, line 3, column BilledCost: " in run.error_message
    assert f"{uri}, line 6, column BillingCurrency: " in run.error_message
    assert run.steps[0].attempt == 1, "another attempt would find the same"
    loaded = await place.run(source=source, destination=destination, max_bad_records=2)
    details = succeeded(loaded)
    assert (loaded.rows_processed, details["bad_record_count"], len(details["bad_records"])) == (2, 2, 2)
    assert loaded.steps[0].warning
    assert await place.rows("SELECT BilledCost, JSON_VALUE(Tags, '$.env') FROM costs ORDER BY 1") == [
        (Decimal("0.00000000012"), None),
        (Decimal("1234.5"), "prod"),
    ]


FOCUS_LINES = """0.00000000012,0012,USD,2025-11-18 00:00:00,
1_0,0012,USD,2025-11-18T00:00:00Z,
1234.5,0012,USD,2025-11-18T01:00:00Z,"{""env"":
 ""prod""}"
1,0012,,2025-11-18,
"""


async def test_columns_that_the_table_lacks(place: Place) -> None:
    place.put("a.csv", FIRST)
    succeeded(await place.run())
    place.put("b.csv", SECOND.replace("day", "day,region").replace("18\n", "18,eu\n"))
    run = await place.run()
    assert run.status is RunStatus.FAILED
    assert "region" in run.error_message
    details = succeeded(await place.run(destination={"allow_field_addition": True}))
    assert details["added_columns"] == ["region"]
    place.put("c.csv", SECOND.replace("day", "day,zone").replace("18\n", "18,eu\n"))
    succeeded(await place.run(file={"ignore_unknown_values": True}))
    assert await place.rows("SELECT region, COUNT(*) FROM costs GROUP BY 1 ORDER BY 1") == [(None, 3), ("eu", 1)]


async def test_a_plan_tells_the_objects_and_changes_nothing(place: Place) -> None:
    place.put("a.csv", FIRST)
    run = await place.plan()
    assert run.status is RunStatus.SUCCESS, run.error_message
    assert run.plan is not None
    (step,) = run.plan.steps
    assert step.table_written == "gac-prod-471220.acme_corp.costs"
    assert step.warnings == (f"1 objects of {len(FIRST)} bytes are loaded: s3://{place.bucket}/a.csv",)
    assert await place.store.loads("acme_corp", "costs", "") == []
    succeeded(await place.run())
    told = await place.plan()
    assert told.plan is not None
    assert told.plan.steps[0].warnings == ("no object is new or has changed: nothing is loaded",)


async def test_a_table_that_is_replaced_loses_what_its_partitions_were_loaded_from(place: Place) -> None:
    table = {"time_partitioning": {"field": "day", "type": "DAY"}}
    whole = {"write_mode": "overwrite", "table_config": table}
    place.put("all/a.csv", FIRST)
    place.put("one/b.csv", SECOND)
    succeeded(await place.run(destination=whole, source={"prefix": "all/"}))
    succeeded(await place.run(destination={**whole, "write_mode": "overwrite_partition"}, source={"prefix": "one/"}))
    assert [row[0] for row in await place.rows(READ)] == ["a", "c"]
    assert succeeded(await place.run(destination=whole, source={"prefix": "all/"}))["objects_loaded"] == 1
    assert [row[0] for row in await place.rows(READ)] == ["a", "b"]
