"""One claimed run, step by step, to its terminal status."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from random import random
from typing import Any

from server.domain.pipeline import StepSnapshot
from server.domain.run import LogEntry, Run, RunStatus, StepRun, StepStatus
from server.domain.triggers import has_failed, run_status, should_run
from server.logs import run_fields
from server.metrics import count_run, count_step
from server.plain import plain_mapping, plain_text, row_count
from server.rendering import late_names
from server.run_spans import note_status, step_span
from server.step_runner import Attempt, StepCall, StepResult, StepRunner
from server.store.port import Claim, ControlStore, LeaseLost, RunEnd, StepEnd, StoreBusy

STOP_SECONDS = 5.0
"""How long a processor may take to end after it was cancelled."""
_LOG_FLUSH_SECONDS = 0.2
_MAX_LOG_LINES = 2_000
_CANCELLED = "the run was cancelled"
_ONBOARDING = "setup/tenants/onboarding"
_OFFBOARDING = "setup/tenants/offboarding"

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
        entry = LogEntry(step_id=step_id, level=level, message=plain_text(message), fields=plain_mapping(fields))
        self._waiting.append(entry)

    def take(self) -> tuple[LogEntry, ...]:
        """The lines that were not taken yet."""
        taken, self._waiting = tuple(self._waiting), []
        return taken

    def put_back(self, lines: Sequence[LogEntry]) -> None:
        """Lines that could not be stored come first again."""
        self._waiting[:0] = lines


class RunExecution:
    """Executes one claim. `cancel` ends the run; cancelling the task that awaits `run` abandons it unrecorded."""

    def __init__(self, claim: Claim, store: ControlStore, runner: StepRunner) -> None:
        self._claim = claim
        self._store = store
        self._runner = runner
        self._logs = LogBuffer()
        self._done: list[StepRun] = []
        self._cancel_asked = asyncio.Event()
        self.is_suspect = claim.is_suspect
        """Whether the loss of its worker would tell that the run is poison: until it has got on."""
        self.is_backfill = bool(claim.run.backfill_id)
        if claim.run.status is RunStatus.CANCELLING:
            self._cancel_asked.set()

    def cancel(self) -> None:
        """End the running step and skip the rest, except those with trigger `always`."""
        self._cancel_asked.set()

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
        ended = await self._store.finish_run(self._claim.lease, self._end())
        count_run(ended)
        return ended

    async def _flush_logs(self) -> None:
        while True:
            await asyncio.sleep(_LOG_FLUSH_SECONDS)
            try:
                # When this task ends between take and commit, the lines still get there.
                await asyncio.shield(self._store_logs())
            except LeaseLost:
                return

    async def _store_logs(self) -> None:
        if logs := self._logs.take():
            try:
                await self._store.add_logs(self._claim.lease, logs)
            except StoreBusy:
                self._logs.put_back(logs)

    async def _take_step(self, snapshot: StepSnapshot, step: StepRun) -> StepRun:
        if step.status.is_terminal and not self._is_between_attempts(snapshot, step):
            return step
        if self._is_cancelled(snapshot):
            result = StepResult(StepStatus.CANCELLED, error=_CANCELLED)
            return await self._finish(step, await self._runner.give_up(self._claim, step, result))
        if _was_out_of_time(snapshot, step):
            return await self._finish(step, await self._runner.give_up(self._claim, step, _timed_out(snapshot)))
        if not should_run(snapshot.trigger, self._done):
            return await self._finish(step, StepResult(StepStatus.SKIPPED))
        return await self._attempts(snapshot, step)

    def _is_between_attempts(self, snapshot: StepSnapshot, step: StepRun) -> bool:
        """Whether an earlier worker was lost after a failed attempt, before the next one or the next step."""
        later = self._claim.run.steps[len(self._done) + 1 :]
        is_last_thing = all(other.status is StepStatus.PENDING for other in later)
        return step.status is StepStatus.FAILED and step.failures < snapshot.retry.max_attempts and is_last_thing

    def _is_cancelled(self, snapshot: StepSnapshot) -> bool:
        """Whether the step has to end; a step that always runs is what a cancelled run still does."""
        return self._cancel_asked.is_set() and snapshot.trigger != "always"

    async def _attempts(self, snapshot: StepSnapshot, step: StepRun) -> StepRun:
        """Try the step until it succeeds, is cancelled, or its attempts are used up."""
        while True:
            step = await self._store.start_step(self._claim.lease, self._with_late_variables(snapshot, step))
            with step_span(self._claim.run, step) as span:
                step, unknown = await self._runner.inherit(self._claim, step)
                result = unknown or await self._attempt(snapshot, step)
                note_status(span, result.status)
            if result.status is StepStatus.FAILED:
                # Another attempt would fail the same way: there is none, in no worker.
                failures = snapshot.retry.max_attempts if result.permanent else step.failures + 1
                step = step.model_copy(update={"failures": failures})
            step = await self._finish(step, result)
            last = step.failures >= snapshot.retry.max_attempts
            if result.status is not StepStatus.FAILED or last:
                return step
            pause = snapshot.retry.pause(step.failures, random())  # noqa: S311
            self._log(step, f"attempt {step.attempt} failed, next one in {pause:.1f} s: {result.error}", "WARNING")
            await self._pause(snapshot, pause)
            if self._is_cancelled(snapshot):
                return await self._finish(step, StepResult(StepStatus.CANCELLED, error=result.error))
            await self._store_logs()

    async def _pause(self, snapshot: StepSnapshot, seconds: float) -> None:
        """Wait between attempts, until the step is cancelled."""
        if snapshot.trigger == "always":
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._cancel_asked.wait()

    async def _attempt(self, snapshot: StepSnapshot, step: StepRun) -> StepResult:
        """One attempt, and what became of its writes."""
        call = StepCall(self._claim, snapshot, step, step.late_variables)
        attempt = self._runner.attempt(call, self._logs)
        return await self._runner.conclude(attempt, await self._result(attempt, snapshot, step))

    async def _result(self, attempt: Attempt, snapshot: StepSnapshot, step: StepRun) -> StepResult:
        """The attempt's, within the step's time and until the run is cancelled, whatever the processor does."""
        work = asyncio.create_task(attempt.run())
        asked = asyncio.create_task(self._cancel_asked.wait())
        try:
            wanted = {work} if snapshot.trigger == "always" else {work, asked}
            await asyncio.wait(wanted, timeout=snapshot.timeout_minutes * 60, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return _result_of(work)
        finally:
            asked.cancel()
            await self._stop(work, attempt, step)
        # It may have succeeded while it was being stopped, and what is done must not be called undone.
        if work.done() and not work.cancelled() and work.result().status is StepStatus.SUCCESS:
            return work.result()
        if self._is_cancelled(snapshot):
            return StepResult(StepStatus.CANCELLED, error=_CANCELLED)
        return _timed_out(snapshot)

    async def _stop(self, work: "asyncio.Task[StepResult]", attempt: Attempt, step: StepRun) -> None:
        """End the attempt. One that ignores its cancellation is left behind, cut off from the warehouse."""
        if work.done():
            await attempt.close()
            return
        work.cancel()
        try:
            await asyncio.wait([work], timeout=STOP_SECONDS)
        finally:
            await attempt.close()
        if not work.done():
            logger.critical(
                "A processor ignores its cancellation and is left behind",
                extra=run_fields(self._claim.run, step.step_id),
            )

    async def _finish(self, step: StepRun, result: StepResult) -> StepRun:
        ended = step.model_copy(
            update={
                "status": result.status,
                "rows_processed": result.rows_processed,
                "details": result.details,
                "error_message": plain_text(result.error),
                "warning": result.warning,
                **({} if result.effects is None else {"effects": result.effects}),
                **({} if result.usage is None else asdict(result.usage)),
            }
        )
        end = StepEnd(ended, self._logs.take(), result.checks, result.message)
        stored = await self._store.finish_step(self._claim.lease, end)
        if result.status is not StepStatus.SKIPPED:
            count_step(self._claim.run, stored, billed=stored.bytes_billed - step.bytes_billed)
        self.is_suspect = False
        return stored

    def _log(self, step: StepRun, message: str, level: str) -> None:
        self._logs.add(step.step_id, message, {}, level)
        logger.log(logging.getLevelNamesMapping()[level], message, extra=run_fields(self._claim.run, step.step_id))

    def _with_late_variables(self, snapshot: StepSnapshot, step: StepRun) -> StepRun:
        """The step with what its settings use of the steps before; the same in every attempt, as its writes are."""
        missing = late_names(snapshot) - step.late_variables.keys()
        if not missing:
            return step
        values = self._late_variables()
        known = {**step.late_variables, **{name: values[name] for name in sorted(missing)}}
        return step.model_copy(update={"late_variables": known})

    def _late_variables(self) -> dict[str, str]:
        """The variables that are known only now: what became of the steps before."""
        failed = _failed_step(self._done)
        return {
            "pipeline_status": run_status(self._done),
            "error_message": _error_of(failed),
            "failed_step": failed.step_id if failed else "",
            "rows_processed": str(_rows(self._done)),
            "duration_seconds": f"{self._seconds():.1f}",
        }

    def _seconds(self) -> float:
        """From the run's start to the end of the steps before, both by the store's clock."""
        started = self._claim.run.started_at
        ends = [step.finished_at for step in self._done if step.finished_at]
        # What a retry took over ended before it began.
        return max(0.0, (max(ends) - started).total_seconds()) if started and ends else 0.0

    def _end(self) -> RunEnd:
        status = run_status(self._done)
        failed = _failed_step(self._done) if status in {RunStatus.FAILED, RunStatus.TIMED_OUT} else None
        run = self._claim.run
        logger.info("Run %s ended: %s", run.pipeline_logging_id, status, extra=run_fields(run))
        return RunEnd(
            status=status,
            error_message=_CANCELLED if status is RunStatus.CANCELLED else _error_of(failed),
            failed_step=failed.step_id if failed else "",
            rows_processed=_rows(self._done),
            activates_tenant=status is RunStatus.SUCCESS and str(run.name) == _ONBOARDING,
            deletes_dataset=status is RunStatus.SUCCESS and str(run.name) == _OFFBOARDING,
            logs=self._logs.take(),
        )


def _was_out_of_time(snapshot: StepSnapshot, step: StepRun) -> bool:
    """Whether a lost worker had the step's latest attempt until its time was up, as one does that it blocks."""
    if step.status is not StepStatus.RUNNING or step.started_at is None or step.lost_at is None:
        return False
    return step.lost_at - step.started_at >= timedelta(minutes=snapshot.timeout_minutes)


def _timed_out(snapshot: StepSnapshot) -> StepResult:
    message = f"not finished within timeout_minutes: {snapshot.timeout_minutes:g}"
    return StepResult(StepStatus.TIMED_OUT, error=message)


def _result_of(work: "asyncio.Task[StepResult]") -> StepResult:
    """The result of an attempt that nobody stopped."""
    if work.cancelled():
        return StepResult(StepStatus.FAILED, error="the processor was cancelled by its own code")
    return work.result()


def _failed_step(steps: Sequence[StepRun]) -> StepRun | None:
    """The step that decides a failed run."""
    return next((step for step in steps if has_failed(step)), None)


def _error_of(step: StepRun | None) -> str:
    return f"step {step.step_id}: {step.error_message}" if step else ""


def _rows(steps: Sequence[StepRun]) -> int:
    return row_count(sum(step.rows_processed for step in steps))
