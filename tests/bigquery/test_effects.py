"""Writes on BigQuery when something goes wrong on the way: never two, never one that nobody knows of."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from google.auth.exceptions import RefreshError, TransportError

from server.domain.run import EffectState
from server.domain.schema import DatasetRef, TableRef
from server.warehouse.bigquery import BigQueryWarehouse, effects, jobs
from server.warehouse.bigquery.errors import is_transient
from server.warehouse.port import WarehouseError, WriteEffect
from tests.bigquery import faults
from tests.bigquery.conftest import OWN
from tests.bigquery.messages import Reply
from tests.bigquery.proxy import Exchange, Fault, Proxy, pass_through
from tests.warehouse.tables import column, effect, spec, values

JOBS = "POST .*/jobs$"
"""Dry runs and starts of jobs; of a write the first is the dry run, the second the start."""
JOB = "GET .*/jobs/"
COSTS = spec(column("service", "STRING"), column("cost", "INT64"))
ONE_ROW = effect(OWN, "SELECT 'BigQuery' AS service, 2 AS cost", into=COSTS)
# Runs for minutes, unless it is stopped.
ENDLESS = """
SELECT CAST(SUM(a * b) AS STRING) AS service, 1 AS cost
FROM UNNEST(GENERATE_ARRAY(1, 60000)) a, UNNEST(GENERATE_ARRAY(1, 60000)) b
"""


async def rows(warehouse: BigQueryWarehouse) -> list[tuple[object, ...]]:
    return await values(warehouse, OWN, "SELECT service, cost FROM costs ORDER BY 1, 2")


def job(**status: object) -> Fault:
    """Answer a start as if the job had ended like this; it never reaches the server."""

    async def fault(exchange: Exchange) -> None:
        asked = exchange.request.body
        answer = {**asked, "status": status, "statistics": {"query": {}}}
        await exchange.answer(Reply(200, {"content-type": "application/json"}, json.dumps(answer).encode()))

    return fault


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, "rateLimitExceeded"), (500, "internalError"), (502, "backendError"), (503, "backendError")],
)
async def test_what_bigquery_cannot_do_now_is_asked_for_again(
    warehouse: BigQueryWarehouse, proxy: Proxy, status: int, reason: str
) -> None:
    for nth in (1, 2):
        proxy.fail(JOBS, faults.answer(status, reason), nth=nth)
    assert (await warehouse.write(ONE_ROW)).rows_written == 1
    assert await rows(warehouse) == [("BigQuery", 2)]


@pytest.mark.parametrize("fault", [faults.close, faults.drop_reply, faults.cut_reply])
async def test_a_lost_connection_or_acknowledgement_makes_no_second_write(
    warehouse: BigQueryWarehouse, proxy: Proxy, fault: Fault
) -> None:
    proxy.fail(JOBS, fault, nth=2)
    outcome = await warehouse.write(ONE_ROW)
    assert (outcome.rows_written, outcome.adopted) == (1, False)
    assert await rows(warehouse) == [("BigQuery", 2)]


async def test_an_acknowledgement_that_does_not_come_in_time_makes_no_second_write(
    warehouse: BigQueryWarehouse, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "TIMEOUT", 1)
    silence = faults.Hold(forwarded=True)

    async def silent(exchange: Exchange) -> None:
        is_first = not exchange.request.body["configuration"].get("dryRun") and not silence.reached.is_set()
        await (silence(exchange) if is_first else pass_through(exchange))

    proxy.fail(JOBS, silent, times=1_000_000)
    outcome = await warehouse.write(ONE_ROW)
    assert silence.reached.is_set()
    assert (outcome.job_id, outcome.rows_written, outcome.adopted) == ("job-1-try1", 1, False)
    assert await rows(warehouse) == [("BigQuery", 2)]


@pytest.mark.parametrize(
    "fault", [faults.close, faults.drop_reply, faults.cut_reply, faults.answer(503, "backendError")]
)
@pytest.mark.parametrize("where", ["GET .*/datasets/acme_corp$", "GET .*/tables/costs$", "POST .*/tables$", JOB])
async def test_every_other_call_of_a_write_may_fail_once(
    warehouse: BigQueryWarehouse, proxy: Proxy, where: str, fault: Fault
) -> None:
    proxy.fail(where, fault)
    assert (await warehouse.write(ONE_ROW)).rows_written == 1
    assert await rows(warehouse) == [("BigQuery", 2)]


async def test_the_pause_is_the_one_that_bigquery_asks_for(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    clock = asyncio.get_running_loop().time
    proxy.fail(JOBS, faults.answer(429, "rateLimitExceeded", retry_after=2))
    before = clock()
    await warehouse.write(ONE_ROW)
    assert clock() - before >= 2


async def test_what_cannot_succeed_fails_at_once_in_bigquerys_words(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    proxy.fail(JOBS, faults.answer(400, "invalidQuery", "Unrecognized name: zz at [2:2]"))
    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(ONE_ROW)
    assert refused.value.reason == "INVALID_QUERY"
    assert refused.value.message == "BigQuery: Unrecognized name: zz at [2:2] (invalidQuery)"
    (sent,) = proxy.sent(JOBS)
    assert sent.body["configuration"]["query"]["query"] == ONE_ROW.sql, "the place is one in the tenant's own text"


@pytest.mark.parametrize(
    ("status", "reason", "message", "told"),
    [
        (403, "accessDenied", "Access Denied: Table x", "ACCESS_DENIED"),
        (403, "quotaExceeded", "Quota exceeded", "WAREHOUSE_BUSY"),
        (404, "notFound", "Not found: Table p:d.t was not found in location US", "TABLE_NOT_FOUND"),
        (404, "notFound", "Not found: Dataset p:d", "DATASET_NOT_FOUND"),
        (400, "invalid", "Invalid value", "INVALID_QUERY"),
    ],
)
async def test_each_error_has_its_reason(
    warehouse: BigQueryWarehouse, proxy: Proxy, status: int, reason: str, message: str, told: str
) -> None:
    proxy.fail(JOBS, faults.answer(status, reason, message))
    with pytest.raises(WarehouseError, match=message) as refused:
        await warehouse.write(ONE_ROW)
    assert refused.value.reason == told
    assert proxy.endpoint not in refused.value.message


async def test_a_limit_of_bytes_is_sent_and_its_refusal_understood(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    """The server here bills nothing, so that the request shows the limit and a made-up answer the refusal."""
    exceeded = {"reason": "bytesBilledLimitExceeded", "message": "Query exceeded limit for bytes billed: 100."}
    proxy.fail(JOBS, job(state="DONE", errorResult=exceeded), nth=2)
    with pytest.raises(WarehouseError, match="exceeded limit for bytes billed") as refused:
        await warehouse.write(replace(ONE_ROW, maximum_bytes_billed=100, labels={"tenant_id": "acme_corp"}))
    assert refused.value.reason == "BYTES_BILLED_LIMIT"
    sent = proxy.sent(JOBS)[1].body["configuration"]
    assert sent["query"]["maximumBytesBilled"] == "100"
    assert sent["labels"]["tenant_id"] == "acme_corp"


@pytest.mark.parametrize(
    "error",
    [
        {"reason": "backendError", "message": "Error encountered during execution. Retrying may solve the problem."},
        {"reason": "jobRateLimitExceeded", "message": "Exceeded rate limits: too many table update operations"},
        {
            "reason": "resourcesExceeded",
            "message": "Resources exceeded during query execution: Too many DML statements outstanding against table "
            "p:d.t, limit is 20.",
        },
        {"reason": "invalidQuery", "message": "Could not serialize access to table t due to concurrent update"},
    ],
)
async def test_a_job_that_failed_for_a_moments_reason_is_started_again_under_the_next_number(
    warehouse: BigQueryWarehouse, proxy: Proxy, error: dict[str, str]
) -> None:
    proxy.fail(JOBS, job(state="DONE", errorResult=error), nth=2)
    outcome = await warehouse.write(ONE_ROW)
    assert outcome.job_id == "job-1-try2"
    assert await rows(warehouse) == [("BigQuery", 2)]


async def test_a_failed_job_is_not_adopted_by_the_next_attempt(warehouse: BigQueryWarehouse) -> None:
    await warehouse.ensure_table(OWN.table("source"), COSTS)
    failing = replace(
        ONE_ROW, sql="SELECT 'a' AS service, (SELECT IF(COUNT(*) = 0, ERROR('it is empty'), 1) FROM source) AS cost"
    )
    with pytest.raises(WarehouseError, match="it is empty"):
        await warehouse.write(failing)
    await warehouse.upsert(OWN.table("source"), ["service"], [{"service": "a", "cost": 1}])
    outcome = await warehouse.write(failing)
    assert (outcome.job_id, outcome.rows_written, outcome.adopted) == ("job-1-try2", 1, False)
    assert (await warehouse.write(failing)).adopted
    assert await rows(warehouse) == [("a", 1)]


async def test_a_job_that_another_worker_started_is_waited_for_and_adopted(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    hold = faults.Hold(forwarded=True)
    proxy.fail(JOBS, hold, nth=2)
    first = asyncio.create_task(warehouse.write(ONE_ROW))
    await hold.reached.wait()
    second = await warehouse.write(ONE_ROW)
    hold.go_on.set()
    assert second.adopted
    assert (await first).job_id == second.job_id
    assert await rows(warehouse) == [("BigQuery", 2)]


async def test_a_running_job_is_stopped_and_its_outcome_known(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    endless = replace(ONE_ROW, sql=ENDLESS)
    work = asyncio.create_task(warehouse.write(endless))
    await request(proxy, JOB, 2)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (await warehouse.settle(endless.job_id, OWN)).state is EffectState.STOPPED
    assert len(proxy.sent("POST .*/cancel$")) == 1
    assert await rows(warehouse) == []


async def test_a_write_that_committed_before_it_could_be_stopped_is_told(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    hold = faults.Hold(forwarded=True)
    proxy.fail(JOBS, hold, nth=2)
    work = asyncio.create_task(warehouse.write(ONE_ROW))
    await hold.reached.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (await warehouse.settle(ONE_ROW.job_id, OWN)).state is EffectState.COMMITTED
    hold.go_on.set()
    assert await rows(warehouse) == [("BigQuery", 2)]


async def test_a_write_that_ends_well_although_its_end_was_asked_for_is_committed(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    await warehouse.write(ONE_ROW)
    proxy.fail(JOB, faults.changed(lambda job: job["status"].update(state="RUNNING")))
    settled = await warehouse.settle(ONE_ROW.job_id, OWN)
    assert len(proxy.sent("POST .*/cancel$")) == 1
    assert settled.state is EffectState.COMMITTED
    assert settled.outcome is not None
    assert (settled.outcome.job_id, settled.outcome.rows_written) == ("job-1-try1", 1)
    assert await rows(warehouse) == [("BigQuery", 2)]


async def test_a_write_that_was_settled_cannot_begin_any_more(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    """As by a worker that stood still while another one settled its run."""
    hold, arrived = faults.Hold(), asyncio.Event()

    async def held(exchange: Exchange) -> None:
        await hold(exchange)
        arrived.set()

    proxy.fail(JOBS, held, nth=2)
    late = asyncio.create_task(warehouse.write(ONE_ROW))
    await hold.reached.wait()
    late.cancel()
    assert (await warehouse.settle(ONE_ROW.job_id, OWN)).state is EffectState.STOPPED
    hold.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await late
    await arrived.wait()
    assert await rows(warehouse) == []


async def test_a_write_that_was_settled_while_its_start_was_on_the_way_is_refused(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    """Nobody has told its worker, which stood still."""
    hold = faults.Hold()
    proxy.fail(JOBS, hold, nth=2)
    late = asyncio.create_task(warehouse.write(ONE_ROW))
    await hold.reached.wait()
    assert (await warehouse.settle(ONE_ROW.job_id, OWN)).state is EffectState.STOPPED
    hold.go_on.set()
    with pytest.raises(WarehouseError) as refused:
        await late
    assert refused.value.reason == "EFFECT_SEALED"
    assert await rows(warehouse) == []


async def test_a_settled_write_begins_anew_only_for_those_who_know(warehouse: BigQueryWarehouse) -> None:
    for _ in range(2):
        assert (await warehouse.settle(ONE_ROW.job_id, OWN)).state is EffectState.STOPPED
    for seals in (0, 1):
        with pytest.raises(WarehouseError) as refused:
            await warehouse.write(replace(ONE_ROW, seals=seals))
        assert refused.value.reason == "EFFECT_SEALED"
    assert (await warehouse.write(replace(ONE_ROW, seals=2))).rows_written == 1
    assert await rows(warehouse) == [("BigQuery", 2)]


async def test_a_stopped_job_seals_its_effect(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    endless = replace(ONE_ROW, sql=ENDLESS)
    work = asyncio.create_task(warehouse.write(endless))
    await request(proxy, JOB, 2)
    work.cancel()
    await asyncio.wait([work])
    await warehouse.settle(endless.job_id, OWN)
    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(endless)
    assert refused.value.reason == "EFFECT_SEALED"


async def test_a_query_that_failed_for_a_moments_reason_is_run_again(
    warehouse: BigQueryWarehouse, proxy: Proxy
) -> None:
    error = {"reason": "backendError", "message": "Error encountered during execution."}
    proxy.fail(JOBS, job(state="DONE", errorResult=error), nth=2)
    found = await warehouse.query("SELECT 1 AS n", default_dataset=OWN)
    assert found.rows == ((1,),)


async def test_a_query_that_is_cancelled_at_its_start_is_stopped(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    hold = faults.Hold(forwarded=True)
    proxy.fail(JOBS, hold, nth=2)
    asking = asyncio.create_task(warehouse.query("SELECT 1 AS n", default_dataset=OWN))
    await hold.reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    hold.go_on.set()
    assert len(proxy.sent("POST .*/cancel$")) == 1


def test_a_token_that_cannot_be_had_for_a_moment_is_asked_for_again() -> None:
    lost = RefreshError("the metadata server is starting")
    lost.__cause__ = TransportError("connection refused")
    assert is_transient(RefreshError("internal failure", retryable=True))
    assert is_transient(lost)
    assert not is_transient(RefreshError("invalid_grant"))


async def test_what_a_committed_write_did_is_told_by_settling_it(warehouse: BigQueryWarehouse) -> None:
    await warehouse.write(ONE_ROW)
    settled = await warehouse.settle(ONE_ROW.job_id, OWN)
    assert settled.outcome is not None
    assert (settled.outcome.job_id, settled.outcome.rows_written) == ("job-1-try1", 1)


async def test_rows_are_checked_where_they_are_written(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    """BigQuery may judge conditions in any order, so that a check among them could meet rows that are filtered out."""
    required = spec(column("service", "STRING", "REQUIRED"), column("cost", "INT64"))
    await warehouse.write(replace(ONE_ROW, spec=required))
    (sent,) = [sent for sent in proxy.sent(JOBS) if not sent.body["configuration"].get("dryRun")]
    written = sent.body["configuration"]["query"]["query"]
    assert "ERROR(" in written.split("FROM (", 1)[0]
    assert " WHERE " not in written


@pytest.mark.parametrize(
    ("mode", "same"),
    [("REQUIRED", "T.`service` = S.`service`"), ("NULLABLE", "(T.`service` = S.`service` OR (T.`service` IS NULL")],
)
async def test_keys_are_compared_as_bigquery_can_join(
    warehouse: BigQueryWarehouse, proxy: Proxy, mode: str, same: str
) -> None:
    keyed = spec(column("service", "STRING", mode), column("cost", "INT64"))
    for cost in (1, 2):
        sql = f"SELECT 'BigQuery' AS service, {cost} AS cost"
        await warehouse.write(
            replace(ONE_ROW, job_id=f"job-{cost}", sql=sql, spec=keyed, mode="merge", merge_keys=("service",))
        )
    assert await rows(warehouse) == [("BigQuery", 2)]
    merges = [sent.body["configuration"]["query"]["query"] for sent in proxy.sent(JOBS)]
    assert all(f"ON {same}" in merge for merge in merges if merge.startswith("MERGE"))


async def test_a_refused_look_at_a_job_says_nothing_of_its_write(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    """Its start was carried out, and the account may not look at it any more."""
    proxy.fail(JOBS, faults.drop_reply, nth=2)
    proxy.fail(JOB, faults.answer(403, "accessDenied", "no"), nth=2)
    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(ONE_ROW)
    assert (refused.value.reason, refused.value.left_nothing) == ("ACCESS_DENIED", False)
    assert (await warehouse.settle(ONE_ROW.job_id, OWN)).state is EffectState.COMMITTED


async def test_a_job_that_failed_left_nothing(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    for sql in ("SELECT nothing AS service", "SELECT ERROR('no') AS service, 1 AS cost"):
        with pytest.raises(WarehouseError) as refused:
            await warehouse.write(replace(ONE_ROW, sql=sql))
        assert refused.value.left_nothing


async def test_an_outcome_that_bigquery_does_not_tell_is_unknown(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    await warehouse.write(ONE_ROW)
    proxy.fail(JOB, faults.answer(403, "accessDenied", "not now"))
    assert (await warehouse.settle(ONE_ROW.job_id, OWN)).state is EffectState.UNKNOWN


async def test_an_outcome_that_bigquery_does_not_tell_in_time_is_unknown(
    warehouse: BigQueryWarehouse, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stops answering: a worker that has just started does not even know where the dataset is."""
    monkeypatch.setattr(effects, "_SETTLE_SECONDS", 0.5)
    await warehouse.write(ONE_ROW)
    fresh = await BigQueryWarehouse.open(project=OWN.project, location="US", endpoint=proxy.endpoint)
    for asked, who in (("GET .*/datasets/", fresh), (JOB, warehouse)):
        proxy.fail(asked, faults.answer(503, "backendError"), times=1_000_000)
        async with asyncio.timeout(20):
            assert (await who.settle(ONE_ROW.job_id, OWN)).state is EffectState.UNKNOWN
    await fresh.close()


