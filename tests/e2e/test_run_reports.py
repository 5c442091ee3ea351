"""What is told about runs besides the runs themselves, on the running service."""

from datetime import UTC, datetime, timedelta

import pytest

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError, InvalidArgument, NotFound
from convergence.v1.run_pb2 import ResolvedVariable, Run
from tests.e2e.service import Service, finished

INPUTS = """
pipeline_id: "{tenant_id}-inputs"
variables:
  rows: {default: 3, type: integer}
  note: "of {date}"
steps:
  - step_id: load
    ps_type: gcp.bq_etl
    variables: {factor: "20"}
    source: {query: "SELECT n * {factor} AS cost, '{note}' AS note FROM UNNEST(GENERATE_ARRAY(1, {rows})) AS n"}
    destination: {table: inputs, write_mode: overwrite}
  - step_id: tell
    ps_type: notify_systems.email_notification
    trigger: on_failure
    to_emails: [ops@example.com]
    subject: "{pipeline_id} is {pipeline_status}"
"""


@pytest.fixture
def inputs(service: Service) -> str:
    (service.checkout / "configs/trial/inputs.yml").write_text(INPUTS)
    return "inputs"


async def run_inputs(client: ConvergenceClient, name: str, **variables: str) -> Run:
    run = await client.run_pipeline(
        "acme_corp", provider="trial", template_name=name, date="2025-11-18", variables=variables
    )
    return await finished(client, run)


async def test_what_a_run_was_given(service: Service, acme_key: str, inputs: str) -> None:
    async with service.client(acme_key) as client:
        run = await run_inputs(client, inputs, rows="5")
        load, tell = (await client.get_run_inputs("acme_corp", run.pipeline_logging_id)).steps
        with pytest.raises(NotFound):
            await client.get_run_inputs("acme_corp", "8a0ba137-8ad1-4f57-8ef8-9c6f8b8a3d6f")
    assert load.sql == "SELECT n * 20 AS cost, 'of 2025-11-18' AS note FROM UNNEST(GENERATE_ARRAY(1, 5)) AS n"
    assert load.settings["destination"]["table"] == "inputs"
    assert {(item.name, item.value, ResolvedVariable.Origin.Name(item.origin)) for item in load.variables} == {
        ("rows", "5", "REQUEST"),
        ("factor", "20", "STEP"),
        ("note", "of 2025-11-18", "PIPELINE"),
        ("date", "2025-11-18", "REQUEST_DATE"),
    }
    assert tell.settings["subject"] == "acme_corp-inputs is {pipeline_status}"


async def test_another_tenants_inputs_are_not_found(
    service: Service, acme_key: str, rival_key: str, inputs: str
) -> None:
    async with service.client(acme_key) as client:
        run = await run_inputs(client, inputs)
    async with service.client(rival_key) as client:
        for tenant_id in ("acme_corp", "rival_inc"):
            with pytest.raises(NotFound):
                await client.get_run_inputs(tenant_id, run.pipeline_logging_id)


async def test_how_runs_went(service: Service, acme_key: str, inputs: str) -> None:
    async with service.client(acme_key) as client:
        run = await run_inputs(client, inputs)
        found = await client.get_run_statistics("acme_corp", since=datetime.now(UTC) - timedelta(hours=1), buckets=6)
        assert len(found.buckets) == 6
        assert found.buckets[0].start == found.since
        assert found.buckets[-1].runs_by_status["SUCCESS"] >= 1
        (of_pipeline,) = [one for one in found.pipelines if one.template_name == inputs]
        assert of_pipeline.runs_by_status["SUCCESS"] >= 1
        assert 0 < of_pipeline.mean_seconds <= of_pipeline.longest_seconds
        assert found.pending_runs >= 0
        page = await client.list_runs("acme_corp", text=run.pipeline_logging_id, count=True, statuses=[Run.FAILED])
        assert (list(page.runs), dict(page.runs_by_status)) == ([], {"SUCCESS": 1})


async def test_what_cannot_be_counted(service: Service, acme_key: str) -> None:
    now = datetime.now(UTC)
    async with service.client(acme_key) as client:
        with pytest.raises(InvalidArgument) as refused:
            await client.get_run_statistics("acme_corp", since=now, until=now, buckets=501)
        assert [violation.field for violation in refused.value.violations] == ["since", "buckets"]
        with pytest.raises(InvalidArgument) as refused:
            await client.list_runs("acme_corp", text="x" * 201)
        assert [violation.field for violation in refused.value.violations] == ["text"]
        with pytest.raises(NotFound):
            await client.get_run_statistics("nobody_corp")
        assert (await client.get_run_statistics()).since.ToDatetime(UTC) < now
    async with service.client() as client:
        with pytest.raises(ConvergenceError) as unknown:
            await client.get_run_statistics("nobody_corp", until=datetime(2020, 1, 1, tzinfo=UTC))
        assert unknown.value.reason == "TENANT_NOT_FOUND"
