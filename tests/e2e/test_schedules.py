"""Schedules and backfills on real servers: ticks that come due, processes that are killed, days that are run."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc

from convergence.client import ConvergenceClient
from convergence.errors import AlreadyExists, ConvergenceError, InvalidArgument, NotFound
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.run_pb2 import Run
from convergence.v1.schedule_service_pb2 import Schedule, ScheduledRun
from server.domain.audit import PRODUCT
from server.domain.pipeline import PipelineName
from server.domain.schedule import NewSchedule, ScheduleSettings
from server.store.sqlite import open_sqlite
from tests.e2e.service import Service, file_appears, finished, make_checkout, onboard
from tests.e2e.test_crashes import rows
from tests.store.postgres import Postgres

DRYRUN: Any = {"provider": "gcp", "domain": "example", "template_name": "dryrun"}
MANY = 5_000


def soon(schedule_id: str, seconds: float, **settings: Any) -> Schedule:
    """A schedule that fires once a day, the first time so many seconds from now."""
    wanted = Schedule(
        tenant_id="acme_corp", schedule_id=schedule_id, interval=Duration(seconds=86_400), **DRYRUN, **settings
    )
    start = Timestamp()
    start.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
    wanted.start_time.CopyFrom(start)
    return wanted


async def ticks(client: ConvergenceClient, count: int) -> list[ScheduledRun]:
    """So many ticks that have started runs."""
    async with asyncio.timeout(90):
        while True:
            found = [tick async for tick in client.iter_scheduled_runs("acme_corp", outcomes=[ScheduledRun.FIRED])]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)


async def runs_of_schedules(client: ConvergenceClient) -> Mapping[str, int]:
    """How many runs there are of each schedule."""
    return Counter([run.schedule_id async for run in client.iter_runs("acme_corp") if run.schedule_id])


async def test_a_tick_runs_the_pipeline(own_service: Service) -> None:
    key = await onboard(own_service, "acme_corp")
    async with own_service.client(key) as client:
        made = await client.create_schedule(
            soon(
                "daily", 1, date_offset_days=-1, time_zone="Pacific/Kiritimati", variables={"greeting": "by the clock"}
            )
        )
        assert len(made.next_fire_times) == 10
        (tick,) = await ticks(client, 1)
        run = await finished(client, await client.get_run("acme_corp", tick.pipeline_logging_id))
        assert run.status == Run.SUCCESS
        assert (run.trigger, run.schedule_id, run.created_by) == (Run.SCHEDULE, "daily", "")
        nominal = tick.nominal_time.ToDatetime(tzinfo=UTC)
        # Fourteen hours ahead of UTC all the year.
        assert run.date == tick.date == f"{nominal + timedelta(hours=14) - timedelta(days=1):%Y-%m-%d}"
        assert run.variables["greeting"] == "by the clock"
        shown = await client.get_schedule("acme_corp", "daily")
        assert shown.last_run == run.pipeline_logging_id
        assert shown.etag == made.etag
    await own_service.stop()
    sql = "SELECT schedule_id, status, pipeline_logging_id FROM x_meta_scheduled_runs"
    assert await rows(own_service.checkout, sql) == [("daily", "FIRED", run.pipeline_logging_id)]


async def test_a_tenant_begins_with_the_schedules_of_the_shipped_files(service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        found = {one.schedule_id: one async for one in client.iter_schedules("acme_corp")}
        costs = found["gcp-cost-cost_billing"]
        assert (costs.state, costs.cron, costs.date_offset_days) == (Schedule.PAUSED, "0 6 * * *", -1)
        resumed = await client.resume_schedule("acme_corp", "gcp-cost-cost_billing")
        assert (resumed.state, len(resumed.next_fire_times)) == (Schedule.ACTIVE, 10)
        await client.pause_schedule("acme_corp", "gcp-cost-cost_billing", reason="as before")


async def test_servers_that_are_killed_fire_each_tick_once(own_service: Service) -> None:
    key = await onboard(own_service, "acme_corp")
    count = 24
    async with own_service.client(key) as client:
        for number in range(count):
            # Four a second, from the moment at which the last is stored.
            await client.create_schedule(soon(f"s{number}", 4 + number / 4))
    for killed in range(1, 4):
        async with own_service.client(key) as client:
            await ticks(client, killed * count // 4)
        await own_service.kill()
        own_service = await Service.start(own_service.checkout, lease_seconds="3")
    try:
        async with own_service.client(key) as client:
            await ticks(client, count)
            assert await runs_of_schedules(client) == {f"s{number}": 1 for number in range(count)}
    finally:
        await own_service.stop()


@pytest.fixture
async def replicas(tmp_path: Path, running_postgres: Postgres) -> AsyncIterator[list[Service]]:
    """Two servers on one database; the first has the worker."""
    settings = {"database_url": running_postgres.new_database(), "pepper_file": str(tmp_path / "pepper")}
    async with AsyncExitStack() as stack:
        services = []
        for number, workers in enumerate(("1", "0")):
            checkout = make_checkout(tmp_path / f"machine{number}")
            services.append(await Service.start(checkout, workers=workers, **settings))
            stack.push_async_callback(services[-1].stop)
        yield services


async def test_two_replicas_fire_each_tick_once_and_one_goes_on_alone(replicas: list[Service]) -> None:
    first, second = replicas
    key = await onboard(first, "acme_corp")
    count = 40
    async with first.client(key) as client:
        for number in range(count):
            await client.create_schedule(soon(f"s{number}", 5 if number < count // 2 else 9))
        await ticks(client, count // 2)
        await second.kill()
        await ticks(client, count)
        assert await runs_of_schedules(client) == {f"s{number}": 1 for number in range(count)}


# -- backfills ---------------------------------------------------------------------------------------------------------


async def test_days_are_run_and_watched(service: Service, acme_key: str) -> None:
    days: Any = {**DRYRUN, "start_date": "2024-02-27", "end_date": "2024-03-02"}
    async with service.client(acme_key) as client:
        planned = await client.backfill_pipeline([], **days, plan_only=True)
        assert (planned.state, planned.total_runs, planned.backfill_id) == (Backfill.PLANNED, 4, "")
        assert "overwrite" in planned.warnings[0]
        made = await client.backfill_pipeline([], **days, max_active_runs=2)
        assert made.tenant_ids == ["acme_corp"]
        async with asyncio.timeout(60):
            states = [state async for state in client.watch_backfill(made.backfill_id)]
        assert states[-1].state == Backfill.FINISHED
        assert dict(states[-1].runs_by_status) == {"SUCCESS": 4}
        runs = [run async for run in client.iter_runs("acme_corp", backfill_id=made.backfill_id)]
        assert {run.date for run in runs} == {"2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"}
        again = await client.backfill_pipeline([], **days)
        assert (again.state, again.skipped_days) == (Backfill.FINISHED, 4)


async def test_a_plan_of_days_tells_why_they_would_fail(service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        costs: Any = {"provider": "gcp", "domain": "cost", "template_name": "cost_billing"}
        planned = await client.backfill_pipeline(
            [], **costs, start_date="2024-01-01", end_date="2024-02-01", plan_only=True
        )
        assert planned.total_runs == 31
        assert any("gcp_billing_export_v1" in warning for warning in planned.warnings)
        listed = await client.list_backfills("acme_corp")
        assert not any(one.template_name == "cost_billing" for one in listed.backfills)


async def test_an_operators_backfill_of_several_tenants_is_hidden_from_each(
    service: Service, acme_key: str, rival_key: str
) -> None:
    async with service.client() as operator, service.client(acme_key) as acme, service.client(rival_key):
        made = await operator.backfill_pipeline(
            ["acme_corp", "rival_inc"], **DRYRUN, start_date="2023-01-01", end_date="2023-01-02"
        )
        async with asyncio.timeout(60):
            states = [state async for state in operator.watch_backfill(made.backfill_id)]
        assert dict(states[-1].runs_by_status) == {"SUCCESS": 2}
        with pytest.raises(ConvergenceError) as refused:
            await acme.get_backfill(made.backfill_id)
        assert refused.value.reason == "BACKFILL_NOT_FOUND"
        # The run in its own dataset is its own.
        (run,) = (await acme.list_runs("acme_corp", backfill_id=made.backfill_id)).runs
        assert run.date == "2023-01-01"


async def test_a_backfill_goes_on_after_kill_9(own_service: Service) -> None:
    key = await onboard(own_service, "acme_corp")
    async with own_service.client(key) as client:
        made = await client.backfill_pipeline([], **DRYRUN, start_date="2024-01-01", end_date="2024-01-21")
        states = client.watch_backfill(made.backfill_id)
        async with asyncio.timeout(60):
            while (await anext(states)).waiting_runs > 15:
                pass
        await states.aclose()
    await own_service.kill()
    own_service = await Service.start(own_service.checkout, lease_seconds="3")
    try:
        async with own_service.client(key) as client, asyncio.timeout(90):
            last = [state async for state in client.watch_backfill(made.backfill_id)][-1]
            assert (last.state, dict(last.runs_by_status)) == (Backfill.FINISHED, {"SUCCESS": 20})
            dates = [run.date async for run in client.iter_runs("acme_corp", backfill_id=made.backfill_id)]
            assert sorted(dates) == [f"2024-01-{day:02}" for day in range(1, 21)]
    finally:
        await own_service.stop()


async def test_a_backfill_leaves_a_place_to_those_who_wait(tmp_path: Path) -> None:
    service = await Service.start(make_checkout(tmp_path / "checkout"), worker_concurrency="2")
    try:
        async with service.client(await onboard(service, "acme_corp")) as client, asyncio.timeout(90):
            made = await client.backfill_pipeline(
                [],
                provider="trial",
                domain="",
                template_name="gate",
                start_date="2024-01-01",
                end_date="2024-01-06",
                variables={"folder": str(tmp_path)},
                max_active_runs=4,
            )
            states = client.watch_backfill(made.backfill_id)
            while (await anext(states)).waiting_runs > 1:
                pass
            await file_appears(tmp_path / "began-1")
            # The place of each that ends is free for a day, of which three wait, or for the next.
            for number in range(3):
                run = await client.run_pipeline("acme_corp", **DRYRUN, request_id=f"{number}")
                assert (await finished(client, run)).status == Run.SUCCESS
            (tmp_path / "open").touch()
            last = [state async for state in states][-1]
            assert dict(last.runs_by_status) == {"SUCCESS": 5}
    finally:
        await service.stop()


# -- very many ---------------------------------------------------------------------------------------------------------


async def test_a_schedule_is_tried_before_it_is_made(service: Service, acme_key: str) -> None:
    wanted = Schedule(
        tenant_id="acme_corp", schedule_id="tried", provider="gcp", domain="example", template_name="dryrun"
    )
    wanted.cron = "0 6 * * *"
    async with service.client(acme_key) as client:
        tried = await client.preview_schedule(wanted)
        assert (tried.state, len(tried.next_fire_times)) == (Schedule.ACTIVE, 10)
        with pytest.raises(NotFound):
            await client.get_schedule("acme_corp", "tried")
        wanted.cron, wanted.time_zone = "61 * * * *", "Mars"
        with pytest.raises(InvalidArgument) as refused:
            await client.preview_schedule(wanted)
        assert {violation.field for violation in refused.value.violations} == {"cron", "time_zone"}
        wanted.cron, wanted.time_zone = "0 6 * * *", ""
        made = await client.create_schedule(wanted)
        with pytest.raises(AlreadyExists):
            await client.preview_schedule(wanted)
        found = await client.list_schedules("acme_corp", fire_times=3)
        (listed,) = [one for one in found.schedules if one.schedule_id == "tried"]
        assert list(listed.next_fire_times) == list(made.next_fire_times)[:3]
        with pytest.raises(InvalidArgument):
            await client.list_schedules("acme_corp", fire_times=11)
        await client.delete_schedule("acme_corp", "tried")


@pytest.mark.long
async def test_very_many_fire_at_one_instant_while_others_are_answered(own_service: Service) -> None:
    tenants = [f"tenant_{number}" for number in range(10)]
    for tenant_id in tenants:
        await onboard(own_service, tenant_id)
    store = await open_sqlite(own_service.checkout / "var" / "control.sqlite3")
    try:
        instant = datetime.now(UTC) + timedelta(seconds=45)
        name = PipelineName("gcp", "example", "dryrun")
        for number in range(MANY):
            settings = ScheduleSettings(name=name, interval=timedelta(days=1), start_time=instant)
            new = NewSchedule(tenants[number % 10], f"s{number}", settings)
            await store.create_schedule(new, by=PRODUCT, request=None)
        assert datetime.now(UTC) < instant

        fired = "SELECT COUNT(*) AS n FROM scheduled_runs WHERE outcome = 'FIRED'"
        started = "SELECT COUNT(DISTINCT schedule_id) AS n FROM runs WHERE schedule_id != ''"

        async def count(sql: str) -> int:
            found: int = await store._db.read(lambda tx: tx.execute(sql).fetchone()["n"])
            return found

        async with own_service.client() as client, asyncio.timeout((instant - datetime.now(UTC)).total_seconds() + 60):
            health = health_pb2_grpc.HealthStub(client._channel)
            while await count(fired) < MANY:
                # Neither may take a second.
                checked = await health.Check(health_pb2.HealthCheckRequest(), timeout=1)
                assert checked.status == health_pb2.HealthCheckResponse.SERVING
                async with asyncio.timeout(1):
                    await client.list_runs(tenants[0], page_size=5)
                await asyncio.sleep(0.1)

        assert (await count(fired), await count(started)) == (MANY, MANY)
    finally:
        await store.close()


async def test_the_command_line_from_end_to_end(service: Service, acme_key: str) -> None:
    async def said(*arguments: str, code: int = 0) -> str:
        status, printed = await service.command(*arguments)
        assert status == code, printed
        return printed

    pipeline = ("gcp/example/dryrun", "--tenant", "acme_corp")
    await said("schedules", "create", *pipeline, "--id", "typed", "--cron", "0 6 * * *", "--date-offset", "-1")
    assert "0 6 * * *" in await said("schedules", "show", "typed", "--tenant", "acme_corp")
    wrong = await said(
        "schedules", "update", "typed", "--tenant", "acme_corp", "--cron", "0 6 * *", "--time-zone", "Mars", code=2
    )
    assert "five fields" in wrong
    assert "IANA" in wrong
    assert "30 7 * * 1-5" in await said(
        "schedules", "update", "typed", "--tenant", "acme_corp", "--cron", "30 7 * * 1-5"
    )
    assert "PAUSED" in await said("schedules", "pause", "typed", "--tenant", "acme_corp", "--reason", "x")
    await said("schedules", "delete", "typed", "--tenant", "acme_corp")
    await said("schedules", "show", "typed", "--tenant", "acme_corp", code=2)
    planned = await said("backfill", *pipeline, "--from", "2022-01-01", "--to", "2022-01-03", "--plan")
    assert "2" in planned
    await said("backfill", *pipeline, "--from", "2022-01-01", "--to", "2022-01-03", "--watch")
    assert "FINISHED" in await said("backfills", "list", "--tenant", "acme_corp")
