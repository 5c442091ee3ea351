"""Any method with any bytes, and what may come back."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import grpc
from google.protobuf.message import Message

from convergence.errors import translate
from tests.docs.pages import tables
from tests.e2e.test_access import error_info

DOMAIN = "convergence"
MOST_SECONDS = 5.0
Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Answer:
    """What a call came to; `code` and `reason` are '' when it was served."""

    code: str
    reason: str
    message: str
    violations: Mapping[str, str]
    """By field."""
    everything: str
    """All that the client has been told, trailers included."""

    @property
    def told(self) -> str:
        return " ".join([self.message, *(f"{field}: {text}" for field, text in self.violations.items())])


@cache
def documented() -> dict[str, frozenset[str]]:
    """The reasons that docs/api.md lists, by code. Those of plans' faults are no errors of a call."""
    rows = [row for row in tables("docs/api.md", "Errors") if "of a plan only" not in row[0]]
    found: dict[str, set[str]] = {}
    for name, reasons in rows:
        code = name if name.isupper() else "INVALID_ARGUMENT"
        found.setdefault(code, set()).update(re.findall(r"`([A-Z_]+)`", reasons))
    return {code: frozenset(reasons) for code, reasons in found.items()}


async def ask(channel: grpc.aio.Channel, method: str, request: Message | bytes, metadata: Metadata) -> Answer:
    """Call a method of ours; of a stream, until its first message.

    Whatever is wrong with the answer as such fails here: it takes too long, says too much, or nothing to branch on.
    """
    data = request if isinstance(request, bytes) else request.SerializeToString()
    path = method if method.startswith("/") else f"/convergence.v1.{method}"
    began = time.monotonic()
    try:
        if method.endswith(("GetRunStatus", "Watch", "WatchBackfill")):
            call = channel.unary_stream(path)(data, metadata=metadata, timeout=MOST_SECONDS)
            shown = str(await call.read())
            call.cancel()
        else:
            shown = str(await channel.unary_unary(path)(data, metadata=metadata, timeout=MOST_SECONDS))
    except grpc.aio.AioRpcError as error:
        return _checked(error)
    assert time.monotonic() - began < MOST_SECONDS
    return Answer("", "", "", {}, shown)


def _checked(error: grpc.aio.AioRpcError) -> Answer:
    code, message = error.code().name, error.details() or ""
    assert "grpc-status-details-bin" in dict(error.trailing_metadata() or ()), f"{code} without details: {message}"
    info = error_info(error)
    assert info.domain == DOMAIN
    assert info.reason in documented().get(code, ()), f"docs/api.md does not tell of {code} {info.reason}: {message}"
    assert code not in {"INTERNAL", "UNKNOWN"}, message
    assert 0 < len(message.encode()) <= 1024
    violations = {violation.field: violation.description for violation in translate(error).violations}
    return Answer(code, info.reason, message, violations, f"{message} {violations} {error.trailing_metadata()}")
