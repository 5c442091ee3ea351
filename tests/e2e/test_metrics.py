"""What Prometheus reads of a server, its worker, and a worker by itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Delivery, Run
from tests.e2e.service import Service, delivered, file_appears, finished, make_checkout, onboard, start
from tests.mail_server import MailServer

GONE = "gone@example.com"
COPY = """
pipeline_id: "{tenant_id}-copy"
steps:
  - step_id: make
    ps_type: gcp.bq_etl
    source: {query: "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 100)) AS n"}
    destination: {table: numbers}
  - {step_id: copy, ps_type: gcp.bq_etl, source: {query: "SELECT n FROM numbers"}, destination: {table: copied}}
"""
MAIL = f"""
pipeline_id: "{{tenant_id}}-mail"
steps:
  - step_id: tell
    ps_type: notify_systems.email_notification
    to_emails: [ops@example.com, finance@example.com, {GONE}]
    subject: hello
    message: hello
"""
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


# -- a server without a worker, and then with one by itself ------------------------------------------------------------


@dataclass
class Worker:
    """One that no server has started, and its server."""

    service: Service
    http: str
    key: str
    """Of the tenant acme_corp."""

    async def reaches(self, expected: float, name: str, **labels: str) -> None:
        """Wait until it says so. What is a second old is good enough for those who ask again."""
        async with asyncio.timeout(20):
            while (told := value(await samples(self.http), name, **labels)) != expected:
                assert told < expected, name
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
async def mail() -> AsyncIterator[MailServer]:
    started = await MailServer(answers={GONE: "550 5.1.1 no such user"}).start()
    yield started
    await started.stop()


@pytest.fixture(scope="module")
async def idle(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    checkout = make_checkout(tmp_path_factory.mktemp("idle"))
    (checkout / "configs/trial/copy.yml").write_text(COPY)
    (checkout / "configs/trial/mail.yml").write_text(MAIL)
    started = await Service.start(checkout, workers="0")
    yield started
    await started.stop()


@pytest.fixture(scope="module")
async def worker(idle: Service, mail: MailServer, unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Worker]:
    port = unused_tcp_port_factory()
    process = await idle.start_worker(
        worker_http_port=str(port),
        lease_seconds="3",
        smtp_host="127.0.0.1",
        smtp_port=str(mail.port),
        smtp_security="none",
        mail_from="alerts@example.com",
    )
    yield Worker(idle, f"http://127.0.0.1:{port}", await onboard(idle, "acme_corp"))
    process.terminate()
    await process.wait()


async def test_what_waits_and_for_how_long(idle: Service) -> None:
    """What is accepted waits, and no x_meta_ table shows it."""
    async with idle.client() as operator:
        made = await operator.onboard_tenant("idle_corp")
        pending = [run async for run in operator.iter_runs(statuses=[Run.PENDING])]
    with closing(sqlite3.connect(f"file:{idle.checkout}/var/control.sqlite3?mode=ro", uri=True)) as store:
        behind, since = store.execute("SELECT COUNT(*), MIN(noted_at) FROM outbox WHERE noted_at > 0").fetchone()
    async with asyncio.timeout(20):
        while value(found := await samples(idle.http), "convergence_runs_pending") != len(pending):
            await asyncio.sleep(0.05)
    now, last = datetime.now(UTC), made.run.created_at.ToDatetime(UTC)
    oldest = {
        "queue_age_seconds": min(run.created_at.ToDatetime(UTC) for run in pending),
        "mirror_lag_seconds": datetime.fromtimestamp(since / 1_000_000, UTC),
    }
    for name, first in oldest.items():
        told = timedelta(seconds=value(found, f"convergence_{name}"))
        assert timedelta(0) < last - first <= told <= now - first, name
    assert value(found, "convergence_outbox_depth") == behind > 0
    assert value(found, "convergence_workers") == 0


async def test_how_many_follow(idle: Service) -> None:
    async with idle.client() as operator:
        made = await operator.onboard_tenant("followed_corp")
        async with aclosing(operator.watch("followed_corp", made.run.pipeline_logging_id)) as events:
            await anext(events)
            await _reach(idle, 1)
        await _reach(idle, 0)


async def _reach(service: Service, streams: int) -> None:
    async with asyncio.timeout(20):
        while value(await samples(service.http), "convergence_streams") != streams:
            await asyncio.sleep(0.05)


async def test_what_is_billed(worker: Worker) -> None:
    async with worker.service.client(worker.key) as client:
        run = await finished(client, await start(client, "acme_corp", "trial/copy"))
    # The embedded warehouse bills what is read: a hundred numbers of eight bytes.
    assert [step.bytes_billed for step in run.steps] == [0, 800]
    await worker.reaches(800, "convergence_bytes_billed_total", pipeline="trial/copy")


async def test_what_becomes_of_mails(worker: Worker, mail: MailServer) -> None:
    async with worker.service.client(worker.key) as client:
        run = await delivered(client, await finished(client, await start(client, "acme_corp", "trial/mail")))
    states = [item.state for item in run.steps[0].deliveries]
    assert sorted(states) == [Delivery.DELIVERED, Delivery.DELIVERED, Delivery.FAILED]
    assert len(mail.taken) == 1
    await worker.reaches(2, "convergence_messages_total", channel="EMAIL", state="DELIVERED")
    await worker.reaches(1, "convergence_messages_total", channel="EMAIL", state="FAILED")


async def test_a_run_that_is_taken_away(worker: Worker, tmp_path: Path) -> None:
    async with worker.service.client() as operator:
        run = await start(operator, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        await file_appears(tmp_path / "began-1")
        await operator.rescue_run("acme_corp", run.pipeline_logging_id)
        await file_appears(tmp_path / "began-2")
        (tmp_path / "open").touch()
        assert (await finished(operator, run)).status == Run.SUCCESS
    await worker.reaches(1, "convergence_leases_lost_total")


async def test_a_worker_by_itself(worker: Worker) -> None:
    assert value(await samples(worker.http), "convergence_claims_total") >= 1
    async with aiohttp.ClientSession(worker.http) as session:
        async with session.get("/healthz") as answer:
            assert await answer.json() == {"status": "ok"}
        async with session.get("/api/v1/runs") as answer:
            assert answer.status == 404
