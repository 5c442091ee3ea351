"""Rows about who calls, and with what bytes."""

from collections.abc import Callable
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from convergence.v1.pipeline_service_pb2 import (
    CancelRunRequest,
    GetRunRequest,
    GetRunStatusRequest,
    ListRunsRequest,
    PlanPipelineRequest,
    RetryRunRequest,
    RunPipelineRequest,
)
from convergence.v1.system_service_pb2 import (
    ApplyRetentionRequest,
    CheckStoreRequest,
    ListAuditEventsRequest,
    RebuildMirrorRequest,
    RescueRunRequest,
)
from convergence.v1.tenant_service_pb2 import (
    CheckCredentialRequest,
    CreateApiKeyRequest,
    Credential,
    DeleteCredentialRequest,
    GetUsageRequest,
    ListApiKeysRequest,
    ListCredentialsRequest,
    ListTenantsRequest,
    OffboardTenantRequest,
    OnboardTenantRequest,
    PutCredentialRequest,
    RevokeApiKeyRequest,
    RotateApiKeyRequest,
    Tenant,
    TenantQuotas,
    UpdateTenantRequest,
)
from tests.e2e.hostile.answers import Metadata
from tests.e2e.hostile.rows import (
    DENIED,
    MISSING,
    PIPELINES,
    SYSTEM,
    TENANTS,
    UNKNOWN_KEY,
    FromWorld,
    Request,
    Row,
)
from tests.e2e.hostile.world import ACCESS_KEY, World

NO_KEY, NO_TENANT, NO_RUN = "API_KEY_INVALID", "TENANT_NOT_FOUND", "RUN_NOT_FOUND"
INFO = SYSTEM + "GetSystemInfo"
DRYRUN: Any = {"provider": "gcp", "domain": "example", "template_name": "dryrun"}


def keyless(name: str, metadata: Callable[[World], Metadata], *, hidden: str = "") -> Row:
    request = RunPipelineRequest(**DRYRUN)
    return Row(name, PIPELINES + "RunPipeline", request, NO_KEY, UNKNOWN_KEY, hidden=hidden, metadata=metadata)


def key(text: str) -> Metadata:
    return (("x-api-key", text),)


def _changed(text: str) -> str:
    return text[:-2] + ("AA" if text[-2:] != "AA" else "BB")


KEYS = [
    keyless("no key", lambda world: ()),
    keyless("two keys", lambda world: (*key(world.keys["acme"]), *key(world.keys["rival"]))),
    keyless("the same key twice", lambda world: (*key(world.keys["acme"]), *key(world.keys["acme"]))),
    keyless("a key that is revoked", lambda world: key(world.keys["gone"])),
    keyless("a key that has been rotated", lambda world: key(world.keys["old"])),
    keyless("a key that has expired", lambda world: key(world.keys["late"])),
    keyless("a key of an offboarded tenant", lambda world: key(world.keys["offboarded"])),
    keyless("a key with a wrong end", lambda world: key(_changed(world.keys["acme"]))),
    keyless(
        "an id with another's secret",
        lambda world: key("_".join(["cvg", world.key_id("acme"), world.keys["rival"].split("_", 2)[2]])),
    ),
    keyless("an id and no secret", lambda world: key(f"cvg_{world.key_id('acme')}_")),
    keyless("a secret without its id", lambda world: key(world.keys["acme"].split("_", 2)[2])),
    keyless("a key in capitals", lambda world: key(world.keys["acme"].upper())),
    keyless("a key in quotes", lambda world: key(f'"{world.keys["acme"]}"')),
    keyless("a key and a half", lambda world: key(world.keys["acme"] + world.keys["acme"])),
    keyless("a bearer's key", lambda world: (("authorization", f"Bearer {world.keys['acme']}"),)),
    keyless("a key of bytes", lambda world: (("x-api-key-bin", world.keys["acme"].encode()),)),
    keyless("a key behind a comma", lambda world: key(f"{world.keys['acme']},{world.keys['admin']}")),
    keyless("a key of 8,000 characters", lambda world: key("cvg_0123456789ab_" + "x" * 8_000)),
    keyless("a key with SQL in it", lambda world: key("cvg_' OR '1'='1_x")),
    keyless("a key with a template in it", lambda world: key("cvg_${jndi:ldap://x}_x")),
    keyless("somebody's password as key", lambda world: key("hunter2-is-no-key"), hidden="hunter2-is-no-key"),
    keyless(
        "somebody's password as secret",
        lambda world: key("cvg_0123456789ab_hunter2-is-secret"),
        hidden="hunter2-is-secret",
    ),
]


