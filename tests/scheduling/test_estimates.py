"""What the runs of a backfill would read: which days are planned, and what their plans are taken for."""

import asyncio

from server.backfills import BackfillRequest, Backfills
from server.domain.backfill import Backfill
from server.domain.faults import Fault
from server.domain.plan import Plan, PlanStep
from server.domain.run import Run, RunKind, RunStatus
from server.estimates import Estimates
from server.following import Following
from server.runs import Caller
from server.store.port import RunEnd, RunFilter
from tests.scheduling.office import DAILY, Office
from tests.store.records import BY, PLANS

OPERATOR = Caller("", BY, is_admin=True)


def reads(count: int) -> RunEnd:
    step = PlanStep(step_id="load", ps_type="gcp.bq_etl", estimated_bytes=count)
    return RunEnd(RunStatus.SUCCESS, plan=Plan(steps=(step,)))


async def planned(office: Office, end: str, *ends: RunEnd, tenant_ids: tuple[str, ...] = ("acme_corp",)) -> Backfill:
    """The plan of a backfill that begins with the 2025-11-01, while a worker ends the plans of its days."""

    async def work() -> None:
        for one in ends:
            while not (claim := await office.store.claim("worker", lease_seconds=30, plans=PLANS)):
                await office.store.wait_for_change(office.store.version, 0.05)
            await office.store.finish_run(claim.lease, one)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(work())
        request = BackfillRequest(DAILY, "2025-11-01", end, tenant_ids)
        return await office.backfills.plan(OPERATOR, request)


async def plans(office: Office, tenant_id: str = "acme_corp") -> list[Run]:
    wanted = RunFilter(tenant_id=tenant_id, template_name=DAILY.template_name, kind=RunKind.PLAN)
    return sorted(await office.store.list_runs(wanted, after=None, limit=99), key=lambda run: run.date)


async def test_a_few_days_are_all_planned(office: Office) -> None:
    found = await planned(office, "2025-11-04", reads(10), reads(20), reads(30))
    assert (found.estimated_bytes, found.total_runs) == (60, 3)


async def test_of_many_days_five_stand_for_all(office: Office) -> None:
    found = await planned(office, "2025-11-22", *(reads(count) for count in (10, 20, 30, 40, 50)))
    assert (found.estimated_bytes, found.total_runs) == (21 * 30, 21)
    assert [run.date for run in await plans(office)] == [f"2025-11-{day:02}" for day in (1, 6, 11, 16, 21)]


async def test_days_of_several_tenants_stand_for_all(office: Office) -> None:
    await office.onboard("beta_corp")
    found = await planned(office, "2025-11-11", *[reads(7)] * 5, tenant_ids=("acme_corp", "beta_corp"))
    assert (found.estimated_bytes, found.total_runs) == (140, 20)
    assert await plans(office, "acme_corp")
    assert await plans(office, "beta_corp")


async def test_what_would_make_runs_fail_is_told_and_nothing_is_estimated(office: Office) -> None:
    fault = Fault("TABLE_NOT_FOUND", "there is no table exports", field="source.query")
    found = await planned(
        office,
        "2025-11-04",
        reads(10),
        RunEnd(RunStatus.SUCCESS, plan=Plan(faults=(fault,))),
        RunEnd(RunStatus.FAILED, error_message="the warehouse is away"),
    )
    assert found.estimated_bytes == 0
    assert any("there is no table exports" in warning for warning in found.warnings)
    assert any("not estimated: the warehouse is away" in warning for warning in found.warnings)


async def test_without_a_worker_there_is_no_estimate_and_no_plan_is_left(office: Office) -> None:
    following = Following(office.store, max_streams=9, max_streams_per_key=9)
    estimates = Estimates(office.store, office.runs, longest_seconds=0.1)
    office.backfills = Backfills(office.store, office.runs, office.plans, estimates, following)
    found = await planned(office, "2025-11-22")
    assert (found.total_runs, found.estimated_bytes) == (21, 0)
    assert any("did not end in time" in warning for warning in found.warnings)
    assert [run.status for run in await plans(office)] == [RunStatus.CANCELLED] * 5


async def test_a_queue_that_is_too_short_for_the_plans_keeps_none_of_them(office: Office) -> None:
    await office.onboard("less_corp", plan="short")
    found = await planned(office, "2025-11-22", tenant_ids=("less_corp",))
    assert (found.total_runs, found.estimated_bytes) == (21, 0)
    assert any(warning.startswith("not estimated: ") and "max_pending_runs" in warning for warning in found.warnings)
    assert [run.status for run in await plans(office, "less_corp")] == [RunStatus.CANCELLED] * 3


async def test_no_days_are_no_plans(office: Office) -> None:
    await office.backfill(end="2025-11-03")
    await office.look()
    await office.end()
    await office.look()
    await office.end()
    found = await planned(office, "2025-11-03")
    assert (found.total_runs, found.estimated_bytes, await plans(office)) == (0, 0, [])
