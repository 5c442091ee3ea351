"""The checker of histories finds what is wrong with those that were made up for it."""

import pytest

from tests.chaos.history import Call, violations


def get(run: str, status: str, at: float, *, until: float | None = None, steps: int = 0) -> Call:
    return Call("GetRun", at, at + 0.5 if until is None else until, asked=run, run=run, status=status,
                started_steps=steps)  # fmt: skip


def made(run: str, at: float, request_id: str = "", status: str = "PENDING") -> Call:
    return Call("RunPipeline", at, at + 0.5, request_id=request_id, run=run, status=status)


def cancelled(run: str, at: float, status: str, *, waiting: bool = False) -> Call:
    return Call("CancelRun", at, at + 0.5, asked=run, run=run, status=status, cancelled_waiting=waiting)


def retried(run: str, new: str, at: float, request_id: str = "") -> Call:
    return Call("RetryRun", at, at + 0.5, asked=run, request_id=request_id, run=new, status="PENDING", retry_of=run)


GOOD = [
    made("a", 1, "x"),
    get("a", "PENDING", 2, until=9),
    get("a", "RUNNING", 3),
    made("a", 4, "x", "RUNNING"),
    cancelled("a", 5, "CANCELLING"),
    get("a", "CANCELLED", 6, steps=1),
    Call("CancelRun", 7, 8, asked="a", run="a", status="CANCELLED"),
    retried("a", "b", 9, "y"),
    Call("RetryRun", 9, 10, asked="a", error="RUN_NOT_RETRYABLE"),
    get("b", "RUNNING", 11, until=20),
    get("b", "SUCCESS", 12),
    made("c", 13, "z"),
    cancelled("c", 14, "CANCELLED", waiting=True),
]


def test_a_good_history_has_no_violations() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize(
    ("added", "found"),
    [
        ([made("d", 20, "x"), get("d", "SUCCESS", 21)], "RunPipeline x gave 2 runs: a, d"),
        ([made("b", 20, "other", "SUCCESS")], "run b was answered to 2 requests: other, y"),
        ([retried("a", "d", 20), get("d", "SUCCESS", 21)], "run a was retried 2 times: b, d"),
        ([retried("b", "d", 20), get("d", "SUCCESS", 21)], "run b was retried and is SUCCESS"),
        ([made("d", 1), retried("d", "e", 2), get("d", "RUNNING", 3), get("d", "FAILED", 4), get("e", "FAILED", 4)],
         "run d was retried and is RUNNING"),
        ([get("a", "RUNNING", 20)], "run a was CANCELLED and after that RUNNING"),
        ([get("b", "PENDING", 20)], "run b was SUCCESS and after that PENDING"),
        ([get("b", "FAILED", 20)], "run b ended as SUCCESS and as FAILED"),
        ([get("c", "CANCELLED", 20, steps=1)], "run c was cancelled before it started, and a step of it started"),
        ([get("c", "SUCCESS", 20)], "run c was cancelled before it started, and ended as SUCCESS"),
        ([cancelled("b", 20, "SUCCESS")], "cancelling run b was answered with SUCCESS"),
        ([made("d", 20), get("d", "RUNNING", 21)], "run d was never seen to end"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(added: list[Call], found: str) -> None:
    assert found in violations([*GOOD, *added])


def test_calls_that_overlap_may_have_happened_in_either_order() -> None:
    assert violations([get("a", "SUCCESS", 1, until=3), get("a", "RUNNING", 2, until=4)]) == []
