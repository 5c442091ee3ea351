"""What every warehouse promises, whatever stands behind the port."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from server.domain.run import EffectState
from server.domain.schema import DatasetRef, TableRef
from server.warehouse.port import TableChange, Warehouse, WarehouseError
from tests.warehouse.tables import PROJECT, column, effect, spec, values

COSTS = spec(
    column("service", "STRING", "REQUIRED", description="What was used"),
    column("cost", "FLOAT64"),
    column("day", "DATE"),
    description="Costs by service",
    time_partitioning={"field": "day", "expiration_days": 730},
    clustering_fields=["service"],
)
ONE_ROW = "SELECT 'BigQuery' AS service, 2.5 AS cost, DATE '2025-11-18' AS day"


async def test_a_dataset_is_created_once(warehouse: Warehouse) -> None:
    ref = DatasetRef(PROJECT, "acme_corp")

    first = await warehouse.ensure_dataset(ref, location="EU", description="x")
    second = await warehouse.ensure_dataset(ref, location="EU", description="x")

    assert (first, second) == (True, False)


async def test_a_dataset_is_deleted_with_everything_in_it(warehouse: Warehouse, dataset: DatasetRef) -> None:
    other = DatasetRef(PROJECT, "other_corp")
    await warehouse.ensure_dataset(other, location="US")
    for ref in (dataset, other):
        await warehouse.write(effect(ref, ONE_ROW, into=COSTS, job_id=f"into-{ref.dataset}"))

    assert await warehouse.delete_dataset(dataset) is True
    assert await warehouse.delete_dataset(dataset) is False
    assert await warehouse.list_tables(dataset) == []
    assert await warehouse.get_table(dataset.table("costs")) is None
    with pytest.raises(WarehouseError) as refused:
        await warehouse.ensure_table(dataset.table("costs"), COSTS)
    assert refused.value.reason == "DATASET_NOT_FOUND"
    assert await values(warehouse, other, "SELECT service FROM costs") == [("BigQuery",)]
    assert await warehouse.ensure_dataset(dataset, location="US") is True
    assert await warehouse.list_tables(dataset) == []


async def test_a_table_keeps_its_exact_definition(warehouse: Warehouse, dataset: DatasetRef) -> None:
    change = await warehouse.ensure_table(dataset.table("costs"), COSTS)

    assert change == TableChange(created=True)
    assert await warehouse.get_table(dataset.table("costs")) == COSTS
    assert await warehouse.ensure_table(dataset.table("costs"), COSTS) == TableChange(created=False)


async def test_an_unknown_table_is_none(warehouse: Warehouse, dataset: DatasetRef) -> None:
    assert await warehouse.get_table(dataset.table("nothing")) is None


async def test_a_table_needs_its_dataset(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError) as refused:
        await warehouse.ensure_table(DatasetRef(PROJECT, "nowhere").table("t"), COSTS)

    assert refused.value.reason == "DATASET_NOT_FOUND"


async def test_a_table_gains_columns_and_keeps_its_rows(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.write(effect(dataset, ONE_ROW, into=COSTS))
    grown = spec(column("cost", "FLOAT64"), column("currency", "STRING"), column("tags", "STRING", "REPEATED"))

    change = await warehouse.ensure_table(dataset.table("costs"), grown)

    assert change == TableChange(created=False, added_columns=("currency", "tags"))
    assert await values(warehouse, dataset, "SELECT service, currency, tags FROM costs") == [("BigQuery", None, [])]
    kept = await warehouse.get_table(dataset.table("costs"))
    assert kept is not None
    assert kept.fields == COSTS.fields + grown.fields[1:]
    assert kept.time_partitioning == COSTS.time_partitioning


async def test_every_other_difference_is_refused_at_once(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.ensure_table(dataset.table("costs"), COSTS)
    other = spec(column("service", "STRING"), column("COST", "NUMERIC"), column("fresh", "STRING", "REQUIRED"))

    with pytest.raises(WarehouseError) as refused:
        await warehouse.ensure_table(dataset.table("costs"), other)

    assert refused.value.reason == "SCHEMA_MISMATCH"
    for part in ("service", "NUMERIC", "fresh"):
        assert part in refused.value.message
    assert await warehouse.get_table(dataset.table("costs")) == COSTS


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"time_partitioning": {"field": "nope"}}, "no column nope", id="partition by a missing column"),
        pytest.param({"time_partitioning": {"field": "name"}}, "name is STRING", id="partition by a string"),
        pytest.param({"clustering_fields": ["rate"]}, "rate is FLOAT64", id="cluster by a float"),
    ],
)
async def test_settings_that_bigquery_refuses(
    warehouse: Warehouse, dataset: DatasetRef, settings: Mapping[str, Any], words: str
) -> None:
    wrong = spec(column("name", "STRING"), column("rate", "FLOAT64"), **settings)

    with pytest.raises(WarehouseError, match=words):
        await warehouse.ensure_table(dataset.table("t"), wrong)


async def test_a_write_creates_its_table_and_appends(warehouse: Warehouse, dataset: DatasetRef) -> None:
    first = await warehouse.write(effect(dataset, ONE_ROW, into=COSTS))
    second = await warehouse.write(effect(dataset, ONE_ROW, job_id="job-2", into=COSTS))

    assert (first.rows_written, first.table_created, first.adopted) == (1, True, False)
    assert (second.rows_written, second.table_created) == (1, False)
    assert await values(warehouse, dataset, "SELECT COUNT(*), SUM(cost) FROM costs") == [(2, 5.0)]
    assert await warehouse.get_table(dataset.table("costs")) == COSTS


async def test_a_write_without_fields_takes_the_schema_of_the_query(warehouse: Warehouse, dataset: DatasetRef) -> None:
    sql = "SELECT 1 AS n, [STRUCT('a' AS key, NUMERIC '1.5' AS rate)] AS items, CURRENT_TIMESTAMP() AS at"

    await warehouse.write(effect(dataset, sql))

    assert await warehouse.get_table(dataset.table("costs")) == spec(
        column("n", "INT64"),
        column("items", "RECORD", "REPEATED", [column("key", "STRING"), column("rate", "NUMERIC")]),
        column("at", "TIMESTAMP"),
    )


async def test_overwrite_replaces_rows_and_keeps_the_definition(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.write(effect(dataset, ONE_ROW, into=COSTS))

    again = effect(dataset, "SELECT 'Cloud SQL' AS service", job_id="job-2", mode="overwrite")
    outcome = await warehouse.write(again)

    assert outcome.rows_written == 1
    assert await values(warehouse, dataset, "SELECT service, cost FROM costs") == [("Cloud SQL", None)]
    assert await warehouse.get_table(dataset.table("costs")) == COSTS


async def test_overwrite_may_read_the_table_that_it_replaces(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.write(effect(dataset, ONE_ROW, into=COSTS))

    doubled = "SELECT service, cost * 2 AS cost, day FROM costs"
    await warehouse.write(effect(dataset, doubled, job_id="job-2", mode="overwrite"))

    assert await values(warehouse, dataset, "SELECT cost FROM costs") == [(5.0,)]


async def test_the_same_job_id_writes_once(warehouse: Warehouse, dataset: DatasetRef) -> None:
    first = await warehouse.write(effect(dataset, ONE_ROW, into=COSTS))

    again = await warehouse.write(effect(dataset, ONE_ROW, into=COSTS))

    assert again == replace(first, adopted=True)
    assert await values(warehouse, dataset, "SELECT COUNT(*) FROM costs") == [(1,)]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        pytest.param({"table": "others"}, ["another destination"], id="destination"),
        pytest.param({"mode": "overwrite"}, ["another mode"], id="mode"),
        pytest.param({"sql": "SELECT 'x' AS service"}, ["another query"], id="query"),
        pytest.param({"table": "others", "sql": "SELECT 1 AS n"}, ["destination", "query"], id="several"),
    ],
)
async def test_a_job_id_stands_for_one_effect(
    warehouse: Warehouse, dataset: DatasetRef, other: Mapping[str, Any], words: list[str]
) -> None:
    await warehouse.write(effect(dataset, ONE_ROW, into=COSTS))

    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(effect(dataset, **{"sql": ONE_ROW, **other}))

    assert refused.value.reason == "JOB_ID_REUSED"
    for word in ("job-1", *words):
        assert word in refused.value.message
    assert await warehouse.get_table(dataset.table("others")) is None
    assert await values(warehouse, dataset, "SELECT service FROM costs") == [("BigQuery",)]


async def test_a_failed_write_leaves_no_rows_and_no_job(warehouse: Warehouse, dataset: DatasetRef) -> None:
    with pytest.raises(WarehouseError):
        await warehouse.write(
            effect(dataset, "SELECT 'x' AS service, 1 / (cost - 1) AS cost FROM UNNEST([1]) AS cost", into=COSTS)
        )

    assert (await warehouse.write(effect(dataset, ONE_ROW, into=COSTS))).adopted is False
    assert await values(warehouse, dataset, "SELECT service FROM costs") == [("BigQuery",)]


async def test_a_write_needs_its_dataset(warehouse: Warehouse, dataset: DatasetRef) -> None:
    nowhere = replace(effect(dataset, ONE_ROW), destination=DatasetRef(PROJECT, "nowhere").table("t"))

    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(nowhere)

    assert refused.value.reason == "DATASET_NOT_FOUND"


async def test_a_query_may_name_columns_as_no_table_does(warehouse: Warehouse, dataset: DatasetRef) -> None:
    sql = "SELECT 1 AS `Total cost`, STRUCT(2 AS `größe`) AS s"
    shown = await warehouse.query(sql, default_dataset=dataset)
    assert shown.columns == ("Total cost", "s")
    assert shown.rows == ((1, {"größe": 2}),)
    for wrong in (sql, "SELECT STRUCT(2 AS `größe`) AS s"):
        with pytest.raises(WarehouseError) as refused:
            await warehouse.write(effect(dataset, wrong))
        assert refused.value.reason == "INVALID_QUERY"
        assert "cannot be a column's name" in refused.value.message


async def test_a_dry_run_tells_what_a_query_would_give_and_read(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.write(effect(dataset, "SELECT 1 AS n"))
    told: list[frozenset[TableRef]] = []
    sql = "SELECT n, CAST(n AS STRING) AS text FROM costs"
    found = await warehouse.dry_run(sql, default_dataset=dataset, may_read=told.append)
    assert [(field.name, field.type) for field in found.fields] == [("n", "INT64"), ("text", "STRING")]
    assert found.reads == frozenset({dataset.table("costs")})
    assert told == [found.reads]
    with pytest.raises(WarehouseError) as refused:
        await warehouse.dry_run("SELECT lost FROM costs", default_dataset=dataset)
    assert refused.value.reason == "INVALID_QUERY"


async def test_all_differences_between_query_and_table_are_listed(warehouse: Warehouse, dataset: DatasetRef) -> None:
    sql = "SELECT '2.5' AS cost, 1 AS day, 'x' AS surplus"

    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(effect(dataset, sql, into=COSTS))

    assert refused.value.reason == "SCHEMA_MISMATCH"
    for words in ("service is REQUIRED", "cost is FLOAT64", "gives STRING", "day is DATE", "gives INT64", "surplus"):
        assert words in refused.value.message
    assert await warehouse.get_table(dataset.table("costs")) is None


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        pytest.param("1", "NUMERIC", Decimal(1), id="INT64 to NUMERIC"),
        pytest.param("1", "FLOAT64", 1.0, id="INT64 to FLOAT64"),
        pytest.param("NUMERIC '1.5'", "FLOAT64", 1.5, id="NUMERIC to FLOAT64"),
        pytest.param("NUMERIC '1.5'", "BIGNUMERIC", Decimal("1.5"), id="NUMERIC to BIGNUMERIC"),
        pytest.param("SUM(1)", "INT64", 1, id="SUM of INT64"),
        pytest.param("NULL", "DATE", None, id="NULL to anything"),
    ],
)
async def test_types_widen_as_on_bigquery(
    warehouse: Warehouse, dataset: DatasetRef, value: str, kind: str, expected: object
) -> None:
    await warehouse.write(effect(dataset, f"SELECT {value} AS X", into=spec(column("x", kind))))

    assert await values(warehouse, dataset, "SELECT x FROM costs") == [(expected,)]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param("'1'", "INT64", id="STRING to INT64"),
        pytest.param("1.0", "INT64", id="FLOAT64 to INT64"),
        pytest.param("1.5", "NUMERIC", id="FLOAT64 to NUMERIC"),
        pytest.param("'2025-11-18'", "DATE", id="STRING to DATE"),
        pytest.param("CURRENT_TIMESTAMP()", "DATE", id="TIMESTAMP to DATE"),
        pytest.param("CURRENT_DATETIME()", "TIMESTAMP", id="DATETIME to TIMESTAMP"),
        pytest.param("1", "STRING", id="INT64 to STRING"),
        pytest.param("TRUE", "INT64", id="BOOLEAN to INT64"),
        pytest.param("[1]", "INT64", id="array to scalar"),
        pytest.param("STRUCT(1 AS a)", "STRING", id="STRUCT to STRING"),
    ],
)
async def test_other_types_are_refused(warehouse: Warehouse, dataset: DatasetRef, value: str, kind: str) -> None:
    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(effect(dataset, f"SELECT {value} AS x", into=spec(column("x", kind))))

    assert refused.value.reason == "SCHEMA_MISMATCH"


async def test_required_columns_are_enforced_and_all_named(warehouse: Warehouse, dataset: DatasetRef) -> None:
    strict = spec(
        column("a", "STRING", "REQUIRED"),
        column("b", "INT64", "REQUIRED"),
        column("r", "RECORD", fields=[column("id", "STRING", "REQUIRED"), column("n", "INT64")]),
        column("l", "RECORD", "REPEATED", [column("key", "STRING", "REQUIRED")]),
    )
    empty = "CAST(NULL AS STRING)"
    sql = (
        f"SELECT {empty} AS a, 1 AS b, STRUCT({empty} AS id, 1 AS n) AS r, [STRUCT({empty} AS key)] AS l "
        "UNION ALL SELECT 'x', 1, NULL, NULL"
    )

    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(effect(dataset, sql, into=strict))

    assert refused.value.reason == "REQUIRED_FIELD_IS_NULL"
    for path in (" a", " r.id", " l.key"):
        assert path in refused.value.message


async def test_a_field_inside_a_record_is_required_too(warehouse: Warehouse, dataset: DatasetRef) -> None:
    strict = spec(column("l", "RECORD", "REPEATED", [column("key", "STRING", "REQUIRED")]))
    await warehouse.write(effect(dataset, "SELECT [STRUCT('a' AS key)] AS l", job_id="good", into=strict))

    with pytest.raises(WarehouseError, match=r"l\.key"):
        await warehouse.write(effect(dataset, "SELECT [STRUCT('a' AS key), STRUCT(CAST(NULL AS STRING))] AS l"))

    assert await values(warehouse, dataset, "SELECT COUNT(*) FROM costs") == [(1,)]


async def test_a_null_array_is_an_empty_one(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.write(
        effect(
            dataset,
            "SELECT ARRAY_AGG(x) AS l FROM UNNEST([1]) AS x WHERE FALSE",
            into=spec(column("l", "INT64", "REPEATED")),
        )
    )

    assert await values(warehouse, dataset, "SELECT l, ARRAY_LENGTH(l) FROM costs") == [([], 0)]


async def test_a_null_column_of_a_plain_table_is_named(warehouse: Warehouse, dataset: DatasetRef) -> None:
    with pytest.raises(WarehouseError, match=r"service") as refused:
        await warehouse.write(effect(dataset, "SELECT CAST(NULL AS STRING) AS service", into=COSTS))

    assert refused.value.reason == "REQUIRED_FIELD_IS_NULL"


async def test_values_come_back_as_plain_python(warehouse: Warehouse, dataset: DatasetRef) -> None:
    row = {
        "s": "ä",
        "i": 2**62,
        "f": 1.5,
        "b": True,
        "d": "2025-11-18",
        "t": "2025-11-18T10:30:00+01:00",
        "dt": "2025-11-18T10:30:00",
        "ti": "10:30:00",
        "n": "12345678901234567890.123456789",
        "by": "aGk=",
        "j": {"a": [1, None]},
        "r": {"name": "x", "labels": None},
        "l": [{"key": "a"}],
        "none": None,
    }
    wide = spec(
        column("s", "STRING"), column("i", "INT64"), column("f", "FLOAT64"), column("b", "BOOL"),
        column("d", "DATE"), column("t", "TIMESTAMP"), column("dt", "DATETIME"), column("ti", "TIME"),
        column("n", "NUMERIC"), column("by", "BYTES"), column("j", "JSON"),
        column("r", "RECORD", fields=[column("name", "STRING"), column("labels", "STRING", "REPEATED")]),
        column("l", "RECORD", "REPEATED", [column("key", "STRING")]), column("none", "STRING"),
    )  # fmt: skip
    await warehouse.ensure_table(dataset.table("wide"), wide)
    await warehouse.upsert(dataset.table("wide"), ["s"], [row])

    rows = await warehouse.query("SELECT * FROM wide", default_dataset=dataset)

    assert rows.as_dicts() == [
        {
            **row,
            "d": date(2025, 11, 18),
            "t": datetime(2025, 11, 18, 9, 30, tzinfo=UTC),
            "dt": datetime(2025, 11, 18, 10, 30),
            "ti": time(10, 30),
            "n": Decimal("12345678901234567890.123456789"),
            "by": b"hi",
            "r": {"name": "x", "labels": []},
        }
    ]
    assert rows.rows[0][5].tzinfo is not None


async def test_at_most_max_rows_are_fetched(warehouse: Warehouse, dataset: DatasetRef) -> None:
    rows = await warehouse.query(
        "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 50)) AS n ORDER BY n DESC", default_dataset=dataset, max_rows=2
    )

    assert (rows.columns, rows.rows) == (("n",), ((50,), (49,)))


async def test_upsert_replaces_by_key_and_repeats(warehouse: Warehouse, dataset: DatasetRef) -> None:
    table = dataset.table("steps")
    keyed = spec(column("run", "STRING", "REQUIRED"), column("step", "STRING"), column("status", "STRING"))
    await warehouse.ensure_table(table, keyed)
    await warehouse.upsert(table, ["run", "step"], [{"run": "r", "step": None, "status": "PENDING"}])

    for _ in range(2):
        rows = [
            {"run": "r", "step": "a", "status": "LOST"},
            {"run": "r", "step": "a", "status": "SUCCESS"},
            {"run": "r"},
        ]
        await warehouse.upsert(table, ["run", "step"], rows)

    found = await values(warehouse, dataset, "SELECT run, step, status FROM steps ORDER BY step")
    assert found == [("r", None, None), ("r", "a", "SUCCESS")]


@pytest.mark.parametrize(
    ("kind", "before", "first", "later"),
    [
        ("DATE", "2025-11-17", "2025-11-18", "2025-11-20"),
        ("DATETIME", "2025-11-17T23:59:59", "2025-11-18T00:00:00", "2025-11-20T10:00:00"),
        ("TIMESTAMP", "2025-11-17T23:59:59+00:00", "2025-11-18T01:00:00+01:00", "2025-11-20T10:00:00Z"),
    ],
)
async def test_upsert_looks_at_no_partition_before_those_of_its_rows(
    warehouse: Warehouse, dataset: DatasetRef, kind: str, before: str, first: str, later: str
) -> None:
    table = dataset.table("steps")
    columns = (column("run", "STRING"), column("begun", kind, "REQUIRED"), column("status", "STRING"))
    await warehouse.ensure_table(table, spec(*columns, time_partitioning={"field": "begun"}))

    async def put(status: str, **begun: str) -> None:
        rows = [{"run": run, "begun": moment, "status": status} for run, moment in begun.items()]
        await warehouse.upsert(table, ["run"], rows, fixed="begun")

    await put("old", a=before, b=first, c=later)
    await put("new", b=first, c=later)
    found = await values(warehouse, dataset, "SELECT run, status FROM steps ORDER BY run")
    assert found == [("a", "old"), ("b", "new"), ("c", "new")]
    # Against the rule that a key's day never changes: the only way to see what was looked at.
    await put("moved", a=later)
    found = await values(warehouse, dataset, "SELECT run, status FROM steps ORDER BY run, status")
    assert found == [("a", "moved"), ("a", "old"), ("b", "new"), ("c", "new")]


async def test_upsert_tells_all_that_is_wrong(warehouse: Warehouse, dataset: DatasetRef) -> None:
    table = dataset.table("steps")
    await warehouse.ensure_table(table, spec(column("run", "STRING", "REQUIRED"), column("rows", "INT64")))

    with pytest.raises(WarehouseError) as refused:
        await warehouse.upsert(table, ["run"], [{"run": "a"}, {"rows": "many", "more": 1}])

    for words in ("rows[1]", "run is REQUIRED", "'many'", "more is not a column"):
        assert words in refused.value.message
    assert await values(warehouse, dataset, "SELECT COUNT(*) FROM steps") == [(0,)]


async def test_upsert_needs_its_table(warehouse: Warehouse, dataset: DatasetRef) -> None:
    with pytest.raises(WarehouseError) as refused:
        await warehouse.upsert(dataset.table("nothing"), ["a"], [{"a": 1}])

    assert refused.value.reason == "TABLE_NOT_FOUND"


@pytest.mark.parametrize("name", ["nothing", "acme_corp.nothing", f"{PROJECT}.nowhere.t", "`no-such-project.a.b`"])
async def test_an_unknown_table_is_named_as_written(warehouse: Warehouse, dataset: DatasetRef, name: str) -> None:
    with pytest.raises(WarehouseError) as refused:
        await warehouse.query(f"SELECT 1 FROM {name}", default_dataset=dataset)

    # BigQuery does not tell a table that does not exist in a foreign project from one that may not be read.
    assert refused.value.reason in {"TABLE_NOT_FOUND", "DATASET_NOT_FOUND", "ACCESS_DENIED"}
    assert name.strip("`").split(".")[-2 if "." in name else -1] in refused.value.message


async def test_a_cancelled_write_leaves_nothing_and_readers_go_on(warehouse: Warehouse, dataset: DatasetRef) -> None:
    endless = (
        "SELECT SUM(MOD(a * b, 7)) AS n FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, "
        "UNNEST(GENERATE_ARRAY(1, 1000000)) AS b"
    )
    writing = asyncio.create_task(warehouse.write(effect(dataset, endless)))
    for _ in range(40):  # by then the write is past its preparation
        assert await values(warehouse, dataset, "SELECT 1") == [(1,)]
    assert not writing.done()

    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(writing, timeout=30)

    assert (await warehouse.settle("job-1", dataset)).state is EffectState.STOPPED
    again = await warehouse.write(replace(effect(dataset, "SELECT 1 AS n"), seals=1))
    assert (again.rows_written, again.adopted) == (1, False)
    assert await values(warehouse, dataset, "SELECT n FROM costs") == [(1,)]


async def test_writers_wait_for_each_other(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.write(effect(dataset, ONE_ROW, into=COSTS))
    kept = "SELECT * FROM costs"

    await asyncio.gather(
        *(warehouse.write(effect(dataset, kept, job_id=f"keep-{n}", mode="overwrite")) for n in range(8)),
        *(
            warehouse.upsert(dataset.table("costs"), ["service"], [{"service": "BigQuery", "cost": n}])
            for n in range(8)
        ),
    )

    assert await values(warehouse, dataset, "SELECT COUNT(*) FROM costs") == [(1,)]
