"""How soon very many schedules fire that are due at one instant, and how fast other calls are meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.figures import Figure, centile, medians
from benchmarks.place import ONE_STEP, service
from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run
from server.domain.audit import PRODUCT
from server.domain.pipeline import PipelineName
from server.domain.schedule import NewSchedule, ScheduleSettings
from server.store.opening import open_store
from server.store.sql.store import SqlStore
from tests.store.postgres import Postgres

_SCHEDULES = 5_000
_TENANTS = [f"bench_{number}" for number in range(10)]
_PIPELINE = PipelineName("bench", "", ONE_STEP)
# To store them takes half of it.
_NOTICE = timedelta(seconds=45)


async def measure(folder: Path) -> list[Figure]:
    """Seconds until the last one has fired; milliseconds of calls before that and meanwhile."""
    return await medians(_once, folder)


async def _once(folder: Path) -> list[Figure]:
    for name in ("sqlite", "postgresql"):
        (folder / name).mkdir(parents=True)
    found = await _measured(folder / "sqlite", None, "SQLite")
    postgres = Postgres.start(folder / "server")
    try:
        found += await _measured(folder / "postgresql", postgres.new_database(), "PostgreSQL")
    finally:
        postgres.stop()
    return found


async def _measured(folder: Path, database_url: str | None, name: str) -> list[Figure]:
    """A server whose control store is that one."""
    settings = {"database_url": database_url} if database_url else {}
    async with service(folder, tenants=_TENANTS, **settings) as started, started.client() as client:
        path = started.checkout / "var" / "control.sqlite3"
        store = await open_store(database_url=database_url, path=path)
        try:
            return await _fired(client, store, name)
        finally:
            await store.close()


async def _fired(client: ConvergenceClient, store: SqlStore, name: str) -> list[Figure]:
    """Store the schedules, and watch them fire."""
    instant = datetime.now(UTC) + _NOTICE
    for number in range(_SCHEDULES):
        settings = ScheduleSettings(name=_PIPELINE, interval=timedelta(days=1), start_time=instant)
        new = NewSchedule(_TENANTS[number % len(_TENANTS)], f"s{number}", settings)
        await store.create_schedule(new, by=PRODUCT, request=None)
    if datetime.now(UTC) >= instant:
        raise SystemExit("the schedules could not be stored in time")
    calm = await _asked(client, until=instant)
    firing = asyncio.create_task(_all_fired(store))
    busy = await _asked(client, until=firing)
    seconds = (await firing - instant).total_seconds()
    found = [Figure(f"{name}: {_SCHEDULES:,} schedules have fired after", seconds, "s")]
    for kind, taken in busy.items():
        for percent in (50, 99):
            told = f"{name}: {kind} while they fire, p{percent}"
            found.append(Figure(told, centile(taken, percent), "ms", centile(calm[kind], percent), "before"))
    return found


async def _all_fired(store: SqlStore) -> datetime:
    """When the last one has."""
    while True:
        count = await store._db.read(lambda tx: tx.execute("SELECT COUNT(*) AS n FROM scheduled_runs").fetchone()["n"])
        if count == _SCHEDULES:
            return datetime.now(UTC)
        await asyncio.sleep(0.2)


async def _asked(client: ConvergenceClient, *, until: "datetime | asyncio.Task[datetime]") -> dict[str, list[float]]:
    """Milliseconds of health checks, lists of runs and new runs, one after the other."""
    health = health_pb2_grpc.HealthStub(client._channel)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "health": lambda: health.Check(health_pb2.HealthCheckRequest(), timeout=30),
        "ListRuns": lambda: client.list_runs(_TENANTS[0], statuses=[Run.FAILED], page_size=20),
        "RunPipeline": lambda: client.run_pipeline(
            tenant_id=_TENANTS[0], provider=_PIPELINE.provider, template_name=_PIPELINE.template_name
        ),
    }
    times = {kind: list[float]() for kind in calls}
    while not (until.done() if isinstance(until, asyncio.Task) else datetime.now(UTC) >= until):
        for kind, call in calls.items():
            began = time.perf_counter()
            await call()
            times[kind].append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(0.05)
    return times
