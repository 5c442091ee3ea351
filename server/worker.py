"""The worker: claims runs, executes them, keeps its leases, drains.

`python -m server.worker` runs one alone; the server runs and supervises one by itself.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import uuid
from contextlib import AsyncExitStack, suppress

from server import logs
from server.domain.faults import CannotStart
from server.executor import RunExecution
from server.mail import MailFolder
from server.mirror import Mirror
from server.registry import Registry
from server.settings import Settings
from server.step_runner import StepRunner
from server.store.port import Claim, ControlStore, Lease, LeaseLost, StoreBusy
from server.store.sqlite import SqliteStore
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import WarehouseError

_POLL_SECONDS = 1.0
_PULSE_SECONDS = 1.0
_PULSE = b"alive\n"
SUPERVISED = "--supervised"
"""Says that standard input is a pipe from the server: its end means the server is gone."""
logger = logging.getLogger(__name__)


class Worker:
    """Claims and executes runs until it is told to drain."""

    def __init__(self, worker_id: str, store: ControlStore, runner: StepRunner, settings: Settings) -> None:
        self.worker_id = worker_id
        self._store = store
        self._runner = runner
        self._settings = settings
        self._running: dict[Lease, tuple[RunExecution, asyncio.Task[None]]] = {}
        self._draining = asyncio.Event()
        self._slot_freed = asyncio.Event()
        self._renewed_at = 0.0

    def drain(self) -> None:
        """Claim no more; finish what is running within `drain_seconds`, hand the rest back."""
        self._draining.set()

    async def run(self) -> None:
        """Work until drained."""
        keepers = [asyncio.create_task(self._keep_leases()), asyncio.create_task(self._watch_cancels())]
        try:
            await self._claim_until_drained()
            await self._finish_or_hand_back()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.wait(keepers)

    async def _claim_until_drained(self) -> None:
        while not self._draining.is_set():
            seen = self._store.version
            self._slot_freed.clear()
            claim = await self._claim()
            if claim is None:
                await self._wait_for_work(seen)
            else:
                self._start(claim)

    async def _claim(self) -> Claim | None:
        if len(self._running) >= self._settings.worker_concurrency:
            return None
        try:
            return await self._store.claim(
                self.worker_id,
                lease_seconds=self._settings.lease_seconds,
                max_concurrent_runs=self._settings.max_concurrent_runs,
            )
        except StoreBusy:
            return None

    async def _wait_for_work(self, seen: int) -> None:
        """Until something is committed, a run of this worker ends, draining begins, or it is time to look again."""
        waiting = [
            asyncio.create_task(self._store.wait_for_change(seen, _POLL_SECONDS)),
            asyncio.create_task(self._slot_freed.wait()),
            asyncio.create_task(self._draining.wait()),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    def _start(self, claim: Claim) -> None:
        execution = RunExecution(claim, self._store, self._runner)
        task = asyncio.create_task(self._execute(claim.lease, execution))
        self._running[claim.lease] = (execution, task)

    async def _execute(self, lease: Lease, execution: RunExecution) -> None:
        try:
            await execution.run()
        except LeaseLost:
            logger.warning("Another worker took the run over", extra=_lease_fields(lease))
        except StoreBusy:
            # Nothing was recorded of what comes next; whoever claims the run goes on from what was.
            logger.warning("The control store failed under a run; it is handed back", extra=_lease_fields(lease))
            await self._hand_back(lease)
        except Exception:
            logger.exception("The executor failed", extra=_lease_fields(lease))
        finally:
            self._running.pop(lease, None)
            self._slot_freed.set()

    async def _keep_leases(self) -> None:
        """Renew three times within a lease; stop working on a run before its lease can have ended."""
        loop = asyncio.get_running_loop()
        self._renewed_at = loop.time()
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            leases = list(self._running)
            asked_at = loop.time()
            try:
                held = await self._store.renew(leases, lease_seconds=self._settings.lease_seconds)
                self._renewed_at = asked_at
            except StoreBusy:
                too_old = asked_at - self._renewed_at > self._settings.lease_seconds * 2 / 3
                held = frozenset(() if too_old else leases)
            for lease in set(leases) - set(held):
                self._abandon(lease)

    def _abandon(self, lease: Lease) -> None:
        if lease in self._running:
            logger.warning("A lease was lost; its run is abandoned", extra=_lease_fields(lease))
            self._running[lease][1].cancel()

    async def _watch_cancels(self) -> None:
        while True:
            seen = self._store.version
            with suppress(StoreBusy):
                for lease in await self._store.cancelling(list(self._running)):
                    if lease in self._running:
                        self._running[lease][0].cancel()
            await self._store.wait_for_change(seen, _POLL_SECONDS)

    async def _finish_or_hand_back(self) -> None:
        tasks = {task: lease for lease, (_, task) in self._running.items()}
        if not tasks:
            return
        logger.info("Draining: %d runs have %g s to finish", len(tasks), self._settings.drain_seconds)
        _, late = await asyncio.wait(tasks, timeout=self._settings.drain_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
        for task in late:
            await self._hand_back(tasks[task])

    async def _hand_back(self, lease: Lease) -> None:
        with suppress(StoreBusy):
            await self._store.hand_back(lease)


def _lease_fields(lease: Lease) -> dict[str, str]:
    return {"pipeline_logging_id": lease.pipeline_logging_id, "worker_id": lease.worker_id}


def new_worker_id() -> str:
    """A name that no other worker has or had."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


