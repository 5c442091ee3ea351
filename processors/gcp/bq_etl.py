"""gcp.bq_etl: run a SELECT and write its rows to a table of the tenant's dataset."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from processors.base import Context, GcpCredential
from processors.destination import Destination, Strict, in_project


class Source(Strict):
    """Where the rows come from."""

    query: Annotated[str, Field(min_length=1)]
    """One SELECT in BigQuery SQL. Tables of other projects are named in full: `project.dataset.table`."""
    bq_project_id: str | None = None
    credential: GcpCredential | None = None
    """The tenant's service account that reads the source and writes the destination; without it, the installation's."""

    _project = field_validator("bq_project_id")(in_project)


class BigQueryETLEngine:
    """BigQuery to BigQuery: query, optional transformation in SQL, load."""

    class Config(Strict):
        """Settings of a step."""

        source: Source
        destination: Destination
        maximum_bytes_billed: Annotated[int, Field(gt=0)] | None = None
        """Most bytes that the statement may bill; only lowers the limits of the server and the tenant."""

    async def execute(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Write the query's rows. Details: what `write_query` answers, but for the rows."""
        config = self.Config.model_validate(step_config)
        table = config.destination.table
        context["progress"](f"Writing to {table}", write_mode=config.destination.write_mode)
        result = await context["warehouse"].write_query(config.source.query, table, **_options(config, context))
        rows = result.pop("rows_written")
        context["progress"](f"Wrote {rows} rows to {table}", rows=rows)
        return {"status": "SUCCESS", "rows_processed": rows, "details": result}

    async def plan(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """What `execute` would read, write and change."""
        config = self.Config.model_validate(step_config)
        warehouse = context["warehouse"]
        return await warehouse.plan_query(config.source.query, config.destination.table, **_options(config, context))


def _options(config: BigQueryETLEngine.Config, context: Context) -> dict[str, Any]:
    return {
        **config.destination.options(context),
        "maximum_bytes_billed": config.maximum_bytes_billed,
        "credential": config.source.credential,
    }


def get_engine() -> BigQueryETLEngine:
    """The factory that the registry calls."""
    return BigQueryETLEngine()