def denied(
    name: str, by: str, method: str, request: Request | FromWorld, reason: str = "PERMISSION_DENIED", *, says: str = ""
) -> Row:
    return Row(name, method, request, reason, DENIED, by, says)


def foreign(name: str, method: str, request: Request | FromWorld, reason: str = NO_TENANT) -> Row:
    return Row(name, method, request, reason, MISSING)


def _change(tenant: Tenant, *paths: str) -> UpdateTenantRequest:
    return UpdateTenantRequest(tenant=tenant, update_mask=FieldMask(paths=paths))


RIVAL = "rival_corp"
SCOPES = [
    denied("a reader runs", "reader", PIPELINES + "RunPipeline", RunPipelineRequest(**DRYRUN), says="runs:write"),
    denied("a reader plans", "reader", PIPELINES + "PlanPipeline", PlanPipelineRequest(**DRYRUN)),
    denied(
        "a reader cancels",
        "reader",
        PIPELINES + "CancelRun",
        lambda world: CancelRunRequest(pipeline_logging_id=world.runs["acme"]),
    ),
    denied(
        "a reader makes a key", "reader", TENANTS + "CreateApiKey", CreateApiKeyRequest(name="x", scopes=["runs:read"])
    ),
    denied("a reader lists keys", "reader", TENANTS + "ListApiKeys", ListApiKeysRequest()),
    denied(
        "a reader renames the tenant",
        "reader",
        TENANTS + "UpdateTenant",
        _change(Tenant(display_name="x"), "display_name"),
    ),
    denied(
        "a reader stores a secret",
        "reader",
        TENANTS + "PutCredential",
        PutCredentialRequest(name="x", kind=Credential.AWS_ACCESS_KEY, secret=ACCESS_KEY),
    ),
    denied("a reader reads the audit log", "reader", SYSTEM + "ListAuditEvents", ListAuditEventsRequest()),
    denied("a manager runs", "manager", PIPELINES + "RunPipeline", RunPipelineRequest(**DRYRUN)),
    denied(
        "a manager makes a stronger key",
        "manager",
        TENANTS + "CreateApiKey",
        CreateApiKeyRequest(name="x", scopes=["tenant:admin", "runs:write"]),
        "SCOPE_NOT_HELD",
        says="runs:write",
    ),
    denied(
        "a manager takes over a stronger key",
        "manager",
        TENANTS + "RotateApiKey",
        lambda world: RotateApiKeyRequest(key_id=world.key_id("acme")),
        "SCOPE_NOT_HELD",
    ),
    denied("a tenant onboards", "acme", TENANTS + "OnboardTenant", OnboardTenantRequest(tenant_id="acme_corp")),
    denied("a tenant lists tenants", "acme", TENANTS + "ListTenants", ListTenantsRequest()),
    denied(
        "a tenant offboards itself",
        "acme",
        TENANTS + "OffboardTenant",
        OffboardTenantRequest(confirm_delete_dataset="acme_corp"),
    ),
    denied("a tenant repairs the store", "acme", SYSTEM + "CheckStore", CheckStoreRequest(repair=True)),
    denied("a tenant has its tables copied", "acme", SYSTEM + "RebuildMirror", RebuildMirrorRequest()),
    denied("a tenant removes old runs", "acme", SYSTEM + "ApplyRetention", ApplyRetentionRequest()),
    denied(
        "a tenant rescues its run",
        "acme",
        SYSTEM + "RescueRun",
        lambda world: RescueRunRequest(pipeline_logging_id=world.runs["acme"]),
    ),
    denied(
        "a tenant allows itself a source",
        "acme",
        TENANTS + "UpdateTenant",
        _change(Tenant(allowed_sources=["gac-prod-471220.rival_corp.costs"]), "allowed_sources"),
        says="allowed_sources",
    ),
    denied(
        "a tenant lifts its limits",
        "acme",
        TENANTS + "UpdateTenant",
        _change(Tenant(quotas=TenantQuotas(runs_per_day=10**9)), "quotas.runs_per_day"),
    ),
    denied(
        "a tenant hides a limit behind its name",
        "acme",
        TENANTS + "UpdateTenant",
        _change(Tenant(display_name="x"), "display_name", "quotas"),
    ),
    denied("a tenant takes a better plan", "acme", TENANTS + "UpdateTenant", _change(Tenant(plan="standard"), "plan")),
    denied(
        "a suspended tenant resumes itself",
        "suspended",
        TENANTS + "UpdateTenant",
        _change(Tenant(state=Tenant.ACTIVE), "state"),
    ),
    denied(
        "a tenant sets itself up",
        "acme",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(provider="setup", domain="tenants", template_name="onboarding"),
    ),
    denied(
        "a tenant plans the setup of all",
        "acme",
        PIPELINES + "PlanPipeline",
        PlanPipelineRequest(provider="setup", template_name="bootstrap_system"),
    ),
    denied(
        "a tenant removes its dataset by a pipeline",
        "acme",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(provider="setup", domain="tenants", template_name="offboarding"),
    ),
    denied(
        "a tenant retries its onboarding",
        "acme",
        PIPELINES + "RetryRun",
        lambda world: RetryRunRequest(pipeline_logging_id=world.runs["onboarding"]),
    ),
    Row(
        "a key with the scope of operators",
        TENANTS + "CreateApiKey",
        CreateApiKeyRequest(name="x", scopes=["runs:read", "admin"]),
        "UNKNOWN_SCOPE",
        says="scopes[1]",
    ),
    Row(
        "a key with every scope", TENANTS + "CreateApiKey", CreateApiKeyRequest(name="x", scopes=["*"]), "UNKNOWN_SCOPE"
    ),
    Row(
        "a scope in capitals",
        TENANTS + "CreateApiKey",
        CreateApiKeyRequest(name="x", scopes=["ADMIN"]),
        "UNKNOWN_SCOPE",
    ),
    Row(
        "an operator's key with a tenant's scope",
        TENANTS + "CreateApiKey",
        CreateApiKeyRequest(name="x", scopes=["runs:read"]),
        "UNKNOWN_SCOPE",
        key="admin",
    ),
    foreign("a run for another tenant", PIPELINES + "RunPipeline", RunPipelineRequest(tenant_id=RIVAL, **DRYRUN)),
    foreign(
        "a run of the central dataset", PIPELINES + "RunPipeline", RunPipelineRequest(tenant_id="tenants", **DRYRUN)
    ),
    foreign("another tenant's runs", PIPELINES + "ListRuns", ListRunsRequest(tenant_id=RIVAL)),
    foreign("another tenant's usage", TENANTS + "GetUsage", GetUsageRequest(tenant_id=RIVAL)),
    foreign("another tenant's audit log", SYSTEM + "ListAuditEvents", ListAuditEventsRequest(tenant_id=RIVAL)),
    foreign("another tenant's credentials", TENANTS + "ListCredentials", ListCredentialsRequest(tenant_id=RIVAL)),
    foreign(
        "another tenant's credential is tried",
        TENANTS + "CheckCredential",
        CheckCredentialRequest(tenant_id=RIVAL, name="bucket"),
    ),
    foreign(
        "another tenant's credential is destroyed",
        TENANTS + "DeleteCredential",
        DeleteCredentialRequest(tenant_id=RIVAL, name="bucket"),
    ),
    foreign(
        "another tenant gets a name",
        TENANTS + "UpdateTenant",
        _change(Tenant(tenant_id=RIVAL, display_name="x"), "display_name"),
    ),
    foreign(
        "a key for another tenant",
        TENANTS + "CreateApiKey",
        CreateApiKeyRequest(tenant_id=RIVAL, name="x", scopes=["runs:read"]),
    ),
    foreign(
        "another tenant's key is ended",
        TENANTS + "RevokeApiKey",
        lambda world: RevokeApiKeyRequest(key_id=world.key_id("rival")),
        "API_KEY_NOT_FOUND",
    ),
    foreign(
        "an operator's key is ended",
        TENANTS + "RevokeApiKey",
        lambda world: RevokeApiKeyRequest(key_id=world.key_id("admin")),
        "API_KEY_NOT_FOUND",
    ),
    foreign(
        "another tenant's key is replaced",
        TENANTS + "RotateApiKey",
        lambda world: RotateApiKeyRequest(key_id=world.key_id("rival")),
        "API_KEY_NOT_FOUND",
    ),
    foreign(
        "another tenant's run is read",
        PIPELINES + "GetRun",
        lambda world: GetRunRequest(pipeline_logging_id=world.runs["rival"]),
        NO_RUN,
    ),
    foreign(
        "another tenant's run is watched",
        PIPELINES + "GetRunStatus",
        lambda world: GetRunStatusRequest(pipeline_logging_id=world.runs["rival"]),
        NO_RUN,
    ),
    foreign(
        "another tenant's run is cancelled",
        PIPELINES + "CancelRun",
        lambda world: CancelRunRequest(pipeline_logging_id=world.runs["rival"]),
        NO_RUN,
    ),
    foreign(
        "another tenant's run is retried",
        PIPELINES + "RetryRun",
        lambda world: RetryRunRequest(pipeline_logging_id=world.runs["rival"]),
        NO_RUN,
    ),
    foreign(
        "another tenant's request_id",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(tenant_id=RIVAL, request_id="used", **DRYRUN),
    ),
    Row("a key of nobody lists runs", PIPELINES + "ListRuns", ListRunsRequest(), "MISSING_FIELD", key="tenantless"),
    Row(
        "a key of nobody lists a tenant's runs",
        PIPELINES + "ListRuns",
        ListRunsRequest(tenant_id="acme_corp"),
        NO_TENANT,
        MISSING,
        "tenantless",
    ),
]


