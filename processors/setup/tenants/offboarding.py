"""setup.tenants.offboarding: the end of a tenant's dataset."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from processors.base import Context


class TenantOffboardingProcessor:
    """Removes the dataset of an offboarded tenant, with everything in it; repeatable."""

    class Config(BaseModel):
        """Settings of a step: none."""

        model_config = ConfigDict(extra="forbid")

    async def execute(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Remove the dataset. Details: dataset_deleted."""
        warehouse, progress = context["warehouse"], context["progress"]
        deleted = await warehouse.delete_dataset()
        progress(f"Dataset {warehouse.dataset} {'deleted' if deleted else 'was not there any more'}")
        return {"status": "SUCCESS", "rows_processed": 0, "details": {"dataset_deleted": deleted}}


def get_engine() -> TenantOffboardingProcessor:
    """The factory that the registry calls."""
    return TenantOffboardingProcessor()
