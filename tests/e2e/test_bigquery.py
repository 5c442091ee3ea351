"""The whole product on BigQuery, which is a server that speaks its protocol."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as google

from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Effect, Run
from convergence.v1.tenant_service_pb2 import Tenant
from server.warehouse.bigquery import BigQueryWarehouse
from server.warehouse.bigquery.schemas import schema_fields
from server.warehouse.billing_export import SCHEMA, generate
from tests.bigquery.faults import statistics
from tests.bigquery.proxy import Exchange, Fault, Proxy, pass_through
from tests.bigquery.server import BigQueryServer
from tests.e2e.on_bigquery import FOR_EVER, JOBS, PROJECT, another_look, own, service_on
from tests.e2e.service import Service, finished, onboard, start
from tests.warehouse.tables import column, spec, values

OWN = own("acme_corp")
EXPORT_PROJECT = "gac-prod-471220"
"""A customer's, which the pipeline files of the repository name."""
DAY = date(2025, 11, 18)


@pytest.fixture
async def service(proxy: Proxy, tmp_path: Path) -> AsyncIterator[Service]:
    async with service_on(proxy, tmp_path, lease_seconds="3") as started:
        yield started


@pytest.fixture
async def warehouse(bigquery: BigQueryServer) -> AsyncIterator[BigQueryWarehouse]:
    async with another_look(bigquery.endpoint) as opened:
        yield opened


def load_export(endpoint: str, rows: list[dict[str, object]]) -> None:
    """Google's billing export, as Google puts it into a customer's project."""
    client = google.Client(
        project=EXPORT_PROJECT,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": endpoint},
    )
    client.create_dataset("cloudact_cost_usage")
    table = f"{EXPORT_PROJECT}.cloudact_cost_usage.gcp_billing_export_v1"
    client.create_table(google.Table(table, schema=schema_fields(SCHEMA.fields)))
    client.load_table_from_json(
        rows, table, job_config=google.LoadJobConfig(schema=schema_fields(SCHEMA.fields))
    ).result()
    client.close()


async def test_a_days_costs_are_loaded(
    service: Service, proxy: Proxy, warehouse: BigQueryWarehouse, bigquery: BigQueryServer
) -> None:
    export = list(generate(1, [DAY], 100))
    await asyncio.to_thread(load_export, bigquery.endpoint, export)
    cost = statistics(totalBytesProcessed="1234", totalBytesBilled="10485760", totalSlotMs="567")
    proxy.fail("(POST .*/jobs|GET .*/jobs/[^/]*)$", cost, times=FOR_EVER)
    key = await onboard(service, "acme_corp")
    async with service.client(key) as client:
        info = await client.get_system_info()
        assert (info.warehouse, info.project) == ("bigquery", PROJECT)
        run = await finished(client, await start(client, "acme_corp", "gcp/cost/cost_billing", date=str(DAY)))
        assert run.status == Run.SUCCESS, run.error_message
    (loaded,) = await values(warehouse, OWN, "SELECT COUNT(*), ROUND(SUM(cost), 6) FROM billing_cost_daily")
    assert loaded == (100, round(sum(row["cost"] for row in export), 6))
    (effect,) = run.steps[0].effects
    assert (effect.state, effect.rows_written, effect.write_mode) == (Effect.COMMITTED, 100, "append")
    assert effect.table == f"{PROJECT}.acme_corp.billing_cost_daily"
    for told in (run.steps[0], effect):
        assert (told.bytes_processed, told.bytes_billed, told.slot_milliseconds) == (1_234, 10_485_760, 567)
    assert (run.steps[0].rows_processed, run.steps[0].details["job_id"]) == (100, effect.job_id)
    job = await asyncio.to_thread(bigquery.call, "GET", f"/projects/{PROJECT}/jobs/{effect.job_id}")
    assert (
        job["configuration"]["labels"].items()
        >= {
            "tenant_id": "acme_corp",
            "pipeline_id": "acme_corp-gcp-cost-billing",
            "pipeline_logging_id": run.pipeline_logging_id,
            "step_id": "extract_billing_costs",
        }.items()
    )
    await service.stop()
    sql = "SELECT status, rows_processed FROM x_meta_pipeline_runs WHERE pipeline_logging_id = "
    assert await values(warehouse, OWN, f"{sql}'{run.pipeline_logging_id}'") == [("SUCCESS", 100)]
    sql = """
    SELECT rows_processed, bytes_processed, bytes_billed, slot_milliseconds, JSON_VALUE(details, '$.job_id')
    FROM x_meta_step_logs WHERE step_id = 'extract_billing_costs'
    """
    assert await values(warehouse, OWN, sql) == [(100, 1_234, 10_485_760, 567, effect.job_id)]


