"""Steps whose worker was lost, on every driver."""

from datetime import timedelta

from server.store.port import Claim
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import PLANS, new_run

LEASE = 30.0


async def claimed(store: SqlStore, worker: str) -> Claim:
    taken = await store.claim(worker, lease_seconds=LEASE, plans=PLANS)
    assert taken is not None
    return taken


async def test_it_is_recorded_until_when_a_lost_worker_had_a_step(store: SqlStore, clock: Clock) -> None:
    """Whoever takes the run over, and is lost before the step goes on, did not have it."""
    await store.accept_run(new_run(steps=("first", "second")), PLANS)
    first = await claimed(store, "w1")
    begun = await store.start_step(first.lease, first.run.steps[0])
    assert begun.lost_at is None
    until = clock.now + timedelta(seconds=LEASE)
    clock.advance(3_600)
    second = await claimed(store, "w2")
    assert [step.lost_at for step in second.run.steps] == [until, None]
    clock.advance(3_600)
    third = await claimed(store, "w3")
    assert [step.lost_at for step in third.run.steps] == [until, None]
    await store.hand_back(third.lease)
    last = await claimed(store, "w4")
    assert [step.lost_at for step in last.run.steps] == [until, None]
    assert (await store.start_step(last.lease, last.run.steps[0])).lost_at is None
