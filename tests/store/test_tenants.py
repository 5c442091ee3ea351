"""Tenants that are changed and suspended, on every store."""

import pytest

from server.domain.quotas import Quotas
from server.domain.run import RunStatus, StepStatus
from server.domain.tenant import Tenant, TenantState
from server.store.port import Claim, RunHeld, StepEnd, TenantChanged
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import BY, PLANS, api_key, new_run, tenant


async def stored(store: SqlStore) -> Tenant:
    found = await store.get_tenant("acme_corp")
    assert found is not None
    return found


async def suspend(store: SqlStore) -> Tenant:
    was = await stored(store)
    return await store.update_tenant(was.model_copy(update={"state": TenantState.SUSPENDED}), was=was, by=BY)


async def resume(store: SqlStore) -> None:
    was = await stored(store)
    await store.update_tenant(was.model_copy(update={"state": TenantState.ACTIVE}), was=was, by=BY)


async def claim(store: SqlStore, worker: str = "w1") -> Claim | None:
    return await store.claim(worker, lease_seconds=60, plans=PLANS)


async def running(store: SqlStore) -> Claim:
    """A claimed run of two steps."""
    await store.onboard_tenant(tenant(), api_key(), new_run(steps=("extract", "load")), PLANS)
    held = await claim(store)
    assert held is not None
    return held


async def test_a_tenant_is_replaced_as_it_was_seen(store: SqlStore, second: SqlStore, clock: Clock) -> None:
    await store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    was = await stored(store)
    clock.advance(1)
    wanted = was.model_copy(
        update={
            "display_name": "Acme",
            "contact_emails": (),
            "allowed_sources": ("shared-project.other.t",),
            "plan": "standard",
            "quotas": Quotas(runs_per_day=0),
            "state": TenantState.SUSPENDED,
        }
    )
    made = await store.update_tenant(wanted, was=was, by=BY)
    assert made == wanted.model_copy(update={"updated_at": clock.now}) == await stored(second)
    with pytest.raises(TenantChanged):
        await second.update_tenant(was, was=was, by=BY)
    assert await stored(store) == made
    (event, *_) = await store.audit_events("acme_corp", before=None, limit=9)
    assert (event.action, event.key_id, event.details["display_name"]) == ("tenant.update", "key1", '"Acme"')
    assert "location" not in event.details


async def test_an_unknown_tenant_is_not_replaced(store: SqlStore) -> None:
    with pytest.raises(TenantChanged):
        await store.update_tenant(tenant(), was=tenant(), by=BY)


async def test_the_next_step_of_a_suspended_tenants_run_waits(store: SqlStore) -> None:
    held = await running(store)
    first, second = held.run.steps
    started = await store.start_step(held.lease, first)
    await suspend(store)
    done = started.model_copy(update={"status": StepStatus.SUCCESS})
    await store.finish_step(held.lease, StepEnd(done))
    with pytest.raises(RunHeld):
        await store.start_step(held.lease, second)
    await store.hand_back(held.lease)
    assert await claim(store, "w2") is None
    assert await store.check() == []
    await resume(store)
    again = await claim(store, "w2")
    assert again is not None
    assert [step.status for step in again.run.steps] == [StepStatus.SUCCESS, StepStatus.PENDING]
    assert (await store.start_step(again.lease, again.run.steps[1])).attempt == 1


async def test_a_suspended_tenants_run_whose_worker_was_lost_waits(store: SqlStore, clock: Clock) -> None:
    held = await running(store)
    await store.start_step(held.lease, held.run.steps[0])
    await suspend(store)
    clock.advance(3600)
    assert await claim(store, "w2") is None
    assert await store.check() == []
    await resume(store)
    assert await claim(store, "w2") is not None


async def test_a_suspended_tenants_run_can_be_cancelled(store: SqlStore) -> None:
    held = await running(store)
    await suspend(store)
    await store.hand_back(held.lease)
    await store.request_cancel(held.run.pipeline_logging_id, by=BY)
    again = await claim(store, "w2")
    assert again is not None
    assert again.run.status is RunStatus.CANCELLING
    # A step that always runs is what a cancelled run still does.
    assert (await store.start_step(again.lease, again.run.steps[1])).status is StepStatus.RUNNING
