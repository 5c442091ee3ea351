"""How tenants, their API keys and their credentials look to people."""

from collections.abc import Sequence

from rich.console import RenderableType

from convergence.output import facts, moment, status_text, table
from convergence.v1.tenant_service_pb2 import (
    ApiKey,
    CheckCredentialResponse,
    CreateApiKeyResponse,
    Credential,
    OnboardTenantResponse,
    RotateApiKeyResponse,
    Tenant,
    Usage,
)


def tenants_table(tenants: Sequence[Tenant]) -> RenderableType:
    """One line a tenant."""
    if not tenants:
        return "No tenants. Make one: convergence tenants onboard TENANT"
    rows = [
        (
            tenant.tenant_id,
            status_text(Tenant.State.Name(tenant.state)),
            tenant.display_name,
            tenant.location,
            moment(tenant.created_at),
        )
        for tenant in tenants
    ]
    return table("TENANT", "STATE", "NAME", "LOCATION", "CREATED", rows=rows)


def tenant_facts(tenant: Tenant) -> RenderableType:
    """Everything about a tenant."""
    return facts(
        {
            "tenant": tenant.tenant_id,
            "name": tenant.display_name,
            "state": status_text(Tenant.State.Name(tenant.state)),
            "dataset": f"{tenant.dataset} in {tenant.location}" if tenant.dataset else "deleted",
            "contacts": ", ".join(tenant.contact_emails),
            "allowed sources": ", ".join(tenant.allowed_sources),
            "plan": tenant.plan,
            "own quotas": ", ".join(f"{field.name}={value:,}" for field, value in tenant.quotas.ListFields()),
            "created": moment(tenant.created_at),
            "updated": moment(tenant.updated_at),
            "onboarding run": tenant.onboarding_run,
            "offboarding run": tenant.offboarding_run,
        }
    )


def usage_parts(usage: Usage) -> list[RenderableType]:
    """One line a quota."""
    rows = [
        (
            item.quota,
            f"{item.used:,}",
            f"{item.limit:,}" if item.HasField("limit") else "",
            moment(item.resets_at) if item.HasField("resets_at") else "",
        )
        for item in usage.quotas
    ]
    about = facts({"tenant": usage.tenant_id, "plan": usage.plan})
    return [about, "", table("QUOTA", "USED", "LIMIT", "STARTS ANEW", rows=rows, numbers=("USED", "LIMIT"))]


def onboarded_parts(made: OnboardTenantResponse) -> list[RenderableType]:
    """A new tenant and its first key, which is shown this once, on a line of its own."""
    about = facts(
        {
            "tenant": made.tenant.tenant_id,
            "scopes": ", ".join(made.api_key.scopes),
            "onboarding run": made.run.pipeline_logging_id,
        }
    )
    return [about, *_secret_parts(made.api_key_secret)]


def new_key_parts(made: CreateApiKeyResponse | RotateApiKeyResponse) -> list[RenderableType]:
    """A new key, which is shown this once, on a line of its own."""
    key = made.api_key
    about = facts(
        {
            "key": key.key_id,
            "name": key.name,
            "tenant": key.tenant_id,
            "scopes": ", ".join(key.scopes),
            "expires": moment(key.expires_at),
        }
    )
    return [about, *_secret_parts(made.api_key_secret)]


def _secret_parts(secret: str) -> list[RenderableType]:
    if not secret:
        return ["The API key was shown in the first answer to this request only."]
    return ["API key, to be kept now, since it cannot be shown again:", secret]


def keys_table(keys: Sequence[ApiKey]) -> RenderableType:
    """One line a key."""
    if not keys:
        return "No keys."
    rows = [
        (
            key.key_id,
            key.name,
            ", ".join(key.scopes),
            moment(key.created_at),
            moment(key.expires_at) or "never",
            moment(key.last_used_at) or "never",
            moment(key.revoked_at),
        )
        for key in keys
    ]
    columns = ("KEY", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "REVOKED")
    return table(*columns, rows=rows, whole=("KEY",))


def credentials_table(credentials: Sequence[Credential]) -> RenderableType:
    """One line a credential."""
    if not credentials:
        return "No credentials."
    rows = [
        (
            credential.name,
            Credential.Kind.Name(credential.kind),
            str(credential.version),
            credential.fingerprint,
            moment(credential.created_at),
            moment(credential.last_used_at) or "never",
            f"{credential.check_status} {moment(credential.checked_at)}" if credential.check_status else "never",
        )
        for credential in credentials
    ]
    columns = ("NAME", "KIND", "VERSION", "FINGERPRINT", "STORED", "LAST USED", "CHECKED")
    return table(*columns, rows=rows, whole=("NAME",))


def checked_facts(name: str, found: CheckCredentialResponse) -> RenderableType:
    """What the provider said of a credential."""
    return facts(
        {
            "credential": name,
            "accepted": "yes" if found.accepted else "no",
            "principal": found.principal,
            "reason": found.message,
            "checked": moment(found.checked_at),
        }
    )
