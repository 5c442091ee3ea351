"""One claimed run, step by step, to its terminal status."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from random import random
from typing import Any

from server.domain.pipeline import StepSnapshot
from server.domain.run import LogEntry, Run, RunStatus, StepRun, StepStatus
from server.domain.triggers import has_failed, run_status, should_run
from server.logs import run_fields
from server.security.redaction import redact
from server.step_runner import StepResult, StepRunner
from server.store.port import Claim, ControlStore, RunEnd, StepEnd

_LOG_FLUSH_SECONDS = 0.2
_MAX_LOG_LINES = 2_000
_MAX_MESSAGE = 4_096
_CANCELLED = "the run was cancelled"
_ONBOARDING = "setup/tenants/onboarding"

logger = logging.getLogger(__name__)


class LogBuffer:
    """What a step told, on its way to the run's events; bounded, since a step may talk without end."""

    def __init__(self) -> None:
        self._waiting: list[LogEntry] = []
        self._told = 0

    def add(self, step_id: str, message: str, fields: dict[str, Any], level: str = "INFO") -> None:
        """Keep one line; beyond the bound, one last line says that more were left out."""
        self._told += 1
        if self._told > _MAX_LOG_LINES:
            return
        if self._told == _MAX_LOG_LINES:
            message, fields = f"further lines of this run are left out after {_MAX_LOG_LINES}", {}
        plain = {
            key: value if isinstance(value, int | float | bool) else redact(str(value))[:_MAX_MESSAGE]
            for key, value in list(fields.items())[:50]
        }
        self._waiting.append(
            LogEntry(step_id=step_id, level=level, message=redact(message)[:_MAX_MESSAGE], fields=plain)
        )

    def take(self) -> tuple[LogEntry, ...]:
        """The lines that were not taken yet."""
        taken, self._waiting = tuple(self._waiting), []
        return taken


