"""`python -m server.worker`: one worker, alone or supervised by the server."""

from server import early_stop  # noqa: F401 - before all that takes its time

# isort: split
import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from contextlib import AsyncExitStack, suppress
from functools import partial

from server import __version__, logs, tracing
from server.catalog import Catalog
from server.delivery.loop import DeliveryLoop
from server.delivery.opening import open_senders
from server.domain.faults import CannotStart
from server.exposition import keep_writing, worker_exposition
from server.master_key import MasterKey, open_master_keys
from server.metrics import observe_warehouse
from server.mirror import Mirror, mirrored_tables
from server.plans import PlansFile
from server.registry import Registry
from server.retention import Retention
from server.run_spans import tell_warehouse_call
from server.scratch import Scratch
from server.security.limits import keep_no_dumps
from server.settings import Settings
from server.step_credentials import CredentialReader
from server.step_runner import StepRunner
from server.store.health_port import WorkerReport
from server.store.opening import open_store
from server.store.port import ControlStore
from server.tasks import end_tasks, first_ended
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.measured import MeasuredWarehouse
from server.warehouse.port import Warehouse, WarehouseError
from server.worker.loop import Worker
from server.worker.reporting import Reporting
from server.worker.supervisor import SUPERVISED, new_worker_id

_PULSE_SECONDS = 1.0
_PULSE = b"."
# What a write of a tenant's tables costs hardly depends on its rows; BigQuery runs two statements on a table at a time
# and lets twenty wait.
_MIRROR_SECONDS = 5.0

logger = logging.getLogger("server.worker")


async def _main(settings: Settings, worker_id: str, *, supervised: bool) -> None:
    # First of all: opening a large warehouse takes time, and a worker that says nothing is taken for dead.
    pulse = [asyncio.create_task(_pulse() if supervised else _watch_loop(settings.lease_seconds))]
    settings.make_state_dir()
    async with AsyncExitStack() as stack:
        store = await open_store(database_url=settings.postgres_url, path=settings.control_store_path)
        stack.push_async_callback(store.close)
        scratch = _open_scratch(settings)
        stack.callback(scratch.close)
        warehouse = MeasuredWarehouse(await _open_warehouse(settings, scratch), _observe)
        stack.push_async_callback(warehouse.close)
        keys = open_master_keys(settings)
        await MasterKey(keys, store).require(await store.master_key_uses())
        credentials = CredentialReader(store, keys, warehouse, google_token_uri=settings.google_token_uri)
        stack.push_async_callback(credentials.close)
        deliveries = DeliveryLoop(worker_id, store, open_senders(settings, credentials, stack))
        runner = StepRunner(
            Registry(folder=settings.processors_dir),
            warehouse,
            store,
            credentials,
            scratch=scratch,
            project=settings.project,
            maximum_bytes_billed=settings.maximum_bytes_billed,
            console_url=(settings.console_url or "").rstrip("/"),
        )
        plans = PlansFile(settings.plans_file, base=settings.base_quotas)
        worker = Worker(worker_id, store, runner, settings, plans)
        retention = Retention(store, run_days=settings.run_retention_days, event_days=settings.event_retention_days)
        mirror = _mirror(settings, worker_id, store, warehouse)
        reporting = Reporting(store, lambda: _report(worker, mirror, settings))
        stack.push_async_callback(reporting.finish)
        helpers = [*pulse, *map(asyncio.create_task, (retention.run(), reporting.run()))]
        if supervised:
            helpers.append(asyncio.create_task(keep_writing(settings.metrics_folder / f"{worker_id}.prom")))
        elif settings.worker_http_port is not None:
            await _open_port(settings, stack)
        await _serve(worker, mirror, deliveries, helpers, supervised=supervised)


def _open_scratch(settings: Settings) -> Scratch:
    try:
        return Scratch(settings.scratch_path)
    except OSError as error:
        raise CannotStart(
            f"the folder {settings.scratch_path} cannot be used: {error.strerror}; see CONVERGENCE_SCRATCH_DIR"
        ) from None


async def _open_warehouse(settings: Settings, scratch: Scratch) -> Warehouse:
    try:
        if settings.bigquery_project is None:
            return await EmbeddedWarehouse.open(
                settings.warehouse_path, project=settings.project, loads_from=scratch.folder
            )
        # The client's libraries take half a second to import, and only those who use BigQuery should wait for that.
        from server.warehouse.bigquery import BigQueryWarehouse  # noqa: PLC0415

        return await BigQueryWarehouse.open(
            project=settings.bigquery_project,
            location=settings.bigquery_location,
            endpoint=settings.bigquery_endpoint,
            credentials_file=settings.bigquery_credentials_file,
        )
    except WarehouseError as error:
        raise CannotStart(error.message) from None