async def _main(settings: Settings, worker_id: str, *, supervised: bool) -> None:
    settings.make_state_dir()
    async with AsyncExitStack() as stack:
        store = await SqliteStore.open(settings.control_store_path)
        stack.push_async_callback(store.close)
        try:
            warehouse = await EmbeddedWarehouse.open(settings.warehouse_path, project=settings.project)
        except WarehouseError as error:
            raise CannotStart(error.message) from None
        stack.push_async_callback(warehouse.close)
        worker = _build(settings, worker_id, store, warehouse)
        await _serve(worker, Mirror(store, warehouse, project=settings.project), supervised=supervised)


def _build(settings: Settings, worker_id: str, store: ControlStore, warehouse: EmbeddedWarehouse) -> Worker:
    mail = MailFolder(settings.state_dir / "mail", sender=settings.mail_from)
    runner = StepRunner(Registry(), warehouse, store, mail, project=settings.project)
    return Worker(worker_id, store, runner, settings)


async def _serve(worker: Worker, mirror: Mirror, *, supervised: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.drain)
    helpers = [asyncio.create_task(mirror.run())]
    if supervised:
        helpers += [asyncio.create_task(_pulse()), asyncio.create_task(_drain_with_parent(worker))]
    logger.info("Worker %s is ready", worker.worker_id)
    try:
        await worker.run()
        # What the last runs left in the outbox belongs in the tables before the warehouse closes.
        helpers[0].cancel()
        await asyncio.wait(helpers[:1])
        await mirror.finish()
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.wait(helpers)


async def _pulse() -> None:
    """Show the server that the event loop turns."""
    pipe = os.dup(1)
    # What a processor prints must not reach the pipe.
    os.dup2(2, 1)
    while True:
        with suppress(OSError):
            os.write(pipe, _PULSE)
        await asyncio.sleep(_PULSE_SECONDS)


async def _drain_with_parent(worker: Worker) -> None:
    """A server that is gone cannot replace this worker, and the next one will start its own."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    worker.drain()


def main() -> int:
    """Run one worker until SIGTERM, SIGINT or, when supervised, the end of the server."""
    settings = Settings.from_environment()
    supervised = SUPERVISED in sys.argv[1:]
    worker_id = sys.argv[2] if supervised else new_worker_id()
    logs.configure(settings, process="worker")
    asyncio.run(_main(settings, worker_id, supervised=supervised))
    return 0


if __name__ == "__main__":
    sys.exit(logs.explain_start(main))
