"""What Prometheus reads of a server, its worker, and a worker by itself."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run
from tests.e2e.service import Service, finished, make_checkout, onboard, start

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


async def samples(url: str) -> Samples:
    """The values, by names and labels; each name stands for one family."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await answer.text()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One of its own, whose numbers nobody else changes."""
    started = await Service.start(make_checkout(tmp_path_factory.mktemp("checkout")))
    yield started
    await started.stop()


@pytest.fixture(scope="module")
async def acme_key(service: Service) -> str:
    return await onboard(service, "acme_corp")


async def test_what_a_run_leaves(service: Service, acme_key: str) -> None:
    before = await samples(service.http)
    async with service.client(acme_key) as client:
        for how in ("explain", ""):
            given = {"how": how} if how else {}
            path = "trial/misbehave" if how else "gcp/example/dryrun"
            await finished(client, await start(client, "acme_corp", path, variables=given))
    dryrun, failed = {"pipeline": "gcp/example/dryrun"}, {"pipeline": "trial/misbehave"}
    ended = {**failed, "status": "FAILED", "worker": "0"}
    async with asyncio.timeout(30):
        # Workers tell their server every five seconds.
        while not value(found := await samples(service.http), "convergence_run_seconds_count", **ended):
            await asyncio.sleep(0.1)
    assert value(found, "convergence_runs_accepted_total", **dryrun, trigger="API") == 1
    assert value(found, "convergence_run_seconds_count", **dryrun, status="SUCCESS", worker="0") == 1
    step = {**dryrun, "ps_type": "gcp.bq_etl", "status": "SUCCESS", "worker": "0"}
    assert value(found, "convergence_step_seconds_count", **step) == 1
    assert value(found, "convergence_warehouse_call_seconds_count", operation="write", outcome="OK", worker="0") >= 1
    assert value(found, "convergence_claims_total", worker="0") >= 2
    assert value(found, "convergence_leases_lost_total", worker="0") == 0
    method = "/convergence.v1.PipelineService/RunPipeline"
    calls = {"method": method, "code": "OK"}
    assert (
        value(found, "convergence_call_seconds_count", **calls)
        == value(before, "convergence_call_seconds_count", **calls) + 2
    )


async def test_how_things_stand(service: Service, acme_key: str) -> None:
    del acme_key
    async with asyncio.timeout(30):
        while value(found := await samples(service.http), "convergence_outbox_depth"):
            await asyncio.sleep(0.1)
    assert {
        name: value(found, f"convergence_{name}")
        for name in ("control_store_up", "workers", "runs_pending", "queue_age_seconds", "mirror_lag_seconds")
    } == {"control_store_up": 1, "workers": 1, "runs_pending": 0, "queue_age_seconds": 0, "mirror_lag_seconds": 0}


async def test_who_is_refused_and_who_follows(service: Service, acme_key: str) -> None:
    reasons = ("API_KEY_INVALID", "PERMISSION_DENIED")
    before = await samples(service.http)
    async with service.client("cvg_0123_wrong") as nobody:
        with pytest.raises(ConvergenceError):
            await nobody.get_system_info()
    async with service.client(acme_key) as client:
        with pytest.raises(ConvergenceError):
            await client.check_store()
        run = await start(client, "acme_corp", "gcp/example/dryrun")
        assert (await finished(client, run)).status == Run.SUCCESS
    async with aiohttp.ClientSession(service.http) as nobody, nobody.get("/api/v1/nowhere") as answer:
        assert answer.status == 404
    answers = value(before, "convergence_http_answers_total", status="404") + 1
    async with asyncio.timeout(30):
        # What is a second old is good enough for those who ask again.
        while value(after := await samples(service.http), "convergence_http_answers_total", status="404") != answers:
            await asyncio.sleep(0.1)
    for reason in reasons:
        name = "convergence_auth_failures_total"
        assert value(after, name, reason=reason) == value(before, name, reason=reason) + 1
    assert value(after, "convergence_streams") == 0
    ended = {"method": "/convergence.v1.PipelineService/GetRunStatus", "code": "OK"}
    assert value(after, "convergence_streams_ended_total", **ended) >= 1


async def test_no_label_names_a_tenant_or_a_run(service: Service, acme_key: str) -> None:
    del acme_key
    labels = {label for _, labels in await samples(service.http) for label, _ in labels}
    of_work = {"pipeline", "trigger", "status", "ps_type", "operation", "outcome", "channel", "state"}
    assert labels <= {"method", "code", "reason", "worker", "le"} | of_work


async def test_a_worker_by_itself(tmp_path: Path, unused_tcp_port: int) -> None:
    service = await Service.start(make_checkout(tmp_path / "checkout"), workers="0")
    port = unused_tcp_port
    worker = await service.start_worker(worker_http_port=str(port))
    try:
        async with service.client() as client:
            made = await client.onboard_tenant("acme_corp")
            await finished(client, made.run)
        found = await samples(f"http://127.0.0.1:{port}")
        assert value(found, "convergence_claims_total") >= 1
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/healthz") as answer:
                assert await answer.json() == {"status": "ok"}
            async with session.get("/api/v1/runs") as answer:
                assert answer.status == 404
    finally:
        worker.terminate()
        await worker.wait()
        await service.stop()
