"""How many runs a server accepts, each on the disk before its reply. No worker takes them meanwhile."""

import statistics
from pathlib import Path

from benchmarks.figures import ROUNDS, Figure, at_least_of_limit, centile
from benchmarks.limits import echoes, sqlite_commits, timed
from benchmarks.place import again, service, submit

_CALLS = 1_000
_TENANTS = [f"bench_{number:02}" for number in range(20)]


async def measure(folder: Path) -> list[Figure]:
    """Calls a second, and their milliseconds."""
    commits = sqlite_commits(folder)
    found = []
    async with service(folder, tenants=_TENANTS) as first:
        pass
    async with again(first, workers="0") as started, started.client() as client:
        for in_flight in (1, 16, 64):
            number = 0

            async def accept() -> None:
                nonlocal number
                number += 1
                await submit(client, _TENANTS[number % len(_TENANTS)])

            await timed(accept, calls=_CALLS // 4, in_flight=in_flight)
            rates, milliseconds = [], list[float]()
            for _ in range(ROUNDS):
                rate, times = await timed(accept, calls=_CALLS, in_flight=in_flight)
                rates.append(rate)
                milliseconds += times
            name = f"RunPipeline, {in_flight} in flight"
            raw = await echoes(calls=4 * _CALLS, in_flight=in_flight)
            reach = at_least_of_limit(0.25) if in_flight == 16 else None
            found += [
                Figure(name, statistics.median(rates), "calls/s", raw, "raw grpc.aio echo", reach),
                Figure(name, statistics.median(rates), "calls/s", commits, "raw SQLite commits"),
                Figure(f"{name}, p50", centile(milliseconds, 50), "ms"),
                Figure(f"{name}, p99", centile(milliseconds, 99), "ms"),
            ]
    return found
