"""How late the events of one run reach those who follow it, beside a gRPC stream that does nothing but fan out."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from benchmarks.figures import ROUNDS, Figure, at_most_of_limit, centile
from benchmarks.limits import raw_server
from benchmarks.place import ONE_STEP, again, service
from convergence.v1.pipeline_service_pb2 import GetRunStatusRequest, RunPipelineRequest
from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceStub
from server.domain.quotas import Quotas
from server.domain.run import LogEntry
from server.plans import PlansFile
from server.store.sqlite import open_sqlite
from tests.e2e.service import Service

_DELIVERIES = 2_000
"""A second, to all who follow together."""
_SECONDS = 5.0
_TENANT = "bench_corp"
# Each is a connection that some of those who follow share.
_CHANNELS = 10

Arrivals = AsyncIterator[str]
"""The numbers of what is told, as it comes; '' for what is not of the benchmark's."""


async def measure(folder: Path) -> list[Figure]:
    """The 99th percentile of the milliseconds from an event's commit until a follower has it."""
    found = []
    async with service(folder, tenants=[_TENANT]) as first:
        pass
    async with again(first, workers="0", max_streams_per_key="2000") as started:
        for watchers in (10, 100, 1_000):
            rounds = [(await _of_run(started, watchers), await _of_raw(watchers)) for _ in range(ROUNDS)]
            lag, raw = map(statistics.median, zip(*rounds, strict=True))
            name = f"{watchers:,} follow one run, {_DELIVERIES:,} deliveries/s: p99 of the lag"
            found.append(Figure(name, lag, "ms", raw, "raw grpc.aio fan-out", at_most_of_limit(2)))
    return found


async def _of_run(started: Service, watchers: int) -> float:
    """Events are written as a worker writes them."""
    metadata = (("x-api-key", started.admin_key),)
    store = await open_sqlite(started.checkout / "var" / "control.sqlite3")
    plans = PlansFile(started.checkout / "configs/plans.yml", base=Quotas()).current()
    try:
        async with _channels(started.target) as channels:
            stubs = [PipelineServiceStub(channel) for channel in channels]
            wanted = RunPipelineRequest(tenant_id=_TENANT, provider="bench", template_name=ONE_STEP)
            run = await stubs[0].RunPipeline(wanted, metadata=metadata)
            claim = await store.claim("bench", lease_seconds=300, plans=plans)
            assert claim is not None
            request = GetRunStatusRequest(tenant_id=_TENANT, pipeline_logging_id=run.pipeline_logging_id)

            async def follow(number: int) -> Arrivals:
                async for event in stubs[number % _CHANNELS].GetRunStatus(request, metadata=metadata):
                    yield event.log.message

            async def tell(number: str) -> float:
                await store.add_logs(claim.lease, [LogEntry(level="INFO", message=number)])
                return time.time()

            return await _lag(watchers, follow, tell)
    finally:
        await store.close()


async def _of_raw(watchers: int) -> float:
    async with raw_server() as target, _channels(target) as channels:

        async def follow(number: int) -> Arrivals:
            call: Any = channels[number % _CHANNELS].unary_stream("/raw.Raw/Follow")
            async for message in call(b""):
                yield message.decode().strip()

        async def tell(number: str) -> float:
            call: Any = channels[0].unary_unary("/raw.Raw/Tell")
            return float(await call(number.ljust(100).encode()))

        return await _lag(watchers, follow, tell)


async def _lag(watchers: int, follow: Callable[[int], Arrivals], tell: Callable[[str], Awaitable[float]]) -> float:
    """Let as many follow, and tell as often that they get as many deliveries as they should.

    `tell` answers since when others can know of it: what that took before is not the followers' lag.
    """
    arrived = list[tuple[str, float]]()
    known_since: dict[str, float] = {}
    follow_it, all_follow = set[int](), asyncio.Event()
    count = int(_DELIVERIES * _SECONDS / watchers)

    async def take(number: int) -> None:
        left = count
        async for told in follow(number):
            follow_it.add(number)
            if len(follow_it) == watchers:
                all_follow.set()
            if told:
                arrived.append((told, time.time()))
                left -= 1
            if not left:
                return

    taking = [asyncio.create_task(take(number)) for number in range(watchers)]
    async with asyncio.timeout(60):
        await all_follow.wait()
    # A moment more, so that nothing is left to do but to follow.
    await asyncio.sleep(1)
    began = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number * watchers / _DELIVERIES - time.perf_counter()))
        known_since[str(number)] = await tell(str(number))
    async with asyncio.timeout(60):
        await asyncio.gather(*taking)
    return centile([1_000 * max(0.0, at - known_since[told]) for told, at in arrived], 99)


@asynccontextmanager
async def _channels(target: str) -> AsyncIterator[Sequence[grpc.aio.Channel]]:
    # Without this option they would share one connection.
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with AsyncExitStack() as stack:
        opened = [grpc.aio.insecure_channel(target, options) for _ in range(_CHANNELS)]
        yield [await stack.enter_async_context(channel) for channel in opened]
