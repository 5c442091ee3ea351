"""The one translation of errors into gRPC statuses, with google.rpc details."""

from collections.abc import Iterator
from math import ceil
from typing import NoReturn

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from server.domain.faults import Fault
from server.errors import Exhausted, ServiceError
from server.security.redaction import redact

ERROR_DOMAIN = "convergence"
# Trailers above 16 KiB turn any status into RESOURCE_EXHAUSTED; the message travels in them twice.
_MAX_MESSAGE = 1_024
_MAX_VIOLATION = 512
_MAX_DETAILS = 5_000


async def abort(
    context: "grpc.aio.ServicerContext[object, object]", error: ServiceError, *, request_id: str
) -> NoReturn:
    """End the call with the error's status."""
    status = status_of(error, request_id=request_id)
    await context.abort(
        grpc.StatusCode[error.code.name],
        status.message,
        trailing_metadata=(("grpc-status-details-bin", status.SerializeToString()),),
    )
    raise AssertionError("abort returned")


def status_of(error: ServiceError, *, request_id: str) -> status_pb2.Status:
    """What clients are told of an error."""
    message = cut(redact(error.message), _MAX_MESSAGE)
    return status_pb2.Status(code=error.code, message=message, details=_details(error, request_id))


def _details(error: ServiceError, request_id: str) -> list[any_pb2.Any]:
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=ERROR_DOMAIN, metadata={"request_id": request_id} if request_id else {}
    )
    details = [_pack(info)]
    if error.faults:
        details.append(_pack(_bad_request(error.faults)))
    if isinstance(error, Exhausted):
        details += map(_pack, _exhausted(error))
    return details


def _exhausted(error: Exhausted) -> Iterator[Message]:
    yield error_details_pb2.QuotaFailure(
        violations=[
            error_details_pb2.QuotaFailure.Violation(subject=subject, description=cut(description, _MAX_VIOLATION))
            for subject, description in error.violations
        ]
    )
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(ceil(error.retry_after * 1_000))
    yield info


def _bad_request(faults: tuple[Fault, ...]) -> error_details_pb2.BadRequest:
    """Every fault, or as many as the trailers hold and a last line that counts the rest."""
    answer = error_details_pb2.BadRequest()
    for position, fault in enumerate(faults):
        description = f"{fault.position}: {fault.message}" if fault.position else fault.message
        violation = answer.field_violations.add(
            field=fault.field, description=cut(redact(description), _MAX_VIOLATION), reason=fault.reason
        )
        if answer.ByteSize() > _MAX_DETAILS:
            violation.field = ""
            violation.reason = "MORE_FAULTS"
            violation.description = f"and {len(faults) - position} more"
            break
    return answer


def _pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, with an ellipsis where something is missing."""
    encoded = text.encode()
    return text if len(encoded) <= size else encoded[: size - 3].decode(errors="ignore") + "…"
