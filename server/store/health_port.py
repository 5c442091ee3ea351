"""The port of the store by which workers tell how they are. The control store fills it too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

SILENT_SECONDS = 35.0
"""A worker that has said nothing for so long is gone."""
MOST_COUNTED = 100_000
"""What is more than that is not counted to its end."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker tells of itself."""

    worker_id: str
    version: str
    places: int
    """Runs that it may have at a time."""
    running: int
    """Runs that it has."""
    warehouse_fault: str
    """The reason for which the warehouse does not do what the worker asks of it; '' while it does."""


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A worker that is there."""

    report: WorkerReport
    started_at: datetime
    """When it first reported."""
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """How workers, queue and mirror stand."""

    workers: Sequence[SeenWorker]
    mirror_backlog: int
    """Changes that the x_meta_ tables do not show yet, at most MOST_COUNTED."""
    mirror_behind_since: datetime | None
    """When the oldest of them was made; None when there are none."""
    pending_runs: int
    active_runs: int
    oldest_pending: datetime | None
    """When the run was accepted that waits longest; None when none does."""
    now: datetime
    """The store's time."""


class HealthStore(Protocol):
    """Each method may raise StoreBusy."""

    async def report_worker(self, report: WorkerReport) -> None:
        """Note what a worker tells; what is gone is forgotten."""
        ...

    async def forget_worker(self, worker_id: str) -> None:
        """The worker ends."""
        ...

    async def health(self) -> Health:
        """How workers and the mirror stand."""
        ...
