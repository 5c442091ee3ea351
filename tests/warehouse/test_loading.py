"""Loading files of JSON lines: strict, atomic, and equal to what the file says."""

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.domain.schema import DatasetRef, TableSpec
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import WarehouseError
from tests.warehouse.tables import PROJECT, column, spec, values

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "gcp_billing_export"
DATASET = DatasetRef(PROJECT, "source")
TABLE = DATASET.table("rows")
SIMPLE = spec(
    column("name", "STRING", "REQUIRED"),
    column("n", "INT64"),
    column("items", "RECORD", "REPEATED", [column("key", "STRING")]),
)


def lines(folder: Path, *rows: str) -> Path:
    path = folder / "rows.ndjson"
    path.write_text("\n".join(rows) + "\n")
    return path


async def test_a_file_is_loaded_into_a_new_table(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    path = lines(tmp_path, '{"name": "a", "n": "7", "items": [{"key": "x"}]}', "", '{"NAME": "b"}')

    assert await warehouse.load_ndjson(path, TABLE, SIMPLE) == 2

    found = await values(warehouse, DATASET, "SELECT name, n, items FROM rows ORDER BY name")
    assert found == [("a", 7, [{"key": "x"}]), ("b", None, [])]
    assert await warehouse.get_table(TABLE) == SIMPLE


async def test_loading_again_appends_or_replaces(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    path = lines(tmp_path, '{"name": "a"}')
    counted = "SELECT COUNT(*) FROM rows"
    for replace, expected in ((False, 1), (False, 2), (True, 1)):
        await warehouse.load_ndjson(path, TABLE, SIMPLE, replace=replace)
        assert await values(warehouse, DATASET, counted) == [(expected,)]


async def test_batches_make_one_table(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    path = lines(tmp_path, *(json.dumps({"name": str(n), "n": n}) for n in range(5_001)))

    assert await warehouse.load_ndjson(path, TABLE, SIMPLE) == 5_001
    assert await values(warehouse, DATASET, "SELECT COUNT(DISTINCT name), SUM(n) FROM rows") == [(5_001, 12_502_500)]


async def test_a_fault_names_file_line_and_column_and_nothing_is_loaded(
    warehouse: EmbeddedWarehouse, tmp_path: Path
) -> None:
    good = ['{"name": "ok"}'] * 4_000
    wrong = ['{"n": 1.5}', "{", '{"name": "c", "items": [null, {"k": 1}], "more": 1}', "[1]"]
    path = lines(tmp_path, *good, *wrong)

    with pytest.raises(WarehouseError) as refused:
        await warehouse.load_ndjson(path, TABLE, SIMPLE)

    assert refused.value.reason == "INVALID_ROWS"
    for words in (
        "rows.ndjson:4001: name is REQUIRED",
        "rows.ndjson:4001: n is Decimal('1.5'); it has to be an integer",
        "rows.ndjson:4002: the line is not JSON",
        "rows.ndjson:4003: more is not a column",
        "rows.ndjson:4003: items[0] is null",
        "rows.ndjson:4003: items[1].k is not a column",
        "rows.ndjson:4004: a row is an object",
    ):
        assert words in refused.value.message
    assert await warehouse.get_table(TABLE) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("STRING", 1),
        ("INT64", True),
        ("INT64", 2**63),
        ("INT64", "x"),
        ("FLOAT64", "one"),
        ("BOOLEAN", 1),
        ("DATE", "2025-02-30"),
        ("DATE", "20251118"),
        ("TIMESTAMP", "yesterday"),
        ("DATETIME", "2025-11-18T10:00:00Z"),
        ("TIME", "25:00:00"),
        ("NUMERIC", "1e30"),
        ("NUMERIC", "NaN"),
        ("BYTES", "***"),
    ],
)
async def test_a_value_of_another_type_is_refused(
    warehouse: EmbeddedWarehouse, tmp_path: Path, kind: str, value: object
) -> None:
    path = lines(tmp_path, json.dumps({"x": value}))

    with pytest.raises(WarehouseError, match=r"rows.ndjson:1: x is .*; it has to be"):
        await warehouse.load_ndjson(path, TABLE, spec(column("x", kind)))


async def test_a_missing_file_is_the_operating_systems_error(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await warehouse.load_ndjson(tmp_path / "none.ndjson", TABLE, SIMPLE)

    assert await warehouse.get_table(TABLE) is None


@pytest.mark.skipif(not REAL.exists(), reason="the shared billing export is not beside this checkout")
async def test_the_real_export_sums_as_its_file_does(warehouse: EmbeddedWarehouse) -> None:
    path = REAL / "detailed_export_nested.ndjson"
    schema = TableSpec.model_validate({"fields": json.loads((REAL / "detailed_export_schema.json").read_text())})
    costs: dict[tuple[str, str], float] = defaultdict(float)
    credited: dict[tuple[str, str], float] = defaultdict(float)
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        day = datetime.fromisoformat(row["usage_start_time"]).astimezone(UTC).date().isoformat()
        costs[row["service"]["description"], day] += row["cost"]
        credited[row["service"]["description"], day] += sum(credit["amount"] for credit in row["credits"] or [])

    assert await warehouse.load_ndjson(path, TABLE, schema) == len(rows)
    found = await warehouse.query(
        """
        SELECT service.description, FORMAT_DATE('%Y-%m-%d', DATE(usage_start_time)) AS day, SUM(cost) AS cost,
          SUM((SELECT IFNULL(SUM(c.amount), 0) FROM UNNEST(credits) AS c)) AS credited
        FROM rows GROUP BY description, day
        """,
        default_dataset=DATASET,
    )

    assert len(found.rows) == len(costs) > 100
    assert {row[:2]: row[2] for row in found.rows} == pytest.approx(costs)
    assert {row[:2]: row[3] for row in found.rows} == pytest.approx(credited)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"name": "a"', "rows.ndjson:2: the line is not JSON: "),
        (b'{"name": "caf\xe9"}', "rows.ndjson:2: the line is not UTF-8; write the file as UTF-8"),
        ('{"name": "a"}'.encode("utf-16"), "rows.ndjson:2: the line is not UTF-8; write the file as UTF-8"),
    ],
    ids=["broken", "latin-1", "utf-16"],
)
async def test_a_line_that_cannot_be_read_is_one_fault(
    warehouse: EmbeddedWarehouse, tmp_path: Path, line: bytes, says: str
) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b'{"name": "first"}\n' + line + b"\n")
    with pytest.raises(WarehouseError) as refused:
        await warehouse.load_ndjson(path, TABLE, SIMPLE)
    assert refused.value.message.startswith(says)
    assert refused.value.message.count("rows.ndjson:2") == 1
