"""The client's calls: what they send, and what they bring back."""

import subprocess
import sys
import uuid
from datetime import UTC, datetime

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider

from convergence.channel import Tls, open_channel
from convergence.client import ConvergenceClient, answer
from convergence.errors import Unavailable
from convergence.v1.pipeline_service_pb2 import (
    GetRunRequest,
    ListBackfillsResponse,
    ListPipelinesResponse,
    ListRunsResponse,
    Pipeline,
    PipelineSummary,
    RunInputs,
    RunStatistics,
)
from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceStub
from convergence.v1.run_pb2 import Run
from convergence.v1.schedule_service_pb2 import ListScheduledRunsResponse, ListSchedulesResponse, Schedule
from convergence.v1.system_service_pb2 import ListAuditEventsResponse, ServiceHealth, SystemInfo
from convergence.v1.tenant_service_pb2 import (
    ApiKey,
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    ListApiKeysResponse,
    ListTenantsResponse,
    Tenant,
)

from .backfills import BACKFILL_ID, DAYS, a_backfill
from .peer import RUN_ID, TENANT, a_run, all_events, events_of, listed_runs, onboarded


async def test_a_run_is_asked_for_as_the_caller_says(client, peer):
    peer.answers["RunPipeline"] = a_run()

    run = await client.run_pipeline(
        tenant_id=TENANT,
        provider="gcp",
        domain="cost",
        template_name="cost_billing",
        date="2025-11-18",
        variables={"admin_email": "ops@acme.example.com"},
        request_id="mine",
    )

    assert run == a_run()
    (request,) = peer.requests["RunPipeline"]
    assert (request.provider, request.domain, request.template_name) == ("gcp", "cost", "cost_billing")
    assert dict(request.variables) == {"admin_email": "ops@acme.example.com"}
    assert (request.date, request.request_id) == ("2025-11-18", "mine")


PIPELINE = {"provider": "gcp", "domain": "cost", "template_name": "cost_billing"}
CALLS = {
    "RunPipeline": (a_run(), lambda client: client.run_pipeline(tenant_id=TENANT, **PIPELINE)),
    "GetRun": (a_run(), lambda client: client.get_run(TENANT, RUN_ID)),
    "ListRuns": (ListRunsResponse(), lambda client: client.list_runs()),
    "GetRunInputs": (RunInputs(), lambda client: client.get_run_inputs(TENANT, RUN_ID)),
    "GetRunStatistics": (RunStatistics(), lambda client: client.get_run_statistics()),
    "CancelRun": (a_run(), lambda client: client.cancel_run(TENANT, RUN_ID)),
    "ListPipelines": (ListPipelinesResponse(), lambda client: client.list_pipelines()),
    "GetPipeline": (Pipeline(), lambda client: client.get_pipeline(**PIPELINE)),
    "BackfillPipeline": (a_backfill(), lambda client: client.backfill_pipeline([TENANT], **PIPELINE, **DAYS)),
    "GetBackfill": (a_backfill(), lambda client: client.get_backfill(BACKFILL_ID)),
    "ListBackfills": (ListBackfillsResponse(), lambda client: client.list_backfills()),
    "PauseBackfill": (a_backfill(), lambda client: client.pause_backfill(BACKFILL_ID)),
    "CancelBackfill": (a_backfill(), lambda client: client.cancel_backfill(BACKFILL_ID)),
    "CreateSchedule": (Schedule(), lambda client: client.create_schedule(Schedule(tenant_id=TENANT))),
    "GetSchedule": (Schedule(), lambda client: client.get_schedule(TENANT, "nightly")),
    "ListSchedules": (ListSchedulesResponse(), lambda client: client.list_schedules()),
    "PauseSchedule": (Schedule(), lambda client: client.pause_schedule(TENANT, "nightly")),
    "ListScheduledRuns": (ListScheduledRunsResponse(), lambda client: client.list_scheduled_runs(TENANT)),
    "OnboardTenant": (onboarded(), lambda client: client.onboard_tenant(TENANT)),
    "GetTenant": (Tenant(), lambda client: client.get_tenant(TENANT)),
    "ListTenants": (ListTenantsResponse(), lambda client: client.list_tenants()),
    "ListApiKeys": (ListApiKeysResponse(), lambda client: client.list_api_keys()),
    "RevokeApiKey": (ApiKey(), lambda client: client.revoke_api_key("k1")),
    "ListAuditEvents": (ListAuditEventsResponse(), lambda client: client.list_audit_events()),
    "GetSystemInfo": (SystemInfo(), lambda client: client.get_system_info()),
    "GetServiceHealth": (ServiceHealth(), lambda client: client.get_service_health()),
}


