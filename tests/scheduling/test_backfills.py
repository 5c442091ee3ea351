"""Backfills: which days are run, in which order, how many at a time, and that they yield."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest

from server.backfills import BackfillRequest
from server.domain.backfill import BackfillOrder, BackfillSettings, BackfillState, Reprocess
from server.domain.pipeline import PipelineName
from server.domain.run import RunStatus, RunTrigger
from server.domain.tenant import TenantState
from server.errors import (
    BackfillFinished,
    BackfillNotFound,
    InvalidRequest,
    PipelineMissing,
    RequestIdReused,
    TenantNotActive,
    TenantNotFound,
)
from server.preparation import RunRequest
from server.runs import Caller
from server.store.port import RequestKey, RunEnd, RunFilter
from server.store.schedule_port import BackfillFilter, BackfillPosition, NewBackfill
from server.store.sql import backfills
from server.store.sql.database import Transaction
from tests.scheduling.office import DAILY, Office
from tests.store.explained import Explained
from tests.store.records import BY, PLANS

OPERATOR = Caller("", BY, is_admin=True)
TENANT = Caller("acme_corp", BY)


async def run_day(office: Office, day: str, status: RunStatus) -> None:
    await office.runs.start(TENANT, RunRequest(DAILY, day))
    await office.end(status)


async def test_days_are_run_one_after_the_other(office: Office) -> None:
    made = await office.backfill()
    assert (made.state, made.total_runs, made.waiting_runs) == (BackfillState.ACTIVE, 3, 3)
    for number, day in enumerate(["2025-11-01", "2025-11-02", "2025-11-03"]):
        await office.look()
        assert (await office.dates())[number:] == [day]
        assert await office.end() == [day]
    await office.look()
    ended = await office.state_of(made)
    assert (ended.state, ended.waiting_runs, ended.runs_by_status) == (BackfillState.FINISHED, 0, {"SUCCESS": 3})
    assert ended.finished_at == office.clock.now
    assert {(run.trigger, run.backfill_id, run.created_by) for run in await office.made()} == {
        (RunTrigger.BACKFILL, made.backfill_id, BY.key_id)
    }


async def test_several_at_a_time_and_the_newest_first(office: Office) -> None:
    await office.backfill(end="2025-11-06", order=BackfillOrder.NEWEST_FIRST, max_active_runs=2)
    await office.look()
    assert sorted(await office.dates()) == ["2025-11-04", "2025-11-05"]
    # In one moment it may be either of them.
    await office.end()
    await office.look()
    assert sorted(await office.dates()) == ["2025-11-03", "2025-11-04", "2025-11-05"]


@pytest.mark.parametrize(
    ("reprocess", "dates"),
    [
        (Reprocess.NONE, ["2025-11-01", "2025-11-05"]),
        (Reprocess.ONLY_FAILED, ["2025-11-01", "2025-11-03", "2025-11-05"]),
        (Reprocess.ALL, [f"2025-11-0{day}" for day in range(1, 6)]),
    ],
)
async def test_days_that_have_been_run(office: Office, reprocess: Reprocess, dates: list[str]) -> None:
    # The second has failed first and succeeded then, the third the other way round; the fourth is under way.
    await run_day(office, "2025-11-02", RunStatus.FAILED)
    office.clock.advance(1)
    await run_day(office, "2025-11-02", RunStatus.SUCCESS)
    await run_day(office, "2025-11-03", RunStatus.SUCCESS)
    office.clock.advance(1)
    await run_day(office, "2025-11-03", RunStatus.TIMED_OUT)
    await office.runs.start(TENANT, RunRequest(DAILY, "2025-11-04"))
    made = await office.backfill(end="2025-11-06", reprocess=reprocess, max_active_runs=9)
    assert (made.total_runs, made.skipped_days) == (len(dates), 5 - len(dates))
    office.clock.advance(1)
    await office.look()
    found = await office.store.list_runs(RunFilter(backfill_id=made.backfill_id), after=None, limit=9)
    assert sorted(run.date for run in found) == dates


async def test_with_nothing_to_run_it_has_finished(office: Office) -> None:
    await run_day(office, "2025-11-01", RunStatus.SUCCESS)
    made = await office.backfill(end="2025-11-02")
    assert (made.state, made.total_runs, made.skipped_days) == (BackfillState.FINISHED, 0, 1)


async def test_tenants_get_on_together(office: Office) -> None:
    await office.onboard("beta_corp")
    await office.onboard("gone_corp")
    await office.set_state(TenantState.SUSPENDED, "gone_corp")
    made = await office.backfill(end="2025-11-03", tenant_ids=(), all_tenants=True, max_active_runs=2)
    assert (made.tenant_ids, made.total_runs) == (("acme_corp", "beta_corp"), 4)
    await office.look()
    assert await office.dates("acme_corp") == await office.dates("beta_corp") == ["2025-11-01"]
    # Nobody's own: only an operator sees it.
    with pytest.raises(BackfillNotFound):
        await office.backfills.get(TENANT, made.backfill_id)
    assert await office.backfills.get(OPERATOR, made.backfill_id) == await office.state_of(made)


async def test_everything_that_is_wrong_is_told_at_once(office: Office) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await office.backfill(
            "2025-11-31", "x", variables={"date": "2025-11-01", "region": "EU", "z": "1"}, max_active_runs=101
        )
    assert sorted(fault.field for fault in refused.value.faults) == sorted(
        ["start_date", "end_date", "variables.date", "variables.region", "variables.z", "max_active_runs"]
    )
    assert not await office.backfills.list(BackfillFilter(), after=None, limit=9)


async def test_a_pipeline_that_is_not_there_is_told_with_the_rest(office: Office) -> None:
    (office.folder / "configs" / f"{DAILY}.yml").unlink()
    with pytest.raises(InvalidRequest) as refused:
        await office.backfill("x", max_active_runs=101)
    assert sorted(fault.field for fault in refused.value.faults) == ["max_active_runs", "start_date", "template_name"]


@pytest.mark.parametrize("named", [(), tuple(f"t{number}" for number in range(100_000))])
async def test_tenants_that_are_none_or_too_many_are_told_with_the_rest(office: Office, named: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await office.backfill("x", tenant_ids=named, max_active_runs=101)
    assert sorted(fault.field for fault in refused.value.faults) == ["max_active_runs", "start_date", "tenant_ids"]


async def test_a_tenant_that_is_not_there_is_told_with_the_rest(office: Office) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await office.backfill("x", tenant_ids=("acme_corp", "nobody_corp"), max_active_runs=101)
    assert sorted(fault.field for fault in refused.value.faults) == ["max_active_runs", "start_date", "tenant_ids"]


@pytest.mark.parametrize(
    ("start", "end"),
    [("2025-11-01", "2025-11-01"), ("2025-11-02", "2025-11-01"), ("2020-01-01", "2025-01-01"), ("", "")],
)
async def test_ranges_that_are_none(office: Office, start: str, end: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await office.backfill(start, end)
    assert refused.value.reason == "INVALID_DATE_RANGE"


async def test_what_is_not_there_or_not_active(office: Office) -> None:
    with pytest.raises(TenantNotFound):
        await office.backfill(tenant_ids=("acme_corp", "nobody_corp"))
    with pytest.raises(InvalidRequest):
        await office.backfill(tenant_ids=())
    with pytest.raises(InvalidRequest):
        await office.backfill(all_tenants=True)
    office.write_pipeline(text="pipeline_id: x\nsteps: 7\n")
    with pytest.raises(InvalidRequest):
        await office.backfill()
    (office.folder / "configs" / f"{DAILY}.yml").unlink()
    with pytest.raises(PipelineMissing):
        await office.backfill()
    await office.set_state(TenantState.SUSPENDED)
    with pytest.raises(TenantNotActive):
        await office.backfill()
    with pytest.raises(TenantNotFound, match="No tenant is active"):
        await office.backfill(tenant_ids=(), all_tenants=True)


async def test_a_request_that_is_repeated_makes_one(office: Office, other: Office) -> None:
    request = BackfillRequest(DAILY, "2025-11-01", "2025-11-03", ("acme_corp",))
    made = await office.backfills.start(OPERATOR, request, request_id="r1")
    assert await other.backfills.start(OPERATOR, request, request_id="r1") == made
    with pytest.raises(RequestIdReused):
        await office.backfills.start(OPERATOR, replace(request, end_date="2025-11-04"), request_id="r1")
    assert len(await office.backfills.list(BackfillFilter(), after=None, limit=9)) == 1


async def test_two_servers_begin_each_day_once(office: Office, other: Office) -> None:
    await office.backfill(end="2025-11-21", max_active_runs=20)
    await asyncio.gather(office.look(), other.look(), office.look(), other.look())
    assert sorted(await office.dates()) == [f"2025-11-{day:02}" for day in range(1, 21)]


async def test_two_servers_do_not_have_too_many_active(office: Office, other: Office) -> None:
    await office.backfill(end="2025-11-21", max_active_runs=3)
    for _ in range(3):
        await asyncio.gather(office.look(), other.look())
        assert len([run for run in await office.made() if not run.status.is_terminal]) == 3
        await office.end()


# -- pause, cancel ---------------------------------------------------------------------------------------------------


async def test_a_pause(office: Office) -> None:
    made = await office.backfill()
    await office.look()
    paused = await office.backfills.change(TENANT, made.backfill_id, BackfillState.PAUSED, "prices change")
    assert (paused.state, paused.reason) == (BackfillState.PAUSED, "prices change")
    assert await office.backfills.change(TENANT, made.backfill_id, BackfillState.PAUSED) == paused
    # Also the run that has been accepted waits.
    assert await office.end() == []
    await office.look()
    assert await office.dates() == ["2025-11-01"]
    resumed = await office.backfills.change(TENANT, made.backfill_id, BackfillState.ACTIVE)
    assert (resumed.state, resumed.reason) == (BackfillState.ACTIVE, "")
    assert await office.end() == ["2025-11-01"]
    await office.look()
    assert await office.dates() == ["2025-11-01", "2025-11-02"]


async def test_a_cancellation(office: Office) -> None:
    made = await office.backfill(max_active_runs=2)
    await office.look()
    claim = await office.store.claim("worker", lease_seconds=30, plans=PLANS)
    assert claim is not None
    cancelled = await office.backfills.change(TENANT, made.backfill_id, BackfillState.CANCELLING)
    assert (cancelled.state, cancelled.waiting_runs) == (BackfillState.CANCELLING, 0)
    await office.look()
    statuses = {run.pipeline_logging_id: run.status for run in await office.made()}
    assert statuses.pop(claim.run.pipeline_logging_id) is RunStatus.CANCELLING
    assert list(statuses.values()) == [RunStatus.CANCELLED]
    assert (await office.state_of(made)).state is BackfillState.CANCELLING
    await office.store.finish_run(claim.lease, RunEnd(RunStatus.CANCELLED))
    await office.look()
    ended = await office.state_of(made)
    assert (ended.state, ended.runs_by_status, ended.total_runs) == (BackfillState.CANCELLED, {"CANCELLED": 2}, 2)
    assert ended.skipped_days == 1
    # Asking twice is the same as asking once, and nothing brings it back.
    assert await office.backfills.change(TENANT, made.backfill_id, BackfillState.CANCELLING) == ended
    for state in (BackfillState.ACTIVE, BackfillState.PAUSED):
        with pytest.raises(BackfillFinished):
            await office.backfills.change(TENANT, made.backfill_id, state)
    assert await office.state_of(made) == ended


async def test_what_has_finished_stays_so(office: Office) -> None:
    made = await office.backfill(end="2025-11-02")
    await office.look()
    await office.end()
    await office.look()
    for state in (BackfillState.ACTIVE, BackfillState.PAUSED, BackfillState.CANCELLING):
        with pytest.raises(BackfillFinished):
            await office.backfills.change(TENANT, made.backfill_id, state)


async def test_a_stranger_finds_nothing(office: Office) -> None:
    made = await office.backfill()
    stranger = Caller("other_corp", BY)
    for caller, backfill_id in ((stranger, made.backfill_id), (OPERATOR, "nothing"), (OPERATOR, "a\0b")):
        with pytest.raises(BackfillNotFound):
            await office.backfills.get(caller, backfill_id)
        with pytest.raises(BackfillNotFound):
            await office.backfills.change(caller, backfill_id, BackfillState.PAUSED)
        with pytest.raises(BackfillNotFound):
            async with aclosing(office.backfills.watch(caller, backfill_id)) as states:
                await anext(states)


# -- what keeps a day from starting ----------------------------------------------------------------------------------


async def test_a_day_that_is_refused_pauses_the_backfill(office: Office) -> None:
    made = await office.backfill()
    office.write_pipeline(text="pipeline_id: x\nsteps: 7\n")
    await office.look()
    paused = await office.state_of(made)
    assert paused.state is BackfillState.PAUSED
    assert "acme_corp, 2025-11-01" in paused.reason
    assert "daily.yml:2" in paused.reason
    office.write_pipeline()
    await office.backfills.change(TENANT, made.backfill_id, BackfillState.ACTIVE)
    await office.look()
    assert await office.dates() == ["2025-11-01"]


async def test_days_of_a_tenant_that_is_gone_are_dropped(office: Office) -> None:
    await office.onboard("beta_corp")
    made = await office.backfill(end="2025-11-03", tenant_ids=("acme_corp", "beta_corp"), max_active_runs=9)
    await office.store.offboard_tenant("beta_corp", by=BY, request=None)
    await office.look()
    present = await office.state_of(made)
    assert (present.total_runs, present.skipped_days) == (2, 2)
    await office.end(count=2)
    await office.look()
    assert (await office.state_of(made)).state is BackfillState.FINISHED


async def test_days_of_a_tenant_that_may_not_run_now_wait_and_delay_no_other(office: Office) -> None:
    await office.onboard("beta_corp")
    await office.onboard("less_corp", plan="some")
    made = await office.backfill(tenant_ids=("less_corp", "acme_corp", "beta_corp"), max_active_runs=9)
    await office.set_state(TenantState.SUSPENDED, "acme_corp")
    await office.look()
    assert not await office.dates("acme_corp")
    assert len(await office.dates("less_corp")) == 1
    assert len(await office.dates("beta_corp")) == 3
    waiting = await office.state_of(made)
    assert (waiting.state, waiting.waiting_runs) == (BackfillState.ACTIVE, 5)


async def test_a_run_of_a_tenant_that_is_suspended_takes_no_place_from_others(office: Office) -> None:
    await office.onboard("beta_corp")
    made = await office.backfill(tenant_ids=("acme_corp", "beta_corp"))
    await office.look()
    assert await office.dates("acme_corp") == ["2025-11-01"]
    await office.set_state(TenantState.SUSPENDED)
    await office.look()
    assert await office.dates("beta_corp") == ["2025-11-01"]
    assert (await office.state_of(made)).state is BackfillState.ACTIVE


async def test_half_of_a_quota_is_left_to_others(office: Office) -> None:
    await office.onboard("less_corp", plan="some")
    await office.backfill(tenant_ids=("less_corp",), end="2025-11-30", max_active_runs=9)
    await office.look()
    # Of five runs a day one has made the tenant.
    assert len(await office.dates("less_corp")) == 1
    for _ in range(3):
        await office.runs.start(Caller("less_corp", BY), RunRequest(DAILY, "2025-11-17"))


async def test_a_refused_tenant_stops_no_other(office: Office) -> None:
    """One of them has fewer sources than the file needs by now."""
    await office.onboard("beta_corp")
    made = await office.backfill(tenant_ids=("acme_corp", "beta_corp"), max_active_runs=2)
    text = (office.folder / "configs" / f"{DAILY}.yml").read_text()
    office.write_pipeline(text=text.replace("SELECT DATE", "SELECT * FROM `acme_corp.days` UNION ALL SELECT DATE"))
    await office.look()
    assert await office.dates("beta_corp") == []
    assert len(await office.dates("acme_corp")) == 2
    assert (await office.state_of(made)).state is BackfillState.ACTIVE
    while await office.end():
        await office.look()
    await office.look()
    # Now that nothing else is left, somebody has to look.
    paused = await office.state_of(made)
    assert len(await office.dates("acme_corp")) == 3
    assert paused.waiting_runs == 3


async def test_a_backfill_goes_on_with_a_tenant_that_only_rests(office: Office) -> None:
    """The other's file is refused: that alone is no reason to pause."""
    await office.onboard("beta_corp")
    made = await office.backfill(tenant_ids=("beta_corp", "acme_corp"), max_active_runs=2)
    await office.set_state(TenantState.SUSPENDED, "beta_corp")
    office.write_pipeline(text="pipeline_id: x\nsteps: 7\n")
    await office.look()
    assert (await office.state_of(made)).state is BackfillState.ACTIVE
    office.write_pipeline()
    await office.set_state(TenantState.ACTIVE, "beta_corp")
    # Another server has not tried either of them yet.
    await Office(office.store, office.clock, office.folder).look()
    assert await office.dates("beta_corp")


