"""The client's calls about tenants, API keys and credentials."""

import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from convergence.calls import Calls, pages, timestamp
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


class TenantCalls(Calls):
    """Makes, changes and ends tenants, their API keys and their credentials."""

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
        with_usage: bool = False,
        page_size: int = 0,
        page_token: str = "",
    ) -> ListTenantsResponse:
        """One page of tenants, by id; with what each of them has used, if wanted."""
        request = ListTenantsRequest(states=states, with_usage=with_usage, page_size=page_size, page_token=page_token)
        return await self._call(self.tenants.ListTenants, request)

    async def iter_tenants(self, *, states: Collection[Tenant.State.ValueType] = ()) -> AsyncIterator[Tenant]:
        """All tenants that `list_tenants` would list."""
        async for page in pages(lambda token: self.list_tenants(states=states, page_token=token)):
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
            expires_at=timestamp(expires_at),
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
        async for page in pages(lambda token: self.list_api_keys(tenant_id=tenant_id, page_token=token)):
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
        async for page in pages(lambda token: self.list_credentials(tenant_id=tenant_id, page_token=token)):
            for credential in page.credentials:
                yield credential

    async def check_credential(self, name: str, *, tenant_id: str = "") -> CheckCredentialResponse:
        """Try a credential against its provider."""
        request = CheckCredentialRequest(tenant_id=tenant_id, name=name)
        return await self._call(self.tenants.CheckCredential, request)

    async def delete_credential(self, name: str, *, tenant_id: str = "") -> None:
        """Destroy every version of a credential."""
        await self._call(self.tenants.DeleteCredential, DeleteCredentialRequest(tenant_id=tenant_id, name=name))