def at_the_second_time(peer, method, answer):
    async def handler(_request, context):
        if len(peer.requests[method]) < 2:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        return answer

    return handler


@pytest.mark.parametrize("method", CALLS)
async def test_a_call_that_found_no_server_is_made_again_and_is_the_same(client, peer, method):
    expected, call = CALLS[method]
    peer.answers[method] = at_the_second_time(peer, method, expected)

    assert await call(client) == expected
    first, second = peer.requests[method]
    assert first == second


async def test_a_write_without_request_id_is_not_repeated(client, peer):
    peer.answers["CreateApiKey"] = at_the_second_time(peer, "CreateApiKey", CreateApiKeyResponse())

    with pytest.raises(Unavailable):
        await answer(client.tenants.CreateApiKey(CreateApiKeyRequest(tenant_id=TENANT, name="ci")))
    assert len(peer.requests["CreateApiKey"]) == 1


@pytest.mark.parametrize("method", ["RunPipeline", "OnboardTenant", "BackfillPipeline", "CreateSchedule"])
async def test_each_write_gets_an_id_of_its_own(client, peer, method):
    peer.answers[method], call = CALLS[method]
    await call(client)
    await call(client)

    first, second = (uuid.UUID(request.request_id) for request in peer.requests[method])
    assert first != second
    assert first.version == 4


async def test_every_kind_of_call_carries_the_key(client, peer):
    peer.answers |= {"GetRun": a_run(), "GetSystemInfo": SystemInfo(version="1")}
    peer.streams = [all_events(events_of())]

    await client.get_run(TENANT, RUN_ID)
    await client.get_system_info()
    _ = [event async for event in client.watch(TENANT, RUN_ID)]

    assert peer.keys == ["cvg_k1_secret"] * 3


@pytest.mark.parametrize("key", ["cvg k1", "cvg_k1\n", "cvg_\u00e9", "\x00"], ids=ascii)
async def test_a_key_that_cannot_be_one_is_refused(key):
    with pytest.raises(ValueError, match="characters that no key has"):
        ConvergenceClient(api_key=key)


@pytest.mark.parametrize(
    "target",
    [
        *("127.0.0.1:99999", "127.0.0.1:65536", "localhost:0", "localhost:-1", "localhost", "localhost:", ":50051", ""),
        *("http://localhost:50051", "a b:50051", "::1:50051", "[::1]", "unix:/run/s.sock", "h:50051\n", "h:\u0661"),
    ],
    ids=ascii,
)
async def test_a_target_that_cannot_be_one_is_refused(target):
    with pytest.raises(ValueError, match="write host:port with a port from 1 to 65535"):
        ConvergenceClient(target)


@pytest.mark.parametrize("target", ["localhost:1", "a-b.example.com:65535", "[::1]:50051", "[fe80::1%eth0]:50051"])
async def test_a_target_may_be_any_host_and_port(target):
    await ConvergenceClient(target).close()


async def test_the_tenant_comes_first_in_every_call(client, peer):
    peer.answers |= {"RunPipeline": a_run(), "ListRuns": ListRunsResponse()}

    await client.run_pipeline(TENANT, provider="gcp", template_name="a")
    await client.list_runs(TENANT, pipeline="p")
    _ = [run async for run in client.iter_runs(TENANT, pipeline="p")]

    (run,), lists = peer.requests["RunPipeline"], peer.requests["ListRuns"]
    assert run.tenant_id == TENANT
    assert [(request.tenant_id, request.pipeline) for request in lists] == [(TENANT, "p")] * 2


async def test_a_page_of_runs(client, peer):
    peer.answers["ListRuns"] = ListRunsResponse(next_page_token="more")

    page = await client.list_runs(
        tenant_id=TENANT,
        pipeline="acme_corp-gcp-cost-billing",
        statuses=[Run.FAILED, Run.TIMED_OUT],
        created_after=datetime(2025, 11, 18, tzinfo=UTC),
        schedule_id="nightly",
        backfill_id=BACKFILL_ID,
        triggers=[Run.SCHEDULE],
        text="bills",
        oldest_first=True,
        count=True,
        page_size=7,
        page_token="here",
    )

    assert page.next_page_token == "more"
    (request,) = peer.requests["ListRuns"]
    assert list(request.statuses) == [Run.FAILED, Run.TIMED_OUT]
    assert request.created_after.ToDatetime() == datetime(2025, 11, 18)
    assert not request.HasField("created_before")
    assert (request.pipeline, request.page_size, request.page_token) == ("acme_corp-gcp-cost-billing", 7, "here")
    assert (request.schedule_id, request.backfill_id) == ("nightly", BACKFILL_ID)
    assert (list(request.triggers), request.text) == ([Run.SCHEDULE], "bills")
    assert (request.oldest_first, request.count) == (True, True)


