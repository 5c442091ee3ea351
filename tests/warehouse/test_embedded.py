"""What the embedded warehouse promises beyond the port: its file, its bookkeeping, its closed doors."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from server.domain.schema import DatasetRef
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.embedded.catalog import FIND_JOB
from server.warehouse.port import Warehouse, WarehouseError, WriteEffect, WriteMode
from tests.warehouse.tables import PROJECT, column, effect, spec, values

DATASET = DatasetRef(PROJECT, "acme_corp")
REPOSITORY = Path(__file__).resolve().parents[2]

# Commits job after job and says so; the test kills it in the middle of one.
WRITER = """
import asyncio, sys
from pathlib import Path
from server.domain.schema import DatasetRef
from server.warehouse.embedded import EmbeddedWarehouse
from tests.warehouse.test_embedded import JOBS, job

async def main():
    warehouse = await EmbeddedWarehouse.open(Path(sys.argv[1]), project="gac-prod-471220")
    await warehouse.ensure_dataset(DatasetRef("gac-prod-471220", "acme_corp"), location="US")
    for number in range(JOBS):
        await warehouse.write(job(number))
        print(number, flush=True)

asyncio.run(main())
"""
JOBS = 30
ROWS = 20_000


def job(number: int) -> WriteEffect:
    numbers = f"UNNEST(GENERATE_ARRAY(1, {ROWS})) AS n"
    sql = f"SELECT {number} AS job, n, CONCAT('row ', CAST(n AS STRING)) AS text FROM {numbers}"
    return effect(DATASET, sql, job_id=f"job-{number}")


def write_until_killed(path: Path, last: int) -> None:
    """Kill -9 the writer when it has told that job `last` is committed: it is writing the next by then."""
    with subprocess.Popen([sys.executable, "-c", WRITER, path], cwd=REPOSITORY, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) == last:
                break
        writer.kill()


@pytest.fixture
def busy_file(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A warehouse file, and the id of the process that has it open."""
    path = tmp_path / "w.duckdb"
    holder = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holder, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield path, process.pid


async def open_file(path: Path) -> EmbeddedWarehouse:
    return await EmbeddedWarehouse.open(path, project=PROJECT)


async def test_functions_are_there_for_all_who_are_first_to_call_one(tmp_path: Path) -> None:
    """DuckDB learns them only then."""
    warehouse = await open_file(tmp_path / "w.duckdb")
    await warehouse.ensure_dataset(DATASET, location="US")
    calls = {"SOUNDEX('Ashcraft')": "A261", "TO_BASE32(b'ab')": "MFRA====", "NET.HOST('http://a.b/c')": "a.b"}
    found = await asyncio.gather(*(values(warehouse, DATASET, f"SELECT {call}") for call in [*calls] * 4))
    assert found == [[(value,)] for value in calls.values()] * 4
    await warehouse.close()


@pytest.mark.parametrize("kill_after", [0, 3, 11])
async def test_kill_leaves_whole_jobs_and_a_repetition_makes_one_clean_result(tmp_path: Path, kill_after: int) -> None:
    path = tmp_path / "w.duckdb"
    write_until_killed(path, kill_after)

    warehouse = await open_file(path)
    found = await values(warehouse, DATASET, "SELECT job, COUNT(*) FROM costs GROUP BY job ORDER BY job")
    assert len(found) > kill_after
    assert found == [(number, ROWS) for number in range(len(found))]

    outcomes = [await warehouse.write(job(number)) for number in range(JOBS)]
    assert [outcome.adopted for outcome in outcomes] == [number < len(found) for number in range(JOBS)]
    counted = "SELECT COUNT(*), COUNT(DISTINCT job) FROM costs"
    assert await values(warehouse, DATASET, counted) == [(ROWS * JOBS, JOBS)]
    await warehouse.close()


async def test_a_job_is_remembered_when_the_file_is_opened_again(tmp_path: Path) -> None:
    first = await open_file(tmp_path / "w.duckdb")
    await first.ensure_dataset(DATASET, location="US")
    await first.write(effect(DATASET, "SELECT 1 AS n"))
    await first.close()

    second = await open_file(tmp_path / "w.duckdb")
    outcome = await second.write(effect(DATASET, "SELECT 1 AS n"))

    assert (outcome.adopted, outcome.rows_written, outcome.table_created) == (True, 1, True)
    assert await values(second, DATASET, "SELECT COUNT(*) FROM costs") == [(1,)]
    await second.close()


