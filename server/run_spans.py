"""The spans of a worker: of a run that it has, of each attempt of a step, of what these ask the warehouse."""

from contextlib import AbstractContextManager

from server import tracing
from server.domain.run import Run, RunStatus, StepRun, StepStatus
from server.store.port import Claim
from server.tracing import Span

_FAILURES = {RunStatus.FAILED, RunStatus.TIMED_OUT, StepStatus.FAILED, StepStatus.TIMED_OUT}
# What has ended by itself, or because somebody wanted it to.
_NO_FAULTS = {"OK", "CANCELLED"}


def run_span(claim: Claim) -> AbstractContextManager[Span]:
    """What is inside is what this worker does of the run, in the trace of whoever asked for it."""
    attributes = {**_fields(claim.run), "convergence.worker_id": claim.lease.worker_id}
    return tracing.span(
        f"run {claim.run.name}", attributes, parent={tracing.TRACEPARENT: claim.traceparent}, kind="CONSUMER"
    )


def step_span(run: Run, step: StepRun) -> AbstractContextManager[Span]:
    """What is inside is an attempt of the step."""
    of_step: dict[str, str | int] = {
        "convergence.step_id": step.step_id,
        "convergence.ps_type": step.ps_type,
        "convergence.attempt": step.attempt,
    }
    return tracing.span(f"step {step.step_id}", {**_fields(run), **of_step})


def note_status(span: Span, status: RunStatus | StepStatus) -> None:
    """Note how the run or the attempt ended."""
    span.set({"convergence.status": status})
    if status in _FAILURES:
        span.fail(status)


def tell_warehouse_call(operation: str, outcome: str, seconds: float) -> None:
    """The warehouse has answered what a step asked; what others ask it belongs to no trace."""
    fault = "" if outcome in _NO_FAULTS else outcome
    tracing.tell(f"warehouse {operation}", {"convergence.outcome": outcome}, seconds=seconds, fault=fault)


def _fields(run: Run) -> dict[str, str | int]:
    # Not its pipeline_id, which may be made of variables.
    return {
        "convergence.tenant_id": run.tenant_id,
        "convergence.pipeline": str(run.name),
        "convergence.pipeline_logging_id": run.pipeline_logging_id,
    }
