"""What every group of the client's calls stands on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from convergence.errors import translate
from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceStub
from convergence.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from convergence.v1.system_service_pb2_grpc import SystemServiceStub
from convergence.v1.tenant_service_pb2_grpc import TenantServiceStub
from convergence.watching import Patience


class _HasNextPage(Protocol):
    next_page_token: str


_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")
_Page = TypeVar("_Page", bound=_HasNextPage)


class Calls:
    """A channel with its typed stubs, and how long to bear with the server."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout: float, patience: Patience) -> None:
        self._channel = channel
        self._timeout = timeout
        self._patience = patience
        self.pipelines = PipelineServiceStub(channel)
        self.tenants = TenantServiceStub(channel)
        self.schedules = ScheduleServiceStub(channel)
        self.system = SystemServiceStub(channel)

    async def _call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's own, which the server is told
    ) -> _Answer:
        return await answer(method(request, timeout=self._timeout if timeout is None else timeout))


async def answer(call: Awaitable[_Answer]) -> _Answer:
    """Wait for a call's answer. Raises ConvergenceError."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise translate(error) from error


async def pages(fetch: Callable[[str], Awaitable[_Page]]) -> AsyncIterator[_Page]:
    """All pages that `fetch` answers with, each asked for with the token of the one before; the first with ''."""
    token = ""
    while True:
        page = await fetch(token)
        yield page
        token = page.next_page_token
        if not token:
            return


def timestamp(time: datetime | None) -> Timestamp | None:
    """The time as a message. Raises ValueError for one without a zone."""
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError("a time needs a zone: datetime(..., tzinfo=UTC)")
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
