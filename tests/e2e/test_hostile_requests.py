"""Odd requests that are right, and all that is told of wrong ones; `tests/e2e/hostile` has those that are refused."""

from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from convergence.errors import ConvergenceError, translate
from convergence.v1.pipeline_service_pb2 import ListPipelinesRequest, ListRunsRequest
from convergence.v1.run_pb2 import Run
from convergence.v1.tenant_service_pb2 import ListTenantsRequest, OnboardTenantRequest, Tenant
from tests.e2e.service import Service

PIPELINES, TENANTS = "/convergence.v1.PipelineService/", "/convergence.v1.TenantService/"


async def refusal(service: Service, method: str, request: Message, key: str | None = None) -> ConvergenceError:
    """What a call is refused with, within five seconds."""
    metadata = (("x-api-key", key or service.admin_key),)
    async with grpc.aio.insecure_channel(service.target) as channel:
        try:
            await channel.unary_unary(method)(request.SerializeToString(), metadata=metadata, timeout=5)
        except grpc.aio.AioRpcError as error:
            return translate(error)
    raise AssertionError(f"{method} answered")


# -- times -------------------------------------------------------------------------------------------------------------


async def test_both_times_are_told(service: Service, acme_key: str) -> None:
    wrong = Timestamp(seconds=10**15)
    error = await refusal(
        service, PIPELINES + "ListRuns", ListRunsRequest(created_after=wrong, created_before=wrong), acme_key
    )
    assert [violation.field for violation in error.violations] == ["created_after", "created_before"]


@pytest.mark.parametrize("seconds", [-62135596800, 253402300799], ids=["year 1", "year 9999"])
async def test_the_first_and_the_last_time_are_times(service: Service, acme_key: str, seconds: int) -> None:
    async with service.client(acme_key) as client:
        limit = Timestamp(seconds=seconds)
        await client.pipelines.ListRuns(ListRunsRequest(created_after=limit, created_before=limit))


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def crossed_names(service: Service) -> AsyncIterator[list[str]]:
    """Pipelines that stand in another order by their parts than by their paths."""
    names = ["", "a/z", "ab/a", "zz/a"]
    paths = [service.checkout / "configs" / "crossed" / f"{name or 'b'}.yml" for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("pipeline_id: crossed\nsteps: [{step_id: none, ps_type: shown.nothing}]\n")
    yield ["b", "a/z", "ab/a", "zz/a"]
    for path in paths:
        path.unlink()


@pytest.mark.parametrize("page_size", [1, 2, 3])
async def test_pages_hold_every_pipeline_once(service: Service, crossed_names: list[str], page_size: int) -> None:
    found, request = list[str](), ListPipelinesRequest(provider="crossed", page_size=page_size)
    async with service.client() as client:
        while True:
            page = await client.pipelines.ListPipelines(request)
            found += [f"{line.domain}/{line.template_name}".strip("/") for line in page.pipelines]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    assert found == crossed_names


# -- long lists --------------------------------------------------------------------------------------------------------


async def test_a_status_may_be_named_often(service: Service, acme_key: str) -> None:
    request = ListRunsRequest(statuses=[Run.SUCCESS, Run.FAILED] * 150_000, page_size=500)
    async with service.client(acme_key) as client:
        often = await client.pipelines.ListRuns(request, timeout=5)
        once = await client.list_runs(statuses=[Run.SUCCESS, Run.FAILED], page_size=500)
    assert often.runs == once.runs
    assert often.runs


async def test_a_state_may_be_named_often(service: Service, acme_key: str) -> None:
    request = ListTenantsRequest(states=[Tenant.ACTIVE] * 300_000)
    async with service.client() as client:
        assert (await client.tenants.ListTenants(request, timeout=5)).tenants


# -- new tenants -------------------------------------------------------------------------------------------------------


async def test_everything_wrong_with_a_profile_is_told(service: Service) -> None:
    request = OnboardTenantRequest(
        tenant_id="bounds_corp",
        display_name="x" * 201,
        contact_emails=[f"{number}@example.com" for number in range(51)],
        allowed_sources=["nowhere", *(f"some-project.d.t{number}" for number in range(100))],
    )
    error = await refusal(service, TENANTS + "OnboardTenant", request)
    assert error.reason == "INVALID_DISPLAY_NAME"
    fields = {violation.field for violation in error.violations}
    assert fields == {"display_name", "contact_emails", "allowed_sources", "allowed_sources[0]"}


async def test_onboarding_can_be_repeated_whatever_became_of_the_file(own_service: Service) -> None:
    onboarding = own_service.checkout / "configs/setup/tenants/onboarding.yml"
    async with own_service.client() as client:
        first = await client.onboard_tenant(tenant_id="twice_corp", request_id="once")
        text = onboarding.read_text()
        onboarding.write_text("steps: [")
        again = await client.onboard_tenant(tenant_id="twice_corp", request_id="once")
        with pytest.raises(ConvergenceError) as caught:
            await client.onboard_tenant(tenant_id="twice_corp", display_name="Other", request_id="once")
        onboarding.write_text(text)
    assert first.api_key_secret
    assert again.api_key_secret == ""
    assert again.run.pipeline_logging_id == first.run.pipeline_logging_id
    assert (again.tenant.tenant_id, again.api_key.key_id) == ("twice_corp", first.api_key.key_id)
    assert caught.value.reason == "REQUEST_ID_REUSED"
