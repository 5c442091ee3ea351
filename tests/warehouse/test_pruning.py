"""Which partitioned tables a query reads as a whole."""

import pytest

from server.domain.schema import DatasetRef
from server.warehouse.pruning import unpruned

OWN = DatasetRef("acme-project", "acme_corp")
EXPORT = DatasetRef("acme-project", "billing").table("export")
PARTITIONED = {OWN.table("costs"): "day", EXPORT: "_PARTITIONTIME"}


@pytest.mark.parametrize(
    "condition",
    [
        "day = '2025-11-18'",
        "DAY = DATE '2025-11-18'",
        "c.day BETWEEN '2025-11-01' AND '2025-11-30'",
        "cost > 1 AND (day >= '2025-11-18')",
        "day IN ('2025-11-17', '2025-11-18')",
        "DATE_TRUNC(day, MONTH) = '2025-11-01'",
        "TIMESTAMP_TRUNC(day, DAY, 'UTC') = TIMESTAMP '2025-11-18'",
        "DATETIME_TRUNC(c.day, HOUR) > DATETIME '2025-11-18'",
        "DATE(day) = '2025-11-18'",
        "DATE(day, 'Europe/Berlin') BETWEEN '2025-11-01' AND CURRENT_DATE()",
        "CAST(day AS DATE) IN ('2025-11-18')",
        "'2025-11-18' <= (day)",
        "day = '2025-11-17' OR day = '2025-11-18'",
        "(day = '2025-11-17' AND cost = 1) OR (day = '2025-11-18' AND cost = 2)",
        "DATE_SUB(CURRENT_DATE(), INTERVAL 3 DAY) <= day",
    ],
)
def test_a_filter_on_the_column_leaves_partitions_out(condition: str) -> None:
    assert unpruned(f"SELECT cost FROM costs AS c WHERE {condition}", OWN, PARTITIONED) == []


@pytest.mark.parametrize(
    "condition",
    [
        "TRUE",
        "cost = 1",
        "day = other_day",
        "day != '2025-11-18'",
        "day = '2025-11-18' OR cost = 1",
        "day IS NOT NULL",
        "other.day = '2025-11-18'",
        "NOT day < '2025-11-18'",
        "DATE_ADD(day, INTERVAL 1 DAY) > '2025-11-18'",
        "FORMAT_DATE('%Y', day) = '2025'",
        "MOD(UNIX_DATE(day), 7) = 0",
        "EXTRACT(YEAR FROM day) = 2025",
        "CAST(day AS STRING) = '2025-11-18'",
        "DATE(DATE_ADD(day, INTERVAL 1 DAY)) = '2025-11-18'",
        "day = (SELECT MAX(x) FROM UNNEST([DATE '2025-11-18']) AS x)",
        "day IN (SELECT '2025-11-18')",
        "day IN UNNEST([DATE '2025-11-18'])",
        "day BETWEEN '2025-11-01' AND other_day",
        "'2025-11-18' BETWEEN day AND day",
        "(day = '2025-11-17' AND cost = 1) OR cost = 2",
    ],
)
def test_every_other_filter_reads_everything(condition: str) -> None:
    sql = f"SELECT c.cost FROM costs AS c JOIN other ON other.id = c.id WHERE {condition}"
    assert unpruned(sql, OWN, PARTITIONED) == [OWN.table("costs")]


@pytest.mark.parametrize("column", ["_PARTITIONTIME", "_PARTITIONDATE", "DATE(_PARTITIONTIME)"])
def test_the_time_of_loading_is_a_column_too(column: str) -> None:
    assert unpruned(f"SELECT cost FROM billing.export WHERE {column} >= '2025-11-18'", OWN, PARTITIONED) == []
    assert unpruned("SELECT cost FROM billing.export WHERE usage = '2025-11-18'", OWN, PARTITIONED) == [EXPORT]


def test_each_place_where_a_table_is_read_counts() -> None:
    filtered = "SELECT cost FROM costs WHERE day = '2025-11-18'"
    sql = f"WITH a AS ({filtered}) SELECT cost FROM a UNION ALL SELECT cost FROM costs"
    assert unpruned(sql, OWN, PARTITIONED) == [OWN.table("costs")]
    assert unpruned(f"WITH a AS ({filtered}) SELECT cost FROM a", OWN, PARTITIONED) == []


@pytest.mark.parametrize(
    ("join", "counts"),
    [("JOIN", True), ("INNER JOIN", True), ("LEFT JOIN", False), ("RIGHT JOIN", False), ("FULL JOIN", False)],
)
def test_a_constant_in_the_on_of_an_inner_join_counts(join: str, counts: bool) -> None:
    sql = f"SELECT 1 AS n FROM costs {join} budgets ON costs.day = '2025-11-18' AND costs.id = budgets.id"
    assert unpruned(sql, OWN, PARTITIONED) == ([] if counts else [OWN.table("costs")])


def test_a_condition_of_a_cross_join_counts() -> None:
    sql = "SELECT 1 AS n FROM budgets CROSS JOIN costs WHERE costs.day = '2025-11-18'"
    assert unpruned(sql, OWN, PARTITIONED) == []


def test_what_is_not_partitioned_is_not_told() -> None:
    assert unpruned("SELECT * FROM other, acme_corp.INFORMATION_SCHEMA.TABLES", OWN, PARTITIONED) == []
