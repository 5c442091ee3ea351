"""Rows that lie in a file, on every warehouse: the same modes, checks and promises as for those of a query."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from server.domain.run import EffectState
from server.domain.schema import DatasetRef, TableSpec
from server.warehouse.port import RowFile, Warehouse, WarehouseError, WriteEffect
from tests.warehouse.tables import column, effect, spec, values

LINES = spec(
    column("account", "STRING", "REQUIRED", description="Who pays"),
    column("day", "DATE"),
    column("cost", "BIGNUMERIC"),
    description="Line items",
    time_partitioning={"field": "day"},
)
FIELDS = (column("account", "STRING"), column("day", "DATE"), column("cost", "BIGNUMERIC"))
TWO_DAYS = "VALUES ('a', DATE '2025-11-17', '0.000000000001'), ('b', DATE '2025-11-18', '2')"
READ = "SELECT account, day, cost FROM costs ORDER BY account, day, cost"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir(exist_ok=True)
    return folder


def rows(
    scratch: Path, sql: str, columns: Sequence[Mapping[str, Any]] = FIELDS, *, digest: str = "one", name: str = "rows"
) -> RowFile:
    """A file with the rows of DuckDB's SQL."""
    path, fields = scratch / f"{name}.parquet", spec(*columns).fields
    names = ", ".join(f'"{field.name}"' for field in fields)
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    duck.execute(f"COPY (SELECT * FROM ({sql}) AS t ({names})) TO '{path}' (FORMAT parquet)")
    duck.close()
    return RowFile(path, fields, digest)


def load(dataset: DatasetRef, file: RowFile, job_id: str, into: TableSpec = LINES, **options: Any) -> WriteEffect:
    return replace(effect(dataset, "", job_id=job_id, into=into), file=file, **options)


async def test_rows_of_a_file_make_and_fill_a_table(warehouse: Warehouse, dataset: DatasetRef, scratch: Path) -> None:
    outcome = await warehouse.write(load(dataset, rows(scratch, TWO_DAYS), "first"))
    assert (outcome.rows_written, outcome.table_created, outcome.adopted) == (2, True, False)
    assert await warehouse.get_table(dataset.table("costs")) == LINES
    assert await values(warehouse, dataset, READ) == [
        ("a", date(2025, 11, 17), Decimal("0.000000000001")),
        ("b", date(2025, 11, 18), Decimal(2)),
    ]
    # Nothing of the load's own stays behind.
    assert await warehouse.list_tables(dataset) == ["costs"]


async def test_a_load_happens_once(warehouse: Warehouse, dataset: DatasetRef, scratch: Path) -> None:
    first = load(dataset, rows(scratch, TWO_DAYS), "once")
    await warehouse.write(first)
    again = await warehouse.write(first)
    assert (again.rows_written, again.adopted) == (2, True)
    other = load(dataset, rows(scratch, TWO_DAYS, digest="other"), "once")
    with pytest.raises(WarehouseError, match="another load") as refused:
        await warehouse.write(other)
    assert refused.value.reason == "JOB_ID_REUSED"
    assert len(await values(warehouse, dataset, READ)) == 2
    assert (await warehouse.settle("once", dataset)).state is EffectState.COMMITTED


async def test_every_type_arrives_as_it_is(warehouse: Warehouse, dataset: DatasetRef, scratch: Path) -> None:
    scalars = {
        "s": ("STRING", "'ü'", "ü"),
        "i": ("INT64", "9007199254740993", 9007199254740993),
        "f": ("FLOAT64", "0.1::DOUBLE", 0.1),
        "b": ("BOOLEAN", "true", True),
        "d": ("DATE", "DATE '2025-11-18'", date(2025, 11, 18)),
        "t": ("TIMESTAMP", "TIMESTAMPTZ '2025-11-18 01:02:03.456789+00'", datetime(2025, 11, 18, 1, 2, 3, 456789, UTC)),
        "w": ("DATETIME", "'2025-11-18 01:02:03.456789'", datetime(2025, 11, 18, 1, 2, 3, 456789)),
        "c": ("TIME", "TIME '01:02:03.000004'", time(1, 2, 3, 4)),
        "n": ("NUMERIC", "1.123456789::DECIMAL(38, 9)", Decimal("1.123456789")),
        "m": ("BIGNUMERIC", "'0.000000000000000001'", Decimal("0.000000000000000001")),
        "y": ("BYTES", "'\\xFF\\x00'::BLOB", b"\xff\x00"),
        "j": ("JSON", "'{\"a\": [1, 2.5]}'", {"a": [1, 2.5]}),
    }
    fields = tuple(column(name, kind) for name, (kind, _, _) in scalars.items())
    given = ", ".join(sql for _, sql, _ in scalars.values())
    await warehouse.write(load(dataset, rows(scratch, f"SELECT {given}", fields), "types", spec(*fields)))
    (row,) = await values(warehouse, dataset, f"SELECT {', '.join(scalars)} FROM costs")
    assert row == tuple(value for _, _, value in scalars.values())


