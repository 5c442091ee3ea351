"""The client's calls about the server."""

from collections.abc import AsyncIterator

from convergence.calls import Calls, answer, pages
from convergence.v1.run_pb2 import Run
from convergence.v1.system_service_pb2 import (
    ApplyRetentionRequest,
    ApplyRetentionResponse,
    AuditEvent,
    CheckStoreRequest,
    CheckStoreResponse,
    GetServiceHealthRequest,
    GetSystemInfoRequest,
    ListAuditEventsRequest,
    ListAuditEventsResponse,
    RebuildMirrorRequest,
    RebuildMirrorResponse,
    RescueRunRequest,
    ServiceHealth,
    SystemInfo,
)


class SystemCalls(Calls):
    """Shows what the server is, and takes care of its stores."""

    async def get_system_info(self) -> SystemInfo:
        """What is running there, and what the key may do."""
        return await self._call(self.system.GetSystemInfo, GetSystemInfoRequest())

    async def get_service_health(self) -> ServiceHealth:
        """How workers, warehouse and x_meta_ tables get on."""
        return await self._call(self.system.GetServiceHealth, GetServiceHealthRequest())

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
        async for page in pages(lambda token: self.list_audit_events(tenant_id=tenant_id, page_token=token)):
            for event in page.events:
                yield event

    async def apply_retention(self) -> ApplyRetentionResponse:
        """Remove what is older than the server's settings want to keep. Without a time limit."""
        return await answer(self.system.ApplyRetention(ApplyRetentionRequest()))
