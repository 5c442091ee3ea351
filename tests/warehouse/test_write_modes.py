"""The write modes, on every warehouse: which rows they replace, what they keep, what they refuse."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from server.domain.run import EffectState
from server.domain.schema import DatasetRef, TableRef
from server.warehouse.port import TableChange, Warehouse, WarehouseError, WriteEffect, WriteMode
from tests.warehouse.tables import column, effect, spec, values

COSTS = spec(
    column("service", "STRING", "REQUIRED", description="What was used"),
    column("day", "DATE"),
    column("cost", "NUMERIC"),
    column("labels", "RECORD", "REPEATED", [column("key", "STRING"), column("value", "STRING")]),
    description="Costs by service",
    time_partitioning={"field": "day"},
    clustering_fields=["service"],
)
NO_LABELS = "ARRAY<STRUCT<key STRING, value STRING>>[]"
TWO_DAYS = f"""
SELECT 'BigQuery' AS service, DATE '2025-11-17' AS day, NUMERIC '1' AS cost,
       [STRUCT('env' AS key, 'prod' AS value)] AS labels
UNION ALL SELECT 'Storage', DATE '2025-11-17', NUMERIC '2', {NO_LABELS}
UNION ALL SELECT 'BigQuery', DATE '2025-11-18', NUMERIC '4', {NO_LABELS}
"""
DAY = date(2025, 11, 18)
READ = "SELECT service, day, cost FROM costs ORDER BY day, service, cost"


def write(dataset: DatasetRef, sql: str, mode: WriteMode, job_id: str, **options: Any) -> WriteEffect:
    into = options.pop("into", COSTS)
    return replace(effect(dataset, sql, job_id=job_id, mode=mode, into=into), **options)


def partition(dataset: DatasetRef, sql: str, job_id: str = "part", day: date = DAY) -> WriteEffect:
    return write(dataset, sql, "overwrite_partition", job_id, partition=day)


def merge(dataset: DatasetRef, sql: str, *keys: str, job_id: str = "merge") -> WriteEffect:
    return write(dataset, sql, "merge", job_id, merge_keys=keys or ("service", "day"))


async def load(warehouse: Warehouse, dataset: DatasetRef) -> None:
    assert (await warehouse.write(write(dataset, TWO_DAYS, "append", "load"))).rows_written == 3


async def test_overwrite_partition_replaces_exactly_the_runs_day(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    corrected = "SELECT s AS service, DATE '2025-11-18' AS day, NUMERIC '8' AS cost FROM UNNEST(['Run', 'SQL']) AS s"
    for job_id in ("first", "second"):
        outcome = await warehouse.write(partition(dataset, corrected, job_id))
        assert (outcome.rows_written, outcome.table_created) == (2, False)
    assert await values(warehouse, dataset, READ) == [
        ("BigQuery", date(2025, 11, 17), Decimal(1)),
        ("Storage", date(2025, 11, 17), Decimal(2)),
        ("Run", DAY, Decimal(8)),
        ("SQL", DAY, Decimal(8)),
    ]
    assert await warehouse.get_table(dataset.table("costs")) == COSTS


async def test_a_day_without_rows_empties_its_partition(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    outcome = await warehouse.write(partition(dataset, f"SELECT * FROM ({TWO_DAYS}) WHERE FALSE"))
    assert outcome.rows_written == 0
    assert await values(warehouse, dataset, "SELECT DISTINCT day FROM costs") == [(date(2025, 11, 17),)]


async def test_a_partition_may_be_made_of_the_table_itself(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    copied = "SELECT service, DATE '2025-11-18' AS day, cost * 10 AS cost FROM costs WHERE day = '2025-11-17'"
    await warehouse.write(partition(dataset, copied))
    assert await values(warehouse, dataset, f"SELECT cost FROM ({READ}) WHERE day = '2025-11-18' ORDER BY 1") == [
        (Decimal(10),),
        (Decimal(20),),
    ]


@pytest.mark.parametrize("day", ["DATE '2025-11-17'", "DATE '2025-11-19'", "CAST(NULL AS DATE)"])
async def test_rows_outside_the_partition_are_refused(warehouse: Warehouse, dataset: DatasetRef, day: str) -> None:
    await load(warehouse, dataset)
    sql = f"SELECT 'Run' AS service, DATE '2025-11-18' AS day UNION ALL SELECT 'SQL', {day}"
    with pytest.raises(WarehouseError, match=r"day.*outside the partition 2025-11-18") as refused:
        await warehouse.write(partition(dataset, sql))
    assert refused.value.reason == "ROWS_OUTSIDE_PARTITION"
    assert len(await values(warehouse, dataset, READ)) == 3


@pytest.mark.parametrize(
    ("kind", "unit", "inside", "outside"),
    [
        ("DATE", "MONTH", ["2025-11-01", "2025-11-30"], ["2025-10-31", "2025-12-01"]),
        ("DATE", "YEAR", ["2025-01-01", "2025-12-31"], ["2024-12-31", "2026-01-01"]),
        ("TIMESTAMP", "DAY", ["2025-11-18 00:00:00+00", "2025-11-18 23:59:59.999999+00"], ["2025-11-19 00:00:00+00"]),
        ("TIMESTAMP", "HOUR", ["2025-11-18 05:00:00+00", "2025-11-18 23:00:00+00"], ["2025-11-17 23:59:59+00"]),
        ("DATETIME", "DAY", ["2025-11-18 00:00:00", "2025-11-18 23:59:59"], ["2025-11-17 23:59:59"]),
    ],
)
async def test_a_partition_holds_the_day_of_the_run(
    warehouse: Warehouse, dataset: DatasetRef, kind: str, unit: str, inside: list[str], outside: list[str]
) -> None:
    table = spec(column("at", kind), column("n", "INT64"), time_partitioning={"field": "at", "type": unit})

    def rows(times: list[str], number: int) -> str:
        return " UNION ALL ".join(f"SELECT {kind} '{time}' AS at, {number} AS n" for time in times)

    await warehouse.write(effect(dataset, rows(inside + outside, 1), job_id="load", into=table))
    again = effect(dataset, rows(inside, 2), job_id="again", mode="overwrite_partition", into=table)
    await warehouse.write(replace(again, partition=DAY))
    assert await values(warehouse, dataset, "SELECT n, COUNT(*) FROM costs GROUP BY n ORDER BY n") == [
        (1, len(outside)),
        (2, len(inside)),
    ]


async def test_merge_updates_by_key_and_inserts_the_rest(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    sql = (
        "SELECT 'BigQuery' AS SERVICE, DATE '2025-11-17' AS day, NUMERIC '10' AS cost "
        "UNION ALL SELECT 'Run', DATE '2025-11-17', NUMERIC '11'"
    )
    for job_id in ("first", "second"):
        assert (await warehouse.write(merge(dataset, sql, job_id=job_id))).rows_written == 2
    assert await values(warehouse, dataset, READ) == [
        ("BigQuery", date(2025, 11, 17), Decimal(10)),
        ("Run", date(2025, 11, 17), Decimal(11)),
        ("Storage", date(2025, 11, 17), Decimal(2)),
        ("BigQuery", DAY, Decimal(4)),
    ]
    kept = "SELECT l.value FROM costs, UNNEST(labels) AS l WHERE service = 'BigQuery' AND day = '2025-11-17'"
    assert await values(warehouse, dataset, kept) == [("prod",)], "columns that the query does not give stay"
    assert await warehouse.get_table(dataset.table("costs")) == COSTS


async def test_a_null_key_is_the_same_as_a_null_key(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    for number, job_id in enumerate(("first", "second")):
        await warehouse.write(
            merge(
                dataset,
                f"SELECT 'Tax' AS service, CAST(NULL AS DATE) AS day, NUMERIC '{number}' AS cost",
                job_id=job_id,
            )
        )
    tax = "SELECT day, cost FROM costs WHERE service = 'Tax'"
    assert await values(warehouse, dataset, tax) == [(None, Decimal(1))]


async def test_a_merge_of_keys_alone_inserts_what_is_missing(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    sql = "SELECT 'BigQuery' AS service, DATE '2025-11-17' AS day UNION ALL SELECT 'Run', DATE '2025-11-17'"
    await warehouse.write(merge(dataset, sql))
    assert await values(warehouse, dataset, "SELECT service FROM costs WHERE cost IS NULL") == [("Run",)]
    assert len(await values(warehouse, dataset, READ)) == 4


@pytest.mark.parametrize("beside", ["", ", NUMERIC '9' AS cost"], ids=["keys", "keys and a value"])
@pytest.mark.parametrize("day", ["2025-11-18", "2025-11-20"], ids=["in the table", "new"])
async def test_a_key_that_the_query_gives_twice_is_refused(
    warehouse: Warehouse, dataset: DatasetRef, day: str, beside: str
) -> None:
    await load(warehouse, dataset)
    before = await values(warehouse, dataset, READ)
    sql = f"SELECT s AS service, DATE '{day}' AS day{beside} FROM UNNEST(['BigQuery', 'SQL', 'BigQuery']) AS s"
    with pytest.raises(WarehouseError, match=r"service, day|for the same key") as refused:
        await warehouse.write(merge(dataset, sql))
    assert refused.value.reason == "KEY_NOT_UNIQUE"
    assert await values(warehouse, dataset, READ) == before


async def test_a_merge_of_keys_alone_inserts_those_that_are_missing(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    before = await values(warehouse, dataset, READ)
    sql = "SELECT s AS service, DATE '2025-11-18' AS day FROM UNNEST(['BigQuery', 'SQL']) AS s"
    await warehouse.write(merge(dataset, sql))
    assert await values(warehouse, dataset, READ) == [*before, ("SQL", DAY, None)]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("nothing",), ["merge key nothing is not a column", "does not give the merge key nothing"]),
        (("labels",), ["merge key labels is ARRAY"]),
        (("day",), ["does not give the merge key day"]),
    ],
)
async def test_keys_that_cannot_be_merged_by(
    warehouse: Warehouse, dataset: DatasetRef, keys: tuple[str, ...], words: list[str]
) -> None:
    await load(warehouse, dataset)
    sql = "SELECT 'Run' AS service, [STRUCT('a' AS key, 'b' AS value)] AS labels"
    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(merge(dataset, sql, *keys))
    assert refused.value.reason == "SCHEMA_MISMATCH"
    for word in words:
        assert word in refused.value.message


async def test_only_a_partitioned_table_has_partitions(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.ensure_table(dataset.table("costs"), spec(column("day", "DATE")))
    with pytest.raises(WarehouseError, match="not partitioned"):
        await warehouse.write(partition(dataset, "SELECT DATE '2025-11-18' AS day"))


@pytest.mark.parametrize("mode", ["overwrite_partition", "merge"])
async def test_a_missing_table_is_created(warehouse: Warehouse, dataset: DatasetRef, mode: WriteMode) -> None:
    sql = "SELECT 'Run' AS service, DATE '2025-11-18' AS day"
    made = partition(dataset, sql) if mode == "overwrite_partition" else merge(dataset, sql)
    outcome = await warehouse.write(made)
    assert (outcome.rows_written, outcome.table_created) == (1, True)
    assert await warehouse.get_table(dataset.table("costs")) == COSTS
    assert (await warehouse.write(made)).adopted


@pytest.mark.parametrize("mode", ["append", "overwrite", "overwrite_partition", "merge"])
async def test_a_query_that_fails_half_way_changes_nothing(
    warehouse: Warehouse, dataset: DatasetRef, mode: WriteMode
) -> None:
    await load(warehouse, dataset)
    service = "IF(1 / (3 - n) > 0, CAST(n AS STRING), 'x')"
    sql = f"SELECT {service} AS service, DATE '2025-11-18' AS day FROM UNNEST([1, 2, 3]) AS n"
    options: dict[str, Any] = {"overwrite_partition": {"partition": DAY}, "merge": {"merge_keys": ("service",)}}.get(
        mode, {}
    )
    with pytest.raises(WarehouseError, match=r"(?i)zero"):
        await warehouse.write(write(dataset, sql, mode, "fails", **options))
    assert len(await values(warehouse, dataset, READ)) == 3
    assert (await warehouse.settle("fails", dataset)).state is EffectState.STOPPED


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"partition": date(2025, 11, 17)}, "another partition"), ({"mode": "append"}, "another mode")],
)
async def test_another_partition_is_another_effect(
    warehouse: Warehouse, dataset: DatasetRef, changed: dict[str, Any], words: str
) -> None:
    made = partition(dataset, "SELECT 'Run' AS service, DATE '2025-11-18' AS day")
    await warehouse.write(made)
    with pytest.raises(WarehouseError, match=words) as refused:
        await warehouse.write(replace(made, **changed))
    assert refused.value.reason == "JOB_ID_REUSED"


async def test_columns_are_added_when_that_is_wanted(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    sql = "SELECT 'Run' AS service, DATE '2025-11-18' AS day, 'EUR' AS currency, ['a'] AS tags"
    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(write(dataset, sql, "append", "strict"))
    assert refused.value.reason == "SCHEMA_MISMATCH"
    assert "currency" in refused.value.message
    assert "tags" in refused.value.message
    outcome = await warehouse.write(write(dataset, sql, "append", "grow", add_columns=True))
    assert outcome.added_columns == ("currency", "tags")
    table = await warehouse.get_table(dataset.table("costs"))
    assert table is not None
    assert table.fields == (
        *COSTS.fields,
        *spec(column("currency", "STRING"), column("tags", "STRING", "REPEATED")).fields,
    )
    assert table.model_copy(update={"fields": COSTS.fields}) == COSTS
    assert await values(warehouse, dataset, "SELECT tags FROM costs WHERE currency = 'EUR'") == [(["a"],)]


async def test_other_differences_are_refused_although_columns_may_be_added(
    warehouse: Warehouse, dataset: DatasetRef
) -> None:
    await load(warehouse, dataset)
    sql = "SELECT 1 AS service, 'x' AS cost, 'EUR' AS currency"
    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(write(dataset, sql, "append", "grow", add_columns=True))
    for words in ("service is STRING", "gives INT64", "cost is NUMERIC", "gives STRING"):
        assert words in refused.value.message
    assert await warehouse.get_table(dataset.table("costs")) == COSTS


TEMPLATE = spec(
    {**column("service", "STRING", "REQUIRED"), "description": "Google's name of it"},
    {**column("rate", "NUMERIC"), "description": "To the euro"},
    {**column("tags", "STRING", "REPEATED"), "description": "Of the resource"},
)
RATED = "SELECT 'Run' AS service, 2 AS RATE, 'EUR' AS currency"


async def test_a_new_column_is_as_the_template_defines_it(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.ensure_table(dataset.table("costs"), spec(column("service", "STRING", "REQUIRED")))
    grow = write(dataset, RATED, "append", "grow", into=TEMPLATE)
    planned = await warehouse.plan_write(replace(grow, add_columns=True))
    outcome = await warehouse.write(replace(grow, add_columns=True))
    assert planned.table.added_columns == outcome.added_columns == ("rate", "currency")
    table = await warehouse.get_table(dataset.table("costs"))
    assert table is not None
    assert table.fields[1:] == (TEMPLATE.fields[1], *spec(column("currency", "STRING")).fields)
    assert await values(warehouse, dataset, "SELECT rate FROM costs") == [(Decimal(2),)]


async def test_a_missing_table_gets_the_template_and_further_columns(warehouse: Warehouse, dataset: DatasetRef) -> None:
    made = write(dataset, RATED, "append", "make", into=TEMPLATE)
    with pytest.raises(WarehouseError, match="gives column currency, which the table does not have"):
        await warehouse.write(made)
    outcome = await warehouse.write(replace(made, add_columns=True))
    assert (outcome.table_created, outcome.rows_written) == (True, 1)
    table = await warehouse.get_table(dataset.table("costs"))
    assert table is not None
    assert table.fields == (*TEMPLATE.fields, *spec(column("currency", "STRING")).fields)


@pytest.mark.parametrize("add_columns", [False, True])
async def test_a_table_that_differs_from_the_template_is_told(
    warehouse: Warehouse, dataset: DatasetRef, add_columns: bool
) -> None:
    old = spec(
        column("service", "STRING"),
        column("rate", "FLOAT64"),
        column("parts", "RECORD", fields=[column("id", "INT64")]),
    )
    new = spec(
        column("SERVICE", "STRING", "REQUIRED"),
        column("rate", "NUMERIC"),
        column("parts", "RECORD", fields=[column("id", "STRING")]),
        column("day", "DATE", "REQUIRED"),
    )
    await warehouse.ensure_table(dataset.table("costs"), old)
    made = replace(effect(dataset, "SELECT 'Run' AS service", into=new), add_columns=add_columns)
    for call in (warehouse.plan_write, warehouse.write):
        with pytest.raises(WarehouseError) as refused:
            await call(made)
        assert refused.value.reason == "SCHEMA_MISMATCH"
        for words in (
            "service is STRING NULLABLE and STRING REQUIRED in the schema template",
            "rate is FLOAT64 NULLABLE and NUMERIC NULLABLE",
            "parts is STRUCT<id INT64> NULLABLE and STRUCT<id STRING> NULLABLE",
            "day of the schema template is REQUIRED and the table does not have it",
        ):
            assert words in refused.value.message
    assert await warehouse.get_table(dataset.table("costs")) == old
    assert await values(warehouse, dataset, "SELECT service FROM costs") == []


async def test_a_column_of_the_template_that_may_not_be_added_is_told(
    warehouse: Warehouse, dataset: DatasetRef
) -> None:
    await warehouse.ensure_table(dataset.table("costs"), spec(column("service", "STRING", "REQUIRED")))
    with pytest.raises(WarehouseError, match=r"rate.*in the schema template, so that allow_field_addition would add"):
        await warehouse.write(effect(dataset, "SELECT 'Run' AS service, 2 AS rate", into=TEMPLATE))


async def test_a_table_may_have_more_and_less_than_the_template(warehouse: Warehouse, dataset: DatasetRef) -> None:
    parts = [column("key", "STRING"), column("more", "STRING")]
    have = spec(column("service", "STRING", "REQUIRED"), column("extra", "INT64"), column("r", "RECORD", fields=parts))
    want = spec(*(field.model_dump() for field in TEMPLATE.fields), column("r", "RECORD", fields=parts[:1]))
    await warehouse.ensure_table(dataset.table("costs"), have)
    await warehouse.write(effect(dataset, "SELECT 'Run' AS service, 1 AS extra", into=want))
    assert await values(warehouse, dataset, "SELECT service, extra FROM costs") == [("Run", 1)]
    assert await warehouse.get_table(dataset.table("costs")) == have


async def test_rows_outside_the_partition_of_a_further_column(warehouse: Warehouse, dataset: DatasetRef) -> None:
    made = spec(column("service", "STRING"), time_partitioning={"field": "day"})
    sql = "SELECT 'Run' AS service, DATE '2025-11-17' AS day"
    with pytest.raises(WarehouseError, match=r"day.*outside the partition 2025-11-18"):
        await warehouse.write(replace(partition(dataset, sql), spec=made, add_columns=True))


@pytest.mark.parametrize(
    ("sql", "nameless"),
    [
        ("SELECT 1, 'a' AS service, 2 + 2", "1, 2 + 2"),
        ("SELECT COUNT(*), n FROM UNNEST([1]) AS n GROUP BY n", "COUNT(*)"),
        ("SELECT 1 UNION ALL SELECT 2 AS n", "1"),
    ],
)
@pytest.mark.parametrize("add_columns", [False, True])
async def test_columns_without_a_name_are_refused(
    warehouse: Warehouse, dataset: DatasetRef, sql: str, nameless: str, add_columns: bool
) -> None:
    for call in (warehouse.plan_write, warehouse.write):
        with pytest.raises(WarehouseError) as refused:
            await call(replace(effect(dataset, sql), add_columns=add_columns))
        assert refused.value.reason == "SCHEMA_MISMATCH"
        assert f"the query gives columns without a name, {nameless}; name them with AS" in refused.value.message
    assert await warehouse.list_tables(dataset) == []


async def test_a_column_may_really_have_such_a_name(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.write(effect(dataset, "SELECT 1 AS f0_", job_id="a"))
    for number, sql in enumerate(("SELECT f0_ FROM costs", "SELECT * FROM costs", "SELECT c.* FROM costs AS c")):
        await warehouse.write(effect(dataset, sql, job_id=f"b{number}", table=f"copy{number}"))
        assert await values(warehouse, dataset, f"SELECT f0_ FROM copy{number}") == [(1,)]


async def test_a_plan_tells_what_a_write_would_do_and_changes_nothing(
    warehouse: Warehouse, dataset: DatasetRef
) -> None:
    first = await warehouse.plan_write(write(dataset, TWO_DAYS, "append", "load"))
    assert first.table == TableChange(created=True)
    assert await warehouse.list_tables(dataset) == []
    await load(warehouse, dataset)
    sql = "SELECT service, day, 'EUR' AS currency FROM costs"
    plan = await warehouse.plan_write(write(dataset, sql, "append", "grow", add_columns=True))
    assert [field.name for field in plan.dry_run.fields] == ["service", "day", "currency"]
    assert plan.dry_run.reads == {dataset.table("costs")}
    assert plan.table == TableChange(created=False, added_columns=("currency",))
    (warning,) = plan.warnings
    assert "every partition" in warning
    assert "day" in warning
    filtered = await warehouse.plan_write(partition(dataset, "SELECT * FROM costs WHERE day = '2025-11-18'"))
    assert filtered.warnings == ()
    assert await warehouse.get_table(dataset.table("costs")) == COSTS
    assert len(await values(warehouse, dataset, READ)) == 3


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT 1 AS service", "SCHEMA_MISMATCH"),
        ("SELECT 'x' AS service FROM nothing", "TABLE_NOT_FOUND"),
        ("SELECT nothing AS service FROM costs", "INVALID_QUERY"),
    ],
)
async def test_a_plan_finds_what_a_write_would_be_refused_for(
    warehouse: Warehouse, dataset: DatasetRef, sql: str, reason: str
) -> None:
    await load(warehouse, dataset)
    for call in (warehouse.plan_write, warehouse.write):
        with pytest.raises(WarehouseError) as refused:
            await call(write(dataset, sql, "append", "bad"))
        assert refused.value.reason == reason


async def test_what_may_not_be_read_is_not_read(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    asked: list[frozenset[TableRef]] = []

    def may_read(tables: frozenset[TableRef]) -> None:
        asked.append(tables)
        raise WarehouseError("TABLE_NOT_ALLOWED", "not yours")

    copied = effect(dataset, "SELECT service FROM costs", job_id="copy", table="copy")
    for call in (warehouse.plan_write, warehouse.write):
        with pytest.raises(WarehouseError, match="not yours"):
            await call(replace(copied, may_read=may_read))
    with pytest.raises(WarehouseError, match="not yours"):
        await warehouse.query("SELECT service FROM costs", default_dataset=dataset, may_read=may_read)
    assert asked == [frozenset({dataset.table("costs")})] * 3
    assert await warehouse.list_tables(dataset) == ["costs"]


async def test_what_became_of_an_effect_is_told(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await load(warehouse, dataset)
    assert (await warehouse.settle("load", dataset)).state is EffectState.COMMITTED
    assert (await warehouse.settle("never", dataset)).state is EffectState.STOPPED


async def test_times_are_kept_to_the_microsecond(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.write(effect(dataset, "SELECT TIMESTAMP '2025-11-18 01:02:03.123456+00' AS at"))
    at = datetime(2025, 11, 18, 1, 2, 3, 123456, tzinfo=UTC)
    assert await values(warehouse, dataset, "SELECT at FROM costs") == [(at,)]
