"""Refresh windows: days before a tick's are run again, since bills are corrected for weeks."""

import pytest

from server.domain.backfill import BackfillState
from server.domain.run import RunStatus, RunTrigger
from server.domain.schedule import CatchUp, CatchUpPolicy, ScheduleState, TickOutcome
from server.errors import InvalidRequest
from server.runs import Caller
from server.store.port import RunFilter
from server.store.schedule_port import BackfillFilter
from tests.scheduling.office import Office
from tests.store.records import BY


async def refreshes(office: Office) -> list[str]:
    """Where the refresh windows stand, the oldest first."""
    found = await office.store.list_backfills(BackfillFilter(schedule_id="daily"), after=None, limit=99)
    return [one.state.value for one in found[::-1]]


async def work_off(office: Office) -> list[str]:
    """Let the workers do everything; answers the days in the order in which they were run."""
    done = list[str]()
    while True:
        await office.look()
        if not (ended := await office.end()):
            return done
        done += ended


async def test_the_days_before_are_run_again_the_newest_first(office: Office) -> None:
    await office.schedule(refresh_window_days=3, date_offset_days=-1)
    await office.at("2025-11-19T06:00:00+00:00")
    assert await work_off(office) == ["2025-11-18", "2025-11-17", "2025-11-16", "2025-11-15"]
    runs = await office.made()
    assert {(run.trigger, run.schedule_id) for run in runs} == {(RunTrigger.SCHEDULE, "daily")}
    assert [run.date for run in runs if not run.backfill_id] == ["2025-11-18"]
    (tick,) = await office.ticks()
    assert tick.date == "2025-11-18"
    assert await refreshes(office) == ["FINISHED"]
    of_schedule = RunFilter(tenant_id="acme_corp", schedule_id="daily")
    assert len(await office.store.list_runs(of_schedule, after=None, limit=9)) == 4


async def test_each_tick_begins_with_it_anew(office: Office) -> None:
    await office.schedule(refresh_window_days=1)
    for day in (19, 20):
        await office.at(f"2025-11-{day}T06:00:00+00:00")
        assert await work_off(office) == [f"2025-11-{day}", f"2025-11-{day - 1}"]


async def test_while_one_goes_on_no_other_begins_and_ticks_fire(office: Office) -> None:
    await office.schedule(refresh_window_days=5)
    await office.at("2025-11-19T06:00:00+00:00")
    assert await office.end() == ["2025-11-19"]
    await office.at("2025-11-20T06:00:00+00:00")
    first, second = await office.ticks()
    assert first.outcome == second.outcome == "FIRED"
    assert "goes on" in second.message
    assert await refreshes(office) == ["ACTIVE"]
    # The tick's own run comes before what is left of the window.
    assert await office.end() == ["2025-11-20"]


async def test_failures_of_the_window_pause_no_schedule(office: Office) -> None:
    await office.schedule(refresh_window_days=3, pause_after_failures=1)
    await office.at("2025-11-19T06:00:00+00:00")
    await office.end()
    for _ in range(3):
        await office.look()
        await office.end(RunStatus.FAILED)
    await office.look()
    assert (await office.get()).state is ScheduleState.ACTIVE
    assert await refreshes(office) == ["FINISHED"]


async def test_a_window_that_is_refused_ends_and_the_next_tick_tries_again(office: Office) -> None:
    await office.schedule(refresh_window_days=2)
    await office.at("2025-11-19T06:00:00+00:00")
    office.write_pipeline(text="pipeline_id: x\nsteps: 7\n")
    await office.end(count=2)
    await office.look()
    (cancelled,) = await office.store.list_backfills(BackfillFilter(), after=None, limit=9)
    assert cancelled.state is BackfillState.CANCELLED
    assert "daily.yml:2" in cancelled.reason
    office.write_pipeline()
    await office.at("2025-11-20T06:00:00+00:00")
    assert await refreshes(office) == ["CANCELLED", "ACTIVE"]


@pytest.mark.parametrize("mode", ["append", "overwrite"])
async def test_a_pipeline_that_cannot_replace_a_day_is_refused(office: Office, mode: str) -> None:
    office.write_pipeline(mode)
    with pytest.raises(InvalidRequest) as refused:
        await office.schedule(refresh_window_days=2)
    (fault,) = refused.value.faults
    assert (fault.reason, fault.field) == ("REFRESH_NOT_EXACT", "refresh_window_days")
    assert "step load" in fault.message
    assert "overwrite_partition" in fault.message
    await office.schedule()


async def test_a_pipeline_that_is_changed_so_later_begins_no_window(office: Office) -> None:
    await office.schedule(refresh_window_days=2)
    office.write_pipeline("append")
    await office.at("2025-11-19T06:00:00+00:00")
    (tick,) = await office.ticks()
    assert tick.outcome == "FIRED"
    assert "append" in tick.message
    assert await work_off(office) == ["2025-11-19"]


async def test_it_can_be_paused_and_cancelled_as_any_backfill(office: Office) -> None:
    await office.schedule(refresh_window_days=3)
    await office.at("2025-11-19T06:00:00+00:00")
    (window,) = await office.store.list_backfills(BackfillFilter(), after=None, limit=9)
    await office.backfills.change(Caller("acme_corp", BY), window.backfill_id, BackfillState.CANCELLING)
    await office.end(count=9)
    await office.look()
    assert await refreshes(office) == ["CANCELLED"]


async def test_it_is_cancelled_with_its_schedule(office: Office) -> None:
    await office.schedule(refresh_window_days=3)
    await office.at("2025-11-19T06:00:00+00:00")
    await office.schedules.delete(Caller("acme_corp", BY), "daily")
    await office.look()
    assert await refreshes(office) == ["CANCELLED"]
    assert await office.end(count=9) == ["2025-11-19"]


async def test_of_ticks_that_are_caught_up_the_first_begins_with_it(office: Office) -> None:
    """The days behind that tick's are run by the ticks themselves."""
    await office.schedule(refresh_window_days=1, catch_up=CatchUp(policy=CatchUpPolicy.ALL))
    await office.at("2025-11-20T12:00:00+00:00")
    assert sorted(await work_off(office)) == ["2025-11-18", "2025-11-19", "2025-11-20"]
    assert ["goes on" in tick.message for tick in await office.ticks()] == [False, True]


async def test_a_window_that_could_not_end_is_not_begun(office: Office) -> None:
    was = await office.store.get_tenant("acme_corp")
    assert was is not None
    await office.store.update_tenant(was.model_copy(update={"plan": "one"}), was=was, by=BY)
    await office.schedule(refresh_window_days=3)
    await office.at("2025-11-19T06:00:00+00:00")
    (tick,) = await office.ticks()
    assert tick.outcome is TickOutcome.FIRED
    assert "runs_per_day is 1" in tick.message
    assert not await office.store.list_backfills(BackfillFilter(), after=None, limit=9)
