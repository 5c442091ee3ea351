"""What clients asked for and were told, and what of it no correct service can have said.

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


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was answered. One that was not may have happened or not, and tells nothing."""

    method: Method
    invoked: float
    returned: float
    asked: str = ""
    """The run that was asked about; of RunPipeline none."""
    request_id: str = ""
    run: str = ""
    """The run that was answered; none when the call was refused."""
    status: str = ""
    started_steps: int = 0
    """Steps of that run that have been tried."""
    cancelled_waiting: bool = False
    """Cancelling that run was asked for before it had started."""
    retry_of: str = ""
    error: str = ""
    """The reason of a refusal."""


def violations(history: Sequence[Call]) -> list[str]:
    """Everything that is wrong."""
    return [
        *_doubled_requests(history),
        *_doubled_retries(history),
        *_wrong_retries(history),
        *_steps_back(history),
        *_started_though_cancelled(history),
        *_cancelled_in_vain(history),
        *_never_ended(history),
    ]


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
            elif first.returned < second.invoked and ORDER[second.status] < ORDER[first.status]:
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


def _by_run(history: Iterable[Call]) -> Iterator[tuple[str, list[Call]]]:
    """The calls that were answered with each run."""
    runs = defaultdict[str, list[Call]](list)
    for call in history:
        if call.run:
            runs[call.run].append(call)
    yield from runs.items()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