FIRST_BOOKKEEPING = """
CREATE SCHEMA _warehouse;
CREATE TABLE _warehouse.datasets (
    project VARCHAR, dataset VARCHAR, location VARCHAR NOT NULL, description VARCHAR NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now(), PRIMARY KEY (project, dataset));
CREATE TABLE _warehouse.tables (
    project VARCHAR, dataset VARCHAR, name VARCHAR, spec JSON NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now(), PRIMARY KEY (project, dataset, name));
CREATE TABLE _warehouse.jobs (
    job_id VARCHAR PRIMARY KEY, outcome JSON NOT NULL, finished_at TIMESTAMPTZ DEFAULT now());
INSERT INTO _warehouse.jobs (job_id, outcome)
    VALUES ('job-1', '{"job_id": "job-1", "rows_written": 7, "table_created": true, "adopted": false}');
"""


async def test_a_file_of_the_first_bookkeeping_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with duckdb.connect(path) as file:
        file.execute(FIRST_BOOKKEEPING)

    for job_id in ("job-2", "job-3"):  # the second time there is nothing left to do
        warehouse = await open_file(path)
        await warehouse.ensure_dataset(DATASET, location="US")
        old = await warehouse.write(effect(DATASET, "SELECT 1 AS n"))
        assert (old.adopted, old.rows_written) == (True, 7)
        assert (await warehouse.write(effect(DATASET, "SELECT 1 AS n", job_id=job_id))).adopted is False
        with pytest.raises(WarehouseError, match="another query"):
            await warehouse.write(effect(DATASET, "SELECT 2 AS n", job_id=job_id))
        await warehouse.close()


async def test_a_file_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    await (await open_file(path)).close()
    with duckdb.connect(path) as file:
        file.execute("UPDATE _warehouse.version SET number = number + 1")

    with pytest.raises(WarehouseError, match="newer release"):
        await open_file(path)

    with duckdb.connect(path) as file:  # which another configuration could not do if the file were still open
        assert file.execute("SELECT number FROM _warehouse.version").fetchall() == [(4,)]


async def test_a_job_is_found_by_its_index(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "w.duckdb") as file:
        file.execute(FIRST_BOOKKEEPING)
    warehouse = await open_file(tmp_path / "w.duckdb")
    fill = "INSERT INTO _warehouse.jobs (job_id, outcome) SELECT 'n' || i, '{}' FROM range(5000) r(i)"
    await warehouse._connection.write(lambda session: session.run(fill))

    plan = await warehouse._connection.read(lambda session: session.run(f"EXPLAIN ANALYZE {FIND_JOB}", ["n777"]))

    assert "Index Scan" in plan[0][1]
    await warehouse.close()


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        pytest.param(
            f'INSERT INTO "{DATASET}".costs SELECT NULL', "REQUIRED_FIELD_IS_NULL", id="NULL in a REQUIRED column"
        ),
        pytest.param(
            "INSERT INTO _warehouse.jobs (job_id, outcome) SELECT 'NOT NULL', '{}' FROM range(2)",
            "WAREHOUSE_FAILED",
            id="a duplicate in the bookkeeping",
        ),
    ],
)
async def test_only_a_null_is_told_as_one(tmp_path: Path, sql: str, reason: str) -> None:
    warehouse = await open_file(tmp_path / "w.duckdb")
    await warehouse.ensure_dataset(DATASET, location="US")
    await warehouse.ensure_table(DATASET.table("costs"), spec(column("n", "INT64", "REQUIRED")))

    with pytest.raises(WarehouseError) as refused:
        await warehouse._connection.write(lambda session: session.run(sql))

    assert refused.value.reason == reason
    await warehouse.close()


async def test_a_refusal_of_duckdb_says_that_it_has_no_place(tmp_path: Path) -> None:
    warehouse = await open_file(tmp_path / "w.duckdb")

    with pytest.raises(WarehouseError) as refused:
        await warehouse._connection.read(lambda session: session.run("SELECT no_such_function(1)"))

    assert refused.value.reason == "UNSUPPORTED_SQL"
    assert refused.value.message.startswith(
        "the embedded warehouse cannot run this query, at a place that DuckDB does not tell: "
        "Scalar Function with name no_such_function does not exist!"
    )
    await warehouse.close()


