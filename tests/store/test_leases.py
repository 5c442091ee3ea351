"""Leases: who may write to a run, and what becomes of one that loses its workers; on every driver."""

from dataclasses import replace

import pytest

from server.care import Care
from server.domain.run import RunStatus, StepStatus
from server.retention import Retention
from server.store.port import Lease, LeaseLost, RunEnd, StepEnd
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import BY, LEASE, PLANS, claim, claimed, new_run, sequences, writes_of


@pytest.mark.parametrize("next_worker", ["w1", "w2"])
async def test_an_ended_lease_is_taken_over_and_fences_the_earlier_claim_off(
    store: SqlStore, clock: Clock, next_worker: str
) -> None:
    """Also that of a worker which finds its own run again."""
    await store.accept_run(new_run(), PLANS)
    first = await claimed(store, "w1")
    step = await store.start_step(first.lease, first.run.steps[0])
    clock.advance(LEASE - 1)
    assert await claim(store, next_worker) is None
    clock.advance(1)
    second = await claimed(store, next_worker)
    assert second.run.pipeline_logging_id == first.run.pipeline_logging_id
    assert second.lease.epoch == first.lease.epoch + 1
    told = await sequences(store, first.run.pipeline_logging_id)
    for write in writes_of(store, first.lease, step):
        with pytest.raises(LeaseLost):
            await write
    await store.hand_back(first.lease)
    assert await store.renew([first.lease, second.lease], lease_seconds=LEASE) == {second.lease}
    assert await claim(store, "w3") is None
    assert await store.get_run(first.run.pipeline_logging_id) == second.run
    assert await sequences(store, first.run.pipeline_logging_id) == told
    for write in writes_of(store, second.lease, step):
        await write


async def test_whoever_claims_a_run_hears_of_the_trace_that_it_belongs_to(store: SqlStore) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await store.accept_run(replace(new_run(), traceparent=traceparent), PLANS)
    first = await claimed(store, "w1")
    await store.expire_worker("w1")
    second = await claimed(store, "w2")
    await store.accept_run(new_run(), PLANS)
    assert [claim.traceparent for claim in (first, second, await claimed(store))] == [traceparent, traceparent, ""]


async def test_a_worker_that_is_alive_writes_no_more_to_a_run_that_was_rescued_from_it(store: SqlStore) -> None:
    """At once, and not only when another one has claimed it."""
    run = await store.accept_run(new_run(), PLANS)
    held = await claimed(store)
    step = await store.start_step(held.lease, held.run.steps[0])
    told = await sequences(store, run.pipeline_logging_id)
    await Care(store, Retention(store, run_days=None, event_days=None)).rescue("acme_corp", run.pipeline_logging_id, BY)
    for write in writes_of(store, held.lease, step):
        with pytest.raises(LeaseLost):
            await write
    assert await store.renew([held.lease], lease_seconds=LEASE) == frozenset()
    assert await sequences(store, run.pipeline_logging_id) == told
    again = await claimed(store)
    assert again.run.pipeline_logging_id == run.pipeline_logging_id
    for write in writes_of(store, again.lease, step):
        await write


async def test_renewal_holds_a_lease_and_only_held_ones(store: SqlStore, clock: Clock) -> None:
    await store.accept_run(new_run(), PLANS)
    held = await claimed(store, "w1")
    foreign = Lease(held.lease.pipeline_logging_id, "w2", held.lease.epoch)
    clock.advance(LEASE - 1)
    assert await store.renew([held.lease, foreign], lease_seconds=LEASE) == {held.lease}
    clock.advance(LEASE - 1)
    assert await claim(store, "w2") is None


async def test_a_late_worker_that_nobody_replaced_goes_on(store: SqlStore, clock: Clock) -> None:
    await store.accept_run(new_run(), PLANS)
    held = await claimed(store)
    clock.advance(LEASE * 2)
    assert (await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS))).status is RunStatus.SUCCESS


async def test_a_dead_workers_runs_are_free_at_once(store: SqlStore) -> None:
    await store.accept_run(new_run(), PLANS)
    first = await claimed(store, "w1")
    assert await store.expire_worker("w1") == 1
    assert (await claimed(store, "w2")).run.pipeline_logging_id == first.run.pipeline_logging_id


