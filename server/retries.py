"""Going on with a run that has ended without success."""

from collections.abc import Mapping

from server.domain.faults import Fault
from server.domain.pipeline import RunSnapshot
from server.domain.run import Run, RunKind, RunStatus, StepStatus
from server.errors import InvalidRequest, RunNotRetryable
from server.preparation import RunRequest

_OWN_ID = "pipeline_logging_id"


def require_retryable(run: Run) -> None:
    """Raises RunNotRetryable."""
    if run.kind is not RunKind.EXECUTE:
        raise RunNotRetryable("The run is a plan, which executed nothing: plan again.")
    if not run.status.is_terminal:
        raise RunNotRetryable(f"The run has not ended: it is {run.status}.")
    if run.status is RunStatus.SUCCESS:
        raise RunNotRetryable("The run has succeeded: run its pipeline again.")


def same_snapshot(snapshot: RunSnapshot, pipeline_logging_id: str) -> RunSnapshot:
    """What the old run was accepted with, for a run with this id."""
    steps = tuple(
        step.model_copy(update={"variables": {**step.variables, _OWN_ID: pipeline_logging_id}})
        for step in snapshot.steps
    )
    return snapshot.model_copy(update={"steps": steps})


def same_request(run: Run, snapshot: RunSnapshot) -> RunRequest:
    """The request that the old run was accepted for, to be checked against the present file."""
    return RunRequest(run.name, run.date, _given(snapshot))


def _given(snapshot: RunSnapshot) -> Mapping[str, str]:
    """The variables that the request set."""
    return {
        name: step.variables[name]
        for step in snapshot.steps
        for name, origin in step.origins.items()
        if origin == "request"
    }


def require_steps(run: Run, snapshot: RunSnapshot) -> None:
    """Each step that succeeded has to be in the present file still. Raises InvalidRequest."""
    present = {step.step_id: step.ps_type for step in snapshot.steps}
    faults = [
        Fault(
            "STEP_CHANGED",
            f"step {step.step_id} ({step.ps_type}) has succeeded in the old run and is not in the present file;"
            " retry with the file as it was, or run the pipeline anew",
            field="use_present_file",
        )
        for step in run.steps
        if step.status is StepStatus.SUCCESS and present.get(step.step_id) != step.ps_type
    ]
    if faults:
        raise InvalidRequest(faults)
