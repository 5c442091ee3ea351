"""How soon a service is there, and the memory that it takes."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, at_most, medians
from benchmarks.limits import timed
from benchmarks.place import again, ended, service, submit
from tests.e2e.service import Service

_PART = 2_500
_PARTS = 4
_IN_FLIGHT = 32
_TENANTS = [f"bench_{number:02}" for number in range(20)]
_GROWTH = f"growth per 1,000 runs, after the first {_PART:,}"


@dataclass(frozen=True, slots=True)
class _Resident:
    """MiB of each process."""

    server: float
    worker: float


async def measure(folder: Path) -> list[Figure]:
    """Seconds until the ready line; MiB that are resident in server and worker together."""
    return await medians(_once, folder)


async def _once(folder: Path) -> list[Figure]:
    async with service(folder, tenants=_TENANTS) as first:
        pass
    began = time.perf_counter()
    async with again(first) as started, started.client() as client:
        start_seconds = time.perf_counter() - began
        # The worker has opened the warehouse by then.
        await asyncio.sleep(5)
        idle = _resident(started)
        after = list[_Resident]()
        for part in range(_PARTS):
            number = 0

            async def start() -> None:
                nonlocal number
                number += 1
                await submit(client, _TENANTS[number % len(_TENANTS)])

            await timed(start, calls=_PART, in_flight=_IN_FLIGHT)
            while ended(started) < (part + 1) * _PART:
                await asyncio.sleep(0.1)
            await started.comes_to_rest()
            after.append(_resident(started))
    return [
        Figure("start until ready", start_seconds, "s", reach=at_most(2.5)),
        Figure("server and worker, idle", idle.server + idle.worker, "MiB", reach=at_most(220)),
        *(
            Figure(f"after {(part + 1) * _PART:,} runs", resident.server + resident.worker, "MiB")
            for part, resident in enumerate(after)
        ),
        # The first ones fill what is kept on purpose.
        Figure(f"{_GROWTH}, server", _slope([resident.server for resident in after]), "MiB", reach=at_most(1)),
        Figure(f"{_GROWTH}, worker", _slope([resident.worker for resident in after]), "MiB", reach=at_most(1)),
    ]


def _slope(resident: Sequence[float]) -> float:
    """MiB for a thousand runs, by the least squares."""
    runs = [part * _PART / 1_000 for part in range(len(resident))]
    return statistics.linear_regression(runs, resident).slope


def _resident(started: Service) -> _Resident:
    (worker,) = started.worker_pids()
    return _Resident(_status(started.process.pid, "VmRSS"), _status(worker, "VmRSS"))


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024