async def _open_port(settings: Settings, stack: AsyncExitStack) -> None:
    """Answer probes and Prometheus. Raises CannotStart."""
    # Most workers have no port, and these take 20 MiB.
    from server.gateway.listening import Handler, HttpPort  # noqa: PLC0415
    from server.gateway.pages import healthz, metrics, nothing_of_a_worker  # noqa: PLC0415

    pages: dict[str, Handler] = {"/healthz": healthz, "/metrics": partial(metrics, worker_exposition)}
    port = HttpPort(nothing_of_a_worker, pages, max_connections=settings.max_connections, grace_seconds=0)
    stack.push_async_callback(port.stop)
    bound = await port.start(settings.http_host, settings.worker_http_port or 0)
    logger.info("Probes and metrics are at %s:%s", settings.http_host, bound)


def _observe(operation: str, outcome: str, seconds: float) -> None:
    """The warehouse has answered."""
    observe_warehouse(operation, outcome, seconds)
    tell_warehouse_call(operation, outcome, seconds)


def _report(worker: Worker, mirror: Mirror, settings: Settings) -> WorkerReport:
    return WorkerReport(
        worker_id=worker.worker_id,
        version=__version__,
        places=settings.worker_concurrency,
        running=worker.running,
        warehouse_fault=mirror.warehouse_fault,
    )


def _mirror(settings: Settings, worker_id: str, store: ControlStore, warehouse: Warehouse) -> Mirror:
    catalog = Catalog(settings.configs_dir, settings.ps_templates_dir)
    tables = mirrored_tables(catalog)
    return Mirror(worker_id, store, warehouse, project=settings.project, tables=tables, longest_rest=_MIRROR_SECONDS)


async def _serve(
    worker: Worker,
    mirror: Mirror,
    deliveries: DeliveryLoop,
    helpers: "list[asyncio.Task[None]]",
    *,
    supervised: bool,
) -> None:
    """Work until drained. A helper that fails ends the process: its supervisor starts a whole one."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.drain)
    working, mirroring = asyncio.create_task(worker.run()), asyncio.create_task(mirror.run())
    delivering = asyncio.create_task(deliveries.run())
    parting = [asyncio.create_task(_drain_with_parent(worker))] if supervised else []
    logger.info("Worker %s is ready", worker.worker_id)
    try:
        await first_ended([working, mirroring, delivering, *helpers])
        # What the last runs left in the outbox belongs in the tables before the warehouse closes.
        await end_tasks([mirroring, delivering])
        await asyncio.gather(mirror.finish(), deliveries.finish())
    finally:
        await end_tasks([working, mirroring, delivering, *helpers, *parting])


async def _pulse() -> None:
    """Show the server that the event loop turns."""
    pipe = os.dup(1)
    # What a processor prints must not reach the pipe.
    os.dup2(2, 1)
    while True:
        with suppress(OSError):
            os.write(pipe, _PULSE)
        await asyncio.sleep(_PULSE_SECONDS)


async def _watch_loop(limit: float) -> None:
    """End this process when its event loop has stood still for so many seconds: nobody else watches over it.

    Its leases have ended by then, and its runs are another worker's.
    """
    loop = asyncio.get_running_loop()
    turned = loop.time()

    def watch() -> None:
        while loop.time() - turned < limit:
            time.sleep(_PULSE_SECONDS)
        logger.critical("The event loop has stood still for %g s; this worker ends", limit)
        logging.shutdown()
        os._exit(1)

    threading.Thread(target=watch, name="loop-watch", daemon=True).start()
    while True:
        await asyncio.sleep(_PULSE_SECONDS)
        turned = loop.time()


async def _drain_with_parent(worker: Worker) -> None:
    """A server that is gone cannot replace this worker, and the next one will start its own."""
    try:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()
    except OSError:
        logger.exception("The server cannot be watched; this worker ends")
    worker.drain()


def main() -> int:
    """Run one worker until SIGTERM, SIGINT or, when supervised, the end of the server."""
    # What was imported stays to the end, and no collection has to look at it.
    gc.freeze()
    parser = argparse.ArgumentParser(prog="python -m server.worker", description=__doc__)
    parser.add_argument(SUPERVISED, metavar="WORKER_ID", help="for the server: be that worker and end with it")
    worker_id = parser.parse_args().supervised
    keep_no_dumps()
    line = sys.stdin.buffer.readline() if worker_id is not None else b"{}"
    if not line:
        raise CannotStart("the server is gone")
    settings = Settings.from_environment(line)
    settings.hide()
    logs.configure(settings, process="worker")
    tracing.configure(settings, process="worker")
    asyncio.run(_work(settings, worker_id))
    return 0


async def _work(settings: Settings, worker_id: str | None) -> None:
    code = 0
    try:
        await _main(settings, worker_id or new_worker_id(), supervised=worker_id is not None)
    except CannotStart:
        raise
    except Exception:
        logger.critical("The worker failed", exc_info=True)
        code = 1
    tracing.close()
    # Threads that a processor left behind would hold the process; everything of the worker's own is closed.
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(logs.explain_start(main))
