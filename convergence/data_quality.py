"""The commands about data quality."""

from typing import Annotated

import typer

from convergence.arguments import Limit, TenantOption, choose, group, take
from convergence.client import ConvergenceClient, ResultFilter
from convergence.output import as_dict
from convergence.session import current_session
from convergence.tables import results_table
from convergence.v1.pipeline_service_pb2 import DataQualityResult

data_quality = group("Shows what checks found in a tenant's data.")
_STATUSES = {name.removeprefix("STATUS_"): number for name, number in DataQualityResult.Status.items() if number}


@data_quality.command("list")
def list_results(
    ctx: typer.Context,
    *,
    tenant: TenantOption,
    run: Annotated[str, typer.Option(help="Only this run's, by its pipeline_logging_id.")] = "",
    table: Annotated[str, typer.Option(help="Only those of this table.")] = "",
    status: Annotated[list[str] | None, typer.Option(help="PASSED, FAILED or ERROR; repeatable.")] = None,
    limit: Limit = 50,
) -> None:
    """List results of checks, newest first."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        wanted = ResultFilter(
            pipeline_logging_id=run,
            table_name=table,
            statuses=choose(status or [], _STATUSES, "--status"),
            page_size=min(limit, 500),
        )
        found = await take(client.iter_data_quality_results(tenant, **wanted), limit)
        session.show({"results": [as_dict(item) for item in found]}, results_table(found))
        return 0

    session.execute(work)
