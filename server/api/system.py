"""SystemService."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from convergence.v1 import run_pb2
from convergence.v1 import system_service_pb2 as pb
from convergence.v1.system_service_pb2_grpc import SystemServiceServicer
from server import __version__
from server.api import convert
from server.api.authorization import current_actor, current_principal
from server.api.pages import page_key, page_number, page_size, page_token
from server.api.requests import own_or_operators, own_tenant
from server.care import Care
from server.health import problems
from server.store.health_port import HealthStore, SeenWorker
from server.store.port import ControlStore

Context = grpc.aio.ServicerContext[Any, Any]
CONTRACT = "convergence.v1"


@dataclass(frozen=True, slots=True)
class Stores:
    """What the server was built of."""

    control_store: str
    warehouse: str
    project: str
    price_per_tib: float
    """US dollars."""


class SystemServicer(SystemServiceServicer):
    """Tells what is running."""

    def __init__(self, store: ControlStore, health: HealthStore, stores: Stores, care: Care) -> None:
        self._store = store
        self._health = health
        self._care = care
        self._stores = stores
        self._started_at = datetime.now(UTC)

    async def GetSystemInfo(self, request: pb.GetSystemInfoRequest, context: Context) -> pb.SystemInfo:
        """See the proto."""
        principal = current_principal.get()
        return pb.SystemInfo(
            version=__version__,
            contract=CONTRACT,
            control_store=self._stores.control_store,
            warehouse=self._stores.warehouse,
            project=self._stores.project,
            started_at=convert.timestamp(self._started_at),
            tenant_count=await self._store.count_tenants() if principal.is_admin else 0,
            tenant_id=principal.tenant_id or "",
            scopes=sorted(principal.scopes),
            price_per_tib_usd=self._stores.price_per_tib,
        )

    async def GetServiceHealth(self, request: pb.GetServiceHealthRequest, context: Context) -> pb.ServiceHealth:
        """See the proto."""
        began = time.perf_counter()
        found = await self._health.health()
        took = Duration()
        took.FromTimedelta(timedelta(seconds=time.perf_counter() - began))
        return pb.ServiceHealth(
            workers=map(_worker, found.workers),
            mirror_backlog=found.mirror_backlog,
            mirror_behind_since=convert.timestamp(found.mirror_behind_since),
            control_store_time=took,
            problems=[pb.ServiceHealth.Problem(reason=one.reason, message=one.message) for one in problems(found)],
        )

    async def CheckStore(self, request: pb.CheckStoreRequest, context: Context) -> pb.CheckStoreResponse:
        """See the proto."""
        found = await self._care.check(current_actor.get(), repair=request.repair)
        return pb.CheckStoreResponse(
            findings=[
                pb.StoreFinding(
                    check=finding.check,
                    subject=finding.subject,
                    message=finding.message,
                    repairable=finding.is_repairable,
                )
                for finding in found
            ]
        )

    async def RebuildMirror(self, request: pb.RebuildMirrorRequest, context: Context) -> pb.RebuildMirrorResponse:
        """See the proto."""
        return pb.RebuildMirrorResponse(
            records=await self._care.rebuild_mirror(own_tenant(request), current_actor.get())
        )

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, context: Context) -> pb.ListAuditEventsResponse:
        """See the proto."""
        size, key = page_size(request.page_size), page_key(request, parts=1)
        before = page_number(key[0]) if key else None
        events = await self._store.audit_events(own_or_operators(request), before=before, limit=size + 1)
        page = events[:size]
        return pb.ListAuditEventsResponse(
            events=map(convert.audit_event, page),
            next_page_token=page_token(request, str(page[-1].number)) if len(events) > size else "",
        )

    async def RescueRun(self, request: pb.RescueRunRequest, context: Context) -> run_pb2.Run:
        """See the proto."""
        run = await self._care.rescue(own_tenant(request), request.pipeline_logging_id, current_actor.get())
        return convert.run(run)

    async def ApplyRetention(self, request: pb.ApplyRetentionRequest, context: Context) -> pb.ApplyRetentionResponse:
        """See the proto."""
        removed = await self._care.apply_retention(current_actor.get())
        return pb.ApplyRetentionResponse(runs=removed.runs, runs_without_events=removed.runs_without_events)


def _worker(seen: SeenWorker) -> pb.ServiceHealth.Worker:
    told = seen.report
    return pb.ServiceHealth.Worker(
        worker_id=told.worker_id,
        version=told.version,
        places=told.places,
        running=told.running,
        warehouse_fault=told.warehouse_fault,
        started_at=convert.timestamp(seen.started_at),
        seen_at=convert.timestamp(seen.seen_at),
    )
