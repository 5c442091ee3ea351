"""setup.initial.onetime_bootstrap_processor: the central dataset and its tables."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from processors.base import Context, ProcessorError
from processors.setup.tables import ensure_tables, plan_tables

_CENTRAL_DATASET = "tenants"


class OnetimeBootstrapProcessor:
    """Creates what is missing of the dataset `tenants`; changes nothing that is there but for added columns."""

    class Config(BaseModel):
        """Settings of a step."""

        model_config = ConfigDict(extra="forbid")

        location: str = "US"
        """BigQuery location; it cannot be changed later."""

    async def plan(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Which tables would be created."""
        return await plan_tables(context)

    async def execute(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Create dataset and tables. Details: dataset_created, tables_created, columns_added."""
        config = self.Config.model_validate(step_config)
        if context["tenant_id"] != _CENTRAL_DATASET:
            raise ProcessorError(f"this step sets up the central dataset; run it with tenant_id {_CENTRAL_DATASET}")
        return await ensure_tables(context, location=config.location, description="Central management of tenants")


def get_engine() -> OnetimeBootstrapProcessor:
    """The factory that the registry calls."""
    return OnetimeBootstrapProcessor()
