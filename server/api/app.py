"""The gRPC server: services, interceptors, limits."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from convergence.v1 import pipeline_service_pb2, schedule_service_pb2, system_service_pb2, tenant_service_pb2
from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceServicer, add_PipelineServiceServicer_to_server
from convergence.v1.schedule_service_pb2_grpc import ScheduleServiceServicer, add_ScheduleServiceServicer_to_server
from convergence.v1.system_service_pb2_grpc import SystemServiceServicer, add_SystemServiceServicer_to_server
from convergence.v1.tenant_service_pb2_grpc import TenantServiceServicer, add_TenantServiceServicer_to_server
from server.api.interceptors import Gate
from server.api.tls import Tls
from server.domain.faults import CannotStart

_OPTIONS = (
    # Two servers on one port would share its calls silently.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
    # A client that is gone without a word is found within 15 seconds.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.ping_timeout_ms", 3_000),
    # Whoever connects says something soon, and whoever has nothing to say for a while connects again.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 300_000),
    # Clients may look as often whether the server is still there: gRPC by itself would end their connections for that.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)
# Whatever they are, streams included: beyond it gRPC refuses as RESOURCE_EXHAUSTED.
_CALLS_AT_A_TIME = 10_000
DESCRIPTORS: tuple[ServiceDescriptor, ...] = tuple(
    module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (pipeline_service_pb2, "PipelineService"),
        (tenant_service_pb2, "TenantService"),
        (schedule_service_pb2, "ScheduleService"),
        (system_service_pb2, "SystemService"),
    )
)
SERVICES = tuple(service.full_name for service in DESCRIPTORS)


@dataclass(frozen=True, slots=True)
class Servicers:
    """The implementation of each service."""

    pipelines: PipelineServiceServicer
    tenants: TenantServiceServicer
    schedules: ScheduleServiceServicer
    system: SystemServiceServicer


class _ByName:
    """A server to which generated code adds servicers whose methods are looked up by their names.

    Of a method that is registered as well, the asyncio server keeps a task that waits for its next call, and with each
    call waits anew for the tasks of all methods.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, object]) -> None:
        """See above."""


class Api:
    """The server on its port."""

    def __init__(self, servicers: Servicers, gate: Gate, *, max_connections: int) -> None:
        options = (*_OPTIONS, ("grpc.max_allowed_incoming_connections", max_connections))
        self._server = grpc.aio.server(interceptors=[gate], options=options, maximum_concurrent_rpcs=_CALLS_AT_A_TIME)
        self._health = HealthServicer()
        self._is_ready = False
        by_name = cast("grpc.aio.Server", _ByName(self._server))
        add_PipelineServiceServicer_to_server(servicers.pipelines, by_name)
        add_TenantServiceServicer_to_server(servicers.tenants, by_name)
        add_ScheduleServiceServicer_to_server(servicers.schedules, by_name)
        add_SystemServiceServicer_to_server(servicers.system, by_name)
        add_HealthServicer_to_server(self._health, by_name)
        # This looks for an asyncio server, and has one method.
        reflection.enable_server_reflection((*SERVICES, reflection.SERVICE_NAME, _HEALTH_NAME), self._server)

    async def start(self, address: str, tls: Tls | None = None, *, socket: Path | None = None) -> int:
        """Bind and serve, without `tls` in plain text; answers the port.

        `socket` is bound, too, for callers whose word about where calls come from is taken: nobody else may reach it.

        Raises:
            CannotStart: the address cannot be bound.
        """
        try:
            if tls is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, tls.credentials())
        except RuntimeError:
            raise CannotStart(
                f"{address} cannot be bound: another process has it, or it is not an address; see CONVERGENCE_GRPC_PORT"
            ) from None
        if socket is not None:
            self._open_socket(socket)
        await self._server.start()
        for service in ("", *SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._is_ready = True
        return port

    def _open_socket(self, socket: Path) -> None:
        try:
            self._server.add_insecure_port(f"unix:{socket}")
        except RuntimeError:
            raise CannotStart(
                f"no socket can be made at {socket}: its path may be too long, which TMPDIR shortens"
            ) from None

    async def ready(self) -> str:
        """Why it does not take calls; '' when it does, and will for a while."""
        return "" if self._is_ready else "is stopping"

    async def retire(self, notice: float) -> None:
        """Tell probes that it ends, and serve on for `notice` seconds."""
        self._is_ready = False
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(notice)

    async def stop(self, grace: float) -> None:
        """Take no more calls, and let those under way finish for `grace` seconds."""
        await self._server.stop(grace)


_HEALTH_NAME = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
