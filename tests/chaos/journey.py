"""A client that wants its pipeline's work done, whatever becomes of single calls and runs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run
from tests.chaos.clients import Clerk
from tests.chaos.history import UNSURE
from tests.e2e.service import TERMINAL

T = TypeVar("T")

ENDED_SECONDS = 60
_RETRIES = 3


@dataclass
class Journey:
    """Runs of the pipeline `books`, each gone on with until it has succeeded."""

    clerk: Clerk
    runs: dict[str, Run] = field(default_factory=dict)
    """All, as they ended."""
    seconds: float = ENDED_SECONDS
    """How long each may take."""

    async def go(self, account: str) -> None:
        """One account's. Raises TimeoutError when it takes longer."""
        async with asyncio.timeout(self.seconds):
            accepted = await _answered(partial(self.clerk.run, "books", f"run-{account}", account=account))
            run = await self._ended(accepted)
            for _ in range(_RETRIES):
                if run.status == Run.SUCCESS:
                    return
                failed = run.pipeline_logging_id
                run = await self._ended(await _answered(partial(self.clerk.retry, failed, f"retry-{failed}")))
        assert run.status == Run.SUCCESS, run

    async def _ended(self, run: Run) -> Run:
        while run.status not in TERMINAL:
            await asyncio.sleep(0.1)
            run = await _answered(partial(self.clerk.get, run.pipeline_logging_id))
        self.runs[run.pipeline_logging_id] = run
        return run


async def _answered(call: Callable[[], Awaitable[T]]) -> T:
    """The answer, however often the question is lost, or the server fails: the history tells of that."""
    while True:
        try:
            return await call()
        except ConvergenceError as error:
            if error.reason not in UNSURE:
                raise
        await asyncio.sleep(0.1)
