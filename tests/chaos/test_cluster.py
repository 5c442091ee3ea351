"""Two servers and three workers on one PostgreSQL and one BigQuery, of which any is killed at any moment."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run
from tests.bigquery.server import BigQueryServer
from tests.chaos.clients import Clerk
from tests.chaos.history import Call, violations
from tests.chaos.invariants import OWN, Books, books, require_copied, require_mirrored, require_settled
from tests.chaos.journey import Journey
from tests.chaos.players import Table, call_any, finish
from tests.chaos.service import Place, Process, Service, lone_worker, running
from tests.e2e.service import finished
from tests.store.postgres import Postgres

T = TypeVar("T")

TENANTS = ("acme_corp", "rival_inc")
JOURNEY_SECONDS = 90
PAUSE_SECONDS = (0.2, 0.8)
"""Between two kills."""
PLAYERS = 2
"""Of each tenant, on each server."""
KILLS = 24


@dataclass(frozen=True)
class Cluster:
    """Each server has a worker, and there is one more; whatever ends is started again."""

    place: Place
    servers: tuple[Service, Service]
    worker: Process

    @property
    def victims(self) -> list[list[int]]:
        """The process ids of each of the five; of one that is only just started again, none."""
        own = [process.pid for process in (*(service.server for service in self.servers), self.worker)]
        return [*([pid] if pid else [] for pid in own), *(service.children for service in self.servers)]

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[list[ConvergenceClient]]:
        """The operator's, on each of the servers."""
        key = self.servers[0].admin_key
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(server.client(key)) for server in self.servers]

    async def ready(self) -> None:
        """Until both servers answer."""
        for server in self.servers:
            await server.ready()


@pytest.fixture
async def cluster(
    tmp_path: Path, checkout: Path, running_postgres: Postgres, bigquery: BigQueryServer
) -> AsyncIterator[Cluster]:
    settings = {"bigquery_project": OWN.project, "bigquery_endpoint": bigquery.endpoint}
    place = Place(checkout, tmp_path, running_postgres.new_database(), settings)
    async with (
        running(place) as first,
        running(place.beside("second")) as second,
        lone_worker(place.beside("third")) as worker,
    ):
        yield Cluster(place, (first, second), worker)


async def _kill_any(cluster: Cluster, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))
        for pid in chance.choice(cluster.victims):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Customer:
    """A tenant whose clients, on both servers, have books kept all the while, and play with other runs."""

    def __init__(self, tenant_id: str, clients: Sequence[ConvergenceClient], chance: random.Random) -> None:
        self.tenant_id = tenant_id
        self._clients = clients
        self._history: list[Call] = []
        self._clerks = [Clerk(client, self._history, tenant_id) for client in clients] * PLAYERS
        self._table = Table(chance)
        self._accounts: list[str] = []

    async def onboard(self) -> None:
        made = await self._clients[0].onboard_tenant(tenant_id=self.tenant_id)
        assert (await finished(self._clients[0], made.run)).status == Run.SUCCESS

    async def work(self, killing: "asyncio.Task[None]") -> None:
        """As long as processes are killed, and until the work is done."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_books(killing))
            for clerk in self._clerks:
                group.create_task(self._play(clerk, killing))

    async def _keep_books(self, killing: "asyncio.Task[None]") -> None:
        journey = Journey(self._clerks[-1], seconds=JOURNEY_SECONDS)
        while not killing.done():
            self._accounts.append(f"account{len(self._accounts)}")
            await journey.go(self._accounts[-1])

    async def _play(self, clerk: Clerk, killing: "asyncio.Task[None]") -> None:
        while not killing.done():
            await call_any(clerk, self._table)
            await asyncio.sleep(self._table.chance.uniform(0, 0.2))

    async def settled(self, place: Place) -> list[Run]:
        """All that was accepted has ended, as both servers say, and nothing was written twice. The runs."""
        async for run in self._clients[0].iter_runs(self.tenant_id, provider="chaos"):
            self._table.add(run)
        runs = await finish(self._clerks[0], self._table)
        assert violations(self._history) == []
        for client in self._clients:
            await require_settled(client, runs, self.tenant_id)
        entries = [(account, n) for account in sorted(self._accounts) for n in (1, 2, 3)]
        balances = [(account, 60) for account in sorted(self._accounts)]
        assert await books(place, self.tenant_id) == Books(entries, balances)
        return runs


async def _each(customers: Sequence[Customer], call: Callable[[Customer], Awaitable[T]]) -> list[T]:
    return await asyncio.gather(*map(call, customers))


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_process_may_be_killed_at_any_moment(seed: int, cluster: Cluster) -> None:
    chance = random.Random(seed)
    async with cluster.clients() as clients:
        customers = [Customer(tenant_id, clients, chance) for tenant_id in TENANTS]
        await _each(customers, Customer.onboard)
        killing = asyncio.create_task(_kill_any(cluster, chance))
        await _each(customers, lambda customer: customer.work(killing))
        await killing
        await cluster.ready()
        runs = await _each(customers, lambda customer: customer.settled(cluster.place))
    await require_copied(cluster.place)
    for customer, own in zip(customers, runs, strict=True):
        await require_mirrored(cluster.place, own, customer.tenant_id)
