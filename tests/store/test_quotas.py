"""Limits of tenants, on every driver."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from server.domain.quotas import Plans, Quota, Quotas, QuotaUse
from server.domain.run import RunKind, RunStatus, RunTrigger, StepStatus, WaitReason
from server.domain.tenant import SYSTEM_TENANT, TenantState
from server.store.port import Claim, QuotaExceeded, RunEnd, StepEnd, TakenRequests
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import api_key, multiply, new_run, plans, request_key, tenant


async def claim(store: SqlStore, limits: Plans) -> Claim | None:
    return await store.claim("w1", lease_seconds=30, plans=limits)


async def refused(store: SqlStore, limits: Plans, tenant_id: str = "acme_corp") -> list[Quota]:
    with pytest.raises(QuotaExceeded) as exceeded:
        await store.accept_run(new_run(tenant_id), limits)
    return [use.quota for use in exceeded.value.uses]


async def use(store: SqlStore, quota: Quota, limits: Plans, tenant_id: str = "acme_corp") -> QuotaUse:
    return next(use for use in (await store.usage([tenant_id], limits))[tenant_id] if use.quota is quota)


async def test_so_many_runs_may_wait(store: SqlStore) -> None:
    limits = plans(max_pending_runs=2)
    for _ in range(2):
        await store.accept_run(new_run(), limits)
    assert await refused(store, limits) == [Quota.MAX_PENDING_RUNS]
    await store.accept_run(new_run("other_tenant"), limits)
    assert await claim(store, limits) is not None
    await store.accept_run(new_run(), limits)


async def test_so_many_runs_a_day_and_a_month(store: SqlStore, clock: Clock) -> None:
    limits = plans(runs_per_day=2, runs_per_month=3)
    for _ in range(2):
        await store.accept_run(new_run(), limits)
    assert await refused(store, limits) == [Quota.RUNS_PER_DAY]
    clock.now = datetime(2025, 11, 19, 0, 0, tzinfo=UTC)
    await store.accept_run(new_run(), limits)
    assert await refused(store, limits) == [Quota.RUNS_PER_MONTH]
    clock.now = datetime(2025, 12, 1, 0, 0, tzinfo=UTC)
    await store.accept_run(new_run(), limits)


async def test_a_refused_run_leaves_nothing(store: SqlStore) -> None:
    limits = plans(runs_per_day=0)
    with pytest.raises(QuotaExceeded):
        await store.accept_run(new_run(request=request_key()), limits)
    assert await store.find_request(request_key()) is None
    assert await store.outbox(skip=(), limit=9) == []
    assert (await use(store, Quota.RUNS_PER_DAY, limits)).used == 0
    assert (await use(store, Quota.MAX_PENDING_RUNS, limits)).used == 0


async def test_a_repeated_request_is_no_further_run(store: SqlStore) -> None:
    limits = plans(runs_per_day=1)
    first = await store.accept_run(new_run(request=request_key()), limits)
    assert await store.accept_run(new_run(request=request_key()), limits) == first


async def test_all_limits_that_are_used_up_are_told_with_the_time_of_the_store(store: SqlStore, clock: Clock) -> None:
    limits = plans(runs_per_day=0, max_pending_runs=0)
    with pytest.raises(QuotaExceeded) as exceeded:
        await store.accept_run(new_run(), limits)
    assert exceeded.value.now == clock.now
    assert [(found.quota, found.limit, found.resets_at) for found in exceeded.value.uses] == [
        (Quota.MAX_PENDING_RUNS, 0, None),
        (Quota.RUNS_PER_DAY, 0, datetime(2025, 11, 19, tzinfo=UTC)),
    ]


async def test_plans_and_what_the_system_starts_are_free(store: SqlStore) -> None:
    limits = plans(runs_per_day=0)
    await store.accept_run(replace(new_run(), kind=RunKind.PLAN), limits)
    await store.accept_run(replace(new_run(), trigger=RunTrigger.SYSTEM), limits)
    await store.accept_run(new_run(SYSTEM_TENANT), limits)


async def test_servers_that_accept_at_once_do_not_exceed_a_limit(store: SqlStore, second: SqlStore) -> None:
    limits = plans(runs_per_day=5)
    accepting = (either.accept_run(new_run(), limits) for either in [store, second] * 6)
    answers = await asyncio.gather(*accepting, return_exceptions=True)
    assert sum(isinstance(answer, QuotaExceeded) for answer in answers) == 7


async def test_workers_that_claim_at_once_do_not_exceed_a_limit(store: SqlStore, second: SqlStore) -> None:
    for _ in range(10):
        await store.accept_run(new_run(), plans())
    limits = plans(max_concurrent_runs=3)
    claims = await asyncio.gather(*(claim(either, limits) for either in [store, second] * 6))
    assert sum(found is not None for found in claims) == 3


async def billed(store: SqlStore, limits: Plans, bytes_billed: int) -> None:
    """One run, whose step is billed a half before it writes, and the other one in its next attempt."""
    held = await claim(store, limits)
    assert held is not None
    step = await store.start_step(held.lease, held.run.steps[0])
    step = step.model_copy(update={"bytes_billed": bytes_billed // 2})
    await store.record_effects(held.lease, step)
    step = await store.finish_step(held.lease, StepEnd(step.model_copy(update={"status": StepStatus.FAILED})))
    step = await store.start_step(held.lease, step)
    step = step.model_copy(update={"status": StepStatus.SUCCESS, "bytes_billed": bytes_billed})
    await store.finish_step(held.lease, StepEnd(step))
    await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS))


async def test_what_a_step_was_billed_when_its_worker_was_lost_counts(store: SqlStore) -> None:
    limits = plans(bytes_billed_per_day=1_000)
    await store.accept_run(new_run(), limits)
    held = await claim(store, limits)
    assert held is not None
    step = await store.start_step(held.lease, held.run.steps[0])
    await store.record_effects(held.lease, step.model_copy(update={"bytes_billed": 700}))
    await store.expire_worker("w1")
    assert (await use(store, Quota.BYTES_BILLED_PER_DAY, limits)).used == 700


async def test_bytes_billed_in_a_day_hold_up_what_waits_and_what_comes(store: SqlStore, clock: Clock) -> None:
    limits = plans(bytes_billed_per_day=1_000)
    await store.accept_run(new_run(), limits)
    clock.advance(1)
    waiting = await store.accept_run(new_run(), limits)
    await billed(store, limits, 1_000)
    assert (await use(store, Quota.BYTES_BILLED_PER_DAY, limits)).used == 1_000
    assert await claim(store, limits) is None
    assert await refused(store, limits) == [Quota.BYTES_BILLED_PER_DAY]
    explained = await store.explain_run(waiting.pipeline_logging_id, limits)
    assert explained is not None
    assert explained.wait_reason is WaitReason.BYTES_BILLED_PER_DAY
    clock.advance(24 * 3_600)
    assert await claim(store, limits) is not None


async def test_a_waiting_run_says_why_and_which_place_it_has(store: SqlStore) -> None:
    limits = plans(max_concurrent_runs=1)
    made = [await store.accept_run(new_run(), limits) for _ in range(3)]
    told = [await store.explain_run(run.pipeline_logging_id, limits) for run in made]
    ordered = sorted(told, key=lambda run: run.queue_position if run else 0)
    assert [(run.wait_reason, run.queue_position) for run in ordered if run] == [
        (WaitReason.QUEUED, 1),
        (WaitReason.QUEUED, 2),
        (WaitReason.QUEUED, 3),
    ]
    held = await claim(store, limits)
    assert held is not None
    rest = [await store.explain_run(run.pipeline_logging_id, limits) for run in made]
    assert sorted((run.wait_reason or "", run.queue_position) for run in rest if run) == [
        ("", 0),
        ("MAX_CONCURRENT_RUNS", 1),
        ("MAX_CONCURRENT_RUNS", 2),
    ]


async def test_tenants_take_turns(store: SqlStore, clock: Clock) -> None:
    limits = plans()
    for name in ("alpha", "bravo", "charlie"):
        for _ in range(2):
            await store.accept_run(new_run(name), limits)
    seen = []
    for _ in range(6):
        clock.advance(1)
        held = await claim(store, limits)
        assert held is not None
        seen.append(held.run.tenant_id)
        await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS))
    assert seen == ["alpha", "bravo", "charlie"] * 2


async def test_tenants_that_may_start_nothing_hold_up_no_other(store: SqlStore, clock: Clock) -> None:
    """However many they are, and however much longer they have waited."""
    limits = plans(max_concurrent_runs=0)
    for number in range(12):
        await store.accept_run(new_run(f"full_tenant_{number}"), limits)
    assert await claim(store, limits) is None
    clock.advance(1)
    free = tenant("later_tenant").model_copy(update={"quotas": Quotas(max_concurrent_runs=1)})
    await store.onboard_tenant(free, api_key("later_tenant"), new_run("later_tenant"), limits)
    held = await claim(store, limits)
    assert held is not None
    assert held.run.tenant_id == "later_tenant"


@pytest.mark.parametrize("begun", [0, 1, 3])
async def test_a_long_queue_does_not_delay_another_tenants_first(store: SqlStore, begun: int) -> None:
    """Ten thousand runs: in one round, in which either tenant may claim once, the other one's begins."""
    limits = plans(max_concurrent_runs=4)
    busy = await store.accept_run(new_run("busy_tenant"), limits)
    await store._db.write(lambda tx: multiply(tx, busy, 9_999))
    assert (await use(store, Quota.MAX_PENDING_RUNS, limits, "busy_tenant")).used == 10_000
    for _ in range(begun):
        assert await claim(store, limits) is not None
    await store.accept_run(new_run("late_tenant"), limits)
    claims = [await claim(store, limits) for _ in range(2)]
    assert {found.run.tenant_id for found in claims if found} == {"busy_tenant", "late_tenant"}
    if begun:
        assert claims[0] is not None
        assert claims[0].run.tenant_id == "late_tenant", "it has fewer that run"
    assert await store.check() == []