def wire(name: str, method: str, data: bytes, *, by: str = "acme") -> Row:
    return Row(name, method, data, "MALFORMED_REQUEST", key=by)


def no_method(name: str, path: str) -> Row:
    return Row(name, path, b"", "NOT_IMPLEMENTED", "UNIMPLEMENTED")


WIRE = [
    wire("a number without end", PIPELINES + "GetRun", b"\x18" + b"\xff" * 11),
    wire("a text longer than the message", PIPELINES + "RunPipeline", b"\x0a\x7fshort"),
    wire("a text of four gigabytes", PIPELINES + "CancelRun", b"\x0a\xff\xff\xff\xff\x0fx"),
    wire("the field zero", TENANTS + "GetTenant", b"\x00\x01"),
    wire("a kind of field that is none", PIPELINES + "ListRuns", b"\x0f"),
    wire("the end of a group that never began", TENANTS + "GetUsage", b"\x0c"),
    wire("groups within groups without end", PIPELINES + "ListPipelines", b"\xa3\x06" * 10_000),
    wire("half of a surrogate pair", PIPELINES + "RunPipeline", b"\x0a\x03\xed\xa0\x80"),
    wire("a byte that is no text", PIPELINES + "GetRunStatus", b"\x0a\x01\xff"),
    wire("an overlong null", PIPELINES + "CancelRun", b"\x0a\x02\xc0\x80"),
    wire("a key of a map that is no text", PIPELINES + "PlanPipeline", b"\x32\x03\x0a\x01\xff"),
    wire("a tenant that is no message", TENANTS + "UpdateTenant", b"\x0a\x02\xff\xff", by="admin"),
    wire("a time that is no message", PIPELINES + "ListRuns", b"\x4a\x01\xff"),
    wire("text in place of a message", INFO, b"GET / HTTP/1.1\r\n\r\n"),
    wire("a watch of health", "/grpc.health.v1.Health/Watch", b"\xff\xff"),
    wire("a look at health", "/grpc.health.v1.Health/Check", b"\xff\xff"),
    no_method("a method that there is not", "/convergence.v1.PipelineService/DropEverything"),
    no_method("a method in small letters", "/convergence.v1.PipelineService/runpipeline"),
    no_method("a service that there is not", "/convergence.v2.PipelineService/GetRun"),
    no_method("a path as method", "/convergence.v1.PipelineService/../TenantService/ListTenants"),
    no_method("a method of two services", "/convergence.v1.TenantService/GetRun"),
]
