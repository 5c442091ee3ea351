"""One claimed run of the kind PLAN: what its steps would do, found out without doing it."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from processors.base import ProcessorError
from server.domain.faults import Fault, Refused
from server.domain.pipeline import StepSnapshot
from server.domain.plan import Plan, PlanStep
from server.domain.run import Run, RunStatus, StepRun, StepStatus
from server.domain.schema import TableRef
from server.executor import STOP_SECONDS, LogBuffer
from server.logs import run_fields
from server.pipeline_files.places import field_path
from server.plain import plain_text
from server.rendering import templates
from server.run_spans import step_span
from server.run_variables import with_late_samples
from server.step_inputs import step_inputs
from server.step_runner import StepCall, StepRunner
from server.store.port import Claim, ControlStore, LeaseLost, RunEnd, StepEnd, StoreBusy
from server.warehouse.port import WarehouseError

_TIB = 2**40
_CANCELLED = "the plan was cancelled"

logger = logging.getLogger(__name__)


class PlanExecution:
    """Executes one claim of a plan. `cancel` ends it; cancelling the task that awaits `run` abandons it unrecorded."""

    def __init__(self, claim: Claim, store: ControlStore, runner: StepRunner, *, price_per_tib: float) -> None:
        self._claim = claim
        self._store = store
        self._runner = runner
        self._price_per_tib = price_per_tib
        self._logs = LogBuffer()
        # Tables that earlier steps would create, with their step_id.
        self._to_come: dict[TableRef, str] = {}
        self._cancel_asked = asyncio.Event()
        self.is_suspect = claim.is_suspect
        self.is_backfill = False
        if claim.run.status is RunStatus.CANCELLING:
            self._cancel_asked.set()

    def cancel(self) -> None:
        """End the plan; what was found is dropped."""
        self._cancel_asked.set()

    async def run(self) -> Run:
        """Plan every step, whatever its trigger. Raises LeaseLost when another worker has the run."""
        recorded = {step.step_id: step for step in self._claim.run.steps}
        plan = Plan()
        for index, snapshot in enumerate(self._claim.snapshot.steps):
            step = await self._store.start_step(self._claim.lease, recorded[snapshot.step_id])
            found = Plan()
            if not self._cancel_asked.is_set():
                with step_span(self._claim.run, step):
                    found = await self._until_cancelled(index, snapshot, step)
            await self._finish(step, found.faults)
            plan = Plan(steps=plan.steps + found.steps, faults=plan.faults + found.faults)
        end = RunEnd(RunStatus.SUCCESS, plan=plan)
        if self._cancel_asked.is_set():
            end = RunEnd(RunStatus.CANCELLED, _CANCELLED)
        return await self._store.finish_run(self._claim.lease, replace(end, logs=self._logs.take()))

    async def _until_cancelled(self, index: int, snapshot: StepSnapshot, step: StepRun) -> Plan:
        """What was found of the step, in time and before anybody cancelled."""
        work = asyncio.create_task(self._plan_step(index, snapshot, step))
        asked = asyncio.create_task(self._cancel_asked.wait())
        # A little more than the step's own time, within which the plan ends by itself unless it ignores that.
        limit = snapshot.timeout_minutes * 60 + STOP_SECONDS
        try:
            await asyncio.wait([work, asked], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait([work], timeout=STOP_SECONDS)
        if not work.done():
            fields = run_fields(self._claim.run, snapshot.step_id)
            logger.critical("A processor ignores its cancellation and is left behind", extra=fields)
        elif not work.cancelled():
            return work.result()
        return Plan(steps=(self._planned(snapshot, {}),), faults=(_placed(_timed_out(snapshot), index, snapshot),))

    async def _finish(self, step: StepRun, faults: tuple[Fault, ...]) -> None:
        status = StepStatus.FAILED if faults else StepStatus.SUCCESS
        message = "; ".join(fault.message for fault in faults)
        if self._cancel_asked.is_set():
            status, message = StepStatus.CANCELLED, _CANCELLED
        ended = step.model_copy(update={"status": status, "error_message": message})
        await self._store.finish_step(self._claim.lease, StepEnd(ended, self._logs.take()))
        self.is_suspect = False

    async def _plan_step(self, index: int, snapshot: StepSnapshot, step: StepRun) -> Plan:
        told: Mapping[str, Any] = {}
        faults: list[Fault] = []
        call = StepCall(self._claim, snapshot, step, with_late_samples({}))
        try:
            async with asyncio.timeout(snapshot.timeout_minutes * 60):
                told = await self._runner.plan(call, self._logs, self._to_come)
        except (LeaseLost, StoreBusy):
            raise
        except BaseException as error:  # foreign code: what it raises is a fault of the plan
            if isinstance(error, asyncio.CancelledError) and (work := asyncio.current_task()) and work.cancelling():
                raise
            faults += self._faults(error, snapshot)
        try:
            planned = self._planned(snapshot, told)
        except ValidationError:
            message = f"{snapshot.ps_type} did not answer with what a plan is made of"
            faults.append(Fault("PS_TYPE_BROKEN", message))
            planned = self._planned(snapshot, {})
        return Plan(steps=(planned,), faults=tuple(_placed(fault, index, snapshot) for fault in faults))

    def _faults(self, error: BaseException, snapshot: StepSnapshot) -> list[Fault]:
        """What went wrong, in words that the tenant may read."""
        if isinstance(error, Refused):
            return list(error.faults)
        if isinstance(error, WarehouseError):
            return [Fault(error.reason, plain_text(error.message))]
        if isinstance(error, ProcessorError):
            return [Fault("STEP_WOULD_FAIL", plain_text(error))]
        if isinstance(error, TimeoutError):
            return [_timed_out(snapshot)]
        fields = run_fields(self._claim.run, snapshot.step_id)
        logger.error("Processor %s failed to plan", snapshot.ps_type, exc_info=error, extra=fields)
        message = f"{snapshot.ps_type} raised {type(error).__name__}; the worker's log has the traceback of this run"
        return [Fault("PLAN_FAILED", message)]

    def _planned(self, snapshot: StepSnapshot, told: Mapping[str, Any]) -> PlanStep:
        known = {key: told[key] for key in _TOLD if key in told}
        step = PlanStep.model_validate({**step_inputs(snapshot).model_dump(), **known})
        return step.model_copy(update={"estimated_cost_usd": step.estimated_bytes / _TIB * self._price_per_tib})


_TOLD = ("sql", "tables_read", "table_written", "write_mode", "schema_changes", "estimated_bytes", "warnings")


def _timed_out(snapshot: StepSnapshot) -> Fault:
    return Fault("TIMED_OUT", f"not planned within timeout_minutes: {snapshot.timeout_minutes:g}")


def _placed(fault: Fault, index: int, snapshot: StepSnapshot) -> Fault:
    """The step, and the field of its query when there is only one that it can be about."""
    queries = [template.path for template in templates(snapshot.settings) if template.is_query]
    place = f"steps[{index}]"
    if fault.field:
        place = f"{place}.{fault.field}"
    elif len(queries) == 1:
        place = f"{place}.{field_path(queries[0])}"
    return replace(fault, step=snapshot.step_id, field=place)
