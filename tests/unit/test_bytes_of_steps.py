"""What steps read and are billed for, and the limits of it."""

from dataclasses import replace
from typing import Any

import pytest

from processors.base import ProcessorError
from server.domain.run import RunStatus
from server.executor import RunExecution
from server.metrics import WORKER
from tests.store.records import new_run
from tests.unit.workshop import OWN, Workshop


async def test_the_limit_of_bytes_holds_for_what_a_step_looks_up(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        warehouse = context["warehouse"]
        await warehouse.write_query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 100)) AS n", "source")
        await warehouse.query("SELECT SUM(n) AS n FROM source")

    workshop.processor("act", execute)
    claim = replace(await workshop.claim("act"), maximum_bytes_billed=20)
    run = await workshop.execution(claim).run()
    assert run.status is RunStatus.FAILED
    assert "may bill at most 20" in run.error_message


@pytest.mark.parametrize(
    ("of_step", "of_tenant", "of_server", "whose"),
    [(10, 20, 30, "step"), (40, 20, 30, "tenant"), (None, 50, 30, "server"), (None, None, 30, "server")],
)
async def test_the_smallest_limit_of_bytes_holds(
    workshop: Workshop, of_step: int | None, of_tenant: int | None, of_server: int, whose: str
) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        warehouse = context["warehouse"]
        await warehouse.write_query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 100)) AS n", "source")
        await warehouse.write_query("SELECT n FROM source", "copy", maximum_bytes_billed=of_step)

    workshop.processor("act", execute)
    claim = replace(await workshop.claim("act"), maximum_bytes_billed=of_tenant)
    runner = workshop.runner_with(maximum_bytes_billed=of_server)
    run = await RunExecution(claim, workshop.store, runner).run()
    assert run.status is RunStatus.FAILED
    limit = min(limit for limit in (of_step, of_tenant, of_server) if limit is not None)
    assert f"may bill at most {limit}" in run.error_message
    assert f"the limit is the {whose}'s maximum_bytes_billed" in run.error_message
    assert await workshop.warehouse.list_tables(OWN) == ["source"]


async def test_what_a_step_reads_is_on_its_record(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        warehouse = context["warehouse"]
        await warehouse.write_query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 100)) AS n", "source")
        await warehouse.write_query("SELECT n FROM source", "copy")
        await warehouse.query("SELECT SUM(n) AS n FROM source")
        return {"status": "SUCCESS"}

    run = await workshop.run(execute)
    step = run.steps[0]
    assert [effect.bytes_processed for effect in step.effects] == [0, 800]
    assert (step.bytes_processed, step.bytes_billed) == (1_600, 1_600)


async def test_what_an_attempt_adopts_is_counted_once(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        await context["warehouse"].write_query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 100)) AS n", "source")
        await context["warehouse"].write_query("SELECT n FROM source", "copy")
        if context["attempt"] < 3:
            raise ProcessorError("not yet")
        return {"status": "SUCCESS"}

    before = counted()
    run = await workshop.run(execute, attempts=3)
    assert run.status is RunStatus.SUCCESS
    assert run.steps[0].bytes_processed == 800
    assert counted() - before == 800


def counted() -> float:
    """What Prometheus is told of the workshop's pipeline."""
    return WORKER.get_sample_value("convergence_bytes_billed_total", {"pipeline": str(new_run().name)}) or 0
