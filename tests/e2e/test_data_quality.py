"""Checks of a table over the API: what they find fails a step or warns, and is listed for its own tenant only."""

import grpc
import pytest

from convergence.errors import ConvergenceError
from convergence.v1.pipeline_service_pb2 import DataQualityResult
from convergence.v1.run_pb2 import Run, StepRun
from tests.e2e.service import Service, finished, start

FAILED, PASSED, ERROR = DataQualityResult.FAILED, DataQualityResult.PASSED, DataQualityResult.STATUS_ERROR


async def test_a_check_warns_fails_and_is_listed(service: Service, acme_key: str, rival_key: str) -> None:
    async with service.client(acme_key) as client:

        async def checked(**variables: str) -> Run:
            run = await start(client, "acme_corp", "trial/check", date="2025-11-18", variables=variables)
            return await finished(client, run)

        warned, failed = await checked(currency="USD"), await checked(most="29.5")
        emptied = await checked(from_day="x' OR TRUE OR day > '")
        every = [
            result
            async for result in client.iter_data_quality_results(
                "acme_corp", pipeline_logging_id=warned.pipeline_logging_id, page_size=2
            )
        ]
        wrong = await client.list_data_quality_results(
            "acme_corp", table_name="trial_checked", statuses=[FAILED, ERROR], page_size=3
        )
    assert (warned.status, warned.steps[1].rows_processed) == (Run.SUCCESS, 3), warned.error_message
    assert warned.steps[2].status == StepRun.SUCCESS
    assert [(result.check_id, result.status, result.failing_count) for result in every] == [
        ("expect_table_row_count_to_equal", PASSED, 0),
        ("expect_column_values_to_be_in_set.currency", FAILED, 3),
        ("expect_column_values_to_be_unique.price", ERROR, 0),
        ("expect_column_max_to_be_between.cost", PASSED, 0),
    ]
    assert list(every[1].failing_sample) == ["EUR"]
    assert every[1].severity == DataQualityResult.WARN
    assert every[1].expected["value_set"] == ["USD"]
    assert every[2].error_message == "table trial_checked has no column price"
    assert every[3].observed_value.number_value == 30
    assert (failed.status, failed.failed_step, failed.steps[1].attempt) == (Run.FAILED, "check", 1)
    assert failed.error_message.endswith("expect_column_max_to_be_between(cost): observed 30")
    assert failed.steps[2].status == StepRun.SKIPPED
    # The value stayed a text, which no day is.
    assert emptied.status == Run.FAILED
    assert {result.pipeline_logging_id for result in wrong.results} == {emptied.pipeline_logging_id}
    assert wrong.next_page_token
    await other_tenants_see_nothing(service, rival_key, warned)


async def other_tenants_see_nothing(service: Service, rival_key: str, run: Run) -> None:
    async with service.client(rival_key) as rival:
        assert not (await rival.list_data_quality_results("rival_inc", table_name="trial_checked")).results
        for run_id in (run.pipeline_logging_id, "00000000-0000-4000-8000-000000000000"):
            with pytest.raises(ConvergenceError) as caught:
                await rival.list_data_quality_results("rival_inc", pipeline_logging_id=run_id)
            assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND")


async def test_a_plan_tells_the_query(service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        await finished(client, await start(client, "acme_corp", "trial/check", date="2025-11-18"))
        accepted = await client.plan_pipeline(
            "acme_corp", provider="trial", template_name="check", date="2025-11-18", variables={"most": "1"}
        )
        plan = (await finished(client, accepted)).plan
    assert not plan.faults
    assert "MAX(`cost`) <= 1" in plan.steps[1].sql
    assert plan.steps[1].estimated_bytes > 0
    assert [table.rpartition(".")[2] for table in plan.steps[1].tables_read] == ["trial_checked"]


async def test_a_page_is_no_longer_than_clients_take(service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        run = await finished(client, await start(client, "acme_corp", "trial/check_much"))
        wanted = {"pipeline_logging_id": run.pipeline_logging_id, "page_size": 500}
        first = await client.list_data_quality_results("acme_corp", **wanted)
        every = [result.check_id async for result in client.iter_data_quality_results("acme_corp", **wanted)]
    assert 1 < len(first.results) < 60
    assert every == [f"c{number}" for number in range(60)]
