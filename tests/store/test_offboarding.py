"""The end of a tenant, on every store: what ends with it, what is left, and what another call goes on with."""

import asyncio
from dataclasses import replace

import pytest

from server.domain.credential import Credential, CredentialKind, Sealed
from server.domain.pipeline import PipelineName
from server.domain.run import Run, RunStatus, RunTrigger
from server.domain.tenant import DatasetState, Tenant, TenantState
from server.store.port import NewRun, RequestConflict, RequestKey, RunEnd, RunFilter, RunHeld, TenantGone
from server.store.sql.store import SqlStore
from tests.store.records import BY, NOW, PLANS, api_key, new_run, tenant

ASKED = RequestKey("acme_corp", "OffboardTenant", "r1", "content")


def deletion() -> NewRun:
    name = PipelineName("setup", "tenants", "offboarding")
    return replace(new_run(), name=name, trigger=RunTrigger.SYSTEM)


async def onboarded(store: SqlStore, tenant_id: str = "acme_corp", key_id: str = "k1") -> None:
    """An active tenant, without runs that wait or work."""
    await store.onboard_tenant(tenant(tenant_id), api_key(tenant_id, key_id), new_run(tenant_id), PLANS)
    claim = await store.claim("w", lease_seconds=30, plans=PLANS)
    assert claim is not None
    await store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, activates_tenant=True))


async def found(store: SqlStore, tenant_id: str = "acme_corp") -> Tenant:
    kept = await store.get_tenant(tenant_id)
    assert kept is not None
    return kept


async def statuses(store: SqlStore) -> dict[str, RunStatus]:
    listed = await store.list_runs(RunFilter("acme_corp"), after=None, limit=99)
    return {run.pipeline_logging_id: run.status for run in listed}


async def kept(store: SqlStore, run_id: str) -> Run:
    run = await store.get_run(run_id)
    assert run is not None
    return run


async def test_keys_end_with_the_tenant_and_those_of_others_do_not(store: SqlStore) -> None:
    await onboarded(store)
    await onboarded(store, "rival_inc", "k2")
    await store.create_api_key(api_key("acme_corp", "k3"), by=BY, request=None)
    await store.create_api_key(api_key(None, "k4"), by=BY, request=None)
    for _ in range(2):
        await store.offboard_tenant("acme_corp", by=BY, request=ASKED)
    ended = {key_id: await store.find_api_key(key_id) for key_id in ("k1", "k2", "k3", "k4")}
    assert {key_id for key_id, key in ended.items() if key and key.revoked_at} == {"k1", "k3"}
    assert ((await found(store)).state, (await found(store)).dataset_state) == (
        TenantState.OFFBOARDED,
        DatasetState.KEPT,
    )
    assert (await found(store, "rival_inc")).state is TenantState.ACTIVE
    actions = [event.action for event in await store.audit_events("acme_corp", before=None, limit=99)]
    assert actions.count("tenant.offboard") == 1
    assert actions.count("api_key.revoke") == 2


async def test_another_request_with_the_same_id_is_refused(store: SqlStore) -> None:
    await onboarded(store)
    await store.offboard_tenant("acme_corp", by=BY, request=ASKED)
    with pytest.raises(RequestConflict):
        await store.offboard_tenant("acme_corp", by=BY, request=replace(ASKED, content_hash="other"))


async def test_a_conflict_changes_nothing(store: SqlStore) -> None:
    await onboarded(store)
    await onboarded(store, "rival_inc", "k2")
    await store.offboard_tenant("rival_inc", by=BY, request=replace(ASKED, tenant_id="acme_corp"))
    with pytest.raises(RequestConflict):
        await store.offboard_tenant("acme_corp", by=BY, request=replace(ASKED, content_hash="other"))
    assert (await found(store)).state is TenantState.ACTIVE