async def test_that_no_run_can_begin_is_told_beforehand(office: Office) -> None:
    await office.onboard("beta_corp", plan="one")
    planned = await office.backfill(tenant_ids=("acme_corp", "beta_corp"))
    assert list(planned.warnings) == [
        "no run of beta_corp can begin: runs_per_day is 1, and a backfill leaves half of each quota to other runs"
    ]


async def test_no_more_begin_than_may_after_a_suspension(office: Office) -> None:
    tenants = ("acme_corp", "beta_corp")
    await office.onboard("beta_corp")
    made = await office.backfill(tenant_ids=tenants)
    await office.look()
    await office.set_state(TenantState.SUSPENDED)
    await office.look()
    await office.set_state(TenantState.ACTIVE)
    for _ in tenants:
        await office.store.claim("worker", lease_seconds=30, plans=PLANS)
    assert (await office.state_of(made)).runs_by_status == {RunStatus.RUNNING: 1, RunStatus.PENDING: 1}


async def test_runs_of_a_backfill_come_last(office: Office) -> None:
    await office.onboard("beta_corp")
    await office.backfill(max_active_runs=3)
    await office.look()
    office.clock.advance(60)
    for tenant_id in ("acme_corp", "beta_corp"):
        await office.runs.start(Caller(tenant_id, BY), RunRequest(DAILY, "2025-11-17"))
    ended = await office.end(count=5)
    assert ended[:2] == ["2025-11-17"] * 2
    assert sorted(ended[2:]) == ["2025-11-01", "2025-11-02", "2025-11-03"]


