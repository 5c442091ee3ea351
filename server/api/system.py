"""SystemService."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc

from convergence.v1 import system_service_pb2 as pb
from convergence.v1.system_service_pb2_grpc import SystemServiceServicer
from server import __version__
from server.api import convert
from server.api.authorization import current_principal
from server.store.port import ControlStore

Context = grpc.aio.ServicerContext[Any, Any]
CONTRACT = "convergence.v1"


@dataclass(frozen=True, slots=True)
class Stores:
    """What the server was built of."""

    control_store: str
    warehouse: str
    project: str


class SystemServicer(SystemServiceServicer):
    """Tells what is running."""

    def __init__(self, store: ControlStore, stores: Stores) -> None:
        self._store = store
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
        )
