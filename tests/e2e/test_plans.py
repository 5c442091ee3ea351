"""PlanPipeline on the running service: what a run would do, and nothing done."""

import asyncio
from collections.abc import Mapping

import pytest

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from convergence.v1.pipeline_service_pb2 import ListRunsRequest
from convergence.v1.run_pb2 import ResolvedVariable, Run, StepRun
from tests.e2e.service import Service, finished, start

TWO_STEPS = """
pipeline_id: "{tenant_id}-two-steps"
variables:
  rows: {default: 3, type: integer}
  factor: "10"
  note: "of {date}"
steps:
  - step_id: load
    name: Load {rows}
    ps_type: gcp.bq_etl
    variables: {factor: "20"}
    source:
      query: |
        SELECT n, n * {factor} AS cost, DATE '{date}' AS day
        FROM UNNEST(GENERATE_ARRAY(1, {rows})) AS n
    destination:
      table: plan_rows
      write_mode: overwrite_partition
      table_config: {time_partitioning: {field: day}}
  - step_id: sum_up
    ps_type: gcp.bq_etl
    source: {query: "SELECT SUM(cost) AS cost, '{note}' AS note FROM plan_rows"}
    destination: {table: plan_sums, write_mode: overwrite}
  - step_id: tell
    ps_type: notify_systems.email_notification
    trigger: on_failure
    to_emails: [ops@example.com]
    subject: "{pipeline_id} is {pipeline_status}"
"""
BROKEN = """
pipeline_id: "{tenant_id}-broken"
steps:
  - step_id: first
    ps_type: gcp.bq_etl
    source: {query: "SELECT nothing AS n FROM x_meta_pipeline_runs"}
    destination: {table: plan_a}
  - step_id: second
    ps_type: gcp.bq_etl
    source: {query: "SELECT 1 AS n FROM missing_table"}
    destination: {table: plan_b}
  - step_id: third
    ps_type: gcp.bq_etl
    source: {query: "SELECT 1 AS n"}
    destination: {table: plan_c}
"""


async def plan(client: ConvergenceClient, name: str, variables: Mapping[str, str] | None = None, **more: str) -> Run:
    run = await client.plan_pipeline("acme_corp", provider="trial", template_name=name, variables=variables, **more)
    assert run.kind == Run.PLAN
    return await finished(client, run)


@pytest.fixture
def two_steps(service: Service) -> str:
    (service.checkout / "configs/trial/two_steps.yml").write_text(TWO_STEPS)
    return "two_steps"


async def test_a_plan_tells_what_each_step_would_do(service: Service, acme_key: str, two_steps: str) -> None:
    async with service.client(acme_key) as client:
        run = await plan(client, two_steps, {"rows": "5"}, date="2025-11-18")
    assert (run.status, list(run.plan.faults)) == (Run.SUCCESS, [])
    assert [step.status for step in run.steps] == [StepRun.SUCCESS] * 3
    load, sum_up, tell = run.plan.steps
    project = "gac-prod-471220.acme_corp"
    assert load.sql.splitlines()[0] == "SELECT n, n * 20 AS cost, DATE '2025-11-18' AS day"
    assert (load.table_written, load.write_mode) == (f"{project}.plan_rows", "overwrite_partition")
    assert list(load.schema_changes) == [f"{project}.plan_rows is created"]
    assert {(item.name, item.value, ResolvedVariable.Origin.Name(item.origin)) for item in load.variables} == {
        ("date", "2025-11-18", "REQUEST_DATE"),
        ("rows", "5", "REQUEST"),
        ("factor", "20", "STEP"),
        ("note", "of 2025-11-18", "PIPELINE"),
    }
    assert list(sum_up.tables_read) == [f"{project}.plan_rows"]
    (warning,) = sum_up.warnings
    assert "which step load writes" in warning
    assert tell.settings["subject"] == "acme_corp-two-steps is {pipeline_status}"
    assert tell.sql == ""


