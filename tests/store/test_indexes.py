"""What claims and lists read: as much with a long history as without."""

import re

import pytest

from server.domain.run import Run, RunStatus
from server.store.port import RunEnd, RunFilter, RunPosition
from server.store.sql import leases, run_lists
from server.store.sql.database import Transaction
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.explained import Explained
from tests.store.records import BY, PLANS, claimed, multiply, new_run

OPEN = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.CANCELLING)
FAILED = (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT)
# Those that have the runs of a status; all others have what has been.
BY_STATUS = {
    *("runs_by_status", "runs_of_tenant_by_status", "runs_waiting", "runs_waiting_of_backfills", "runs_active")
}


def indexes(explained: Explained) -> set[str]:
    """Those that were used; every look has to go through one."""
    plan = explained.plan
    assert not re.search(r"Seq Scan on runs|SCAN runs(?! USING INDEX)", plan), plan
    return set(re.findall(r"(?:INDEX|using|Index Scan on) (runs_\w+)", plan)) - {"runs_pkey"}


async def ended(store: SqlStore, tenant_id: str, status: RunStatus) -> Run:
    await store.accept_run(new_run(tenant_id), PLANS)
    return await store.finish_run((await claimed(store)).lease, RunEnd(status))


@pytest.fixture
async def old(store: SqlStore) -> SqlStore:
    """A store with a history of thousands of runs, of which few have failed and few are active."""
    for tenant_id, status, times in (
        ("acme_corp", RunStatus.SUCCESS, 3_000),
        ("other_tenant", RunStatus.SUCCESS, 3_000),
        ("acme_corp", RunStatus.FAILED, 10),
    ):
        run = await ended(store, tenant_id, status)
        await store._db.write(lambda tx, run=run, times=times: multiply(tx, run, times))  # type: ignore[misc]
    for _ in range(4):
        await store.accept_run(new_run(), PLANS)
    await claimed(store)
    cancelled = await claimed(store)
    await store.request_cancel(cancelled.run.pipeline_logging_id, by=BY)
    # PostgreSQL does that by itself after so many changes, and nobody does it for SQLite.
    await store._db.write(lambda tx: tx.execute("ANALYZE runs") if tx.for_update else None)
    return store


@pytest.mark.parametrize("tenant_id", ["acme_corp", None])
async def test_a_list_by_status_reads_no_run_in_another(old: SqlStore, tenant_id: str | None) -> None:
    def look(tx: Transaction, statuses: tuple[RunStatus, ...]) -> None:
        explained = Explained(tx, "runs")
        found = run_lists.list_runs(explained, RunFilter(tenant_id=tenant_id, statuses=statuses), None, 50)
        assert {run.status for run in found} <= set(statuses)
        used = indexes(explained)
        assert used, explained.plan
        assert used <= BY_STATUS, explained.plan

    for statuses in (*((status,) for status in (*OPEN, *FAILED)), OPEN, FAILED):
        await old._db.read(lambda tx, statuses=statuses: look(tx, statuses))  # type: ignore[misc]


async def test_a_claim_reads_no_run_that_has_ended(old: SqlStore) -> None:
    def claim(tx: Transaction) -> set[str]:
        explained = Explained(tx, "runs")
        assert leases.claim(explained, "w1", 30_000_000, PLANS, suspects=True, backfills=True) is not None
        return indexes(explained)

    used = await old._db.write(claim)
    assert used
    assert used <= BY_STATUS


async def test_several_statuses_are_listed_newest_first_without_gap(store: SqlStore, clock: Clock) -> None:
    made = []
    for position in range(12):
        # Some share a moment, so that the id has to break the tie.
        clock.advance(position % 2)
        if position % 3:
            made.append(await ended(store, "acme_corp", [RunStatus.FAILED, RunStatus.TIMED_OUT][position % 2]))
        else:
            await ended(store, "acme_corp", RunStatus.SUCCESS)
    wanted = RunFilter(tenant_id="acme_corp", statuses=(RunStatus.TIMED_OUT, RunStatus.FAILED, RunStatus.FAILED))
    seen, after = list[Run](), None
    while page := await store.list_runs(wanted, after=after, limit=3):
        seen += page
        after = RunPosition(page[-1].created_at, page[-1].pipeline_logging_id)
    keys = [(run.created_at, run.pipeline_logging_id) for run in seen]
    assert keys == sorted(((run.created_at, run.pipeline_logging_id) for run in made), reverse=True)
