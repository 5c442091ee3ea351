"""Schedules as people make, change, pause and delete them."""

import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from convergence.v1 import schedule_service_pb2 as pb
from server.api.schedule_messages import listed_schedules, new_schedule, schedule_change
from server.domain.audit import Actor
from server.domain.pipeline import PipelineName
from server.domain.schedule import MAX_SCHEDULES, CatchUp, NewSchedule, Overlap, ScheduleSettings, ScheduleState
from server.domain.tenant import TenantState
from server.errors import (
    EtagMismatch,
    InvalidRequest,
    PermissionDenied,
    PipelineMissing,
    RequestIdReused,
    ScheduleEnded,
    ScheduleExists,
    ScheduleLimitReached,
    ScheduleNotFound,
    TenantNotActive,
    TenantNotFound,
)
from server.runs import Caller
from server.schedules import ScheduleChange
from server.settings import Settings
from server.store.port import RequestConflict, RequestKey, RunFilter
from server.store.schedule_port import BackfillFilter, ScheduleFilter, SchedulePosition, TickFilter
from tests.scheduling.office import DAILY, Office
from tests.store.conftest import Clock
from tests.store.records import BY

CALLER = Caller("acme_corp", BY)


def new(schedule_id: str = "daily", **settings: object) -> NewSchedule:
    return NewSchedule("acme_corp", schedule_id, ScheduleSettings(**{"name": DAILY, "cron": "0 6 * * *", **settings}))


async def test_what_is_made_is_found_by_another_server(office: Office, other: Office) -> None:
    made = await office.schedule(
        description="each morning",
        cron="30 7 * * 1-5",
        time_zone="Europe/Berlin",
        overlap=Overlap.BUFFER_ONE,
        jitter=timedelta(minutes=5),
        variables={"region": "us"},
        catch_up=CatchUp(max_runs=3, window=timedelta(days=2)),
        start_time=datetime(2025, 12, 1, tzinfo=UTC),
        end_time=datetime(2026, 12, 1, tzinfo=UTC),
    )
    assert made == await other.get()
    assert made.next_tick == datetime(2025, 12, 1, 6, 30, tzinfo=UTC)
    assert made.state is ScheduleState.ACTIVE
    events = await office.store.audit_events("acme_corp", before=None, limit=1)
    assert (events[0].action, events[0].subject) == ("schedule.create", "daily")


_READ_ONLY = {"state", "pause_reason", "next_fire_times", "missed_ticks", "consecutive_failures", "last_run"}
_READ_ONLY |= {"created_at", "updated_at", "etag"}


@pytest.mark.parametrize("timing", [{"cron": "30 7 * * 1-5"}, {"interval": timedelta(hours=6)}])
async def test_every_field_that_a_client_sets_is_shown_again(office: Office, timing: dict[str, Any]) -> None:
    wanted = pb.Schedule(
        schedule_id="daily",
        tenant_id="acme_corp",
        description="each morning",
        provider=DAILY.provider,
        domain=DAILY.domain,
        template_name=DAILY.template_name,
        variables={"region": "us"},
        **timing,
        time_zone="Europe/Berlin",
        overlap=pb.Schedule.BUFFER_ONE,
        catch_up=pb.Schedule.CatchUp(policy=pb.Schedule.CatchUp.ALL, max_runs=3, window=timedelta(days=2)),
        jitter=timedelta(minutes=5),
        date_offset_days=-1,
        refresh_window_days=3,
        pause_after_failures=4,
        start_time=datetime(2025, 12, 1, tzinfo=UTC),
        end_time=datetime(2026, 12, 1, tzinfo=UTC),
    )
    made = await office.schedules.create(CALLER, new_schedule(wanted, "acme_corp"))
    (shown,) = await listed_schedules([made], 1)
    settable = {field.name for field in pb.Schedule.DESCRIPTOR.fields} - _READ_ONLY
    assert {field.name for field, _ in wanted.ListFields()} | {"cron", "interval"} == settable
    for name in _READ_ONLY:
        shown.ClearField(name)
    assert shown == wanted


async def test_without_an_id_it_gets_one(office: Office) -> None:
    made = [await office.schedules.create(CALLER, new("")) for _ in range(2)]
    assert made[0].schedule_id != made[1].schedule_id
    assert all(one.schedule_id.startswith("daily-") for one in made)


