"""Requests that no honest client sends: each is refused with its reason, none with INTERNAL or UNAVAILABLE."""

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from convergence.errors import ConvergenceError, translate
from convergence.v1.pipeline_service_pb2 import (
    CancelRunRequest,
    GetRunRequest,
    GetRunStatusRequest,
    ListPipelinesRequest,
    ListRunsRequest,
)
from convergence.v1.run_pb2 import Run
from convergence.v1.tenant_service_pb2 import GetTenantRequest, ListTenantsRequest, OnboardTenantRequest, Tenant
from server.api.pages import page_token
from server.security.api_keys import KeyRing
from tests.e2e.service import Service

PIPELINES, TENANTS = "/convergence.v1.PipelineService/", "/convergence.v1.TenantService/"
MEGABYTE = 1024 * 1024


async def refusal(service: Service, method: str, request: Message | bytes, key: str | None = None) -> ConvergenceError:
    """What a call is refused with, within five seconds."""
    data = request if isinstance(request, bytes) else request.SerializeToString()
    metadata = (("x-api-key", key or service.admin_key),)
    async with grpc.aio.insecure_channel(service.target) as channel:
        try:
            if method.endswith("GetRunStatus"):
                async for _ in channel.unary_stream(method)(data, metadata=metadata, timeout=5):
                    break
            else:
                await channel.unary_unary(method)(data, metadata=metadata, timeout=5)
        except grpc.aio.AioRpcError as error:
            return translate(error)
    raise AssertionError(f"{method} answered")


def told(error: ConvergenceError) -> tuple[str, str]:
    return error.code.name, error.reason


# -- times -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["created_after", "created_before"])
@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(10**15, 0), (-(10**15), 0), (2**63 - 1, 0), (0, -1), (0, 10**9), (0, 2**31 - 1), (-62135596801, 0)],
    ids=["far future", "far past", "int64", "negative nanos", "a second of nanos", "int32 nanos", "before year 1"],
)
async def test_times_that_are_none(service: Service, acme_key: str, field: str, seconds: int, nanos: int) -> None:
    request = ListRunsRequest(**{field: Timestamp(seconds=seconds, nanos=nanos)})
    error = await refusal(service, PIPELINES + "ListRuns", request, acme_key)
    assert told(error) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert [violation.field for violation in error.violations] == [field]


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


# -- page tokens -------------------------------------------------------------------------------------------------------

RUNS, CATALOG, CUSTOMERS = ListRunsRequest(), ListPipelinesRequest(), ListTenantsRequest()
RUN_ID = "00000000-0000-4000-8000-000000000000"
SURROGATE = "\ud800"


@pytest.mark.parametrize(
    ("method", "token"),
    [
        (PIPELINES + "ListRuns", page_token(RUNS, "2025-11-18T10:00:00", RUN_ID)),
        (PIPELINES + "ListRuns", page_token(RUNS, "0001-01-01T00:00:00", RUN_ID)),
        (PIPELINES + "ListRuns", page_token(RUNS, "0001-01-01T00:00:00+00:00", RUN_ID)),
        (PIPELINES + "ListRuns", page_token(RUNS, "0001-01-01T00:00:00+14:00", RUN_ID)),
        (PIPELINES + "ListRuns", page_token(RUNS, "2025-11-18", RUN_ID)),
        (PIPELINES + "ListRuns", page_token(RUNS, "yesterday", RUN_ID)),
        (PIPELINES + "ListRuns", page_token(RUNS, "2025-11-18T10:00:00+00:00", SURROGATE)),
        (PIPELINES + "ListRuns", page_token(RUNS, "2025-11-18T10:00:00+00:00")),
        (PIPELINES + "ListRuns", page_token(CATALOG, "2025-11-18T10:00:00+00:00", RUN_ID, "more")),
        (PIPELINES + "ListPipelines", page_token(CATALOG, "../../etc/passwd")),
        (PIPELINES + "ListPipelines", page_token(CATALOG, "")),
        (PIPELINES + "ListPipelines", page_token(CATALOG, SURROGATE)),
        (TENANTS + "ListTenants", page_token(CUSTOMERS, SURROGATE)),
        (TENANTS + "ListTenants", base64.urlsafe_b64encode(b"[" * 100_000).decode()),
        (TENANTS + "ListTenants", base64.urlsafe_b64encode(json.dumps([1, 2]).encode()).decode()),
        (TENANTS + "ListTenants", "ü"),
        (TENANTS + "ListTenants", "a" * MEGABYTE),
    ],
    ids=[
        *("no time zone", "year 1 without zone", "year 1", "year 1 elsewhere", "a date", "no time"),
        *("surrogate in run", "part missing", "part too many"),
        *("path", "no name", "surrogate in pipeline", "surrogate in tenant"),
        *("deep JSON", "numbers", "not base64", "long"),
    ],
)
async def test_forged_page_tokens(service: Service, method: str, token: str) -> None:
    request = next(r for r in (RUNS, CATALOG, CUSTOMERS) if type(r).__name__ == method.rpartition("/")[2] + "Request")
    forged = type(request)(page_token=token)
    error = await refusal(service, method, forged)
    assert told(error) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")


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


