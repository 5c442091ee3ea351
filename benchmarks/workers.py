"""Runs a second with the control store in PostgreSQL, and one or several workers."""

import asyncio
import time
from contextlib import closing
from pathlib import Path

import psycopg

from benchmarks.figures import Figure, at_least_of_limit
from benchmarks.limits import timed
from benchmarks.place import ONE_STEP, add_files, submit
from tests.bigquery.server import BigQueryServer
from tests.e2e.on_bigquery import proxy_of, service_on
from tests.e2e.service import onboard
from tests.store.postgres import Postgres

_RUNS = 1_000
_TENANTS = [f"bench_{number}" for number in range(5)]
_IN_FLIGHT = 32
_WORKERS = (1, 3)


async def measure(folder: Path) -> list[Figure]:
    """More workers do more, as far as the machine has cores for them."""
    for name in ("bigquery", "postgres"):
        (folder / name).mkdir()
    server, postgres = BigQueryServer.start(folder / "bigquery"), Postgres.start(folder / "postgres")
    try:
        rates = {count: await _rate(folder / f"with_{count}", server, postgres, count) for count in _WORKERS}
    finally:
        postgres.stop()
        server.stop()
    return [
        Figure(
            f"{_RUNS:,} runs of 1 step, PostgreSQL, {count} workers",
            rate,
            "runs/s",
            rates[1],
            "with one worker",
            at_least_of_limit(1.0001) if count > 1 else None,
        )
        for count, rate in rates.items()
    ]


async def _rate(folder: Path, server: BigQueryServer, postgres: Postgres, workers: int) -> float:
    url = postgres.new_database()
    async with proxy_of(server) as proxy:
        settings = {"database_url": url, "workers": str(workers)}
        async with service_on(proxy, folder, **settings) as started, started.client() as client:
            add_files(started.checkout)
            for tenant_id in _TENANTS:
                await onboard(started, tenant_id)
            number = 0

            async def start() -> None:
                nonlocal number
                number += 1
                await submit(client, _TENANTS[number % len(_TENANTS)], ONE_STEP)

            began = time.perf_counter()
            await timed(start, calls=_RUNS, in_flight=_IN_FLIGHT)
            with closing(psycopg.connect(url, autocommit=True)) as connection:
                statement = "SELECT COUNT(*) FROM runs WHERE provider = 'bench' AND status = 'SUCCESS'"
                while connection.execute(statement).fetchone() != (_RUNS,):
                    await asyncio.sleep(0.05)
            return _RUNS / (time.perf_counter() - began)
