"""The store's time is ahead for a while: what it made of schedules holds no longer when it is right again."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from server.domain.run import RunStatus
from server.domain.schedule import CatchUp, CatchUpPolicy, Overlap, ScheduleState
from server.domain.tenant import SYSTEM_TENANT
from server.runs import Caller
from server.store.schedule_port import Settlement
from tests.scheduling.office import Office
from tests.store.records import BY

# The right time begins at 2025-11-18 10:00 UTC, a Tuesday.
BROKEN = "pipeline_id: x\nsteps: 7\n"
HOURLY = "0 * * * *"


async def pass_hours(office: Office, hours: Iterable[int]) -> None:
    for hour in hours:
        await office.at(f"2025-11-18T{hour}:00:00+00:00")


async def test_what_has_not_passed_by_the_right_time_is_not_dealt_with(office: Office) -> None:
    """The time was put right between the look and what came of it."""
    schedule = await office.schedule(cron=HOURLY)
    wrong = datetime(2025, 12, 18, 10, 30, tzinfo=UTC)
    assert await office.store.settle(schedule, Settlement(wrong, wrong, wrong), office.plans.current()) is None
    await pass_hours(office, [11])
    assert await office.outcomes() == [("18 11:00", "FIRED")]


async def test_a_tick_that_fires_later_than_its_time_is_not_lost(office: Office) -> None:
    office.clock.now = datetime(2025, 11, 18, 5, tzinfo=UTC)
    schedule = await office.schedule(cron="0 6 * * *", jitter=timedelta(hours=20), overlap=Overlap.ALLOW)
    assert schedule.due_at is not None
    assert schedule.due_at > datetime(2025, 11, 18, 7, tzinfo=UTC)
    await office.at("2025-12-18T06:20:00+00:00")
    await office.at("2025-11-18T06:25:00+00:00")
    await office.at(schedule.due_at)
    assert (await office.outcomes())[0] == ("18 06:00", "FIRED")


async def test_what_fired_long_before_is_not_missed_afterwards(office: Office) -> None:
    await office.schedule(cron=HOURLY, jitter=timedelta(hours=20), overlap=Overlap.ALLOW)
    await pass_hours(office, range(11, 16))
    await office.at("2025-11-19T15:10:00+00:00")
    await office.at("2025-11-18T15:10:00+00:00")
    await pass_hours(office, range(16, 18))
    assert (await office.get()).missed_ticks == 0


async def test_ticks_are_caught_up_that_were_missed_by_a_wrong_time_only(office: Office) -> None:
    catch_up = CatchUp(policy=CatchUpPolicy.ALL, max_runs=10)
    await office.schedule(cron=HOURLY, overlap=Overlap.ALLOW, catch_up=catch_up)
    await office.at("2025-11-19T06:30:00+00:00")
    assert (await office.get()).missed_ticks == 10
    await office.at("2025-11-18T10:30:00+00:00")
    # No server is up for two hours of the right time.
    await office.at("2025-11-18T13:30:00+00:00")
    await pass_hours(office, range(14, 24))
    assert {outcome for _, outcome in await office.outcomes()} == {"FIRED"}
    assert (await office.get()).missed_ticks == 0


async def test_an_outage_that_a_wrong_time_ended_is_caught_up(office: Office) -> None:
    await office.schedule(cron=HOURLY, overlap=Overlap.ALLOW)
    await office.at("2025-11-18T20:30:00+00:00")
    await office.at("2025-11-18T13:30:00+00:00")
    assert [one for one in await office.outcomes() if one[0] <= "18 13:00"] == [
        ("18 11:00", "MISSED"),
        ("18 12:00", "MISSED"),
        ("18 13:00", "FIRED"),
    ]


async def test_a_tick_is_refused_as_of_its_right_time(office: Office) -> None:
    await office.schedule(cron=HOURLY, overlap=Overlap.ALLOW)
    await office.at("2025-11-18T13:00:30+00:00")
    await office.at("2025-11-18T10:30:00+00:00")
    office.write_pipeline(text=BROKEN)
    await pass_hours(office, [11])
    assert (await office.outcomes())[0] == ("18 11:00", "REFUSED")


async def test_one_that_fired_early_is_no_failure_when_it_would_be_refused_now(office: Office) -> None:
    await office.schedule(cron=HOURLY, pause_after_failures=1)
    await pass_hours(office, [11])
    await office.at("2025-11-18T10:30:00+00:00")
    office.write_pipeline(text=BROKEN)
    await pass_hours(office, [11])
    assert await office.outcomes() == [("18 11:00", "FIRED")]
    assert (await office.get()).state is ScheduleState.ACTIVE


async def test_one_that_was_skipped_too_early_fires(office: Office) -> None:
    await office.schedule(cron=HOURLY)
    await pass_hours(office, [11])
    await office.at("2025-11-18T12:00:30+00:00")
    assert (await office.outcomes())[-1] == ("18 12:00", "SKIPPED")
    await office.at("2025-11-18T11:01:00+00:00")
    await office.end()
    await pass_hours(office, [12])
    assert (await office.outcomes())[-1] == ("18 12:00", "FIRED")


async def test_failures_count_of_a_schedule_that_was_made_at_a_wrong_time(office: Office) -> None:
    office.clock.now = datetime(2026, 11, 18, 10, tzinfo=UTC)
    await office.schedule(cron=HOURLY, pause_after_failures=2)
    await office.at("2025-11-18T10:30:00+00:00")
    for hour in (11, 12):
        await pass_hours(office, [hour])
        await office.end(RunStatus.FAILED)
    assert (await office.get()).state is ScheduleState.PAUSED


async def test_retention_keeps_what_would_fire_once_more(office: Office) -> None:
    await office.schedule(cron="0 10 18 11 *")
    await office.at("2026-11-18T10:30:00+00:00")
    await office.end()
    await office.at("2025-11-18T10:30:00+00:00")
    office.clock.now = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)
    assert await office.store.remove_ticks(older_than_days=90, limit=9) == 0
    await office.at("2026-11-18T10:00:00+00:00")
    assert len(await office.made()) == 1


async def test_the_mirror_is_told_of_ticks_that_are_dated_back(office: Office) -> None:
    await office.schedule(cron=HOURLY)
    await office.at("2025-12-18T10:30:00+00:00")
    flush = await office.store.begin_flush("acme_corp", "mirror", lease_seconds=30)
    assert flush is not None
    entries = await office.store.outbox(skip=[SYSTEM_TENANT], limit=5_000)
    await office.store.acknowledge(flush, [entry.number for entry in entries], settled=0)
    await office.at("2025-11-18T10:30:00+00:00")
    (latest,) = [tick for tick in await office.ticks() if tick.pipeline_logging_id]
    assert latest.fired_at == office.clock.now
    told = [entry.key for entry in await office.store.outbox(skip=[SYSTEM_TENANT], limit=5_000)]
    assert told == [f"daily/{int(latest.nominal_time.timestamp() * 1e6)}"]


async def test_a_pause_and_its_end_before_anybody_notices_change_nothing(office: Office) -> None:
    await office.schedule(cron=HOURLY, overlap=Overlap.ALLOW)
    await office.at("2025-11-18T12:00:00+00:00")
    office.clock.now = datetime(2025, 11, 18, 10, 30, tzinfo=UTC)
    await office.schedules.pause(Caller("acme_corp", BY), "daily", "the clock")
    await office.schedules.resume(Caller("acme_corp", BY), "daily")
    await pass_hours(office, (11, 12, 13))
    assert await office.outcomes() == [(f"18 {hour}:00", "FIRED") for hour in (11, 12, 13)]
    assert len(await office.made()) == 3
