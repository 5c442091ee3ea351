"""What Prometheus is told: what this process has counted, what its workers have, and how queue and mirror stand."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

from server.metrics import SERVER, WORKER
from server.store.health_port import Health, HealthStore
from server.store.port import StoreBusy

_WRITE_SECONDS = 5.0
_OLD_SECONDS = 60.0
_STORE_SECONDS = 2.0
_LABEL = "worker"

logger = logging.getLogger(__name__)

Workers = Callable[[], Mapping[str, Path]]
"""Files of the present workers, by names that the next ones get, too."""


async def keep_writing(path: Path) -> None:
    """Leave what this worker has counted where its server finds it, every five seconds until cancelled."""
    is_written = True
    try:
        while True:
            try:
                await asyncio.to_thread(_write, path)
                is_written = True
            except OSError as error:
                # A full disk is no reason to stop working.
                if is_written:
                    logger.warning("What the worker has counted cannot be written for its server: %s", error)
                is_written = False
            await asyncio.sleep(_WRITE_SECONDS)
    finally:
        await asyncio.shield(asyncio.to_thread(path.unlink, missing_ok=True))


def _write(path: Path) -> None:
    """Whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_bytes(generate_latest(WORKER))
    scratch.replace(path)


def remove_leftovers(folder: Path) -> None:
    """Remove what workers have left that were killed with their server."""
    for path in folder.glob("*"):
        # Another server of this machine may be at it.
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _OLD_SECONDS:
                path.unlink()


def exposition(health: Health | None, workers: Mapping[str, Path]) -> bytes:
    """All of it in Prometheus' text format; `health` is None when the control store does not answer."""
    registry = CollectorRegistry()
    registry.register(_Everything(health, workers))
    return generate_latest(registry)


class _Everything(Collector):
    def __init__(self, health: Health | None, workers: Mapping[str, Path]) -> None:
        self._health = health
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        yield from self._counted()
        yield from standing(self._health)

    def _counted(self) -> Iterable[Metric]:
        """What this process has counted and what its workers have: a name stands once, whoever has counted."""
        families = {family.name: family for family in SERVER.collect()}
        for name, path in self._workers.items():
            for family in _read(path):
                known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    known.samples.append(sample._replace(labels={**sample.labels, _LABEL: name}))
        return families.values()


async def worker_exposition() -> bytes:
    """What a worker says by itself."""
    return generate_latest(WORKER)


class Exposition:
    """The page that Prometheus reads."""

    def __init__(self, store: HealthStore, workers: Workers) -> None:
        self._store = store
        self._workers = workers

    async def text(self) -> bytes:
        """What it says now. It says less when the control store does not answer."""
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                health = await self._store.health()
        except (StoreBusy, TimeoutError):
            health = None
        return await asyncio.to_thread(exposition, health, self._workers())


def _read(path: Path) -> Iterator[Metric]:
    try:
        text = path.read_text()
    except OSError:
        # One that has just begun, or ended.
        return
    yield from text_string_to_metric_families(text)


def standing(health: Health | None) -> Iterator[Metric]:
    """The gauges of how things stand now. All servers of a store say the same."""
    yield GaugeMetricFamily("convergence_control_store_up", "Whether the control store answers.", float(bool(health)))
    if health is None:
        return
    oldest, behind = health.oldest_pending, health.mirror_behind_since
    yield GaugeMetricFamily("convergence_runs_pending", "Runs that wait.", health.pending_runs)
    yield GaugeMetricFamily("convergence_runs_active", "Runs that workers have.", health.active_runs)
    yield GaugeMetricFamily(
        "convergence_queue_age_seconds",
        "How long the run has waited that waits longest.",
        max(0.0, (health.now - oldest).total_seconds()) if oldest else 0.0,
    )
    yield GaugeMetricFamily(
        "convergence_outbox_depth", "Changes that the x_meta_ tables do not show yet.", health.mirror_backlog
    )
    yield GaugeMetricFamily(
        "convergence_mirror_lag_seconds",
        "How long ago the oldest of them was made.",
        max(0.0, (health.now - behind).total_seconds()) if behind else 0.0,
    )
    yield GaugeMetricFamily("convergence_workers", "Workers that have reported lately.", len(health.workers))
    faults = sum(bool(worker.report.warehouse_fault) for worker in health.workers)
    yield GaugeMetricFamily("convergence_workers_with_warehouse_fault", "Those whom the warehouse fails.", faults)
