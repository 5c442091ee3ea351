"""Whether a step runs, and how a run ends: both follow from the steps before.

Notifications tell about a run and are no part of its outcome: one that fails counts neither here nor there.
"""

from collections.abc import Sequence
from typing import Protocol

from server.domain.pipeline import Trigger
from server.domain.run import RunStatus, StepStatus

NOTIFICATIONS = "notify_systems."
"""Processors of this provider send notifications."""

_FAILED = {StepStatus.FAILED, StepStatus.TIMED_OUT}


class StepOutcome(Protocol):
    """What a step came to; `StepRun` is one."""

    @property
    def ps_type(self) -> str:
        """The step's processor."""
        ...

    @property
    def status(self) -> StepStatus:
        """Where the step stands."""
        ...

    @property
    def warning(self) -> bool:
        """Whether it succeeded and has something to warn of."""
        ...


def should_run(trigger: Trigger | None, earlier: Sequence[StepOutcome]) -> bool:
    """Whether a step with that trigger runs after the `earlier` steps of its file, in file order.

    Without a trigger and with `on_success` it runs while nothing has failed or was cancelled.
    """
    failed = any(has_failed(step) for step in earlier)
    is_cancelled = any(step.status is StepStatus.CANCELLED for step in earlier)
    match trigger:
        case None | "on_success":
            return not failed and not is_cancelled
        case "on_failure":
            return failed
        case "on_warning":
            return any(step.warning and not is_notification(step.ps_type) for step in earlier)
        case "on_completion":
            return not is_cancelled
        case "always":
            return True


def run_status(steps: Sequence[StepOutcome]) -> RunStatus:
    """The terminal status of a run whose steps have all ended.

    CANCELLED when a step was cancelled; else FAILED or TIMED_OUT as the first step that failed; else SUCCESS.
    """
    if any(step.status is StepStatus.CANCELLED for step in steps):
        return RunStatus.CANCELLED
    failed = next((step for step in steps if has_failed(step)), None)
    return RunStatus(failed.status) if failed else RunStatus.SUCCESS


def is_notification(ps_type: str) -> bool:
    """Whether the processor sends notifications."""
    return ps_type.startswith(NOTIFICATIONS)


def has_failed(step: StepOutcome) -> bool:
    """Whether the step makes its run fail."""
    return step.status in _FAILED and not is_notification(step.ps_type)
