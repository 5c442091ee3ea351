"""Plans of processors that do what processors should not."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from server import planning
from server.domain.run import RunStatus, StepStatus
from server.planning import PlanExecution
from tests.unit.workshop import Workshop


async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
    raise AssertionError("a plan executes nothing")


async def quick(config: dict[str, Any], context: dict[str, Any]) -> Any:
    return {"sql": "SELECT 1"}


@dataclass
class Stubborn:
    """A plan that goes on for so many cancellations."""

    patience: int
    began: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def plan(self, config: dict[str, Any], context: dict[str, Any]) -> Any:
        self.began.set()
        left = self.patience
        while not self.go_on.is_set():
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                left -= 1
                if left < 0:
                    raise
        return {"estimated_bytes": "many"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for after a cancellation for longer than a moment."""
    monkeypatch.setattr(planning, "STOP_SECONDS", 0.1)


async def execution(workshop: Workshop, stubborn: Stubborn, *, seconds: float = 60) -> PlanExecution:
    workshop.processor("slow", execute, plan=stubborn.plan)
    workshop.processor("quick", execute, plan=quick)
    return await workshop.planning("slow", "quick", seconds=seconds)


@pytest.mark.parametrize("patience", [0, 1, 99])
@pytest.mark.usefixtures("impatient")
async def test_a_plan_out_of_time_is_a_fault_of_its_step_alone(workshop: Workshop, patience: int) -> None:
    stubborn = Stubborn(patience)
    run = await (await execution(workshop, stubborn, seconds=0.1)).run()
    stubborn.go_on.set()
    assert run.status is RunStatus.SUCCESS
    assert [step.status for step in run.steps] == [StepStatus.FAILED, StepStatus.SUCCESS]
    assert run.plan is not None
    assert [step.step_id for step in run.plan.steps] == ["slow", "quick"]
    (fault,) = run.plan.faults
    assert (fault.reason, fault.step, fault.field) == ("TIMED_OUT", "slow", "steps[0]")
    assert fault.message == run.steps[0].error_message == "not planned within timeout_minutes: 0.00166667"


@pytest.mark.parametrize("patience", [0, 99])
@pytest.mark.usefixtures("impatient")
async def test_a_cancelled_plan_tells_no_faults(workshop: Workshop, patience: int) -> None:
    stubborn = Stubborn(patience)
    planned = await execution(workshop, stubborn)
    running = asyncio.create_task(planned.run())
    await stubborn.began.wait()
    planned.cancel()
    run = await running
    stubborn.go_on.set()
    assert (run.status, run.plan) == (RunStatus.CANCELLED, None)
    assert [(step.status, step.error_message) for step in run.steps] == [
        (StepStatus.CANCELLED, "the plan was cancelled")
    ] * 2


async def test_a_plan_that_cancels_itself_is_a_fault(workshop: Workshop) -> None:
    async def plan(config: dict[str, Any], context: dict[str, Any]) -> Any:
        raise asyncio.CancelledError

    workshop.processor("act", execute, plan=plan)
    run = await (await workshop.planning("act")).run()
    assert run.plan is not None
    assert [fault.reason for fault in run.plan.faults] == ["PLAN_FAILED"]


async def test_a_worker_that_has_planned_a_step_is_suspect_no_longer(workshop: Workshop) -> None:
    """The run that may have killed workers before it has not done so again."""
    stubborn = Stubborn(0)
    workshop.processor("quick", execute, plan=quick)
    workshop.processor("slow", execute, plan=stubborn.plan)
    planned = await workshop.planning("quick", "slow")
    planned.is_suspect = True
    running = asyncio.create_task(planned.run())
    await stubborn.began.wait()
    assert not planned.is_suspect
    planned.cancel()
    await running
