"""What an operator does about the control store and the x_meta_ tables."""

from server.domain.audit import Actor
from server.domain.run import Run
from server.domain.tenant import SYSTEM_TENANT
from server.errors import RunNotActive, TenantNotFound
from server.retention import Removed, Retention
from server.runs import owned
from server.store.port import ControlStore, Finding


class Care:
    """The use cases of `convergence admin`."""

    def __init__(self, store: ControlStore, retention: Retention) -> None:
        self._store = store
        self._retention = retention

    async def check(self, by: Actor, *, repair: bool) -> list[Finding]:
        """What is not as it has to be; with `repair`, what was not."""
        return await self._store.check(repair_by=by if repair else None)

    async def rebuild_mirror(self, tenant_id: str, by: Actor) -> int:
        """Have everything of a tenant copied into its tables again, or what the central dataset shows into those.

        Answers how many records. Raises TenantNotFound.
        """
        if tenant_id != SYSTEM_TENANT and await self._store.get_tenant(tenant_id) is None:
            raise TenantNotFound
        return await self._store.note_all(tenant_id, by=by)

    async def rescue(self, tenant_id: str, pipeline_logging_id: str, by: Actor) -> Run:
        """Take a run away from its worker. Raises RunNotFound, RunNotActive."""
        run = owned(await self._store.get_run(pipeline_logging_id), tenant_id)
        if not await self._store.expire_run(pipeline_logging_id, by=by):
            raise RunNotActive
        return run

    async def apply_retention(self, by: Actor) -> Removed:
        """Remove now what is too old."""
        await self._store.note_retention(by=by)
        return await self._retention.round()
