"""The port that HTTP is spoken on."""

import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.log import server_logger

from server.domain.faults import CannotStart
from server.gateway.app import MOST_BYTES
from server.gateway.errors import TooManyConnections, refusal
from server.metrics import HTTP_ANSWERS

_KEEP_SECONDS = 75.0
_HEADER_BYTES = 16 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a failure is of the server's own making: what comes from a client that speaks no HTTP is not."""
    return not (record.exc_info and isinstance(record.exc_info[1], BadHttpMessage))


class HttpPort:
    """Serves on one address until stopped."""

    def __init__(
        self, handler: Handler, pages: Mapping[str, Handler], *, max_connections: int, grace_seconds: float
    ) -> None:
        """`handler` gets what is asked for at an address that has no page."""
        self._handler = handler
        self._max_connections = max_connections
        app = web.Application(client_max_size=MOST_BYTES)
        server_logger.addFilter(_is_ours)
        for path, page in pages.items():
            app.router.add_get(path, page)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._handle)
        # A caller who has left needs no answer, and a stream without a reader ends.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=_KEEP_SECONDS,
            auto_decompress=False,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
            shutdown_timeout=grace_seconds,
        )

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Bind and serve; answers the port.

        Raises:
            CannotStart: the address cannot be bound.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        except OSError:
            await self.stop()
            raise CannotStart(
                f"{host}:{port} cannot be bound for HTTP: another process has it, or it is not an address;"
                " see CONVERGENCE_HTTP_PORT, for a worker alone CONVERGENCE_WORKER_HTTP_PORT"
            ) from None
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Take no more requests, and let those under way end for `grace_seconds`."""
        with suppress(ConnectionError):
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        server = self._runner.server
        if server is not None and len(server.connections) > self._max_connections:
            answer: web.StreamResponse = refusal(TooManyConnections())
            answer.force_close()
        else:
            answer = await self._handler(request)
        HTTP_ANSWERS.labels(str(answer.status)).inc()
        return answer
