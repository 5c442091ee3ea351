"""How long a run waits whose worker is lost without anybody knowing."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run, StepRun
from tests.bigquery.server import BigQueryServer
from tests.chaos.conftest import onboarded
from tests.chaos.invariants import OWN
from tests.chaos.service import TENANT, Place, lone_worker, running
from tests.e2e.service import finished, start
from tests.store.postgres import Postgres

SLACK_SECONDS = 5
"""After the end of the lease: others look every second, and may be busy."""


@pytest.mark.long
@pytest.mark.parametrize("lease_seconds", [3, pytest.param(30, id="the default, 30")])
async def test_a_lost_workers_run_is_taken_over_soon_after_its_lease(
    lease_seconds: int, tmp_path: Path, checkout: Path, running_postgres: Postgres, bigquery: BigQueryServer
) -> None:
    """By the database's clock, which is the one of leases and events."""
    settings = {"bigquery_project": OWN.project, "bigquery_endpoint": bigquery.endpoint, "worker_concurrency": "1"}
    place = await onboarded(Place(checkout, tmp_path, running_postgres.new_database(), settings))
    place = replace(place, settings={**settings, "lease_seconds": str(lease_seconds)})
    async with running(place, workers=0) as service, service.client() as client, lone_worker(place) as lost:
        run = await start(client, TENANT, "chaos/pauses", variables={"seconds": "300"})
        await _attempt_begins(client, run, 1)
        async with lone_worker(place.beside()):
            # Which only the other worker can have done: it is there, and looks for work.
            quick = await start(client, TENANT, "chaos/pauses", variables={"seconds": "0"})
            assert (await finished(client, quick)).status == Run.SUCCESS
            await lost.kill()
            killed_at = _database_now(place)
            waited = (await _attempt_begins(client, run, 2) - killed_at).total_seconds()
            assert 0 < waited < lease_seconds + SLACK_SECONDS
            await client.cancel_run(TENANT, run.pipeline_logging_id)
            assert (await finished(client, run)).status == Run.CANCELLED


async def _attempt_begins(client: ConvergenceClient, run: Run, attempt: int) -> datetime:
    """When the run's first step is begun for that time."""
    async for event in client.watch(TENANT, run.pipeline_logging_id):
        if (event.step.attempt, event.step.status) == (attempt, StepRun.RUNNING):
            return event.time.ToDatetime(UTC)
    raise AssertionError("the run has ended")


def _database_now(place: Place) -> datetime:
    with psycopg.connect(place.database_url) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row
    now: datetime = row[0]
    return now
