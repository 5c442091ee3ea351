"""Clients that make any call about any run, and so meet one another."""

import asyncio
import random
import uuid
from dataclasses import dataclass, field

from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run
from tests.chaos.clients import Clerk
from tests.chaos.history import UNSURE
from tests.e2e.service import TERMINAL

ENDED_SECONDS = 90


@dataclass
class Table:
    """What the clients share: the runs that they know of, and the ids of their requests."""

    chance: random.Random
    runs: list[str] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def request(self) -> tuple[str, dict[str, str]]:
        """A new request, or one that somebody has made or is making."""
        if self.requests and self.chance.random() < 0.4:
            return self.chance.choice(self.requests[-3:])
        variables = {"seconds": f"{self.chance.uniform(0, 0.2):.2f}", "fails": self.chance.choice(["no", "yes"])}
        self.requests.append((str(uuid.UUID(int=self.chance.getrandbits(128))), variables))
        return self.requests[-1]

    def run(self) -> str:
        """One of the latest runs, so that clients meet; or any, which may have ended long ago."""
        return self.chance.choice(self.runs if self.chance.random() < 0.3 else self.runs[-4:])

    def add(self, run: Run) -> None:
        if run.pipeline_logging_id not in self.runs:
            self.runs.append(run.pipeline_logging_id)


async def call_any(clerk: Clerk, table: Table) -> None:
    """Any call about any run; refusals and losses are part of the game, and the history judges them.

    There are few new runs among them, so that runs end while there is more to ask about them.
    """
    drawn = table.chance.random()
    try:
        if drawn < 0.06 or not table.runs:
            request_id, variables = table.request()
            table.add(await clerk.run("pauses", request_id, **variables))
        elif drawn < 0.12:
            await clerk.cancel(table.run())
        elif drawn < 0.3:
            run_id = table.run()
            # Some clients repeat a request of others, some make one of their own.
            own = table.chance.choice(["", f"-{table.chance.random()}"])
            table.add(await clerk.retry(run_id, f"retry-{run_id}{own}"))
        else:
            await clerk.get(table.run())
    except ConvergenceError as error:
        if error.reason not in UNSURE | {"RUN_FINISHED", "RUN_NOT_RETRYABLE"}:
            raise


async def finish(clerk: Clerk, table: Table) -> list[Run]:
    """Every run that was accepted, at its end."""
    ended = []
    async with asyncio.timeout(ENDED_SECONDS):
        for run_id in table.runs:
            while (run := await clerk.get(run_id)).status not in TERMINAL:
                await asyncio.sleep(0.1)
            ended.append(run)
    return ended