async def test_a_tenants_own_limits_stand_over_those_of_its_plan(store: SqlStore) -> None:
    offer = Plans({"small": Quotas(runs_per_day=0), "standard": Quotas(runs_per_day=1)}, "standard")
    small = tenant().model_copy(update={"plan": "small"})
    own = tenant("own_corp").model_copy(update={"plan": "small", "quotas": Quotas(runs_per_day=2)})
    gone = tenant("gone_corp").model_copy(update={"plan": "no longer offered"})
    for number, made in enumerate((small, own, gone)):
        first = replace(new_run(made.tenant_id), trigger=RunTrigger.SYSTEM)
        await store.onboard_tenant(made, api_key(made.tenant_id, f"key{number}"), first, offer)
    uses = await store.usage(["acme_corp", "own_corp", "gone_corp"], offer)
    limits = {name: next(u.limit for u in found if u.quota is Quota.RUNS_PER_DAY) for name, found in uses.items()}
    assert limits == {"acme_corp": 0, "own_corp": 2, "gone_corp": 1}


@pytest.mark.parametrize(("own", "limit"), [(None, 7), (5, 5), (9, 9)])
async def test_a_claim_tells_what_a_statement_may_bill(store: SqlStore, own: int | None, limit: int) -> None:
    made = tenant().model_copy(update={"quotas": Quotas(maximum_bytes_billed=own)})
    limits = plans(maximum_bytes_billed=7)
    await store.onboard_tenant(made, api_key(), new_run(), limits)
    held = await claim(store, limits)
    assert held is not None
    assert held.maximum_bytes_billed == limit


async def test_calls_of_a_minute_are_shared_by_all_servers(store: SqlStore, second: SqlStore, clock: Clock) -> None:
    limits = plans(requests_per_minute=25)
    clock.advance(15)
    taken = [await either.take_requests("acme_corp", 10, limits) for either in (store, second, store, second)]
    assert taken == [TakenRequests(given, 25, 45) for given in (10, 10, 5, 0)]
    assert (await use(store, Quota.REQUESTS_PER_MINUTE, limits)).used == 25
    clock.advance(60)
    assert await store.take_requests("acme_corp", 10, limits) == TakenRequests(10, 25, 45)
    assert await store.take_requests("acme_corp", 10, plans()) is None


async def test_a_suspended_tenants_runs_wait(store: SqlStore) -> None:
    suspended = tenant().model_copy(update={"state": TenantState.SUSPENDED})
    run = await store.onboard_tenant(suspended, api_key(), new_run(), plans())
    assert await claim(store, plans()) is None
    explained = await store.explain_run(run.pipeline_logging_id, plans())
    assert explained is not None
    assert explained.wait_reason is WaitReason.TENANT_SUSPENDED