async def test_statistics_of_a_period(client, peer):
    peer.answers["GetRunStatistics"] = RunStatistics(pending_runs=3)
    since, until = datetime(2025, 11, 17, tzinfo=UTC), datetime(2025, 11, 18, tzinfo=UTC)

    assert (await client.get_run_statistics(TENANT, since=since, until=until, buckets=12)).pending_runs == 3
    (request,) = peer.requests["GetRunStatistics"]
    assert (request.tenant_id, request.buckets) == (TENANT, 12)
    assert (request.since.ToDatetime(UTC), request.until.ToDatetime(UTC)) == (since, until)


async def test_a_time_without_zone_is_refused(client):
    with pytest.raises(ValueError, match="needs a zone"):
        await client.list_runs(created_after=datetime(2025, 11, 18))


async def test_all_runs_come_page_by_page(client, peer):
    peer.answers["ListRuns"] = listed_runs(5)

    dates = [run.date async for run in client.iter_runs(tenant_id=TENANT, page_size=2)]

    assert dates == [f"2025-11-0{day}" for day in range(1, 6)]
    assert [(request.page_token, request.page_size) for request in peer.requests["ListRuns"]] == [
        ("", 2),
        ("2", 2),
        ("4", 2),
    ]


async def test_all_pipelines_and_all_tenants(client, peer):
    peer.answers["ListPipelines"] = ListPipelinesResponse(pipelines=[PipelineSummary(template_name="cost_billing")])
    peer.answers["ListTenants"] = ListTenantsResponse(tenants=[Tenant(tenant_id=TENANT)])

    assert [item.template_name async for item in client.iter_pipelines(provider="gcp")] == ["cost_billing"]
    assert [item.tenant_id async for item in client.iter_tenants(states=[Tenant.ACTIVE])] == [TENANT]
    assert peer.requests["ListPipelines"][0].provider == "gcp"
    assert list(peer.requests["ListTenants"][0].states) == [Tenant.ACTIVE]


async def test_the_stubs_carry_the_key_too(client, peer):
    peer.answers["CreateApiKey"] = CreateApiKeyResponse()

    await client.tenants.CreateApiKey(CreateApiKeyRequest(tenant_id=TENANT, name="ci"))

    assert peer.keys == ["cvg_k1_secret"]


@pytest.fixture
def key_and_certificate(certificate_files):
    return (certificate_files / "key.pem").read_bytes(), (certificate_files / "cert.pem").read_bytes()


async def test_tls(peer, address, key_and_certificate):
    _, certificate = key_and_certificate
    await address.stop()
    await address.start(grpc.ssl_server_credentials([key_and_certificate]))
    peer.answers["GetSystemInfo"] = SystemInfo(version="1")

    async with ConvergenceClient(address.target, api_key="cvg_k1_secret", tls=Tls(certificate)) as client:
        assert (await client.get_system_info()).version == "1"
    assert peer.keys == ["cvg_k1_secret"]


async def test_the_callers_trace_goes_along(client, peer):
    peer.answers["GetRun"], peer.streams = a_run(), [all_events(events_of())]
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("caller")
    await client.get_run(TENANT, RUN_ID)
    assert peer.traces == []
    with tracer.start_as_current_span("caller") as span:
        await client.get_run(TENANT, RUN_ID)
        assert [event async for event in client.watch(TENANT, RUN_ID)]
    here = span.get_span_context()
    assert {said[:-2] for said in peer.traces} == {f"00-{here.trace_id:032x}-{here.span_id:016x}-"}
    assert len(peer.traces) == 2


async def test_what_somebody_has_said_of_the_trace_before_stays(address, peer):
    peer.answers["GetRun"] = a_run()
    said = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("caller")
    async with open_channel(address.target, api_key="cvg_k1_secret", tls=None) as channel:
        with tracer.start_as_current_span("caller"):
            request = GetRunRequest(tenant_id=TENANT, pipeline_logging_id=RUN_ID)
            await PipelineServiceStub(channel).GetRun(request, metadata=(("traceparent", said),))
    assert peer.traces == [said]


def test_a_client_without_a_trace_imports_nothing_for_one():
    program = (
        "import sys, convergence.client, convergence.channel as c; print(c._trace(), 'opentelemetry' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "{} False\n"