async def test_everything_that_is_wrong_is_told_at_once(office: Office) -> None:
    wrong = new(
        "Daily!",
        cron="0 25 * * *",
        time_zone="Europe/Berln",
        variables={"date": "2025-11-18", "region": "EU", "rgion": "eu"},
        jitter=timedelta(days=2),
        date_offset_days=-400,
        refresh_window_days=-1,
        pause_after_failures=-1,
        catch_up=CatchUp(max_runs=0, window=timedelta(seconds=1)),
        start_time=datetime(2025, 12, 1, tzinfo=UTC),
        end_time=datetime(2025, 12, 1, tzinfo=UTC),
        description="a\nb",
    )
    with pytest.raises(InvalidRequest) as refused:
        await office.schedules.create(CALLER, wrong)
    assert sorted(fault.field for fault in refused.value.faults) == sorted(
        [
            *("schedule_id", "cron", "time_zone", "variables.date", "variables.region", "variables.rgion", "jitter"),
            *("date_offset_days", "refresh_window_days", "pause_after_failures", "catch_up.max_runs"),
            *("catch_up.window", "end_time", "description"),
        ]
    )
    assert not await office.schedules.list(ScheduleFilter(), after=None, limit=10)


@pytest.mark.parametrize(
    "settings",
    [
        {"cron": ""},
        {"interval": timedelta(hours=1)},
        {"cron": "", "interval": timedelta(seconds=59)},
        {"cron": "", "interval": timedelta(seconds=60.5)},
        {"cron": "", "interval": timedelta(days=367)},
        {"start_time": datetime(3000, 1, 1, tzinfo=UTC)},
    ],
)
async def test_times_that_are_none(office: Office, settings: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        await office.schedules.create(CALLER, new(**settings))


async def test_a_pipeline_that_is_missing(office: Office) -> None:
    nothing = PipelineName("gcp", "trial", "nothing")
    with pytest.raises(PipelineMissing):
        await office.schedules.create(CALLER, new(name=nothing))
    with pytest.raises(InvalidRequest) as refused:
        await office.schedules.create(CALLER, new(name=nothing, cron="x"))
    assert {fault.field for fault in refused.value.faults} == {"cron", "template_name"}


async def test_setup_is_for_operators(office: Office) -> None:
    with pytest.raises(PermissionDenied):
        await office.schedules.create(CALLER, new(name=PipelineName("setup", "tenants", "onboarding")))


async def test_a_request_that_is_repeated_makes_one(office: Office) -> None:
    made = await office.schedules.create(CALLER, new(""), request_id="r1")
    assert await office.schedules.create(CALLER, new(""), request_id="r1") == made
    with pytest.raises(RequestIdReused):
        await office.schedules.create(CALLER, new("", cron="0 7 * * *"), request_id="r1")
    assert len(await office.schedules.list(ScheduleFilter(), after=None, limit=10)) == 1


async def test_the_store_itself_keeps_a_repeated_request_from_making_two(office: Office, other: Office) -> None:
    """As when two servers get it at the same moment."""
    key = RequestKey("acme_corp", "CreateSchedule", "r1", "same")
    made = await office.store.create_schedule(new("one"), by=BY, request=key)
    assert await other.store.create_schedule(new("two"), by=BY, request=key) == made
    with pytest.raises(RequestConflict):
        await other.store.create_schedule(
            new("two"), by=BY, request=RequestKey("acme_corp", "CreateSchedule", "r1", "other")
        )


async def test_a_request_whose_schedule_was_deleted_makes_no_other(office: Office) -> None:
    made = await office.schedules.create(CALLER, new(""), request_id="r1")
    await office.schedules.delete(Caller("acme_corp", BY), made.schedule_id)
    with pytest.raises(ScheduleNotFound):
        await office.schedules.create(CALLER, new(""), request_id="r1")


async def test_a_mask_sets_what_it_names_and_nothing_else(office: Office) -> None:
    await office.schedule(interval=timedelta(hours=1), cron="")
    (office.folder / "configs/gcp/trial/other.yml").write_text((office.folder / f"configs/{DAILY}.yml").read_text())

    def asked(*paths: str, **fields: Any) -> ScheduleChange:
        message = pb.Schedule(schedule_id="daily", **fields)
        return schedule_change(pb.UpdateScheduleRequest(schedule=message, update_mask=FieldMask(paths=paths)))

    changed = await office.schedules.update(CALLER, asked("template_name", template_name="other", cron="* * * * *"))
    assert changed.settings.name == PipelineName("gcp", "trial", "other")
    assert changed.settings.interval == timedelta(hours=1)
    changed = await office.schedules.update(CALLER, asked("cron", cron="0 7 * * *", time_zone="Europe/Berlin"))
    assert (changed.settings.cron, changed.settings.interval, changed.settings.time_zone) == ("0 7 * * *", None, "UTC")
    with pytest.raises(InvalidRequest):
        await office.schedules.update(CALLER, asked("cron", interval=Duration(seconds=60)))
    changed = await office.schedules.update(CALLER, asked("interval", "cron", interval=Duration(seconds=60)))
    assert (changed.settings.cron, changed.settings.interval) == ("", timedelta(minutes=1))
    changed = await office.schedules.update(
        CALLER, asked("catch_up.max_runs", catch_up=pb.Schedule.CatchUp(max_runs=5))
    )
    assert changed.settings.catch_up == CatchUp(max_runs=5)
    with pytest.raises(InvalidRequest):
        await office.schedules.update(CALLER, asked("domain", domain="../x"))


async def test_an_id_is_taken_once(office: Office) -> None:
    await office.schedule()
    with pytest.raises(ScheduleExists):
        await office.schedules.create(CALLER, new(), request_id="r2")
    # The refused request has left nothing behind.
    await office.schedules.create(CALLER, new("other"), request_id="r2")


async def test_there_is_a_limit(office: Office) -> None:
    for number in range(MAX_SCHEDULES):
        await office.store.create_schedule(new(f"s{number}"), by=BY, request=None)
    with pytest.raises(ScheduleLimitReached):
        await office.schedules.create(CALLER, new("one-more"))


async def test_lists_are_in_order_and_complete(office: Office) -> None:
    await office.onboard("zeta_corp")
    for tenant_id, schedule_id in (("zeta_corp", "a"), ("acme_corp", "b"), ("acme_corp", "a"), ("acme_corp", "c")):
        await office.schedule(schedule_id, tenant_id)
    seen, after = [], None
    while page := await office.schedules.list(ScheduleFilter(), after=after, limit=3):
        seen += [(one.tenant_id, one.schedule_id) for one in page]
        after = SchedulePosition(*seen[-1])
    assert seen == [("acme_corp", "a"), ("acme_corp", "b"), ("acme_corp", "c"), ("zeta_corp", "a")]
    wanted = ScheduleFilter("acme_corp", template_name="daily", domain="trial", provider="gcp")
    assert len(await office.schedules.list(wanted, after=None, limit=10)) == 3
    assert not await office.schedules.list(ScheduleFilter(template_name="x"), after=None, limit=10)


async def test_lists_by_when_they_fire_next(office: Office, clock: Clock) -> None:
    """The same moment twice, so that the order within it counts; without those that fire no more."""
    for schedule_id, cron in (("c", "0 6 * * *"), ("a", "0 7 * * *"), ("b", "0 7 * * *"), ("d", "30 5 1 1 *")):
        await office.schedule(schedule_id, cron=cron)
    await office.schedule("paused", cron="* * * * *")
    await office.schedules.pause(Caller("acme_corp", BY), "paused", "")
    await office.schedule("ended", cron="* * * * *", end_time=clock.now + timedelta(minutes=2))
    clock.advance(3_600)
    seen, after = [], None
    while page := await office.schedules.list(ScheduleFilter(soonest_first=True), after=after, limit=2):
        seen += [one.schedule_id for one in page]
        after = SchedulePosition(page[-1].tenant_id, page[-1].schedule_id, page[-1].due_at)
    assert seen == ["c", "a", "b", "d"]


async def test_lists_by_state(office: Office, clock: Clock) -> None:
    await office.schedule("active")
    await office.schedule("paused")
    await office.schedules.pause(Caller("acme_corp", BY), "paused", "")
    await office.schedule("ended", cron="* * * * *", end_time=clock.now + timedelta(hours=1))
    clock.advance(3_600)

    async def ids(*states: ScheduleState) -> list[str]:
        found = await office.schedules.list(ScheduleFilter(states=states), after=None, limit=10)
        assert {one.state for one in found} <= set(states)
        return [one.schedule_id for one in found]

    assert await ids(ScheduleState.ACTIVE) == ["active"]
    assert await ids(ScheduleState.PAUSED) == ["paused"]
    assert await ids(ScheduleState.ENDED) == ["ended"]
    assert await ids(*ScheduleState) == ["active", "ended", "paused"]


# -- changes -----------------------------------------------------------------------------------------------------------


def change(etag: str = "", **values: object) -> ScheduleChange:
    return ScheduleChange("daily", values, etag=etag)


async def test_a_change_of_the_times_holds_from_now_on(office: Office) -> None:
    was = await office.schedule()
    changed = await office.schedules.update(CALLER, change(was.etag, cron="0 12 * * *"))
    assert changed.next_tick == datetime(2025, 11, 18, 12, tzinfo=UTC)
    assert changed.etag != was.etag
    with pytest.raises(EtagMismatch):
        await office.schedules.update(CALLER, change(was.etag, cron="0 13 * * *"))
    (event, *_) = await office.store.audit_events("acme_corp", before=None, limit=1)
    assert (event.action, event.details) == ("schedule.update", {"cron": '"0 12 * * *"'})


async def test_another_change_leaves_the_times_alone(office: Office) -> None:
    await office.schedule(cron="0 11 * * *")
    # It has passed, and no server has looked yet.
    office.clock.now = datetime(2025, 11, 18, 11, 0, 1, tzinfo=UTC)
    await office.schedules.update(CALLER, change(variables={"region": "us"}))
    await office.look()
    (run,) = await office.made()
    assert run.variables == {"region": "us"}


async def test_ticks_change_no_etag(office: Office) -> None:
    was = await office.schedule(cron="0 11 * * *")
    await office.at("2025-11-18T11:00:00+00:00")
    assert (await office.get()).etag == was.etag


async def test_nothing_is_written_of_no_change(office: Office) -> None:
    was = await office.schedule()
    assert await office.schedules.update(CALLER, change(cron="0 6 * * *")) == was


async def test_a_wrong_change_changes_nothing(office: Office) -> None:
    was = await office.schedule()
    with pytest.raises(InvalidRequest):
        await office.schedules.update(CALLER, change(cron="0 6 * *"))
    assert await office.get() == was


async def test_parts_of_catching_up(office: Office) -> None:
    await office.schedule(catch_up=CatchUp(max_runs=3))
    wanted = ScheduleChange("daily", {}, catch_up={"window": timedelta(days=1)})
    changed = await office.schedules.update(CALLER, wanted)
    assert changed.settings.catch_up == CatchUp(max_runs=3, window=timedelta(days=1))


@pytest.mark.parametrize("how", ["times", "pause", "delete"])
async def test_a_tick_that_has_passed_is_not_lost(office: Office, how: str) -> None:
    """Somebody changes the schedule at the moment at which it would have fired."""
    await office.schedule(cron="0 11 * * *")
    office.clock.now = datetime(2025, 11, 18, 11, 0, 1, tzinfo=UTC)
    match how:
        case "times":
            await office.schedules.update(CALLER, change(cron="0 12 * * *"))
        case "pause":
            await office.schedules.pause(Caller("acme_corp", BY), "daily", "")
        case "delete":
            await office.schedules.delete(Caller("acme_corp", BY), "daily")
    await office.look()
    assert await office.outcomes() == [("18 11:00", "SKIPPED")]
    assert not await office.made()


@pytest.mark.parametrize("how", ["times", "pause", "delete"])
async def test_a_tick_that_would_fire_a_little_later_is_not_lost(office: Office, how: str) -> None:
    await office.schedule(cron="0 11 * * *", jitter=timedelta(hours=12))
    await office.at("2025-11-18T11:00:01+00:00")
    assert not await office.outcomes()
    match how:
        case "times":
            await office.schedules.update(CALLER, change(jitter=timedelta(minutes=1)))
        case "pause":
            await office.schedules.pause(Caller("acme_corp", BY), "daily", "")
        case "delete":
            await office.schedules.delete(Caller("acme_corp", BY), "daily")
    assert await office.outcomes() == [("18 11:00", "SKIPPED")]


async def test_what_is_paused_and_over_stays_paused_when_it_gets_a_later_end(office: Office, clock: Clock) -> None:
    await office.schedule(cron="*/20 * * * *", end_time=clock.now + timedelta(minutes=30))
    await office.schedules.pause(Caller("acme_corp", BY), "daily", "")
    clock.advance(3_600)
    assert (await office.get()).state is ScheduleState.ENDED
    changed = await office.schedules.update(CALLER, change(end_time=clock.now + timedelta(days=9)))
    assert (changed.state, changed.next_tick) == (ScheduleState.PAUSED, None)
    await office.after(hours=5)
    assert not await office.made()


async def test_what_would_never_fire_is_not_made(office: Office, clock: Clock) -> None:
    for length in (timedelta(minutes=30), -timedelta(days=1)):
        with pytest.raises(InvalidRequest) as refused:
            await office.schedule(cron="0 * * * *", end_time=clock.now + length)
        assert [fault.field for fault in refused.value.faults] == ["end_time"]
    with pytest.raises(ScheduleNotFound):
        await office.get()


async def test_what_is_over_is_not_resumed(office: Office, clock: Clock) -> None:
    await office.schedule(cron="*/20 * * * *", end_time=clock.now + timedelta(minutes=30))
    clock.advance(3_600)
    with pytest.raises(ScheduleEnded):
        await office.schedules.resume(CALLER, "daily")


async def test_what_could_not_be_made_now_is_not_resumed(office: Office) -> None:
    await office.schedule()
    await office.schedules.pause(CALLER, "daily", "")
    text = (office.folder / "configs" / f"{DAILY}.yml").read_text()
    office.write_pipeline(text=text.replace('{default: "eu", pattern: "[a-z]+"}', "{required: true}"))
    with pytest.raises(InvalidRequest) as refused:
        await office.schedules.resume(CALLER, "daily")
    assert [(fault.reason, fault.field) for fault in refused.value.faults] == [
        ("VARIABLE_REQUIRED", "variables.region")
    ]
    assert (await office.get()).state is ScheduleState.PAUSED


async def test_one_of_a_suspended_tenant_may_be_resumed(office: Office) -> None:
    await office.schedule()
    await office.schedules.pause(CALLER, "daily", "")
    await office.set_state(TenantState.SUSPENDED)
    assert (await office.schedules.resume(CALLER, "daily")).state is ScheduleState.ACTIVE


async def test_an_operators_schedule_is_not_the_tenants_to_change(office: Office) -> None:
    """One of a pipeline that the tenant may not run."""
    operator = Caller("acme_corp", BY, is_admin=True)
    shutil.copytree(Settings().configs_dir / "setup", office.folder / "configs" / "setup")
    name = PipelineName("setup", "tenants", "onboarding")
    await office.schedules.create(
        operator, NewSchedule("acme_corp", "daily", ScheduleSettings(name=name, cron="0 6 * * *"))
    )
    for change_it in (
        office.schedules.pause(CALLER, "daily", ""),
        office.schedules.resume(CALLER, "daily"),
        office.schedules.delete(CALLER, "daily"),
    ):
        with pytest.raises(PermissionDenied):
            await change_it
    assert (await office.schedules.pause(operator, "daily", "")).state is ScheduleState.PAUSED
    assert (await office.schedules.resume(operator, "daily")).state is ScheduleState.ACTIVE
    await office.schedules.delete(operator, "daily")


async def test_lists_of_a_tenant_that_is_not_there(office: Office) -> None:
    for found in (
        office.schedules.list(ScheduleFilter(tenant_id="nobody"), after=None, limit=9),
        office.schedules.ticks(TickFilter("nobody"), after=None, limit=9),
        office.backfills.list(BackfillFilter(tenant_id="nobody"), after=None, limit=9),
        office.runs.list(RunFilter(tenant_id="nobody"), after=None, limit=9),
    ):
        with pytest.raises(TenantNotFound):
            await found
    assert await office.schedules.list(ScheduleFilter(tenant_id="acme_corp"), after=None, limit=9) == []


async def test_what_is_over_goes_on_when_it_gets_a_later_end(office: Office, clock: Clock) -> None:
    await office.schedule(cron="*/20 * * * *", end_time=clock.now + timedelta(minutes=30))
    clock.advance(3_600)
    await office.schedules.update(CALLER, change(end_time=clock.now + timedelta(days=9)))
    await office.after(hours=1)
    assert len(await office.made()) == 1


async def test_a_pause_and_what_it_misses(office: Office) -> None:
    was = await office.schedule(cron="0 * * * *")
    paused = await office.schedules.pause(Caller("acme_corp", BY), "daily", "bills are late")
    assert (paused.state, paused.pause_reason, paused.next_tick) == (ScheduleState.PAUSED, "bills are late", None)
    assert paused.etag != was.etag
    again = await office.schedules.pause(Caller("acme_corp", BY), "daily", "still late")
    assert again.pause_reason == "still late"
    assert (await office.schedules.pause(Caller("acme_corp", BY), "daily", "")).pause_reason == "still late"
    await office.at("2025-11-18T12:30:00+00:00")
    resumed = await office.schedules.resume(Caller("acme_corp", BY), "daily")
    assert (resumed.state, resumed.pause_reason) == (ScheduleState.ACTIVE, "")
    await office.at("2025-11-18T13:00:00+00:00")
    assert await office.outcomes() == [("18 13:00", "FIRED")]
    assert (await office.get()).missed_ticks == 0


async def test_to_resume_what_fires_loses_no_tick(office: Office) -> None:
    await office.schedule(cron="0 11 * * *")
    office.clock.now = datetime(2025, 11, 18, 11, 0, 1, tzinfo=UTC)
    await office.schedules.resume(Caller("acme_corp", BY), "daily")
    await office.look()
    assert await office.outcomes() == [("18 11:00", "FIRED")]


async def test_a_tick_that_waits_is_skipped_by_a_pause(office: Office) -> None:
    await office.schedule(cron="0 * * * *", overlap=Overlap.BUFFER_ONE)
    for hour in (11, 12):
        await office.at(f"2025-11-18T{hour}:00:00+00:00")
    await office.schedules.pause(Caller("acme_corp", BY), "daily", "")
    await office.end()
    await office.look()
    assert [outcome for _, outcome in await office.outcomes()] == ["FIRED", "SKIPPED"]


async def test_what_is_deleted_leaves_its_ticks(office: Office) -> None:
    was = await office.schedule(cron="0 11 * * *")
    await office.at("2025-11-18T11:00:00+00:00")
    with pytest.raises(EtagMismatch):
        await office.schedules.delete(Caller("acme_corp", BY), "daily", etag="x")
    await office.schedules.delete(Caller("acme_corp", BY), "daily", etag=was.etag)
    with pytest.raises(ScheduleNotFound):
        await office.get()
    assert await office.outcomes() == [("18 11:00", "FIRED")]
    # Its run ends without it.
    await office.end()
    await office.schedule(cron="0 11 * * *")
    await office.at("2025-11-19T11:00:00+00:00")
    assert await office.outcomes() == [("18 11:00", "FIRED"), ("19 11:00", "FIRED")]


@pytest.mark.parametrize("schedule_id", ["nothing", "", "daily\0", "x" * 10_000])
async def test_what_is_not_there(office: Office, schedule_id: str) -> None:
    await office.schedule()
    for asking in (
        office.schedules.get("acme_corp", schedule_id),
        office.schedules.update(CALLER, ScheduleChange(schedule_id, {"cron": "* * * * *"})),
        office.schedules.delete(Caller("acme_corp", BY), schedule_id),
        office.schedules.pause(Caller("acme_corp", BY), schedule_id, ""),
        office.schedules.resume(Caller("acme_corp", BY), schedule_id),
        office.schedules.get("other_corp", "daily"),
        office.schedules.pause(Caller("other_corp", BY), "daily", ""),
        office.schedules.delete(Caller("other_corp", BY), "daily"),
    ):
        with pytest.raises(ScheduleNotFound):
            await asking


async def test_an_offboarded_tenants_schedules_are_over(office: Office) -> None:
    await office.schedule(cron="0 * * * *")
    await office.store.offboard_tenant("acme_corp", by=Actor("op"), request=None)
    assert (await office.get()).state is ScheduleState.PAUSED
    await office.at("2025-11-18T11:00:00+00:00")
    assert not await office.made()
    with pytest.raises(TenantNotActive):
        await office.schedules.resume(Caller("acme_corp", BY), "daily")
    with pytest.raises(TenantNotActive):
        await office.schedules.create(CALLER, new("other"))


async def test_a_suspended_tenant_gets_no_new_schedule(office: Office) -> None:
    await office.set_state(TenantState.SUSPENDED)
    with pytest.raises(TenantNotActive):
        await office.schedules.create(CALLER, new())


async def test_reasons_are_lines(office: Office) -> None:
    await office.schedule()
    for reason in ("a\nb", "x" * 1_001):
        with pytest.raises(InvalidRequest):
            await office.schedules.pause(Caller("acme_corp", BY), "daily", reason)