async def test_records_and_arrays_arrive(warehouse: Warehouse, dataset: DatasetRef, scratch: Path) -> None:
    parts = [column("key", "STRING"), column("amount", "BIGNUMERIC"), column("at", "DATETIME")]
    fields = (
        column("id", "INT64"),
        column("credits", "RECORD", "REPEATED", parts),
        column("usage", "RECORD", "NULLABLE", [column("amount", "BIGNUMERIC"), column("unit", "STRING")]),
        column("tags", "STRING", "REPEATED"),
    )
    credit = "{'key': 'k', 'amount': '1.5', 'at': '2025-11-18 00:00:00'}"
    given = (
        f"SELECT 1, [{credit}, {credit.replace('1.5', '2.5')}], {{'amount': '3', 'unit': 'h'}}, ['x', 'y']"
        " UNION ALL SELECT 2, NULL, NULL, NULL"
    )
    await warehouse.write(load(dataset, rows(scratch, given, fields), "nested", spec(*fields)))
    sql = "SELECT id, ARRAY(SELECT c.amount FROM UNNEST(credits) AS c), usage.amount, usage.unit, tags FROM costs"
    assert await values(warehouse, dataset, f"{sql} ORDER BY id") == [
        (1, [Decimal("1.5"), Decimal("2.5")], Decimal(3), "h", ["x", "y"]),
        (2, [], None, None, []),
    ]


async def test_each_mode_replaces_what_it_names(warehouse: Warehouse, dataset: DatasetRef, scratch: Path) -> None:
    await warehouse.write(load(dataset, rows(scratch, TWO_DAYS), "first"))
    of_a_day = rows(scratch, "VALUES ('c', DATE '2025-11-18', '3')", name="day")
    await warehouse.write(load(dataset, of_a_day, "day", mode="overwrite_partition", partition=date(2025, 11, 18)))
    assert [row[0] for row in await values(warehouse, dataset, READ)] == ["a", "c"]
    merged = rows(scratch, "VALUES ('a', DATE '2025-11-19', '9'), ('d', NULL, NULL)", name="merged")
    await warehouse.write(load(dataset, merged, "merge", mode="merge", merge_keys=("account",)))
    assert await values(warehouse, dataset, READ) == [
        ("a", date(2025, 11, 19), Decimal(9)),
        ("c", date(2025, 11, 18), Decimal(3)),
        ("d", None, None),
    ]
    await warehouse.write(load(dataset, of_a_day, "all", mode="overwrite"))
    assert [row[0] for row in await values(warehouse, dataset, READ)] == ["c"]
    assert await warehouse.get_table(dataset.table("costs")) == LINES


async def test_a_load_that_is_refused_leaves_nothing(warehouse: Warehouse, dataset: DatasetRef, scratch: Path) -> None:
    await warehouse.write(load(dataset, rows(scratch, TWO_DAYS), "first"))
    with pytest.raises(WarehouseError, match="the load gives NULL for REQUIRED columns: account") as refused:
        await warehouse.write(load(dataset, rows(scratch, "VALUES (NULL, NULL, '1')"), "null"))
    assert (refused.value.reason, refused.value.left_nothing) == ("REQUIRED_FIELD_IS_NULL", True)
    outside = load(
        dataset, rows(scratch, TWO_DAYS), "outside", mode="overwrite_partition", partition=date(2025, 11, 18)
    )
    with pytest.raises(WarehouseError, match=r"the load.*outside the partition 2025-11-18"):
        await warehouse.write(outside)
    further = (*FIELDS, column("region", "STRING"))
    wider = rows(scratch, "VALUES ('a', NULL, '1', 'eu')", further)
    with pytest.raises(WarehouseError, match="the load gives column region, which the table does not have"):
        await warehouse.write(load(dataset, wider, "wider"))
    assert len(await values(warehouse, dataset, READ)) == 2
    outcome = await warehouse.write(load(dataset, wider, "added", add_columns=True))
    assert outcome.added_columns == ("region",)
    assert await warehouse.list_tables(dataset) == ["costs"]


async def test_a_file_that_is_broken_leaves_nothing(warehouse: Warehouse, dataset: DatasetRef, scratch: Path) -> None:
    await warehouse.write(load(dataset, rows(scratch, TWO_DAYS), "first"))
    broken = rows(scratch, TWO_DAYS, name="broken")
    broken.path.write_bytes(broken.path.read_bytes()[:-100])
    with pytest.raises(WarehouseError):
        await warehouse.write(load(dataset, broken, "broken"))
    assert await warehouse.list_tables(dataset) == ["costs"]
