"""A worker that stood still while another one had its runs: it goes on, and changes nothing any more."""

import asyncio
from pathlib import Path

import pytest

from convergence.v1.run_pb2 import Run
from tests.bigquery.server import BigQueryServer
from tests.chaos.clients import Clerk
from tests.chaos.conftest import onboarded
from tests.chaos.history import Call, violations
from tests.chaos.invariants import OWN, Books, books, require_copied, require_mails, require_mirrored, require_settled
from tests.chaos.journey import Journey
from tests.chaos.points import POINTS, Point, run_row
from tests.chaos.service import Place, running
from tests.store.postgres import Postgres

pytestmark = pytest.mark.chaos

_WAREHOUSE = "server.warehouse.bigquery.adapter:BigQueryWarehouse"
HELD = [
    Point("effect, after it was committed", f"{_WAREHOUSE}.write", "return"),
    Point("merge, after it was committed", f"{_WAREHOUSE}.write", "return", hit=3),
    Point("mirror, before it writes that a run goes on", f"{_WAREHOUSE}.upsert", "call", about=run_row("RUNNING")),
    *(point for point in POINTS if point.name in {
        "effect, before it begins",
        "step, before its end is recorded",
        "run, before its end is recorded",
        "mail, before it is handed over",
    }),
]  # fmt: skip


@pytest.fixture
async def place(tmp_path: Path, checkout: Path, running_postgres: Postgres, bigquery: BigQueryServer) -> Place:
    settings = {"bigquery_project": OWN.project, "bigquery_endpoint": bigquery.endpoint}
    return await onboarded(Place(checkout, tmp_path, running_postgres.new_database(), settings))


@pytest.mark.parametrize("point", HELD, ids=lambda point: point.name)
async def test_it_changes_nothing(point: Point, place: Place) -> None:
    history: list[Call] = []
    async with running(place, point, alone=True) as held, held.client() as client:
        journey = Journey(Clerk(client, history))
        going = asyncio.create_task(journey.go("cash"))
        await held.reached()
        beside = place.beside()
        async with running(beside):
            await going
            runs = list(journey.runs.values())
            assert [run.status for run in runs] == [Run.SUCCESS]
            if point.name.startswith("mirror"):
                # Which has to wait for the end of the first one's turn.
                await require_copied(place)
            held.go_on()
            # What the worker that wakes up does, it does before it ends.
            assert held.worker
            await held.worker.stop()
            await require_settled(client, runs)
            await require_copied(place)
    assert not violations(history)
    assert await books(place) == Books([("cash", 1), ("cash", 2), ("cash", 3)], [("cash", 60)])
    await require_mirrored(place, runs)
    require_mails(runs, place, beside)
