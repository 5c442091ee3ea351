"""A grpc.aio server that does nothing: it echoes, and its streams fan out what one of them is told."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc


class Raw:
    """`Echo` answers with what it got; `Follow` streams what `Tell` is told, which answers when it was told."""

    def __init__(self) -> None:
        self._last = b""
        self._number = 0
        self._changed = asyncio.Condition()

    async def echo(self, request: bytes, _: Any) -> bytes:
        """The same."""
        return request

    async def tell(self, request: bytes, _: Any) -> bytes:
        """Tell all who follow."""
        async with self._changed:
            self._number += 1
            self._last, now = request, time.time()
            self._changed.notify_all()
        return str(now).encode()

    async def follow(self, _request: bytes, _: Any) -> AsyncIterator[bytes]:
        """An empty message, and what is told from now on."""
        seen = self._number
        yield b""
        while True:
            async with self._changed:
                await self._changed.wait_for(partial(self._is_beyond, seen))
            seen = self._number
            yield self._last

    def _is_beyond(self, seen: int) -> bool:
        return self._number > seen


async def main() -> None:
    """Serve until killed."""
    raw = Raw()
    server = grpc.aio.server()
    handlers: dict[str, Any] = {
        "Echo": grpc.unary_unary_rpc_method_handler(raw.echo),
        "Tell": grpc.unary_unary_rpc_method_handler(raw.tell),
        "Follow": grpc.unary_stream_rpc_method_handler(raw.follow),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("raw.Raw", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
