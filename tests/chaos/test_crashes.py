"""Every fault at every point of a run: the run ends, and nothing tells it from one that nothing happened to."""

import asyncio
from pathlib import Path

import pytest

from convergence.v1.run_pb2 import Run
from tests.chaos.clients import Clerk
from tests.chaos.conftest import Stores
from tests.chaos.faults import FAULTS, STALL_SECONDS, Fault, fail, stall
from tests.chaos.health import watched_health
from tests.chaos.history import Call, violations
from tests.chaos.invariants import Books, books, require_copied, require_mails, require_mirrored, require_settled
from tests.chaos.journey import Journey
from tests.chaos.points import POINTS, Point
from tests.chaos.service import Place, Service, running

ACCOUNTS = ("cash", "debt")
STORES = ("sqlite", "postgres")
HEALTH_SECONDS = 5
SHORT = {
    ("accept, after the commit", "kill -9", "sqlite"),
    ("effect, after it was committed", "kill -9", "postgres"),
    ("effect, before it begins", "stall", "sqlite"),
    ("run, before its end is recorded", "disk full", "postgres"),
}
"""What `make test` runs; `make chaos` runs all."""


async def _journey(service: Service, point: Point | None = None, fault: Fault | None = None) -> list[Run]:
    """Run the pipeline for each account, and let it meet the fault; all runs, as they ended."""
    history: list[Call] = []
    async with watched_health(service.target) as health, service.client() as client:
        journey = Journey(Clerk(client, history))
        async with asyncio.TaskGroup() as group:
            for account in ACCOUNTS:
                group.create_task(journey.go(account))
            if fault:
                hit = await service.reached()
                await fault(service, hit)
        await require_settled(client, journey.runs.values())
        await require_copied(service.place)
        still = STALL_SECONDS if fault is stall and point and point.process == "server" else 0
        assert health.longest_silence < HEALTH_SECONDS + still
        if fault is stall:
            assert hit in service.pids, "what stood still woke up, and went on"
    fails = fault is fail and point is not None and point.process == "server"
    assert not violations(history, injected=int(fails))
    return list(journey.runs.values())


async def _require_traces(place: Place, runs: list[Run], expected: Books) -> None:
    """What a stopped service leaves."""
    assert await books(place) == expected
    await require_mirrored(place, runs)
    require_mails((run for run in runs if run.status == Run.SUCCESS), place)


@pytest.fixture(scope="session")
async def clean(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Books:
    """What one clean run for each account leaves."""
    place = await stores.copy("sqlite", tmp_path_factory.mktemp("clean"))
    async with running(place) as service:
        runs = await _journey(service)
    expected = await books(place)
    assert len(expected.entries) == 3 * len(ACCOUNTS)
    assert expected.balances == [(account, 60) for account in ACCOUNTS]
    await _require_traces(place, runs, expected)
    return expected


def _cases() -> list[object]:
    return [
        pytest.param(
            point,
            fault,
            store,
            marks=[] if (point.name, name, store) in SHORT else pytest.mark.long,
            id=f"{point.name}: {name}, {store}",
        )
        for point in POINTS
        for name, fault in FAULTS.items()
        for store in STORES
    ]


@pytest.mark.parametrize(("point", "fault", "store"), _cases())
async def test_fault(point: Point, fault: Fault, store: str, stores: Stores, folder: Path, clean: Books) -> None:
    """A worker that stalls is on its own, since a server would have killed it before it goes on."""
    place = await stores.copy(store, folder)
    async with running(place, point, alone=fault is stall) as service:
        runs = await _journey(service, point, fault)
    await _require_traces(place, runs, clean)


def test_the_short_selection_is_part_of_the_matrix() -> None:
    assert {(point.name, fault, store) for point in POINTS for fault in FAULTS for store in STORES} > SHORT
