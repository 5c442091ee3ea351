"""What a tenant may use, over a real channel."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError, ResourceExhausted
from convergence.v1.pipeline_service_pb2 import GetRunStatusRequest, RunPipelineRequest
from convergence.v1.run_pb2 import Run, RunEvent
from convergence.v1.tenant_service_pb2 import TenantQuotas
from tests.bigquery.faults import statistics
from tests.bigquery.proxy import Proxy
from tests.e2e.on_bigquery import FOR_EVER, service_on
from tests.e2e.service import Service, file_appears, finished, make_checkout, pauses, start


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    started = await Service.start(make_checkout(tmp_path), max_streams="3", max_streams_per_key="2")
    yield started
    await started.stop()


@pytest.fixture
async def wide_service(tmp_path: Path) -> AsyncIterator[Service]:
    """With room for many streams, and no more of one key than in all."""
    started = await Service.start(make_checkout(tmp_path), max_streams="1000")
    yield started
    await started.stop()


async def onboarded(service: Service, tenant_id: str, *, plan: str = "", **quotas: int) -> ConvergenceClient:
    async with service.client() as operator:
        made = await operator.onboard_tenant(tenant_id, plan=plan, quotas=TenantQuotas(**quotas))
        assert (await finished(operator, made.run)).status == Run.SUCCESS
    return service.client(made.api_key_secret)


def detail(error: grpc.aio.AioRpcError, message: type) -> object | None:
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    for packed in status.details:
        if packed.Is(message.DESCRIPTOR):  # type: ignore[attr-defined]
            found = message()
            packed.Unpack(found)
            return found
    return None


def exhausted(error: grpc.aio.AioRpcError) -> tuple[str, list[str], float]:
    """The reason of a refusal, the limits that are used up, and the seconds after which to come again."""
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    info = detail(error, error_details_pb2.ErrorInfo)
    failure = detail(error, error_details_pb2.QuotaFailure)
    retry = detail(error, error_details_pb2.RetryInfo)
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert isinstance(failure, error_details_pb2.QuotaFailure)
    assert isinstance(retry, error_details_pb2.RetryInfo)
    delay: Duration = retry.retry_delay
    return info.reason, [violation.subject for violation in failure.violations], delay.ToTimedelta().total_seconds()


async def test_a_quota_that_is_used_up_is_named_with_the_time_to_come_again(service: Service) -> None:
    async with await onboarded(service, "acme_corp", runs_per_day=1) as client:
        await start(client, "acme_corp", "gcp/example/dryrun")
        request = RunPipelineRequest(
            tenant_id="acme_corp", provider="gcp", domain="example", template_name="dryrun", request_id="second"
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.pipelines.RunPipeline(request)
        reason, quotas, seconds = exhausted(refused.value)
        assert (reason, quotas) == ("QUOTA_EXCEEDED", ["runs_per_day"])
        assert 0 < seconds <= 86_400
        with pytest.raises(ResourceExhausted) as told:
            await start(client, "acme_corp", "gcp/example/dryrun")
        assert (told.value.reason, [v.field for v in told.value.violations]) == ("QUOTA_EXCEEDED", ["runs_per_day"])
        uses = {use.quota: use for use in (await client.get_usage("acme_corp")).quotas}
        assert (uses["runs_per_day"].used, uses["runs_per_day"].limit) == (1, 1)
        assert uses["runs_per_day"].resets_at.seconds > 0
        assert not uses["runs_per_month"].HasField("limit")
        plan = (await client.get_usage("acme_corp")).plan
    async with service.client() as operator:
        listed = await operator.list_tenants(with_usage=True)
        assert [one.tenant_id for one in listed.usages] == [one.tenant_id for one in listed.tenants]
        (own,) = (one for one in listed.usages if one.tenant_id == "acme_corp")
        assert own.plan == plan
        assert {use.quota: use.used for use in own.quotas}["runs_per_day"] == 1
        assert not (await operator.list_tenants()).usages


async def test_no_run_is_accepted_once_the_days_bytes_are_billed(proxy: Proxy, tmp_path: Path) -> None:
    async with (
        service_on(proxy, tmp_path) as service,
        await onboarded(service, "acme_corp", bytes_billed_per_day=10_485_760) as client,
    ):
        cost = statistics(totalBytesProcessed="1234", totalBytesBilled="10485760", totalSlotMs="567")
        proxy.fail("(POST .*/jobs|GET .*/jobs/[^/]*)$", cost, times=FOR_EVER)
        run = await finished(client, await start(client, "acme_corp", "gcp/example/dryrun"))
        assert run.status == Run.SUCCESS, run.error_message
        uses = {use.quota: use.used for use in (await client.get_usage("acme_corp")).quotas}
        assert uses["bytes_billed_per_day"] == 10_485_760
        request = RunPipelineRequest(
            tenant_id="acme_corp", provider="gcp", domain="example", template_name="dryrun", request_id="second"
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.pipelines.RunPipeline(request)
    reason, quotas, seconds = exhausted(refused.value)
    assert (reason, quotas) == ("QUOTA_EXCEEDED", ["bytes_billed_per_day"])
    assert 0 < seconds <= 86_400


async def test_a_run_keeps_its_place_between_two_attempts(service: Service) -> None:
    async with await onboarded(service, "acme_corp", max_concurrent_runs=1) as client:
        first = await start(client, "acme_corp", "trial/pause")
        await pauses(client, first)
        second = await start(client, "acme_corp", "gcp/example/dryrun")
        waiting = await client.get_run("acme_corp", second.pipeline_logging_id)
        assert (waiting.status, waiting.wait_reason) == (Run.PENDING, "MAX_CONCURRENT_RUNS")
        await client.cancel_run("acme_corp", first.pipeline_logging_id)
        assert (await finished(client, second)).status == Run.SUCCESS


async def test_a_waiting_run_says_why(service: Service, tmp_path: Path) -> None:
    async with await onboarded(service, "acme_corp", max_concurrent_runs=1, max_pending_runs=1) as client:
        folder = {"folder": str(tmp_path)}
        first = await start(client, "acme_corp", "trial/gate", variables=folder)
        while (await client.get_run("acme_corp", first.pipeline_logging_id)).status != Run.RUNNING:
            await asyncio.sleep(0.02)
        second = await start(client, "acme_corp", "trial/gate", variables=folder)
        waiting = await client.get_run("acme_corp", second.pipeline_logging_id)
        assert (waiting.wait_reason, waiting.queue_position) == ("MAX_CONCURRENT_RUNS", 1)
        listed = (await client.list_runs("acme_corp", statuses=[Run.PENDING])).runs
        assert [run.wait_reason for run in listed] == ["MAX_CONCURRENT_RUNS"]
        with pytest.raises(ResourceExhausted) as refused:
            await start(client, "acme_corp", "trial/gate", variables=folder)
        assert [violation.field for violation in refused.value.violations] == ["max_pending_runs"]
        assert refused.value.retry_after == 5
        (tmp_path / "open").touch()
        assert (await finished(client, second)).status == Run.SUCCESS
        assert (await client.get_run("acme_corp", second.pipeline_logging_id)).wait_reason == ""


async def test_plans_are_what_the_file_says_at_the_moment(service: Service) -> None:
    file = service.checkout / "configs/plans.yml"
    text = file.read_text()
    async with await onboarded(service, "acme_corp", plan="trial") as client:
        assert (await client.get_usage("acme_corp")).plan == "trial"
        file.write_text(text.replace("runs_per_day: 50", "runs_per_day: 0"))
        with pytest.raises(ResourceExhausted):
            await start(client, "acme_corp", "gcp/example/dryrun")
        file.write_text("plans: [")
        with pytest.raises(ResourceExhausted):
            await start(client, "acme_corp", "gcp/example/dryrun")
        file.write_text(text)
        await start(client, "acme_corp", "gcp/example/dryrun")


async def test_a_tenant_needs_a_plan_and_limits_that_there_can_be(service: Service) -> None:
    async with service.client() as operator:
        with pytest.raises(ConvergenceError) as refused:
            await operator.onboard_tenant("acme_corp", plan="gold", quotas=TenantQuotas(runs_per_day=5))
        assert (refused.value.reason, [v.field for v in refused.value.violations]) == ("UNKNOWN_PLAN", ["plan"])
        assert "there is standard, trial" in refused.value.message
        wrong = TenantQuotas(runs_per_day=-1, maximum_bytes_billed=0)
        with pytest.raises(ConvergenceError) as negative:
            await operator.onboard_tenant("acme_corp", quotas=wrong)
        assert {v.field for v in negative.value.violations} == {"quotas.runs_per_day", "quotas.maximum_bytes_billed"}
        assert {v.description for v in negative.value.violations} == {
            "should be greater than or equal to 0, not -1",
            "should be greater than or equal to 1, not 0",
        }


async def test_calls_of_a_minute(service: Service) -> None:
    async with await onboarded(service, "acme_corp", requests_per_minute=15) as client:
        answers = [await asyncio.gather(client.get_tenant("acme_corp"), return_exceptions=True) for _ in range(40)]
        refusals = [answer for (answer,) in answers if isinstance(answer, ResourceExhausted)]
        # A minute may end in between.
        assert len(refusals) >= 10
        assert {refusal.reason for refusal in refusals} == {"RATE_LIMITED"}
        assert {refusal.message for refusal in refusals} == {"The tenant's requests_per_minute is 15 and used up."}
        assert all(refusal.retry_after and refusal.retry_after <= 60 for refusal in refusals)
        async with service.client() as operator:
            assert (await operator.get_tenant("acme_corp")).tenant_id == "acme_corp", "operators have no limit"


async def follow(client: ConvergenceClient, run: Run) -> "grpc.aio.UnaryStreamCall[GetRunStatusRequest, RunEvent]":
    """A stream of which the first event has come."""
    request = GetRunStatusRequest(tenant_id=run.tenant_id, pipeline_logging_id=run.pipeline_logging_id)
    stream: grpc.aio.UnaryStreamCall[GetRunStatusRequest, RunEvent] = client.pipelines.GetRunStatus(request)
    await stream.read()
    return stream


async def test_only_so_many_streams(service: Service, tmp_path: Path) -> None:
    async with await onboarded(service, "acme_corp") as client, service.client() as operator:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        streams = [await follow(client, run) for _ in range(2)]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await follow(client, run)
        assert exhausted(refused.value) == ("TOO_MANY_STREAMS", ["max_streams_per_key"], 5)
        streams.append(await follow(operator, run))
        with pytest.raises(grpc.aio.AioRpcError) as full:
            await follow(operator, run)
        assert exhausted(full.value) == ("TOO_MANY_STREAMS", ["max_streams"], 5)
        assert "This server follows 3 runs" in (full.value.details() or "")
        assert (await client.get_run("acme_corp", run.pipeline_logging_id)).tenant_id == "acme_corp"
        streams[0].cancel()
        async with asyncio.timeout(20):
            while True:
                try:
                    streams.append(await follow(client, run))
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
        for stream in streams:
            stream.cancel()
        (tmp_path / "open").touch()


async def last_event(stream: "grpc.aio.UnaryStreamCall[GetRunStatusRequest, RunEvent]") -> RunEvent:
    *_, last = [event async for event in stream if event.sequence]
    return last


async def test_watchers_that_fill_the_server_keep_nobody_else_out(wide_service: Service, tmp_path: Path) -> None:
    """They all come late to one run, whose first events they get from the store."""
    async with await onboarded(wide_service, "acme_corp") as client, wide_service.client() as operator:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        await file_appears(tmp_path / "began-1")
        streams = await asyncio.gather(*(follow(client, run) for _ in range(1_000)))
        with pytest.raises(grpc.aio.AioRpcError) as full:
            await follow(operator, run)
        assert exhausted(full.value) == ("TOO_MANY_STREAMS", ["max_streams"], 5)
        assert (await client.get_run("acme_corp", run.pipeline_logging_id)).status == Run.RUNNING
        async with grpc.aio.insecure_channel(wide_service.target) as channel:
            health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        (tmp_path / "open").touch()
        ends = await asyncio.gather(*map(last_event, streams))
        assert {(event.run.status, event.sequence) for event in ends} == {(Run.SUCCESS, ends[0].sequence)}
        await follow(operator, run)


async def test_there_are_so_many_connections_and_no_more(tmp_path: Path) -> None:
    """Who comes beyond them is refused, until one ends; those that are there go on."""
    service = await Service.start(make_checkout(tmp_path), max_connections="3")
    there = [_connection(service) for _ in range(3)]
    for channel in there:
        assert await _is_served(channel)
    async with _connection(service) as late:
        assert not await _is_served(late)
    await there.pop().close()
    async with asyncio.timeout(30), _connection(service) as late:
        while not await _is_served(late):
            await asyncio.sleep(0.1)
        for channel in there:
            assert await _is_served(channel)
    for channel in there:
        await channel.close()
    await service.stop()


def _connection(service: Service) -> grpc.aio.Channel:
    """Of its own: channels to one address would share it."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200))
    return grpc.aio.insecure_channel(service.target, options=options)


async def _is_served(channel: grpc.aio.Channel) -> bool:
    try:
        await HealthStub(channel).Check(HealthCheckRequest(), timeout=5)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    return True
