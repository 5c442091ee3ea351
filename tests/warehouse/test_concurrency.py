"""Work side by side on one warehouse: who waits for whom, what a cancellation leaves, what a conflict costs."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from server.domain.schema import DatasetRef
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.embedded.session import Session
from server.warehouse.port import JobOutcome, Warehouse, WarehouseError
from tests.warehouse.tables import column, effect, spec, values

STEPS = spec(column("step", "STRING", "REQUIRED"), column("status", "STRING"))
ENDLESS = (
    "SELECT SUM(MOD(a * b, 7)) AS n FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, "
    "UNNEST(GENERATE_ARRAY(1, 1000000)) AS b"
)
SOON = 20
"""Seconds for what waits for nothing: far more than it takes, far less than what would never end."""


@asynccontextmanager
async def running(warehouse: EmbeddedWarehouse, *work: Awaitable[Any]) -> AsyncIterator[Sequence[asyncio.Task[Any]]]:
    """Tasks that run in the warehouse and have not ended; cancelled at the end."""
    tasks = [asyncio.ensure_future(one) for one in work]
    while len(warehouse._connection._running) < len(tasks):
        await asyncio.sleep(0)
    yield tasks
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=SOON)
    assert all(task.cancelled() for task in tasks)


async def until_committed(warehouse: EmbeddedWarehouse, count: str, expected: int) -> None:
    """Return with the commit done and the event loop, which this blocks, not knowing it yet."""
    while not warehouse._connection._running:
        await asyncio.sleep(0)
    deadline = time.monotonic() + SOON
    with warehouse._connection._duck.cursor() as look:
        while look.execute(count).fetchall() != [(expected,)]:
            assert time.monotonic() < deadline


async def test_other_tables_do_not_wait_for_a_long_write(warehouse: EmbeddedWarehouse, dataset: DatasetRef) -> None:
    steps = dataset.table("steps")
    async with running(warehouse, warehouse.write(effect(dataset, ENDLESS))), asyncio.timeout(SOON):
        await warehouse.ensure_table(steps, STEPS)
        await warehouse.upsert(steps, ["step"], [{"step": "load", "status": "RUNNING"}])
        await warehouse.ensure_dataset(DatasetRef(dataset.project, "globex"), location="US")
        created = await warehouse.write(effect(dataset, "SELECT 1 AS n", table="other", job_id="job-2"))
        grown = spec(*STEPS.model_dump()["fields"], column("tags", "STRING", "REPEATED"))
        await warehouse.ensure_table(steps, grown)

        assert created.table_created
        assert await values(warehouse, dataset, "SELECT * FROM steps") == [("load", "RUNNING", [])]


async def test_short_writes_do_not_wait_for_many_long_ones(warehouse: EmbeddedWarehouse, dataset: DatasetRef) -> None:
    await warehouse.ensure_table(dataset.table("steps"), STEPS)
    long = [warehouse.write(effect(dataset, ENDLESS, table=f"t{n}", job_id=f"long-{n}")) for n in range(8)]
    async with running(warehouse, *long), asyncio.timeout(SOON):
        await warehouse.upsert(dataset.table("steps"), ["step"], [{"step": "load"}])


async def test_what_waits_for_a_thread_is_cancelled_at_once(warehouse: EmbeddedWarehouse, dataset: DatasetRef) -> None:
    long = [warehouse.query(ENDLESS, default_dataset=dataset) for _ in range(8)]
    async with running(warehouse, *long):
        queued = asyncio.create_task(warehouse.write(effect(dataset, "SELECT 1 AS n")))
        while len(warehouse._connection._running) < 9:
            await asyncio.sleep(0)
        queued.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(queued, SOON)

    assert await warehouse.get_table(dataset.table("costs")) is None


async def test_what_waits_for_its_table_is_cancelled_at_once(warehouse: EmbeddedWarehouse, dataset: DatasetRef) -> None:
    async with running(warehouse, warehouse.write(effect(dataset, ENDLESS))):
        waiting = asyncio.create_task(warehouse.write(effect(dataset, "SELECT 1 AS n", job_id="job-2")))
        await values(warehouse, dataset, "SELECT 1")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, SOON)

    assert (await asyncio.wait_for(warehouse.write(effect(dataset, "SELECT 1 AS n")), SOON)).rows_written == 1


async def test_tables_that_read_themselves_are_replaced_side_by_side(warehouse: Warehouse, dataset: DatasetRef) -> None:
    for n in range(4):
        await warehouse.write(effect(dataset, f"SELECT {n} AS n", table=f"t{n}", job_id=f"make-{n}"))

    again = [
        effect(dataset, f"SELECT n + 10 AS n FROM t{n}", table=f"t{n}", job_id=f"{time}-{n}", mode="overwrite")
        for n in range(4)
        for time in range(5)
    ]
    await asyncio.gather(*map(warehouse.write, again))

    found = [await values(warehouse, dataset, f"SELECT n FROM t{n}") for n in range(4)]
    assert found == [[(n + 50,)] for n in range(4)]


async def test_one_job_id_at_the_same_time_for_two_tables(warehouse: Warehouse, dataset: DatasetRef) -> None:
    both = [effect(dataset, "SELECT 1 AS n", table=name) for name in ("one", "two")]

    done, refused = sorted(
        await asyncio.gather(*map(warehouse.write, both), return_exceptions=True),
        key=lambda answer: isinstance(answer, WarehouseError),
    )

    assert isinstance(done, JobOutcome)
    assert isinstance(refused, WarehouseError)
    assert refused.reason == "JOB_ID_REUSED"
    tables = [await warehouse.get_table(one.destination) for one in both]
    assert tables.count(None) == 1


@pytest.mark.parametrize(
    ("change", "left"),
    [
        pytest.param("UPDATE counts SET n = n + 1", [(1, 2)], id="the same row"),
        pytest.param(
            "INSERT INTO counts SELECT 2, 5 WHERE NOT EXISTS (FROM counts WHERE k = 2)",
            [(1, 0), (2, 5)],
            id="the same key",
        ),
    ],
)
async def test_a_conflict_is_tried_again(
    warehouse: EmbeddedWarehouse, change: str, left: list[tuple[int, int]]
) -> None:
    create = "CREATE TABLE counts (k INT PRIMARY KEY, n INT); INSERT INTO counts VALUES (1, 0)"
    await warehouse._connection.write(lambda session: session.run(create))
    looked, changed = threading.Event(), threading.Event()
    tries = []

    def late(session: Session) -> None:
        tries.append(session.run("FROM counts"))
        looked.set()
        assert changed.wait(SOON)
        session.run(change)

    waiting = asyncio.create_task(warehouse._connection.effect(late, "one"))
    await asyncio.to_thread(looked.wait, SOON)
    await warehouse._connection.effect(lambda session: session.run(change), "another")
    changed.set()
    await waiting

    assert len(tries) == 2
    assert await warehouse._connection.read(lambda session: session.run("FROM counts ORDER BY k")) == left


async def test_a_conflict_that_stays_is_told(warehouse: EmbeddedWarehouse) -> None:
    tries = []

    def conflicting(session: Session) -> None:
        tries.append(session)
        raise duckdb.TransactionException("Conflict on tuple deletion!")

    with pytest.raises(WarehouseError, match="try again") as refused:
        await warehouse._connection.write(conflicting, "one")

    assert refused.value.reason == "WAREHOUSE_BUSY"
    assert len(tries) == 4


async def test_a_write_cancelled_after_its_commit_tells_its_outcome(
    warehouse: EmbeddedWarehouse, dataset: DatasetRef
) -> None:
    writing = asyncio.create_task(warehouse.write(effect(dataset, "SELECT 1 AS n")))
    await until_committed(warehouse, "SELECT count(*) FROM _warehouse.jobs", 1)
    writing.cancel()

    assert await writing == JobOutcome("job-1", rows_written=1, table_created=True)


@pytest.mark.parametrize("taken_back", [False, True], ids=["stays cancelled", "cancellation taken back"])
async def test_the_cancellation_arrives_with_the_next_call(
    warehouse: EmbeddedWarehouse, dataset: DatasetRef, taken_back: bool
) -> None:
    done = []

    async def step() -> None:
        done.append((await warehouse.write(effect(dataset, "SELECT 1 AS n"))).rows_written)
        task = asyncio.current_task()
        if taken_back and task:
            task.uncancel()
        done.append((await warehouse.write(effect(dataset, "SELECT 1 AS n", job_id="job-2"))).rows_written)

    task = asyncio.create_task(step())
    await until_committed(warehouse, "SELECT count(*) FROM _warehouse.jobs", 1)
    task.cancel()
    await asyncio.wait([task], timeout=SOON)

    assert (task.cancelled(), done) == ((False, [1, 1]) if taken_back else (True, [1]))
    assert await values(warehouse, dataset, "SELECT COUNT(*) FROM costs") == [(len(done),)]


async def test_an_upsert_cancelled_after_its_commit_is_cancelled(
    warehouse: EmbeddedWarehouse, dataset: DatasetRef
) -> None:
    """It can be repeated; and a loop of upserts, as the mirror's, has to end when it is cancelled."""
    await warehouse.ensure_table(dataset.table("steps"), STEPS)
    writing = asyncio.create_task(warehouse.upsert(dataset.table("steps"), ["step"], [{"step": "a"}]))
    await until_committed(warehouse, f'SELECT count(*) FROM "{dataset}".steps', 1)
    writing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await writing


def test_a_commit_is_not_interrupted(tmp_path: Path) -> None:
    """DuckDB itself reports an interrupt for about every third large commit that was interrupted late and happened."""
    moments = Random(7)
    ended = threading.Event()

    def interrupt(session: Session, after: float) -> None:
        ended.wait(after)
        while not ended.is_set():
            session.interrupt()

    with duckdb.connect(tmp_path / "w.duckdb") as duck:
        duck.execute("CREATE TABLE t (n INT, text VARCHAR)")
        for number in range(20):
            session = Session(duck.cursor())
            session.run("BEGIN TRANSACTION")
            session.run("INSERT INTO t SELECT ?, 'row ' || i FROM range(150000) r(i)", [number])
            other = threading.Thread(target=interrupt, args=(session, moments.uniform(0.004, 0.022)))
            ended.clear()
            other.start()
            try:
                session.commit()
                committed = True
            except duckdb.InterruptException:
                session.rollback()
                committed = False
            ended.set()
            other.join()
            session.close()
            rows = duck.execute("SELECT count(*) FROM t WHERE n = ?", [number]).fetchall()
            assert rows == [(150_000 if committed else 0,)]
