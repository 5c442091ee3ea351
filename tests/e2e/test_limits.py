"""What a tenant may use, over a real channel."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError, ResourceExhausted
from convergence.v1.pipeline_service_pb2 import GetRunStatusRequest, RunPipelineRequest
from convergence.v1.run_pb2 import Run
from convergence.v1.tenant_service_pb2 import TenantQuotas
from tests.e2e.service import Service, finished, make_checkout, start


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    started = await Service.start(make_checkout(tmp_path), max_streams="3", max_streams_per_key="2")
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


async def test_a_quota_that_is_used_up_is_named_with_the_time_to_come_again(service: Service) -> None:
    async with await onboarded(service, "acme_corp", runs_per_day=1) as client:
        await start(client, "acme_corp", "gcp/example/dryrun")
        request = RunPipelineRequest(
            tenant_id="acme_corp", provider="gcp", domain="example", template_name="dryrun", request_id="second"
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.pipelines.RunPipeline(request)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        failure = detail(refused.value, error_details_pb2.QuotaFailure)
        assert isinstance(failure, error_details_pb2.QuotaFailure)
        assert [violation.subject for violation in failure.violations] == ["runs_per_day"]
        retry = detail(refused.value, error_details_pb2.RetryInfo)
        assert isinstance(retry, error_details_pb2.RetryInfo)
        delay: Duration = retry.retry_delay
        assert 0 < delay.ToSeconds() <= 86_400
        with pytest.raises(ResourceExhausted) as told:
            await start(client, "acme_corp", "gcp/example/dryrun")
        assert (told.value.reason, [v.field for v in told.value.violations]) == ("QUOTA_EXCEEDED", ["runs_per_day"])
        uses = {use.quota: use for use in (await client.get_usage("acme_corp")).quotas}
        assert (uses["runs_per_day"].used, uses["runs_per_day"].limit) == (1, 1)
        assert uses["runs_per_day"].resets_at.seconds > 0
        assert not uses["runs_per_month"].HasField("limit")


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


async def test_only_so_many_streams(service: Service, tmp_path: Path) -> None:
    async with await onboarded(service, "acme_corp") as client, service.client() as operator:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        request = GetRunStatusRequest(tenant_id="acme_corp", pipeline_logging_id=run.pipeline_logging_id)

        async def follow(by: ConvergenceClient) -> grpc.aio.UnaryStreamCall:
            stream = by.pipelines.GetRunStatus(request)
            await stream.read()
            return stream

        streams = [await follow(client) for _ in range(2)]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await follow(client)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        streams.append(await follow(operator))
        with pytest.raises(grpc.aio.AioRpcError) as full:
            await follow(operator)
        assert "This server follows 3 runs" in (full.value.details() or "")
        assert (await client.get_run("acme_corp", run.pipeline_logging_id)).tenant_id == "acme_corp"
        streams[0].cancel()
        async with asyncio.timeout(20):
            while True:
                try:
                    streams.append(await follow(client))
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
        for stream in streams:
            stream.cancel()
        (tmp_path / "open").touch()


async def test_there_are_so_many_connections_and_no_more(tmp_path: Path) -> None:
    """Who comes beyond them is refused, until one ends; those that are there go on."""
    service = await Service.start(make_checkout(tmp_path), max_connections="3")
    clients = [service.client() for _ in range(3)]
    for client in clients:
        await client.get_system_info()
    async with service.client() as late:
        with pytest.raises(ConvergenceError) as refused:
            await late.get_system_info()
        assert refused.value.code is grpc.StatusCode.UNAVAILABLE
    for client in clients:
        await client.get_system_info()
    await clients.pop().close()
    async with asyncio.timeout(30):
        while not await _is_let_in(service):
            await asyncio.sleep(0.1)
    for client in clients:
        await client.close()
    await service.stop()


async def _is_let_in(service: Service) -> bool:
    async with service.client() as client:
        try:
            await client.get_system_info()
        except ConvergenceError:
            return False
    return True
