"""The port of HTTP takes no more than it can, and waits for nobody for ever."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import aiohttp
import grpc
import pytest
from aiohttp import web

from server.api.app import DESCRIPTORS
from server.domain.faults import CannotStart
from server.gateway import app, listening
from server.gateway.app import Gateway
from server.gateway.listening import HttpPort
from server.gateway.pages import pages


async def echo(request: web.Request) -> web.Response:
    return web.Response(text=request.path)


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """One for two connections."""
    monkeypatch.setattr(listening, "_KEEP_SECONDS", 0.2)
    opened = HttpPort(echo, {}, max_connections=2, grace_seconds=0)
    yield await opened.start("127.0.0.1", 0)
    await opened.stop()


async def test_who_says_nothing_is_left(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # The beginning of a request is none.
    writer.write(b"GET / HTTP/1.1\r\nHost: ")
    async with asyncio.timeout(20):
        await reader.read()
    writer.close()


async def test_there_may_be_so_many_connections(port: int) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        others = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        async with session.get("/") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        for _, writer in others:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(20):
            while True:
                async with session.get("/a%0Ab") as answer:
                    if answer.status == 200:
                        assert await answer.text() == "/a\nb"
                        return


async def anybody(keys: Sequence[str], peer: str) -> None:
    assert not keys
    assert peer.startswith("ipv4:127.0.0.1:")


async def test_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BODY_SECONDS", 0.1)
    # Nothing is asked of the service before the body is there.
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        opened = HttpPort(Gateway(DESCRIPTORS, channel, anybody).handle, {}, max_connections=9, grace_seconds=0)
        port = await opened.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = ("POST /api/v1/tenants HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 9")
        writer.write("\r\n".join((*lines, "", "{")).encode())
        async with asyncio.timeout(20):
            assert (await reader.readline()).split()[1] == b"408"
        writer.close()
        await opened.stop()


async def test_who_cannot_serve_says_what_is_wrong_and_no_more() -> None:
    async def works() -> str:
        return ""

    async def is_stopping() -> str:
        return "is stopping"

    async def fails() -> str:
        raise ConnectionError("postgresql://convergence:hunter2@db")

    async def no_metrics() -> bytes:
        return b""

    probes = {"server": is_stopping, "control store": fails, "rest": works}
    opened = HttpPort(echo, pages(dict, {}, probes, no_metrics), max_connections=2, grace_seconds=0)
    port = await opened.start("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as nobody:
        async with nobody.get("/readyz") as answer:
            assert answer.status == 503
            problems = {"server": "is stopping", "control store": "does not answer"}
            assert await answer.json() == {"status": "not ready", "problems": problems}
        async with nobody.get("/healthz") as answer:
            assert answer.status == 200, "it lives, and nobody mends it by a new start"
    await opened.stop()


async def test_a_port_that_is_taken() -> None:
    first, second = (HttpPort(echo, {}, max_connections=2, grace_seconds=0) for _ in range(2))
    port = await first.start("127.0.0.1", 0)
    with pytest.raises(CannotStart, match=f"127.0.0.1:{port} cannot be bound for HTTP"):
        await second.start("127.0.0.1", port)
    await first.stop()
    await second.stop()