async def test_a_file_in_use_says_by_whom(busy_file: tuple[Path, int]) -> None:
    path, process = busy_file

    with pytest.raises(WarehouseError, match=f"process {process}") as refused:
        await open_file(path)

    assert refused.value.reason == "WAREHOUSE_BUSY"
    assert str(path) not in refused.value.message


async def test_a_file_that_is_no_warehouse_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_text("not a database\n" * 1_000)

    with pytest.raises(WarehouseError, match="not a DuckDB file"):
        await open_file(path)


async def test_a_closed_warehouse_says_so(tmp_path: Path) -> None:
    warehouse = await open_file(tmp_path / "w.duckdb")
    await warehouse.close()

    with pytest.raises(WarehouseError, match="closed"):
        await warehouse.query("SELECT 1", default_dataset=DATASET)


async def test_names_are_those_of_bigquery(tmp_path: Path) -> None:
    warehouse = await open_file(tmp_path / "w.duckdb")
    await warehouse.ensure_dataset(DATASET, location="US")
    await warehouse.write(effect(DATASET, "SELECT 1 AS n"))
    await warehouse.close()

    with duckdb.connect(tmp_path / "w.duckdb", read_only=True) as file:
        assert file.execute(f'SELECT n FROM "{DATASET}"."costs"').fetchall() == [(1,)]


async def test_a_name_that_differs_only_in_case_is_refused(warehouse: Warehouse, dataset: DatasetRef) -> None:
    await warehouse.write(effect(dataset, "SELECT 1 AS n", table="costs"))

    with pytest.raises(WarehouseError, match="only in case"):
        await warehouse.write(effect(dataset, "SELECT 1 AS n", table="Costs", job_id="job-2"))
    with pytest.raises(WarehouseError, match="Costs was not found"):
        await warehouse.query("SELECT 1 FROM Costs", default_dataset=dataset)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM `/etc/passwd`",
        "SELECT * FROM '/etc/passwd'",
        "SELECT read_text('/etc/passwd')",
        "SELECT getenv('HOME')",
        "SELECT current_setting('temp_directory')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM UNNEST(glob('/*'))",
        "COPY (SELECT 1) TO '/tmp/leak.csv'",
        "ATTACH '/tmp/other.duckdb'",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "SET lock_configuration = false",
        "SELECT 1; SELECT 2",
        "DROP TABLE acme_corp.costs",
        "WITH x AS (DELETE FROM acme_corp.costs) SELECT 1",
    ],
)
async def test_nothing_outside_can_be_reached(warehouse: Warehouse, dataset: DatasetRef, sql: str) -> None:
    with pytest.raises(WarehouseError) as refused:
        await warehouse.query(sql, default_dataset=dataset)

    assert refused.value.reason in ("INVALID_QUERY", "UNSUPPORTED_SQL", "TABLE_NOT_FOUND")


async def test_duckdb_itself_is_closed_and_locked(tmp_path: Path) -> None:
    """The second wall: what would happen if a statement got through untranslated."""
    warehouse = await open_file(tmp_path / "w.duckdb")
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM read_csv('{outside}')",
        f"COPY (SELECT 1) TO '{tmp_path / 'leak.csv'}'",
        f"ATTACH '{tmp_path / 'other.duckdb'}'",
        "SET enable_external_access = true",
        "SET GLOBAL TimeZone = 'Europe/Berlin'",
        "LOAD httpfs",
    ):
        with pytest.raises(WarehouseError):
            await warehouse._connection.write(lambda session, sql=sql: session.run(sql))
    await warehouse.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside.csv", "w.duckdb"]


