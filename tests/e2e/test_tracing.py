"""Traces: from a client's span to the steps of its run, in whatever process these are executed."""

import asyncio
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan
from opentelemetry.sdk.trace import TracerProvider

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run
from tests.collector import Collector, Span, collecting
from tests.e2e.service import ROOT, Service, file_appears, finished, make_checkout, onboard, start

CALLER = TracerProvider(shutdown_on_exit=False).get_tracer("caller")
PIPELINES = "convergence.v1.PipelineService"
SECRET = "the-password-is-hunter2"  # what trial.misbehave raises
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
DRYRUN = "/api/v1/pipelines/run/acme_corp/gcp/example/dryrun"


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Processes that send what they have ten times a second."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as opened:
        yield opened


@pytest.fixture(scope="module")
async def service(
    quick: None, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A server and a worker that are traced."""
    checkout = make_checkout(tmp_path_factory.mktemp("checkout"))
    started = await Service.start(checkout, otlp_endpoint=collector.endpoint, lease_seconds="300")
    yield started
    await started.stop()


@pytest.fixture(scope="module")
async def acme_key(service: Service) -> str:
    return await onboard(service, "acme_corp")


@pytest.fixture
async def client(service: Service, acme_key: str) -> AsyncIterator[ConvergenceClient]:
    async with service.client(acme_key) as opened:
        yield opened


def ids(span: trace.Span) -> tuple[str, str]:
    context = span.get_span_context()
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def code(span: Span) -> int:
    """How a call has ended."""
    number: int = span.attributes["rpc.grpc.status_code"]
    return number


# -- one trace ---------------------------------------------------------------------------------------------------------


async def test_from_the_client_to_the_warehouse(client: ConvergenceClient, collector: Collector) -> None:
    with CALLER.start_as_current_span("caller") as caller:
        run = await start(client, "acme_corp", "gcp/example/dryrun")
    assert (await finished(client, run)).status == Run.SUCCESS
    trace_id, caller_id = ids(caller)
    of_run = {"pipeline_logging_id": run.pipeline_logging_id}
    ended = await collector.one("run gcp/example/dryrun", **of_run)
    (step,) = collector.find(f"step {run.steps[0].step_id}", **of_run)
    written = next(span for span in collector.find("warehouse write") if span.trace == trace_id)
    call = await collector.one(f"{PIPELINES}/RunPipeline", **of_run)
    assert await collector.above(written, call.name) == (
        [written.name, step.name, ended.name, "prepare run", call.name],
        caller_id,
    )
    assert {span.trace for span in (written, step, ended, call)} == {trace_id}
    assert [span.process for span in (call, ended, step, written)] == [
        "convergence-server",
        *3 * ["convergence-worker"],
    ]
    assert {span.failure for span in collector.spans if span.trace == trace_id} == {None}
    for inner, outer in ((written, step), (step, ended)):
        assert outer.sent.start_time_unix_nano <= inner.sent.start_time_unix_nano
        assert inner.sent.end_time_unix_nano <= outer.sent.end_time_unix_nano
    assert call.sent.kind == SentSpan.SPAN_KIND_SERVER
    assert call.attributes == {
        "rpc.system": "grpc",
        "rpc.service": PIPELINES,
        "rpc.method": "RunPipeline",
        "rpc.grpc.status_code": 0,
        "convergence.tenant_id": "acme_corp",
        "convergence.pipeline_logging_id": run.pipeline_logging_id,
    }
    assert (ended.about("tenant_id"), ended.about("status")) == ("acme_corp", "SUCCESS")
    assert (step.about("ps_type"), step.about("attempt"), step.about("status")) == ("gcp.bq_etl", 1, "SUCCESS")
    assert written.about("outcome") == "OK"


async def test_over_http(service: Service, acme_key: str, collector: Collector) -> None:
    headers = {"X-API-Key": acme_key, "traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
    async with aiohttp.ClientSession(service.http, headers=headers) as http:
        async with http.post(DRYRUN) as answer:
            assert answer.status == 200
            run_id = (await answer.json())["pipeline_logging_id"]
        async with http.get(f"/api/v1/tenants/acme_corp/runs/{run_id}/events") as answer:
            await answer.read()
    call = await collector.one(f"{PIPELINES}/RunPipeline", pipeline_logging_id=run_id)
    followed = await collector.one(f"{PIPELINES}/GetRunStatus", pipeline_logging_id=run_id)
    await collector.one("run gcp/example/dryrun", pipeline_logging_id=run_id)
    (written,) = (span for span in collector.find("warehouse write") if span.trace == TRACE)
    names, parent = await collector.above(written, call.name)
    assert (names[-1], parent, len(names)) == (call.name, PARENT, 5)
    assert (call.sent.trace_state, followed.sent.parent_span_id.hex()) == ("vendor=1", PARENT)


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01", "0" * 5_000, "00-\xe4"])
async def test_what_is_no_trace_fails_no_call(
    service: Service, acme_key: str, collector: Collector, traceparent: str
) -> None:
    # Together they are more than gRPC takes.
    headers = [("X-API-Key", acme_key), ("traceparent", traceparent), *[("tracestate", "=" * 7_000)] * 3]
    async with aiohttp.ClientSession(service.http, headers=headers) as http, http.post(DRYRUN) as answer:
        assert answer.status == 200
        run_id = (await answer.json())["pipeline_logging_id"]
    ended = await collector.one("run gcp/example/dryrun", pipeline_logging_id=run_id)
    call = await collector.one(f"{PIPELINES}/RunPipeline", pipeline_logging_id=run_id)
    assert await collector.above(ended, call.name) == ([ended.name, "prepare run", call.name], "")


async def test_what_the_caller_does_not_record_is_not_recorded(
    service: Service, client: ConvergenceClient, acme_key: str, collector: Collector
) -> None:
    trace_id = "5" * 32
    headers = {"X-API-Key": acme_key, "traceparent": f"00-{trace_id}-{PARENT}-00"}
    async with aiohttp.ClientSession(service.http, headers=headers) as http, http.post(DRYRUN) as answer:
        run_id = (await answer.json())["pipeline_logging_id"]
    await finished(client, Run(tenant_id="acme_corp", pipeline_logging_id=run_id))
    later = await start(client, "acme_corp", "gcp/example/dryrun")
    await collector.one("run gcp/example/dryrun", pipeline_logging_id=later.pipeline_logging_id)
    assert not [span for span in collector.spans if trace_id in {span.trace, span.about("pipeline_logging_id")}]


async def test_a_run_that_nobody_has_called_for(service: Service, acme_key: str, collector: Collector) -> None:
    del service, acme_key
    ended = await collector.one("run setup/bootstrap_system")
    assert await collector.above(ended, "prepare run") == ([ended.name, "prepare run"], "")


async def test_a_plan(client: ConvergenceClient, collector: Collector) -> None:
    with CALLER.start_as_current_span("caller") as caller:
        plan = await client.plan_pipeline(
            tenant_id="acme_corp", provider="gcp", domain="example", template_name="dryrun"
        )
    ended = await collector.one("run gcp/example/dryrun", pipeline_logging_id=plan.pipeline_logging_id)
    (step,) = (span for span in collector.spans if span.sent.parent_span_id == ended.sent.span_id)
    names, parent = await collector.above(step, f"{PIPELINES}/PlanPipeline")
    assert (names[-1], parent) == (f"{PIPELINES}/PlanPipeline", ids(caller)[1])


async def test_another_process_goes_on_with_it(
    quick: None, collector: Collector, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    checkout = make_checkout(tmp_path_factory.mktemp("checkout"))
    service = await Service.start(checkout, otlp_endpoint=collector.endpoint, lease_seconds="300")
    key = await onboard(service, "acme_corp")
    async with service.client(key) as client:
        with CALLER.start_as_current_span("caller") as caller:
            run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        of_run = {"pipeline_logging_id": run.pipeline_logging_id}
        await file_appears(tmp_path / "began-1")
        first = await collector.one("step write", **of_run)
        await service.kill_worker()
        await file_appears(tmp_path / "began-2")
        (tmp_path / "open").touch()
        assert (await finished(client, run)).status == Run.SUCCESS
    await service.stop()
    # The first worker has not lived to tell of the run, and the second one is in the same trace.
    (ended,) = collector.find("run trial/gate", **of_run)
    (gate,) = collector.find("step gate", **of_run)
    assert gate.about("attempt") == 2
    names, parent = await collector.above(gate, f"{PIPELINES}/RunPipeline")
    assert (names, parent) == (["step gate", ended.name, "prepare run", f"{PIPELINES}/RunPipeline"], ids(caller)[1])
    assert {first.trace, gate.trace} == {ids(caller)[0]}
    assert first.sent.parent_span_id != ended.sent.span_id
    assert str(tmp_path).encode() not in b"".join(collector.bodies)


# -- what fails --------------------------------------------------------------------------------------------------------


async def test_failed_steps_and_a_retry(client: ConvergenceClient, collector: Collector) -> None:
    run = await start(client, "acme_corp", "trial/misbehave", variables={"how": "raise"})
    assert (await finished(client, run)).status == Run.FAILED
    of_run = {"pipeline_logging_id": run.pipeline_logging_id}
    ended = await collector.one("run trial/misbehave", **of_run)
    assert (ended.failure, ended.about("status")) == ("FAILED", "FAILED")
    attempts = collector.find("step act", **of_run)
    assert [(span.about("attempt"), span.failure) for span in attempts] == [(1, "FAILED"), (2, "FAILED")]
    told = await collector.one("step tell_failure", **of_run)
    assert (told.failure, told.about("status")) == (None, "SUCCESS")
    assert not collector.find("step tell_success", **of_run)
    with CALLER.start_as_current_span("caller") as caller:
        retry = await client.retry_run("acme_corp", run.pipeline_logging_id)
    again = await collector.one("run trial/misbehave", pipeline_logging_id=retry.pipeline_logging_id)
    assert await collector.above(again, f"{PIPELINES}/RetryRun") == (
        [again.name, f"{PIPELINES}/RetryRun"],
        ids(caller)[1],
    )


async def test_a_step_that_takes_too_long(client: ConvergenceClient, collector: Collector) -> None:
    run = await start(client, "acme_corp", "trial/misbehave", variables={"how": "never end"})
    await collector.one("run trial/misbehave", pipeline_logging_id=run.pipeline_logging_id)
    (attempt,) = collector.find("step act", pipeline_logging_id=run.pipeline_logging_id)
    assert attempt.failure == "TIMED_OUT"


async def test_calls_that_are_refused(service: Service, client: ConvergenceClient, collector: Collector) -> None:
    async with service.client("cvg_0123_wrong") as nobody:
        with pytest.raises(ConvergenceError):
            await nobody.list_runs("acme_corp")
    pasted = "cvg_0123456789ab_6m0LZ2pJd2Hh2m1oUuK0b2Gm4N8XqQJtq1xqE0n2b0Q"
    with pytest.raises(ConvergenceError):
        await client.get_run("acme_corp", pasted)
    with pytest.raises(ConvergenceError):
        await client.check_store()
    checked = await collector.one("convergence.v1.SystemService/CheckStore")
    (got,) = await collector.until(lambda: [one for one in collector.find(f"{PIPELINES}/GetRun") if code(one) != 0])
    # A client's mistake is no failure of the server's.
    assert [(code(one), one.failure) for one in (got, checked)] == [(5, None), (7, None)]
    assert got.attributes.keys() == checked.attributes.keys()
    # Whoever is not known leaves nothing.
    assert not collector.find(f"{PIPELINES}/ListRuns")


async def test_nothing_that_anybody_keeps_to_themselves(
    service: Service, client: ConvergenceClient, acme_key: str, collector: Collector
) -> None:
    word = "open_sesame_5f3c"
    run = await start(client, "acme_corp", "trial/word", variables={"word": word})
    ended = await finished(client, run)
    assert (ended.status, ended.pipeline_id) == (Run.FAILED, f"acme_corp-{word}")
    await collector.one("run trial/word", pipeline_logging_id=run.pipeline_logging_id)
    (asked,) = [span for span in collector.spans if span.failure not in {None, "FAILED", "TIMED_OUT"}]
    assert (asked.name.startswith("warehouse "), asked.about("outcome")) == (True, asked.failure)
    sent = b"".join(collector.bodies)
    for text in (word, "SELECT", "no_such_table", SECRET, acme_key, service.admin_key, "ops@example.com"):
        assert text.encode() not in sent
    assert not [span for span in collector.spans if span.sent.events]


# -- beside it ---------------------------------------------------------------------------------------------------------


async def test_log_lines_name_the_trace(service: Service, client: ConvergenceClient) -> None:
    with CALLER.start_as_current_span("caller") as caller:
        run = await start(client, "acme_corp", "trial/misbehave", variables={"how": "raise"})
    await finished(client, run)
    lines = [json.loads(line) for line in (service.checkout / "server.log").read_text().splitlines()]
    of_run = [line for line in lines if line.get("pipeline_logging_id") == run.pipeline_logging_id]
    # A message that a step has handed over is delivered beside the run.
    assert {line.get("trace_id") for line in of_run if line["logger"] != "server.delivery.loop"} == {ids(caller)[0]}
    calls = [line for line in lines if line.get("trace_id") == ids(caller)[0] and "method" in line]
    assert [line["method"] for line in calls] == [f"/{PIPELINES}/RunPipeline"]


async def test_what_is_left_is_sent_at_the_end(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    service = await Service.start(make_checkout(tmp_path), otlp_endpoint=collector.endpoint)
    with CALLER.start_as_current_span("caller") as caller:
        await onboard(service, "acme_corp")
    await service.stop()
    processes = {span.process for span in collector.spans if span.trace == ids(caller)[0]}
    assert processes == {"convergence-server", "convergence-worker"}


@pytest.mark.parametrize("listens", [False, True])
async def test_a_collector_that_does_not_answer(tmp_path: Path, *, listens: bool) -> None:
    """Nobody is there, or somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if not listens:
            silent.close()
        service = await Service.start(make_checkout(tmp_path), otlp_endpoint=f"http://127.0.0.1:{port}")
        key = await onboard(service, "acme_corp")
        async with service.client(key) as client:
            # More than it keeps to be sent, and each of them is answered at once.
            async with asyncio.timeout(30):
                for _ in range(300):
                    await asyncio.gather(*(client.get_system_info() for _ in range(8)))
            run = await start(client, "acme_corp", "gcp/example/dryrun")
            async with asyncio.timeout(10):
                assert (await finished(client, run)).status == Run.SUCCESS
        async with asyncio.timeout(10):
            await service.stop()


@pytest.mark.parametrize("is_on", [False, True])
async def test_nothing_is_imported_or_stored_unless_it_is_wanted(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch, *, is_on: bool
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    settings = {"otlp_endpoint": collector.endpoint} if is_on else {}
    service = await Service.start(make_checkout(tmp_path), **settings)
    with CALLER.start_as_current_span("caller"):
        await onboard(service, "acme_corp")
    await service.stop()
    log = (tmp_path / "server.log").read_text()
    imported = re.findall(r"\| +(opentelemetry\.sdk|opentelemetry\.exporter|server\.otlp|server\.worker)$", log, re.M)
    assert imported.count("server.worker") == 2
    assert {name: imported.count(name) for name in ("opentelemetry.sdk", "opentelemetry.exporter", "server.otlp")} == (
        dict.fromkeys(("opentelemetry.sdk", "opentelemetry.exporter", "server.otlp"), 2 * is_on)
    )
    with closing(sqlite3.connect(tmp_path / "var" / "control.sqlite3")) as store:
        (runs, traced) = store.execute("SELECT COUNT(*), COUNT(traceparent) FROM snapshots").fetchone()
    assert (runs, traced) == (2, 2 * is_on)


def test_without_the_extra_it_does_not_start(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = None;"
        "from server import logs; from server.__main__ import main; sys.exit(logs.explain_start(main))"
    )
    environment = {**os.environ, "CONVERGENCE_OTLP_ENDPOINT": "http://127.0.0.1:4318", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "CONVERGENCE_OTLP_ENDPOINT needs" in done.stderr
    assert "[tracing]" in done.stderr
    assert list(tmp_path.iterdir()) == []
