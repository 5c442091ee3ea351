"""Runs whose worker was lost, and what the next one makes of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from processors.base import ProcessorError
from server.domain.run import EffectState, Run, RunStatus, StepStatus
from server.metrics import WORKER
from server.plans import PlansFile
from server.settings import Settings
from server.store.port import RunFilter, StepEnd
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite
from server.worker.loop import Worker
from tests.store.records import BY, PLANS
from tests.unit.workshop import OWN, Workshop


async def test_a_worker_lost_between_two_attempts_is_followed_by_the_next_attempt(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        return {"status": "FAILED" if context["attempt"] == 1 else "SUCCESS", "details": {"error": "not yet"}}

    workshop.processor("act", execute)
    claim = await workshop.claim("act", attempts=2)
    step = await workshop.store.start_step(claim.lease, claim.run.steps[0])
    await workshop.store.finish_step(claim.lease, StepEnd(step.model_copy(update={"status": StepStatus.FAILED})))
    await workshop.store.expire_worker("worker")
    again = await workshop.store.claim("worker", lease_seconds=60, plans=PLANS)
    assert again is not None
    run = await workshop.execution(again).run()
    assert (run.status, run.steps[0].attempt) == (RunStatus.SUCCESS, 2)


async def test_a_cancelled_run_knows_the_write_of_a_worker_that_was_lost(workshop: Workshop) -> None:
    """It was committed, and its worker died before it could say so."""

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        warehouse = context["warehouse"]
        await warehouse.write_query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 100)) AS n", "source")
        await warehouse.write_query("SELECT n FROM source", "copy")
        await warehouse.write_query("SELECT n FROM copy", "rows_of_act")
        written.set()
        await asyncio.Event().wait()

    written = asyncio.Event()
    workshop.processor("act", execute)
    claim = await workshop.claim("act")
    lost = asyncio.create_task(workshop.execution(claim).run())
    await written.wait()
    lost.cancel()
    await asyncio.wait([lost])
    await workshop.store.expire_worker("worker")
    await workshop.store.request_cancel(claim.run.pipeline_logging_id, by=BY)
    again = await workshop.store.claim("worker", lease_seconds=60, plans=PLANS)
    assert again is not None
    assert [effect.state for effect in again.run.steps[0].effects] == [
        EffectState.COMMITTED,
        EffectState.COMMITTED,
        EffectState.UNKNOWN,
    ]
    run = await workshop.execution(again).run()
    assert run.status is RunStatus.CANCELLED
    step = run.steps[0]
    assert [effect.state for effect in step.effects] == [EffectState.COMMITTED] * 3
    assert f"the write to {OWN}.rows_of_act was committed" in step.error_message
    assert [effect.bytes_billed > 0 for effect in step.effects] == [False, True, True]
    assert step.bytes_billed == sum(effect.bytes_billed for effect in step.effects)


async def test_an_attempt_that_a_worker_was_lost_in_is_not_counted(workshop: Workshop) -> None:
    tries: list[int] = []

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        tries.append(context["attempt"])
        if context["attempt"] == 1:
            await asyncio.Event().wait()
        raise ProcessorError("not yet")

    workshop.processor("act", execute)
    claim = await workshop.claim("act", attempts=2)
    lost = asyncio.create_task(workshop.execution(claim).run())
    while not tries:
        await asyncio.sleep(0.01)
    lost.cancel()
    await asyncio.wait([lost])
    await workshop.store.hand_back(claim.lease)
    again = await workshop.store.claim("worker", lease_seconds=60, plans=PLANS)
    assert again is not None
    run = await workshop.execution(again).run()
    assert tries == [1, 2, 3], "two tries of two failed, and the one that was broken off is none of them"
    assert (run.status, run.steps[0].failures) == (RunStatus.FAILED, 2)


class CutOff:
    """The store, which answers no renewal."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def renew(self, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()


async def test_a_worker_that_is_cut_off_stops_before_its_leases_can_have_ended(workshop: Workshop) -> None:
    clock = asyncio.get_running_loop().time
    stopped = asyncio.get_running_loop().create_future()

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set_result(clock())

    workshop.processor("act", execute)
    await workshop.accept("act")
    settings = Settings(lease_seconds=3)
    plans = PlansFile(settings.plans_file, base=settings.base_quotas)
    worker = Worker("w1", CutOff(workshop.store), workshop.runner, settings, plans)  # type: ignore[arg-type]
    began = clock()
    working = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        assert await stopped - began < 2.5
    working.cancel()
    await asyncio.wait([working])


async def test_a_run_that_is_found_lost_when_its_step_ends_is_counted(workshop: Workshop) -> None:
    """Long before the next renewal, which would have found it, too."""

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        if context["attempt"] == 1:
            await workshop.store.expire_worker("w1")
        return {"status": "SUCCESS"}

    workshop.processor("act", execute)
    await workshop.accept("act")
    settings = Settings(lease_seconds=300)
    plans = PlansFile(settings.plans_file, base=settings.base_quotas)
    worker, before = Worker("w1", workshop.store, workshop.runner, settings, plans), _leases_lost()
    working = asyncio.create_task(worker.run())
    [accepted] = await workshop.store.list_runs(RunFilter(), after=None, limit=1)
    async with asyncio.timeout(20):
        while (run := await workshop.store.get_run(accepted.pipeline_logging_id)) and not run.status.is_terminal:
            await asyncio.sleep(0.01)
    worker.drain()
    await working
    assert run is not None
    assert (run.status, run.steps[0].attempt) == (RunStatus.SUCCESS, 2)
    assert _leases_lost() - before == 1


