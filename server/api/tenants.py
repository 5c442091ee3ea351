"""TenantService."""

from collections.abc import Sequence
from typing import Any

import grpc

from convergence.v1 import tenant_service_pb2 as pb
from convergence.v1.tenant_service_pb2_grpc import TenantServiceServicer
from server.api import convert
from server.api.authorization import current_actor, current_principal
from server.api.changes import tenant_change
from server.api.pages import page_key, page_moment, page_size, page_token
from server.api.requests import checked_request_id, known_names, moments, own_or_operators, own_tenant, quotas
from server.credentials import Credentials, NewCredential
from server.domain.credential import CredentialKind
from server.domain.quotas import QuotaUse
from server.domain.tenant import NewKey, NewTenant, TenantState
from server.keys import ApiKeys
from server.store.port import KeyPosition
from server.tenants import Tenants

Context = grpc.aio.ServicerContext[Any, Any]


class TenantServicer(TenantServiceServicer):
    """Translates; the use cases decide."""

    def __init__(self, tenants: Tenants, keys: ApiKeys, credentials: Credentials, *, default_location: str) -> None:
        self._tenants = tenants
        self._keys = keys
        self._credentials = credentials
        self._default_location = default_location

    async def OnboardTenant(self, request: pb.OnboardTenantRequest, context: Context) -> pb.OnboardTenantResponse:
        """See the proto."""
        new = NewTenant(
            tenant_id=request.tenant_id,
            display_name=request.display_name,
            location=request.location or self._default_location,
            contact_emails=tuple(request.contact_emails),
            allowed_sources=tuple(request.allowed_sources),
            plan=request.plan,
            quotas=quotas(request.quotas),
        )
        made = await self._tenants.onboard(new, current_actor.get(), request_id=checked_request_id(request))
        return pb.OnboardTenantResponse(
            tenant=convert.tenant(made.tenant),
            run=convert.run(made.run),
            api_key=convert.api_key(made.key),
            api_key_secret=made.secret,
        )

    async def GetTenant(self, request: pb.GetTenantRequest, context: Context) -> pb.Tenant:
        """See the proto."""
        return convert.tenant(await self._tenants.get(own_tenant(request)))

    async def UpdateTenant(self, request: pb.UpdateTenantRequest, context: Context) -> pb.Tenant:
        """See the proto."""
        tenant_id = own_tenant(request.tenant)
        change = tenant_change(request, tenant_id)
        return convert.tenant(await self._tenants.update(change, current_actor.get()))

    async def OffboardTenant(self, request: pb.OffboardTenantRequest, context: Context) -> pb.Tenant:
        """See the proto."""
        offboarded = await self._tenants.offboard(
            own_tenant(request),
            current_actor.get(),
            confirmed=request.confirm_delete_dataset,
            request_id=checked_request_id(request),
        )
        return convert.tenant(offboarded)

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.Usage:
        """See the proto."""
        tenant_id = own_tenant(request)
        return _usage(tenant_id, *await self._tenants.usage(tenant_id))

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        """See the proto."""
        (expires_at,) = moments(request, "expires_at")
        new = NewKey(own_or_operators(request), request.name, tuple(request.scopes), expires_at)
        made = await self._keys.create(
            new, current_principal.get(), current_actor.get(), request_id=checked_request_id(request)
        )
        return pb.CreateApiKeyResponse(api_key=convert.api_key(made.key), api_key_secret=made.secret)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        """See the proto."""
        size, key = page_size(request.page_size), page_key(request, parts=2)
        after = KeyPosition(page_moment(key[0]), key[1]) if key else None
        keys = await self._keys.list(own_or_operators(request), after=after, limit=size + 1)
        page = keys[:size]
        more = len(keys) > size
        return pb.ListApiKeysResponse(
            api_keys=map(convert.api_key, page),
            next_page_token=page_token(request, page[-1].created_at.isoformat(), page[-1].key_id) if more else "",
        )

    async def RotateApiKey(self, request: pb.RotateApiKeyRequest, context: Context) -> pb.RotateApiKeyResponse:
        """See the proto."""
        made = await self._keys.rotate(
            own_or_operators(request),
            request.key_id,
            current_principal.get(),
            current_actor.get(),
            overlap_seconds=request.overlap_seconds,
            request_id=checked_request_id(request),
        )
        return pb.RotateApiKeyResponse(api_key=convert.api_key(made.key), api_key_secret=made.secret)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.ApiKey:
        """See the proto."""
        key = await self._keys.revoke(own_or_operators(request), request.key_id, current_actor.get())
        return convert.api_key(key)

    async def PutCredential(self, request: pb.PutCredentialRequest, context: Context) -> pb.Credential:
        """See the proto."""
        (kind,) = known_names(CredentialKind, pb.Credential.Kind.Name, [request.kind], "kind")
        new = NewCredential(own_tenant(request), request.name, kind, request.secret)
        request_id = checked_request_id(request)
        return convert.credential(await self._credentials.put(new, current_actor.get(), request_id=request_id))

    async def ListCredentials(self, request: pb.ListCredentialsRequest, context: Context) -> pb.ListCredentialsResponse:
        """See the proto."""
        size, key = page_size(request.page_size), page_key(request, parts=1)
        found = await self._credentials.list(own_tenant(request), after=key[0] if key else "", limit=size + 1)
        page = found[:size]
        return pb.ListCredentialsResponse(
            credentials=map(convert.credential, page),
            next_page_token=page_token(request, page[-1].name) if len(found) > size else "",
        )

    async def CheckCredential(self, request: pb.CheckCredentialRequest, context: Context) -> pb.CheckCredentialResponse:
        """See the proto."""
        tried, verdict = await self._credentials.check(own_tenant(request), request.name, current_actor.get())
        return pb.CheckCredentialResponse(
            accepted=not verdict.refusal,
            principal=verdict.principal,
            message=verdict.refusal or verdict.reservation,
            checked_at=convert.timestamp(tried.checked_at),
        )

    async def DeleteCredential(
        self, request: pb.DeleteCredentialRequest, context: Context
    ) -> pb.DeleteCredentialResponse:
        """See the proto."""
        await self._credentials.delete(own_tenant(request), request.name, current_actor.get())
        return pb.DeleteCredentialResponse()

    async def ListTenants(self, request: pb.ListTenantsRequest, context: Context) -> pb.ListTenantsResponse:
        """See the proto."""
        size, key = page_size(request.page_size), page_key(request, parts=1)
        states = known_names(TenantState, pb.Tenant.State.Name, request.states, "states")
        tenants = await self._tenants.list(after=key[0] if key else "", limit=size + 1, states=states)
        page = tenants[:size]
        used = await self._tenants.usages(page) if request.with_usage else []
        return pb.ListTenantsResponse(
            tenants=[convert.tenant(tenant) for tenant in page],
            usages=[_usage(tenant.tenant_id, *found) for tenant, found in zip(page, used, strict=False)],
            next_page_token=page_token(request, page[-1].tenant_id) if len(tenants) > size else "",
        )


def _usage(tenant_id: str, plan: str, uses: Sequence[QuotaUse]) -> pb.Usage:
    return pb.Usage(tenant_id=tenant_id, plan=plan, quotas=map(convert.quota_use, uses))
