"""What a run costs, beside what this machine can do at most: `make bench`.

Each figure is the median of several rounds against a server with stores of its own; the limits (a bare gRPC echo, bare
SQLite commits) are measured in the same process and minute. Compare the ratios: absolute figures are the machine's.
"""

import asyncio
import hashlib
import hmac
import json
import os
import platform
import secrets
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table

from convergence.client import ConvergenceClient
from server.api.authentication import Authenticator
from server.first_key import operator_key
from server.security.api_keys import KeyRing
from server.store.sqlite import open_sqlite

ROUNDS = 3
CALLS = 300
RUNS = 60
TENANT = "bench_corp"
PIPELINE = """
pipeline_id: "{tenant_id}-noop"
steps:
  - step_id: noop
    ps_type: bench.noop
"""
PROCESSOR = """
class Noop:
    async def execute(self, step_config, context):
        return {"status": "SUCCESS"}


def get_engine():
    return Noop()
"""

Figures = dict[str, float]


async def main() -> int:
    """Measure, print a table and one JSON document."""
    figures: Figures = {
        "raw SQLite commits/s (WAL, FULL)": sqlite_commits(),
        "raw grpc.aio echo, 1 in flight, calls/s": await echo(1),
        "raw grpc.aio echo, 16 in flight, calls/s": await echo(16),
    }
    figures["raw HMAC-SHA256, ms"], figures["authentication, key known, ms"] = await authentication()
    with tempfile.TemporaryDirectory(prefix="convergence-bench-") as folder:
        async with service(Path(folder)) as client:
            await onboard(client)
            for in_flight in (1, 16):
                rate, p50, p99 = await accepts(client, in_flight)
                figures[f"RunPipeline, {in_flight} in flight, calls/s"] = rate
                figures[f"RunPipeline, {in_flight} in flight, p50 ms"] = p50
                figures[f"RunPipeline, {in_flight} in flight, p99 ms"] = p99
            figures["submit to SUCCESS on the stream, idle, p50 ms"] = await latency(client)
            figures["runs/s from submit to SUCCESS, 1 step"] = await throughput(client)
    show(figures)
    return 0


