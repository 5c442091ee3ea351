"""Tells the control store, and with it the operators, that this worker is there and how it gets on."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from server.store.health_port import SILENT_SECONDS, HealthStore, WorkerReport
from server.store.port import StoreBusy

# One that gets lost is no matter.
_REPORT_SECONDS = SILENT_SECONDS / 3.5


class Reporting:
    """Reports, until cancelled."""

    def __init__(self, store: HealthStore, look: Callable[[], WorkerReport]) -> None:
        """`look` says how the worker gets on."""
        self._store = store
        self._look = look

    async def run(self) -> None:
        """Report now and every ten seconds."""
        while True:
            with suppress(StoreBusy):
                await self._store.report_worker(self._look())
            await asyncio.sleep(_REPORT_SECONDS)

    async def finish(self) -> None:
        """The worker ends."""
        with suppress(StoreBusy):
            await self._store.forget_worker(self._look().worker_id)
