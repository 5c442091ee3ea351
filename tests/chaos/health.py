"""Whether the server answers, all the time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub


async def is_serving(target: str) -> bool:
    """Whether the server says so, on a connection of its own."""
    async with grpc.aio.insecure_channel(target) as channel:
        try:
            answer = await HealthStub(channel).Check(HealthCheckRequest(), timeout=2)
        except grpc.aio.AioRpcError:
            return False
    return answer.status == HealthCheckResponse.SERVING


class Health:
    """The longest time in which the health service did not say that it serves."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._served_at = time.monotonic()
        self._longest = 0.0

    @property
    def longest_silence(self) -> float:
        """In seconds, with the one that lasts."""
        return max(self._longest, time.monotonic() - self._served_at)

    async def watch(self) -> None:
        """Ask again and again."""
        while True:
            if await is_serving(self._target):
                now = time.monotonic()
                self._longest = max(self._longest, now - self._served_at)
                self._served_at = now
            await asyncio.sleep(0.2)


@asynccontextmanager
async def watched_health(target: str) -> AsyncIterator[Health]:
    """The health of a server, watched all the while."""
    health = Health(target)
    watching = asyncio.create_task(health.watch())
    try:
        yield health
    finally:
        watching.cancel()
        await asyncio.wait([watching])