# -- long lists, long and strange texts --------------------------------------------------------------------------------


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


@pytest.mark.parametrize("run_id", ["\0", f"{RUN_ID}\0", "", "x" * MEGABYTE, "\x7f\u202e", "' OR 1=1 --"])
@pytest.mark.parametrize("request_type", [GetRunRequest, CancelRunRequest, GetRunStatusRequest])
async def test_ids_that_are_none(
    service: Service,
    acme_key: str,
    request_type: type[GetRunRequest | CancelRunRequest | GetRunStatusRequest],
    run_id: str,
) -> None:
    method = PIPELINES + request_type.__name__.removesuffix("Request")
    error = await refusal(service, method, request_type(pipeline_logging_id=run_id), acme_key)
    assert told(error) == ("NOT_FOUND", "RUN_NOT_FOUND")


@pytest.mark.parametrize("tenant_id", ["\0", "acme_corp\0", "x" * MEGABYTE], ids=["null", "ends in null", "long"])
async def test_tenants_that_are_none(service: Service, tenant_id: str) -> None:
    error = await refusal(service, TENANTS + "GetTenant", GetTenantRequest(tenant_id=tenant_id))
    assert told(error) == ("NOT_FOUND", "TENANT_NOT_FOUND")


@pytest.mark.parametrize("method", ["RunPipeline", "GetRun", "GetRunStatus", "ListRuns", "CancelRun"])
@pytest.mark.parametrize("text", [b"\xed\xa0\x80", b"\xff", b"\xc0\x80"], ids=["surrogate", "byte", "overlong"])
async def test_text_that_is_none(service: Service, acme_key: str, method: str, text: bytes) -> None:
    first_field = bytes([0x0A, len(text)]) + text
    error = await refusal(service, PIPELINES + method, first_field, acme_key)
    assert told(error) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST")


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tenantless_key(service: Service) -> str:
    """A key that belongs to no tenant and is no operator's either."""
    var = service.checkout / "var"
    secret = KeyRing.from_file(var / "pepper", may_create=False).make()
    with closing(sqlite3.connect(var / "control.sqlite3", timeout=10)) as connection, connection:
        connection.execute(
            "INSERT INTO api_keys (key_id, name, scopes, digest, created_at) VALUES (?, 'odd', ?, ?, 0)",
            (secret.key_id, json.dumps(["runs:read"]), secret.digest),
        )
    return secret.text


async def test_only_operators_see_everyones_runs(service: Service, acme_key: str, tenantless_key: str) -> None:
    error = await refusal(service, PIPELINES + "ListRuns", ListRunsRequest(), tenantless_key)
    assert told(error) == ("INVALID_ARGUMENT", "MISSING_FIELD")
    error = await refusal(service, PIPELINES + "ListRuns", ListRunsRequest(tenant_id="acme_corp"), tenantless_key)
    assert told(error) == ("NOT_FOUND", "TENANT_NOT_FOUND")


# -- new tenants -------------------------------------------------------------------------------------------------------


async def test_everything_wrong_with_a_profile_is_told(service: Service) -> None:
    request = OnboardTenantRequest(
        tenant_id="bounds_corp",
        display_name="x" * 201,
        contact_emails=[f"{number}@example.com" for number in range(51)],
        allowed_sources=["nowhere", *(f"some-project.d.t{number}" for number in range(100))],
    )
    error = await refusal(service, TENANTS + "OnboardTenant", request)
    assert told(error) == ("INVALID_ARGUMENT", "INVALID_DISPLAY_NAME")
    fields = {violation.field for violation in error.violations}
    assert fields == {"display_name", "contact_emails", "allowed_sources", "allowed_sources[0]"}


@pytest.mark.parametrize("field", ["contact_emails", "allowed_sources"])
async def test_a_very_long_list_is_refused_quickly(service: Service, field: str) -> None:
    request = OnboardTenantRequest(tenant_id="bounds_corp", **{field: ["x"] * 1_000_000})
    async with asyncio.timeout(5):
        error = await refusal(service, TENANTS + "OnboardTenant", request)
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.violations[0].field == field


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