async def test_a_place_is_kept_free_of_them(office: Office) -> None:
    await office.backfill()
    await office.look()
    assert await office.store.claim("worker", lease_seconds=30, plans=PLANS, backfills=False) is None
    run = await office.runs.start(TENANT, RunRequest(DAILY, "2025-11-17"))
    claim = await office.store.claim("worker", lease_seconds=30, plans=PLANS, backfills=False)
    assert claim is not None
    assert claim.run.pipeline_logging_id == run.pipeline_logging_id
    assert await office.store.claim("worker", lease_seconds=30, plans=PLANS, backfills=False) is None
    assert await office.store.claim("worker", lease_seconds=30, plans=PLANS) is not None


async def test_their_place_in_the_queue_is_behind_all_others(office: Office) -> None:
    made = await office.backfill()
    await office.look()
    office.clock.advance(1)
    own = await office.runs.start(TENANT, RunRequest(DAILY, "2025-11-17"))
    (waiting,) = await office.store.list_runs(RunFilter(backfill_id=made.backfill_id), after=None, limit=9)
    assert (await office.runs.get("acme_corp", own.pipeline_logging_id)).queue_position == 1
    assert (await office.runs.get("acme_corp", waiting.pipeline_logging_id)).queue_position == 2


async def test_the_retry_of_a_day_is_a_run_of_its_own(office: Office) -> None:
    made = await office.backfill(end="2025-11-02")
    await office.look()
    await office.end(RunStatus.FAILED)
    (failed,) = await office.made()
    retry = await office.runs.retry(
        Caller("acme_corp", BY, RunTrigger.RETRY), failed.pipeline_logging_id, use_present_file=False
    )
    assert not retry.backfill_id
    await office.look()
    assert (await office.state_of(made)).runs_by_status == {"FAILED": 1}