def sqlite_commits() -> float:
    """One-row commits of one connection."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "raw.sqlite3", isolation_level=None)
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (n INTEGER)")
        return median_rate(lambda: [connection.execute("INSERT INTO t VALUES (1)") for _ in range(CALLS)], CALLS)


def median_rate(work: Callable[[], object], count: int) -> float:
    """How many a second, the median of the rounds."""
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        rates.append(count / (time.perf_counter() - began))
    return statistics.median(rates)


async def echo(in_flight: int) -> float:
    """A server that answers with what it got."""

    async def answer(request: bytes, _: Any) -> bytes:
        return request

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/bench.Echo/Echo")
        rates = [(await timed(lambda: call(b"x" * 200), in_flight))[0] for _ in range(ROUNDS)]
    await server.stop(None)
    return statistics.median(rates)


async def authentication() -> tuple[float, float]:
    """Milliseconds of one keyed digest, and of letting a caller in whose key was looked up a moment ago."""
    with tempfile.TemporaryDirectory() as folder:
        ring = KeyRing(secrets.token_bytes(32))
        store, secret = await open_sqlite(Path(folder) / "control.sqlite3"), ring.make()
        await store.add_first_operator_key(operator_key(secret, "bench"))
        authenticator = Authenticator(store, ring)
        metadata = (("user-agent", "bench"), ("x-api-key", secret.text))
        raw, whole = [], []
        for _ in range(ROUNDS):
            await authenticator.principal(metadata)
            began = time.perf_counter()
            for _ in range(CALLS):
                await authenticator.principal(metadata)
            whole.append((time.perf_counter() - began) / CALLS)
            began = time.perf_counter()
            for _ in range(CALLS):
                hmac.new(secret.digest, secret.text.encode(), hashlib.sha256).digest()
            raw.append((time.perf_counter() - began) / CALLS)
        await store.close()
    return 1000 * statistics.median(raw), 1000 * statistics.median(whole)


async def timed(call: Callable[[], Awaitable[Any]], in_flight: int) -> tuple[float, list[float]]:
    """Calls a second with so many in flight, and each call's milliseconds."""
    seconds: list[float] = []

    async def caller(count: int) -> None:
        for _ in range(count):
            began = time.perf_counter()
            await call()
            seconds.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller(CALLS // in_flight) for _ in range(in_flight)))
    return len(seconds) / (time.perf_counter() - began), [1000 * value for value in seconds]


@asynccontextmanager
async def service(folder: Path, *, database_url: str = "") -> AsyncIterator[ConvergenceClient]:
    """A server with its worker, its own stores and one no-op processor; control data in PostgreSQL if it has a URL."""
    root = Path(__file__).resolve().parent.parent
    for part in ("server", "convergence", "ps_templates", "processors", "configs"):
        shutil.copytree(root / part, folder / part)
    for path, text in {"processors/bench/noop.py": PROCESSOR, "configs/bench/noop.yml": PIPELINE}.items():
        (folder / path).parent.mkdir()
        (folder / path).write_text(text)
    settings = {"GRPC_PORT": "0", "HTTP_PORT": "0", "LOG_LEVEL": "WARNING", "MAX_CONCURRENT_RUNS": "8"}
    if database_url:
        settings["DATABASE_URL"] = database_url
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
    environment |= {f"CONVERGENCE_{name}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", cwd=folder, env=environment, stdout=subprocess.PIPE
    )
    try:
        target = await ready(process)
        key = (folder / "var" / "admin_api_key").read_text().strip()
        async with ConvergenceClient(target, api_key=key) as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def ready(process: asyncio.subprocess.Process) -> str:
    """The address in the server's ready line."""
    if process.stdout is not None:
        async for line in process.stdout:
            if line.startswith(b"ready grpc="):
                return line.decode().split()[1].removeprefix("grpc=")
    raise SystemExit("the server did not start")


async def onboard(client: ConvergenceClient) -> None:
    """The tenant whose runs are measured."""
    made = await client.onboard_tenant(tenant_id=TENANT)
    await follow(client, made.run.pipeline_logging_id)


async def submit(client: ConvergenceClient) -> str:
    """Start a run of the no-op pipeline."""
    run = await client.run_pipeline(tenant_id=TENANT, provider="bench", template_name="noop")
    return run.pipeline_logging_id


async def follow(client: ConvergenceClient, run_id: str) -> None:
    """Read a run's events to the last."""
    async for _ in client.watch(TENANT, run_id):
        pass


async def accepts(client: ConvergenceClient, in_flight: int) -> tuple[float, float, float]:
    """Durable accepts a second, and the percentiles of their milliseconds, while the worker runs them."""
    rates, all_times = [], []
    for _ in range(ROUNDS):
        ids: list[str] = []

        async def accept(taken: list[str] = ids) -> None:
            taken.append(await submit(client))

        rate, times = await timed(accept, in_flight)
        rates.append(rate)
        all_times += times
        for run_id in ids:
            await follow(client, run_id)
    centiles = statistics.quantiles(all_times, n=100)
    return statistics.median(rates), centiles[49], centiles[98]


async def latency(client: ConvergenceClient) -> float:
    """From the call to the terminal event, nothing else going on."""
    times = []
    for _ in range(30):
        began = time.perf_counter()
        await follow(client, await submit(client))
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


async def throughput(client: ConvergenceClient) -> float:
    """Runs a second when many are submitted at once."""
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ids = await asyncio.gather(*(submit(client) for _ in range(RUNS)))
        await asyncio.gather(*(follow(client, run_id) for run_id in ids))
        rates.append(RUNS / (time.perf_counter() - began))
    return statistics.median(rates)


def show(figures: Figures) -> None:
    """A table for people, then one line of JSON."""
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.1f}" if value >= 1 else f"{value:.4f}")
    console = Console()
    console.print(table)
    packages = {name: version(name) for name in ("grpcio", "duckdb", "pydantic", "sqlglot")}
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), **packages}
    console.print_json(json.dumps({"machine": machine, "figures": figures}))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
