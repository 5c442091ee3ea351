"""How many runs get from the request to SUCCESS, with steps that do nothing: what is left is the service's own work."""

import asyncio
import statistics
import time
from pathlib import Path

from benchmarks.figures import ROUNDS, Figure, at_least, at_most
from benchmarks.limits import sqlite_commits, timed
from benchmarks.place import FIVE_STEPS, ONE_STEP, ended, follow, service, submit

_RUNS = 2_000
_TENANTS = [f"bench_{number:02}" for number in range(20)]
_IN_FLIGHT = 64
_SINGLE_RUNS = 60


async def measure(folder: Path) -> list[Figure]:
    """Runs a second; milliseconds of one run when nothing else goes on."""
    commits = sqlite_commits(folder)
    found = []
    async with service(folder, tenants=_TENANTS) as started, started.client() as client:
        for template, reach in ((ONE_STEP, at_least(250)), (FIVE_STEPS, at_least(100))):
            number, rates = 0, list[float]()

            async def start(template: str = template) -> None:
                nonlocal number
                number += 1
                await submit(client, _TENANTS[number % len(_TENANTS)], template)

            for _ in range(ROUNDS):
                before, began = ended(started), time.perf_counter()
                await timed(start, calls=_RUNS, in_flight=_IN_FLIGHT)
                while ended(started) < before + _RUNS:
                    await asyncio.sleep(0.05)
                rates.append(_RUNS / (time.perf_counter() - began))
                await started.comes_to_rest()
            name = f"{_RUNS:,} runs of {template.removeprefix('steps_')} steps, {len(_TENANTS)} tenants"
            found.append(Figure(name, statistics.median(rates), "runs/s", commits, "raw SQLite commits", reach))
        milliseconds = []
        for _ in range(_SINGLE_RUNS):
            began = time.perf_counter()
            await follow(client, await submit(client, _TENANTS[0]))
            milliseconds.append(1_000 * (time.perf_counter() - began))
        name = "a single run of 1 step, until SUCCESS is on its stream, p50"
        found.append(Figure(name, statistics.median(milliseconds), "ms", reach=at_most(25)))
    return found
