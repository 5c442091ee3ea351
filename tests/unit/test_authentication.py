"""Keys are looked up once in a while, and end everywhere soon after they were revoked: also under open streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from convergence.v1.pipeline_service_pb2 import GetRunStatusRequest
from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceServicer, PipelineServiceStub
from convergence.v1.run_pb2 import Heartbeat, LogEntry, RunEvent
from convergence.v1.schedule_service_pb2_grpc import ScheduleServiceServicer
from convergence.v1.system_service_pb2_grpc import SystemServiceServicer
from convergence.v1.tenant_service_pb2_grpc import TenantServiceServicer
from server.api import authentication, interceptors
from server.api.app import Api, Servicers
from server.api.authentication import Authenticator, Mistakes
from server.api.interceptors import Gate
from server.domain.quotas import Quotas
from server.domain.tenant import Scope
from server.errors import Unauthenticated
from server.first_key import operator_key
from server.plans import PlansFile
from server.request_rates import RequestRates
from server.security.api_keys import KeyRing
from server.settings import Settings
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite
from tests.store.records import BY
from tests.unit.test_following import Counting

RING = KeyRing(b"p" * 32)
SECRET = RING.make()
KEY = operator_key(SECRET, "the test's")
METADATA = (("x-api-key", SECRET.text),)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_sqlite(tmp_path / "control.sqlite3")
    await opened.create_api_key(KEY, by=BY, request=None)
    yield opened
    await opened.close()


async def test_calls_of_one_moment_look_a_key_up_once(store: SqlStore) -> None:
    counting = Counting(store)
    authenticator = Authenticator(counting, RING)  # type: ignore[arg-type]
    found = await asyncio.gather(*(authenticator.principal(METADATA) for _ in range(50)))
    assert {principal.key_id for principal in found} == {KEY.key_id}
    assert (await authenticator.principal(METADATA)).scopes == {Scope.ADMIN}
    assert counting.calls["find_api_key"] == 1


async def test_a_known_id_opens_nothing_without_its_secret(store: SqlStore) -> None:
    authenticator = Authenticator(store, RING)
    await authenticator.principal(METADATA)
    with pytest.raises(Unauthenticated):
        await authenticator.principal((("x-api-key", f"cvg_{KEY.key_id}_{'x' * 43}"),))


async def test_a_revoked_key_is_refused_by_every_server_within_five_seconds(store: SqlStore) -> None:
    servers = [Authenticator(store, RING) for _ in range(2)]
    for server in servers:
        await server.principal(METADATA)
    await store.revoke_api_key(KEY, by=BY)
    async with asyncio.timeout(5):
        for server in servers:
            await refused(server)


async def refused(authenticator: Authenticator) -> None:
    while True:
        try:
            await authenticator.principal(METADATA)
        except Unauthenticated:
            return
        await asyncio.sleep(0.01)


class Clock:
    """In place of the machine's."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)
        self.seconds = 1000.0

    def now(self, _zone: object) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(authentication, "datetime", made)
    monkeypatch.setattr(authentication, "monotonic", made.monotonic)
    return made


async def test_a_key_expires_to_the_moment(store: SqlStore, clock: Clock) -> None:
    """Also one that was looked up just before."""
    secret = RING.make()
    end = clock.time + timedelta(hours=1)
    ends = operator_key(secret, "short").model_copy(update={"expires_at": end})
    await store.create_api_key(ends, by=BY, request=None)
    authenticator = Authenticator(store, RING)
    for clock.time in (end - timedelta(hours=1), end - timedelta(microseconds=1)):
        await authenticator.principal((("x-api-key", secret.text),))
    clock.time = end
    with pytest.raises(Unauthenticated):
        await authenticator.principal((("x-api-key", secret.text),))


async def test_the_last_use_is_written_when_the_server_stops(store: SqlStore) -> None:
    authenticator = Authenticator(store, RING)
    noting = asyncio.create_task(authenticator.keep_noting())
    before = datetime.now(UTC)
    await authenticator.principal(METADATA)
    noting.cancel()
    await asyncio.wait([noting])
    found = await store.find_api_key(KEY.key_id)
    assert found is not None
    assert found.last_used_at is not None
    assert before <= found.last_used_at <= datetime.now(UTC)


def test_wrong_keys_cost_an_address_more_and_more_time(clock: Clock) -> None:
    mistakes = Mistakes()
    penalties = [mistakes.penalty("ipv4:10.0.0.7:1") for _ in range(60)]
    assert penalties == pytest.approx([0] * 10 + [0.2 * n for n in range(1, 25)] + [5] * 26)
    clock.seconds += 49.5
    assert mistakes.penalty("ipv4:10.0.0.7:1") == pytest.approx(0.3), "a mistake is forgotten each second"
    clock.seconds += 1000
    assert mistakes.penalty("ipv4:10.0.0.7:1") == 0


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("ipv4:10.0.0.7:2", True),
        ("ipv4:10.0.0.8:1", False),
        ("ipv6:%5B2001:db8::1%5D:1", False),
        ("unix:", False),
    ],
)
def test_an_address_pays_for_its_own_mistakes(other: str, is_same: bool) -> None:
    mistakes = Mistakes()
    for _ in range(60):
        mistakes.penalty("ipv4:10.0.0.7:1")
    assert (mistakes.penalty(other) > 0) is is_same


