"""A handler that fails, in whatever way, or never ends: its client hears no text of it, and the server goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest

from convergence.v1.pipeline_service_pb2 import (
    GetRunRequest,
    GetRunStatusRequest,
    ListRunsRequest,
    ListRunsResponse,
)
from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceServicer, PipelineServiceStub
from convergence.v1.run_pb2 import Run, RunEvent
from convergence.v1.system_service_pb2 import CheckStoreRequest, CheckStoreResponse
from convergence.v1.system_service_pb2_grpc import SystemServiceServicer, SystemServiceStub
from tests.e2e.test_access import error_info
from tests.unit.test_gate import HIDDEN, Server, serving


class Speechless(Exception):
    """Cannot even be shown."""

    def __str__(self) -> NoReturn:
        raise ValueError(HIDDEN)

    __repr__ = __str__


def recurse() -> None:
    recurse()


def exhaust() -> None:
    bytearray(2**62)


def raising(kind: type[BaseException], *more: object) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise kind(HIDDEN, *more)

    return fail


FAILURES = {
    "Exception": raising(Exception),
    "BaseException": raising(BaseException),
    "KeyboardInterrupt": raising(KeyboardInterrupt),
    "SystemExit": raising(SystemExit),
    "GeneratorExit": raising(GeneratorExit),
    "CancelledError": raising(asyncio.CancelledError),
    "TimeoutError": raising(TimeoutError),
    "StopIteration": raising(StopIteration),
    "StopAsyncIteration": raising(StopAsyncIteration),
    "BaseExceptionGroup": raising(BaseExceptionGroup, [SystemExit(HIDDEN)]),
    "UsageError of gRPC": raising(grpc.aio.UsageError),
    "AbortError of gRPC": raising(grpc.aio.AbortError),
    "MemoryError": exhaust,
    "RecursionError": recurse,
    "no text": raising(Speechless),
    "an answer that is no message": lambda: HIDDEN,
}


class Failing(PipelineServiceServicer, SystemServiceServicer):
    """Fails as the test says; to check the store takes it longer than others may, to list runs for ever."""

    def __init__(self) -> None:
        self.fail: Callable[[], Any] = exhaust
        self.left = asyncio.Event()
        """A call was ended while it waited."""

    async def GetRun(self, request: GetRunRequest, context: object) -> Run:  # noqa: N802
        return self.fail() if request.pipeline_logging_id else Run()

    async def GetRunStatus(  # noqa: N802
        self, request: GetRunStatusRequest, context: object
    ) -> AsyncIterator[RunEvent]:
        for sequence in range(request.after_sequence):
            yield RunEvent(sequence=sequence + 1)
        yield self.fail()

    async def ListRuns(self, request: ListRunsRequest, context: object) -> ListRunsResponse:  # noqa: N802
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return ListRunsResponse()

    async def CheckStore(self, request: CheckStoreRequest, context: object) -> CheckStoreResponse:  # noqa: N802
        await asyncio.sleep(1.5)
        return CheckStoreResponse()


class Client:
    """Of a server with that servicer."""

    def __init__(self, server: Server, servicer: Failing, channel: grpc.aio.Channel) -> None:
        self.server = server
        self.servicer = servicer
        self.pipelines, self.system = PipelineServiceStub(channel), SystemServiceStub(channel)
        self.options = self.with_key(server.add_key(scopes='["admin"]').text)

    @staticmethod
    def with_key(key: str) -> Any:
        return {"metadata": (("x-api-key", key),), "timeout": 20}

    async def works(self) -> bool:
        return await self.pipelines.GetRun(GetRunRequest(), **self.options) == Run()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    servicer = Failing()
    async with (
        serving(tmp_path, servicer, servicer, answer_seconds=1) as server,
        grpc.aio.insecure_channel(server.target) as channel,
    ):
        yield Client(server, servicer, channel)


@pytest.fixture(params=FAILURES)
def failure(request: pytest.FixtureRequest, client: Client) -> None:
    client.servicer.fail = FAILURES[request.param]


async def tells_nothing(client: Client, error: grpc.aio.AioRpcError) -> None:
    """INTERNAL with a request id and no text, and the server goes on."""
    assert error.code() is grpc.StatusCode.INTERNAL
    assert (error_info(error).reason, error_info(error).domain) == ("INTERNAL", "convergence")
    assert error_info(error).metadata["request_id"]
    assert HIDDEN not in f"{error.details()}{error.trailing_metadata()}{error.debug_error_string()}"
    assert await client.works()


@pytest.mark.usefixtures("failure")
async def test_a_call_that_fails(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.pipelines.GetRun(GetRunRequest(pipeline_logging_id="any"), **client.options)
    await tells_nothing(client, caught.value)


@pytest.mark.usefixtures("failure")
@pytest.mark.parametrize("count", [0, 1], ids=["before the first message", "after it"])
async def test_a_stream_that_fails(client: Client, count: int) -> None:
    stream = client.pipelines.GetRunStatus(GetRunStatusRequest(after_sequence=count), **client.options)
    for number in range(count):
        event = await stream.read()
        assert isinstance(event, RunEvent)
        assert event.sequence == number + 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    await tells_nothing(client, caught.value)


def ended(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    return error.code().name, error_info(error).reason


async def test_a_call_that_never_ends_is_ended(client: Client) -> None:
    """Though its client would wait much longer."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.pipelines.ListRuns(ListRunsRequest(), **client.options)
    assert ended(caught.value) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert client.servicer.left.is_set()
    assert await client.works()


async def test_a_call_whose_admission_never_ends_is_ended(client: Client) -> None:
    """A tenant's calls are counted in the store."""
    key = client.server.add_key(scopes='["runs:read"]', tenant_id="acme_corp").text
    with client.server.locked(), pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.pipelines.GetRun(GetRunRequest(), **client.with_key(key))
    assert ended(caught.value) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert await client.works()


async def test_what_goes_through_the_whole_store_may_take_longer(client: Client) -> None:
    assert await client.system.CheckStore(CheckStoreRequest(), **client.options) == CheckStoreResponse()
