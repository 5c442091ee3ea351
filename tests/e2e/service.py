"""The server as a user starts it: `python -m server` in a checkout, on a port of its own."""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Delivery, LogEntry, Run, RunEvent

ROOT = Path(__file__).resolve().parents[2]
SHARED_DATA = ROOT.parent / "shared" / "data"
PARTS = ("server", "processors", "configs", "ps_templates", "convergence")
TERMINAL = {Run.SUCCESS, Run.FAILED, Run.CANCELLED, Run.TIMED_OUT}


def make_checkout(folder: Path) -> Path:
    """A copy of the product in which a test may drop files of a user's own."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("*.pyc.*"))
    for part in ("processors", "configs"):
        shutil.copytree(ROOT / "tests/e2e/checkout" / part, folder / part, dirs_exist_ok=True)
    return folder


@dataclass
class Service:
    """A server with its worker."""

    checkout: Path
    process: asyncio.subprocess.Process
    target: str
    http: str
    """Its address for HTTP: `http://127.0.0.1:40123`."""

    @classmethod
    async def start(cls, checkout: Path, **settings: str) -> "Service":
        """Start, and wait until it says that it is ready."""
        process = await _process(checkout, "server", settings)
        assert process.stdout is not None
        async with asyncio.timeout(60):
            async for line in process.stdout:
                if line.startswith(b"ready grpc="):
                    addresses = dict(part.split("=", 1) for part in line.decode().split()[1:])
                    return cls(checkout, process, addresses["grpc"], f"http://{addresses['http']}")
        raise AssertionError(f"the server ended: {(checkout / 'server.log').read_text()[-3000:]}")

    async def start_worker(self, **settings: str) -> asyncio.subprocess.Process:
        """A worker of its own beside the server."""
        return await _process(self.checkout, "server.worker", settings)

    @property
    def admin_key(self) -> str:
        return (self.checkout / "var" / "admin_api_key").read_text().strip()

    @property
    def mails(self) -> list[Path]:
        return sorted((self.checkout / "var" / "mail").glob("*.eml"))

    def client(self, key: str | None = None) -> ConvergenceClient:
        return ConvergenceClient(self.target, api_key=key or self.admin_key)

    async def comes_to_rest(self) -> None:
        """Wait until whatever it does by itself is done; its control store is the embedded one."""
        path = self.checkout / "var" / "control.sqlite3"
        waiting = "SELECT (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM runs WHERE finished_at IS NULL)"
        async with asyncio.timeout(60):
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                while connection.execute(waiting).fetchone()[0]:
                    await asyncio.sleep(0.1)

    async def command(self, *arguments: str) -> tuple[int, str]:
        """What `convergence` does with an operator's key: its exit code, and all that it prints."""
        environment = {
            **_plain_environment(),
            "CONVERGENCE_TARGET": self.target,
            "CONVERGENCE_API_KEY": self.admin_key,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "convergence", *arguments),
            cwd=self.checkout,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        return process.returncode or 0, printed.decode()

    def worker_pids(self) -> list[int]:
        """The workers are the server's only children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def worker_pid(self) -> int | None:
        """The one worker, if it runs."""
        return next(iter(self.worker_pids()), None)

    async def kill_worker(self) -> int:
        """kill -9, and wait until the server has started another one."""
        pid = self.worker_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while self.worker_pid() in {None, pid}:
                await asyncio.sleep(0.02)
        return pid

    async def stop(self) -> None:
        """SIGTERM, as an operator stops it."""
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(60):
            await self.process.wait()

    async def kill(self) -> None:
        """kill -9 of server and workers."""
        for pid in (self.process.pid, *self.worker_pids()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.process.wait()


async def _process(checkout: Path, module: str, settings: Mapping[str, str]) -> asyncio.subprocess.Process:
    settings = {f"CONVERGENCE_{name.upper()}": value for name, value in settings.items()}
    environment = {**_plain_environment(), "CONVERGENCE_GRPC_PORT": "0", "CONVERGENCE_HTTP_PORT": "0", **settings}
    with (checkout / "server.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, cwd=checkout, env=environment, stdout=asyncio.subprocess.PIPE, stderr=log
        )


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}


async def onboard(service: Service, tenant_id: str) -> str:
    """A new, active tenant; answers its key."""
    async with service.client() as client:
        made = await client.onboard_tenant(tenant_id=tenant_id)
        assert (await finished(client, made.run)).status == Run.SUCCESS
    return made.api_key_secret


async def finished(client: ConvergenceClient, run: Run) -> Run:
    """Follow a run to its end."""
    await events(client, run)
    return await client.get_run(run.tenant_id, run.pipeline_logging_id)


async def delivered(client: ConvergenceClient, run: Run) -> Run:
    """The run, once none of its messages is under way any more."""
    async with asyncio.timeout(60):
        while True:
            found = await client.get_run(run.tenant_id, run.pipeline_logging_id)
            if not any(item.state == Delivery.QUEUED for step in found.steps for item in step.deliveries):
                return found
            await asyncio.sleep(0.05)


def without_deliveries(run: Run) -> Run:
    """What does not change any more when a run has ended."""
    copied = Run()
    copied.CopyFrom(run)
    for step in copied.steps:
        step.ClearField("deliveries")
    return copied


async def events(client: ConvergenceClient, run: Run, after: int = 0) -> list[RunEvent]:
    """All events of a run, to the last."""
    return [
        event
        async for event in client.watch(run.tenant_id, run.pipeline_logging_id, after_sequence=after)
        if event.sequence
    ]


async def pauses(client: ConvergenceClient, run: Run) -> None:
    """Until a failed attempt is behind the run and the pause before the next one has begun."""
    async for event in client.watch(run.tenant_id, run.pipeline_logging_id):
        if event.log.level == LogEntry.WARNING:
            return


async def start(
    client: ConvergenceClient,
    tenant_id: str,
    path: str,
    *,
    date: str = "",
    variables: Mapping[str, str] | None = None,
    request_id: str = "",
) -> Run:
    """RunPipeline by `provider/domain/template_name` or `provider/template_name`."""
    provider, _, rest = path.partition("/")
    domain, _, template_name = rest.rpartition("/")
    return await client.run_pipeline(
        tenant_id=tenant_id,
        provider=provider,
        domain=domain,
        template_name=template_name,
        date=date,
        variables=dict(variables or {}),
        request_id=request_id,
    )


async def file_appears(path: Path) -> None:
    async with asyncio.timeout(30):
        while not path.exists():
            await asyncio.sleep(0.02)
