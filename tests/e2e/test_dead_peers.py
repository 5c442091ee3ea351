"""A peer that is gone without a word: no FIN, no answer to anything, as behind a cable that was pulled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from convergence.client import ConvergenceClient
from convergence.v1.pipeline_service_pb2 import GetRunStatusRequest
from convergence.v1.run_pb2 import Run, RunEvent
from tests.e2e.service import Service, make_checkout, onboard, start


class Line:
    """Between clients and a server. Who is connected when it is cut hears nothing any more; who connects later does."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []

    async def open(self) -> str:
        """Answers the address for clients."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._target.rpartition(":")
        answers, forth = await asyncio.open_connection(host, int(port))
        self._ends += [writer, forth]
        for source, sink in ((reader, forth), (answers, writer)):
            self._carrying.add(asyncio.create_task(self._carry(source, sink)))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def cut(self) -> None:
        """Carry nothing of the present connections any more, and leave them open."""
        ending, self._carrying = self._carrying, set()
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def close(self) -> None:
        await self.cut()
        for end in self._ends:
            end.close()
        if self._server is not None:
            self._server.close()


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    started = await Service.start(make_checkout(tmp_path_factory.mktemp("checkout")), max_streams_per_key="1")
    yield started
    await started.stop()


@pytest.fixture(scope="module")
async def key(service: Service) -> str:
    return await onboard(service, "acme_corp")


@pytest.fixture
async def line(service: Service) -> AsyncIterator[Line]:
    made = Line(service.target)
    yield made
    await made.close()


@pytest.fixture
async def run(service: Service, key: str, tmp_path: Path) -> AsyncIterator[Run]:
    """A run that goes on until the file `open` is there."""
    async with service.client(key) as client:
        yield await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        (tmp_path / "open").touch()


async def refusal(client: ConvergenceClient, run: Run) -> grpc.StatusCode | None:
    """How a watcher is refused; None when it is let in."""
    stream = client.pipelines.GetRunStatus(GetRunStatusRequest(pipeline_logging_id=run.pipeline_logging_id))
    try:
        await stream.read()
    except grpc.aio.AioRpcError as error:
        return error.code()
    stream.cancel()
    return None


async def test_a_watcher_that_is_gone_gives_its_place_back(service: Service, key: str, line: Line, run: Run) -> None:
    async with ConvergenceClient(await line.open(), api_key=key) as gone, service.client(key) as other:
        stream = gone.pipelines.GetRunStatus(GetRunStatusRequest(pipeline_logging_id=run.pipeline_logging_id))
        assert isinstance(await stream.read(), RunEvent)
        await line.cut()
        assert await refusal(other, run) is grpc.StatusCode.RESOURCE_EXHAUSTED
        # Nobody tells the server; it looks after ten seconds of silence, and waits three for an answer.
        async with asyncio.timeout(25):
            while await refusal(other, run) is not None:
                await asyncio.sleep(0.1)
        stream.cancel()


async def test_a_watcher_whose_server_is_gone_goes_on_where_it_was(
    service: Service, key: str, line: Line, run: Run, tmp_path: Path
) -> None:
    seen, losses = list[int](), list[int]()
    async with ConvergenceClient(await line.open(), api_key=key) as client, asyncio.timeout(40):
        watch = client.watch("acme_corp", run.pipeline_logging_id, on_connection_loss=lambda: losses.append(len(seen)))
        async for event in watch:
            seen.append(event.sequence)
            if len(seen) == 2:
                await line.cut()
                (tmp_path / "open").touch()
    assert len(losses) == 1
    assert losses[0] < len(seen)
    assert seen == list(range(1, len(seen) + 1))
