"""A server for the client's tests: it speaks the contract and does as each test tells it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2

from convergence.v1 import pipeline_service_pb2 as pipelines
from convergence.v1 import pipeline_service_pb2_grpc as pipelines_grpc
from convergence.v1 import schedule_service_pb2_grpc as schedules_grpc
from convergence.v1 import system_service_pb2_grpc as system_grpc
from convergence.v1 import tenant_service_pb2 as tenants
from convergence.v1 import tenant_service_pb2_grpc as tenants_grpc
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.run_pb2 import Heartbeat, LogEntry, Run, RunEvent, StepRun

TENANT = "acme_corp"
RUN_ID = "4a7e1f2c-0000-4000-8000-000000000001"

BackfillStream = Callable[[grpc.aio.ServicerContext], AsyncIterator[Backfill]]
Stream = Callable[[pipelines.GetRunStatusRequest, grpc.aio.ServicerContext], AsyncIterator[RunEvent]]


def a_run(status: Run.Status.ValueType = Run.PENDING, **fields: object) -> Run:
    run = Run(
        pipeline_logging_id=RUN_ID,
        tenant_id=TENANT,
        pipeline_id="acme_corp-gcp-cost-billing",
        provider="gcp",
        domain="cost",
        template_name="cost_billing",
        date="2025-11-18",
        status=status,
    )
    run.MergeFrom(Run(**fields))  # type: ignore[arg-type]  # the tests' own keywords
    return run


def events_of(end: Run.Status.ValueType = Run.SUCCESS) -> list[RunEvent]:
    """A whole run of seven events."""
    step = {"step_id": "load_billing", "ps_type": "gcp.bq_etl", "attempt": 1}
    parts = [
        RunEvent(run=a_run()),
        RunEvent(run=a_run(Run.RUNNING)),
        RunEvent(step=StepRun(status=StepRun.RUNNING, **step)),
        RunEvent(log=LogEntry(step_id="load_billing", level=LogEntry.INFO, message="reading")),
        RunEvent(log=LogEntry(step_id="load_billing", level=LogEntry.INFO, message="writing")),
        RunEvent(step=StepRun(status=StepRun.SUCCESS, rows_processed=1200, **step)),
        RunEvent(run=a_run(end, rows_processed=1200)),
    ]
    parts[4].log.fields["rows"] = 1200
    for number, event in enumerate(parts, start=1):
        event.sequence = number
        event.time.FromSeconds(1_763_458_200 + number)
    return parts


def heartbeat() -> RunEvent:
    return RunEvent(heartbeat=Heartbeat())


async def refuse(context: grpc.aio.ServicerContext, code: grpc.StatusCode, message: str, *details: Message) -> None:
    """Abort with details, as the service does."""
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    await context.abort(code, message, (("grpc-status-details-bin", status.SerializeToString()),))


class Peer(
    pipelines_grpc.PipelineServiceServicer,
    tenants_grpc.TenantServiceServicer,
    schedules_grpc.ScheduleServiceServicer,
    system_grpc.SystemServiceServicer,
):
    """Remembers what it was asked; answers what `answers` holds for a method, and streams as `streams` say."""

    def __init__(self) -> None:
        self.answers: dict[str, Message | Callable[[Message, grpc.aio.ServicerContext], Awaitable[Message]]] = {}
        self.streams: list[Stream] = []
        self.backfill_streams: list[BackfillStream] = []
        self.requests: dict[str, list[Message]] = {}
        self.keys: list[str] = []
        self.traces: list[str] = []

    async def _answer(self, method: str, request: Message, context: grpc.aio.ServicerContext) -> Message:
        self.requests.setdefault(method, []).append(request)
        self._look_at(context)
        if method not in self.answers:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not in this test")
        answer = self.answers[method]
        return answer if isinstance(answer, Message) else await answer(request, context)

    def _look_at(self, context: grpc.aio.ServicerContext) -> None:
        """Keep what comes with a call."""
        metadata = [(name, str(value)) for name, value in context.invocation_metadata() or ()]
        self.keys += [value for name, value in metadata if name == "x-api-key"]
        self.traces += [value for name, value in metadata if name == "traceparent"]

    def _next_stream(self, method: str, streams: list, request: Message, context: grpc.aio.ServicerContext):
        """The first connection gets the first stream, and so on; the last one serves all that follow."""
        number = len(self.requests.setdefault(method, []))
        self.requests[method].append(request)
        self._look_at(context)
        return streams[min(number, len(streams) - 1)]

    async def GetRunStatus(self, request, context):  # noqa: N802 - the contract's name
        stream = self._next_stream("GetRunStatus", self.streams, request, context)
        async for event in stream(request, context):
            yield event

    async def WatchBackfill(self, request, context):  # noqa: N802 - the contract's name
        stream = self._next_stream("WatchBackfill", self.backfill_streams, request, context)
        async for state in stream(context):
            yield state

    @property
    def resumed_after(self) -> list[int]:
        """`after_sequence` of each connection."""
        return [request.after_sequence for request in self.requests["GetRunStatus"]]


def _method(name: str):
    async def handler(self: Peer, request: Message, context: grpc.aio.ServicerContext) -> Message:
        return await self._answer(name, request, context)

    return handler


for _name in (
    "RunPipeline",
    "PlanPipeline",
    "GetRun",
    "ListRuns",
    "GetRunInputs",
    "GetRunStatistics",
    "ListDataQualityResults",
    "CancelRun",
    "ListPipelines",
    "GetPipeline",
    "OnboardTenant",
    "CreateApiKey",
    "ListApiKeys",
    "RotateApiKey",
    "RevokeApiKey",
    "PutCredential",
    "ListCredentials",
    "CheckCredential",
    "DeleteCredential",
    "OffboardTenant",
    "ListAuditEvents",
    "GetTenant",
    "UpdateTenant",
    "ListTenants",
    "GetSystemInfo",
    "GetServiceHealth",
    "CheckStore",
    "RebuildMirror",
    "RescueRun",
    "ApplyRetention",
    "BackfillPipeline",
    "GetBackfill",
    "ListBackfills",
    "PauseBackfill",
    "ResumeBackfill",
    "CancelBackfill",
    "CreateSchedule",
    "GetSchedule",
    "ListSchedules",
    "UpdateSchedule",
    "DeleteSchedule",
    "PauseSchedule",
    "ResumeSchedule",
    "ListScheduledRuns",
):
    setattr(Peer, _name, _method(_name))


class Address:
    """A port, and the server on it; it may be stopped and started again."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._server: grpc.aio.Server | None = None
        self.port = 0

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, credentials: grpc.ServerCredentials | None = None) -> None:
        server = grpc.aio.server()
        pipelines_grpc.add_PipelineServiceServicer_to_server(self._peer, server)
        tenants_grpc.add_TenantServiceServicer_to_server(self._peer, server)
        schedules_grpc.add_ScheduleServiceServicer_to_server(self._peer, server)
        system_grpc.add_SystemServiceServicer_to_server(self._peer, server)
        address = f"127.0.0.1:{self.port}"
        self.port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server:
            await self._server.stop(grace=None)
            self._server = None