async def test_runs_are_cancelled_a_few_at_a_time(store: SqlStore) -> None:
    await onboarded(store)
    for _ in range(5):
        await store.accept_run(new_run(), PLANS)
    claim = await store.claim("w", lease_seconds=30, plans=PLANS)
    assert claim is not None
    await store.offboard_tenant("acme_corp", by=BY, request=None)
    assert [await store.cancel_runs("acme_corp", by=BY, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    counted = list((await statuses(store)).values())
    assert (counted.count(RunStatus.CANCELLED), counted.count(RunStatus.CANCELLING)) == (4, 1)
    assert await store.cancelling([claim.lease]) == {claim.lease}


async def test_whoever_asked_before_and_comes_after_it_is_refused(store: SqlStore) -> None:
    await onboarded(store)
    await store.offboard_tenant("acme_corp", by=BY, request=None)
    with pytest.raises(TenantGone):
        await store.accept_run(new_run(), PLANS)
    assert len(await statuses(store)) == 1
    usage = {use.quota.value: use.used for use in (await store.usage(["acme_corp"], PLANS))["acme_corp"]}
    assert usage["max_pending_runs"] == 0


async def test_nothing_of_it_begins_or_goes_on_before_it_is_cancelled(store: SqlStore) -> None:
    """The server may have died before it came to cancel the runs."""
    await onboarded(store)
    for _ in range(2):
        await store.accept_run(new_run(), PLANS)
    claim = await store.claim("w", lease_seconds=30, plans=PLANS)
    assert claim is not None
    await store.offboard_tenant("acme_corp", by=BY, request=None)
    with pytest.raises(RunHeld):
        await store.start_step(claim.lease, claim.run.steps[0])
    await store.hand_back(claim.lease)
    assert await store.claim("w", lease_seconds=30, plans=PLANS) is None
    await store.delete_dataset_by(deletion(), PLANS)
    await store.cancel_runs("acme_corp", by=BY, limit=9)
    again = await store.claim("w", lease_seconds=30, plans=PLANS)
    assert again is not None
    assert (again.run.pipeline_logging_id, again.run.status) == (claim.run.pipeline_logging_id, RunStatus.CANCELLING)


async def test_nothing_is_made_for_it_any_more(store: SqlStore) -> None:
    await onboarded(store)
    await store.offboard_tenant("acme_corp", by=BY, request=None)
    key = api_key("acme_corp", "k9")
    with pytest.raises(TenantGone):
        await store.create_api_key(key, by=BY, request=None)
    with pytest.raises(TenantGone):
        await store.rotate_api_key("k1", key, overlap_seconds=60, by=BY, request=None)
    credential = Credential(
        tenant_id="acme_corp",
        name="role",
        version=1,
        kind=CredentialKind.AWS_ROLE,
        fingerprint="",
        sealed=Sealed(key_id="mk_1", wrapped_key=b"k", ciphertext=b"c"),
        created_at=NOW,
    )
    with pytest.raises(TenantGone):
        await store.add_credential(credential, by=BY, request=None, most_names=9)
    assert await store.find_api_key("k9") is None
    assert await store.last_credential("acme_corp", "role") is None


async def test_no_key_slips_through_while_it_ends(store: SqlStore, second: SqlStore) -> None:
    for number in range(20):
        name = f"corp_{number}"
        await onboarded(store, name, f"first{number}")
        made = [second.create_api_key(api_key(name, f"k{number}_{n}"), by=BY, request=None) for n in range(4)]
        await asyncio.gather(store.offboard_tenant(name, by=BY, request=None), *made, return_exceptions=True)
        assert [key.key_id for key in await store.tenant_keys(name) if key.revoked_at is None] == []


async def test_one_run_removes_the_dataset_when_nothing_works_in_it_any_more(store: SqlStore) -> None:
    await onboarded(store)
    await store.accept_run(new_run(), PLANS)
    working = await store.claim("w", lease_seconds=30, plans=PLANS)
    assert working is not None
    await store.offboard_tenant("acme_corp", by=BY, request=None)
    await store.cancel_runs("acme_corp", by=BY, limit=9)
    for _ in range(2):
        await store.delete_dataset_by(deletion(), PLANS)
    waiting = [run_id for run_id, status in (await statuses(store)).items() if status is RunStatus.PENDING]
    assert waiting == [(await found(store)).offboarding_run]
    assert await store.cancel_runs("acme_corp", by=BY, limit=9) == 0
    assert await store.claim("w2", lease_seconds=30, plans=PLANS) is None
    await store.finish_run(working.lease, RunEnd(RunStatus.CANCELLED))
    claim = await store.claim("w2", lease_seconds=30, plans=PLANS)
    assert claim is not None
    assert claim.run.pipeline_logging_id == waiting[0]
    await store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, deletes_dataset=True))
    assert (await found(store)).dataset_state is DatasetState.DELETED
    await store.delete_dataset_by(deletion(), PLANS)
    assert (await found(store)).offboarding_run == waiting[0]


async def test_after_a_failure_another_run_removes_the_dataset(store: SqlStore) -> None:
    await onboarded(store)
    await store.offboard_tenant("acme_corp", by=BY, request=None)
    await store.delete_dataset_by(deletion(), PLANS)
    first = (await found(store)).offboarding_run
    claim = await store.claim("w", lease_seconds=30, plans=PLANS)
    assert claim is not None
    await store.finish_run(claim.lease, RunEnd(RunStatus.FAILED))
    assert (await found(store)).dataset_state is DatasetState.KEPT
    await store.delete_dataset_by(deletion(), PLANS)
    second = (await found(store)).offboarding_run
    assert second not in {"", first}
    assert (await kept(store, second)).status is RunStatus.PENDING


async def test_the_dataset_of_a_tenant_that_was_never_set_up_is_nobodys_to_remove(store: SqlStore) -> None:
    await store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    claim = await store.claim("w", lease_seconds=30, plans=PLANS)
    assert claim is not None
    await store.offboard_tenant("acme_corp", by=BY, request=None)
    # Its onboarding ends too late to make it active.
    await store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, activates_tenant=True))
    await store.delete_dataset_by(deletion(), PLANS)
    ended = await found(store)
    assert (ended.state, ended.dataset_state, ended.offboarding_run) == (
        TenantState.OFFBOARDED,
        DatasetState.FOREIGN,
        "",
    )


async def test_the_budget_of_a_tenant_does_not_keep_its_dataset(store: SqlStore) -> None:
    await onboarded(store)
    await store.offboard_tenant("acme_corp", by=BY, request=None)
    await store.delete_dataset_by(deletion(), PLANS)
    nothing = replace(PLANS, plans={"standard": PLANS.plans["standard"].model_copy(update={"bytes_billed_per_day": 0})})
    assert await store.claim("w", lease_seconds=30, plans=nothing) is not None
