"""Which steps run, and how a run ends."""

from dataclasses import dataclass

import pytest

from server.domain.run import RunStatus, StepRun, StepStatus
from server.domain.triggers import run_status, should_run


@dataclass(frozen=True)
class Outcome:
    status: StepStatus
    ps_type: str = "gcp.bq_etl"
    warning: bool = False


OK = Outcome(StepStatus.SUCCESS)
WARNED = Outcome(StepStatus.SUCCESS, warning=True)
FAILED = Outcome(StepStatus.FAILED)
LATE = Outcome(StepStatus.TIMED_OUT)
SKIPPED = Outcome(StepStatus.SKIPPED)
CANCELLED = Outcome(StepStatus.CANCELLED)
MAIL = "notify_systems.email_notification"
MAIL_FAILED = Outcome(StepStatus.FAILED, MAIL)
MAIL_LATE = Outcome(StepStatus.TIMED_OUT, MAIL)
MAIL_WARNED = Outcome(StepStatus.SUCCESS, MAIL, warning=True)

EARLIER = {
    "nothing": [],
    "success": [OK],
    "warned": [OK, WARNED],
    "failed": [OK, FAILED],
    "timed out": [LATE, SKIPPED],
    "skipped": [SKIPPED],
    "failed then skipped": [FAILED, SKIPPED],
    "warned then failed": [WARNED, FAILED],
    "cancelled": [OK, CANCELLED],
    "failed then cancelled": [FAILED, CANCELLED],
    "mail failed": [OK, MAIL_FAILED],
    "mail timed out": [OK, MAIL_LATE],
    "mail warned": [OK, MAIL_WARNED],
}
RUNS = {
    None: {"nothing", "success", "warned", "skipped", "mail failed", "mail timed out", "mail warned"},
    "on_success": {"nothing", "success", "warned", "skipped", "mail failed", "mail timed out", "mail warned"},
    "on_failure": {
        "failed",
        "timed out",
        "failed then skipped",
        "warned then failed",
        "failed then cancelled",
    },
    "on_warning": {"warned", "warned then failed"},
    "on_completion": set(EARLIER) - {"cancelled", "failed then cancelled"},
    "always": set(EARLIER),
}


@pytest.mark.parametrize("earlier", EARLIER)
@pytest.mark.parametrize("trigger", RUNS, ids=str)
def test_trigger(trigger, earlier):
    assert should_run(trigger, EARLIER[earlier]) is (earlier in RUNS[trigger])


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        pytest.param([], RunStatus.SUCCESS, id="no steps"),
        pytest.param([OK, SKIPPED], RunStatus.SUCCESS, id="skipped is no failure"),
        pytest.param([WARNED], RunStatus.SUCCESS, id="warning is no failure"),
        pytest.param([OK, FAILED, SKIPPED], RunStatus.FAILED, id="failed"),
        pytest.param([LATE, FAILED], RunStatus.TIMED_OUT, id="the first failure decides: timed out"),
        pytest.param([FAILED, LATE], RunStatus.FAILED, id="the first failure decides: failed"),
        pytest.param([OK, MAIL_FAILED], RunStatus.SUCCESS, id="a mail that fails"),
        pytest.param([MAIL_LATE, FAILED], RunStatus.FAILED, id="a mail that times out before a failure"),
        pytest.param([FAILED, CANCELLED], RunStatus.CANCELLED, id="cancelled after a failure"),
        pytest.param([Outcome(StepStatus.CANCELLED, MAIL)], RunStatus.CANCELLED, id="cancelled in a mail"),
    ],
)
def test_run_status(steps, status):
    assert run_status(steps) is status


def test_a_step_run_is_an_outcome():
    step = StepRun(step_id="load", ps_type="gcp.bq_etl", status=StepStatus.FAILED)
    assert should_run("on_failure", [step])
