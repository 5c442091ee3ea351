"""The composition root: builds the server of its parts, and takes it down in order.

`python -m server` serves gRPC and HTTP, and supervises one worker process.
"""

from server import early_stop  # noqa: F401 - before all that takes its time

# isort: split
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc

from server import __version__, logs, tracing
from server.api.app import DESCRIPTORS, Api, Servicers
from server.api.authentication import Authenticator
from server.api.interceptors import Gate
from server.api.pipelines import PipelineServicer
from server.api.schedules import ScheduleServicer
from server.api.system import Stores, SystemServicer
from server.api.tenants import TenantServicer
from server.api.tls import Tls, TlsFiles
from server.backfill_runner import BackfillRunner
from server.backfills import Backfills
from server.care import Care
from server.catalog import Catalog
from server.credentials import Credentials
from server.domain.audit import PRODUCT
from server.domain.faults import CannotStart
from server.domain.pipeline import PipelineName
from server.domain.run import RunStatus, RunTrigger
from server.domain.tenant import SYSTEM_TENANT
from server.errors import ServiceError
from server.estimates import Estimates
from server.exposition import Exposition, remove_leftovers
from server.first_key import FILE, ensure_first_key, open_key_ring
from server.following import Following
from server.gateway.app import Gateway
from server.gateway.listening import Handler, HttpPort
from server.gateway.openapi import describe
from server.gateway.pages import pages
from server.keys import ApiKeys
from server.master_key import MasterKey, open_master_keys
from server.plans import PlansFile
from server.preparation import Preparation, RunRequest
from server.providers import Providers
from server.registry import Registry
from server.request_rates import RequestRates
from server.retention import Retention
from server.run_reports import RunReports
from server.runs import Caller, Runs
from server.scheduler import Scheduler
from server.schedules import Schedules
from server.security.api_keys import KeyRing
from server.security.limits import allow_many_files, keep_no_dumps
from server.security.private_files import only_one
from server.settings import Settings
from server.store.opening import open_store
from server.store.port import ControlStore, RunFilter, StoreBusy
from server.store.sql.store import SqlStore
from server.tasks import end_tasks
from server.tenants import Tenants
from server.validation import schemas
from server.worker.supervisor import Supervisor

_STOP_GRACE_SECONDS = 5.0
_BOOTSTRAP = PipelineName("setup", "", "bootstrap_system")

