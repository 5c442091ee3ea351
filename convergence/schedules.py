"""The commands about schedules."""

from typing import Annotated

import typer

from convergence.arguments import (
    Limit,
    PipelinePath,
    Reading,
    RequestId,
    TenantOption,
    Variables,
    choose,
    group,
    split_path,
    take,
)
from convergence.client import ConvergenceClient, ScheduledRunFilter, ScheduleFilter
from convergence.output import as_dict
from convergence.schedule_options import (
    CHANGE_PLACES,
    PLACES,
    CatchUp,
    CatchUpRuns,
    CatchUpWindow,
    Cron,
    DateOffset,
    Description,
    End,
    Every,
    Jitter,
    OverlapOption,
    PauseAfter,
    RefreshDays,
    ScheduleOptions,
    Start,
    TimeZone,
)
from convergence.schedule_tables import schedule_parts, schedules_table, ticks_table
from convergence.session import current_session
from convergence.v1.schedule_service_pb2 import Schedule, ScheduledRun

schedules = group("Makes, changes, pauses and deletes schedules, and shows what they did.")

ScheduleId = Annotated[str, typer.Argument(metavar="SCHEDULE", help="The schedule's id.")]
_STATES = {name: number for name, number in Schedule.State.items() if number}
_OUTCOMES = {name: number for name, number in ScheduledRun.Outcome.items() if number}
_SHOWN_TICKS = 10


@schedules.command("create")
def create_schedule(
    ctx: typer.Context,
    pipeline: PipelinePath,
    *,
    tenant: TenantOption,
    schedule_id: Annotated[str, typer.Option("--id", help="Its id; without it the server makes one.")] = "",
    cron: Cron = None,
    every: Every = None,
    time_zone: TimeZone = None,
    var: Variables = None,
    overlap: OverlapOption = None,
    catch_up: CatchUp = None,
    catch_up_runs: CatchUpRuns = None,
    catch_up_window: CatchUpWindow = None,
    jitter: Jitter = None,
    date_offset: DateOffset = None,
    refresh_days: RefreshDays = None,
    pause_after: PauseAfter = None,
    start: Start = None,
    end: End = None,
    description: Description = None,
    request_id: RequestId = "",
) -> None:
    """Run a pipeline by the clock, with --cron or --every."""
    session = current_session(ctx)
    options = ScheduleOptions(
        cron=cron,
        every=every,
        time_zone=time_zone,
        var=var,
        overlap=overlap,
        catch_up=catch_up,
        catch_up_runs=catch_up_runs,
        catch_up_window=catch_up_window,
        jitter=jitter,
        date_offset=date_offset,
        refresh_days=refresh_days,
        pause_after=pause_after,
        start=start,
        end=end,
        description=description,
    )

    async def work(client: ConvergenceClient) -> int:
        made = await client.create_schedule(options.new(tenant, schedule_id, pipeline), request_id=request_id)
        session.show(as_dict(made), *schedule_parts(made))
        return 0

    session.execute(work, places=PLACES)


@schedules.command("list")
def list_schedules(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's id; operators may leave it out.")] = "",
    pipeline: Annotated[
        str | None, typer.Option(metavar="PIPELINE", help="Only those of provider/domain/name, or provider/name.")
    ] = None,
    state: Annotated[list[str] | None, typer.Option(help=f"{', '.join(_STATES)}; repeatable.")] = None,
) -> None:
    """List schedules by id."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        wanted = _wanted(pipeline, state or [])
        found = [item async for item in client.iter_schedules(tenant, **wanted)]
        session.show({"schedules": [as_dict(item) for item in found]}, schedules_table(found, all_tenants=not tenant))
        return 0

    session.execute(work)


def _wanted(pipeline: str | None, states: list[str]) -> ScheduleFilter:
    reading = Reading()
    provider, domain, template_name = reading.read(split_path, pipeline, "--pipeline") or ("", "", "")
    numbers = reading.read(choose, states, _STATES, "--state") or []
    reading.end()
    return ScheduleFilter(provider=provider, domain=domain, template_name=template_name, states=numbers)


@schedules.command("show")
def show_schedule(ctx: typer.Context, schedule_id: ScheduleId, tenant: TenantOption) -> None:
    """Show a schedule, the times it fires next, and its latest ticks."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.get_schedule(tenant, schedule_id)
        listed = client.iter_scheduled_runs(tenant, schedule_id=schedule_id, page_size=_SHOWN_TICKS)
        ticks = await take(listed, _SHOWN_TICKS)
        document = as_dict(found) | {"scheduled_runs": [as_dict(tick) for tick in ticks]}
        session.show(document, *schedule_parts(found, ticks))
        return 0

    session.execute(work)


