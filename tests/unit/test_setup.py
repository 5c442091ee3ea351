"""The setup's processors on a real warehouse: whatever is there already, everything is there afterwards."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from processors.base import Context, ProcessorError
from processors.setup.initial.onetime_bootstrap_processor import OnetimeBootstrapProcessor
from server.catalog import Catalog
from server.domain.schema import DatasetRef, TableField
from server.step_credentials import StepCredentials
from server.step_effects import StepAccess, StepEffects
from server.step_warehouse import TenantWarehouse
from tests.unit.contexts import context
from tests.unit.workshop import PROJECT, Workshop

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Catalog(ROOT / "configs", ROOT / "ps_templates").ps_template("setup.initial.onetime_bootstrap_processor")
CENTRAL = DatasetRef(PROJECT, "tenants")
TABLES = ["tenant_api_keys", "tenant_profiles", "tenant_subscriptions"]


def central(workshop: Workshop, *, tenant_id: str = "tenants") -> Context:
    access = StepAccess(
        own=DatasetRef(PROJECT, tenant_id),
        named_by_file=frozenset(),
        allowed_sources=(),
        run_day=date(2025, 11, 18),
        job_prefix="convergence-setup",
        labels={},
        builds_metadata=True,
    )
    credentials = StepCredentials(workshop.reader, tenant_id, {})
    warehouse = TenantWarehouse(workshop.warehouse, credentials, workshop.store, StepEffects(access, None))
    return context(tenant_id=tenant_id, warehouse=warehouse, ps_template=TEMPLATE.model_dump(mode="json"))


async def bootstrap(workshop: Workshop, **options: str) -> dict[str, Any]:
    answer = await OnetimeBootstrapProcessor().execute({"location": "EU"}, central(workshop, **options))
    assert answer["status"] == "SUCCESS"
    details: dict[str, Any] = answer["details"]
    return details


async def test_bootstrap_makes_all_tables_once(workshop: Workshop) -> None:
    first = await bootstrap(workshop)
    assert (first["dataset_created"], sorted(first["tables_created"])) == (True, TABLES)
    for name in TABLES:
        spec = await workshop.warehouse.get_table(CENTRAL.table(name))
        assert spec is not None
        assert [field.name for field in spec.fields] == [field["name"] for field in TEMPLATE.schemas[name]["fields"]]
        assert spec.description == TEMPLATE.schemas[name]["description"]
    assert await bootstrap(workshop) == {"dataset_created": False, "tables_created": [], "columns_added": []}


async def test_bootstrap_adds_what_is_missing_and_keeps_the_rest(workshop: Workshop) -> None:
    await bootstrap(workshop)
    table = CENTRAL.table("tenant_profiles")
    whole = await workshop.warehouse.get_table(table)
    assert whole is not None
    await workshop.warehouse.delete_dataset(CENTRAL)
    await workshop.warehouse.ensure_dataset(CENTRAL, location="EU")
    own = TableField(name="account_manager", type="STRING")
    older = whole.model_copy(update={"fields": (*whole.fields[:4], own)})
    await workshop.warehouse.ensure_table(table, older)
    details = await bootstrap(workshop)
    assert (details["dataset_created"], len(details["tables_created"])) == (False, 2)
    assert details["columns_added"] == [f"tenant_profiles.{field.name}" for field in whole.fields[4:]]
    grown = await workshop.warehouse.get_table(table)
    assert grown is not None
    assert [field.name for field in grown.fields] == [field.name for field in (*older.fields, *whole.fields[4:])]


async def test_bootstrap_is_for_the_central_dataset(workshop: Workshop) -> None:
    with pytest.raises(ProcessorError, match="run it with tenant_id tenants"):
        await bootstrap(workshop, tenant_id="acme_corp")
