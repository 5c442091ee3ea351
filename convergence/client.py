"""The async client.

    async with ConvergenceClient(api_key=key) as client:
        run = await client.run_pipeline(
            tenant_id="acme_corp", provider="gcp", domain="cost", template_name="cost_billing", date="2025-11-18"
        )
        async for event in client.watch(run.tenant_id, run.pipeline_logging_id):
            print(event)

Requests and answers are the messages of `convergence.v1`; the comments in their `.proto` files are the manual. Every
method raises a `convergence.errors.ConvergenceError`. RPCs without a method of their own are called through the typed
stubs `pipelines`, `tenants`, `schedules` and `system`, which raise `grpc.aio.AioRpcError`; `answer` translates that.
"""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

import grpc.aio
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from convergence.channel import Tls, open_channel
from convergence.errors import translate
from convergence.v1.pipeline_service_pb2 import (
    CancelRunRequest,
    DataQualityResult,
    GetPipelineRequest,
    GetRunRequest,
    GetRunStatusRequest,
    ListDataQualityResultsRequest,
    ListDataQualityResultsResponse,
    ListPipelinesRequest,
    ListPipelinesResponse,
    ListRunsRequest,
    ListRunsResponse,
    Pipeline,
    PipelineSummary,
    PlanPipelineRequest,
    RetryRunRequest,
    RunPipelineRequest,
)
from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceStub
from convergence.v1.run_pb2 import Run, RunEvent
from convergence.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from convergence.v1.system_service_pb2 import (
    ApplyRetentionRequest,
    ApplyRetentionResponse,
    AuditEvent,
    CheckStoreRequest,
    CheckStoreResponse,
    GetSystemInfoRequest,
    ListAuditEventsRequest,
    ListAuditEventsResponse,
    RebuildMirrorRequest,
    RebuildMirrorResponse,
    RescueRunRequest,
    SystemInfo,
)
from convergence.v1.system_service_pb2_grpc import SystemServiceStub
from convergence.v1.tenant_service_pb2 import (
    ApiKey,
    CheckCredentialRequest,
    CheckCredentialResponse,
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    Credential,
    DeleteCredentialRequest,
    GetTenantRequest,
    GetUsageRequest,
    ListApiKeysRequest,
    ListApiKeysResponse,
    ListCredentialsRequest,
    ListCredentialsResponse,
    ListTenantsRequest,
    ListTenantsResponse,
    OffboardTenantRequest,
    OnboardTenantRequest,
    OnboardTenantResponse,
    PutCredentialRequest,
    RevokeApiKeyRequest,
    RotateApiKeyRequest,
    RotateApiKeyResponse,
    Tenant,
    TenantQuotas,
    UpdateTenantRequest,
    Usage,
)
from convergence.v1.tenant_service_pb2_grpc import TenantServiceStub
from convergence.watching import EventCall, Patience, Watch

DEFAULT_TARGET = "127.0.0.1:50051"

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")
_Page = TypeVar(
    "_Page",
    ListRunsResponse,
    ListPipelinesResponse,
    ListDataQualityResultsResponse,
    ListTenantsResponse,
    ListApiKeysResponse,
    ListCredentialsResponse,
    ListAuditEventsResponse,
)


class RunFilter(TypedDict, total=False):
    """Which of a tenant's runs to list; what is left out holds for all."""

    pipeline: str
    """Exact pipeline_id: `acme_corp-gcp-cost-billing`."""
    provider: str
    domain: str
    template_name: str
    statuses: Collection[Run.Status.ValueType]
    """Any of these."""
    created_after: datetime
    """With a time zone, like `created_before`."""
    created_before: datetime
    page_size: int
    """Runs a page, at most 500."""


class ResultFilter(TypedDict, total=False):
    """Which results of data quality checks to list; what is left out holds for all."""

    pipeline_logging_id: str
    """Those of one run."""
    table_name: str
    statuses: Collection[DataQualityResult.Status.ValueType]
    """Any of these."""
    page_size: int
    """Results a page, at most 500."""


