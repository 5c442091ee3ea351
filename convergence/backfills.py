"""The commands about backfills."""

from collections.abc import Sequence
from typing import Annotated

import typer

from convergence.arguments import (
    Limit,
    PipelinePath,
    Reading,
    RequestId,
    Variables,
    choose,
    choose_one,
    group,
    parse_count,
    parse_variables,
    split_path,
    take,
)
from convergence.backfill_tables import backfill_line, backfill_parts, backfills_table
from convergence.client import BackfillFilter, ConvergenceClient
from convergence.output import as_dict
from convergence.session import current_session
from convergence.v1.backfill_pb2 import Backfill

backfills = group("Shows, watches, pauses, resumes and cancels backfills.")

BackfillId = Annotated[str, typer.Argument(metavar="BACKFILL", help="The backfill's id.")]
_REPROCESS = {"none": Backfill.NONE, "failed": Backfill.ONLY_FAILED, "all": Backfill.ALL}
_PLACES = {"start_date": "--from", "end_date": "--to", "max_active_runs": "--max-active"}
# Nobody can ask for those that are only planned.
_STATES = {name: number for name, number in Backfill.State.items() if number not in {0, Backfill.PLANNED}}


def backfill(
    ctx: typer.Context,
    pipeline: PipelinePath,
    *,
    tenant: Annotated[list[str] | None, typer.Option(help="The tenant's id; an operator may repeat it.")] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="Every active tenant, in place of --tenant; for operators.")
    ] = False,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="The first day, YYYY-MM-DD.")],
    end: Annotated[
        str, typer.Option("--to", metavar="DAY", help="The day after the last one, YYYY-MM-DD: it is not run.")
    ],
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Begin with the last day.")] = False,
    reprocess: Annotated[
        str, typer.Option(help=f"Which days to run that have a run already: {', '.join(_REPROCESS)}.")
    ] = "none",
    max_active: Annotated[str, typer.Option(metavar="NUMBER", help="How many of its runs may go on at a time.")] = "1",
    var: Variables = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what it would run, and start nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show the backfill until it has ended.")] = False,
    request_id: RequestId = "",
) -> None:
    """Run a pipeline for each day of a range, and each of several tenants."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        reading = Reading()
        provider, domain, template_name = reading.read(split_path, pipeline) or ("", "", "")
        variables = reading.read(parse_variables, var)
        again = reading.read(choose_one, reprocess, _REPROCESS, "--reprocess") or Backfill.NONE
        at_a_time = reading.read(parse_count, max_active, "--max-active") or 0
        _refuse_contradictions(reading, tenant or [], all_tenants=all_tenants, plan=plan, watch=watch)
        reading.end()
        made = await client.backfill_pipeline(
            tenant or [],
            all_tenants=all_tenants,
            provider=provider,
            domain=domain,
            template_name=template_name,
            start_date=first,
            end_date=end,
            variables=variables,
            order=Backfill.NEWEST_FIRST if newest_first else Backfill.OLDEST_FIRST,
            reprocess=again,
            max_active_runs=at_a_time,
            plan_only=plan,
            request_id=request_id,
        )
        if watch:
            return await session.watch_backfill(client, made)
        if plan:
            session.show(as_dict(made), *backfill_parts(made))
        else:
            session.show_started(made)
        return 0

    session.execute(work, places=_PLACES)


def _refuse_contradictions(
    reading: Reading, tenants: Sequence[str], *, all_tenants: bool, plan: bool, watch: bool
) -> None:
    if not tenants and not all_tenants:
        reading.refuse("--tenant", "is missing: name the tenants, or write --all-tenants")
    if tenants and all_tenants:
        reading.refuse("--all-tenants", "--tenant is given, too; write one of both")
    if plan and watch:
        reading.refuse("--watch", "--plan is given, too, and starts nothing to watch; write one of both")


@backfills.command("list")
def list_backfills(
    ctx: typer.Context,
    tenant: Annotated[
        str, typer.Option("--tenant", help="Those of this tenant alone, by its id; operators may leave it out.")
    ] = "",
    schedule: Annotated[str, typer.Option(help="Only those of this schedule's refresh windows, by its id.")] = "",
    state: Annotated[list[str] | None, typer.Option(help=f"{', '.join(_STATES)}; repeatable.")] = None,
    limit: Limit = 20,
) -> None:
    """List backfills, newest first."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        states = choose(state or [], _STATES, "--state")
        wanted = BackfillFilter(schedule_id=schedule, states=states, page_size=min(limit, 500))
        found = await take(client.iter_backfills(tenant, **wanted), limit)
        session.show({"backfills": [as_dict(item) for item in found]}, backfills_table(found))
        return 0

    session.execute(work)


@backfills.command("show")
def show_backfill(ctx: typer.Context, backfill_id: BackfillId) -> None:
    """Show a backfill, and what became of its runs so far."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.get_backfill(backfill_id)
        session.show(as_dict(found), *backfill_parts(found))
        return 0

    session.execute(work)


@backfills.command("watch")
def watch_backfill(ctx: typer.Context, backfill_id: BackfillId) -> None:
    """Show a backfill until it has ended."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        return await session.watch_backfill(client, await client.get_backfill(backfill_id))

    session.execute(work)


@backfills.command("pause")
def pause_backfill(
    ctx: typer.Context,
    backfill_id: BackfillId,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
) -> None:
    """Start no more runs of a backfill; those that have begun go on."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.pause_backfill(backfill_id, reason=reason)
        session.show(as_dict(found), backfill_line(found))
        return 0

    session.execute(work)


@backfills.command("resume")
def resume_backfill(ctx: typer.Context, backfill_id: BackfillId) -> None:
    """Let a backfill go on."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.resume_backfill(backfill_id)
        session.show(as_dict(found), backfill_line(found))
        return 0

    session.execute(work)


@backfills.command("cancel")
def cancel_backfill(ctx: typer.Context, backfill_id: BackfillId) -> None:
    """Start no more runs of a backfill, and cancel those that have begun."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.cancel_backfill(backfill_id)
        session.show(as_dict(found), backfill_line(found))
        return 0

    session.execute(work)
