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


TO_COME = """
pipeline_id: "{tenant_id}-to-come"
steps:
  - step_id: load
    ps_type: gcp.bq_etl
    source: {query: "SELECT 1 AS n"}
    destination: {table: plan_to_come}
  - step_id: awaits
    ps_type: gcp.bq_etl
    source: {query: "SELECT n FROM plan_to_come JOIN acme_corp.x_meta_pipeline_runs ON TRUE"}
    destination: {table: plan_a}
  - step_id: typo
    ps_type: gcp.bq_etl
    source: {query: "SELECT n FROM plan_to_come, plan_typo, acme_corp.INFORMATION_SCHEMA.TABLES"}
    destination: {table: plan_b}
  - step_id: fills
    ps_type: gcp.bq_etl
    source: {query: "SELECT 'r' AS run_id"}
    destination: {table: plan_made}
  - step_id: typo_beside_a_table
    ps_type: gcp.bq_etl
    source: {query: "SELECT 1 AS n FROM plan_made JOIN plan_slip ON TRUE"}
    destination: {table: plan_c}
"""
MAKE = """
pipeline_id: "{tenant_id}-make"
steps:
  - step_id: make
    ps_type: gcp.bq_etl
    source: {query: "SELECT 'r' AS run_id"}
    destination: {table: plan_made}
"""


async def test_a_table_that_no_step_writes_is_missed_beside_one_that_a_step_writes(
    service: Service, acme_key: str
) -> None:
    for name, text in (("to_come", TO_COME), ("make", MAKE)):
        (service.checkout / f"configs/trial/{name}.yml").write_text(text)
    project = "gac-prod-471220.acme_corp"
    async with service.client(acme_key) as client:
        await finished(client, await start(client, "acme_corp", "trial/make"))
        run = await plan(client, "to_come")
    assert [(fault.reason, fault.step_id, fault.field, fault.message) for fault in run.plan.faults] == [
        ("TABLE_NOT_FOUND", "typo", "steps[2].source.query", f"table {project}.plan_typo was not found"),
        ("TABLE_NOT_FOUND", "typo_beside_a_table", "steps[4].source.query", f"table {project}.plan_slip was not found"),
    ]
    (warning,) = run.plan.steps[1].warnings
    assert f"reads {project}.plan_to_come, which step load writes" in warning


LIMITED = """
pipeline_id: "{tenant_id}-limited"
steps:
  - step_id: load
    ps_type: gcp.bq_etl
    source: {query: "SELECT 1 AS n"}
    destination: {table: plan_limited, write_mode: overwrite}
    maximum_bytes_billed: 7
"""


async def test_whose_limit_a_run_would_exceed(service: Service, acme_key: str) -> None:
    (service.checkout / "configs/trial/limited.yml").write_text(LIMITED)
    async with service.client(acme_key) as client:
        assert list((await plan(client, "limited")).plan.faults) == []
        await finished(client, await start(client, "acme_corp", "trial/limited"))
        (fault,) = (await plan(client, "limited")).plan.faults
    assert fault.reason == "BYTES_BILLED_LIMIT"
    assert fault.message == (
        "the statement reads about 8 bytes, and may bill at most 7; the limit is the step's maximum_bytes_billed"
    )


async def test_bytes_and_their_price(service: Service, acme_key: str, two_steps: str) -> None:
    async with service.client(acme_key) as client:
        await finished(client, await start(client, "acme_corp", "trial/two_steps", variables={"rows": "1000"}))
        run = await plan(client, two_steps)
    load, sum_up, _ = run.plan.steps
    # The rows that are replaced: the partition of the day, and the one sum with its note.
    assert load.estimated_bytes == 1_000 * (8 + 8 + 8)
    assert sum_up.estimated_bytes == (read := 8_000 + 8 + 2 + len("of 2025-11-18"))
    assert sum_up.estimated_cost_usd == pytest.approx(read / 2**40 * 6.25)
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
