"""How long the control store remembers."""

import asyncio
import logging
from dataclasses import dataclass
from random import random

from server.store.port import ControlStore, EndPosition, StoreBusy

_INTERVAL_SECONDS = 3_600.0
_BATCH = 50
# Between two batches, for those who wait to write.
_PAUSE_SECONDS = 0.05

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Removed:
    """What one round removed."""

    runs: int = 0
    runs_without_events: int = 0
    """Runs of which only the last event was left."""


class Retention:
    """Removes what is older than the settings want to keep; None keeps everything. Several may be at it at once."""

    def __init__(self, store: ControlStore, *, run_days: float | None, event_days: float | None) -> None:
        self._store = store
        self._run_days = run_days
        self._event_days = event_days
        self._events_done = EndPosition(0, "")

    async def run(self) -> None:
        """A round each hour, until cancelled."""
        while True:
            # Processes that start together need not work together.
            await asyncio.sleep(_INTERVAL_SECONDS * (0.01 + random() / 10))  # noqa: S311
            try:
                removed = await self.round()
            except StoreBusy:
                logger.warning("Retention could not reach the control store; it goes on in the next round")
            else:
                logger.log(logging.INFO if removed != Removed() else logging.DEBUG, "Retention removed %s", removed)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def round(self) -> Removed:
        """Remove everything that is too old now. Raises StoreBusy."""
        runs = await self._remove_runs(self._run_days) if self._run_days is not None else 0
        bare = await self._remove_events(self._event_days) if self._event_days is not None else 0
        await self._store.remove_usage()
        await self._store.destroy_superseded_credentials()
        return Removed(runs, bare)

    async def _remove_runs(self, days: float) -> int:
        total = 0
        while removed := await self._store.remove_runs(older_than_days=days, limit=_BATCH):
            total += removed
            await asyncio.sleep(_PAUSE_SECONDS)
        return total

    async def _remove_events(self, days: float) -> int:
        """Runs are gone through in the order of their ends, each once."""
        total = 0
        while True:
            page = await self._store.remove_events(older_than_days=days, after=self._events_done, limit=_BATCH)
            total += page.runs
            self._events_done = page.last
            if page.is_end:
                return total
            await asyncio.sleep(_PAUSE_SECONDS)