async def test_a_plan_changes_nothing_and_is_no_run_of_the_history(
    service: Service, acme_key: str, two_steps: str
) -> None:
    async with service.client(acme_key) as client:
        first = await plan(client, two_steps)
        second = await plan(client, two_steps)
        assert list(second.plan.steps[0].schema_changes) == list(first.plan.steps[0].schema_changes) != []
        runs = [item.pipeline_logging_id async for item in client.iter_runs("acme_corp")]
        assert second.pipeline_logging_id not in runs
        plans = await client.pipelines.ListRuns(
            ListRunsRequest(tenant_id="acme_corp", kind=Run.PLAN), metadata=(("x-api-key", acme_key),)
        )
        assert second.pipeline_logging_id in {item.pipeline_logging_id for item in plans.runs}


async def test_every_fault_is_found_with_its_place(service: Service, acme_key: str) -> None:
    (service.checkout / "configs/trial/broken_plan.yml").write_text(BROKEN)
    async with service.client(acme_key) as client:
        run = await plan(client, "broken_plan")
    assert run.status == Run.SUCCESS
    assert [(fault.reason, fault.step_id, fault.field) for fault in run.plan.faults] == [
        ("INVALID_QUERY", "first", "steps[0].source.query"),
        ("TABLE_NOT_FOUND", "second", "steps[1].source.query"),
    ]
    assert [step.status for step in run.steps] == [StepRun.FAILED, StepRun.FAILED, StepRun.SUCCESS]
    assert run.plan.steps[0].sql == "SELECT nothing AS n FROM x_meta_pipeline_runs"
    assert run.plan.steps[2].table_written.endswith(".plan_c")


async def test_bytes_and_their_price(service: Service, acme_key: str, two_steps: str) -> None:
    async with service.client(acme_key) as client:
        await finished(client, await start(client, "acme_corp", "trial/two_steps", variables={"rows": "1000"}))
        run = await plan(client, two_steps)
    sum_up = run.plan.steps[1]
    assert sum_up.estimated_bytes == 8_000
    assert sum_up.estimated_cost_usd == pytest.approx(8_000 / 2**40 * 6.25)
    assert run.plan.estimated_bytes == sum(step.estimated_bytes for step in run.plan.steps)
    (warning,) = sum_up.warnings
    assert "every partition" in warning


async def test_a_repeated_request_is_one_plan_and_no_run(service: Service, acme_key: str, two_steps: str) -> None:
    async with service.client(acme_key) as client:
        first, again = await asyncio.gather(
            plan(client, two_steps, request_id="plan-1"), plan(client, two_steps, request_id="plan-1")
        )
        assert first.pipeline_logging_id == again.pipeline_logging_id
        run = await start(client, "acme_corp", "trial/two_steps", request_id="plan-1")
        assert (await finished(client, run)).kind == Run.EXECUTE


async def test_what_a_run_is_refused_for_a_plan_is_refused_for(
    service: Service, acme_key: str, rival_key: str, two_steps: str
) -> None:
    async with service.client(acme_key) as client:
        with pytest.raises(ConvergenceError) as refused:
            await plan(client, two_steps, {"nothing": "1"})
        assert refused.value.details.reason == "UNKNOWN_VARIABLE"
        planned = await plan(client, two_steps)
    async with service.client(rival_key) as client:
        with pytest.raises(ConvergenceError) as missing:
            await client.get_run("rival_inc", planned.pipeline_logging_id)
        assert missing.value.details.reason == "RUN_NOT_FOUND"


async def test_what_onboarding_would_make(service: Service, acme_key: str) -> None:
    async with service.client() as client:
        run = await client.plan_pipeline("acme_corp", provider="setup", domain="tenants", template_name="onboarding")
        ended = await finished(client, run)
    assert list(ended.plan.faults) == []
    assert list(ended.plan.steps[0].schema_changes) == [], "everything is there"