@pytest.mark.parametrize(("other", "is_same"), [("2001:db8::ffff", True), ("2001:db8:0:1::1", False)])
def test_a_network_of_version_six_is_one_address(other: str, is_same: bool) -> None:
    mistakes = Mistakes()
    for _ in range(60):
        mistakes.penalty("ipv6:%5B2001:db8::1%5D:1")
    assert (mistakes.penalty(f"ipv6:%5B{other}%5D:1") > 0) is is_same


class Following(PipelineServiceServicer):
    """Follows a run of which nothing is heard, and one, `flood`, of which more is heard than anybody reads."""

    def __init__(self) -> None:
        self.stuck = asyncio.Event()
        """An answer of the flood has not been taken for a while."""
        self.ended = asyncio.Event()

    async def GetRunStatus(  # noqa: N802
        self, request: GetRunStatusRequest, context: object
    ) -> AsyncIterator[RunEvent]:
        large = RunEvent(log=LogEntry(message="x" * 1_000_000))
        try:
            while True:
                if not request.pipeline_logging_id:
                    yield RunEvent(heartbeat=Heartbeat())
                    await asyncio.sleep(0.02)
                    continue
                timer = asyncio.get_running_loop().call_later(1, self.stuck.set)
                yield large
                timer.cancel()
        finally:
            self.ended.set()


@dataclass
class Serving:
    """A server, and a channel to it."""

    channel: grpc.aio.Channel
    store: SqlStore
    servicer: Following


@pytest.fixture
async def serving(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    monkeypatch.setattr(interceptors, "_CHECK_SECONDS", 0.1)
    servicer = Following()
    servicers = Servicers(servicer, TenantServiceServicer(), ScheduleServiceServicer(), SystemServiceServicer())
    plans = PlansFile(Settings().plans_file, base=Quotas())
    api = Api(servicers, Gate(Authenticator(store, RING), RequestRates(store, plans)), max_connections=100)
    port = await api.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Serving(channel, store, servicer)
    await api.stop(0)


@asynccontextmanager
async def ended_for_want_of_a_key() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            yield
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_an_open_stream_ends_with_its_key(serving: Serving) -> None:
    stream = PipelineServiceStub(serving.channel).GetRunStatus(GetRunStatusRequest(), metadata=METADATA)
    await stream.read()
    await serving.store.revoke_api_key(KEY, by=BY)
    async with ended_for_want_of_a_key():
        while True:
            await stream.read()


async def test_a_stream_that_nobody_reads_ends_with_its_key(serving: Serving) -> None:
    """The server waits in the middle of an answer, and would do so for as long as the client likes."""
    stream = PipelineServiceStub(serving.channel).GetRunStatus(
        GetRunStatusRequest(pipeline_logging_id="flood"), metadata=METADATA
    )
    async with asyncio.timeout(20):
        await serving.servicer.stuck.wait()
        await serving.store.revoke_api_key(KEY, by=BY)
        await serving.servicer.ended.wait()
    stream.cancel()


async def test_a_health_watch_ends_with_its_key(serving: Serving) -> None:
    watch = health_pb2_grpc.HealthStub(serving.channel).Watch(health_pb2.HealthCheckRequest(), metadata=METADATA)
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    await serving.store.revoke_api_key(KEY, by=BY)
    async with ended_for_want_of_a_key():
        await watch.read()


async def test_reflection_ends_with_its_key(serving: Serving) -> None:
    reflection = reflection_pb2_grpc.ServerReflectionStub(serving.channel)
    stream = reflection.ServerReflectionInfo(metadata=METADATA)
    await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    await stream.read()
    await serving.store.revoke_api_key(KEY, by=BY)
    async with ended_for_want_of_a_key():
        await stream.read()


async def test_who_guesses_waits_and_who_has_a_key_does_not(serving: Serving) -> None:
    """From one address, at one time."""
    info = serving.channel.unary_unary("/convergence.v1.SystemService/GetSystemInfo")

    async def code(key: str) -> grpc.StatusCode:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await info(b"", metadata=(("x-api-key", key),))
        return caught.value.code()

    guesses = [asyncio.create_task(code(RING.make().text)) for _ in range(40)]
    async with asyncio.timeout(20):
        while sum(guess.done() for guess in guesses) < 10:
            await asyncio.sleep(0.01)
    assert await code(SECRET.text) is grpc.StatusCode.UNIMPLEMENTED
    assert not all(guess.done() for guess in guesses)
    assert {await guess for guess in guesses} == {grpc.StatusCode.UNAUTHENTICATED}