async def test_an_onboarding_that_failed_is_gone_on_with(
    service: Service, warehouse: BigQueryWarehouse, bigquery: BigQueryServer
) -> None:
    """The dataset was somebody's; once its table is gone, the retry makes the tenant active."""
    await warehouse.ensure_dataset(OWN, location="US")
    await warehouse.ensure_table(OWN.table("letters"), spec(column("n", "INT64")))
    async with service.client() as operator:
        made = await operator.onboard_tenant("acme_corp")
        failed = await finished(operator, made.run)
        assert failed.status == Run.FAILED
        async with service.client(made.api_key_secret) as tenant:
            with pytest.raises(ConvergenceError) as refused:
                await tenant.retry_run("acme_corp", failed.pipeline_logging_id)
            assert refused.value.reason == "PERMISSION_DENIED"
        await asyncio.to_thread(bigquery.call, "DELETE", f"/projects/{PROJECT}/datasets/acme_corp/tables/letters")
        ended = await finished(operator, await operator.retry_run("acme_corp", failed.pipeline_logging_id))
        assert ended.status == Run.SUCCESS, ended.error_message
        assert (await operator.get_tenant("acme_corp")).state == Tenant.ACTIVE


def kill_worker_at(service: Service, table: str, *, forwarded: bool) -> Fault:
    """kill -9 when the first start of a job that writes the table comes by: before BigQuery sees it, or after."""
    killed = False

    async def fault(exchange: Exchange) -> None:
        nonlocal killed
        body = exchange.request.body["configuration"]
        if killed or body.get("dryRun") or table not in body["query"]["query"]:
            await pass_through(exchange)
            return
        killed = True
        if forwarded:
            await exchange.forward()
        pid = service.worker_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    return fault


@pytest.mark.parametrize(
    "forwarded", [pytest.param(False, id="before", marks=pytest.mark.long), pytest.param(True, id="after")]
)
async def test_a_worker_killed_at_its_write_writes_once(
    service: Service, proxy: Proxy, warehouse: BigQueryWarehouse, tmp_path: Path, *, forwarded: bool
) -> None:
    key = await onboard(service, "acme_corp")
    proxy.fail(JOBS, kill_worker_at(service, "once_rows", forwarded=forwarded), times=1_000_000)
    async with service.client(key) as client:
        run = await start(client, "acme_corp", "trial/write_then_wait", variables={"folder": str(tmp_path)})
        ended = await finished(client, run)
        assert ended.status == Run.SUCCESS, ended.error_message
    assert ended.steps[0].attempt == 2
    assert ended.steps[0].details["adopted"] is forwarded
    assert [effect.state for effect in ended.steps[0].effects] == [Effect.COMMITTED]
    assert await values(warehouse, OWN, "SELECT n FROM once_rows ORDER BY n") == [(1,), (2,), (3,)]


async def test_a_cancelled_runs_job_is_stopped(service: Service, proxy: Proxy, warehouse: BigQueryWarehouse) -> None:
    key = await onboard(service, "acme_corp")
    (service.checkout / "configs/trial/endless.yml").write_text(ENDLESS)
    started = asyncio.Event()

    async def seen(exchange: Exchange) -> None:
        await pass_through(exchange)
        body = exchange.request.body["configuration"]
        if not body.get("dryRun") and "GENERATE_ARRAY" in body["query"]["query"]:
            started.set()

    proxy.fail(JOBS, seen, times=1_000_000)
    async with service.client(key) as client:
        run = await start(client, "acme_corp", "trial/endless")
        await started.wait()
        await client.cancel_run("acme_corp", run.pipeline_logging_id)
        ended = await finished(client, run)
    assert ended.status == Run.CANCELLED
    assert [effect.state for effect in ended.steps[0].effects] == [Effect.STOPPED]
    assert await values(warehouse, OWN, "SELECT n FROM endless_rows") == []


ENDLESS = """
pipeline_id: "{tenant_id}-endless"
steps:
  - step_id: write
    ps_type: gcp.bq_etl
    source:
      query: |
        SELECT SUM(a * b) AS n FROM UNNEST(GENERATE_ARRAY(1, 60000)) AS a, UNNEST(GENERATE_ARRAY(1, 60000)) AS b
    destination:
      table: endless_rows
"""