class ConvergenceClient:
    """A connection to a server, for one event loop. It connects when it is first used.

    Args:
        target: `host:port`, the port from 1 to 65535; an IPv6 address stands in brackets.
        api_key: `cvg_...`; sent with every call.
        tls: whom to trust, and who the client is; None for plain text.
        timeout: seconds that a call may take, its retries included; a watch has no limit, nor have `check_store` and
            `apply_retention`.
        patience: when a watch takes the connection for lost, and when it gives up.

    Raises:
        ValueError: the target is no `host:port`, or the key has characters that a key cannot have.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        api_key: str = "",
        tls: Tls | None = None,
        timeout: float = 30,
        patience: Patience | None = None,
    ) -> None:
        self._channel = open_channel(target, api_key=api_key, tls=tls)
        self._timeout = timeout
        self._patience = patience or Patience()
        self.pipelines = PipelineServiceStub(self._channel)
        self.tenants = TenantServiceStub(self._channel)
        self.schedules = ScheduleServiceStub(self._channel)
        self.system = SystemServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._channel.close()

    # -- runs ----------------------------------------------------------------------------------------------------

    async def run_pipeline(
        self,
        tenant_id: str,
        *,
        provider: str,
        domain: str = "",
        template_name: str,
        date: str = "",
        variables: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> Run:
        """Start a run and return it, PENDING. `date` is YYYY-MM-DD, today in UTC when empty.

        Without a `request_id` it makes one, so that repeating the call after a lost connection starts nothing twice.
        """
        request = RunPipelineRequest(
            tenant_id=tenant_id,
            provider=provider,
            domain=domain,
            template_name=template_name,
            date=date,
            variables=variables,
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self._call(self.pipelines.RunPipeline, request)

    async def plan_pipeline(
        self,
        tenant_id: str,
        *,
        provider: str,
        domain: str = "",
        template_name: str,
        date: str = "",
        variables: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> Run:
        """Find out what `run_pipeline` would do. Returns a run of the kind PLAN, whose `plan` is there when it ends."""
        request = PlanPipelineRequest(
            tenant_id=tenant_id,
            provider=provider,
            domain=domain,
            template_name=template_name,
            date=date,
            variables=variables,
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self._call(self.pipelines.PlanPipeline, request)

    async def get_run(self, tenant_id: str, pipeline_logging_id: str) -> Run:
        """The present state of a run, with its steps."""
        request = GetRunRequest(tenant_id=tenant_id, pipeline_logging_id=pipeline_logging_id)
        return await self._call(self.pipelines.GetRun, request)

    async def cancel_run(self, tenant_id: str, pipeline_logging_id: str) -> Run:
        """Ask for a run to be stopped, and return it: CANCELLED or CANCELLING."""
        request = CancelRunRequest(tenant_id=tenant_id, pipeline_logging_id=pipeline_logging_id)
        return await self._call(self.pipelines.CancelRun, request)

    async def retry_run(
        self, tenant_id: str, pipeline_logging_id: str, *, use_present_file: bool = False, request_id: str = ""
    ) -> Run:
        """Go on with a run that ended without success; returns the new run, in which what had succeeded is done."""
        request = RetryRunRequest(
            tenant_id=tenant_id,
            pipeline_logging_id=pipeline_logging_id,
            use_present_file=use_present_file,
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self._call(self.pipelines.RetryRun, request)

    async def list_runs(
        self, tenant_id: str = "", *, page_token: str = "", **wanted: Unpack[RunFilter]
    ) -> ListRunsResponse:
        """One page of runs, newest first, without their steps; only an operator may leave out `tenant_id`."""
        request = ListRunsRequest(
            tenant_id=tenant_id,
            pipeline=wanted.get("pipeline", ""),
            provider=wanted.get("provider", ""),
            domain=wanted.get("domain", ""),
            template_name=wanted.get("template_name", ""),
            statuses=wanted.get("statuses", ()),
            created_after=_timestamp(wanted.get("created_after")),
            created_before=_timestamp(wanted.get("created_before")),
            page_size=wanted.get("page_size", 0),
            page_token=page_token,
        )
        return await self._call(self.pipelines.ListRuns, request)

    async def iter_runs(self, tenant_id: str = "", **wanted: Unpack[RunFilter]) -> AsyncIterator[Run]:
        """All runs that `list_runs` would list, page by page as they are needed."""
        async for page in _pages(lambda token: self.list_runs(tenant_id, page_token=token, **wanted)):
            for run in page.runs:
                yield run

    def watch(
        self,
        tenant_id: str,
        pipeline_logging_id: str,
        *,
        after_sequence: int = 0,
        on_connection_loss: Callable[[], None] | None = None,
    ) -> AsyncGenerator[RunEvent, None]:
        """The events of a run after `after_sequence`, each once and in order, to the one that ends it.

        A lost connection is made again, also over a restart of the server; `on_connection_loss` is called before the
        first new try. Heartbeats are not shown.

        Raises:
            Unavailable: no connection could be made for a minute (see `Patience`).
        """

        def open_stream(after: int) -> EventCall:
            request = GetRunStatusRequest(
                tenant_id=tenant_id, pipeline_logging_id=pipeline_logging_id, after_sequence=after
            )
            return self.pipelines.GetRunStatus(request)

        return Watch(open_stream, after_sequence, self._patience, on_connection_loss).events()

    async def list_data_quality_results(
        self, tenant_id: str, *, page_token: str = "", **wanted: Unpack[ResultFilter]
    ) -> ListDataQualityResultsResponse:
        """One page of what checks found in the tenant's data, newest first."""
        request = ListDataQualityResultsRequest(tenant_id=tenant_id, page_token=page_token, **wanted)
        return await self._call(self.pipelines.ListDataQualityResults, request)

    async def iter_data_quality_results(
        self, tenant_id: str, **wanted: Unpack[ResultFilter]
    ) -> AsyncIterator[DataQualityResult]:
        """All results that `list_data_quality_results` would list, page by page as they are needed."""
        async for page in _pages(lambda token: self.list_data_quality_results(tenant_id, page_token=token, **wanted)):
            for result in page.results:
                yield result

    # -- pipelines -----------------------------------------------------------------------------------------------

    async def list_pipelines(
        self, *, provider: str = "", page_size: int = 0, page_token: str = ""
    ) -> ListPipelinesResponse:
        """One page of the pipelines that the server has files for, broken ones included."""
        request = ListPipelinesRequest(provider=provider, page_size=page_size, page_token=page_token)
        return await self._call(self.pipelines.ListPipelines, request)

    async def iter_pipelines(self, *, provider: str = "") -> AsyncIterator[PipelineSummary]:
        """All pipelines that `list_pipelines` would list."""
        async for page in _pages(lambda token: self.list_pipelines(provider=provider, page_token=token)):
            for pipeline in page.pipelines:
                yield pipeline

    async def get_pipeline(self, *, provider: str, domain: str = "", template_name: str) -> Pipeline:
        """One pipeline with its variables, steps and text."""
        request = GetPipelineRequest(provider=provider, domain=domain, template_name=template_name)
        return await self._call(self.pipelines.GetPipeline, request)

    # -- tenants -------------------------------------------------------------------------------------------------

    async def onboard_tenant(
        self,
        tenant_id: str,
        *,
        display_name: str = "",
        contact_emails: Sequence[str] = (),
        location: str = "",
        allowed_sources: Sequence[str] = (),
        plan: str = "",
        quotas: TenantQuotas | None = None,
        request_id: str = "",
    ) -> OnboardTenantResponse:
        """Make a tenant; its `run` sets it up, and `api_key_secret` is its first key, shown here only.

        Without a `request_id` it makes one, so that repeating the call after a lost connection makes nothing twice. The
        answer to a repeated request has no `api_key_secret`.
        """
        request = OnboardTenantRequest(
            tenant_id=tenant_id,
            display_name=display_name,
            contact_emails=contact_emails,
            location=location,
            allowed_sources=allowed_sources,
            plan=plan,
            quotas=quotas,
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self._call(self.tenants.OnboardTenant, request)

    async def offboard_tenant(
        self, tenant_id: str, *, confirm_delete_dataset: str = "", request_id: str = ""
    ) -> Tenant:
        """End a tenant. With the dataset's name in `confirm_delete_dataset`, its `offboarding_run` deletes that."""
        request = OffboardTenantRequest(
            tenant_id=tenant_id, confirm_delete_dataset=confirm_delete_dataset, request_id=request_id
        )
        return await self._call(self.tenants.OffboardTenant, request)

    async def get_usage(self, tenant_id: str) -> Usage:
        """What a tenant has used of each of its quotas."""
        return await self._call(self.tenants.GetUsage, GetUsageRequest(tenant_id=tenant_id))

    async def get_tenant(self, tenant_id: str) -> Tenant:
        """One tenant."""
        request = GetTenantRequest(tenant_id=tenant_id)
        return await self._call(self.tenants.GetTenant, request)

    async def update_tenant(
        self,
        tenant_id: str,
        *,
        display_name: str | None = None,
        contact_emails: Sequence[str] | None = None,
        allowed_sources: Sequence[str] | None = None,
        plan: str | None = None,
        limits: Mapping[str, int | None] = MappingProxyType({}),
        state: Tenant.State.ValueType | None = None,
        etag: str = "",
    ) -> Tenant:
        """Change a tenant; what is None stays as it is.

        `limits` are quotas by name; None leaves one to the tenant's plan. `state` is SUSPENDED or ACTIVE. With an
        `etag` the tenant must not have been changed since it had that. Raises ValueError for a limit that there is not.
        """
        given: dict[str, Any] = {
            "display_name": display_name,
            "contact_emails": contact_emails,
            "allowed_sources": allowed_sources,
            "plan": plan,
            "state": state,
        }
        given = {name: value for name, value in given.items() if value is not None}
        tenant = Tenant(tenant_id=tenant_id, etag=etag, quotas=TenantQuotas(**limits), **given)
        mask = [*given, *(f"quotas.{name}" for name in limits)]
        request = UpdateTenantRequest(tenant=tenant, update_mask=FieldMask(paths=mask))
        return await self._call(self.tenants.UpdateTenant, request)

    async def list_tenants(
        self,
        *,
        states: Collection[Tenant.State.ValueType] = (),
        page_size: int = 0,
        page_token: str = "",
    ) -> ListTenantsResponse:
        """One page of tenants, by id."""
        request = ListTenantsRequest(states=states, page_size=page_size, page_token=page_token)
        return await self._call(self.tenants.ListTenants, request)

    async def iter_tenants(self, *, states: Collection[Tenant.State.ValueType] = ()) -> AsyncIterator[Tenant]:
        """All tenants that `list_tenants` would list."""
        async for page in _pages(lambda token: self.list_tenants(states=states, page_token=token)):
            for tenant in page.tenants:
                yield tenant

    # -- API keys ------------------------------------------------------------------------------------------------

    async def create_api_key(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        tenant_id: str = "",
        expires_at: datetime | None = None,
        request_id: str = "",
    ) -> CreateApiKeyResponse:
        """Make a key; `api_key_secret` is shown here only. An operator who names no tenant makes an operator's key.

        With a `request_id` the call may be repeated after a lost connection: it makes nothing twice, and a second
        answer has no `api_key_secret`.
        """
        request = CreateApiKeyRequest(
            tenant_id=tenant_id,
            name=name,
            scopes=scopes,
            expires_at=_timestamp(expires_at),
            request_id=request_id,
        )
        return await self._call(self.tenants.CreateApiKey, request)

    async def list_api_keys(
        self, *, tenant_id: str = "", page_size: int = 0, page_token: str = ""
    ) -> ListApiKeysResponse:
        """One page of keys, newest first. An operator who names no tenant gets the operators' keys."""
        request = ListApiKeysRequest(tenant_id=tenant_id, page_size=page_size, page_token=page_token)
        return await self._call(self.tenants.ListApiKeys, request)

    async def iter_api_keys(self, *, tenant_id: str = "") -> AsyncIterator[ApiKey]:
        """All keys that `list_api_keys` would list."""
        async for page in _pages(lambda token: self.list_api_keys(tenant_id=tenant_id, page_token=token)):
            for key in page.api_keys:
                yield key

    async def rotate_api_key(
        self, key_id: str, *, tenant_id: str = "", overlap_seconds: int = 0, request_id: str = ""
    ) -> RotateApiKeyResponse:
        """Make the successor of a key, which works on for `overlap_seconds`. Repeatable as `create_api_key`."""
        request = RotateApiKeyRequest(
            tenant_id=tenant_id,
            key_id=key_id,
            overlap_seconds=overlap_seconds,
            request_id=request_id,
        )
        return await self._call(self.tenants.RotateApiKey, request)

    async def revoke_api_key(self, key_id: str, *, tenant_id: str = "") -> ApiKey:
        """End a key: within 5 seconds on every server."""
        return await self._call(self.tenants.RevokeApiKey, RevokeApiKeyRequest(tenant_id=tenant_id, key_id=key_id))

    async def put_credential(
        self, name: str, kind: Credential.Kind.ValueType, secret: str, *, tenant_id: str = "", request_id: str = ""
    ) -> Credential:
        """Store a secret of a cloud provider, as the next version under its name; no answer ever contains it."""
        request = PutCredentialRequest(
            tenant_id=tenant_id, name=name, kind=kind, secret=secret, request_id=request_id or str(uuid.uuid4())
        )
        return await self._call(self.tenants.PutCredential, request)

    async def list_credentials(
        self, *, tenant_id: str = "", page_size: int = 0, page_token: str = ""
    ) -> ListCredentialsResponse:
        """One page of credentials by name, without their secrets."""
        request = ListCredentialsRequest(tenant_id=tenant_id, page_size=page_size, page_token=page_token)
        return await self._call(self.tenants.ListCredentials, request)

    async def iter_credentials(self, *, tenant_id: str = "") -> AsyncIterator[Credential]:
        """All credentials that `list_credentials` would list."""
        async for page in _pages(lambda token: self.list_credentials(tenant_id=tenant_id, page_token=token)):
            for credential in page.credentials:
                yield credential

    async def check_credential(self, name: str, *, tenant_id: str = "") -> CheckCredentialResponse:
        """Try a credential against its provider."""
        request = CheckCredentialRequest(tenant_id=tenant_id, name=name)
        return await self._call(self.tenants.CheckCredential, request)

    async def delete_credential(self, name: str, *, tenant_id: str = "") -> None:
        """Destroy every version of a credential."""
        await self._call(self.tenants.DeleteCredential, DeleteCredentialRequest(tenant_id=tenant_id, name=name))

    # -- the server ----------------------------------------------------------------------------------------------

    async def get_system_info(self) -> SystemInfo:
        """What is running there, and what the key may do."""
        return await self._call(self.system.GetSystemInfo, GetSystemInfoRequest())

    async def check_store(self, *, repair: bool = False) -> CheckStoreResponse:
        """What in the control store is not as it has to be; with `repair`, what was not. Without a time limit."""
        return await answer(self.system.CheckStore(CheckStoreRequest(repair=repair)))

    async def rebuild_mirror(self, tenant_id: str) -> RebuildMirrorResponse:
        """Have everything of a tenant copied into its x_meta_ tables again, in the background."""
        return await self._call(self.system.RebuildMirror, RebuildMirrorRequest(tenant_id=tenant_id))

    async def rescue_run(self, tenant_id: str, pipeline_logging_id: str) -> Run:
        """Take a run away from its worker, so that another one goes on with it."""
        request = RescueRunRequest(tenant_id=tenant_id, pipeline_logging_id=pipeline_logging_id)
        return await self._call(self.system.RescueRun, request)

    async def list_audit_events(
        self, *, tenant_id: str = "", page_size: int = 0, page_token: str = ""
    ) -> ListAuditEventsResponse:
        """One page of who changed what, newest first. An operator who names no tenant gets everything."""
        request = ListAuditEventsRequest(tenant_id=tenant_id, page_size=page_size, page_token=page_token)
        return await self._call(self.system.ListAuditEvents, request)

    async def iter_audit_events(self, *, tenant_id: str = "") -> AsyncIterator[AuditEvent]:
        """All events that `list_audit_events` would list."""
        async for page in _pages(lambda token: self.list_audit_events(tenant_id=tenant_id, page_token=token)):
            for event in page.events:
                yield event

    async def apply_retention(self) -> ApplyRetentionResponse:
        """Remove what is older than the server's settings want to keep. Without a time limit."""
        return await answer(self.system.ApplyRetention(ApplyRetentionRequest()))

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Answer], request: _Request) -> _Answer:
        return await answer(method(request, timeout=self._timeout))


async def answer(call: Awaitable[_Answer]) -> _Answer:
    """Wait for a call's answer. Raises ConvergenceError."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise translate(error) from error


async def _pages(fetch: Callable[[str], Awaitable[_Page]]) -> AsyncIterator[_Page]:
    token = ""
    while True:
        page = await fetch(token)
        yield page
        token = page.next_page_token
        if not token:
            return


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError("a time needs a zone: datetime(..., tzinfo=UTC)")
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