def all_events(events: list[RunEvent]) -> Stream:
    """A server that does as the contract says, for a run that has ended."""

    async def stream(request, _context):
        for event in events[request.after_sequence :]:
            yield event

    return stream


def some_events(
    events: list[RunEvent], upto: int, then: Callable[[grpc.aio.ServicerContext], Awaitable[None]]
) -> Stream:
    """Sends events up to number `upto` and then does something else."""

    async def stream(request, context):
        for event in events[request.after_sequence : upto]:
            yield event
        await then(context)

    return stream


async def drop(context: grpc.aio.ServicerContext) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "draining")


async def hang(_context: grpc.aio.ServicerContext) -> None:
    await asyncio.Event().wait()


async def end_early(_context: grpc.aio.ServicerContext) -> None:
    """Ends the stream with OK though the run has not ended."""


def listed_runs(count: int) -> Callable[[Message, grpc.aio.ServicerContext], Awaitable[pipelines.ListRunsResponse]]:
    """Pages of two runs; the token is the position."""
    everything = [a_run(date=f"2025-11-{day:02}") for day in range(1, count + 1)]

    async def answer(request, _context):
        start = int(request.page_token or 0)
        token = str(start + 2) if start + 2 < count else ""
        return pipelines.ListRunsResponse(runs=everything[start : start + 2], next_page_token=token)

    return answer


def onboarded() -> tenants.OnboardTenantResponse:
    return tenants.OnboardTenantResponse(
        tenant=tenants.Tenant(tenant_id=TENANT, state=tenants.Tenant.ONBOARDING),
        run=a_run(),
        api_key=tenants.ApiKey(key_id="k1", tenant_id=TENANT, scopes=["runs:read"], prefix="cvg_k1"),
        api_key_secret="cvg_k1_the_secret",
    )
