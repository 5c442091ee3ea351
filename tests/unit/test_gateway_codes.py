"""What HTTP makes of calls that fail, over a real port with a real server behind it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import grpc
import pytest

from convergence.v1.pipeline_service_pb2 import GetRunRequest, GetRunStatusRequest
from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceServicer, add_PipelineServiceServicer_to_server
from convergence.v1.run_pb2 import Run, RunEvent
from server.api.app import DESCRIPTORS
from server.api.interceptors import Context
from server.errors import ProviderUnavailable
from server.gateway.app import Gateway, RequireKnown
from server.gateway.listening import HttpPort
from server.store.port import StoreBusy
from tests.e2e.test_gateway import events
from tests.unit.test_gate import HIDDEN, Broken, Server, serving
from tests.unit.test_http_port import anybody

RUNS = "/api/v1/tenants/acme_corp/runs"


class Failing(PipelineServiceServicer):
    """Fails as the run's id says; to list runs it does not offer."""

    def __init__(self) -> None:
        self.waits, self.left = asyncio.Event(), asyncio.Event()
        """A call waits for ever; it has ended all the same."""

    async def GetRun(self, request: GetRunRequest, context: object) -> Run:  # noqa: N802
        match request.pipeline_logging_id:
            case "busy":
                raise StoreBusy
            case "provider":
                raise ProviderUnavailable
            case "for_ever":
                self.waits.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    self.left.set()
        raise RuntimeError(HIDDEN)

    async def GetRunStatus(  # noqa: N802
        self, request: GetRunStatusRequest, context: object
    ) -> AsyncIterator[RunEvent]:
        yield RunEvent(sequence=1, run=Run(status=Run.RUNNING))
        raise RuntimeError(HIDDEN)


class Cancelling(PipelineServiceServicer):
    """Ends its call as if its caller had."""

    async def GetRun(self, request: GetRunRequest, context: Context) -> NoReturn:  # noqa: N802
        await context.abort(grpc.StatusCode.CANCELLED)


@asynccontextmanager
async def over_http(target: str, require_known: RequireKnown, key: str = "") -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody with that key, at a port of HTTP before that server."""
    async with grpc.aio.insecure_channel(target) as channel:
        gateway = Gateway(DESCRIPTORS, channel, require_known)
        port = HttpPort(gateway.handle, {}, max_connections=9, grace_seconds=0)
        url = f"http://127.0.0.1:{await port.start('127.0.0.1', 0)}"
        async with aiohttp.ClientSession(url, headers={"X-API-Key": key} if key else {}) as session:
            yield session
        await port.stop()


def by_operator(server: Server) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
    return over_http(server.target, server.gate.require_known, server.add_key(scopes='["admin"]').text)


@pytest.fixture
async def servicer() -> Failing:
    return Failing()


@pytest.fixture
async def http(tmp_path: Path, servicer: Failing) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving(tmp_path, servicer, Broken(), answer_seconds=1) as server,
        by_operator(server) as session,
    ):
        yield session


async def refused(answer: aiohttp.ClientResponse) -> tuple[int, str, str]:
    """Status, gRPC code and reason; the text of what has failed is nobody's business."""
    text = await answer.text()
    assert HIDDEN not in text
    error: dict[str, Any] = (await answer.json())["error"]
    assert error["code"] == answer.status
    assert error["message"]
    return answer.status, error["status"], error["details"][0]["reason"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{RUNS}/any", (500, "INTERNAL", "INTERNAL")),
        ("/api/v1/system", (500, "INTERNAL", "INTERNAL")),
        (RUNS, (501, "UNIMPLEMENTED", "NOT_IMPLEMENTED")),
        ("/api/v1/tenants/acme_corp", (501, "UNIMPLEMENTED", "NOT_IMPLEMENTED")),
        (f"{RUNS}/busy", (503, "UNAVAILABLE", "STORE_UNAVAILABLE")),
        (f"{RUNS}/provider", (503, "UNAVAILABLE", "PROVIDER_UNAVAILABLE")),
        (f"{RUNS}/for_ever", (504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")),
    ],
)
async def test_what_the_service_says(http: aiohttp.ClientSession, path: str, expected: tuple[int, str, str]) -> None:
    async with http.get(path) as answer:
        assert await refused(answer) == expected


async def test_nobody_is_there() -> None:
    """What gRPC itself says, which has no reason of the service's."""
    async with over_http("127.0.0.1:1", anybody) as http, http.get(f"{RUNS}/any") as answer:
        assert await refused(answer) == (503, "UNAVAILABLE", "INTERNAL")


async def test_a_server_that_ends_under_a_call(tmp_path: Path, servicer: Failing) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(tmp_path, servicer, Broken()))
        async with by_operator(server) as http:
            asked = asyncio.create_task(http.get(f"{RUNS}/for_ever"))
            await servicer.waits.wait()
            await stack.aclose()
            async with asyncio.timeout(20), await asked as answer:
                assert await refused(answer) == (503, "UNAVAILABLE", "INTERNAL")


async def test_a_call_that_is_cancelled() -> None:
    server = grpc.aio.server()
    add_PipelineServiceServicer_to_server(Cancelling(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with over_http(f"127.0.0.1:{port}", anybody) as http, http.get(f"{RUNS}/any") as answer:
        assert await refused(answer) == (499, "CANCELLED", "INTERNAL")
    await server.stop(0)


async def test_a_reader_who_leaves_ends_the_call(tmp_path: Path, servicer: Failing) -> None:
    """Long before the gate would."""
    async with serving(tmp_path, servicer, Broken()) as server, by_operator(server) as http:
        asked = asyncio.create_task(http.get(f"{RUNS}/for_ever"))
        await servicer.waits.wait()
        asked.cancel()
        async with asyncio.timeout(20):
            await servicer.left.wait()


async def test_a_stream_that_fails_after_its_first_event(http: aiohttp.ClientSession) -> None:
    """What had begun as 200 ends with what would have been the answer."""
    async with asyncio.timeout(20), http.get(f"{RUNS}/any/events") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        first, last = [event async for event in events(answer) if "event" in event]
    assert (first["event"], first["id"], last["event"]) == ("run", "1", "error")
    assert "id" not in last, "there is nothing to go on from"
    assert HIDDEN not in last["data"]
    error = json.loads(last["data"])["error"]
    assert (error["code"], error["status"], error["details"][0]["reason"]) == (500, "INTERNAL", "INTERNAL")


async def test_a_stream_that_is_refused_before_its_first_event(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/backfills/any/events") as answer:
        assert await refused(answer) == (501, "UNIMPLEMENTED", "NOT_IMPLEMENTED")