class Stalled:
    """The store, which a machine that stands still for a while has made a claim in."""

    def __init__(self, store: SqlStore, seconds: float) -> None:
        self._store = store
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim(self, *values: Any, **named: Any) -> Any:
        claimed = await self._store.claim(*values, **named)
        if claimed is not None:
            # Not only this task: the process.
            time.sleep(self._seconds)  # noqa: ASYNC251
            self._seconds = 0.0
        return claimed


async def test_a_lease_that_is_lost_before_its_run_has_begun_is_not_kept(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        return {"status": "SUCCESS"}

    workshop.processor("act", execute)
    await workshop.accept("act")
    settings = Settings(lease_seconds=3)
    plans = PlansFile(settings.plans_file, base=settings.base_quotas)
    store = Stalled(workshop.store, 2.5)
    worker = Worker("w1", store, workshop.runner, settings, plans)  # type: ignore[arg-type]
    working = asyncio.create_task(worker.run())
    [accepted] = await workshop.store.list_runs(RunFilter(), after=None, limit=1)
    async with asyncio.timeout(20):
        while (run := await workshop.store.get_run(accepted.pipeline_logging_id)) and not run.status.is_terminal:
            await asyncio.sleep(0.01)
    worker.drain()
    await working
    assert run is not None
    assert (run.status, worker.running) == (RunStatus.SUCCESS, 0)


def _leases_lost() -> float:
    return WORKER.get_sample_value("convergence_leases_lost_total") or 0


@asynccontextmanager
async def in_so_many_minutes(workshop: Workshop, minutes: float) -> AsyncIterator[SqlStore]:
    """The workshop's store as it is used then."""
    then = datetime.now(UTC) + timedelta(minutes=minutes)
    store = await open_sqlite(workshop.folder / "control.sqlite3", clock=lambda: then)
    yield store
    await store.close()


async def begun(workshop: Workshop, *, minutes: float) -> None:
    """A worker has begun the step `act`, which may take so long, and says nothing any more."""
    claim = await workshop.claim("act", seconds=minutes * 60)
    await workshop.store.start_step(claim.lease, claim.run.steps[0])


async def gone_on_with(workshop: Workshop) -> Run:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        return {"status": "SUCCESS"}

    workshop.processor("act", execute)
    again = await workshop.store.claim("another", lease_seconds=60, plans=PLANS)
    assert again is not None
    return await workshop.execution(again).run()


async def test_a_step_that_its_worker_had_beyond_its_time_is_out_of_time(workshop: Workshop) -> None:
    """It may have blocked the worker, which could not end it then; by the next time it would block another one."""
    await begun(workshop, minutes=5)
    async with in_so_many_minutes(workshop, 6) as later:
        await later.expire_worker("worker")
    async with in_so_many_minutes(workshop, 6) as workshop.store:
        run = await gone_on_with(workshop)
    assert (run.status, run.failed_step) == (RunStatus.TIMED_OUT, "act")
    assert (run.steps[0].status, run.steps[0].attempt) == (StepStatus.TIMED_OUT, 1)
    assert run.error_message == "step act: not finished within timeout_minutes: 5"


async def test_a_step_whose_worker_was_lost_in_time_goes_on_however_late(workshop: Workshop) -> None:
    await begun(workshop, minutes=5)
    async with in_so_many_minutes(workshop, 4) as later:
        await later.expire_worker("worker")
    async with in_so_many_minutes(workshop, 60) as later:
        assert await later.claim("lost at once", lease_seconds=60, plans=PLANS) is not None
        await later.expire_worker("lost at once")
    async with in_so_many_minutes(workshop, 120) as workshop.store:
        run = await gone_on_with(workshop)
    assert (run.status, run.steps[0].attempt) == (RunStatus.SUCCESS, 2)


async def test_a_step_that_was_handed_back_has_its_time_anew(workshop: Workshop) -> None:
    claim = await workshop.claim("act", seconds=300)
    await workshop.store.start_step(claim.lease, claim.run.steps[0])
    await workshop.store.hand_back(claim.lease)
    async with in_so_many_minutes(workshop, 60) as workshop.store:
        run = await gone_on_with(workshop)
    assert (run.status, run.steps[0].attempt) == (RunStatus.SUCCESS, 2)


async def test_a_lost_step_that_went_on_has_its_time_anew(workshop: Workshop) -> None:
    """What is recorded of the attempt before says nothing of this one."""
    await begun(workshop, minutes=5)
    async with in_so_many_minutes(workshop, 4) as later:
        await later.expire_worker("worker")
    async with in_so_many_minutes(workshop, 60) as later:
        second = await later.claim("second", lease_seconds=60, plans=PLANS)
        assert second is not None
        await later.start_step(second.lease, second.run.steps[0])
    async with in_so_many_minutes(workshop, 66) as later:
        await later.expire_worker("second")
    async with in_so_many_minutes(workshop, 66) as workshop.store:
        run = await gone_on_with(workshop)
    assert (run.status, run.steps[0].attempt) == (RunStatus.TIMED_OUT, 2)
