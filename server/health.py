"""What of the service somebody has to look after."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from server.store.health_port import Health

MOST_BEHIND = timedelta(seconds=60)
"""So late the x_meta_ tables may be."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not get better by itself."""

    reason: str
    """NO_WORKER, WAREHOUSE_FAULT or MIRROR_BEHIND."""
    message: str


def problems(found: Health) -> Iterator[Problem]:
    """Everything that is not as it should be."""
    if not found.workers:
        yield Problem("NO_WORKER", "No worker has reported for 35 seconds: nothing is executed.")
    for worker in found.workers:
        if fault := worker.report.warehouse_fault:
            asker = worker.report.worker_id
            message = f"The warehouse does not do what worker {asker} asks ({fault}); the worker's log says why."
            yield Problem("WAREHOUSE_FAULT", message)
    if found.mirror_behind_since is not None and found.now - found.mirror_behind_since > MOST_BEHIND:
        seconds = (found.now - found.mirror_behind_since).total_seconds()
        message = f"The x_meta_ tables are {seconds:,.0f} s late, by {found.mirror_backlog:,} changes."
        yield Problem("MIRROR_BEHIND", message)
