"""The commands about data quality."""

from collections.abc import Sequence
from typing import Annotated

import typer

from convergence.arguments import Limit, TenantOption, group, refused, take
from convergence.client import ConvergenceClient, ResultFilter
from convergence.errors import Violation
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
            statuses=_parse_statuses(status or []),
            page_size=min(limit, 500),
        )
        found = await take(client.iter_data_quality_results(tenant, **wanted), limit)
        session.show({"results": [as_dict(item) for item in found]}, results_table(found))
        return 0

    session.execute(work)


def _parse_statuses(names: Sequence[str]) -> list[DataQualityResult.Status.ValueType]:
    faults = [
        Violation("--status", f"{name!r} is no status; write one of {', '.join(_STATUSES)}")
        for name in names
        if name.upper() not in _STATUSES
    ]
    if faults:
        raise refused(*faults)
    return [_STATUSES[name.upper()] for name in names]
