"""What clients asked for and were told, and what of it no correct service can have said.

A service whose process is killed, or that has no room, may give no answer; every answer has to be right, refusals too.

A read that was asked for after another one had answered sees the run as far as that one did, or further: with several
servers too. Calls that overlap may have happened in either order.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

Method = Literal["RunPipeline", "CancelRun", "RetryRun", "GetRun"]
ORDER = {"PENDING": 0, "RUNNING": 1, "CANCELLING": 2, "SUCCESS": 3, "FAILED": 3, "CANCELLED": 3, "TIMED_OUT": 3}
TERMINAL = {status for status, place in ORDER.items() if place == 3}
LOST = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "STORE_UNAVAILABLE"}
"""What a client is told where the server's process was killed or stands still, or its disk is full."""
FAILURES = {"INTERNAL", "UNKNOWN"}
"""What a client is told of a mistake in the server."""
UNSURE = LOST | FAILURES
"""After these the call may or may not have happened, so that a client makes it again."""
_REFUSALS = {"CancelRun": "RUN_FINISHED", "RetryRun": "RUN_NOT_RETRYABLE"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call, and what was answered."""

    method: Method
    invoked: float
    returned: float
    asked: str = ""
    """The run that was asked about; of RunPipeline none."""
    request_id: str = ""
    run: str = ""
    """The run that was answered, if any was."""
    status: str = ""
    started_steps: int = 0
    """Steps of that run that have been tried."""
    cancelled_waiting: bool = False
    """Cancelling that run was asked for before it had started."""
    retry_of: str = ""
    error: str = ""
    """The reason of a refusal, or what there is in place of an answer."""

    @property
    def subject(self) -> str:
        """What the call was about, in words."""
        return f"{self.method} of {self.asked or self.request_id}"


def violations(history: Sequence[Call], *, injected: int = 0) -> list[str]:
    """Everything that is wrong. So many calls may have failed, since a server was made to fail under them."""
    return [
        *_failed(history, injected),
        *_refused_without_reason(history),
        *_refused_though_answered(history),
        *_not_found(history),
        *_not_retried(history),
        *_not_cancelled(history),
        *_doubled_requests(history),
        *_doubled_retries(history),
        *_wrong_retries(history),
        *_steps_back(history),
        *_started_though_cancelled(history),
        *_cancelled_in_vain(history),
        *_never_ended(history),
    ]


def _failed(history: Iterable[Call], injected: int) -> Iterator[str]:
    failed = [call for call in history if call.error in FAILURES]
    for call in failed if len(failed) > injected else []:
        yield f"{call.subject} failed: {call.error}"


def _refused_without_reason(history: Iterable[Call]) -> Iterator[str]:
    """Keys, tenants and pipelines are there, and no quota is used up."""
    for call in _refused(history):
        if call.error not in {"RUN_NOT_FOUND", _REFUSALS.get(call.method)}:
            yield f"{call.subject} was refused as {call.error}"


def _refused_though_answered(history: Sequence[Call]) -> Iterator[str]:
    """A request that is repeated has the answer that it had."""
    for call in _refused(history):
        if call.request_id and any(
            (seen.method, seen.request_id) == (call.method, call.request_id) and _precedes(seen, call)
            for seen in history
            if seen.run
        ):
            yield f"{call.subject} was refused as {call.error} after request {call.request_id} had been answered"


def _not_found(history: Sequence[Call]) -> Iterator[str]:
    runs = dict(_by_run(history))
    for call in _refused(history, "RUN_NOT_FOUND"):
        if any(_precedes(seen, call) for seen in runs.get(call.asked, [])):
            yield f"{call.subject} did not find a run that had been answered"


def _not_retried(history: Sequence[Call]) -> Iterator[str]:
    """What had ended without success, and may not have been retried, is retried."""
    runs = dict(_by_run(history))
    for call in _refused(history, "RUN_NOT_RETRYABLE"):
        for seen in runs.get(call.asked, []):
            has_failed = seen.status in TERMINAL - {"SUCCESS"} and _precedes(seen, call)
            if has_failed and not any(_may_have_retried(other, call) for other in history):
                yield f"{call.subject} was refused though it was {seen.status} and nobody had retried it"
                break


def _may_have_retried(other: Call, refused: Call) -> bool:
    is_retry = other.method == "RetryRun" and other.asked == refused.asked
    return is_retry and bool(other.run or other.error in UNSURE) and other.invoked < refused.returned


def _not_cancelled(history: Sequence[Call]) -> Iterator[str]:
    """What has ended otherwise is not cancelled; everything else is."""
    runs = dict(_by_run(history))
    for call in _refused(history, "RUN_FINISHED"):
        for seen in runs.get(call.asked, []):
            if seen.status == "CANCELLED" or (seen.status not in TERMINAL and _precedes(call, seen)):
                yield f"{call.subject} was refused as {call.error} and the run is {seen.status}"


def _doubled_requests(history: Iterable[Call]) -> Iterator[str]:
    """A request_id stands for one run, and a run for one request_id."""
    runs, requests = defaultdict[tuple[str, str], set[str]](set), defaultdict[str, set[str]](set)
    for call in history:
        if call.request_id and call.run:
            runs[call.method, call.request_id].add(call.run)
            requests[call.run].add(call.request_id)
    for (method, request_id), made in runs.items():
        if len(made) > 1:
            yield f"{method} {request_id} gave {len(made)} runs: {_listed(made)}"
    for run, ids in requests.items():
        if len(ids) > 1:
            yield f"run {run} was answered to {len(ids)} requests: {_listed(ids)}"


def _doubled_retries(history: Iterable[Call]) -> Iterator[str]:
    retries = defaultdict[str, set[str]](set)
    for call in history:
        if call.retry_of:
            retries[call.retry_of].add(call.run)
    for run, made in retries.items():
        if len(made) > 1:
            yield f"run {run} was retried {len(made)} times: {_listed(made)}"


def _wrong_retries(history: Sequence[Call]) -> Iterator[str]:
    """What has not ended or has succeeded is not retried."""
    runs = dict(_by_run(history))
    for retry in history:
        if retry.method != "RetryRun" or not retry.run:
            continue
        for seen in runs.get(retry.asked, []):
            if seen.status == "SUCCESS" or (seen.status not in TERMINAL and seen.invoked > retry.returned):
                yield f"run {retry.asked} was retried and is {seen.status}"


def _steps_back(history: Iterable[Call]) -> Iterator[str]:
    for run, calls in _by_run(history):
        states = sorted((call for call in calls if call.status), key=lambda call: call.returned)
        for first, second in combinations(states, 2):
            if first.status in TERMINAL and second.status in TERMINAL and first.status != second.status:
                yield f"run {run} ended as {first.status} and as {second.status}"
            elif _precedes(first, second) and ORDER[second.status] < ORDER[first.status]:
                yield f"run {run} was {first.status} and after that {second.status}"


def _started_though_cancelled(history: Iterable[Call]) -> Iterator[str]:
    """A run that was cancelled while it waited is over: it does not start, and ends as nothing else."""
    for run, calls in _by_run(history):
        if not any(call.cancelled_waiting for call in calls):
            continue
        if any(call.started_steps for call in calls):
            yield f"run {run} was cancelled before it started, and a step of it started"
        for status in sorted({call.status for call in calls} & TERMINAL - {"CANCELLED"}):
            yield f"run {run} was cancelled before it started, and ended as {status}"


def _cancelled_in_vain(history: Iterable[Call]) -> Iterator[str]:
    for call in history:
        if call.method == "CancelRun" and call.run and call.status not in {"CANCELLING", "CANCELLED"}:
            yield f"cancelling run {call.run} was answered with {call.status}"


def _never_ended(history: Iterable[Call]) -> Iterator[str]:
    for run, calls in _by_run(history):
        if not any(call.status in TERMINAL for call in calls):
            yield f"run {run} was never seen to end"


def _refused(history: Iterable[Call], reason: str = "") -> Iterator[Call]:
    for call in history:
        if call.error and call.error not in UNSURE and reason in {"", call.error}:
            yield call


def _precedes(first: Call, second: Call) -> bool:
    return first.returned < second.invoked


def _by_run(history: Iterable[Call]) -> Iterator[tuple[str, list[Call]]]:
    """The calls that were answered with each run."""
    runs = defaultdict[str, list[Call]](list)
    for call in history:
        if call.run:
            runs[call.run].append(call)
    yield from runs.items()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
