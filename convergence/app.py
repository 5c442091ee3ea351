"""The application behind the command `convergence`: global options, and the commands about runs."""

from pathlib import Path
from typing import Annotated

import typer

from convergence.admin import admin
from convergence.arguments import (
    Limit,
    PipelinePath,
    RequestId,
    RunId,
    TenantOption,
    Variables,
    group,
    parse_statuses,
    parse_variables,
    pipeline_filter,
    split_path,
    take,
)
from convergence.backfills import backfill, backfills
from convergence.client import DEFAULT_TARGET, ConvergenceClient
from convergence.commands import pipelines, system, tenants
from convergence.credentials import credentials
from convergence.data_quality import data_quality
from convergence.files import validate
from convergence.keys import keys
from convergence.output import as_dict, steps_table
from convergence.plans import plan_parts
from convergence.schedules import schedules
from convergence.session import EXIT_RUN_NOT_SUCCESSFUL, Session, TlsFiles, current_session
from convergence.tables import deliveries_parts, run_facts, runs_table
from convergence.v1.run_pb2 import Run

HELP = """Runs pipelines for tenants, and watches them.

The API key comes from a file (--api-key-file), or else from the environment variable CONVERGENCE_API_KEY. There is no
option for the key itself: every user of the machine could read it in the list of processes.

The options below may stand anywhere on the command line. With --json the answer is one JSON document, or while watching
one document a line for each event, with the field names of the protos; errors and notices are JSON too, a document a
line, on standard error.
"""

EXIT_CODES = """Exit codes:

\b
  0    done; with --watch: the run, or every run of the backfill, ended as SUCCESS
  1    a run ended, or would end, in another way; the provider refused the credential; or output could not be written
  2    the request or the command line was refused
  3    no valid API key, or it may not do that
  4    the server cannot be reached, or failed
  130  interrupted; what was being watched goes on
  141  nobody reads the output any more; what was being watched goes on
"""


app = typer.Typer(
    help=HELP,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    # Its tracebacks show local variables, and one of them is the key.
    pretty_exceptions_enable=False,
)
runs = group("Shows, watches, cancels and retries runs.")
app.add_typer(runs, name="runs")
app.add_typer(schedules, name="schedules")
app.add_typer(backfills, name="backfills")
app.add_typer(pipelines, name="pipelines")
app.add_typer(tenants, name="tenants")
app.add_typer(keys, name="keys")
app.add_typer(credentials, name="credentials")
app.add_typer(data_quality, name="dq")
app.add_typer(system, name="system")
app.add_typer(admin, name="admin")


app.command()(validate)


