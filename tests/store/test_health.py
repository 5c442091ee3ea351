"""Workers that say how they are, how far the mirror is, and what of it is worth a look."""

from dataclasses import replace

from server.health import problems
from server.store.health_port import SILENT_SECONDS, WorkerReport
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import BY, PLANS, new_run

REPORT = WorkerReport("w1", "0.1.0", places=4, running=0, warehouse_fault="")


async def test_a_worker_is_seen_until_it_is_silent(store: SqlStore, second: SqlStore, clock: Clock) -> None:
    began = clock.now
    await store.report_worker(REPORT)
    clock.advance(10)
    busy = replace(REPORT, running=3, warehouse_fault="WAREHOUSE_FAILED")
    await store.report_worker(busy)
    clock.advance(SILENT_SECONDS)
    (worker,) = (await second.health()).workers
    assert (worker.report, worker.started_at) == (busy, began)
    clock.advance(1)
    await second.report_worker(replace(REPORT, worker_id="w2"))
    assert [one.report.worker_id for one in (await store.health()).workers] == ["w2"]


async def test_a_worker_that_ends_or_is_known_to_be_dead_is_forgotten(store: SqlStore) -> None:
    for worker_id in ("w1", "w2", "w3"):
        await store.report_worker(replace(REPORT, worker_id=worker_id))
    await store.forget_worker("w1")
    await store.expire_worker("w2")
    assert [one.report.worker_id for one in (await store.health()).workers] == ["w3"]


async def test_how_far_the_mirror_is(store: SqlStore, clock: Clock) -> None:
    assert ((await store.health()).mirror_backlog, (await store.health()).mirror_behind_since) == (0, None)
    first = clock.now
    await store.accept_run(new_run(), PLANS)
    entries = await store.outbox(skip=(), limit=99)
    clock.advance(60)
    await store.accept_run(new_run(), PLANS)
    found = await store.health()
    assert (found.mirror_backlog, found.mirror_behind_since) == (2 * len(entries), first)
    flush = await store.begin_flush("acme_corp", "w1", lease_seconds=30, unused=0)
    assert flush is not None
    await store.acknowledge(flush, [entry.number for entry in entries], settled=flush.number)
    found = await store.health()
    assert (found.mirror_backlog, found.mirror_behind_since) == (len(entries), clock.now)


async def test_what_is_copied_again_waits_from_then_on(store: SqlStore, clock: Clock) -> None:
    await store.accept_run(new_run(), PLANS)
    entries = await store.outbox(skip=(), limit=99)
    flush = await store.begin_flush("acme_corp", "w1", lease_seconds=30, unused=0)
    assert flush is not None
    await store.acknowledge(flush, [entry.number for entry in entries], settled=flush.number)
    clock.advance(60)
    noted = await store.note_all("acme_corp", by=BY)
    found = await store.health()
    assert (found.mirror_backlog, found.mirror_behind_since) == (noted, clock.now)


async def test_what_somebody_has_to_look_after(store: SqlStore, clock: Clock) -> None:
    async def reasons() -> list[str]:
        return [problem.reason for problem in problems(await store.health())]

    assert await reasons() == ["NO_WORKER"]
    await store.report_worker(REPORT)
    await store.accept_run(new_run(), PLANS)
    assert await reasons() == []
    clock.advance(61)
    await store.report_worker(replace(REPORT, warehouse_fault="WAREHOUSE_FAILED"))
    assert await reasons() == ["WAREHOUSE_FAULT", "MIRROR_BEHIND"]
