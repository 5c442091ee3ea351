"""What surrounds every call, over a real channel: a server with real stores and servicers that misbehave."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import grpc
import pytest

from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceServicer
from convergence.v1.schedule_service_pb2_grpc import ScheduleServiceServicer
from convergence.v1.system_service_pb2_grpc import SystemServiceServicer
from convergence.v1.tenant_service_pb2_grpc import TenantServiceServicer
from server.api.app import Api, Servicers
from server.api.authentication import Authenticator
from server.api.interceptors import Gate
from server.domain.quotas import Quotas
from server.metrics import SERVER
from server.plans import PlansFile
from server.request_rates import RequestRates
from server.security.api_keys import KeyRing, NewSecret
from server.settings import Settings
from server.store.sqlite import open_sqlite
from tests.e2e.test_access import error_info

HIDDEN = "text of a failure"


class Broken(SystemServiceServicer):
    """Offers its method, and has a bug in it."""

    async def GetSystemInfo(self, request: object, context: object) -> NoReturn:  # noqa: N802
        raise NotImplementedError(HIDDEN)


class BrokenStream(PipelineServiceServicer):
    """Offers one method, a stream, and has a bug in it."""

    async def GetRunStatus(self, request: object, context: object) -> AsyncIterator[object]:  # noqa: N802
        raise NotImplementedError(HIDDEN)
        yield


@dataclass
class Server:
    """A server, where its keys are, and who lets callers in."""

    target: str
    path: Path
    keys: KeyRing
    gate: Gate

    def add_key(self, *, scopes: str, tenant_id: str | None = None) -> NewSecret:
        secret = self.keys.make()
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            connection.execute(
                "INSERT INTO api_keys (key_id, tenant_id, name, scopes, digest, created_at)"
                " VALUES (?, ?, 'key', ?, ?, 0)",
                (secret.key_id, tenant_id, scopes, secret.digest),
            )
        return secret

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Another process writes to the control store, and takes its time."""
        with closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    async def refusal(self, method: str, key: str) -> grpc.aio.AioRpcError:
        metadata = (("x-api-key", key),)
        async with grpc.aio.insecure_channel(self.target) as channel:
            streams = method.endswith("GetRunStatus")
            call = channel.unary_stream(method) if streams else channel.unary_unary(method)
            answer = call(b"", metadata=metadata, timeout=10)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await (answer.read() if streams else answer)
        return caught.value


@asynccontextmanager
async def serving(
    folder: Path, pipelines: PipelineServiceServicer, system: SystemServiceServicer, **options: float
) -> AsyncIterator[Server]:
    """A server of those servicers, with a gate of those options."""
    path = folder / "control.sqlite3"
    store = await open_sqlite(path)
    keys = KeyRing(b"p" * 32)
    servicers = Servicers(pipelines, TenantServiceServicer(), ScheduleServiceServicer(), system)
    plans = PlansFile(Settings().plans_file, base=Quotas())
    gate = Gate(Authenticator(store, keys), RequestRates(store, plans), **options)
    api = Api(servicers, gate, max_connections=100)
    port = await api.start("127.0.0.1:0")
    yield Server(f"127.0.0.1:{port}", path, keys, gate)
    await api.stop(0)
    await store.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path, BrokenStream(), Broken()) as started:
        yield started


async def test_what_the_gate_refuses_is_counted_as_what_servicers_refuse(server: Server) -> None:
    reader = server.add_key(scopes='["runs:read"]', tenant_id="acme_corp").text
    expected = [
        ("SystemService/GetSystemInfo", "cvg_0_wrong", "call_seconds_count", "UNAUTHENTICATED"),
        ("PipelineService/RunPipeline", reader, "call_seconds_count", "PERMISSION_DENIED"),
        ("PipelineService/GetRunStatus", "cvg_0_wrong", "streams_ended_total", "UNAUTHENTICATED"),
        ("PipelineService/Nothing", reader, "call_seconds_count", "UNIMPLEMENTED"),
    ]
    for name, key, family, code in expected:
        method = f"/convergence.v1.{name}"
        labels = {"method": "other" if name.endswith("Nothing") else method, "code": code}
        before = SERVER.get_sample_value(f"convergence_{family}", labels) or 0
        error = await server.refusal(method, key)
        assert error.code().name == code
        assert bool(error_info(error).metadata["request_id"]) == (code != "UNAUTHENTICATED")
        assert SERVER.get_sample_value(f"convergence_{family}", labels) == before + 1


async def test_refusals_for_reasons_of_the_server_are_in_its_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """One event for each call, under the id that the client was told."""
    key = server.add_key(scopes='["runs:read"]', tenant_id="acme_corp")
    with caplog.at_level("INFO"):
        error = await server.refusal("/convergence.v1.PipelineService/RunPipeline", key.text)
        await server.refusal("/convergence.v1.PipelineService/RunPipeline", "cvg_0_wrong")
    calls = [record.__dict__ for record in caplog.records if hasattr(record, "request_id")]
    told = {name: calls[0][name] for name in ("method", "code", "key_id", "tenant_id", "request_id")}
    assert len(calls) == 1
    assert told == {
        "method": "/convergence.v1.PipelineService/RunPipeline",
        "code": "PERMISSION_DENIED",
        "key_id": key.key_id,
        "tenant_id": "acme_corp",
        "request_id": error_info(error).metadata["request_id"],
    }


@pytest.mark.parametrize("secret", ["", "wrong"], ids=["the key", "only its id"])
async def test_a_failure_while_authenticating_tells_nothing(server: Server, secret: str) -> None:
    """A key's row that cannot be read: whoever calls learns no more than that the server failed."""
    made = server.add_key(scopes=f'["{HIDDEN}"]')
    key = f"cvg_{made.key_id}_{secret}" if secret else made.text
    error = await server.refusal("/convergence.v1.SystemService/GetSystemInfo", key)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert HIDDEN not in str(error)
    assert error_info(error).reason == "INTERNAL"
    assert error_info(error).metadata["request_id"]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("SystemService/GetSystemInfo", "INTERNAL"),
        ("PipelineService/GetRunStatus", "INTERNAL"),
        ("PipelineService/GetRun", "UNIMPLEMENTED"),
        ("TenantService/GetTenant", "UNIMPLEMENTED"),
    ],
)
async def test_a_bug_does_not_look_like_a_method_that_is_not_offered(
    server: Server, method: str, expected: str
) -> None:
    error = await server.refusal(f"/convergence.v1.{method}", server.add_key(scopes='["admin"]').text)
    assert error.code().name == expected
    assert HIDDEN not in str(error)
