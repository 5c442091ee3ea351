"""What goes wrong between a load, S3, the store and other loads: nothing is lost, and nothing is loaded twice."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Event

import pytest

from server.domain.load import Load
from server.domain.run import Run, RunKind, RunStatus, StepRun
from server.executor import STOP_SECONDS, RunExecution
from server.store.port import Lease, RunFilter, StoreBusy
from server.store.sql.store import SqlStore
from tests.bigquery.faults import Hold, cut_reply
from tests.bigquery.messages import Reply
from tests.bigquery.proxy import Exchange, Proxy
from tests.s3.place import OWN, Place
from tests.store.records import BY

ROWS = "account,cost\n" + "".join(f"a{number},{number}.25\n" for number in range(5_000))
TOTAL = "SELECT COUNT(*), SUM(cost) FROM costs"
LOADED = [(5_000, sum(Decimal(number) + Decimal("0.25") for number in range(5_000)))]


@pytest.fixture
async def proxy(place: Place) -> AsyncIterator[Proxy]:
    opened = await Proxy.open(place.aws.endpoint)
    yield opened
    await opened.close()


async def test_a_connection_that_breaks_is_gone_on_with(place: Place, proxy: Proxy) -> None:
    place.put("a.csv", ROWS)
    proxy.fail(r"GET .*/a\.csv", cut_reply)
    run = await place.run(source={"endpoint": proxy.endpoint})
    assert run.status is RunStatus.SUCCESS, run.error_message
    assert run.steps[0].attempt == 1
    assert await place.rows(TOTAL) == LOADED
    first, second = proxy.sent(r"GET .*/a\.csv")
    assert "range" not in first.headers
    assert second.headers["range"] == f"bytes={len(ROWS) // 2}-"
    assert first.headers["if-match"] == second.headers["if-match"]


async def test_an_object_that_changes_while_it_is_read_is_read_anew(place: Place, proxy: Proxy) -> None:
    place.put("a.csv", ROWS.replace("a", "old"))
    hold = Hold()
    proxy.fail(r"GET .*/a\.csv", hold)
    running = asyncio.create_task(place.run(source={"endpoint": proxy.endpoint}))
    await hold.reached.wait()
    await asyncio.to_thread(place.put, "a.csv", ROWS)
    hold.go_on.set()
    run = await running
    assert run.status is RunStatus.SUCCESS, run.error_message
    assert run.steps[0].attempt == 2
    assert await place.rows(TOTAL) == LOADED
    lines = await place.lines(run)
    assert any("has changed since it was listed" in line for line in lines)


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "AccessDenied", "access is denied; whoever reads it needs s3:ListBucket and s3:GetObject"),
        (404, "NoSuchBucket", "there is no such bucket; see source.bucket and source.endpoint"),
        (400, "Odd<Code>&", "S3 refuses it ('Odd<Code>&')"),
    ],
)
async def test_what_s3_refuses_is_told_in_our_own_words(
    place: Place, proxy: Proxy, status: int, code: str, says: str
) -> None:
    escaped = code.replace("&", "&amp;").replace("<", "&lt;")
    body = f"<Error><Code>{escaped}</Code><Message>arn:aws:iam::1:user/hidden</Message></Error>".encode()

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(Reply(status, {"content-type": "application/xml"}, body))

    proxy.fail(f"GET /{place.bucket}", refuse, times=100)
    run = await place.run(source={"endpoint": proxy.endpoint})
    assert run.error_message == f"step load: s3://{place.bucket}/: {says}"


async def held(place: Place, proxy: Proxy) -> tuple[Hold, RunExecution, "asyncio.Task[Run]"]:
    """A load that waits for its object."""
    place.put("a.csv", ROWS)
    hold = Hold()
    proxy.fail(r"GET .*/a\.csv", hold)
    settings = place.settings(source={"endpoint": proxy.endpoint})
    await place.accept(settings, date="2025-11-18", kind=RunKind.EXECUTE)
    execution = await place.execution()
    running = asyncio.create_task(execution.run())
    await hold.reached.wait()
    return hold, execution, running


async def test_a_cancelled_load_ends_soon_and_leaves_nothing(place: Place, proxy: Proxy) -> None:
    hold, execution, running = await held(place, proxy)
    execution.cancel()
    hold.go_on.set()
    assert (await running).status is RunStatus.CANCELLED
    assert await place.warehouse.list_tables(OWN) == []
    assert await place.store.begun_loads("acme_corp", "costs") == []
    assert [path.name for path in place.scratch.folder.iterdir()] == ["lock"]


async def test_a_load_is_cancelled_while_s3_does_not_answer(place: Place, proxy: Proxy) -> None:
    hold, execution, running = await held(place, proxy)
    asked = time.monotonic()
    execution.cancel()
    assert (await running).status is RunStatus.CANCELLED
    assert time.monotonic() - asked < STOP_SECONDS
    assert [path.name for path in place.scratch.folder.iterdir()] == ["lock"]
    hold.go_on.set()


async def test_loads_do_not_wait_for_each_others_threads(place: Place) -> None:
    place.put("a.csv", ROWS)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    ended = Event()
    hung = asyncio.create_task(asyncio.to_thread(ended.wait))
    try:
        async with asyncio.timeout(20):
            run = await place.run()
    finally:
        ended.set()
        await hung
    assert run.status is RunStatus.SUCCESS, run.error_message


class Forgetful(SqlStore):
    """A store that is out of reach once the load is committed, as when its worker is lost there."""

    async def end_load(self, lease: Lease, effect_id: str, *, is_committed: bool) -> None:
        raise StoreBusy


@pytest.mark.parametrize("mode", ["append", "overwrite"])
async def test_a_load_whose_worker_is_lost_after_its_commit_is_not_repeated(place: Place, mode: str) -> None:
    place.put("a.csv", ROWS)
    with pytest.raises(StoreBusy):
        await place.run(store=Forgetful(place.store._db), destination={"write_mode": mode})
    assert await place.rows(TOTAL) == LOADED
    # The next worker may find more objects than the lost one has loaded.
    place.put("b.csv", "account,cost\nb,0.75\n")
    await place.store.expire_worker("worker")
    run = await place.work()
    assert run.status is RunStatus.SUCCESS, run.error_message
    assert run.rows_processed == 5_001
    ((count, total),) = await place.rows(TOTAL)
    assert (count, total) == (5_001, LOADED[0][1] + Decimal("0.75"))
    assert run.steps[0].details["objects_loaded"] == (1 if mode == "append" else 2)


async def test_what_a_lost_run_has_loaded_the_next_one_finds(place: Place) -> None:
    place.put("a.csv", ROWS)
    with pytest.raises(StoreBusy):
        await place.run(store=Forgetful(place.store._db))
    lost = await place.store.list_runs(RunFilter(), after=None, limit=10)
    await place.store.request_cancel(lost[0].pipeline_logging_id, by=BY)
    await place.store.expire_worker("worker")
    assert (await place.work()).status is RunStatus.CANCELLED
    run = await place.run()
    assert (run.status, run.rows_processed) == (RunStatus.SUCCESS, 0)
    assert await place.rows(TOTAL) == LOADED


async def test_of_two_loads_at_once_one_finds_what_the_other_has_done(place: Place, proxy: Proxy) -> None:
    place.put("a.csv", ROWS)
    hold = Hold()
    proxy.fail(r"GET .*/a\.csv", hold)
    slow = asyncio.create_task(place.run(source={"endpoint": proxy.endpoint}))
    await hold.reached.wait()
    quick = await place.run()
    hold.go_on.set()
    late = await slow
    assert (quick.status, quick.rows_processed) == (RunStatus.SUCCESS, 5_000)
    assert (late.status, late.rows_processed, late.steps[0].attempt) == (RunStatus.SUCCESS, 0, 2)
    assert await place.rows(TOTAL) == LOADED


async def test_a_load_that_was_stopped_before_its_table_was_made_is_in_nobodys_way(place: Place) -> None:
    place.put("a.csv", ROWS)
    with pytest.raises(StoreBusy):
        await place.run(store=Unwritten(place.store._db))
    assert await place.warehouse.list_tables(OWN) == []
    lost = await place.store.list_runs(RunFilter(), after=None, limit=10)
    await place.store.request_cancel(lost[0].pipeline_logging_id, by=BY)
    await place.store.expire_worker("worker")
    assert (await place.work()).status is RunStatus.CANCELLED
    run = await place.run()
    assert run.status is RunStatus.SUCCESS, run.error_message
    assert await place.rows(TOTAL) == LOADED


class Unwritten(SqlStore):
    """A store whose answer to the record of a load does not arrive, as when the worker is lost there."""

    async def record_effects(self, lease: Lease, step: StepRun, load: Load | None = None) -> None:
        await super().record_effects(lease, step, load)
        raise StoreBusy


async def test_what_a_retried_run_has_loaded_is_not_loaded_again(place: Place) -> None:
    place.put("a.csv", ROWS)
    settings = place.settings(skip_loaded=False)
    first = await place.accept(settings, date="2025-11-18", kind=RunKind.EXECUTE)
    with pytest.raises(StoreBusy):
        await place.work(Forgetful(place.store._db))
    await place.store.request_cancel(first, by=BY)
    await place.store.expire_worker("worker")
    assert (await place.work()).status is RunStatus.CANCELLED
    place.put("b.csv", "account,cost\nb,0.75\n")
    await place.accept(settings, date="2025-11-18", kind=RunKind.EXECUTE, retry_of=first)
    run = await place.work()
    assert (run.status, run.rows_processed) == (RunStatus.SUCCESS, 5_001)
    assert await place.rows(TOTAL) == [(5_001, LOADED[0][1] + Decimal("0.75"))]
