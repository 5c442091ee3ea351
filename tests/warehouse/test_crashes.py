"""kill -9 at every moment of a few writes: afterwards the tables are those of one clean run."""

import asyncio
import json
import multiprocessing
import os
import random
import re
import signal
from collections import Counter
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from server.domain.schema import DatasetRef
from tests.bigquery.messages import Reply
from tests.bigquery.proxy import Exchange, Proxy
from tests.bigquery.server import BigQueryServer
from tests.warehouse import crashing
from tests.warehouse.crashing import Place, contents
from tests.warehouse.tables import PROJECT

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "2"))
"""`make chaos` asks for 200, which take minutes."""
pytestmark = pytest.mark.timeout(900)
# Of one seed, so that a failing round comes again.
CHANCE = random.Random(1)


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that have imported everything when they start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.warehouse.crashing"])
    return context


def start(processes: ForkServerContext, place: Place, *, die_at: int = 0, told: Path | None = None) -> BaseProcess:
    process = processes.Process(target=crashing.run, args=(place, die_at, told))
    process.start()
    return process


async def ended(process: BaseProcess) -> int | None:
    """Its exit code, read in no other thread: each start looks how the processes before it ended, and one can look."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, over.set)
    try:
        await over.wait()
    finally:  # of a test that is cut off, nothing may go on: pytest would wait for it
        loop.remove_reader(process.sentinel)
        process.kill()
        process.join()
    return process.exitcode


def moments(count: int) -> list[int]:
    """When to kill, of so many moments: each of them before any a second time, in no order."""
    return [moment for _ in range(ROUNDS // count + 1) for moment in CHANCE.sample(range(1, count + 1), count)][:ROUNDS]


async def test_the_embedded_warehouse(processes: ForkServerContext, tmp_path: Path) -> None:
    """Every seventh process is killed a second time, at another moment."""
    dataset = DatasetRef(PROJECT, "acme_corp")
    clean = Place(dataset, file=tmp_path / "clean.duckdb")
    assert await ended(start(processes, clean, told=tmp_path / "moments")) == 0
    expected, count = await contents(clean), int((tmp_path / "moments").read_text())
    for number, first in enumerate(moments(count)):
        place = Place(dataset, file=tmp_path / f"{number}.duckdb")
        assert await ended(start(processes, place, die_at=first)) == -signal.SIGKILL
        if number % 7 == 0:
            await ended(start(processes, place, die_at=CHANCE.randint(1, count)))
        assert await ended(start(processes, place)) == 0
        assert await contents(place) == expected, f"killed at moment {first} of {count}"


class Kills:
    """Fault of all requests: kill -9 of the process that writes a dataset, at one of its requests."""

    def __init__(self) -> None:
        self._planned: dict[str, tuple[BaseProcess, int, bool]] = {}
        self._seen = Counter[str]()

    def plan(self, place: Place, process: BaseProcess, at: int, *, forwarded: bool) -> None:
        """Before BigQuery sees the request, or when it has been `forwarded`."""
        self._planned[place.dataset.dataset] = process, at, forwarded

    async def __call__(self, exchange: Exchange) -> None:
        content = exchange.request.target + exchange.request.content.decode(errors="replace")
        dataset = next((name for name in self._planned if re.search(rf"\b{name}\b", content)), None)
        if dataset is None:
            await self._pass(exchange)
            return
        process, at, forwarded = self._planned[dataset]
        self._seen[dataset] += 1
        if self._seen[dataset] != at:
            await self._pass(exchange)
            return
        if forwarded:
            await exchange.forward()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)

    async def _pass(self, exchange: Exchange) -> None:
        """Say of a job that has just been started that it runs, as BigQuery does: there a job takes its time."""
        reply = await exchange.forward()
        is_start = exchange.request.line.endswith("/jobs") and exchange.request.method == "POST"
        if is_start and reply.status == 200 and not exchange.request.body["configuration"].get("dryRun"):
            job = json.loads(reply.content) | {"status": {"state": "RUNNING"}}
            reply = Reply(200, {"content-type": "application/json"}, json.dumps(job).encode())
        await exchange.answer(reply)


async def test_bigquery(processes: ForkServerContext, proxy: Proxy, bigquery: BigQueryServer) -> None:
    clean = Place(DatasetRef(PROJECT, "clean"), endpoint=proxy.endpoint)
    kills = Kills()
    proxy.fail(".", kills, times=1_000_000)
    assert await ended(start(processes, clean)) == 0
    count = len(proxy.requests)
    expected = await contents(clean)
    rounds = list(enumerate(moments(count)))

    async def remove(place: Place) -> None:
        """The server looks through all tables that there are, whatever it is asked."""
        path = f"/projects/{PROJECT}/datasets/{place.dataset.dataset}?deleteContents=true"
        await asyncio.to_thread(bigquery.call, "DELETE", path)

    async def killed(number: int, at: int) -> Place:
        """Where a process was killed at that request, or at the last that it made."""
        while True:
            place = Place(DatasetRef(PROJECT, f"round{number}at{at}"), endpoint=proxy.endpoint)
            process = start(processes, place)
            kills.plan(place, process, at, forwarded=CHANCE.random() < 0.5)
            if await ended(process) == -signal.SIGKILL:
                return place
            # It had to ask less often how a job stands than the clean run.
            assert process.exitcode == 0
            await remove(place)
            at -= 1

    async def die() -> None:
        while rounds:
            number, at = rounds.pop(0)
            place = await killed(number, at)
            assert await ended(start(processes, place)) == 0
            assert await contents(place) == expected, f"killed at request {at} of {count}"
            await remove(place)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(die())