# -- to see it -------------------------------------------------------------------------------------------------------


async def test_whoever_watches_sees_it_get_on_and_end(office: Office) -> None:
    made = await office.backfill(end="2025-11-03")
    seen = []
    async with asyncio.timeout(30), aclosing(office.backfills.watch(TENANT, made.backfill_id)) as states:
        async for state in states:
            seen.append(state)
            await office.look()
            await office.end()
            await office.look()
    assert [one.waiting_runs for one in seen] == sorted((one.waiting_runs for one in seen), reverse=True)
    assert seen[-1].state is BackfillState.FINISHED
    assert all(one != other for one, other in pairwise(seen))


async def test_lists(office: Office) -> None:
    await office.onboard("beta_corp")
    made = []
    for tenants in (("acme_corp",), ("acme_corp", "beta_corp"), ("beta_corp",), ("acme_corp",)):
        made.append(await office.backfill(tenant_ids=tenants, end="2025-11-02"))
        office.clock.advance(1)
    seen, after = [], None
    while page := await office.backfills.list(BackfillFilter(), after=after, limit=3):
        seen += page
        after = BackfillPosition(page[-1].created_at, page[-1].backfill_id)
    assert seen == made[::-1]
    own = await office.backfills.list(BackfillFilter(tenant_id="acme_corp"), after=None, limit=9)
    assert own == [made[3], made[0]]
    await office.backfills.change(TENANT, made[0].backfill_id, BackfillState.CANCELLING)
    ended = await office.backfills.list(BackfillFilter(states=(BackfillState.CANCELLED,)), after=None, limit=9)
    assert [one.backfill_id for one in ended] == [made[0].backfill_id]


