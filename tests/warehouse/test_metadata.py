"""What a tenant can ask about its own dataset."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.domain.schema import DatasetRef
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import WarehouseError
from server.warehouse.sql_guard import GuardPolicy, judge, read_query
from tests.warehouse.tables import PROJECT, column, effect, spec, values

COSTS = spec(
    column("service", "STRING", "REQUIRED"),
    column("day", "DATE"),
    column("credits", "RECORD", "REPEATED", [column("name", "STRING"), column("used", "BOOLEAN")]),
    time_partitioning={"field": "DAY", "expiration_days": 90},
    clustering_fields=["service"],
    description='Costs of a "day"',
)
OTHER = DatasetRef(PROJECT, "globex")


@pytest.fixture
async def own(warehouse: EmbeddedWarehouse, dataset: DatasetRef) -> DatasetRef:
    """Two tables of the tenant's, one of another's."""
    await warehouse.ensure_table(dataset.table("costs"), COSTS)
    await warehouse.ensure_table(dataset.table("x_meta_step_logs"), spec(column("step_id", "STRING")))
    await warehouse.ensure_dataset(OTHER, location="US")
    await warehouse.ensure_table(OTHER.table("secret"), COSTS)
    return dataset


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param("SELECT table_name FROM `acme_corp.__TABLES__` WHERE table_name LIKE 'x_meta_%'", [("x_meta_step_logs",)], id="metadata tables"),
        pytest.param("SELECT table_name FROM `acme_corp.__TABLES__` WHERE table_name NOT LIKE 'x_meta_%'", [("costs",)], id="business tables"),
        pytest.param("SELECT project_id, dataset_id, table_id, type FROM __TABLES__ ORDER BY table_id LIMIT 1", [(PROJECT, "acme_corp", "costs", 1)], id="BigQuery's own names"),
        pytest.param("SELECT COUNT(*) FROM acme_corp.INFORMATION_SCHEMA.TABLES AS t WHERE t.table_type = 'BASE TABLE'", [(2,)], id="TABLES"),
        pytest.param(f"SELECT TABLES.table_name FROM `{PROJECT}.acme_corp.INFORMATION_SCHEMA.TABLES` ORDER BY 1 LIMIT 1", [("costs",)], id="quoted path"),
        pytest.param(f"SELECT COUNT(*) FROM {PROJECT}.acme_corp.information_schema.tables", [(2,)], id="any case"),
        pytest.param("SELECT c.cost FROM (SELECT 1 AS cost) AS c JOIN acme_corp.INFORMATION_SCHEMA.TABLES AS t ON t.table_name = 'costs'", [(1,)], id="join"),
        pytest.param("WITH t AS (SELECT table_name FROM acme_corp.__TABLES__) SELECT COUNT(*) FROM t", [(2,)], id="in a CTE"),
        pytest.param(
            "SELECT column_name, ordinal_position, is_nullable, data_type, is_partitioning_column, clustering_ordinal_position "
            "FROM acme_corp.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'costs' ORDER BY ordinal_position",
            [
                ("service", 1, "NO", "STRING", "NO", 1),
                ("day", 2, "YES", "DATE", "YES", None),
                ("credits", 3, "YES", "ARRAY<STRUCT<name STRING, used BOOL>>", "NO", None),
            ],
            id="COLUMNS",
        ),
        pytest.param(
            "SELECT column_name, field_path, data_type, description FROM acme_corp.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS "
            "WHERE table_name = 'costs' AND column_name = 'credits' ORDER BY field_path",
            [
                ("credits", "credits", "ARRAY<STRUCT<name STRING, used BOOL>>", None),
                ("credits", "credits.name", "STRING", None),
                ("credits", "credits.used", "BOOL", None),
            ],
            id="COLUMN_FIELD_PATHS",
        ),
        pytest.param(
            "SELECT is_generated, is_hidden, is_system_defined, collation_name, column_default, rounding_mode FROM acme_corp.INFORMATION_SCHEMA.COLUMNS WHERE column_name = 'day'",
            [("NEVER", "NO", "NO", "NULL", "NULL", None)],
            id="what COLUMNS says of every column",
        ),
        pytest.param(
            "SELECT table_name, option_name, option_type, option_value FROM acme_corp.INFORMATION_SCHEMA.TABLE_OPTIONS ORDER BY 1, 2",
            [
                ("costs", "description", "STRING", '"Costs of a \\"day\\""'),
                ("costs", "partition_expiration_days", "FLOAT64", "90.0"),
            ],
            id="TABLE_OPTIONS",
        ),
        *(
            pytest.param(f"SELECT COUNT(*), COUNT(DISTINCT table_name) FROM acme_corp.INFORMATION_SCHEMA.{name}", [(0, 0)], id=name)
            for name in ("VIEWS", "MATERIALIZED_VIEWS", "TABLE_SNAPSHOTS", "TABLE_CONSTRAINTS", "KEY_COLUMN_USAGE", "CONSTRAINT_COLUMN_USAGE")
        ),
    ],
)  # fmt: skip
async def test_a_dataset_describes_itself(
    warehouse: EmbeddedWarehouse, own: DatasetRef, sql: str, expected: list[tuple[Any, ...]]
) -> None:
    assert judge(read_query(sql, default=own), GuardPolicy(own=own, named_by_file=frozenset())) == []
    assert await values(warehouse, own, sql) == expected


async def test_rows_are_counted_for_each_partition(warehouse: EmbeddedWarehouse, own: DatasetRef) -> None:
    days = ("DATE '2026-11-18'", "DATE '2026-11-18'", "DATE '2026-11-19'", "NULL")
    rows = " UNION ALL ".join(f"SELECT 'a' AS service, {day} AS day" for day in days)
    await warehouse.write(effect(own, rows, table="costs"))
    listed = "SELECT partition_id, total_rows FROM acme_corp.INFORMATION_SCHEMA.PARTITIONS WHERE table_name = 'costs'"

    assert await values(warehouse, own, f"{listed} ORDER BY 1") == [("20261118", 2), ("20261119", 1), ("__NULL__", 1)]
    # A text of one letter holds 3 bytes, a date 8 and NULL none.
    sizes = "SELECT row_count, size_bytes FROM __TABLES__ WHERE table_id = 'costs'"
    assert await values(warehouse, own, sizes) == [(4, 4 * 3 + 3 * 8)]


@pytest.mark.parametrize(
    ("view", "name"),
    [("INFORMATION_SCHEMA.TABLES", "ddl"), ("INFORMATION_SCHEMA.PARTITIONS", "total_logical_bytes"),
     ("__TABLES__", "last_modified_time")],
)  # fmt: skip
async def test_a_column_that_only_bigquery_has_is_refused_by_name(
    warehouse: EmbeddedWarehouse, own: DatasetRef, view: str, name: str
) -> None:
    with pytest.raises(WarehouseError) as refused:
        await warehouse.query(f"SELECT v.{name} FROM acme_corp.{view} AS v", default_dataset=own)

    assert refused.value.reason == "UNSUPPORTED_SQL"
    assert name in refused.value.message


async def test_times_of_creation_are_there(warehouse: EmbeddedWarehouse, own: DatasetRef) -> None:
    before = datetime.now(UTC) - timedelta(minutes=5)
    ((moment, number),) = await values(
        warehouse, own,
        "SELECT a.creation_time AS moment, b.creation_time AS number FROM acme_corp.INFORMATION_SCHEMA.TABLES AS a "
        "JOIN acme_corp.__TABLES__ AS b ON a.table_name = b.table_id WHERE b.table_id = 'costs'",
    )  # fmt: skip

    assert before < moment <= datetime.now(UTC)
    assert number == int(moment.timestamp() * 1_000)


async def test_star_gives_bigquerys_columns(warehouse: EmbeddedWarehouse, own: DatasetRef) -> None:
    rows = await warehouse.query("SELECT * FROM __TABLES__", default_dataset=own)

    assert rows.columns == ("project_id", "dataset_id", "table_id", "creation_time", "row_count", "size_bytes", "type")


async def test_an_empty_dataset_has_no_tables(warehouse: EmbeddedWarehouse, dataset: DatasetRef) -> None:
    assert await values(warehouse, dataset, "SELECT table_id FROM __TABLES__") == []
    written = await warehouse.write(effect(dataset, "SELECT table_id, creation_time FROM __TABLES__"))
    assert written.rows_written == 0
    assert await values(warehouse, dataset, "SELECT table_id FROM __TABLES__") == [("costs",)]


@pytest.mark.parametrize(
    "name",
    ["INFORMATION_SCHEMA.TABLES", "nowhere.INFORMATION_SCHEMA.TABLES", "acme_corp.INFORMATION_SCHEMA.JOBS",
     "acme_corp.__tables__", "nowhere.__TABLES__", "acme_corp.__TABLES_SUMMARY__"],
)  # fmt: skip
async def test_what_is_no_view_is_not_found(warehouse: EmbeddedWarehouse, own: DatasetRef, name: str) -> None:
    with pytest.raises(WarehouseError) as refused:
        await warehouse.query(f"SELECT 1 FROM {name}", default_dataset=own)

    assert refused.value.reason == "TABLE_NOT_FOUND"
