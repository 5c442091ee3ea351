"""A run that is watched while the server is killed."""

import asyncio
import os
import signal
from pathlib import Path

from convergence.v1.run_pb2 import Run, RunEvent, StepRun
from tests.chaos.conftest import Stores
from tests.chaos.invariants import require_events
from tests.chaos.service import TENANT, Service, running
from tests.e2e.service import start


class Watcher:
    """Kills the server at a run's first event and when its gate waits; lets the run go on as soon as it hears nothing.

    So there is something to miss: it happens while no server is there. The run's worker is not the server's.
    """

    def __init__(self, service: Service, gate: Path) -> None:
        self._service = service
        self._gate = gate
        self.told: list[RunEvent] = []
        self.losses = 0

    def hear(self, event: RunEvent) -> None:
        is_heard_again = event in self.told
        self.told.append(event)
        if not is_heard_again and (event.sequence == 1 or _is_at_gate(event)):
            assert self._service.server.pid
            os.kill(self._service.server.pid, signal.SIGKILL)

    def lose(self) -> None:
        self.losses += 1
        if any(map(_is_at_gate, self.told)):
            (self._gate / "open").touch()


def _is_at_gate(event: RunEvent) -> bool:
    return (event.step.step_id, event.step.status) == ("gate", StepRun.RUNNING)


async def test_a_watcher_misses_nothing_and_hears_nothing_twice(stores: Stores, folder: Path) -> None:
    place = await stores.copy("sqlite", folder)
    async with running(place, alone=True) as service, service.client() as client:
        watcher = Watcher(service, folder)
        run = await start(client, TENANT, "trial/gate", variables={"folder": str(folder)})
        async with asyncio.timeout(60):
            async for event in client.watch(TENANT, run.pipeline_logging_id, on_connection_loss=watcher.lose):
                watcher.hear(event)
        ended = await client.get_run(TENANT, run.pipeline_logging_id)
        assert (ended.status, watcher.losses > 0) == (Run.SUCCESS, True)
        require_events(ended, watcher.told)
        assert watcher.told == [event async for event in client.watch(TENANT, run.pipeline_logging_id)]
