"""A worker that stood still while another one had its runs: it wakes up, goes on, and changes nothing any more."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from convergence.v1.run_pb2 import Run
from tests.bigquery.server import BigQueryServer
from tests.chaos.clients import Clerk
from tests.chaos.conftest import onboarded
from tests.chaos.history import Call, violations
from tests.chaos.invariants import OWN, Books, books, require_copied, require_mails, require_mirrored, require_settled
from tests.chaos.journey import Journey
from tests.chaos.points import POINTS, Point
from tests.chaos.service import TENANT, Place, running
from tests.store.postgres import Postgres

_WAREHOUSE = "server.warehouse.bigquery.adapter:BigQueryWarehouse"
_UPSERT = f"{_WAREHOUSE}.upsert"
_RUN_ROW = f"'pipeline_id': '{TENANT}-books-cash', 'provider': "
"""What only the row of the run has, in any state."""
HELD = [
    Point("effect, after it was committed", f"{_WAREHOUSE}.write", "return"),
    Point("merge, after it was committed", f"{_WAREHOUSE}.write", "return", hit=3),
    Point("mirror, before it writes that a run goes on", _UPSERT, "call", about=_RUN_ROW),
    Point("mirror, before its acknowledgement", _UPSERT, "end", about=_RUN_ROW),
    *(point for point in POINTS if point.name in {
        "claim, after the commit",
        "effect, before it begins",
        "step, before its end is recorded",
        "run, before its end is recorded",
    }),
]  # fmt: skip
LONG_LEASE = {"lease_seconds": "120"}
"""Of the worker that stands still: when it wakes up it has no reason to doubt that its runs are its own."""


@pytest.fixture
async def place(tmp_path: Path, checkout: Path, running_postgres: Postgres, bigquery: BigQueryServer) -> Place:
    settings = {"bigquery_project": OWN.project, "bigquery_endpoint": bigquery.endpoint}
    return await onboarded(Place(checkout, tmp_path, running_postgres.new_database(), settings))


@pytest.mark.long
@pytest.mark.parametrize("point", HELD, ids=lambda point: point.name)
async def test_it_changes_nothing(point: Point, place: Place) -> None:
    history: list[Call] = []
    holding, beside = replace(place, settings={**place.settings, **LONG_LEASE}), place.beside()
    async with running(holding, point, alone=True) as held, held.client() as client:
        journey = Journey(Clerk(client, history))
        going = asyncio.create_task(journey.go("cash"))
        stands = await held.reached()
        [run] = [run async for run in client.iter_runs(TENANT, provider="chaos")]
        if run.status != Run.PENDING:  # which the mirror may have to write before anybody has claimed it
            await client.rescue_run(TENANT, run.pipeline_logging_id)
        async with running(beside):
            await going
            if point.name.startswith("mirror"):
                # Which has to wait for the end of the first one's turn.
                await require_copied(place)
        held.go_on()
        # There is no other worker now: the run is its own, and is copied after what it was copying.
        await journey.go("debt")
        await require_copied(place)
        assert held.worker
        assert held.worker.pid == stands
        assert await held.worker.stop() == 0, "it had not ended before"
        runs = list(journey.runs.values())
        assert [run.status for run in runs] == [Run.SUCCESS] * 2
        await require_settled(client, runs)
    assert not violations(history)
    assert await books(place) == Books([(of, n) for of in ("cash", "debt") for n in (1, 2, 3)],
                                       [("cash", 60), ("debt", 60)])  # fmt: skip
    await require_mirrored(place, runs)
    require_mails(runs, place, beside)
