"""A service with stores of its own, and what its benchmarks do with it."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run
from tests.e2e.service import Service, make_checkout, onboard

NOOP = """
class Noop:
    async def execute(self, step_config, context):
        return {"status": "SUCCESS"}


def get_engine():
    return Noop()
"""
WAIT = """
import asyncio


class Wait:
    async def execute(self, step_config, context):
        await asyncio.sleep(0.3)
        return {"status": "SUCCESS"}


def get_engine():
    return Wait()
"""
_FILES = {
    "processors/bench/noop.py": NOOP,
    "processors/bench/wait.py": WAIT,
    "configs/bench/waiting.yml": "pipeline_id: wait\nsteps: [{step_id: wait, ps_type: bench.wait}]\n",
    **{
        f"configs/bench/steps_{count}.yml": 'pipeline_id: "{tenant_id}-noop"\nsteps:\n'
        + "".join(f"  - {{step_id: step_{number}, ps_type: bench.noop}}\n" for number in range(count))
        for count in (1, 5)
    },
}
ONE_STEP, FIVE_STEPS, WAITING = "steps_1", "steps_5", "waiting"
"""Pipelines; the last one's step waits for 0.3 s, as one does for a warehouse."""


def add_files(checkout: Path) -> None:
    """A processor that does nothing, and pipelines of it."""
    for path, text in _FILES.items():
        (checkout / path).parent.mkdir(exist_ok=True)
        (checkout / path).write_text(text)


@asynccontextmanager
async def service(folder: Path, *, tenants: Sequence[str] = (), **settings: str) -> AsyncIterator[Service]:
    """A server with its worker as they are by themselves, processors that do nothing, and tenants."""
    checkout = make_checkout(folder / "checkout")
    add_files(checkout)
    started = await Service.start(checkout, **settings)
    try:
        for tenant_id in tenants:
            await onboard(started, tenant_id)
        yield started
    finally:
        await started.stop()


@asynccontextmanager
async def again(stopped: Service, **settings: str) -> AsyncIterator[Service]:
    """The same service after a restart, with other settings."""
    started = await Service.start(stopped.checkout, **settings)
    try:
        yield started
    finally:
        await started.stop()


async def submit(client: ConvergenceClient, tenant_id: str, template_name: str = ONE_STEP) -> Run:
    """Start a run of a pipeline that does nothing."""
    return await client.run_pipeline(tenant_id=tenant_id, provider="bench", template_name=template_name)


async def follow(client: ConvergenceClient, run: Run) -> None:
    """Read a run's events to the last."""
    async for _ in client.watch(run.tenant_id, run.pipeline_logging_id):
        pass


def ended(started: Service, provider: str = "bench") -> int:
    """Runs that have ended, by the embedded control store: nobody is asked for it."""
    path = started.checkout / "var" / "control.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        statement = "SELECT COUNT(*) FROM runs WHERE status = 'SUCCESS' AND provider = ?"
        count: int = connection.execute(statement, (provider,)).fetchone()[0]
    return count
