"""Runs a second with the control store in PostgreSQL, and one or several workers."""

import asyncio
import time
from contextlib import closing
from pathlib import Path

import psycopg

from benchmarks.figures import Figure, at_least_of_limit, medians
from benchmarks.limits import timed
from benchmarks.place import ONE_STEP, WAITING, add_files, submit
from convergence.client import ConvergenceClient
from tests.bigquery.server import BigQueryServer
from tests.e2e.on_bigquery import proxy_of, service_on
from tests.e2e.service import onboard
from tests.store.postgres import Postgres

_TENANTS = [f"bench_{number:02}" for number in range(10)]
_IN_FLIGHT = 32
_WORKERS = (1, 3)
# Runs of a pipeline, and what its steps do.
_LOADS = ((ONE_STEP, 600, "that do nothing"), (WAITING, 400, "that wait for 0.3 s"))


async def measure(folder: Path) -> list[Figure]:
    """More workers do more where steps wait for others; where they do nothing, the machine's cores are the limit."""
    return await medians(_once, folder)


async def _once(folder: Path) -> list[Figure]:
    for name in ("bigquery", "postgres"):
        (folder / name).mkdir(parents=True)
    server, postgres = BigQueryServer.start(folder / "bigquery"), Postgres.start(folder / "postgres")
    try:
        rates = {count: await _rates(folder / f"with_{count}", server, postgres, count) for count in _WORKERS}
    finally:
        postgres.stop()
        server.stop()
    return [
        Figure(
            f"{runs:,} runs with steps {told}, PostgreSQL, workers: {count}",
            rates[count][template],
            "runs/s",
            rates[1][template],
            "with one worker",
            at_least_of_limit(1.0001) if count > 1 else None,
        )
        for template, runs, told in _LOADS
        for count in _WORKERS
    ]


async def _rates(folder: Path, server: BigQueryServer, postgres: Postgres, workers: int) -> dict[str, float]:
    """By the pipeline."""
    url = postgres.new_database()
    async with proxy_of(server) as proxy:
        settings = {"database_url": url, "workers": str(workers)}
        async with service_on(proxy, folder, **settings) as started, started.client() as client:
            add_files(started.checkout)
            for tenant_id in _TENANTS:
                await onboard(started, tenant_id)
            return {template: await _rate(client, url, template, runs) for template, runs, _ in _LOADS}


async def _rate(client: ConvergenceClient, url: str, template: str, runs: int) -> float:
    number = 0

    async def start() -> None:
        nonlocal number
        number += 1
        await submit(client, _TENANTS[number % len(_TENANTS)], template)

    began = time.perf_counter()
    await timed(start, calls=runs, in_flight=_IN_FLIGHT)
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        statement = "SELECT COUNT(*) FROM runs WHERE template_name = %s AND status = 'SUCCESS'"
        while connection.execute(statement, [template]).fetchone() != (runs,):
            await asyncio.sleep(0.05)
    return runs / (time.perf_counter() - began)