logger = logging.getLogger("server")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    state_dir = settings.make_state_dir()
    plans = PlansFile(settings.plans_file, base=settings.base_quotas)
    async with AsyncExitStack() as stack:
        if settings.workers and settings.bigquery_project is None:
            # Its worker has the embedded warehouse to itself.
            stack.enter_context(only_one(state_dir / "server.lock"))
        store = await open_store(database_url=settings.postgres_url, path=settings.control_store_path)
        stack.push_async_callback(store.close)
        is_new = not await store.has_operator_key()
        keys = await open_key_ring(store, settings.pepper_path, may_create=is_new)
        if text := await ensure_first_key(store, keys, state_dir):
            _say(f"first operator key: {text}")
            _say(f"It is not shown again. Until you move it to a safe place it is also in {state_dir / FILE}.")
        catalog = Catalog(settings.configs_dir, settings.ps_templates_dir)
        registry = Registry(folder=settings.processors_dir)
        preparation = Preparation(catalog, registry, settings.project)
        following = Following(store, max_streams=settings.max_streams, max_streams_per_key=settings.max_streams_per_key)
        stack.push_async_callback(following.close)
        runs = Runs(store, preparation, plans, following)
        tenants = Tenants(store, runs, keys, plans, catalog)
        authenticator = Authenticator(store, keys)
        stack.push_async_callback(end_tasks, [asyncio.create_task(authenticator.keep_noting())])
        gate = Gate(authenticator, RequestRates(store, plans))
        providers = Providers(
            google_token_uri=settings.google_token_uri,
            aws_region=settings.aws_region,
            aws_sts_endpoint=settings.aws_sts_endpoint,
            webhook_hosts=settings.webhook_hosts,
        )
        stack.callback(providers.close)
        credentials = await _credentials(settings, store, keys, providers)
        tenant_servicer = TenantServicer(
            tenants, ApiKeys(store, keys), credentials, default_location=settings.bigquery_location
        )
        backfills = Backfills(store, runs, plans, Estimates(store, runs), following)
        pipeline_servicer = PipelineServicer(runs, RunReports(store, runs), backfills, catalog)
        schedule_servicer = ScheduleServicer(Schedules(store, runs))
        servicers = _servicers(settings, store, pipeline_servicer, tenant_servicer, schedule_servicer)
        api = Api(servicers, gate, max_connections=settings.max_connections)
        socket = stack.enter_context(_private_folder()) / "api"
        remove_leftovers(settings.metrics_folder)
        supervisors = [Supervisor(store, settings) for _ in range(settings.workers)]
        ports = await _open_ports(settings, api, gate, _pages(api, store, registry, supervisors), socket)
        working = [asyncio.create_task(supervisor.run()) for supervisor in supervisors]
        if working:
            stack.push_async_callback(end_tasks, working)
        firing = [Scheduler(store, runs, plans).run(), BackfillRunner(store, runs, plans).run()]
        stack.push_async_callback(end_tasks, [asyncio.create_task(one) for one in firing])
        # Undone first: probes and clients hear of the end before the worker drains.
        stack.push_async_callback(ports.close, settings.stop_notice_seconds)
        await _bootstrap(store, runs)
        _say(f"ready grpc={settings.grpc_host}:{ports.grpc} http={settings.http_host}:{ports.http}")
        await stopping.wait()
        logger.info("Stopping")


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only this user may enter; not the state folder, whose path may be too long for a socket.

    Raises:
        CannotStart: it cannot be made.
    """
    try:
        folder = TemporaryDirectory(prefix="convergence-")
    except OSError as error:
        raise CannotStart(
            f"no temporary folder can be made ({error.strerror}); TMPDIR says where they are made"
        ) from None
    with folder as path:
        yield Path(path)


@dataclass(frozen=True, slots=True)
class _Ports:
    """What the server is reached by."""

    api: Api
    gateway: HttpPort
    channel: grpc.aio.Channel
    grpc: int
    http: int

    async def close(self, notice: float) -> None:
        """Tell probes first, serve on for `notice` seconds, then let calls finish for a moment."""
        await self.api.retire(notice)
        await self.gateway.stop()
        await self.api.stop(_STOP_GRACE_SECONDS)
        await self.channel.close()


async def _open_ports(settings: Settings, api: Api, gate: Gate, beside: Mapping[str, Handler], socket: Path) -> _Ports:
    """Raises CannotStart."""
    tls = _tls(settings)
    port = await api.start(f"{settings.grpc_host}:{settings.grpc_port}", tls, socket=socket)
    channel = grpc.aio.insecure_channel(f"unix:{socket}")
    gateway = HttpPort(
        Gateway(DESCRIPTORS, channel, gate.require_known).handle,
        beside,
        max_connections=settings.max_connections,
        grace_seconds=_STOP_GRACE_SECONDS,
    )
    context = tls.ssl_context() if tls else None
    try:
        http = await gateway.start(settings.http_host, settings.http_port, context)
    except CannotStart:
        # A server of gRPC's that is dropped without a word complains when the process ends.
        await channel.close()
        await api.stop(0)
        raise
    return _Ports(api, gateway, channel, port, http)


def _pages(api: Api, store: SqlStore, registry: Registry, supervisors: Sequence[Supervisor]) -> dict[str, Handler]:
    """What HTTP has beside the methods."""

    async def control_store() -> str:
        await store.has_operator_key()
        return ""

    def counted() -> dict[str, Path]:
        return {str(number): one.metrics for number, one in enumerate(supervisors) if one.metrics}

    return pages(
        lambda: describe(DESCRIPTORS, __version__),
        schemas(registry),
        {"server": api.ready, "control store": control_store},
        Exposition(store, counted).text,
    )


def _tls(settings: Settings) -> Tls | None:
    """Raises CannotStart."""
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    return Tls(TlsFiles(settings.tls_certificate_file, settings.tls_key_file, settings.tls_client_ca_file))


async def _credentials(settings: Settings, store: SqlStore, ring: KeyRing, providers: Providers) -> Credentials:
    """Raises CannotStart."""
    master = MasterKey(open_master_keys(settings), store)
    await master.require(await store.master_key_uses())
    return Credentials(store, store, master, ring, providers, webhook_hosts=settings.webhook_hosts)


def _servicers(
    settings: Settings,
    store: SqlStore,
    pipelines: PipelineServicer,
    tenants: TenantServicer,
    schedules: ScheduleServicer,
) -> Servicers:
    retention = Retention(store, run_days=settings.run_retention_days, event_days=settings.event_retention_days)
    return Servicers(
        pipelines=pipelines,
        tenants=tenants,
        schedules=schedules,
        system=SystemServicer(
            store,
            store,
            Stores(
                "postgres" if settings.database_url else "sqlite",
                "bigquery" if settings.bigquery_project else "duckdb",
                settings.project,
                settings.bigquery_price_per_tib,
            ),
            Care(store, retention),
        ),
    )


async def _bootstrap(store: ControlStore, runs: Runs) -> None:
    """Make the central dataset unless a run has made it or is about to; what failed is tried again at each start."""
    made = RunFilter(
        tenant_id=SYSTEM_TENANT,
        provider=_BOOTSTRAP.provider,
        template_name=_BOOTSTRAP.template_name,
        statuses=(RunStatus.SUCCESS, RunStatus.PENDING, RunStatus.RUNNING),
    )
    try:
        if not await store.list_runs(made, after=None, limit=1):
            product = Caller(SYSTEM_TENANT, PRODUCT, RunTrigger.SYSTEM, is_admin=True)
            await runs.start(product, RunRequest(_BOOTSTRAP))
    except (ServiceError, StoreBusy) as error:
        logger.warning("The central dataset is not set up, the next start tries again: %s", error)


def _say(line: str) -> None:
    """To whoever started the server, on standard output; logs go to standard error."""
    print(line, flush=True)  # noqa: T201


def main() -> int:
    """Run the server."""
    # What was imported stays to the end; no collection, nor the one at the end, has to look at it.
    gc.freeze()
    keep_no_dumps()
    allow_many_files()
    settings = Settings.from_environment()
    settings.hide()
    logs.configure(settings, process="server")
    tracing.configure(settings, process="server")
    try:
        asyncio.run(serve(settings))
    finally:
        tracing.close()
    return 0


if __name__ == "__main__":
    sys.exit(logs.explain_start(main))