async def test_nothing_is_begun_where_there_is_no_dataset(warehouse: BigQueryWarehouse) -> None:
    gone = DatasetRef(OWN.project, "gone")
    assert (await warehouse.settle(ONE_ROW.job_id, gone)).state is EffectState.STOPPED


async def test_an_id_is_one_effects_only(warehouse: BigQueryWarehouse) -> None:
    await warehouse.write(ONE_ROW)
    with pytest.raises(WarehouseError) as refused:
        await warehouse.write(replace(ONE_ROW, sql="SELECT 'other' AS service, 3 AS cost"))
    assert refused.value.reason == "JOB_ID_REUSED"
    assert await rows(warehouse) == [("BigQuery", 2)]


def refuse(_tables: frozenset[TableRef]) -> None:
    raise WarehouseError("TABLE_NOT_ALLOWED", "no")


@pytest.mark.parametrize("call", [lambda w, e: w.write(e), lambda w, e: w.plan_write(e)])
async def test_a_query_that_may_not_read_its_tables_is_never_started(
    warehouse: BigQueryWarehouse, proxy: Proxy, call: Callable[[BigQueryWarehouse, WriteEffect], object]
) -> None:
    await warehouse.ensure_table(OWN.table("source"), COSTS)
    seen: list[frozenset[TableRef]] = []

    def may_read(tables: frozenset[TableRef]) -> None:
        seen.append(tables)
        refuse(tables)

    with pytest.raises(WarehouseError, match="no"):
        await call(warehouse, replace(ONE_ROW, sql="SELECT service, cost FROM source", may_read=may_read))  # type: ignore[misc]
    assert seen == [frozenset({OWN.table("source")})]
    assert [sent.body["configuration"].get("dryRun") for sent in proxy.sent(JOBS)] == [True]
    assert await warehouse.get_table(OWN.table("costs")) is None


async def request(proxy: Proxy, where: str, count: int) -> None:
    """Until so many requests have come."""
    async with asyncio.timeout(30):
        while len(proxy.sent(where)) < count:
            await asyncio.sleep(0.01)
