"""Rows about credentials, limits, and the end of tenants."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.field_mask_pb2 import FieldMask

from convergence.v1.pipeline_service_pb2 import GetRunRequest, PlanPipelineRequest, RunPipelineRequest
from convergence.v1.tenant_service_pb2 import (
    CheckCredentialRequest,
    CreateApiKeyRequest,
    Credential,
    DeleteCredentialRequest,
    OffboardTenantRequest,
    OnboardTenantRequest,
    PutCredentialRequest,
    Tenant,
    TenantQuotas,
    UpdateTenantRequest,
)
from tests.e2e.hostile.rows import (
    EXHAUSTED,
    INVALID,
    MISSING,
    PIPELINES,
    PRECONDITION,
    TENANTS,
    FromWorld,
    Request,
    Row,
)
from tests.e2e.hostile.world import ACCESS_KEY

GCP, ACCESS, ROLE = Credential.GCP_SERVICE_ACCOUNT, Credential.AWS_ACCESS_KEY, Credential.AWS_ROLE
SLACK = Credential.SLACK_WEBHOOK
MARK = "hunter2-of-this-row"


def credential(
    name: str,
    secret: str,
    kind: Credential.Kind.ValueType = ACCESS,
    reason: str = "INVALID_CREDENTIAL",
    *,
    called: str = "new",
) -> Row:
    request = PutCredentialRequest(name=called, kind=kind, secret=secret)
    return Row(name, TENANTS + "PutCredential", request, reason, hidden=MARK if MARK in secret else "")


def access_key(**fields: Any) -> str:
    return json.dumps({**json.loads(ACCESS_KEY), **fields})


def account(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, **fields: Any) -> str:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps({"type": "service_account", "client_email": "a@b.iam", "private_key": pem, **fields})


def role(arn: str = "arn:aws:iam::123456789012:role/reader", external_id: str = "acme-7f31") -> str:
    return json.dumps({"role_arn": arn, "external_id": external_id})


def webhook(url: str) -> str:
    return json.dumps({"url": url})


CREDENTIALS = [
    credential("a secret that is no JSON", MARK),
    credential("a secret that is a list", json.dumps([MARK])),
    credential("a secret with half a brace", access_key(secret_access_key=MARK)[:-1]),
    credential(
        "a secret with a key twice", access_key(secret_access_key=MARK)[:-1] + f', "secret_access_key": "{MARK}"}}'
    ),
    credential("a secret with more than it has", access_key(session_token=MARK)),
    credential("a secret of lines", access_key(secret_access_key=f"{MARK}\n{MARK}")),
    credential("a temporary key", access_key(access_key_id="ASIAIOSFODNN7EXAMPLE", secret_access_key=f"{MARK}")),
    credential("a secret that is a number", access_key(secret_access_key=10**30)),
    credential("a secret of deep lists", "[" * 60_000),
    credential("a secret of 64 KiB and more", access_key(secret_access_key=MARK * 5_000)),
    credential("a secret in the field's name", json.dumps({MARK: "x"})),
    credential("a small RSA key", account(rsa.generate_private_key(65_537, 1_024)), GCP),
    credential("a key of another curve", account(ec.generate_private_key(ec.SECP256R1())), GCP),
    credential(
        "a key that is none",
        json.dumps({"type": "service_account", "client_email": "a@b.iam", "private_key": MARK}),
        GCP,
    ),
    credential("a user's own account", json.dumps({"type": "authorized_user", "refresh_token": MARK}), GCP),
    credential(
        "an account that is fetched from elsewhere",
        json.dumps({"type": "external_account", "credential_source": {"url": "http://169.254.169.254/"}}),
        GCP,
    ),
    credential("a role of no account", role(arn="arn:aws:iam::*:role/x"), ROLE),
    credential("a role that is a user", role(arn="arn:aws:iam::123456789012:user/x"), ROLE),
    credential("a role with a line break", role(external_id="acme\n"), ROLE),
    credential("a secret of another kind", role(external_id=MARK), ACCESS),
    credential("a webhook elsewhere", webhook(f"https://evil.example/services/{MARK}"), SLACK),
    credential("a webhook inside", webhook("http://169.254.169.254/latest/meta-data"), SLACK),
    credential("a webhook of somebody", webhook(f"https://{MARK}@hooks.slack.com/services/x"), SLACK),
    credential("a webhook that goes on", webhook(f"https://hooks.slack.com/services/x\r\nHost: {MARK}"), SLACK),
    credential("a credential of no kind", ACCESS_KEY, Credential.KIND_UNSPECIFIED, "INVALID_FIELD"),
    credential("a credential of an unknown kind", ACCESS_KEY, 99, "INVALID_FIELD"),
    credential("a credential that is a path", ACCESS_KEY, ACCESS, "INVALID_NAME", called="../rival_corp/bucket"),
    credential("a credential in capitals", ACCESS_KEY, ACCESS, "INVALID_NAME", called="Bucket"),
    credential("a credential of 64 characters", ACCESS_KEY, ACCESS, "INVALID_NAME", called="a" * 64),
    credential("a credential that ends its line", ACCESS_KEY, ACCESS, "INVALID_NAME", called="bucket\n"),
    Row(
        "to try what is not there",
        TENANTS + "CheckCredential",
        CheckCredentialRequest(name="bucket\0"),
        "CREDENTIAL_NOT_FOUND",
        MISSING,
    ),
    Row(
        "to destroy everything",
        TENANTS + "DeleteCredential",
        DeleteCredentialRequest(name="%"),
        "CREDENTIAL_NOT_FOUND",
        MISSING,
    ),
]
DRYRUN: Any = {"provider": "gcp", "domain": "example", "template_name": "dryrun"}


def onboarding(name: str, reason: str, **fields: Any) -> Row:
    request = OnboardTenantRequest(tenant_id="new_corp", **fields)
    return Row(name, TENANTS + "OnboardTenant", request, reason, key="admin")


def change(
    name: str, reason: str, tenant: Tenant, *paths: str, tenant_id: str = "acme_corp", code: str = INVALID
) -> Row:
    asked = Tenant(tenant_id=tenant_id)
    asked.MergeFrom(tenant)
    request = UpdateTenantRequest(tenant=asked, update_mask=FieldMask(paths=paths))
    return Row(name, TENANTS + "UpdateTenant", request, reason, code, "admin")


QUOTAS = [
    Row(
        "a run beyond the limit",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(**DRYRUN),
        "QUOTA_EXCEEDED",
        EXHAUSTED,
        "poor",
        "runs_per_day is 0",
    ),
    Row(
        "a call beyond the limit",
        PIPELINES + "GetRun",
        GetRunRequest(pipeline_logging_id="x"),
        "RATE_LIMITED",
        EXHAUSTED,
        "hasty",
        "requests_per_minute is 0",
    ),
    Row(
        "a run while suspended",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(**DRYRUN),
        "TENANT_NOT_ACTIVE",
        PRECONDITION,
        "suspended",
    ),
    Row(
        "a plan while suspended",
        PIPELINES + "PlanPipeline",
        PlanPipelineRequest(**DRYRUN),
        "TENANT_NOT_ACTIVE",
        PRECONDITION,
        "suspended",
    ),
    onboarding("a plan that there is not", "UNKNOWN_PLAN", plan="gold"),
    onboarding("a plan that is a path", "UNKNOWN_PLAN", plan="../plans"),
    onboarding("a plan of a megabyte", "UNKNOWN_PLAN", plan="x" * 1024 * 1024),
    onboarding("a limit below nothing", "INVALID_FIELD", quotas=TenantQuotas(max_concurrent_runs=-1)),
    onboarding("the smallest limit of all", "INVALID_FIELD", quotas=TenantQuotas(runs_per_month=-(2**63))),
    onboarding("no bytes at all", "INVALID_FIELD", quotas=TenantQuotas(maximum_bytes_billed=0)),
    change("another plan that there is not", "UNKNOWN_PLAN", Tenant(plan="STANDARD"), "plan"),
    change("another limit below nothing", "INVALID_FIELD", Tenant(quotas=TenantQuotas(runs_per_day=-1)), "quotas"),
    change(
        "one limit, and a wrong one beside it",
        "INVALID_FIELD",
        Tenant(quotas=TenantQuotas(max_pending_runs=-1)),
        "quotas.runs_per_day",
    ),
]

NOT_ACTIVE = "TENANT_NOT_ACTIVE"


def offboarding(
    name: str, confirmed: str, tenant_id: str = "acme_corp", reason: str = "DATASET_NOT_CONFIRMED", code: str = INVALID
) -> Row:
    request = OffboardTenantRequest(tenant_id=tenant_id, confirm_delete_dataset=confirmed)
    return Row(name, TENANTS + "OffboardTenant", request, reason, code, "admin")


def ended(
    name: str, method: str, request: Request | FromWorld, reason: str = NOT_ACTIVE, code: str = PRECONDITION
) -> Row:
    return Row(name, method, request, reason, code, "admin")


GONE = "offboarded_corp"
OFFBOARDING = [
    offboarding("the end of another dataset", "rival_corp"),
    offboarding("the end of a dataset in capitals", "ACME_CORP"),
    offboarding("the end of a dataset and a blank", "acme_corp "),
    offboarding("the end of every dataset", "*"),
    offboarding("the end of a table", "acme_corp.costs"),
    offboarding("the end of a dataset by yes", "true"),
    offboarding("the end of nobody", "nobody_corp", "nobody_corp", "TENANT_NOT_FOUND", MISSING),
    offboarding("the end of the central dataset", "tenants", "tenants", "TENANT_NOT_FOUND", MISSING),
    offboarding("the end of whoever", "", "", "MISSING_FIELD"),
    ended("a run of a tenant that has ended", PIPELINES + "RunPipeline", RunPipelineRequest(tenant_id=GONE, **DRYRUN)),
    ended(
        "the onboarding of a tenant that has ended",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(tenant_id=GONE, provider="setup", domain="tenants", template_name="onboarding"),
    ),
    ended(
        "a key of a tenant that has ended",
        TENANTS + "CreateApiKey",
        CreateApiKeyRequest(tenant_id=GONE, name="x", scopes=["runs:read"]),
    ),
    ended(
        "a credential of a tenant that has ended",
        TENANTS + "PutCredential",
        PutCredentialRequest(tenant_id=GONE, name="x", kind=ACCESS, secret=ACCESS_KEY),
    ),
    ended(
        "a tenant that has ended comes again",
        TENANTS + "OnboardTenant",
        OnboardTenantRequest(tenant_id=GONE),
        "TENANT_EXISTS",
        "ALREADY_EXISTS",
    ),
    change(
        "a tenant that has ended is active again",
        NOT_ACTIVE,
        Tenant(state=Tenant.ACTIVE),
        "state",
        tenant_id=GONE,
        code=PRECONDITION,
    ),
    ended(
        "the offboarding as a pipeline",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(tenant_id="acme_corp", provider="setup", domain="tenants", template_name="offboarding"),
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
    ),
]
