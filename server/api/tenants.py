"""TenantService."""

from typing import Any

import grpc

from convergence.v1 import tenant_service_pb2 as pb
from convergence.v1.tenant_service_pb2_grpc import TenantServiceServicer
from server.api import convert
from server.api.authorization import current_principal
from server.api.pages import page_key, page_size, page_token
from server.api.requests import checked_request_id, known_names, own_tenant, quotas
from server.domain.tenant import NewTenant, TenantState
from server.tenants import Tenants

Context = grpc.aio.ServicerContext[Any, Any]


class TenantServicer(TenantServiceServicer):
    """Translates; the use cases decide."""

    def __init__(self, tenants: Tenants, *, default_location: str) -> None:
        self._tenants = tenants
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
        made = await self._tenants.onboard(
            new, created_by=current_principal.get().key_id, request_id=checked_request_id(request)
        )
        return pb.OnboardTenantResponse(
            tenant=convert.tenant(made.tenant),
            run=convert.run(made.run),
            api_key=convert.api_key(made.key),
            api_key_secret=made.secret,
        )

    async def GetTenant(self, request: pb.GetTenantRequest, context: Context) -> pb.Tenant:
        """See the proto."""
        return convert.tenant(await self._tenants.get(own_tenant(request)))

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.Usage:
        """See the proto."""
        tenant_id = own_tenant(request)
        plan, uses = await self._tenants.usage(tenant_id)
        return pb.Usage(tenant_id=tenant_id, plan=plan, quotas=[convert.quota_use(use) for use in uses])

    async def ListTenants(self, request: pb.ListTenantsRequest, context: Context) -> pb.ListTenantsResponse:
        """See the proto."""
        size, key = page_size(request.page_size), page_key(request, parts=1)
        states = known_names(TenantState, pb.Tenant.State.Name, request.states, "states")
        tenants = await self._tenants.list(after=key[0] if key else "", limit=size + 1, states=states)
        page = tenants[:size]
        return pb.ListTenantsResponse(
            tenants=[convert.tenant(tenant) for tenant in page],
            next_page_token=page_token(request, page[-1].tenant_id) if len(tenants) > size else "",
        )
