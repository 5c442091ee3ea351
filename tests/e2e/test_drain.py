"""SIGTERM while a step runs that ends in time."""

import asyncio
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from convergence.v1.run_pb2 import Run
from tests.e2e.service import Service, events, file_appears, make_checkout, onboard, start


async def test_a_step_that_runs_is_let_finish(tmp_path: Path) -> None:
    """The server tells probes first, and serves on; when it serves no more, the step has its time still."""
    first = await Service.start(make_checkout(tmp_path), stop_notice_seconds="3", drain_seconds="20")
    key = await onboard(first, "acme_corp")
    async with first.client(key) as client, grpc.aio.insecure_channel(first.target) as channel:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        await file_appears(tmp_path / "began-1")
        first.process.terminate()
        told = await _probed_until_nobody_answers(health_pb2_grpc.HealthStub(channel))
    assert told[-1] == "NOT_SERVING"
    assert told == sorted(told, reverse=True), "SERVING comes first, if at all"
    (tmp_path / "open").touch()
    async with asyncio.timeout(60):
        assert await first.process.wait() == 0
    second = await Service.start(first.checkout, workers="0")
    try:
        async with second.client(key) as client:
            ended = await client.get_run("acme_corp", run.pipeline_logging_id)
            assert ended.status == Run.SUCCESS, "nobody but the worker that was drained can have done it"
            assert [step.attempt for step in ended.steps] == [1, 1, 1, 1]
            numbers = [event.sequence for event in await events(client, run)]
            assert numbers == list(range(1, len(numbers) + 1))
    finally:
        await second.stop()


async def _probed_until_nobody_answers(health: health_pb2_grpc.HealthStub) -> list[str]:
    """What probes were told, one after the other."""
    told = []
    async with asyncio.timeout(30):
        while True:
            try:
                status = (await health.Check(health_pb2.HealthCheckRequest())).status
            except grpc.aio.AioRpcError:
                return told
            told.append(health_pb2.HealthCheckResponse.ServingStatus.Name(status))
            await asyncio.sleep(0.01)
