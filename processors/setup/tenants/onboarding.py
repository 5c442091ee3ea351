"""setup.tenants.onboarding: a tenant's dataset and its metadata tables."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from processors.base import Context, ProcessorError
from processors.setup.tables import ensure_tables, plan_tables


class TenantOnboardingProcessor:
    """Creates tenant dataset and metadata infrastructure; repeatable, adds missing columns."""

    class Config(BaseModel):
        """Settings of a step."""

        model_config = ConfigDict(extra="forbid")

        dataset_id: str
        """The tenant's id: a tenant has one dataset, named like itself."""
        location: str = "US"
        """BigQuery location; it cannot be changed later."""
        gcp_project_id: str | None = None

        @field_validator("dataset_id")
        @classmethod
        def _is_the_tenant(cls, value: str, info: ValidationInfo) -> str:
            return _expect(value, info, "tenant_id", "a tenant's dataset is named like the tenant")

        @field_validator("gcp_project_id")
        @classmethod
        def _is_the_project(cls, value: str | None, info: ValidationInfo) -> str | None:
            if value is None:
                return None
            return _expect(value, info, "project", "the tenants' datasets are in one project")

    async def plan(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Which tables would be created."""
        await _require_own_dataset(context)
        return await plan_tables(context)

    async def execute(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Create dataset and tables. Details: dataset_created, tables_created, columns_added."""
        config = self.Config.model_validate(step_config)
        await _require_own_dataset(context)
        return await ensure_tables(
            context, location=config.location, description=f"Dataset of tenant {context['tenant_id']}"
        )


async def _require_own_dataset(context: Context) -> None:
    """A dataset with tables of somebody else's must not become a tenant's by having its name."""
    tables = await context["warehouse"].list_tables()
    if tables and not any(table.startswith("x_meta_") for table in tables):
        shown = ", ".join(tables[:5])
        raise ProcessorError(
            f"the dataset {context['tenant_id']} exists and is no tenant's: it has tables ({shown}), and none of them "
            "is an x_meta_ table; choose another tenant_id, or move those tables"
        )


def _expect(value: str, info: ValidationInfo, known: str, rule: str) -> str:
    expected = (info.context or {}).get(known)
    if expected is not None and value != expected:
        raise ValueError(f"{rule}: {expected}")
    return value


def get_engine() -> TenantOnboardingProcessor:
    """The factory that the registry calls."""
    return TenantOnboardingProcessor()