@pytest.mark.parametrize(
    "name",
    [
        "_warehouse.jobs", f"{PROJECT}._warehouse.jobs", "`_warehouse`.`jobs`", "`_warehouse.jobs`", "jobs",
        "information_schema.tables", "main.costs", "temp.replacement", "duckdb_tables", "pg_catalog.pg_class",
        "sqlite_master",
    ],
)  # fmt: skip
async def test_the_bookkeeping_cannot_be_named(warehouse: Warehouse, dataset: DatasetRef, name: str) -> None:
    await warehouse.write(effect(dataset, "SELECT 1 AS n"))
    for sql in (f"SELECT * FROM {name}", f"WITH x AS (SELECT * FROM {name}) SELECT * FROM x"):
        with pytest.raises(WarehouseError) as refused:
            await warehouse.query(sql, default_dataset=dataset)
        assert refused.value.reason == "TABLE_NOT_FOUND"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        pytest.param("SELECT CAST('y' AS INT64)", "bad INT64 value: y", id="conversion"),
        pytest.param(f"SELECT {'(' * 3_000}1{')' * 3_000}", "too deeply", id="nesting"),
        pytest.param("SELECT 1 / 0", "division by zero", id="division"),
        pytest.param("SELECT n, COUNT(*) FROM UNNEST([1]) AS n", "GROUP BY", id="grouping"),
        pytest.param("SELECT LOWER(5)", "LOWER|lower", id="argument type"),
        pytest.param("SELECT (SELECT n FROM UNNEST([1, 2]) AS n)", "More than one row", id="scalar subquery"),
    ],
)
async def test_an_error_is_a_sentence_without_internals(
    warehouse: Warehouse, dataset: DatasetRef, sql: str, words: str
) -> None:
    with pytest.raises(WarehouseError, match=words) as refused:
        await warehouse.query(sql, default_dataset=dataset)

    assert refused.value.reason == "INVALID_QUERY"
    for internal in ("LINE 1", "\n", "s1.", "SET ", "Candidate", ".duckdb"):
        assert internal not in refused.value.message


async def test_a_column_without_a_name_is_found_within_the_query(warehouse: Warehouse, dataset: DatasetRef) -> None:
    sql = "WITH c AS (SELECT COUNT(*) FROM UNNEST([1])) SELECT 2 AS n, x.* FROM c AS x"
    with pytest.raises(WarehouseError, match=r"columns without a name, COUNT\(\*\);"):
        await warehouse.write(effect(dataset, sql))


@pytest.mark.parametrize(
    ("mode", "options", "expected"),
    [
        ("append", {}, 0),
        ("overwrite", {}, 5 * (8 + 8)),
        ("merge", {"merge_keys": ("n",)}, 5 * (8 + 8)),
        ("overwrite_partition", {"partition": date(2025, 11, 18)}, 2 * (8 + 8)),
    ],
)
async def test_what_a_write_replaces_is_billed_too(
    warehouse: Warehouse, dataset: DatasetRef, mode: WriteMode, options: dict[str, Any], expected: int
) -> None:
    table = spec(column("n", "INT64"), column("day", "DATE"), time_partitioning={"field": "day"})
    days = "DATE_ADD(DATE '2025-11-17', INTERVAL MOD(n, 2) DAY)"
    rows = f"SELECT n, {days} AS day FROM UNNEST(GENERATE_ARRAY(0, 4)) AS n"
    await warehouse.write(effect(dataset, rows, job_id="load", into=table))
    again = replace(effect(dataset, "SELECT 7 AS n, DATE '2025-11-18' AS day", job_id="again", mode=mode), **options)
    assert (await warehouse.plan_write(again)).dry_run.bytes_processed == expected
    if expected:
        limited = replace(again, maximum_bytes_billed=expected - 1)
        for call in (warehouse.plan_write, warehouse.write):
            with pytest.raises(WarehouseError, match=f"about {expected} bytes") as refused:
                await call(limited)
            assert refused.value.reason == "BYTES_BILLED_LIMIT"
    assert (await warehouse.write(again)).bytes_billed == expected


async def test_a_large_table_is_always_estimated_alike(tmp_path: Path) -> None:
    """An estimate may refuse a run; which of its threads DuckDB hears first must not matter."""
    warehouse = await EmbeddedWarehouse.open(tmp_path / "warehouse.duckdb", project=PROJECT)
    await warehouse.ensure_dataset(DATASET, location="US")
    numbers = "UNNEST(GENERATE_ARRAY(1, 600000)) AS n"
    await warehouse.write(effect(DATASET, f"SELECT REPEAT('x', DIV(n, 5000)) AS text FROM {numbers}"))
    sql = "SELECT text FROM costs"
    estimates = {(await warehouse.dry_run(sql, default_dataset=DATASET)).bytes_processed for _ in range(100)}
    assert len(estimates) == 1
    await warehouse.close()