async def test_what_succeeded_is_known_to_the_next_worker(store: SqlStore) -> None:
    await store.accept_run(new_run(steps=("extract", "load")), PLANS)
    first = await claimed(store, "w1")
    extract, load = first.run.steps
    done = await store.start_step(first.lease, extract)
    await store.finish_step(first.lease, StepEnd(done.model_copy(update={"status": StepStatus.SUCCESS})))
    await store.start_step(first.lease, load)
    await store.expire_worker("w1")
    second = await claimed(store, "w2")
    assert [(step.status, step.attempt) for step in second.run.steps] == [
        (StepStatus.SUCCESS, 1),
        (StepStatus.RUNNING, 1),
    ]


async def test_three_lost_workers_are_enough(store: SqlStore) -> None:
    accepted = await store.accept_run(new_run(), PLANS)
    for worker in ("w1", "w2", "w3"):
        held = await claimed(store, worker)
        await store.start_step(held.lease, held.run.steps[0])
        await store.expire_worker(worker)
    assert await claim(store, "w4") is None
    run = await store.get_run(accepted.pipeline_logging_id)
    assert run is not None
    assert run.status is RunStatus.FAILED
    assert run.steps[0].status is StepStatus.FAILED
    assert run.failed_step == "load"
    assert "3 times" in run.error_message
    assert await sequences(store, run.pipeline_logging_id) == list(
        range(1, len(await sequences(store, run.pipeline_logging_id)) + 1)
    )


async def test_a_run_that_gets_on_is_no_poison(store: SqlStore) -> None:
    await store.accept_run(new_run(steps=("one", "two", "three")), PLANS)
    for number in range(6):
        held = await claimed(store, f"w{number}")
        if number % 2:
            step = await store.start_step(held.lease, held.run.steps[number // 2])
            await store.finish_step(held.lease, StepEnd(step.model_copy(update={"status": StepStatus.SUCCESS})))
        await store.expire_worker(f"w{number}")
    assert (await claimed(store)).run.status is RunStatus.RUNNING


async def test_poison_ends_every_step_and_sums_what_was_done(store: SqlStore) -> None:
    accepted = await store.accept_run(new_run(steps=("one", "two", "three")), PLANS)
    held = await claimed(store, "w0")
    step = await store.start_step(held.lease, held.run.steps[0])
    ended = step.model_copy(update={"status": StepStatus.SUCCESS, "rows_processed": 5})
    await store.finish_step(held.lease, StepEnd(ended))
    await store.expire_worker("w0")
    for worker in ("w1", "w2"):
        held = await claimed(store, worker)
        await store.start_step(held.lease, held.run.steps[1])
        await store.expire_worker(worker)
    assert await claim(store) is None
    run = await store.get_run(accepted.pipeline_logging_id)
    assert run is not None
    assert [s.status for s in run.steps] == [StepStatus.SUCCESS, StepStatus.FAILED, StepStatus.SKIPPED]
    assert (run.failed_step, run.rows_processed) == ("two", 5)


async def test_a_cancelled_run_that_no_worker_survives_is_cancelled(store: SqlStore) -> None:
    accepted = await store.accept_run(new_run(steps=("one", "two")), PLANS)
    for worker in ("w1", "w2", "w3"):
        held = await claimed(store, worker)
        await store.request_cancel(accepted.pipeline_logging_id, by=BY)
        await store.start_step(held.lease, held.run.steps[0])
        await store.expire_worker(worker)
    assert await claim(store) is None
    run = await store.get_run(accepted.pipeline_logging_id)
    assert run is not None
    assert run.status is RunStatus.CANCELLED
    assert {s.status for s in run.steps} == {StepStatus.CANCELLED}


async def test_handing_back_costs_nothing(store: SqlStore) -> None:
    await store.accept_run(new_run(), PLANS)
    for number in range(6):
        held = await claimed(store, f"w{number}")
        await store.hand_back(held.lease)
    assert (await claimed(store)).run.status is RunStatus.RUNNING
