"""What a run tells of a write when it is stopped, or BigQuery does not say what became of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from convergence.v1.run_pb2 import Effect, Run
from server.warehouse.bigquery import BigQueryWarehouse
from tests.bigquery.faults import Hold, answer, changed
from tests.bigquery.proxy import Proxy
from tests.bigquery.server import BigQueryServer
from tests.e2e.on_bigquery import FOR_EVER, JOBS, PROJECT, another_look, at_start_of, own, proxy_of, service_on
from tests.e2e.service import Service, finished, onboard, start
from tests.warehouse.tables import values

WRITE = """
pipeline_id: "{tenant_id}-write"
variables:
  table: {required: true}
steps:
  - step_id: write
    ps_type: gcp.bq_etl
    timeout_minutes: %s
    source: {query: "SELECT 1 AS n"}
    destination: {table: "{table}"}
"""


@pytest.fixture(scope="module")
async def proxy(running_bigquery: BigQueryServer) -> AsyncIterator[Proxy]:
    async with proxy_of(running_bigquery) as opened:
        yield opened


@pytest.fixture(scope="module")
async def service(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with service_on(proxy, tmp_path_factory.mktemp("checkout")) as started:
        for name, minutes in (("write", 5), ("write_soon", 0.05)):
            (started.checkout / f"configs/trial/{name}.yml").write_text(WRITE % minutes)
        yield started


@pytest.fixture(scope="module")
async def acme_key(service: Service) -> str:
    return await onboard(service, "acme_corp")


@pytest.fixture(scope="module")
async def warehouse(running_bigquery: BigQueryServer) -> AsyncIterator[BigQueryWarehouse]:
    async with another_look(running_bigquery.endpoint) as opened:
        yield opened


@pytest.fixture(autouse=True)
def mended(proxy: Proxy) -> None:
    """Each test begins without the faults of the one before."""
    proxy.mend()
    proxy.requests.clear()


def seems_to_run(job: dict[str, Any]) -> None:
    job["status"]["state"] = "RUNNING"


async def test_a_write_that_nobody_can_ask_about_is_recorded_as_unknown(
    service: Service, proxy: Proxy, warehouse: BigQueryWarehouse, acme_key: str
) -> None:
    look = Hold()
    async with service.client(acme_key) as client:
        proxy.fail(JOBS, at_start_of("unknown_rows", changed(seems_to_run)), times=FOR_EVER)
        # Of the step's job alone: the mirror has jobs of other names.
        job = "GET .*/jobs/convergence-[^m]"
        proxy.fail(f"{job}.*-try1$", look, nth=2)
        proxy.fail(job, answer(403, "accessDenied", "not now"), nth=3, times=FOR_EVER)
        run = await start(client, "acme_corp", "trial/write", variables={"table": "unknown_rows"})
        await look.reached.wait()
        await client.cancel_run("acme_corp", run.pipeline_logging_id)
        ended = await finished(client, run)
        look.go_on.set()
        assert ended.status == Run.CANCELLED
        (step,) = ended.steps
        assert [effect.state for effect in step.effects] == [Effect.UNKNOWN]
        assert step.error_message == (
            f"the run was cancelled; the write to {PROJECT}.acme_corp.unknown_rows may have been committed: "
            "the warehouse did not say"
        )
        early = await finished(client, await client.retry_run("acme_corp", run.pipeline_logging_id))
        assert early.status == Run.FAILED
        assert early.steps[0].error_message == (
            "whether the retried run has committed its writes cannot be found out now: "
            f"{step.effects[0].effect_id} to {PROJECT}.acme_corp.unknown_rows"
        )
        proxy.mend()
        late = await finished(client, await client.retry_run("acme_corp", early.pipeline_logging_id))
    assert late.status == Run.SUCCESS, late.error_message
    assert late.steps[0].details["adopted"] is True
    assert [effect.state for effect in late.steps[0].effects] == [Effect.COMMITTED]
    assert await values(warehouse, own("acme_corp"), "SELECT n FROM unknown_rows") == [(1,)]


async def test_a_write_that_ended_well_before_it_could_be_stopped_is_told_of_a_cancelled_run(
    service: Service, proxy: Proxy, warehouse: BigQueryWarehouse, acme_key: str
) -> None:
    seen = asyncio.Event()

    def runs_until_stopped(job: dict[str, Any]) -> None:
        if not proxy.sent("/cancel$"):
            seems_to_run(job)
            seen.set()

    proxy.fail(JOBS, at_start_of("kept_rows", changed(seems_to_run)), times=FOR_EVER)
    proxy.fail("GET .*/jobs/convergence-[^m]", changed(runs_until_stopped), times=FOR_EVER)
    async with service.client(acme_key) as client:
        run = await start(client, "acme_corp", "trial/write", variables={"table": "kept_rows"})
        await seen.wait()
        await client.cancel_run("acme_corp", run.pipeline_logging_id)
        ended = await finished(client, run)
    assert ended.status == Run.CANCELLED
    (step,) = ended.steps
    (effect,) = step.effects
    assert (effect.state, effect.rows_written) == (Effect.COMMITTED, 1)
    assert effect.job_id == f"{effect.effect_id}-try1"
    assert step.error_message == (f"the run was cancelled; the write to {PROJECT}.acme_corp.kept_rows was committed")
    assert [asked.path.split("/")[-2] for asked in proxy.sent("/cancel$")] == [effect.job_id]
    assert await values(warehouse, own("acme_corp"), "SELECT n FROM kept_rows") == [(1,)]


async def test_what_bigquery_never_gets_to_ends_with_the_steps_time(
    service: Service, proxy: Proxy, warehouse: BigQueryWarehouse, acme_key: str
) -> None:
    refusal = answer(503, "backendError", "try again")
    proxy.fail(JOBS, at_start_of("late_rows", refusal), times=FOR_EVER)
    async with service.client(acme_key) as client:
        run = await start(client, "acme_corp", "trial/write_soon", variables={"table": "late_rows"})
        ended = await finished(client, run)
    assert ended.status == Run.TIMED_OUT
    (step,) = ended.steps
    assert step.error_message == "not finished within timeout_minutes: 0.05"
    assert [effect.state for effect in step.effects] == [Effect.STOPPED]
    starts = [sent for sent in proxy.sent(JOBS) if "late_rows" in sent.body["configuration"]["query"]["query"]]
    tried = [sent.body["jobReference"]["jobId"] for sent in starts if not sent.body["configuration"].get("dryRun")]
    assert set(tried) == {f"{step.effects[0].effect_id}-try1"}
    assert await values(warehouse, own("acme_corp"), "SELECT n FROM late_rows") == []
