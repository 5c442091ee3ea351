"""Tenants that are changed, suspended and resumed through the API, on a running server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run, StepRun
from convergence.v1.tenant_service_pb2 import Tenant, TenantQuotas, UpdateTenantRequest
from tests.e2e.service import Service, file_appears, finished, onboard, start

NAME = "change_corp"


@pytest.fixture(scope="module")
async def key(service: Service) -> str:
    return await onboard(service, NAME)


@pytest.fixture
async def operator(service: Service, key: str) -> AsyncIterator[ConvergenceClient]:
    async with service.client() as client:
        yield client


async def test_everything_that_can_be_changed(operator: ConvergenceClient) -> None:
    before = await operator.get_tenant(NAME)
    changes: dict[str, Any] = {
        "display_name": "Change Corp.",
        "contact_emails": ["ops@change.example.com", "cfo@change.example.com"],
        "allowed_sources": ["shared-project.export.gcp_*"],
        "plan": "trial",
    }
    after = await operator.update_tenant(NAME, **changes, limits={"runs_per_day": 7, "max_concurrent_runs": 2})
    assert after == await operator.get_tenant(NAME)
    for field, value in changes.items():
        found = getattr(after, field)
        assert (found if isinstance(found, str) else list(found)) == value
    assert after.quotas == TenantQuotas(runs_per_day=7, max_concurrent_runs=2)
    assert after.etag != before.etag
    assert (after.location, after.onboarding_run, after.state) == (before.location, before.onboarding_run, before.state)
    fewer = await operator.update_tenant(NAME, limits={"runs_per_day": None}, contact_emails=[])
    assert fewer.quotas == TenantQuotas(max_concurrent_runs=2)
    assert list(fewer.contact_emails) == []
    assert fewer.display_name == "Change Corp."
    (event, *_) = (await operator.list_audit_events(tenant_id=NAME, page_size=1)).events
    assert (event.action, event.subject, sorted(event.details)) == ("tenant.update", NAME, ["contact_emails", "quotas"])
    # As it is already: nothing happens.
    assert await operator.update_tenant(NAME, plan="trial") == fewer
    assert (await operator.update_tenant(NAME, display_name="", plan="")).display_name == NAME


async def test_a_tenant_changes_its_own_profile_and_nothing_else(service: Service, key: str) -> None:
    async with service.client(key) as client:
        changed = await client.update_tenant("", display_name="Ours", contact_emails=["a@change.example.com"])
        assert (changed.tenant_id, changed.display_name) == (NAME, "Ours")
        for wanted in (
            {"plan": "trial"},
            {"allowed_sources": []},
            {"state": Tenant.SUSPENDED},
            {"limits": {"runs_per_day": 1_000_000}},
            {"display_name": "Theirs", "plan": "trial"},
        ):
            with pytest.raises(ConvergenceError) as caught:
                await client.update_tenant(NAME, **wanted)
            assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
        assert (await client.get_tenant("")) == changed


async def test_a_reader_changes_nothing(service: Service, key: str) -> None:
    async with service.client(key) as client:
        reader = await client.create_api_key("reader", ["runs:read", "runs:write"])
    async with service.client(reader.api_key_secret) as client:
        with pytest.raises(ConvergenceError) as caught:
            await client.update_tenant(NAME, display_name="Theirs")
    assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED


async def test_two_who_change_the_same_do_not_undo_each_other(operator: ConvergenceClient) -> None:
    seen = await operator.get_tenant(NAME)
    await operator.update_tenant(NAME, display_name="First", etag=seen.etag)
    with pytest.raises(ConvergenceError) as caught:
        await operator.update_tenant(NAME, display_name="Second", etag=seen.etag)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    names = [f"Name {number}" for number in range(10)]
    limits = {"runs_per_month": 11, "max_pending_runs": 12, "requests_per_minute": 1300}
    await asyncio.gather(
        *(operator.update_tenant(NAME, display_name=name) for name in names),
        *(operator.update_tenant(NAME, limits={name: limit}) for name, limit in limits.items()),
    )
    after = await operator.get_tenant(NAME)
    assert after.display_name in names
    assert {field.name: value for field, value in after.quotas.ListFields()}.items() >= limits.items()


@pytest.mark.parametrize(
    ("wanted", "reason", "fields"),
    [
        ({"display_name": "x" * 201}, "INVALID_DISPLAY_NAME", ["display_name"]),
        ({"contact_emails": ["no address"]}, "INVALID_EMAIL", ["contact_emails[0]"]),
        ({"allowed_sources": ["a.b"]}, "INVALID_SOURCE", ["allowed_sources[0]"]),
        ({"plan": "golden"}, "UNKNOWN_PLAN", ["plan"]),
        ({"limits": {"runs_per_day": -1}}, "INVALID_FIELD", ["quotas.runs_per_day"]),
        ({"state": Tenant.OFFBOARDED}, "INVALID_FIELD", ["state"]),
        ({"state": Tenant.ONBOARDING}, "INVALID_FIELD", ["state"]),
        ({"state": 99}, "INVALID_FIELD", ["state"]),
        (
            {"display_name": "\n", "contact_emails": ["x"], "allowed_sources": ["y"], "plan": "golden"},
            "INVALID_DISPLAY_NAME",
            ["display_name", "contact_emails[0]", "allowed_sources[0]", "plan"],
        ),
        ({}, "INVALID_UPDATE_MASK", ["update_mask"]),
    ],
)
async def test_a_change_that_cannot_be_made(
    operator: ConvergenceClient, wanted: dict[str, Any], reason: str, fields: list[str]
) -> None:
    before = await operator.get_tenant(NAME)
    with pytest.raises(ConvergenceError) as caught:
        await operator.update_tenant(NAME, **wanted)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert [violation.field for violation in caught.value.violations] == fields
    assert await operator.get_tenant(NAME) == before


@pytest.mark.parametrize(
    "path", ["location", "tenant_id", "etag", "created_at", "quotas.novelty", "quotas.", "*", "Plan"]
)
async def test_what_cannot_be_set_is_refused_by_name(operator: ConvergenceClient, path: str) -> None:
    request = UpdateTenantRequest(tenant=Tenant(tenant_id=NAME, location="EU"))
    request.update_mask.paths.append(path)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.tenants.UpdateTenant(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert path in str(caught.value.details())


async def test_an_unknown_tenant_cannot_be_changed(operator: ConvergenceClient) -> None:
    with pytest.raises(ConvergenceError) as caught:
        await operator.update_tenant("no_such_corp", display_name="x")
    assert caught.value.reason == "TENANT_NOT_FOUND"


async def test_a_suspended_tenants_step_finishes_and_the_rest_waits(
    service: Service, operator: ConvergenceClient, tmp_path: Path
) -> None:
    gated = await start(operator, NAME, "trial/gate", variables={"folder": str(tmp_path)})
    await file_appears(tmp_path / "began-1")
    waiting = [await start(operator, NAME, "trial/gate", variables={"folder": str(tmp_path)}) for _ in range(5)]
    suspended = await operator.update_tenant(NAME, state=Tenant.SUSPENDED)
    assert suspended.state == Tenant.SUSPENDED
    with pytest.raises(ConvergenceError) as caught:
        await start(operator, NAME, "gcp/example/dryrun")
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TENANT_NOT_ACTIVE")
    (tmp_path / "open").touch()
    held = await until_the_gate_was_passed(operator, gated)
    assert [step.status for step in held.steps[1:]] == [StepRun.SUCCESS, StepRun.PENDING, StepRun.PENDING]
    cancelled = await operator.cancel_run(NAME, waiting[-1].pipeline_logging_id)
    assert cancelled.status in {Run.CANCELLED, Run.CANCELLING}
    assert (await finished(operator, waiting[-1])).status == Run.CANCELLED
    assert (await operator.get_run(NAME, gated.pipeline_logging_id)).status == Run.RUNNING
    assert (await operator.update_tenant(NAME, state=Tenant.ACTIVE)).state == Tenant.ACTIVE
    for run in (gated, *waiting[:-1]):
        ended = await finished(operator, run)
        assert ended.status == Run.SUCCESS
        assert {step.attempt for step in ended.steps} == {1}


async def until_the_gate_was_passed(client: ConvergenceClient, run: Run) -> Run:
    async with asyncio.timeout(30):
        while True:
            seen = await client.get_run(NAME, run.pipeline_logging_id)
            if seen.steps[1].status == StepRun.SUCCESS:
                return seen
            await asyncio.sleep(0.05)
