"""What forms choose from."""

from admin_ui.components.values import pipeline_path
from admin_ui.sessions import Session
from convergence.v1.tenant_service_pb2 import Tenant

_MOST_TENANTS = 500
_OPERATORS_ONLY = "setup"
"""Only operators run pipelines of this provider."""


def may_run(session: Session, provider: str) -> bool:
    """Whether the key may run pipelines of the provider."""
    return session.may("runs:write") and (session.is_operator or provider != _OPERATORS_ONLY)


async def pipeline_choices(session: Session) -> dict[str, str]:
    """The pipelines that the key may run: paths, and what is shown of each. Raises ConvergenceError."""
    choices = dict[str, str]()
    async for one in session.client.iter_pipelines():
        path = pipeline_path(one)
        if may_run(session, one.provider):
            choices[path] = path if one.valid else f"{path} (its file has faults)"
    return choices


async def tenant_choices(session: Session) -> list[str] | None:
    """The first active tenants, to complete what is typed; None for a tenant's key. Raises ConvergenceError."""
    if not session.is_operator:
        return None
    found = await session.client.list_tenants(states=[Tenant.ACTIVE], page_size=_MOST_TENANTS)
    return [tenant.tenant_id for tenant in found.tenants]
