"""Whether what has been makes slower what is: the same calls with very many runs in the control store."""

import sqlite3
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, at_most_of_limit
from benchmarks.place import again, ended, follow, service, submit
from server.domain.quotas import Quotas
from server.plans import PlansFile
from server.store.sqlite import open_sqlite

_STORED = (1_000, 100_000, 1_000_000)
_CALLS = 60
_TENANTS = [f"bench_{number:02}" for number in range(20)]
_OF_RUN = ("runs", "steps", "events", "snapshots")
_AT_A_TIME = 10_000


async def measure(folder: Path) -> list[Figure]:
    """Milliseconds, in the middle, of calls that everybody makes all the time."""
    async with service(folder, tenants=_TENANTS) as started, started.client() as client:
        run = await submit(client, _TENANTS[0])
        await follow(client, run)
        await started.comes_to_rest()
    path = started.checkout / "var" / "control.sqlite3"
    found, least = [], dict[str, float]()
    stored = ended(started)
    for count in _STORED:
        _multiply(path, run.pipeline_logging_id, count - stored)
        stored = count
        async with again(started, workers="0") as alone, alone.client() as client:
            store = await open_sqlite(path)
            plans = PlansFile(started.checkout / "configs/plans.yml", base=Quotas()).current()

            async def claim() -> None:
                assert await store.claim("bench", lease_seconds=300, plans=plans) is not None

            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "ListRuns, a page of 50 of a tenant": lambda: client.list_runs(_TENANTS[0], page_size=50),
                "ListRuns, a page of 50 of all": lambda: client.list_runs(page_size=50),
                "GetRunStatus, a run that has ended": lambda: follow(client, run),
                "RunPipeline": lambda: submit(client, _TENANTS[0]),
                "claim": claim,
            }
            for name, call in calls.items():
                milliseconds = await _middle(call)
                least.setdefault(name, milliseconds)
                reach = at_most_of_limit(1.5) if count > _STORED[0] else None
                limit = f"with {_STORED[0]:,} runs"
                found.append(Figure(f"{name}, {count:,} runs", milliseconds, "ms", least[name], limit, reach))
            await store.close()
        _end_active(path)
    return found


async def _middle(call: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(_CALLS):
        began = time.perf_counter()
        await call()
        times.append(1_000 * (time.perf_counter() - began))
    return statistics.median(times)


def _multiply(path: Path, run_id: str, count: int) -> None:
    """Store so many runs that are as that one was, over all tenants and the year before it."""
    pause = 365 * 86_400 * 1_000_000 // max(count, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        originals = {table: _rows(connection, table, run_id) for table in _OF_RUN}
        for first in range(0, count, _AT_A_TIME):
            numbers = range(first, min(first + _AT_A_TIME, count))
            new = {number: {"pipeline_logging_id": str(uuid.uuid4())} for number in numbers}
            for table, rows in originals.items():
                for row in rows:
                    copies = [row | new[number] for number in numbers]
                    if table == "runs":
                        copies = [
                            _earlier(copy, (number + 1) * pause) | {"tenant_id": _TENANTS[number % len(_TENANTS)]}
                            for number, copy in zip(numbers, copies, strict=True)
                        ]
                    marks = ", ".join("?" * len(row))
                    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
                    connection.executemany(statement, [list(copy.values()) for copy in copies])
            connection.commit()
        connection.execute("PRAGMA optimize")


def _rows(connection: sqlite3.Connection, table: str, run_id: str) -> list[dict[str, Any]]:
    found = connection.execute(f"SELECT * FROM {table} WHERE pipeline_logging_id = ?", (run_id,))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _earlier(run: dict[str, Any], micros: int) -> dict[str, Any]:
    return run | {name: run[name] - micros for name in ("created_at", "started_at", "finished_at")}


def _end_active(path: Path) -> None:
    """What the benchmark has claimed is over, or the next service would wait for it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE runs SET status = 'CANCELLED', finished_at = created_at WHERE finished_at IS NULL")
        connection.execute("UPDATE queues SET pending = 0, active = 0")
        connection.commit()
