"""How long the control store remembers."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from random import random
from typing import Protocol

from server.store.port import ControlStore, EndPosition, StoreBusy

_INTERVAL_SECONDS = 3_600.0
_BATCH = 50
# Between two batches, for those who wait to write.
_PAUSE_SECONDS = 0.05

logger = logging.getLogger(__name__)


class _Remove(Protocol):
    """Removes some of what is older than that; answers how many."""

    def __call__(self, *, older_than_days: float, limit: int) -> Awaitable[int]: ...


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
        runs = 0 if self._run_days is None else await self._remove_all(self._store.remove_runs, self._run_days)
        bare = await self._remove_events(self._event_days) if self._event_days is not None else 0
        if self._run_days is not None:
            await self._remove_all(self._store.remove_ticks, self._run_days)
            await self._remove_all(self._store.remove_backfills, self._run_days)
        await self._store.remove_usage()
        await self._store.destroy_superseded_credentials()
        return Removed(runs, bare)

    async def _remove_all(self, remove: _Remove, days: float) -> int:
        """Remove batch after batch; answers how many."""
        total = 0
        while removed := await remove(older_than_days=days, limit=_BATCH):
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
