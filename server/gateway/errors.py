"""Errors as HTTP has them: a status, and the details of gRPC as JSON."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, ClassVar

import grpc
from aiohttp import web
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from server.api.status import status_of
from server.errors import Code, InternalError, ServiceError

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""What every answer has."""
_DETAILS_KEY = "grpc-status-details-bin"
_CLIENT_CLOSED = 499
# As google/rpc/code.proto maps them.
_HTTP_STATUSES: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.CANCELLED: _CLIENT_CLOSED,
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    grpc.StatusCode.ABORTED: HTTPStatus.CONFLICT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class HttpError(ServiceError):
    """A fault of the request that gRPC does not have."""

    code = Code.INVALID_ARGUMENT
    http_status: ClassVar[int] = HTTPStatus.BAD_REQUEST

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer has besides."""
        return {}


class NoSuchAddress(HttpError):
    """There is nothing at this address; /openapi.json lists what there is."""

    code = Code.NOT_FOUND
    reason = "NO_SUCH_ADDRESS"
    http_status = HTTPStatus.NOT_FOUND


class VerbNotAllowed(HttpError):
    """What is at this address is asked for in another way."""

    reason = "VERB_NOT_ALLOWED"
    http_status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = ", ".join(allowed)
        super().__init__(f"What is at this address is asked for with {self._allowed}.")

    @property
    def headers(self) -> Mapping[str, str]:
        """What would do."""
        return {"Allow": self._allowed}


class BodyTooLarge(HttpError):
    """The body has more than 1 MiB."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "BODY_TOO_LARGE"
    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class BodyTooSlow(HttpError):
    """The body has not come within 30 seconds."""

    code = Code.DEADLINE_EXCEEDED
    reason = "BODY_TOO_SLOW"
    http_status = HTTPStatus.REQUEST_TIMEOUT


class NotJson(HttpError):
    """The body has to be JSON, not compressed: Content-Type: application/json."""

    reason = "NOT_JSON"
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class TooManyConnections(HttpError):
    """The server has as many connections as it takes. Try again in a moment."""

    code = Code.UNAVAILABLE
    reason = "TOO_MANY_CONNECTIONS"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE

    @property
    def headers(self) -> Mapping[str, str]:
        """When to come again."""
        return {"Retry-After": "1"}


def refusal(error: ServiceError | grpc.aio.AioRpcError) -> web.Response:
    """The answer to a request that fails."""
    http_status, headers, body = _answer_to(error)
    return web.Response(status=http_status, body=body, content_type="application/json", headers={**HEADERS, **headers})


def body_of(error: ServiceError | grpc.aio.AioRpcError) -> bytes:
    """What the answer says, for those who have begun to answer."""
    return _answer_to(error)[2]


def _answer_to(error: ServiceError | grpc.aio.AioRpcError) -> tuple[int, Mapping[str, str], bytes]:
    status = _status_of_call(error) if isinstance(error, grpc.aio.AioRpcError) else status_of(error, request_id="")
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    headers = {**_retry_after(status), **(error.headers if isinstance(error, HttpError) else {})}
    http_status = error.http_status if isinstance(error, HttpError) else _http_status(code)
    return http_status, headers, json.dumps(_body(http_status, code, status), ensure_ascii=False).encode()


def _http_status(code: grpc.StatusCode) -> int:
    return _HTTP_STATUSES.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)


def _body(http_status: int, code: grpc.StatusCode, status: status_pb2.Status) -> dict[str, Any]:
    """As AIP-193 has it."""
    return {
        "error": {
            "code": http_status,
            "status": code.name,
            "message": status.message,
            "details": [MessageToDict(detail, preserving_proto_field_name=True) for detail in status.details],
        }
    }


def _status_of_call(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """What the service said of a call that failed; of what gRPC itself says only the code is anybody's business."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    told = status_of(InternalError("The service could not answer."), request_id="")
    told.code = error.code().value[0]
    return told


def _retry_after(status: status_pb2.Status) -> dict[str, str]:
    info = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return {"Retry-After": str(max(1, ceil(info.retry_delay.ToTimedelta().total_seconds())))}
    return {}
