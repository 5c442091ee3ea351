"""Runs as they are listed and counted: every driver does it in the same way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.pipeline import PipelineName
from server.domain.run import RunKind, RunStatus, RunTrigger
from server.store.port import RunEnd, RunFilter, RunPosition
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import PLANS, claimed, new_run

HOUR = timedelta(hours=1)


async def accept(store: SqlStore, **changes: object) -> str:
    run = await store.accept_run(replace(new_run(), **changes), PLANS)  # type: ignore[arg-type] # of several kinds, by name
    return run.pipeline_logging_id


async def listed(store: SqlStore, **wanted: object) -> list[str]:
    found = await store.list_runs(RunFilter(**wanted), after=None, limit=99)  # type: ignore[arg-type] # of several kinds, by name
    return [run.pipeline_logging_id for run in found]


async def test_by_trigger(store: SqlStore, clock: Clock) -> None:
    made = {}
    for trigger in (RunTrigger.API, RunTrigger.RETRY, RunTrigger.SCHEDULE):
        made[trigger] = await accept(store, trigger=trigger)
        clock.advance(1)
    wanted = (RunTrigger.SCHEDULE, RunTrigger.API)
    assert await listed(store, triggers=wanted) == [made[trigger] for trigger in wanted]


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("costs", True),
        ("CORP-Costs", True),
        ("acme", True),
        ("%", False),
        ("acme!corp", False),
        ("acmeXcorp", False),
        ("acme_corp", True),
        ("\0", False),
        ("before it started", True),
    ],
)
async def test_by_text(store: SqlStore, text: str, is_found: bool) -> None:
    run_id = await accept(store)
    await accept(store, tenant_id="other", pipeline_id="beta-bills")
    await store.request_cancel(run_id, by=new_run().by)
    assert await listed(store, text=text) == ([run_id] if is_found else [])


async def test_by_a_part_of_the_id(store: SqlStore) -> None:
    run_id = await accept(store)
    await accept(store)
    assert await listed(store, text=run_id[4:30].upper()) == [run_id]


async def test_the_oldest_first_page_by_page(store: SqlStore, clock: Clock) -> None:
    made = []
    for _ in range(5):
        made.append(await accept(store))
        clock.advance(1)
    wanted, found, after = RunFilter(is_oldest_first=True, statuses=(RunStatus.PENDING, RunStatus.FAILED)), [], None
    while page := await store.list_runs(wanted, after=after, limit=2):
        found += [run.pipeline_logging_id for run in page]
        after = RunPosition(page[-1].created_at, page[-1].pipeline_logging_id)
    assert found == made


async def test_counts_are_of_every_status(store: SqlStore) -> None:
    await accept(store)
    await accept(store)
    await accept(store, tenant_id="other")
    claim = await claimed(store)
    await store.finish_run(claim.lease, RunEnd(RunStatus.FAILED, "why"))
    await accept(store, kind=RunKind.PLAN)
    wanted = RunFilter(tenant_id=claim.run.tenant_id, statuses=(RunStatus.SUCCESS,))
    counts = await store.count_runs(wanted)
    assert counts[RunStatus.FAILED] == 1
    assert sum((await store.count_runs(RunFilter())).values()) == 3
    assert await store.count_runs(RunFilter(text="nowhere")) == {}


async def test_statistics_of_a_period(store: SqlStore, clock: Clock) -> None:
    start = clock.now
    daily = PipelineName("gcp", "cost", "daily")
    for name, seconds, status in (
        (daily, 10, RunStatus.SUCCESS),
        (daily, 30, RunStatus.FAILED),
        (PipelineName("aws", "cost", "cur"), 5, RunStatus.SUCCESS),
    ):
        await accept(store, name=name)
        claim = await claimed(store)
        clock.advance(seconds)
        await store.finish_run(claim.lease, RunEnd(status))
        clock.now = clock.now.replace(minute=0, second=0) + HOUR
    await accept(store, tenant_id="other", name=daily)
    waiting_since = clock.now
    clock.advance(60)
    await accept(store, tenant_id="other", kind=RunKind.PLAN)

    found = await store.run_statistics(None, start, start + 4 * HOUR, 4)
    assert list(found.buckets) == [
        {RunStatus.SUCCESS: 1},
        {RunStatus.FAILED: 1},
        {RunStatus.SUCCESS: 1},
        {RunStatus.PENDING: 1},
    ]
    first, second = found.pipelines
    assert (first.name, first.runs_by_status) == (
        daily,
        {RunStatus.SUCCESS: 1, RunStatus.FAILED: 1, RunStatus.PENDING: 1},
    )
    assert (first.mean_seconds, first.longest_seconds) == (20, 30)
    assert (second.mean_seconds, second.longest_seconds) == (5, 5)
    assert (found.pending, found.active, found.oldest_pending) == (2, 0, waiting_since)

    of_tenant = await store.run_statistics("acme_corp", start, start + HOUR, 1)
    assert list(of_tenant.buckets) == [{RunStatus.SUCCESS: 1}]
    assert (of_tenant.pending, of_tenant.oldest_pending) == (0, None)


async def test_a_period_without_runs(store: SqlStore) -> None:
    found = await store.run_statistics(None, datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC), 3)
    assert (list(found.buckets), list(found.pipelines)) == ([{}, {}, {}], [])
    assert (found.pending, found.active, found.oldest_pending) == (0, 0, None)


async def test_a_period_that_does_not_divide_evenly(store: SqlStore, clock: Clock) -> None:
    since = clock.now - timedelta(microseconds=99)
    await accept(store)
    found = await store.run_statistics(None, since, clock.now + timedelta(microseconds=1), 7)
    assert [sum(bucket.values()) for bucket in found.buckets] == [0] * 6 + [1]
