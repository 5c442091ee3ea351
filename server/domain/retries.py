"""Which steps a retry takes over from the run that it goes on with."""

from collections.abc import Sequence

from server.domain.run import EffectState, StepRun, StepStatus
from server.domain.triggers import is_notification


def continued(fresh: Sequence[StepRun], earlier: Sequence[StepRun], origin: str) -> list[StepRun]:
    """The steps as the retry of the run `origin` begins with them.

    What succeeded is done. The others start anew and know what they have written. A notification behind the first step
    that did not succeed is about a failure that may not happen again, so that it starts anew too.
    """
    before = {step.step_id: step for step in earlier}
    stopped = {StepStatus.FAILED, StepStatus.CANCELLED, StepStatus.TIMED_OUT}
    first = next((position for position, step in enumerate(earlier) if step.status in stopped), len(earlier))
    kept = {
        step.step_id
        for position, step in enumerate(earlier)
        if step.status is StepStatus.SUCCESS and (position < first or not is_notification(step.ps_type))
    }
    return [
        before[step.step_id] if step.step_id in kept else _anew(step, before.get(step.step_id), origin)
        for step in fresh
    ]


def _anew(step: StepRun, before: StepRun | None, origin: str) -> StepRun:
    if before is None:
        return step
    known = {effect.effect_id: effect for effect in (*before.inherited, *before.effects)}
    written = tuple(effect for effect in known.values() if effect.state is not EffectState.STOPPED)
    if not written:
        return step
    # A write is the same write only if it says the same, to the letter.
    said = {"pipeline_logging_id": origin, **before.late_variables}
    return step.model_copy(update={"inherited": written, "late_variables": said})
