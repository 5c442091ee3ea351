"""Ticks: each fires once, at the right time, for the right day, whatever clocks and servers do."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.run import RunStatus, RunTrigger
from server.domain.schedule import CatchUp, CatchUpPolicy, Overlap, ScheduleState
from server.domain.tenant import TenantState
from server.runs import Caller
from server.schedules import ScheduleChange
from tests.scheduling.office import DAILY, Office, counted
from tests.store.records import BY

# The clock begins at 2025-11-18 10:00 UTC, a Tuesday.


async def test_a_tick_starts_a_run_of_its_day(office: Office) -> None:
    await office.schedule(date_offset_days=-1, variables={"region": "us"})
    await office.at("2025-11-19T05:59:59+00:00")
    assert not await office.made()
    await office.at("2025-11-19T06:00:00+00:00")
    (run,) = await office.made()
    assert (run.date, run.trigger, run.schedule_id, run.name) == ("2025-11-18", RunTrigger.SCHEDULE, "daily", DAILY)
    assert run.variables == {"region": "us"}
    (tick,) = await office.ticks()
    assert tick.pipeline_logging_id == run.pipeline_logging_id
    assert tick.pipeline_id == run.pipeline_id == "acme_corp-daily"
    assert (tick.date, tick.outcome, tick.message) == ("2025-11-18", "FIRED", "")
    assert tick.nominal_time == datetime(2025, 11, 19, 6, tzinfo=UTC)
    schedule = await office.get()
    assert schedule.last_run == run.pipeline_logging_id
    assert schedule.next_tick == datetime(2025, 11, 20, 6, tzinfo=UTC)


async def test_the_day_is_that_of_the_zone(office: Office) -> None:
    await office.schedule(cron="30 0 * * *", time_zone="Asia/Tokyo")
    await office.at("2025-11-18T15:30:00+00:00")
    assert await office.dates() == ["2025-11-19"]


@pytest.mark.parametrize(
    ("start", "cron", "fired"),
    [
        ("2025-03-29T12:00:00+00:00", "30 2 * * *", ["30 01:00", "31 00:30"]),
        ("2025-10-25T12:00:00+00:00", "30 2 * * *", ["26 00:30", "27 01:30"]),
        ("2025-10-26T00:15:00+00:00", "*/30 2 * * *", ["26 00:30", "26 01:00", "26 01:30", "27 01:00", "27 01:30"]),
    ],
)
async def test_clocks_that_are_set(office: Office, start: str, cron: str, fired: list[str]) -> None:
    office.clock.now = datetime.fromisoformat(start)
    await office.schedule(cron=cron, time_zone="Europe/Berlin", overlap=Overlap.ALLOW)
    end = office.clock.now + timedelta(hours=40)
    while office.clock.now < end:
        await office.after(minutes=15)
    assert [time for time, _ in await office.outcomes()] == fired
    assert len(await office.made()) == len(fired)


async def test_an_interval_counts_from_its_start(office: Office) -> None:
    start = datetime(2025, 11, 18, 12, 30, tzinfo=UTC)
    await office.schedule(interval=timedelta(hours=5), start_time=start, overlap=Overlap.ALLOW)
    await office.at("2025-11-18T12:29:59+00:00")
    assert not await office.outcomes()
    await office.at("2025-11-18T12:30:00+00:00")
    await office.at("2025-11-18T17:30:00+00:00")
    assert await office.outcomes() == [("18 12:30", "FIRED"), ("18 17:30", "FIRED")]


async def test_an_interval_without_a_start_counts_from_when_it_was_made(office: Office) -> None:
    await office.schedule(interval=timedelta(minutes=1))
    await office.look()
    assert not await office.outcomes()
    await office.after(minutes=1)
    assert await office.outcomes() == [("18 10:01", "FIRED")]


async def test_a_schedule_ends(office: Office) -> None:
    await office.schedule(cron="0 * * * *", end_time=datetime(2025, 11, 18, 12, tzinfo=UTC), overlap=Overlap.ALLOW)
    await office.at("2025-11-18T11:00:00+00:00")
    assert (await office.get()).state is ScheduleState.ACTIVE
    await office.at("2025-11-18T12:00:00+00:00")
    assert (await office.get()).state is ScheduleState.ENDED
    await office.at("2025-11-18T15:00:00+00:00")
    assert await office.outcomes() == [("18 11:00", "FIRED")]


async def test_the_last_tick_before_the_end_fires_though_it_is_seen_after_it(office: Office) -> None:
    await office.schedule(cron="59 11 * * *", end_time=datetime(2025, 11, 18, 12, tzinfo=UTC))
    await office.at("2025-11-18T12:00:30+00:00")
    assert await office.outcomes() == [("18 11:59", "FIRED")]


async def test_jitter_is_always_the_same_and_ends_before_the_next_tick(office: Office) -> None:
    schedule = await office.schedule(cron="* * * * *", jitter=timedelta(hours=1), overlap=Overlap.ALLOW)
    again = await office.schedule("other", cron="* * * * *", jitter=timedelta(hours=1), overlap=Overlap.ALLOW)
    seconds = dict[str, list[float]]()
    for _ in range(5 * 60):
        await office.after(seconds=1)
    for tick in await office.ticks():
        late = (tick.fired_at - tick.nominal_time).total_seconds()
        assert 0 <= late < 60
        seconds.setdefault(tick.schedule_id, []).append(late)
    assert len(set(seconds[schedule.schedule_id])) > 1
    assert seconds[schedule.schedule_id] != seconds[again.schedule_id]
    assert all(4 <= len(late) <= 5 for late in seconds.values())


# -- outages, and clocks that jump -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "counts", "dates"),
    [
        (CatchUpPolicy.SKIP, {"MISSED": 3}, []),
        (CatchUpPolicy.LATEST, {"MISSED": 2, "FIRED": 1}, ["2025-11-21"]),
        (CatchUpPolicy.ALL, {"FIRED": 3}, ["2025-11-19", "2025-11-20", "2025-11-21"]),
    ],
)
async def test_an_outage(office: Office, policy: CatchUpPolicy, counts: dict[str, int], dates: list[str]) -> None:
    await office.schedule(catch_up=CatchUp(policy=policy), overlap=Overlap.ALLOW)
    await office.at("2025-11-21T12:00:00+00:00")
    assert counted(await office.outcomes()) == counts
    assert await office.dates() == dates
    assert (await office.get()).missed_ticks == counts.get("MISSED", 0)
    await office.at("2025-11-22T06:00:00+00:00")
    assert (await office.dates())[len(dates) :] == ["2025-11-22"]


async def test_a_restart_is_no_outage(office: Office) -> None:
    await office.schedule(catch_up=CatchUp(policy=CatchUpPolicy.SKIP))
    await office.at("2025-11-19T06:05:00+00:00")
    assert await office.outcomes() == [("19 06:00", "FIRED")]


async def test_of_all_ticks_of_an_outage_the_latest_are_caught_up(office: Office) -> None:
    catch_up = CatchUp(policy=CatchUpPolicy.ALL, max_runs=2)
    await office.schedule(catch_up=catch_up, overlap=Overlap.ALLOW)
    await office.at("2025-11-25T12:00:00+00:00")
    assert await office.dates() == ["2025-11-24", "2025-11-25"]
    assert (await office.get()).missed_ticks == 5


async def test_ticks_beyond_the_window_are_only_counted(office: Office) -> None:
    catch_up = CatchUp(policy=CatchUpPolicy.ALL, max_runs=1_000, window=timedelta(days=2))
    await office.schedule(catch_up=catch_up, overlap=Overlap.ALLOW)
    await office.at("2025-11-25T12:00:00+00:00")
    assert await office.dates() == ["2025-11-24", "2025-11-25"]
    assert counted(await office.outcomes()) == {"FIRED": 2}
    assert (await office.get()).missed_ticks == 5


async def test_ticks_that_are_caught_up_wait_for_each_other(office: Office) -> None:
    await office.schedule(catch_up=CatchUp(policy=CatchUpPolicy.ALL))
    await office.at("2025-11-20T12:00:00+00:00")
    assert await office.dates() == ["2025-11-19"]
    assert counted(await office.outcomes()) == {"FIRED": 1, "BUFFERED": 1}
    assert await office.end() == ["2025-11-19"]
    await office.look()
    assert await office.dates() == ["2025-11-19", "2025-11-20"]
    assert counted(await office.outcomes()) == {"FIRED": 2}


async def test_a_very_long_outage_is_gone_through_in_pieces(office: Office) -> None:
    await office.schedule(cron="* * * * *", catch_up=CatchUp(policy=CatchUpPolicy.LATEST))
    await office.at("2025-12-18T10:00:00+00:00")
    minutes = 30 * 24 * 60
    assert (await office.get()).missed_ticks == minutes - 1
    assert counted(await office.outcomes()) == {"MISSED": 1_000, "FIRED": 1}
    assert await office.dates() == ["2025-12-18"]


async def test_a_clock_that_goes_back_fires_nothing_twice(office: Office) -> None:
    await office.schedule(cron="0 * * * *", overlap=Overlap.ALLOW)
    await office.at("2025-11-18T11:00:00+00:00")
    await office.at("2025-11-18T10:30:00+00:00")
    await office.at("2025-11-18T11:00:00+00:00")
    await office.at("2025-11-18T11:59:59+00:00")
    assert await office.outcomes() == [("18 11:00", "FIRED")]
    await office.at("2025-11-18T12:00:00+00:00")
    assert await office.outcomes() == [("18 11:00", "FIRED"), ("18 12:00", "FIRED")]


async def test_a_clock_that_goes_ahead_and_back_loses_no_tick(office: Office) -> None:
    """Those in between fire early, each once."""
    await office.schedule(cron="0 * * * *", catch_up=CatchUp(policy=CatchUpPolicy.ALL), overlap=Overlap.ALLOW)
    await office.at("2025-11-18T14:30:00+00:00")
    for hour in range(11, 16):
        await office.at(f"2025-11-18T{hour}:00:00+00:00")
    assert await office.outcomes() == [(f"18 {hour}:00", "FIRED") for hour in range(11, 16)]


async def test_a_clock_that_was_a_month_ahead_silences_nothing(office: Office) -> None:
    await office.schedule(cron="0 * * * *", overlap=Overlap.ALLOW)
    await office.at("2025-12-18T10:30:00+00:00")
    assert len(await office.made()) == 1
    for hour in range(11, 16):
        await office.at(f"2025-11-18T{hour}:00:00+00:00")
    assert [run.date for run in await office.made()] == ["2025-11-18"] * 5 + ["2025-12-18"]
    (latest,) = [tick for tick in await office.ticks() if tick.date == "2025-12-18" and tick.outcome == "FIRED"]
    # It stays as it is, and is not run again a month later.
    assert latest.fired_at < office.clock.now
    await office.at("2025-12-18T10:30:00+00:00")
    assert len(await office.made()) == 6


async def test_a_clock_that_was_ahead_for_longer_than_ticks_are_recorded_silences_nothing(office: Office) -> None:
    """The latest tick had passed a week before: none of those in between has a record that tells of the jump."""
    catch_up = CatchUp(policy=CatchUpPolicy.SKIP, window=timedelta(days=1))
    await office.schedule(cron="0 6 * * 3", catch_up=catch_up, overlap=Overlap.ALLOW)
    await office.at("2026-03-03T12:00:00+00:00")
    assert not await office.outcomes()
    await office.at("2025-11-18T10:30:00+00:00")
    await office.at("2025-11-19T06:00:00+00:00")
    assert await office.outcomes() == [("19 06:00", "FIRED")]


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_schedule_that_was_made_or_resumed_while_the_clock_was_ahead_fires(
    office: Office, resumed: bool
) -> None:
    if resumed:
        await office.schedule(cron="0 * * * *")
        await office.schedules.pause(Caller("acme_corp", BY), "daily", "the clock")
    office.clock.now = datetime(2026, 11, 18, 10, tzinfo=UTC)
    if resumed:
        await office.schedules.resume(Caller("acme_corp", BY), "daily")
    else:
        await office.schedule(cron="0 * * * *")
    await office.at("2025-11-18T10:30:00+00:00")
    await office.at("2025-11-18T11:00:00+00:00")
    assert await office.outcomes() == [("18 11:00", "FIRED")]


async def test_two_servers_fire_a_tick_once(office: Office, other: Office) -> None:
    for number in range(20):
        await office.schedule(f"s{number}", cron="0 * * * *", overlap=Overlap.ALLOW)
    office.clock.now = datetime(2025, 11, 18, 11, tzinfo=UTC)
    await asyncio.gather(office.look(), other.look(), office.look(), other.look())
    assert len(await office.made()) == 20
    assert counted(await office.outcomes()) == {"FIRED": 20}


async def test_two_servers_start_what_waits_once(office: Office, other: Office) -> None:
    await office.schedule(catch_up=CatchUp(policy=CatchUpPolicy.ALL, max_runs=20), overlap=Overlap.ALLOW)
    office.clock.now = datetime(2025, 11, 25, 11, tzinfo=UTC)
    await asyncio.gather(office.look(), other.look(), office.look(), other.look())
    assert await office.dates() == [f"2025-11-{day}" for day in range(19, 26)]


# -- overlaps --------------------------------------------------------------------------------------------------------


async def test_a_tick_is_skipped_while_a_run_goes_on(office: Office) -> None:
    await office.schedule(cron="0 * * * *")
    for hour in (11, 12):
        await office.at(f"2025-11-18T{hour}:00:00+00:00")
    await office.end()
    await office.at("2025-11-18T13:00:00+00:00")
    assert await office.outcomes() == [("18 11:00", "FIRED"), ("18 12:00", "SKIPPED"), ("18 13:00", "FIRED")]
    assert "had not ended" in (await office.ticks())[1].message


async def test_one_tick_waits(office: Office) -> None:
    await office.schedule(cron="0 * * * *", overlap=Overlap.BUFFER_ONE)
    for hour in (11, 12, 13):
        await office.at(f"2025-11-18T{hour}:00:00+00:00")
    assert [outcome for _, outcome in await office.outcomes()] == ["FIRED", "BUFFERED", "SKIPPED"]
    await office.end()
    await office.look()
    assert [outcome for _, outcome in await office.outcomes()] == ["FIRED", "FIRED", "SKIPPED"]
    first, waited = await office.made()
    assert (await office.ticks())[1].pipeline_logging_id == waited.pipeline_logging_id != first.pipeline_logging_id


async def test_runs_may_overlap(office: Office) -> None:
    await office.schedule(cron="0 * * * *", overlap=Overlap.ALLOW)
    for hour in (11, 12):
        await office.at(f"2025-11-18T{hour}:00:00+00:00")
    assert len(await office.made()) == 2


async def test_another_schedule_and_other_runs_are_no_overlap(office: Office) -> None:
    await office.schedule("one", cron="0 * * * *")
    await office.schedule("two", cron="0 * * * *")
    await office.at("2025-11-18T11:00:00+00:00")
    assert counted(await office.outcomes()) == {"FIRED": 2}


# -- what keeps a tick from firing -----------------------------------------------------------------------------------


async def test_a_suspended_tenants_ticks_are_skipped_and_are_no_failures(office: Office) -> None:
    await office.schedule(cron="0 * * * *", pause_after_failures=1)
    await office.set_state(TenantState.SUSPENDED)
    await office.at("2025-11-18T11:00:00+00:00")
    await office.set_state(TenantState.ACTIVE)
    await office.at("2025-11-18T12:00:00+00:00")
    assert [outcome for _, outcome in await office.outcomes()] == ["SKIPPED", "FIRED"]
    assert "suspended" in (await office.ticks())[0].message


async def test_a_broken_file_refuses_the_tick_and_says_why(office: Office) -> None:
    await office.schedule(cron="0 * * * *")
    office.write_pipeline(text="pipeline_id: x\nsteps: 7\n")
    await office.at("2025-11-18T11:00:00+00:00")
    (tick,) = await office.ticks()
    assert tick.outcome == "REFUSED"
    assert "configs/gcp/trial/daily.yml:2" in tick.message
    office.write_pipeline()
    await office.at("2025-11-18T12:00:00+00:00")
    assert [outcome for _, outcome in await office.outcomes()] == ["REFUSED", "FIRED"]


async def test_a_quota_refuses_the_tick(office: Office) -> None:
    was = await office.store.get_tenant("acme_corp")
    assert was is not None
    await office.store.update_tenant(was.model_copy(update={"plan": "few"}), was=was, by=BY)
    await office.schedule(cron="0 * * * *", overlap=Overlap.ALLOW)
    for hour in (11, 12):
        await office.at(f"2025-11-18T{hour}:00:00+00:00")
    # One of the day's two made the tenant.
    assert [outcome for _, outcome in await office.outcomes()] == ["FIRED", "REFUSED"]
    assert "runs_per_day" in (await office.ticks())[1].message
    assert len(await office.made()) == 1


async def test_failures_in_a_row_pause_the_schedule(office: Office) -> None:
    await office.schedule(cron="0 * * * *", pause_after_failures=2)
    statuses = [RunStatus.FAILED, RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT]
    for hour, status in enumerate(statuses, 11):
        await office.at(f"2025-11-18T{hour}:00:00+00:00")
        assert (await office.get()).state is ScheduleState.ACTIVE
        await office.end(status)
    schedule = await office.get()
    assert schedule.state is ScheduleState.PAUSED
    assert schedule.consecutive_failures == 2
    assert schedule.last_run in schedule.pause_reason
    await office.at("2025-11-18T16:00:00+00:00")
    assert len(await office.made()) == 5
    await office.schedules.resume(Caller("acme_corp", BY), "daily")
    assert (await office.get()).consecutive_failures == 0
    await office.at("2025-11-18T17:00:00+00:00")
    assert len(await office.made()) == 6


async def test_refusals_are_failures(office: Office) -> None:
    await office.schedule(cron="0 * * * *", pause_after_failures=2)
    office.write_pipeline(text="pipeline_id: x\nsteps: 7\n")
    for hour in (11, 12, 13):
        await office.at(f"2025-11-18T{hour}:00:00+00:00")
    assert [outcome for _, outcome in await office.outcomes()] == ["REFUSED", "REFUSED"]
    assert "daily.yml" in (await office.get()).pause_reason


async def test_a_retry_that_succeeds_ends_the_row(office: Office) -> None:
    await office.schedule(cron="0 * * * *", pause_after_failures=2)
    await office.at("2025-11-18T11:00:00+00:00")
    await office.end(RunStatus.FAILED)
    (failed,) = await office.made()
    retry = await office.runs.retry(
        Caller("acme_corp", BY, RunTrigger.RETRY), failed.pipeline_logging_id, use_present_file=False
    )
    assert retry.schedule_id == "daily"
    # It is a run of the schedule that has not ended.
    await office.at("2025-11-18T12:00:00+00:00")
    assert [outcome for _, outcome in await office.outcomes()] == ["FIRED", "SKIPPED"]
    await office.end(RunStatus.SUCCESS)
    assert (await office.get()).consecutive_failures == 0


async def test_retries_that_fail_count_no_further_tick(office: Office) -> None:
    await office.schedule(cron="0 * * * *", pause_after_failures=2)
    await office.at("2025-11-18T11:00:00+00:00")
    for _ in range(3):
        await office.end(RunStatus.FAILED)
        latest = max(await office.made(), key=lambda run: run.created_at)
        office.clock.advance(1)
        caller = Caller("acme_corp", BY, RunTrigger.RETRY)
        await office.runs.retry(caller, latest.pipeline_logging_id, use_present_file=False)
    schedule = await office.get()
    assert (schedule.state, schedule.consecutive_failures) == (ScheduleState.ACTIVE, 1)


async def test_a_tick_that_waited_is_told_as_it_was_run(office: Office) -> None:
    """The schedule was changed meanwhile."""
    await office.schedule(overlap=Overlap.BUFFER_ONE)
    for day in (19, 20):
        await office.at(f"2025-11-{day}T06:00:00+00:00")
    text = (office.folder / "configs" / f"{DAILY}.yml").read_text()
    (office.folder / "configs" / "gcp/trial/other.yml").write_text(text.replace("-daily", "-other"))
    change = ScheduleChange("daily", {"date_offset_days": -1}, {"template_name": "other"})
    await office.schedules.update(Caller("acme_corp", BY), change)
    await office.end()
    await office.look()
    tick = (await office.ticks())[1]
    run = await office.store.get_run(tick.pipeline_logging_id)
    assert run is not None
    assert (tick.date, str(tick.name)) == (run.date, str(run.name)) == ("2025-11-19", "gcp/trial/other")


async def test_a_pause_lets_no_tick_wait_however_many_do(office: Office) -> None:
    catch_up = CatchUp(policy=CatchUpPolicy.ALL, max_runs=1_000)
    await office.schedule(cron="* * * * *", catch_up=catch_up)
    await office.at("2025-11-19T10:00:30+00:00")
    assert counted(await office.outcomes())["BUFFERED"] > 500
    await office.schedules.pause(Caller("acme_corp", BY), "daily", "x")
    assert "BUFFERED" not in counted(await office.outcomes())