class RunExecution:
    """Executes one claim. `cancel` ends the run; cancelling the task that awaits `run` abandons it unrecorded."""

    def __init__(self, claim: Claim, store: ControlStore, runner: StepRunner) -> None:
        self._claim = claim
        self._store = store
        self._runner = runner
        self._logs = LogBuffer()
        self._done: list[StepRun] = []
        self._step_task: asyncio.Task[StepResult] | None = None
        self._cancel_asked = asyncio.Event()
        if claim.run.status is RunStatus.CANCELLING:
            self._cancel_asked.set()

    @property
    def _cancelled(self) -> bool:
        return self._cancel_asked.is_set()

    def cancel(self) -> None:
        """End the running step and skip the rest, except those with trigger `always`."""
        if not self._cancelled:
            self._cancel_asked.set()
            if self._step_task is not None:
                self._step_task.cancel()

    async def run(self) -> Run:
        """Go through the steps. Raises LeaseLost when another worker has the run."""
        recorded = {step.step_id: step for step in self._claim.run.steps}
        flusher = asyncio.create_task(self._flush_logs())
        try:
            for snapshot in self._claim.snapshot.steps:
                self._done.append(await self._take_step(snapshot, recorded[snapshot.step_id]))
        finally:
            flusher.cancel()
            await asyncio.wait([flusher])
        return await self._store.finish_run(self._claim.lease, self._end())

    async def _flush_logs(self) -> None:
        while True:
            await asyncio.sleep(_LOG_FLUSH_SECONDS)
            if logs := self._logs.take():
                # A step's last lines must not be lost between take and commit when this task ends.
                await asyncio.shield(self._store.add_logs(self._claim.lease, logs))

    async def _take_step(self, snapshot: StepSnapshot, step: StepRun) -> StepRun:
        if step.status.is_terminal:
            return step
        if self._cancelled and snapshot.trigger != "always":
            return await self._finish(step, StepResult(StepStatus.CANCELLED, error=_CANCELLED))
        if not should_run(snapshot.trigger, self._done):
            return await self._finish(step, StepResult(StepStatus.SKIPPED))
        return await self._attempts(snapshot, step)

    async def _attempts(self, snapshot: StepSnapshot, step: StepRun) -> StepRun:
        """Try the step until it succeeds, is cancelled, or its attempts are used up."""
        tries = 0
        while True:
            tries += 1
            step = await self._store.start_step(self._claim.lease, step)
            result = await self._attempt(snapshot, step)
            last = tries >= snapshot.retry.max_attempts or result.permanent or self._cancelled
            if result.status is not StepStatus.FAILED or last:
                return await self._finish(step, result)
            pause = snapshot.retry.backoff_seconds * 2 ** (tries - 1) * (0.5 + random() / 2)  # noqa: S311
            self._log(step, f"attempt {step.attempt} failed, next one in {pause:.1f} s: {result.error}", "WARNING")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._cancel_asked.wait()
            if self._cancelled:
                return await self._finish(step, StepResult(StepStatus.CANCELLED, error=result.error))

    async def _attempt(self, snapshot: StepSnapshot, step: StepRun) -> StepResult:
        """One attempt, within the step's time and until the run is cancelled."""
        self._step_task = asyncio.create_task(
            self._runner.execute(self._claim, snapshot, step, self._late_variables(), self._logs)
        )
        try:
            done, _ = await asyncio.wait([self._step_task], timeout=snapshot.timeout_minutes * 60)
            if not done:
                self._step_task.cancel()
                await asyncio.wait([self._step_task])
                message = f"not finished within timeout_minutes: {snapshot.timeout_minutes:g}"
                return StepResult(StepStatus.TIMED_OUT, error=message)
            if self._step_task.cancelled():
                return StepResult(StepStatus.CANCELLED, error=_CANCELLED)
            return self._step_task.result()
        finally:
            await self._settle(self._step_task)
            self._step_task = None

    @staticmethod
    async def _settle(task: asyncio.Task[StepResult]) -> None:
        """Whoever ends the run's own task, on a lost lease or a shutdown, ends the step with it."""
        if not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _finish(self, step: StepRun, result: StepResult) -> StepRun:
        ended = step.model_copy(
            update={
                "status": result.status,
                "rows_processed": result.rows_processed,
                "details": result.details,
                "error_message": redact(result.error)[:_MAX_MESSAGE],
                "warning": result.warning,
            }
        )
        return await self._store.finish_step(self._claim.lease, StepEnd(ended, self._logs.take()))

    def _log(self, step: StepRun, message: str, level: str) -> None:
        self._logs.add(step.step_id, message, {}, level)
        logger.log(logging.getLevelNamesMapping()[level], message, extra=self._fields(step.step_id))

    def _fields(self, step_id: str = "") -> dict[str, str]:
        run = self._claim.run
        return run_fields(
            tenant_id=run.tenant_id,
            pipeline_id=run.pipeline_id,
            pipeline_logging_id=run.pipeline_logging_id,
            step_id=step_id,
        )

    def _late_variables(self) -> dict[str, str]:
        """The variables that are known only now: what became of the steps before."""
        failed = _failed_step(self._done)
        started = self._claim.run.started_at or datetime.now(UTC)
        return {
            "pipeline_status": run_status(self._done),
            "error_message": _error_of(failed),
            "failed_step": failed.step_id if failed else "",
            "rows_processed": str(_rows(self._done)),
            "duration_seconds": f"{(datetime.now(UTC) - started).total_seconds():.1f}",
        }

    def _end(self) -> RunEnd:
        status = run_status(self._done)
        failed = _failed_step(self._done) if status in {RunStatus.FAILED, RunStatus.TIMED_OUT} else None
        run = self._claim.run
        logger.info("Run %s ended: %s", run.pipeline_logging_id, status, extra=self._fields())
        return RunEnd(
            status=status,
            error_message=_CANCELLED if status is RunStatus.CANCELLED else _error_of(failed),
            failed_step=failed.step_id if failed else "",
            rows_processed=_rows(self._done),
            activates_tenant=status is RunStatus.SUCCESS and str(run.name) == _ONBOARDING,
            logs=self._logs.take(),
        )


def _failed_step(steps: Sequence[StepRun]) -> StepRun | None:
    """The step that decides a failed run."""
    return next((step for step in steps if has_failed(step)), None)


def _error_of(step: StepRun | None) -> str:
    return f"step {step.step_id}: {step.error_message}" if step else ""


def _rows(steps: Sequence[StepRun]) -> int:
    return sum(step.rows_processed for step in steps)
