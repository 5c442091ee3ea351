"""What is BigQuery's alone behind the port: credentials, places, many jobs at a time, statements as they are sent."""

import asyncio
import json
import re
import sys
import threading
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from server.domain.schema import DatasetRef
from server.warehouse.bigquery import BigQueryWarehouse
from server.warehouse.bigquery.calls import CONNECTIONS
from server.warehouse.bigquery.credentials import installation_credentials, service_account_credentials
from server.warehouse.port import WarehouseError, WriteMode
from tests.bigquery.accounts import AUTHORIZATION, TOKENS, account_key, give_token
from tests.bigquery.conftest import OWN
from tests.bigquery.faults import Hold, answer, changed, statistics
from tests.bigquery.messages import Reply
from tests.bigquery.proxy import Exchange, Proxy
from tests.bigquery.server import BigQueryServer
from tests.bigquery.test_effects import COSTS, JOBS, ONE_ROW
from tests.warehouse.tables import column, effect, spec, values


@pytest.fixture
def key(proxy: Proxy) -> dict[str, str]:
    """A service account's key, whose tokens the proxy gives."""
    proxy.fail(TOKENS, give_token)
    return account_key(proxy.endpoint)


async def test_a_key_files_account_is_who_asks(proxy: Proxy, key: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(json.dumps(key))
    opened = await BigQueryWarehouse.open(
        project=OWN.project, location="US", endpoint=proxy.endpoint, credentials_file=tmp_path / "key.json"
    )
    await opened.list_tables(OWN)
    await opened.close()
    assert proxy.requests[-1].headers["authorization"] == AUTHORIZATION


async def test_a_tenants_own_credential_is_who_asks(proxy: Proxy, key: dict[str, str]) -> None:
    credentials = service_account_credentials(key)
    opened = BigQueryWarehouse.seen_by(credentials, project=OWN.project, location="US", endpoint=proxy.endpoint)
    await opened.list_tables(OWN)
    await opened.close()
    assert proxy.requests[-1].headers["authorization"] == AUTHORIZATION


async def test_without_a_key_nothing_is_told_to_an_address_without_tls(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    await warehouse.list_tables(OWN)
    assert "authorization" not in proxy.requests[-1].headers


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("{", "not the JSON key file"),
        ("[]", "not the JSON key file"),
        ("{}", "not the JSON key"),
    ],
)
async def test_a_key_file_that_is_none(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WarehouseError, match=words):
        await BigQueryWarehouse.open(project="p-1234567", location="US", credentials_file=path)


async def test_no_application_default_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(WarehouseError, match="CONVERGENCE_BIGQUERY_CREDENTIALS_FILE"):
        await BigQueryWarehouse.open(project="p-1234567", location="US")


