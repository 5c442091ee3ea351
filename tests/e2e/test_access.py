"""Who may do what, over a real channel."""

import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from convergence.errors import ConvergenceError
from convergence.v1 import pipeline_service_pb2, schedule_service_pb2, system_service_pb2, tenant_service_pb2
from convergence.v1.run_pb2 import Run
from server.api.authorization import SCOPES
from tests.e2e.service import Service, finished, make_checkout, onboard, start
from tests.store.postgres import Postgres

FILES = (pipeline_service_pb2, tenant_service_pb2, schedule_service_pb2, system_service_pb2)


def methods() -> Iterator[MethodDescriptor]:
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            yield from service.methods


def path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


async def call(channel: grpc.aio.Channel, method: MethodDescriptor, data: bytes = b"", key: str | None = None) -> None:
    """Call any method with raw bytes; raises what the server answers."""
    metadata = (("x-api-key", key),) if key is not None else ()
    if method.server_streaming:
        async for _ in channel.unary_stream(path(method))(data, metadata=metadata, timeout=10):
            return
    else:
        await channel.unary_unary(path(method))(data, metadata=metadata, timeout=10)


def error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


ALL = pytest.mark.parametrize("method", list(methods()), ids=lambda method: method.name)


def test_every_method_has_a_scope_and_only_methods_have() -> None:
    assert {path(method) for method in methods()} == {name for name in SCOPES if name.startswith("/convergence.")}


@ALL
@pytest.mark.parametrize(
    "key",
    [None, "", " ", "cvg", "cvg__", "x" * 4000, "cvg_'; DROP TABLE api_keys; --_x"],
    ids=["none", "empty", "blank", "prefix", "no parts", "long", "sql"],
)
async def test_no_method_answers_without_a_key(service: Service, method: MethodDescriptor, key: str | None) -> None:
    await refuses_before_it_reads(service, method, key)


@pytest.mark.parametrize("name", ["GetSystemInfo", "GetRunStatus"])
async def test_a_key_that_nobody_has_is_none(service: Service, name: str) -> None:
    """Few of them: whoever guesses is slowed down."""
    method = next(method for method in methods() if method.name == name)
    await refuses_before_it_reads(service, method, "cvg_0123456789ab_wrong")


async def refuses_before_it_reads(service: Service, method: MethodDescriptor, key: str | None) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, method, b"\xff\xff not a message", key)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert error_info(caught.value).reason == "API_KEY_INVALID"
    assert error_info(caught.value).domain == "convergence"


async def test_a_key_with_one_changed_character_is_none(service: Service, acme_key: str) -> None:
    changed = acme_key[:-1] + ("A" if acme_key[-1] != "A" else "B")
    async with service.client(changed) as client:
        with pytest.raises(ConvergenceError) as caught:
            await client.get_system_info()
    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


async def test_two_keys_are_none(service: Service, acme_key: str) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        info = channel.unary_unary("/convergence.v1.SystemService/GetSystemInfo")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await info(b"", metadata=(("x-api-key", acme_key), ("x-api-key", service.admin_key)))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


@ALL
async def test_bytes_that_are_no_message(service: Service, method: MethodDescriptor) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, method, b"\xff\xff not a message", service.admin_key)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(caught.value).reason == "MALFORMED_REQUEST"


@ALL
async def test_every_method_is_offered(service: Service, method: MethodDescriptor) -> None:
    """A message of another type is refused, by the method itself."""
    async with grpc.aio.insecure_channel(service.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, method, b"\xff\xff not a message", service.admin_key)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "method",
    [m for m in methods() if {"tenant_id", "tenant", "schedule", "tenant_ids"} & set(m.input_type.fields_by_name)],
    ids=lambda m: m.name,
)
async def test_a_tenants_key_speaks_of_its_own_tenant_only(
    service: Service, acme_key: str, rival_key: str, method: MethodDescriptor
) -> None:
    """Whether the other tenant exists makes no difference at all."""
    answers = []
    for tenant_id in ("rival_inc", "no_such_tenant"):
        request = GetMessageClass(method.input_type)()
        # What is to be made or changed stands inside the request.
        named = getattr(request, "tenant", getattr(request, "schedule", request))
        if method.name == "BackfillPipeline":
            named.tenant_ids.append(tenant_id)
        else:
            named.tenant_id = tenant_id
        async with grpc.aio.insecure_channel(service.target) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, method, request.SerializeToString(), acme_key)
        info = error_info(caught.value)
        answers.append((caught.value.code(), caught.value.details(), info.reason, info.domain))
    assert answers[0] == answers[1]
    assert answers[0][0] in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED}


