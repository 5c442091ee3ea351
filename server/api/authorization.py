"""Which scope each method needs. A method that is not listed here is refused to everyone."""

from contextvars import ContextVar

from google.protobuf.message import Message

from server.domain.audit import Actor
from server.domain.tenant import Principal, Scope
from server.errors import PermissionDenied, TenantNotFound

OWN_PREFIX = "/convergence.v1."
"""Methods of this service; the others, reflection and health, are the gRPC library's."""
_PIPELINES = OWN_PREFIX + "PipelineService/"
_TENANTS = OWN_PREFIX + "TenantService/"
_SCHEDULES = OWN_PREFIX + "ScheduleService/"
_SYSTEM = OWN_PREFIX + "SystemService/"
_HEALTH = "/grpc.health.v1.Health/"

ANY_KEY = None
"""The method needs a valid key and no particular scope."""

SCOPES: dict[str, Scope | None] = {
    _PIPELINES + "RunPipeline": Scope.RUNS_WRITE,
    _PIPELINES + "GetRunStatus": Scope.RUNS_READ,
    _PIPELINES + "GetRun": Scope.RUNS_READ,
    _PIPELINES + "ListRuns": Scope.RUNS_READ,
    _PIPELINES + "GetRunInputs": Scope.RUNS_READ,
    _PIPELINES + "GetRunStatistics": Scope.RUNS_READ,
    _PIPELINES + "CancelRun": Scope.RUNS_WRITE,
    _PIPELINES + "RetryRun": Scope.RUNS_WRITE,
    _PIPELINES + "PlanPipeline": Scope.RUNS_WRITE,
    _PIPELINES + "BackfillPipeline": Scope.RUNS_WRITE,
    _PIPELINES + "GetBackfill": Scope.RUNS_READ,
    _PIPELINES + "WatchBackfill": Scope.RUNS_READ,
    _PIPELINES + "ListBackfills": Scope.RUNS_READ,
    _PIPELINES + "PauseBackfill": Scope.RUNS_WRITE,
    _PIPELINES + "ResumeBackfill": Scope.RUNS_WRITE,
    _PIPELINES + "CancelBackfill": Scope.RUNS_WRITE,
    _PIPELINES + "ListPipelines": Scope.RUNS_READ,
    _PIPELINES + "GetPipeline": Scope.RUNS_READ,
    _PIPELINES + "ListDataQualityResults": Scope.RUNS_READ,
    _TENANTS + "OnboardTenant": Scope.ADMIN,
    _TENANTS + "GetTenant": Scope.RUNS_READ,
    _TENANTS + "ListTenants": Scope.ADMIN,
    _TENANTS + "UpdateTenant": Scope.TENANT_ADMIN,
    _TENANTS + "OffboardTenant": Scope.ADMIN,
    _TENANTS + "GetUsage": Scope.RUNS_READ,
    _TENANTS + "CreateApiKey": Scope.TENANT_ADMIN,
    _TENANTS + "ListApiKeys": Scope.TENANT_ADMIN,
    _TENANTS + "RotateApiKey": Scope.TENANT_ADMIN,
    _TENANTS + "RevokeApiKey": Scope.TENANT_ADMIN,
    _TENANTS + "PutCredential": Scope.TENANT_ADMIN,
    _TENANTS + "ListCredentials": Scope.TENANT_ADMIN,
    _TENANTS + "CheckCredential": Scope.TENANT_ADMIN,
    _TENANTS + "DeleteCredential": Scope.TENANT_ADMIN,
    _SCHEDULES + "CreateSchedule": Scope.RUNS_WRITE,
    _SCHEDULES + "GetSchedule": Scope.RUNS_READ,
    _SCHEDULES + "ListSchedules": Scope.RUNS_READ,
    _SCHEDULES + "UpdateSchedule": Scope.RUNS_WRITE,
    _SCHEDULES + "DeleteSchedule": Scope.RUNS_WRITE,
    _SCHEDULES + "PauseSchedule": Scope.RUNS_WRITE,
    _SCHEDULES + "ResumeSchedule": Scope.RUNS_WRITE,
    _SCHEDULES + "ListScheduledRuns": Scope.RUNS_READ,
    _SYSTEM + "GetSystemInfo": ANY_KEY,
    _SYSTEM + "GetServiceHealth": Scope.ADMIN,
    _SYSTEM + "CheckStore": Scope.ADMIN,
    _SYSTEM + "RebuildMirror": Scope.ADMIN,
    _SYSTEM + "RescueRun": Scope.ADMIN,
    _SYSTEM + "ApplyRetention": Scope.ADMIN,
    _SYSTEM + "ListAuditEvents": Scope.TENANT_ADMIN,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ANY_KEY,
    _HEALTH + "Watch": ANY_KEY,
}

OPEN_METHODS = frozenset({_HEALTH + "Check"})
"""Probes come without a key and learn nothing but whether the server serves. Watch is a stream without end."""

WHOLE_STORE_METHODS = frozenset({_SYSTEM + "CheckStore", _SYSTEM + "ApplyRetention"})
"""They go through everything, which may take much longer than any other call."""

current_principal: ContextVar[Principal] = ContextVar("current_principal")
"""Whose key the call that is being handled came with."""
current_actor: ContextVar[Actor] = ContextVar("current_actor")
"""The same for the audit log: which key, and from where."""


def authorize_method(principal: Principal, method: str) -> None:
    """Whether the key may call the method at all. Raises PermissionDenied."""
    if method not in SCOPES:
        raise PermissionDenied
    scope = SCOPES[method]
    if scope is not ANY_KEY and not principal.may(scope):
        raise PermissionDenied(f"This API key lacks the scope {scope}.")


def authorize_request(principal: Principal, request: Message) -> None:
    """A tenant's key speaks of its own tenant only; another one looks like none. Raises TenantNotFound."""
    if principal.is_admin:
        return
    if any(named != principal.tenant_id for named in _named_tenants(request)):
        raise TenantNotFound


def _named_tenants(request: Message) -> set[str]:
    """The tenants that a request speaks of; what is to be made or changed stands inside it."""
    messages = [request, *(getattr(request, part) for part in ("tenant", "schedule") if hasattr(request, part))]
    named = {str(getattr(message, "tenant_id", "")) for message in messages} - {""}
    return named | set(getattr(request, "tenant_ids", ()))
