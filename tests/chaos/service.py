"""A service under test, and what its operator does: it is started again whenever it has ended."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from convergence.client import ConvergenceClient
from tests.chaos.health import is_serving
from tests.chaos.points import Point
from tests.e2e.service import make_checkout

HOOK = Path(__file__).parent / "hook"
LEASE_SECONDS = 3.0
TENANT = "acme_corp"


def chaos_checkout(folder: Path) -> Path:
    """The product, with the pipelines of these tests."""
    checkout = make_checkout(folder)
    shutil.copytree(Path(__file__).parent / "checkout", checkout, dirs_exist_ok=True)
    return checkout


@dataclass(frozen=True)
class Place:
    """What a service works on."""

    checkout: Path
    folder: Path
    """A folder of the service's own, with its state and its log."""
    database_url: str = ""
    """PostgreSQL; without it, the control store is SQLite."""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def state_dir(self) -> Path:
        return self.folder / "var"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def beside(self, name: str = "beside") -> "Place":
        """Another machine of the same system: what it shares is the database, the pepper and BigQuery."""
        folder = self.folder / name
        folder.mkdir()
        return replace(self, folder=folder, settings={**self.settings, "pepper_file": str(self.state_dir / "pepper")})


class Process:
    """`python -m server` or `python -m server.worker`, started again when it ends, until it is stopped."""

    def __init__(self, module: str, place: Place, environment: Mapping[str, str]) -> None:
        self._module = module
        self._place = place
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._keeper = asyncio.create_task(self._keep())

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def _keep(self) -> None:
        while True:
            with self._place.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    self._module,
                    cwd=self._place.checkout,
                    env=self._environment,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=log,
                )
            await self._process.wait()

    async def kill(self) -> None:
        """kill -9, and no other start."""
        await self._start_no_more()
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _start_no_more(self) -> None:
        self._keeper.cancel()
        await asyncio.wait([self._keeper])

    async def stop(self) -> int | None:
        """SIGTERM, and no other start; the exit code of the last one."""
        await self._start_no_more()
        if self._process is None:
            return None
        for number in (signal.SIGCONT, signal.SIGTERM):
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
        try:
            async with asyncio.timeout(60):
                return await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()


@dataclass
class Service:
    """A running server with its worker."""

    place: Place
    target: str
    server: Process
    worker: Process | None
    """The worker that the server does not supervise, if it is so."""

    def client(self, key: str = "") -> ConvergenceClient:
        return ConvergenceClient(self.target, api_key=key or self.admin_key)

    @property
    def admin_key(self) -> str:
        return (self.place.state_dir / "admin_api_key").read_text().strip()

    @property
    def pids(self) -> list[int]:
        """The processes that there are now."""
        own = [process.pid for process in (self.server, self.worker) if process and process.pid]
        return [*own, *self.children]

    @property
    def children(self) -> list[int]:
        """The workers that the server supervises."""
        return _children(self.server.pid) if self.server.pid else []

    @property
    def _folder(self) -> Path:
        return self.place.folder / "watch"

    async def ready(self) -> None:
        """Until the server answers."""
        async with asyncio.timeout(60):
            while not await is_serving(self.target):
                await asyncio.sleep(0.05)

    async def reached(self) -> int:
        """Wait until a process stands at the watched point; its id."""
        async with asyncio.timeout(60):
            while not (self._folder / "reached").exists():
                await asyncio.sleep(0.01)
        return int((self._folder / "reached").read_text())

    def go_on(self, error: str = "") -> None:
        """Let that process go on, with an exception if `error` says so."""
        draft = self._folder / "draft-answer"
        draft.write_text(error)
        draft.replace(self._folder / "answer")


def _children(pid: int) -> list[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@asynccontextmanager
async def running(
    place: Place, point: Point | None = None, *, workers: int = 1, alone: bool = False
) -> AsyncIterator[Service]:
    """A service, watched at a point; it is drained at the end.

    `alone`: the worker is not the server's, and lives and dies by itself.
    """
    port = _free_port()
    environment = _environment(place, port, point, workers=0 if alone else workers)
    (place.folder / "watch").mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        server = Process("server", place, environment)
        stack.push_async_callback(server.stop)
        service = Service(place, f"127.0.0.1:{port}", server, None)
        await service.ready()
        if alone:
            service.worker = await stack.enter_async_context(lone_worker(place, point))
        yield service


@asynccontextmanager
async def lone_worker(place: Place, point: Point | None = None) -> AsyncIterator[Process]:
    """A worker that lives and dies by itself, watched at a point; it is drained at the end."""
    worker = Process("server.worker", place, _environment(place, 0, point, workers=0))
    try:
        yield worker
    finally:
        await worker.stop()


def _environment(place: Place, port: int, point: Point | None, *, workers: int) -> dict[str, str]:
    settings = {
        "grpc_port": str(port),
        # Nobody asks there; other tests' servers may be where it is by default.
        "http_port": "0",
        "state_dir": str(place.state_dir),
        "lease_seconds": f"{LEASE_SECONDS:g}",
        "workers": str(workers),
        **({"database_url": place.database_url} if place.database_url else {}),
        **place.settings,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
    environment |= {f"CONVERGENCE_{name.upper()}": value for name, value in settings.items()}
    if point:
        environment["PYTHONPATH"] = os.pathsep.join(map(str, (place.checkout, HOOK)))
        environment["CHAOS_WATCH"] = json.dumps(asdict(point) | {"folder": str(place.folder / "watch")})
    return environment


def _free_port() -> int:
    """The same for each start, so that clients find the server again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