@pytest.mark.parametrize(("mode", "told"), [("append", "adds"), ("overwrite", "replaces"), ("overwrite_partition", "")])
async def test_what_the_steps_do_to_days_is_told(office: Office, mode: str, told: str) -> None:
    office.write_pipeline(mode)
    made = await office.backfill()
    assert bool(made.warnings) == bool(told)
    assert all(told in warning and "step load" in warning for warning in made.warnings)


async def test_that_a_whole_month_is_replaced_is_told(office: Office) -> None:
    text = (office.folder / "configs" / f"{DAILY}.yml").read_text()
    office.write_pipeline(text=text.replace('type: "DAY"', 'type: "MONTH"'))
    (warning,) = (await office.backfill()).warnings
    assert "whole month" in warning


async def test_the_store_answers_a_request_once(office: Office, other: Office) -> None:
    """As when two servers get it at the same moment."""
    settings = BackfillSettings(name=DAILY, start_date=date(2025, 11, 1), end_date=date(2025, 11, 2))
    days = (("acme_corp", date(2025, 11, 1)),)
    key = RequestKey("", "BackfillPipeline", "r1", "same")
    first = NewBackfill("b1", ("acme_corp",), settings, days)
    second = NewBackfill("b2", ("acme_corp",), settings, days)
    made = await asyncio.gather(
        office.store.create_backfill(first, by=BY, request=key), other.store.create_backfill(second, by=BY, request=key)
    )
    assert made[0] == made[1]


async def test_a_look_for_work_reads_no_backfill_that_has_ended(office: Office) -> None:
    for _ in range(30):
        made = await office.backfill(end="2025-11-02", reprocess=Reprocess.ALL)
        await office.backfills.change(TENANT, made.backfill_id, BackfillState.CANCELLING)
    await office.backfill(reprocess=Reprocess.ALL)

    def look(tx: Transaction) -> str:
        if tx.for_update:
            tx.execute("ANALYZE backfills")
            tx.execute("SET LOCAL enable_seqscan = off")
        explained = Explained(tx, "backfills")
        assert len(backfills.work(explained, [], 9).days) == 1
        return explained.plan

    plan = await office.store._db.write(look)
    assert "backfills_open" in plan


async def test_a_pipeline_without_a_domain(office: Office) -> None:
    file = office.folder / "configs" / "gcp" / "plain.yml"
    file.write_text((office.folder / "configs" / f"{DAILY}.yml").read_text())
    name = PipelineName("gcp", "", "plain")
    await office.runs.start(TENANT, RunRequest(name, "2025-11-01"))
    request = BackfillRequest(name, "2025-11-01", "2025-11-03", ("acme_corp",))
    assert (await office.backfills.start(OPERATOR, request)).skipped_days == 1
