"""A worker that takes its time to start."""

import asyncio
from pathlib import Path

from tests.chaos.clients import Clerk
from tests.chaos.conftest import Stores
from tests.chaos.faults import stall
from tests.chaos.journey import Journey
from tests.chaos.points import START
from tests.chaos.service import running


async def test_a_worker_that_starts_slowly_is_not_killed(stores: Stores, folder: Path) -> None:
    """Longer than a lease: it has none yet, and whoever killed it for that would kill the next one too."""
    place = await stores.copy("sqlite", folder)
    async with running(place, START) as service, service.client() as client:
        slow = await service.reached()
        going = asyncio.create_task(Journey(Clerk(client, [])).go("cash"))
        await stall(service, slow)
        await going
        assert service.children == [slow]
