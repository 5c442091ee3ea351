"""What a call can fail with, as Python exceptions: one class for each gRPC code that callers treat differently.

Source of the details: google.rpc.Status in the trailer `grpc-status-details-bin`, as the gRPC guide on error handling
describes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"
_CONNECTION_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with a request, or one quota that is used up."""

    field: str
    """Path of the value in the request: `variables.admin_email`; for a quota its subject."""
    description: str
    """What is wrong, and what would be right."""


@dataclass(frozen=True, slots=True)
class Details:
    """What an error says beyond its code and message."""

    reason: str = ""
    violations: tuple[Violation, ...] = ()
    retry_after: float | None = None
    request_id: str = ""
    """What the server's log has about the call is found by it; '' when it says nothing more."""


class ConvergenceError(Exception):
    """A call failed. Raised as such for codes that have no class of their own."""

    codes: ClassVar[tuple[grpc.StatusCode, ...]] = ()

    def __init__(self, code: grpc.StatusCode, message: str, details: Details | None = None) -> None:
        self.code = code
        self.message = message
        self.details = details or Details()
        super().__init__(message)

    @property
    def reason(self) -> str:
        """UPPER_SNAKE, stable, to branch on; the code's name when the answer did not come from the service itself."""
        return self.details.reason or self.code.name

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Everything that is wrong with the request, not only the first thing."""
        return self.details.violations

    @property
    def retry_after(self) -> float | None:
        """Seconds after which trying again makes sense, or None when the server does not say."""
        return self.details.retry_after

    @property
    def request_id(self) -> str:
        """By what the server's log tells more about the call; '' when it does not."""
        return self.details.request_id

    @property
    def is_connection_loss(self) -> bool:
        """Whether the connection or the server went away, rather than the service refusing the request."""
        return self.code in _CONNECTION_CODES and (isinstance(self, Unavailable) or not self.details.reason)


class InvalidArgument(ConvergenceError):
    """The request is wrong; `violations` lists everything that is."""

    codes = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE)


class NotFound(ConvergenceError):
    """It does not exist, or belongs to another tenant."""

    codes = (grpc.StatusCode.NOT_FOUND,)


class AlreadyExists(ConvergenceError):
    """Its id is taken."""

    codes = (grpc.StatusCode.ALREADY_EXISTS,)


class Unauthenticated(ConvergenceError):
    """There is no valid API key with the request."""

    codes = (grpc.StatusCode.UNAUTHENTICATED,)


class PermissionDenied(ConvergenceError):
    """The API key may not do that."""

    codes = (grpc.StatusCode.PERMISSION_DENIED,)


class FailedPrecondition(ConvergenceError):
    """Not in the present state; the same request may be right later."""

    codes = (grpc.StatusCode.FAILED_PRECONDITION,)


class Aborted(ConvergenceError):
    """Somebody else changed it meanwhile: read it again, then repeat the change."""

    codes = (grpc.StatusCode.ABORTED,)


class ResourceExhausted(ConvergenceError):
    """A quota is used up; `retry_after` says when to come back."""

    codes = (grpc.StatusCode.RESOURCE_EXHAUSTED,)


class Unavailable(ConvergenceError):
    """The server cannot be reached, or cannot answer for the moment."""

    codes = (grpc.StatusCode.UNAVAILABLE,)


class DeadlineExceeded(ConvergenceError):
    """There was no answer in time. A write may have happened: repeat it with the same request_id."""

    codes = (grpc.StatusCode.DEADLINE_EXCEEDED,)


class Unimplemented(ConvergenceError):
    """The server does not offer the method."""

    codes = (grpc.StatusCode.UNIMPLEMENTED,)


class Internal(ConvergenceError):
    """The server failed."""

    codes = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)


_CLASSES = {code: kind for kind in ConvergenceError.__subclasses__() for code in kind.codes}


def translate(error: grpc.aio.AioRpcError) -> ConvergenceError:
    """The exception for a failed call; the only place where gRPC's errors become ours."""
    code = error.code()
    kind = _CLASSES.get(code, ConvergenceError)
    return kind(code, error.details() or code.name, _details(error))


def _details(error: grpc.aio.AioRpcError) -> Details:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return _decode(status_pb2.Status.FromString(value).details)
            except DecodeError:
                break  # a proxy's doing: code and message still hold
    return Details()


def _decode(packed: Iterable[AnyMessage]) -> Details:
    """Read the kinds of detail that the contract names; others may be added to it without breaking this."""
    reason, violations, retry_after, request_id = "", list[Violation](), None, ""
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    quota, retry = error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    for detail in packed:
        if detail.Unpack(info):
            reason, request_id = info.reason, info.metadata.get("request_id", "")
        elif detail.Unpack(bad_request):
            violations += [Violation(v.field, v.description) for v in bad_request.field_violations]
        elif detail.Unpack(quota):
            violations += [Violation(v.subject, v.description) for v in quota.violations]
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return Details(reason, tuple(violations), retry_after, request_id)
