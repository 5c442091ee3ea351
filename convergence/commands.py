"""The commands about pipelines, tenants and the server."""

from typing import Annotated

import typer

from convergence.arguments import (
    Limit,
    PipelinePath,
    Quotas,
    RequestId,
    TenantId,
    group,
    parse_limits,
    parse_quotas,
    refused,
    split_path,
    take,
)
from convergence.client import ConvergenceClient
from convergence.errors import Violation
from convergence.output import as_dict
from convergence.session import current_session
from convergence.tables import audit_table, pipeline_parts, pipelines_parts, system_facts
from convergence.tenant_tables import onboarded_parts, tenant_facts, tenants_table, usage_parts
from convergence.v1.tenant_service_pb2 import Tenant

pipelines = group("Shows the pipelines that the server has.")
tenants = group("Makes and shows tenants.")
system = group("Shows what the server is.")

_CHANGES = "--display-name, --email, --allowed-source, --plan, --quota, --no-quota"


@pipelines.command("list")
def list_pipelines(
    ctx: typer.Context, provider: Annotated[str, typer.Option(help="Only this provider's.")] = ""
) -> None:
    """List the pipelines, broken ones with what is wrong with them."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = [item async for item in client.iter_pipelines(provider=provider)]
        session.show({"pipelines": [as_dict(item) for item in found]}, *pipelines_parts(found))
        return 0

    session.execute(work)


@pipelines.command("show")
def show_pipeline(ctx: typer.Context, pipeline: PipelinePath) -> None:
    """Show a pipeline's variables, steps and text."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        provider, domain, template_name = split_path(pipeline)
        found = await client.get_pipeline(provider=provider, domain=domain, template_name=template_name)
        session.show(as_dict(found), *pipeline_parts(found))
        return 0

    session.execute(work)


@tenants.command("onboard")
def onboard_tenant(
    ctx: typer.Context,
    tenant_id: Annotated[str, typer.Argument(metavar="TENANT", help="Its id, which is also its dataset's name.")],
    *,
    display_name: Annotated[str, typer.Option(help="Its name for people.")] = "",
    email: Annotated[list[str] | None, typer.Option(help="Whom to write to; repeatable.")] = None,
    location: Annotated[str, typer.Option(help="BigQuery location of its dataset.")] = "",
    allowed_source: Annotated[
        list[str] | None, typer.Option(help="Table outside its dataset that it may name in variables; repeatable.")
    ] = None,
    plan: Annotated[str, typer.Option(help="A plan of the server's plans file.")] = "",
    quota: Quotas = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not watch the run that sets it up.")] = False,
    request_id: RequestId = "",
) -> None:
    """Make a tenant, print its first API key, and watch the run that sets it up.

    With --json the first line is the answer, with the key; the run's events follow.
    """
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        made = await client.onboard_tenant(
            tenant_id,
            display_name=display_name,
            contact_emails=email or [],
            location=location,
            allowed_sources=allowed_source or [],
            plan=plan,
            quotas=parse_quotas(quota or []),
            request_id=request_id,
        )
        session.show(as_dict(made), *onboarded_parts(made))
        return 0 if no_wait else await session.watch(client, made.run)

    session.execute(work)


@tenants.command("list")
def list_tenants(ctx: typer.Context) -> None:
    """List the tenants."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = [item async for item in client.iter_tenants()]
        session.show({"tenants": [as_dict(item) for item in found]}, tenants_table(found))
        return 0

    session.execute(work)


@tenants.command("show")
def show_tenant(ctx: typer.Context, tenant_id: TenantId) -> None:
    """Show a tenant."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.get_tenant(tenant_id)
        session.show(as_dict(found), tenant_facts(found))
        return 0

    session.execute(work)


@tenants.command("update")
def update_tenant(
    ctx: typer.Context,
    tenant_id: TenantId,
    *,
    display_name: Annotated[str | None, typer.Option(help="Its name for people.")] = None,
    email: Annotated[list[str] | None, typer.Option(help="Whom to write to, in place of all; repeatable.")] = None,
    allowed_source: Annotated[
        list[str] | None,
        typer.Option(help="Table outside its dataset that it may name, in place of all; repeatable."),
    ] = None,
    plan: Annotated[str | None, typer.Option(help="A plan of the server's plans file.")] = None,
    quota: Quotas = None,
    no_quota: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A limit to leave to its plan again; repeatable.")
    ] = None,
) -> None:
    """Change a tenant; what no option names stays as it is."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        limits = parse_limits(quota or [], no_quota or [])
        if not limits and all(given is None for given in (display_name, email, allowed_source, plan)):
            raise refused(Violation("tenants update", f"names nothing to change; give one of {_CHANGES}"))
        found = await client.update_tenant(
            tenant_id,
            display_name=display_name,
            contact_emails=email,
            allowed_sources=allowed_source,
            plan=plan,
            limits=limits,
        )
        session.show(as_dict(found), tenant_facts(found))
        return 0

    session.execute(work)


@tenants.command("suspend")
def suspend_tenant(ctx: typer.Context, tenant_id: TenantId) -> None:
    """Let a tenant's running steps finish and hold everything else back."""
    _set_state(ctx, tenant_id, Tenant.SUSPENDED)


@tenants.command("resume")
def resume_tenant(ctx: typer.Context, tenant_id: TenantId) -> None:
    """Let a suspended tenant go on where it was."""
    _set_state(ctx, tenant_id, Tenant.ACTIVE)


def _set_state(ctx: typer.Context, tenant_id: str, state: Tenant.State.ValueType) -> None:
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.update_tenant(tenant_id, state=state)
        session.show(as_dict(found), tenant_facts(found))
        return 0

    session.execute(work)


@tenants.command("offboard")
def offboard_tenant(
    ctx: typer.Context,
    tenant_id: TenantId,
    *,
    delete_dataset: Annotated[
        str, typer.Option(metavar="DATASET", help="Delete its dataset too; to confirm, the dataset's name.")
    ] = "",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not watch the run that deletes the dataset.")] = False,
) -> None:
    """End a tenant for good: its runs, keys and credentials. May be repeated, also to delete the dataset later."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        ended = await client.offboard_tenant(tenant_id, confirm_delete_dataset=delete_dataset)
        session.show(as_dict(ended), tenant_facts(ended))
        if no_wait or not delete_dataset or not ended.offboarding_run:
            return 0
        return await session.watch(client, await client.get_run(tenant_id, ended.offboarding_run))

    session.execute(work)


@tenants.command("usage")
def show_usage(ctx: typer.Context, tenant_id: TenantId) -> None:
    """Show what a tenant has used of its quotas."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.get_usage(tenant_id)
        session.show(as_dict(found), *usage_parts(found))
        return 0

    session.execute(work)


@system.command("info")
def system_info(ctx: typer.Context) -> None:
    """Show the server's version and stores, and what the API key may do."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.get_system_info()
        session.show(as_dict(found), system_facts(found))
        return 0

    session.execute(work)


@system.command("audit")
def audit(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option("--tenant", help="Only this tenant's.")] = "",
    limit: Limit = 50,
) -> None:
    """List who changed what, newest first."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await take(client.iter_audit_events(tenant_id=tenant), limit)
        session.show({"events": [as_dict(item) for item in found]}, audit_table(found))
        return 0

    session.execute(work)
