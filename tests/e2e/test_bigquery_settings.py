"""What an operator sets for BigQuery, where it is used; and plans, which only ask."""

import json
from collections.abc import AsyncIterator

import pytest

from convergence.v1.run_pb2 import Run
from tests.bigquery.accounts import AUTHORIZATION, TOKENS, account_key, give_token
from tests.bigquery.faults import statistics
from tests.bigquery.proxy import Proxy
from tests.bigquery.server import BigQueryServer
from tests.e2e.on_bigquery import FOR_EVER, JOBS, PROJECT, proxy_of, service_on
from tests.e2e.service import Service, finished, onboard, start

DAILY = f"""
pipeline_id: "{{tenant_id}}-daily"
steps:
  - step_id: load
    ps_type: gcp.bq_etl
    source: {{query: "SELECT 1 AS n, DATE '{{date}}' AS day"}}
    destination: {{table: daily_rows, bq_project_id: {PROJECT}, table_config: {{time_partitioning: {{field: day}}}}}}
"""
GROWING = """
pipeline_id: "{tenant_id}-growing"
steps:
  - step_id: load
    ps_type: gcp.bq_etl
    source: {query: "SELECT n, day, 'EUR' AS currency FROM daily_rows"}
    destination: {table: daily_rows, allow_field_addition: true}
"""


@pytest.fixture(scope="module")
async def proxy(running_bigquery: BigQueryServer) -> AsyncIterator[Proxy]:
    async with proxy_of(running_bigquery) as opened:
        opened.fail(TOKENS, give_token, times=FOR_EVER)
        yield opened


@pytest.fixture(scope="module")
async def service(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("checkout")
    key_file = tmp_path_factory.mktemp("key") / "key.json"
    key_file.write_text(json.dumps(account_key(proxy.endpoint)))
    async with service_on(
        proxy,
        folder,
        bigquery_credentials_file=str(key_file),
        bigquery_location="EU",
        bigquery_price_per_tib="100",
        maximum_bytes_billed="12345",
    ) as started:
        for name, text in (("daily", DAILY), ("growing", GROWING)):
            (started.checkout / f"configs/trial/{name}.yml").write_text(text)
        yield started


@pytest.fixture(scope="module")
async def acme_key(service: Service) -> str:
    """The key of a tenant that has one day's rows."""
    key = await onboard(service, "acme_corp")
    async with service.client(key) as client:
        run = await finished(client, await start(client, "acme_corp", "trial/daily", date="2025-11-18"))
    assert run.status == Run.SUCCESS, run.error_message
    return key


@pytest.mark.usefixtures("acme_key")
def test_what_is_set_reaches_bigquery(proxy: Proxy) -> None:
    assert {sent.headers.get("authorization") for sent in proxy.sent("/bigquery/")} == {AUTHORIZATION}
    made = {sent.body["datasetReference"]["datasetId"]: sent.body for sent in proxy.sent("POST .*/datasets$")}
    assert made["acme_corp"]["location"] == "EU"
    jobs = [sent.body for sent in proxy.sent(JOBS) if "2025-11-18" in sent.body["configuration"]["query"]["query"]]
    of_step = [job for job in jobs if job["configuration"]["labels"].get("step_id") == "load"]
    assert [job["configuration"].get("dryRun") for job in of_step] == [True, False]
    assert {job["configuration"]["query"]["maximumBytesBilled"] for job in of_step} == {"12345"}
    assert {job["jobReference"]["location"] for job in of_step} == {"EU"}


async def test_a_plan_asks_and_changes_nothing(service: Service, proxy: Proxy, acme_key: str) -> None:
    # The first run of all makes the central tables, and so does the mirror.
    await service.comes_to_rest()
    proxy.requests.clear()
    proxy.fail(JOBS, statistics(totalBytesProcessed="7000"), times=FOR_EVER)
    async with service.client(acme_key) as client:
        planned = await client.plan_pipeline("acme_corp", provider="trial", template_name="growing")
        run = await finished(client, planned)
    assert (run.status, list(run.plan.faults)) == (Run.SUCCESS, [])
    (step,) = run.plan.steps
    table = f"{PROJECT}.acme_corp.daily_rows"
    assert list(step.schema_changes) == [f"{table} gets the column currency"]
    assert list(step.tables_read) == [table]
    assert (step.table_written, step.write_mode) == (table, "append")
    assert step.estimated_bytes == 7_000
    assert step.estimated_cost_usd == 7_000 / 2**40 * 100
    (warning,) = step.warnings
    assert f"every partition of {table}: filter on day" in warning
    changing = [sent for sent in proxy.sent("^(POST|PUT|PATCH|DELETE) .*/bigquery/") if not is_mirrors(sent.content)]
    assert [(sent.path.rpartition("/")[2], sent.body["configuration"]["dryRun"]) for sent in changing] == [
        ("jobs", True),
        ("jobs", True),
    ]


def is_mirrors(content: bytes) -> bool:
    """Whether this starts a job of the mirror, which writes of the plan's own run meanwhile."""
    return b"convergence-mirror-" in content
