"""Keeps the server's worker process alive: starts it, notices when it dies or hangs, replaces it."""

import asyncio
import logging
import socket
import sys
import uuid
from contextlib import suppress
from pathlib import Path

from server.settings import Settings
from server.store.port import ControlStore, StoreBusy

SUPERVISED = "--supervised"
"""Tells a worker its id, and that standard input is a pipe from the server.

Through it come the settings that are secrets, on one line; its end means that the server is gone.
"""
_PULSE_BYTES = 1_024
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_HEALTHY_SECONDS = 30.0
# Until the first sign of life: the interpreter starts and imports, which on a busy machine takes longer than a short
# lease. A worker holds nothing by then.
_START_SECONDS = 30.0
# Beyond the drain: steps that ignore their end are given up, the mirror finishes, the stores close.
_LAST_SECONDS = 20.0

logger = logging.getLogger(__name__)


class Supervisor:
    """One worker process, for as long as the server runs."""

    def __init__(self, store: ControlStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._hang_seconds = settings.lease_seconds
        self._drain_seconds = settings.drain_seconds
        self.metrics: Path | None = None
        """The file in which the present worker says what it has counted."""

    async def run(self) -> None:
        """Start workers, one after the other, until cancelled; then drain the last."""
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._one_worker()
            except Exception:
                # Out of file handles, for one: the server serves, and the next try may find some.
                logger.exception("The worker could not be started or watched")
            pause = _FIRST_PAUSE if loop.time() - began > _HEALTHY_SECONDS else min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _one_worker(self) -> None:
        worker_id = new_worker_id()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "server.worker",
            SUPERVISED,
            worker_id,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C in a terminal reaches the whole group; the server decides when its worker drains.
            start_new_session=True,
        )
        self.metrics = self._settings.metrics_folder / f"{worker_id}.prom"
        try:
            if process.stdin is not None:
                process.stdin.write(self._settings.for_worker())
            await self._watch(process)
        except asyncio.CancelledError:
            await self._drain(process)
            raise
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            self.metrics.unlink(missing_ok=True)
        logger.error("The worker ended with code %s; another one is started", process.returncode)
        with suppress(StoreBusy):
            # It is dead for certain: its runs need not wait for their leases to end.
            await self._store.expire_worker(worker_id)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Until the process ends; one whose event loop stands still is killed."""
        assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
        patience = max(self._hang_seconds, _START_SECONDS)
        while True:
            try:
                async with asyncio.timeout(patience):
                    pulse = await process.stdout.read(_PULSE_BYTES)
            except TimeoutError:
                logger.critical("The worker gave no sign of life for %g s and is killed", patience)
                process.kill()
                break
            if not pulse:
                break
            patience = self._hang_seconds
        await process.wait()

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self._drain_seconds + _LAST_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def new_worker_id() -> str:
    """A name that no other worker has or had."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