async def test_another_tenants_run_looks_like_none(service: Service, acme_key: str, rival_key: str) -> None:
    async with service.client(rival_key) as rival:
        run = await finished(rival, await start(rival, "rival_inc", "gcp/example/dryrun"))
        assert run.status == Run.SUCCESS
    answers = []
    async with service.client(acme_key) as acme:
        for run_id in (run.pipeline_logging_id, "00000000-0000-4000-8000-000000000000"):
            for ask in (acme.get_run, acme.cancel_run):
                with pytest.raises(ConvergenceError) as caught:
                    await ask("acme_corp", run_id)
                answers.append((caught.value.code, caught.value.reason, caught.value.message))
            with pytest.raises(ConvergenceError) as caught:
                _ = [event async for event in acme.watch("acme_corp", run_id)]
            answers.append((caught.value.code, caught.value.reason, caught.value.message))
        listed = await acme.list_runs(page_size=500)
        assert {run.tenant_id for run in listed.runs} == {"acme_corp"}
    assert set(answers) == {(grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND", "There is no such run.")}


@pytest.mark.parametrize(("provider", "template_name"), [("setup", "bootstrap_system"), ("setup", "nothing")])
async def test_setup_is_the_operators(service: Service, acme_key: str, provider: str, template_name: str) -> None:
    async with service.client(acme_key) as client:
        with pytest.raises(ConvergenceError) as caught:
            await client.run_pipeline(tenant_id="acme_corp", provider=provider, template_name=template_name)
        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(ConvergenceError) as caught:
            await client.onboard_tenant(tenant_id="new_corp")
        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED


async def test_to_retry_a_setup_is_the_operators(service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        (onboarding,) = (await client.list_runs(provider="setup")).runs
        with pytest.raises(ConvergenceError, match="provider setup need the scope admin") as caught:
            await client.retry_run("acme_corp", onboarding.pipeline_logging_id)
        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_rescue_names_the_runs_own_tenant(service: Service, acme_key: str, rival_key: str) -> None:
    async with service.client() as operator:
        (onboarding,) = (await operator.list_runs(tenant_id="acme_corp", provider="setup")).runs
        for tenant_id, reason in (("rival_inc", "RUN_NOT_FOUND"), ("acme_corp", "RUN_NOT_ACTIVE")):
            with pytest.raises(ConvergenceError) as caught:
                await operator.rescue_run(tenant_id, onboarding.pipeline_logging_id)
            assert caught.value.reason == reason


async def test_an_operator_sees_every_tenant(service: Service, acme_key: str, rival_key: str) -> None:
    async with service.client() as client:
        tenants = [tenant.tenant_id async for tenant in client.iter_tenants()]
        assert {"acme_corp", "rival_inc"} <= set(tenants)
        runs = await client.list_runs(page_size=500)
        assert {"acme_corp", "rival_inc", "tenants"} <= {run.tenant_id for run in runs.runs}
        info = await client.get_system_info()
        assert info.tenant_count == len(tenants)
        assert (info.control_store, info.warehouse, list(info.scopes)) == ("sqlite", "duckdb", ["admin"])


async def test_probes_need_no_key(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "convergence.v1.PipelineService"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_probe_that_is_no_message(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/grpc.health.v1.Health/Check")(b"\xff\xff", timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(caught.value).reason == "MALFORMED_REQUEST"


async def test_watching_health_needs_a_key(service: Service, acme_key: str) -> None:
    """It is a stream without end."""
    async with grpc.aio.insecure_channel(service.target) as channel:
        stub, ask = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(aiter(stub.Watch(ask, timeout=10)))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        watch = stub.Watch(ask, metadata=(("x-api-key", acme_key),), timeout=10)
        assert (await anext(aiter(watch))).status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_needs_a_key(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")

        async def services(**metadata: str) -> set[str]:
            answers = stub.ServerReflectionInfo(
                iter([ask]), metadata=[(k.replace("_", "-"), v) for k, v in metadata.items()], timeout=10
            )
            return {found.name async for answer in answers for found in answer.list_services_response.service}

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await services()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "convergence.v1.PipelineService" in await services(x_api_key=service.admin_key)


async def test_an_unknown_method(service: Service, acme_key: str) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        method = channel.unary_unary("/convergence.v1.PipelineService/DropEverything")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(b"", metadata=(("x-api-key", acme_key),), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_reflection_of_bytes_that_are_no_message(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        method = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        answers = method(iter([b"\xff\xff"]), metadata=(("x-api-key", service.admin_key),), timeout=10)
        (answer,) = [reflection_pb2.ServerReflectionResponse.FromString(data) async for data in answers]
    assert answer.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_what_processors_may_read_holds_no_secrets(tmp_path: Path, running_postgres: Postgres) -> None:
    """Of a worker, and neither it nor the server leaves its memory on the disk when it crashes."""
    secrets = {"database_url": running_postgres.new_database(), "api_key": "cvg_0123456789ab_secret"}
    service = await Service.start(make_checkout(tmp_path), **secrets)
    try:
        key = await onboard(service, "acme_corp")
        assert key
        worker = service.worker_pid()
        environment = Path(f"/proc/{worker}/environ").read_text()
        assert "CONVERGENCE_GRPC_PORT=" in environment
        assert not [secret for secret in secrets.values() if secret in environment]
        for process in (worker, service.process.pid):
            (limit,) = re.findall(r"Max core file size +(\w+) +(\w+)", Path(f"/proc/{process}/limits").read_text())
            assert limit == ("0", "0")
    finally:
        await service.stop()