@schedules.command("update")
def update_schedule(
    ctx: typer.Context,
    schedule_id: ScheduleId,
    *,
    tenant: TenantOption,
    pipeline: Annotated[str | None, typer.Option(metavar="PIPELINE", help="What to run from now on.")] = None,
    cron: Cron = None,
    every: Every = None,
    time_zone: TimeZone = None,
    var: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Set a variable, in place of all; repeatable.")
    ] = None,
    no_vars: Annotated[bool, typer.Option("--no-vars", help="Unset all variables.")] = False,
    overlap: OverlapOption = None,
    catch_up: CatchUp = None,
    catch_up_runs: CatchUpRuns = None,
    catch_up_window: CatchUpWindow = None,
    jitter: Jitter = None,
    date_offset: DateOffset = None,
    refresh_days: RefreshDays = None,
    pause_after: PauseAfter = None,
    start: Start = None,
    no_start: Annotated[bool, typer.Option("--no-start", help="Unset the time of --start.")] = False,
    end: End = None,
    no_end: Annotated[bool, typer.Option("--no-end", help="Unset the time of --end.")] = False,
    description: Description = None,
) -> None:
    """Change a schedule; what no option names stays as it is."""
    session = current_session(ctx)
    options = ScheduleOptions(
        cron=cron,
        every=every,
        time_zone=time_zone,
        var=var,
        overlap=overlap,
        catch_up=catch_up,
        catch_up_runs=catch_up_runs,
        catch_up_window=catch_up_window,
        jitter=jitter,
        date_offset=date_offset,
        refresh_days=refresh_days,
        pause_after=pause_after,
        start=start,
        end=end,
        description=description,
    )
    cleared = {"vars": no_vars, "start": no_start, "end": no_end}

    async def work(client: ConvergenceClient) -> int:
        found = await client.update_schedule(*options.changes(tenant, schedule_id, pipeline, cleared))
        session.show(as_dict(found), *schedule_parts(found))
        return 0

    session.execute(work, places=CHANGE_PLACES)


@schedules.command("delete")
def delete_schedule(ctx: typer.Context, schedule_id: ScheduleId, tenant: TenantOption) -> None:
    """Delete a schedule; its runs stay."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        await client.delete_schedule(tenant, schedule_id)
        session.show({}, f"The schedule {schedule_id} is deleted.")
        return 0

    session.execute(work)


@schedules.command("pause")
def pause_schedule(
    ctx: typer.Context,
    schedule_id: ScheduleId,
    tenant: TenantOption,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
) -> None:
    """Stop a schedule from firing; its runs go on."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.pause_schedule(tenant, schedule_id, reason=reason)
        session.show(as_dict(found), *schedule_parts(found))
        return 0

    session.execute(work)


@schedules.command("resume")
def resume_schedule(ctx: typer.Context, schedule_id: ScheduleId, tenant: TenantOption) -> None:
    """Let a schedule fire again; what it missed meanwhile is not caught up."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.resume_schedule(tenant, schedule_id)
        session.show(as_dict(found), *schedule_parts(found))
        return 0

    session.execute(work)


@schedules.command("ticks")
def list_ticks(
    ctx: typer.Context,
    *,
    tenant: TenantOption,
    schedule: Annotated[str, typer.Option(help="Only this schedule's, by its id.")] = "",
    outcome: Annotated[list[str] | None, typer.Option(help=f"{', '.join(_OUTCOMES)}; repeatable.")] = None,
    limit: Limit = 20,
) -> None:
    """List what schedules did, newest first: the runs they started, or why they did not."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        outcomes = choose(outcome or [], _OUTCOMES, "--outcome")
        wanted = ScheduledRunFilter(schedule_id=schedule, outcomes=outcomes, page_size=min(limit, 500))
        found = await take(client.iter_scheduled_runs(tenant, **wanted), limit)
        session.show({"scheduled_runs": [as_dict(item) for item in found]}, ticks_table(found))
        return 0

    session.execute(work)
