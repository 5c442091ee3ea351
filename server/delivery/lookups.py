"""Where hosts are: asked in threads of the deliveries' own.

The event loop looks names up in the pool that processors share, and they may leave threads there that never end.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

_AT_ONCE = 8

_THREADS = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="lookup")


class Lookups(AbstractResolver):
    """Asks the system's resolver."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The host's addresses. Raises OSError."""
        look = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(_THREADS, look)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=int(address[1]), family=kind, proto=protocol, flags=flags
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def connected(host: str, port: int) -> socket.socket:
    """A connection to the first of the host's addresses that takes one. Raises OSError."""
    failure: OSError | None = None
    for found in await Lookups().resolve(host, port, socket.AF_UNSPEC):
        connection = socket.socket(found["family"], socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (found["host"], found["port"]))
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure or OSError(f"{host} has no address")


async def own_name() -> str:
    """How this machine introduces itself."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, socket.getfqdn)
