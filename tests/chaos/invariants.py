"""What holds of a service when all its runs have ended, whatever happened before."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from typing import Any

from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run, RunEvent
from convergence.v1.system_service_pb2 import CheckStoreRequest
from server.domain.schema import DatasetRef
from server.settings import Settings
from server.store.opening import open_store
from server.warehouse.bigquery import BigQueryWarehouse
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import Warehouse
from tests.chaos.history import ORDER, TERMINAL
from tests.chaos.service import TENANT, Place
from tests.e2e.service import delivered, without_deliveries

OWN = DatasetRef(Settings().project, TENANT)
COPIED_SECONDS = 60
"""Twice as long as a worker that is lost may have the tables of a tenant."""

Rows = list[tuple[Any, ...]]


async def require_settled(client: ConvergenceClient, runs: Iterable[Run], tenant_id: str = TENANT) -> None:
    """What the API says: these runs and no others, each at its end for good, with all its events; no slot in use."""
    listed = {run.pipeline_logging_id async for run in client.iter_runs(tenant_id, provider="chaos")}
    assert listed == {run.pipeline_logging_id for run in runs}
    for run in runs:
        now = await delivered(client, run)
        assert without_deliveries(now) == without_deliveries(run), "a run that has ended does not change"
        require_events(run, [event async for event in client.watch(tenant_id, run.pipeline_logging_id)])
    await _require_free(client, tenant_id)
    findings = (await client.system.CheckStore(CheckStoreRequest())).findings
    assert not findings, findings


async def require_copied(place: Place) -> None:
    """Before long, nothing is left to be copied into the x_meta_ tables. Raises TimeoutError."""
    store = await open_store(
        database_url=place.database_url or None, path=place.state_dir / Settings().control_store_path.name
    )
    try:
        async with asyncio.timeout(COPIED_SECONDS):
            while await store.outbox(skip=(), limit=1):
                await asyncio.sleep(0.1)
    finally:
        await store.close()


def require_events(run: Run, events: list[RunEvent]) -> None:
    """1..n, never back, and the last one is the run's end."""
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    statuses = [Run.Status.Name(event.run.status) for event in events if event.HasField("run")]
    assert statuses == sorted(statuses, key=ORDER.__getitem__), statuses
    assert [status for status in statuses if status in TERMINAL] == [Run.Status.Name(run.status)]
    assert events[-1].HasField("run")
    assert all(event.run.steps for event in events[:1])


async def _require_free(client: ConvergenceClient, tenant_id: str) -> None:
    usage = {quota.quota: quota.used for quota in (await client.get_usage(tenant_id)).quotas}
    assert (usage["max_concurrent_runs"], usage["max_pending_runs"]) == (0, 0)


@dataclass(frozen=True)
class Books:
    """What the pipeline `books` leaves in the warehouse."""

    entries: Rows
    balances: Rows


async def books(place: Place, tenant_id: str = TENANT) -> Books:
    """Those of a service; one with an embedded warehouse has to be stopped."""
    async with _rows_of(place, tenant_id) as rows:
        return Books(
            await rows("SELECT account, n FROM entries ORDER BY account, n"),
            await rows("SELECT account, amount FROM balances ORDER BY account, amount"),
        )


async def require_mirrored(place: Place, runs: Iterable[Run], tenant_id: str = TENANT) -> None:
    """The x_meta_ tables have one row for each record, in its last state; when everything is copied."""
    expected_runs = [(run.pipeline_logging_id, Run.Status.Name(run.status)) for run in runs]
    expected_steps = [
        (run.pipeline_logging_id, step.step_id, type(step).Status.Name(step.status), step.attempt)
        for run in runs
        for step in run.steps
    ]
    wanted = f"WHERE STARTS_WITH(pipeline_id, '{tenant_id}-books-') OR pipeline_id = '{tenant_id}-pauses'"
    async with _rows_of(place, tenant_id) as rows:
        assert sorted(expected_runs) == await rows(
            f"SELECT pipeline_logging_id, status FROM x_meta_pipeline_runs {wanted} ORDER BY 1, 2"
        )
        assert sorted(expected_steps) == await rows(
            f"SELECT pipeline_logging_id, step_id, status, attempt FROM x_meta_step_logs {wanted} ORDER BY 1, 2, 3, 4"
        )
        assert sorted((run_id, "DONE") for run_id, _ in expected_runs) == await rows(
            f"SELECT pipeline_logging_id, status FROM x_meta_pipeline_queue {wanted} ORDER BY 1, 2"
        )
        assert await rows("SELECT COUNT(*), COUNT(DISTINCT key_id) FROM x_meta_api_keys") == [(1, 1)]


def require_mails(succeeded: Iterable[Run], *places: Place) -> None:
    """At least one for each; that of a step which ran again has the same Message-ID, by which its readers know it."""
    folders = [place.state_dir / "mail" for place in places]
    mails = [message_from_bytes(file.read_bytes()) for folder in folders for file in folder.glob("*.eml")]
    found = {mail["Message-ID"] for mail in mails}
    wanted = {f"<{run.pipeline_logging_id}.tell@convergence>" for run in succeeded}
    assert found == wanted


@asynccontextmanager
async def _rows_of(place: Place, tenant_id: str) -> AsyncIterator[Callable[[str], Awaitable[Rows]]]:
    """What statements give on the tenant's dataset."""
    warehouse, own = await _open(place), DatasetRef(OWN.project, tenant_id)

    async def rows(statement: str) -> Rows:
        return list((await warehouse.query(statement, default_dataset=own, max_rows=100_000)).rows)

    try:
        yield rows
    finally:
        await warehouse.close()


async def _open(place: Place) -> Warehouse:
    if endpoint := place.settings.get("bigquery_endpoint"):
        return await BigQueryWarehouse.open(project=OWN.project, location="US", endpoint=endpoint)
    return await EmbeddedWarehouse.open(place.state_dir / "warehouse.duckdb", project=OWN.project)