@app.callback()
def _global_options(
    ctx: typer.Context,
    *,
    target: Annotated[str, typer.Option(envvar="CONVERGENCE_TARGET", help="host:port of the server.")] = DEFAULT_TARGET,
    api_key_file: Annotated[
        Path | None,
        typer.Option(envvar="CONVERGENCE_API_KEY_FILE", help="File that holds the API key and nothing else."),
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(envvar="CONVERGENCE_TLS_CA", help="PEM file of the authority to trust; turns TLS on."),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(envvar="CONVERGENCE_TLS_CERT", help="PEM file of a certificate, for a server that asks for one."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="CONVERGENCE_TLS_KEY", help="PEM file of the certificate's key.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    files = TlsFiles(tls_ca, tls_cert, tls_key)
    ctx.obj = Session(target=target, api_key_file=api_key_file, tls=files, as_json=json)


# -- runs ------------------------------------------------------------------------------------------------------------


@app.command()
def run(
    ctx: typer.Context,
    pipeline: PipelinePath,
    *,
    tenant: TenantOption,
    date: Annotated[str, typer.Option(help="The day the run is about, YYYY-MM-DD; today in UTC by default.")] = "",
    var: Variables = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show the run until it has ended.")] = False,
    request_id: RequestId = "",
) -> None:
    """Start a run of a pipeline."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        provider, domain, template_name = split_path(pipeline)
        accepted = await client.run_pipeline(
            tenant_id=tenant,
            provider=provider,
            domain=domain,
            template_name=template_name,
            date=date,
            variables=parse_variables(var or []),
            request_id=request_id,
        )
        if watch:
            return await session.watch(client, accepted)
        session.show_accepted(accepted)
        return 0

    session.execute(work)


@app.command()
def plan(
    ctx: typer.Context,
    pipeline: PipelinePath,
    *,
    tenant: TenantOption,
    date: Annotated[str, typer.Option(help="The day the run is about, YYYY-MM-DD; today in UTC by default.")] = "",
    var: Variables = None,
) -> None:
    """Show what a run would do, without doing it; exit code 1 when it would fail."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        provider, domain, template_name = split_path(pipeline)
        planned = await client.plan_pipeline(
            tenant_id=tenant,
            provider=provider,
            domain=domain,
            template_name=template_name,
            date=date,
            variables=parse_variables(var or []),
        )
        async for _ in client.watch(tenant, planned.pipeline_logging_id):
            pass
        ended = await client.get_run(tenant, planned.pipeline_logging_id)
        session.show(as_dict(ended), *plan_parts(ended))
        return EXIT_RUN_NOT_SUCCESSFUL if ended.status != Run.SUCCESS or ended.plan.faults else 0

    session.execute(work)


app.command()(backfill)


@runs.command("list")
def list_runs(
    ctx: typer.Context,
    *,
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's id; operators may leave it out.")] = "",
    pipeline: Annotated[
        str, typer.Option(help="With a / it is provider/domain/name, as the list shows it; without, a pipeline_id.")
    ] = "",
    status: Annotated[list[str] | None, typer.Option(help="PENDING, RUNNING, ...; repeatable.")] = None,
    schedule: Annotated[str, typer.Option(help="Only those that this schedule started, by its id.")] = "",
    backfill: Annotated[str, typer.Option(help="Only those of this backfill, by its id.")] = "",
    limit: Limit = 20,
) -> None:
    """List runs, newest first."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        wanted = pipeline_filter(pipeline)
        wanted["statuses"] = parse_statuses(status or [])
        wanted |= {"schedule_id": schedule, "backfill_id": backfill, "page_size": min(limit, 500)}
        found = await take(client.iter_runs(tenant, **wanted), limit)
        session.show({"runs": [as_dict(item) for item in found]}, runs_table(found))
        return 0

    session.execute(work)


@runs.command("show")
def show_run(ctx: typer.Context, run_id: RunId, tenant: TenantOption) -> None:
    """Show a run and its steps."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.get_run(tenant, run_id)
        session.show(as_dict(found), run_facts(found), "", steps_table(found.steps), *deliveries_parts(found.steps))
        return 0

    session.execute(work)


@runs.command("watch")
def watch_run(ctx: typer.Context, run_id: RunId, tenant: TenantOption) -> None:
    """Show a run from its beginning until it has ended."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        return await session.watch(client, await client.get_run(tenant, run_id))

    session.execute(work)


@runs.command("cancel")
def cancel_run(ctx: typer.Context, run_id: RunId, tenant: TenantOption) -> None:
    """Ask for a run to be stopped."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        session.show_accepted(await client.cancel_run(tenant, run_id))
        return 0

    session.execute(work)


@runs.command("retry")
def retry_run(
    ctx: typer.Context,
    run_id: RunId,
    tenant: TenantOption,
    *,
    present_file: Annotated[
        bool, typer.Option("--present-file", help="With the pipeline's file as it is now, not as it was.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show the run until it has ended.")] = False,
    request_id: RequestId = "",
) -> None:
    """Go on with a run that failed, was cancelled or timed out, as a new run."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        accepted = await client.retry_run(tenant, run_id, use_present_file=present_file, request_id=request_id)
        if watch:
            return await session.watch(client, accepted)
        session.show_accepted(accepted)
        return 0

    session.execute(work)
