"""The client's calls about backfills."""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import TypedDict, Unpack

from convergence.calls import Calls, pages
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.pipeline_service_pb2 import (
    BackfillPipelineRequest,
    CancelBackfillRequest,
    GetBackfillRequest,
    ListBackfillsRequest,
    ListBackfillsResponse,
    PauseBackfillRequest,
    ResumeBackfillRequest,
    WatchBackfillRequest,
)
from convergence.watching import BackfillCall, BackfillWatch

# The server plans some of the runs for up to 20 seconds, after it has checked the first one of each tenant.
_PLAN_SECONDS = 60


class BackfillFilter(TypedDict, total=False):
    """Which backfills to list; what is left out holds for all."""

    schedule_id: str
    """Those of this schedule's refresh windows."""
    states: Collection[Backfill.State.ValueType]
    """Any of these."""
    page_size: int
    """Backfills a page, at most 500."""


class BackfillCalls(Calls):
    """Starts, lists, follows, pauses and cancels backfills."""

    async def backfill_pipeline(
        self,
        tenant_ids: Sequence[str] = (),
        *,
        all_tenants: bool = False,
        provider: str,
        domain: str = "",
        template_name: str,
        start_date: str,
        end_date: str,
        variables: Mapping[str, str] | None = None,
        order: Backfill.Order.ValueType = Backfill.OLDEST_FIRST,
        reprocess: Backfill.Reprocess.ValueType = Backfill.NONE,
        max_active_runs: int = 0,
        plan_only: bool = False,
        request_id: str = "",
    ) -> Backfill:
        """Run a pipeline for each day from `start_date` to the one before `end_date`, and each of the tenants.

        Both are YYYY-MM-DD. With `plan_only` it starts nothing and returns what it would do. Without a `request_id` it
        makes one, so that repeating the call after a lost connection starts nothing twice.
        """
        request = BackfillPipelineRequest(
            tenant_ids=tenant_ids,
            all_tenants=all_tenants,
            provider=provider,
            domain=domain,
            template_name=template_name,
            start_date=start_date,
            end_date=end_date,
            variables=variables,
            order=order,
            reprocess=reprocess,
            max_active_runs=max_active_runs,
            plan_only=plan_only,
            request_id=request_id or str(uuid.uuid4()),
        )
        timeout = max(self._timeout, _PLAN_SECONDS) if plan_only else None
        return await self._call(self.pipelines.BackfillPipeline, request, timeout=timeout)

    async def get_backfill(self, backfill_id: str) -> Backfill:
        """The present state of a backfill."""
        return await self._call(self.pipelines.GetBackfill, GetBackfillRequest(backfill_id=backfill_id))

    async def list_backfills(
        self, tenant_id: str = "", *, page_token: str = "", **wanted: Unpack[BackfillFilter]
    ) -> ListBackfillsResponse:
        """One page of backfills, newest first. Those of several tenants are listed only without `tenant_id`."""
        request = ListBackfillsRequest(tenant_id=tenant_id, page_token=page_token, **wanted)
        return await self._call(self.pipelines.ListBackfills, request)

    async def iter_backfills(self, tenant_id: str = "", **wanted: Unpack[BackfillFilter]) -> AsyncIterator[Backfill]:
        """All backfills that `list_backfills` would list, page by page as they are needed."""
        async for page in pages(lambda token: self.list_backfills(tenant_id, page_token=token, **wanted)):
            for backfill in page.backfills:
                yield backfill

    def watch_backfill(
        self, backfill_id: str, *, on_connection_loss: Callable[[], None] | None = None
    ) -> AsyncGenerator[Backfill, None]:
        """The present state of a backfill, then each new one, to the one that ends it: FINISHED or CANCELLED.

        A lost connection is made again as in `watch`; of what came meanwhile, only the latest state is shown.

        Raises:
            Unavailable: no connection could be made for a minute (see `Patience`).
        """

        def open_stream() -> BackfillCall:
            return self.pipelines.WatchBackfill(WatchBackfillRequest(backfill_id=backfill_id))

        return BackfillWatch(open_stream, self._patience, on_connection_loss).messages()

    async def pause_backfill(self, backfill_id: str, *, reason: str = "") -> Backfill:
        """Start no more of its runs; those that have begun go on. The reason is for people."""
        request = PauseBackfillRequest(backfill_id=backfill_id, reason=reason)
        return await self._call(self.pipelines.PauseBackfill, request)

    async def resume_backfill(self, backfill_id: str) -> Backfill:
        """Let a backfill go on."""
        return await self._call(self.pipelines.ResumeBackfill, ResumeBackfillRequest(backfill_id=backfill_id))

    async def cancel_backfill(self, backfill_id: str) -> Backfill:
        """End a backfill, and cancel its runs that have begun; returns it CANCELLED or CANCELLING."""
        return await self._call(self.pipelines.CancelBackfill, CancelBackfillRequest(backfill_id=backfill_id))
