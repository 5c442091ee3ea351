"""A proxy between BigQuery's client and the server: records every request, and lets some of them go wrong.

It runs in the event loop of the test, so a test calls a blocking client in a thread.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.bigquery.messages import Reply, Request

Fault = Callable[["Exchange"], Awaitable[None]]
"""What happens to a request instead of being forwarded and answered; `faults` has some, a test may write its own."""


class Exchange:
    """One request on its way. Whoever has it may forward it, answer it, both or neither, and wait in between.

    Left without an answer, the client's connection is closed.
    """

    def __init__(self, request: Request, upstream: tuple[str, int], client: asyncio.StreamWriter) -> None:
        self.request = request
        self.answered = False
        """Completely, so that the client can send its next request."""
        self._upstream = upstream
        self._client = client

    async def forward(self) -> Reply:
        """Send the request to the server, whether or not the client is still there; the server's reply."""
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(self.request.to_server())
            await writer.drain()
            return Reply.received(await reader.read())
        finally:
            writer.close()

    async def answer(self, reply: Reply) -> None:
        """Send the whole reply to the client."""
        await self._send(bytes(reply))
        self.answered = True

    async def answer_in_part(self, reply: Reply) -> None:
        """Send the head of the reply and half of its body."""
        await self._send(bytes(reply)[: -len(reply.content) // 2])

    async def _send(self, message: bytes) -> None:
        self._client.write(message)
        await self._client.drain()


@dataclass
class _Plan:
    """The fault of the `nth` request and of those that follow it, `times` in all."""

    where: re.Pattern[str]
    fault: Fault
    nth: int
    times: int
    seen: int = 0

    def meets(self, request: Request) -> bool:
        if not self.where.search(request.line):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


@dataclass
class Proxy:
    """A proxy in front of one server."""

    upstream: tuple[str, int]
    requests: list[Request] = field(default_factory=list)
    """All that came, in order, also those that were never forwarded."""
    _plans: list[_Plan] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    async def open(cls, upstream: str) -> "Proxy":
        """Listen on a port that the system chooses, for the server at this URL."""
        address = urlsplit(upstream)
        assert address.hostname is not None
        assert address.port is not None
        proxy = cls((address.hostname, address.port))
        proxy._server = await asyncio.start_server(proxy._connected, "127.0.0.1", 0)
        return proxy

    @property
    def endpoint(self) -> str:
        """The URL for the client."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    def fail(self, where: str, fault: Fault, *, nth: int = 1, times: int = 1) -> None:
        """Let a fault happen to the `nth` request from now on that `where` is found in, and to `times - 1` after it.

        `where` is a regular expression, searched in the request's `line`. Of several faults for one request the first
        one happens.
        """
        self._plans.append(_Plan(re.compile(where), fault, nth, times))

    def mend(self) -> None:
        """No more faults from now on; those under way go on."""
        self._plans.clear()

    def sent(self, where: str) -> list[Request]:
        """The requests so far that `where` is found in, as in `fail`."""
        return [request for request in self.requests if re.search(where, request.line)]

    async def close(self) -> None:
        """Close every connection.

        Raises:
            ExceptionGroup: what went wrong in a test's own faults, or on the way to the server.
        """
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        ended = await asyncio.gather(*self._connections, return_exceptions=True)
        if errors := [error for error in ended if isinstance(error, Exception)]:
            raise ExceptionGroup("in the proxy", errors)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await Request.read(reader)) and await self._exchange(request, writer):
                pass
        finally:
            writer.close()

    async def _exchange(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Carry out one request; whether the connection stays open."""
        self.requests.append(request)
        exchange = Exchange(request, self.upstream, writer)
        try:
            await self._fault_of(request)(exchange)
        except ConnectionError:
            if not writer.is_closing():
                raise
        return exchange.answered and not request.closes

    def _fault_of(self, request: Request) -> Fault:
        met = [plan.fault for plan in self._plans if plan.meets(request)]
        return met[0] if met else pass_through


async def pass_through(exchange: Exchange) -> None:
    """No fault."""
    await exchange.answer(await exchange.forward())
