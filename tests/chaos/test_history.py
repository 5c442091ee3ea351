"""The checker of histories finds what is wrong with those that were made up for it."""

import pytest

from tests.chaos.history import Call, Method, violations


def get(run: str, status: str, at: float, *, until: float | None = None, steps: int = 0) -> Call:
    return Call("GetRun", at, at + 0.5 if until is None else until, asked=run, run=run, status=status,
                started_steps=steps)  # fmt: skip


def made(run: str, at: float, request_id: str = "", status: str = "PENDING") -> Call:
    return Call("RunPipeline", at, at + 0.5, request_id=request_id, run=run, status=status)


def cancelled(run: str, at: float, status: str, *, waiting: bool = False) -> Call:
    return Call("CancelRun", at, at + 0.5, asked=run, run=run, status=status, cancelled_waiting=waiting)


def retried(run: str, new: str, at: float, request_id: str = "") -> Call:
    return Call("RetryRun", at, at + 0.5, asked=run, request_id=request_id, run=new, status="PENDING", retry_of=run)


def refused(method: Method, of: str, at: float, error: str) -> Call:
    if method == "RunPipeline":
        return Call(method, at, at + 0.5, request_id=of, error=error)
    return Call(method, at, at + 0.5, asked=of, error=error)


GOOD = [
    made("a", 1, "x"),
    get("a", "PENDING", 2, until=9),
    get("a", "RUNNING", 3),
    made("a", 4, "x", "RUNNING"),
    cancelled("a", 5, "CANCELLING"),
    get("a", "CANCELLED", 6, steps=1),
    Call("CancelRun", 7, 8, asked="a", run="a", status="CANCELLED"),
    retried("a", "b", 9, "y"),
    refused("RetryRun", "a", 4, "RUN_NOT_RETRYABLE"),
    refused("RetryRun", "a", 9.2, "RUN_NOT_RETRYABLE"),
    refused("RetryRun", "a", 10, "RUN_NOT_RETRYABLE"),
    get("b", "RUNNING", 11, until=20),
    get("b", "SUCCESS", 12),
    refused("GetRun", "b", 13, "STORE_UNAVAILABLE"),
    refused("RetryRun", "b", 13, "RUN_NOT_RETRYABLE"),
    refused("CancelRun", "b", 13, "RUN_FINISHED"),
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
        ([refused("GetRun", "a", 20, "INTERNAL")], "GetRun of a failed: INTERNAL"),
        ([refused("RunPipeline", "w", 20, "UNKNOWN")], "RunPipeline of w failed: UNKNOWN"),
        ([refused("RunPipeline", "w", 20, "QUOTA_EXCEEDED")], "RunPipeline of w was refused as QUOTA_EXCEEDED"),
        ([refused("GetRun", "a", 20, "API_KEY_INVALID")], "GetRun of a was refused as API_KEY_INVALID"),
        ([refused("GetRun", "a", 20, "RUN_FINISHED")], "GetRun of a was refused as RUN_FINISHED"),
        ([Call("RetryRun", 20, 21, asked="a", request_id="y", error="RUN_NOT_RETRYABLE")],
         "RetryRun of a was refused as RUN_NOT_RETRYABLE after request y had been answered"),
        ([Call("RunPipeline", 20, 21, request_id="x", error="RUN_NOT_FOUND")],
         "RunPipeline of x was refused as RUN_NOT_FOUND after request x had been answered"),
        ([refused("GetRun", "a", 20, "RUN_NOT_FOUND")], "GetRun of a did not find a run that had been answered"),
        ([refused("RetryRun", "c", 20, "RUN_NOT_RETRYABLE")],
         "RetryRun of c was refused though it was CANCELLED and nobody had retried it"),
        ([made("d", 20), refused("CancelRun", "d", 21, "RUN_FINISHED"), get("d", "RUNNING", 22),
          get("d", "FAILED", 23)], "CancelRun of d was refused as RUN_FINISHED and the run is RUNNING"),
        ([refused("CancelRun", "a", 20, "RUN_FINISHED")],
         "CancelRun of a was refused as RUN_FINISHED and the run is CANCELLED"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(added: list[Call], found: str) -> None:
    assert found in violations([*GOOD, *added])


def test_calls_that_overlap_may_have_happened_in_either_order() -> None:
    assert violations([get("a", "SUCCESS", 1, until=3), get("a", "RUNNING", 2, until=4)]) == []


def test_refusals_that_may_have_come_before_what_was_seen_are_right() -> None:
    """The run is not known yet, has not ended yet, or was retried by a call that got no answer."""
    unknown = refused("GetRun", "d", 1, "RUN_NOT_FOUND")
    too_early = refused("RetryRun", "d", 3, "RUN_NOT_RETRYABLE")
    too_late = refused("CancelRun", "d", 5, "RUN_FINISHED")
    ended = [made("d", 1), get("d", "FAILED", 3.2, until=5.2)]
    assert violations([unknown, too_early, too_late, *ended]) == []
    lost, refusal = refused("RetryRun", "d", 6, "UNAVAILABLE"), refused("RetryRun", "d", 7, "RUN_NOT_RETRYABLE")
    assert violations([*ended, lost, refusal]) == []
    late = [retried("d", "e", 8), get("e", "SUCCESS", 9)]
    assert violations([*ended, refusal, *late]) == [
        "RetryRun of d was refused though it was FAILED and nobody had retried it"
    ]


def test_a_server_that_is_made_to_fail_fails_so_often_and_no_more() -> None:
    failed = refused("RunPipeline", "x", 1, "INTERNAL")
    assert violations([*GOOD, failed], injected=1) == []
    assert violations([*GOOD, failed, failed], injected=1) == ["RunPipeline of x failed: INTERNAL"] * 2