async def test_application_default_credentials_are_who_asks(
    monkeypatch: pytest.MonkeyPatch, proxy: Proxy, key: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    credentials = installation_credentials(endpoint=None, credentials_file=None)
    opened = BigQueryWarehouse.seen_by(credentials, project=OWN.project, location="US", endpoint=proxy.endpoint)
    await opened.list_tables(OWN)
    await opened.close()
    assert proxy.requests[-1].headers["authorization"] == AUTHORIZATION


async def test_a_dataset_that_was_made_before_needs_no_right_to_make_one(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    proxy.fail("POST .*/datasets$", answer(403, "accessDenied", "no bigquery.datasets.create"))
    assert await warehouse.ensure_dataset(OWN, location="US") is False


async def test_a_dataset_that_another_makes_at_the_same_time_is_there(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    other, hold = DatasetRef(OWN.project, "other_corp"), Hold()
    proxy.fail("POST .*/datasets$", hold)
    mine = asyncio.create_task(warehouse.ensure_dataset(other, location="US"))
    await hold.reached.wait()
    assert await warehouse.ensure_dataset(other, location="EU") is True
    hold.go_on.set()
    assert await mine is False
    await warehouse.write(effect(other, "SELECT 1 AS n"))
    assert locations(proxy) == {"EU"}


def locations(proxy: Proxy) -> set[str]:
    return {sent.body["jobReference"]["location"] for sent in proxy.sent(JOBS)}


@pytest.fixture
async def moved(warehouse: BigQueryWarehouse, bigquery: BigQueryServer) -> None:
    """The dataset is removed and made again elsewhere, behind the back of the warehouse."""
    await warehouse.write(effect(OWN, "SELECT 1 AS n"))
    datasets = f"/projects/{OWN.project}/datasets"
    bigquery.call("DELETE", f"{datasets}/{OWN.dataset}?deleteContents=true")
    reference = {"projectId": OWN.project, "datasetId": OWN.dataset}
    bigquery.call("POST", datasets, {"datasetReference": reference, "location": "EU"})


NOT_THERE = "Not found: {} was not found in location US"


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize("what", ["Dataset acme-project:acme_corp", "Table acme-project:acme_corp.costs"])
async def test_a_dataset_that_is_not_found_where_it_was_is_looked_for_again(
    warehouse: BigQueryWarehouse, proxy: Proxy, what: str
) -> None:
    proxy.requests.clear()
    proxy.fail(JOBS, answer(404, "notFound", NOT_THERE.format(what)))
    with pytest.raises(WarehouseError, match="in location US"):
        await warehouse.write(effect(OWN, "SELECT 1 AS n", job_id="job-2"))
    assert locations(proxy) == {"US"}
    proxy.requests.clear()
    await warehouse.write(effect(OWN, "SELECT 1 AS n", job_id="job-2"))
    assert locations(proxy) == {"EU"}


@pytest.mark.usefixtures("moved")
async def test_a_job_that_does_not_find_its_dataset_makes_it_looked_for_again(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    error = {"reason": "notFound", "message": NOT_THERE.format("Dataset acme-project:acme_corp")}
    proxy.fail(JOBS, changed(lambda job: job["status"].update(state="DONE", errorResult=error)), nth=2)
    with pytest.raises(WarehouseError, match="in location US"):
        await warehouse.query("SELECT 1 AS n", default_dataset=OWN)
    proxy.requests.clear()
    await warehouse.query("SELECT 1 AS n", default_dataset=OWN)
    assert locations(proxy) == {"EU"}


@pytest.mark.usefixtures("moved")
async def test_whoever_ensures_a_dataset_knows_where_it_is(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    assert await warehouse.ensure_dataset(OWN, location="EU") is False
    proxy.requests.clear()
    await warehouse.write(effect(OWN, "SELECT 1 AS n", job_id="job-2"))
    assert locations(proxy) == {"EU"}
    assert proxy.sent("GET .*/datasets/acme_corp$") == []


async def test_jobs_run_where_their_dataset_is(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    europe = DatasetRef(OWN.project, "euro_corp")
    await warehouse.ensure_dataset(europe, location="EU", description="Euro's own")
    assert proxy.requests[-1].body["location"] == "EU"
    await warehouse.write(effect(europe, "SELECT 1 AS n"))
    assert {sent.body["jobReference"].get("location") for sent in proxy.sent(JOBS)} == {"EU"}


async def test_hundreds_of_jobs_take_a_few_threads(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    """BigQuery seems to run 300 jobs at the same time, until the test lets them end."""
    jobs: dict[str, Any] = {}
    status: dict[str, Any] = {"state": "RUNNING"}

    async def answered(exchange: Exchange) -> None:
        asked = exchange.request.body or jobs[exchange.request.path.rpartition("/")[2]]
        is_dry = asked["configuration"].get("dryRun")
        if not is_dry:
            jobs[asked["jobReference"]["jobId"]] = asked
        body = {**asked, "status": {"state": "DONE"} if is_dry else status, "statistics": {"query": {}}}
        await exchange.answer(Reply(200, {"content-type": "application/json"}, json.dumps(body).encode()))

    proxy.fail("(POST|GET) .*/jobs(/convergence-.*)?$", answered, times=1_000_000)
    work = [asyncio.create_task(warehouse.query("SELECT 1 AS n", default_dataset=OWN)) for _ in range(300)]
    async with asyncio.timeout(60):
        while len(jobs) < 300:
            await asyncio.sleep(0.05)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("bigquery")]
    assert len(threads) <= CONNECTIONS
    async with asyncio.timeout(5):
        assert await warehouse.list_tables(OWN) == [], "other calls are not kept waiting"
    status |= {"state": "DONE", "errorResult": {"reason": "stopped", "message": "Job was cancelled."}}
    ended = await asyncio.gather(*work, return_exceptions=True)
    assert [getattr(error, "reason", error) for error in ended] == ["JOB_STOPPED"] * 300


async def test_queries_are_taken_apart_beside_the_event_loop(warehouse: BigQueryWarehouse) -> None:
    """A long one takes a second of it, in which the worker would renew no lease."""
    parsed = []

    def watch(frame: FrameType, event: str, _called: object) -> None:
        if event == "call" and frame.f_code.co_filename.endswith("sqlglot/parser.py"):
            parsed.append(frame.f_code.co_name)

    costs = effect(OWN, "SELECT 'Run' AS service, 1 AS cost", job_id="job-1")
    sys.setprofile(watch)
    try:
        await warehouse.plan_write(costs)
        await warehouse.write(costs)
    finally:
        sys.setprofile(None)
    assert parsed == []


async def test_a_partition_by_time_of_loading_is_replaced(
    warehouse: BigQueryWarehouse, proxy: Proxy, bigquery: BigQueryServer
) -> None:
    """The server here makes such a table only from SQL."""
    table = "CREATE TABLE acme_corp.loads (n INT64) PARTITION BY _PARTITIONDATE"
    bigquery.call(
        "POST", f"/projects/{OWN.project}/queries", {"query": table, "useLegacySql": False, "timeoutMs": 60_000}
    )
    for job_id, day, sql in [("a", 17, "SELECT 1 AS n"), ("b", 18, "SELECT 2 AS n"), ("c", 17, "SELECT 3 AS n")]:
        write = effect(OWN, sql, job_id=job_id, table="loads", mode="overwrite_partition")
        await warehouse.write(replace(write, partition=date(2025, 11, day)))
    assert await values(warehouse, OWN, "SELECT n, _PARTITIONDATE AS day FROM loads ORDER BY 1") == [
        (2, date(2025, 11, 18)),
        (3, date(2025, 11, 17)),
    ]


async def test_columns_that_others_add_in_between_are_kept(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    await warehouse.ensure_table(OWN.table("costs"), COSTS)
    hold = Hold()
    proxy.fail("PATCH .*/tables/costs$", hold)
    mine = asyncio.create_task(warehouse.ensure_table(OWN.table("costs"), spec(column("mine", "STRING"))))
    await hold.reached.wait()
    await warehouse.ensure_table(OWN.table("costs"), spec(column("theirs", "STRING")))
    hold.go_on.set()
    assert (await mine).added_columns == ("mine",)
    table = await warehouse.get_table(OWN.table("costs"))
    assert table is not None
    assert [field.name for field in table.fields] == ["service", "cost", "theirs", "mine"]


async def test_what_a_column_has_beyond_its_type_is_kept_when_others_are_added(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    await warehouse.ensure_table(OWN.table("costs"), COSTS)
    rich = [
        {
            "name": "service",
            "type": "STRING",
            "mode": "NULLABLE",
            "maxLength": "40",
            "collation": "und:ci",
            "defaultValueExpression": "'none'",
            "policyTags": {"names": ["projects/p/locations/us/taxonomies/1/policyTags/2"]},
        },
        {
            "name": "cost",
            "type": "NUMERIC",
            "mode": "NULLABLE",
            "precision": "20",
            "scale": "4",
            "roundingMode": "ROUND_HALF_EVEN",
        },
        {
            "name": "place",
            "type": "RECORD",
            "mode": "REPEATED",
            "fields": [{"name": "city", "type": "STRING", "mode": "NULLABLE", "maxLength": "80"}],
        },
    ]
    proxy.fail("GET .*/tables/costs$", changed(lambda table: table["schema"].update(fields=rich)))
    await warehouse.ensure_table(OWN.table("costs"), spec(column("currency", "STRING")))
    (sent,) = proxy.sent("PATCH .*/tables/costs$")
    assert sent.body["schema"]["fields"] == [*rich, {"name": "currency", "type": "STRING", "mode": "NULLABLE"}]


MODES: list[tuple[WriteMode, dict[str, Any]]] = [
    ("append", {}),
    ("overwrite", {}),
    ("overwrite_partition", {"partition": date(2025, 11, 18)}),
    ("merge", {"merge_keys": ("service",)}),
]
DAILY = spec(*(field.model_dump() for field in COSTS.fields), column("day", "DATE"), time_partitioning={"field": "day"})
A_DAY = "SELECT 'Run' AS service, 2 AS cost, DATE '2025-11-18' AS day"


@pytest.mark.parametrize(("mode", "options"), MODES)
async def test_a_plan_tells_what_the_statement_itself_would_read(
    warehouse: BigQueryWarehouse, proxy: Proxy, mode: WriteMode, options: dict[str, Any]
) -> None:
    again = replace(effect(OWN, A_DAY, mode=mode, into=DAILY), maximum_bytes_billed=7_000, **options)
    proxy.fail(JOBS, statistics(totalBytesProcessed="500"))
    assert (await warehouse.plan_write(again)).dry_run.bytes_processed == 500
    await warehouse.ensure_table(OWN.table("costs"), DAILY)
    proxy.requests.clear()
    proxy.fail(JOBS, statistics(totalBytesProcessed="7000"), nth=2)
    assert (await warehouse.plan_write(again)).dry_run.bytes_processed == 7_000
    asked = [sent.body["configuration"] for sent in proxy.sent(JOBS)]
    assert [job["dryRun"] for job in asked] == [True, True]
    assert asked[1]["query"]["query"].startswith("INSERT INTO" if mode == "append" else "MERGE INTO")
    proxy.fail(JOBS, statistics(totalBytesProcessed="7001"), nth=2)
    with pytest.raises(WarehouseError, match="about 7,001 bytes, and may bill at most 7,000") as refused:
        await warehouse.plan_write(again)
    assert refused.value.reason == "BYTES_BILLED_LIMIT"


@pytest.mark.parametrize(("mode", "options"), [("append", {}), ("merge", {"merge_keys": ("id",)})])
async def test_checks_stand_before_a_value_that_has_a_type(
    warehouse: BigQueryWarehouse, proxy: Proxy, mode: WriteMode, options: dict[str, Any]
) -> None:
    """Behind a condition, BigQuery takes a bare NULL for an INT64 and refuses it for any other column.

    This server does not; and it merges no bare NULL at all, so that the statement is only planned.
    """
    into = spec(column("note", "STRING"), column("id", "STRING", "REQUIRED"), column("day", "DATE"))
    written = effect(OWN, "SELECT NULL AS note, 'x' AS id, DATE '2025-11-18' AS day", mode=mode, into=into)
    await warehouse.ensure_table(OWN.table("costs"), into)
    await warehouse.plan_write(replace(written, **options))
    *_, statement = [job.body["configuration"]["query"]["query"] for job in proxy.sent(JOBS)]
    assert f", S.`{'id' if mode == 'append' else 'day'}`, NULL)" in statement
    assert "NULL, NULL)" not in statement


async def test_a_merge_of_keys_and_nulls_checks_the_rows_that_it_updates_too(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    into = spec(column("id", "STRING", "REQUIRED"), column("note", "STRING"))
    await warehouse.ensure_table(OWN.table("costs"), into)
    written = effect(OWN, "SELECT 'x' AS id, NULL AS note", mode="merge", into=into)
    await warehouse.plan_write(replace(written, merge_keys=("id",)))
    *_, statement = [job.body["configuration"]["query"]["query"] for job in proxy.sent(JOBS)]
    checked = re.findall(r"IF\(.*?, S\.`id`, NULL\)", statement.partition(" WHEN MATCHED THEN UPDATE SET ")[2])
    assert len(checked) == 2
    assert f"`id` = {checked[0]}, `note` = NULL WHEN NOT MATCHED" in statement


async def test_a_plan_of_new_columns_looks_at_the_rest_of_the_statement(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    await warehouse.ensure_table(OWN.table("costs"), COSTS)
    grown = effect(OWN, "SELECT 'Run' AS service, 'EUR' AS currency", mode="overwrite")
    proxy.fail(JOBS, statistics(totalBytesProcessed="7000"), nth=2)
    planned = await warehouse.plan_write(replace(grown, add_columns=True))
    assert (planned.dry_run.bytes_processed, planned.table.added_columns) == (7_000, ("currency",))
    keyed = replace(grown, mode="merge", merge_keys=("currency",), add_columns=True)
    assert (await warehouse.plan_write(keyed)).table.added_columns == ("currency",)


async def test_a_plan_finds_what_only_the_statement_is_refused_for(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    """A destination that is a view looks like a table until something is written to it."""
    await warehouse.ensure_table(OWN.table("costs"), COSTS)
    proxy.fail(JOBS, answer(400, "invalidQuery", "DML over view acme-project:acme_corp.costs is not allowed"), nth=2)
    with pytest.raises(WarehouseError, match="DML over view"):
        await warehouse.plan_write(effect(OWN, "SELECT 'Run' AS service"))


async def test_a_plan_may_read_what_it_cannot_look_at(
    warehouse: BigQueryWarehouse, proxy: Proxy, bigquery: BigQueryServer
) -> None:
    """Such as a table with a type that is not known here, and one behind an authorized view."""
    for table, kind in (("places", "GEOGRAPHY"), ("hidden", "STRING")):
        fields = [{"name": "day", "type": "DATE"}, {"name": "x", "type": kind}]
        body = {
            "tableReference": {"tableId": table},
            "schema": {"fields": fields},
            "timePartitioning": {"field": "day"},
        }
        bigquery.call("POST", f"/projects/{OWN.project}/datasets/acme_corp/tables", body)
    proxy.fail("GET .*/tables/hidden$", answer(403, "accessDenied", "bigquery.tables.get"), times=2)
    reading = effect(OWN, "SELECT p.day FROM places AS p JOIN hidden AS h ON h.day = p.day")
    planned = await warehouse.plan_write(reading)
    assert planned.dry_run.reads == {OWN.table("places"), OWN.table("hidden")}
    (warning,) = planned.warnings
    assert "every partition of acme-project.acme_corp.places: filter on day" in warning
    assert (await warehouse.write(reading)).table_created


@pytest.mark.parametrize(("count", "refused"), [(49, False), (50, True)])
async def test_a_query_whose_tables_are_not_all_told_is_refused(
    warehouse: BigQueryWarehouse, proxy: Proxy, count: int, refused: bool
) -> None:
    tables = [{"projectId": "p-1", "datasetId": "d", "tableId": f"t{number}"} for number in range(count)]
    calls = [
        lambda: warehouse.query("SELECT 1 AS n", default_dataset=OWN),
        lambda: warehouse.plan_write(effect(OWN, "SELECT 1 AS n")),
        lambda: warehouse.write(effect(OWN, "SELECT 1 AS n")),
    ]
    for call in calls:
        proxy.fail(JOBS, statistics(referencedTables=tables))
        if not refused:
            await call()
            continue
        with pytest.raises(WarehouseError, match="reads 50 tables or more") as told:
            await call()
        assert told.value.reason == "UNSUPPORTED_SQL"
    assert await warehouse.list_tables(OWN) == ([] if refused else ["costs"])


async def test_what_a_job_cost_is_told(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    cost = statistics(totalBytesProcessed="1234", totalBytesBilled="10485760", totalSlotMs="567")
    proxy.fail(JOBS, cost, nth=2)
    proxy.fail("GET .*/jobs/job-1-try1$", cost, times=1_000)
    outcome = await warehouse.write(effect(OWN, "SELECT 1 AS n"))
    assert (outcome.bytes_processed, outcome.bytes_billed, outcome.slot_milliseconds) == (1_234, 10_485_760, 567)
    adopted = await warehouse.write(effect(OWN, "SELECT 1 AS n"))
    assert adopted == replace(outcome, adopted=True)


async def test_what_a_query_cost_is_told(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    cost = statistics(totalBytesProcessed="1234", totalBytesBilled="10485760", totalSlotMs="567")
    proxy.fail(JOBS, cost, nth=2)
    proxy.fail("GET .*/jobs/convergence-.*", cost, times=1_000)
    rows = await warehouse.query("SELECT 1 AS n", default_dataset=OWN)
    assert (rows.bytes_processed, rows.bytes_billed, rows.slot_milliseconds) == (1_234, 10_485_760, 567)


async def test_rows_travel_as_a_parameter(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    await warehouse.ensure_table(OWN.table("costs"), COSTS)
    hostile = "'); DROP TABLE costs; --"
    await warehouse.upsert(OWN.table("costs"), ["service"], [{"service": hostile, "cost": 1}])
    assert proxy.sent(JOBS)[-1].body["configuration"]["labels"] == {"tenant_id": "acme_corp"}
    (sent,) = proxy.sent(JOBS)
    assert hostile not in sent.body["configuration"]["query"]["query"]
    assert await values(warehouse, OWN, "SELECT service, cost FROM costs") == [(hostile, 1)]


async def test_a_closed_warehouse_says_so(proxy: Proxy) -> None:
    opened = await BigQueryWarehouse.open(project=OWN.project, location="US", endpoint=proxy.endpoint)
    await opened.close()
    with pytest.raises(WarehouseError, match="closed"):
        await opened.write(ONE_ROW)
