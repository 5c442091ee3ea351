"""The commands for operators about the control store and the tenants' tables."""

from collections import defaultdict
from typing import Annotated

import typer

from convergence.arguments import RunId, TenantId, TenantOption, group
from convergence.client import ConvergenceClient
from convergence.health import health_facts
from convergence.output import as_dict, facts, table
from convergence.session import EXIT_RUN_NOT_SUCCESSFUL, current_session

admin = group("Takes care of the control store and of the tenants' x_meta_ tables.")
store = group("Looks after the control store.")
mirror = group("Looks after the x_meta_ tables.")
retention = group("Removes what is old.")
admin.add_typer(store, name="store")
admin.add_typer(mirror, name="mirror")
admin.add_typer(retention, name="retention")


@store.command("check")
def check_store(
    ctx: typer.Context,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
) -> None:
    """Look whether the control store is as it has to be; exit code 1 when something is left to mend."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.check_store(repair=repair)
        rows = [
            (item.check, item.subject, item.message, _mended(can=item.repairable, done=repair))
            for item in found.findings
        ]
        shown = table("CHECK", "ABOUT", "FOUND", "", rows=rows) if rows else "All is well."
        session.show(as_dict(found), shown)
        return EXIT_RUN_NOT_SUCCESSFUL if any(not (repair and item.repairable) for item in found.findings) else 0

    session.execute(work)


def _mended(*, can: bool, done: bool) -> str:
    if not can:
        return "needs a person"
    return "mended" if done else "--repair mends it"


@mirror.command("rebuild")
def rebuild_mirror(ctx: typer.Context, tenant_id: TenantId) -> None:
    """Have everything of a tenant copied into its x_meta_ tables again; "tenants" stands for the central dataset."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.rebuild_mirror(tenant_id)
        session.show(as_dict(found), f"{found.records:,} records are copied in the background.")
        return 0

    session.execute(work)


@admin.command("health")
def show_health(ctx: typer.Context) -> None:
    """Show how workers, warehouse and x_meta_ tables get on; exit code 1 when somebody has to look after them."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.get_service_health()
        told = defaultdict[str, list[str]](list)
        for one in found.problems:
            told[one.reason].append(one.message)
        problems = {reason: " ".join(messages) for reason, messages in told.items()}
        session.show(as_dict(found), facts(health_facts(found) | problems))
        return EXIT_RUN_NOT_SUCCESSFUL if found.problems else 0

    session.execute(work)


@admin.command("rescue")
def rescue_run(ctx: typer.Context, run_id: RunId, tenant: TenantOption) -> None:
    """Take a run away from its worker, so that another one goes on with it."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        session.show_accepted(await client.rescue_run(tenant, run_id))
        return 0

    session.execute(work)


@retention.command("now")
def apply_retention(ctx: typer.Context) -> None:
    """Remove what is older than the server's settings want to keep."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        removed = await client.apply_retention()
        told = {"runs": f"{removed.runs:,}", "runs without events": f"{removed.runs_without_events:,}"}
        session.show(as_dict(removed), facts(told))
        return 0

    session.execute(work)
