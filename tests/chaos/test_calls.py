"""Clients that run, cancel, retry and read the same runs at once, on one server or two, while workers are killed."""

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from convergence.v1.run_pb2 import Run
from tests.chaos.clients import Clerk
from tests.chaos.conftest import Stores
from tests.chaos.history import Call, violations
from tests.chaos.invariants import require_copied, require_mirrored, require_settled
from tests.chaos.players import Table, call_any, finish
from tests.chaos.service import Service, running

CLIENTS = 6
ENDED_SECONDS = 90


async def _play(clerk: Clerk, table: Table, calls: int) -> None:
    for _ in range(calls):
        await call_any(clerk, table)
        await asyncio.sleep(table.chance.uniform(0, 0.05))


async def _kill_workers(services: list[Service], times: int) -> None:
    """kill -9 of a worker now and then; the server starts another one."""
    for _ in range(times):
        await asyncio.sleep(2)
        for service in services:
            for pid in service.children:
                os.kill(pid, signal.SIGKILL)


async def _require_good_history(services: list[Service], *, calls: int, kills: int, seed: int) -> list[Run]:
    history: list[Call] = []
    table = Table(random.Random(seed))
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(services[number % len(services)].client(services[0].admin_key))
            for number in range(CLIENTS)
        ]
        clerks = [Clerk(client, history) for client in clients]
        async with asyncio.TaskGroup() as group:
            for clerk in clerks:
                group.create_task(_play(clerk, table, calls))
            group.create_task(_kill_workers(services, kills))
        # Acknowledged or not: a run that was accepted is one that was promised.
        async for run in clients[0].iter_runs("acme_corp", provider="chaos"):
            table.add(run)
        runs = await finish(clerks[0], table)
        assert violations(history) == []
        methods = {call.method for call in history if call.run}
        assert methods == {"RunPipeline", "CancelRun", "RetryRun", "GetRun"}, "too few calls to tell anything"
        for client in clients[: len(services)]:
            await require_settled(client, runs)
    await require_copied(services[0].place)
    return runs


FEW, MANY = (100, 1), (600, 8)
"""Calls of each client, and kills meanwhile."""


@pytest.mark.parametrize(
    ("store", "calls", "kills"),
    [
        pytest.param("sqlite", *FEW, id="few calls, sqlite"),
        pytest.param("sqlite", *MANY, id="many calls, sqlite", marks=pytest.mark.long),
        pytest.param("postgres", *MANY, id="many calls, postgres", marks=pytest.mark.long),
    ],
)
async def test_one_server(store: str, calls: int, kills: int, stores: Stores, folder: Path) -> None:
    place = await stores.copy(store, folder)
    async with running(place) as service:
        runs = await _require_good_history([service], calls=calls, kills=kills, seed=1)
    await require_mirrored(place, runs)


@pytest.mark.long
async def test_two_servers(stores: Stores, folder: Path) -> None:
    """The second one has no worker: there is one embedded warehouse."""
    place = await stores.copy("postgres", folder)
    async with running(place) as first, running(place.beside(), workers=0) as second:
        calls, kills = MANY
        runs = await _require_good_history([first, second], calls=calls, kills=kills, seed=2)
    await require_mirrored(place, runs)
