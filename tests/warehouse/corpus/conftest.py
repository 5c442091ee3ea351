"""The shared data in one warehouse, for the whole corpus: its queries only read."""

import json
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from server.domain.schema import DatasetRef, TableSpec
from server.warehouse.embedded import EmbeddedWarehouse
from tests.warehouse.corpus.cases import GCP_ROWS, GCP_SCHEMA, Data, Row, data
from tests.warehouse.tables import PROJECT, column, spec

BILLING = DatasetRef(PROJECT, "cloud_billing")
EMPTY = DatasetRef(PROJECT, "empty")
EXPORT = "gcp_billing_export_resource_v1_0177BB_554433_X9Y8Z7"
BUDGETS = spec(column("service_name", "STRING"), column("monthly", "NUMERIC"), column("owners", "STRING", "REPEATED"))
BUDGET_ROWS: list[Row] = [
    {"service_name": "BigQuery", "monthly": "20000", "owners": ["data", "finance"]},
    {"service_name": "Cloud SQL", "monthly": "15000.5", "owners": []},
    {"service_name": "Cloud Run", "monthly": None, "owners": ["web"]},
]
# Partitioned by the day of loading, which is the day of the tests.
INGESTED = spec(column("n", "INT64"), time_partitioning={"type": "DAY"})
# The file's name of a column, its name in the table, its type.
AWS_COLUMNS = (
    ("identity/LineItemId", "identity_line_item_id", "STRING"),
    ("lineItem/LineItemType", "line_item_line_item_type", "STRING"),
    ("lineItem/UsageAccountId", "line_item_usage_account_id", "STRING"),
    ("lineItem/UsageStartDate", "line_item_usage_start_date", "TIMESTAMP"),
    ("lineItem/UsageEndDate", "line_item_usage_end_date", "TIMESTAMP"),
    ("lineItem/ProductCode", "line_item_product_code", "STRING"),
    ("lineItem/UsageType", "line_item_usage_type", "STRING"),
    ("lineItem/Operation", "line_item_operation", "STRING"),
    ("lineItem/UsageAmount", "line_item_usage_amount", "FLOAT64"),
    ("lineItem/UnblendedCost", "line_item_unblended_cost", "FLOAT64"),
    ("product/ProductName", "product_product_name", "STRING"),
    ("product/productFamily", "product_product_family", "STRING"),
    ("product/region", "product_region", "STRING"),
    ("product/transferType", "product_transfer_type", "STRING"),
    ("pricing/publicOnDemandCost", "pricing_public_on_demand_cost", "STRING"),
    ("pricing/term", "pricing_term", "STRING"),
    ("pricing/unit", "pricing_unit", "STRING"),
    ("reservation/EffectiveCost", "reservation_effective_cost", "FLOAT64"),
    ("savingsPlan/SavingsPlanEffectiveCost", "savings_plan_savings_plan_effective_cost", "FLOAT64"),
)
_FOCUS_TYPES = {
    "BIGNUMERIC": ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "ListUnitPrice", "PricingQuantity"),
    "TIMESTAMP": ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"),
    "INT64": ("Id",),
    "JSON": ("Tags",),
}


@pytest_asyncio.fixture(scope="session")
async def corpus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedWarehouse]:
    """The billing export whole and in shards of a month, AWS's report, the FOCUS sample, and budgets."""
    folder: Path = tmp_path_factory.mktemp("corpus")
    opened = await EmbeddedWarehouse.open(folder / "w.duckdb", project=PROJECT)
    found, schema = data(), TableSpec.model_validate({"fields": json.loads(GCP_SCHEMA.read_text())})
    await opened.load_ndjson(GCP_ROWS, BILLING.table(EXPORT), schema)
    for month in ("202603", "202604", "202605"):
        rows = [row for row in found.gcp if row["invoice"]["month"] == month]
        await _load(opened, folder, f"usage_{month}", schema, rows)
    await _load(opened, folder, "budgets", BUDGETS, BUDGET_ROWS)
    await _load(opened, folder, "aws_cur", *_aws(found))
    await _load(opened, folder, "focus", *_focus(found))
    await _load(opened, folder, "ingested", INGESTED, [{"n": 1}, {"n": 2}])
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="session")
async def bare(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedWarehouse]:
    """A warehouse with one empty dataset, for queries that bring their own rows."""
    opened = await EmbeddedWarehouse.open(tmp_path_factory.mktemp("bare") / "w.duckdb", project=PROJECT)
    await opened.ensure_dataset(EMPTY, location="US")
    yield opened
    await opened.close()


async def _load(opened: EmbeddedWarehouse, folder: Path, name: str, table: TableSpec, rows: Iterable[Row]) -> None:
    path = folder / f"{name}.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    await opened.load_ndjson(path, BILLING.table(name), table)


def _aws(found: Data) -> tuple[TableSpec, list[Row]]:
    table = spec(*(column(name, kind) for _, name, kind in AWS_COLUMNS))
    return table, [{name: row[source] for source, name, _ in AWS_COLUMNS} for row in found.aws]


def _focus(found: Data) -> tuple[TableSpec, list[Row]]:
    kinds = {name: kind for kind, names in _FOCUS_TYPES.items() for name in names}
    table = spec(*(column(name, kinds.get(name, "STRING")) for name in found.focus[0]))
    rows = [{name: _focus_value(kinds.get(name, ""), cell) for name, cell in row.items()} for row in found.focus]
    return table, rows


def _focus_value(kind: str, cell: str | None) -> Any:
    if cell is None:
        return None
    if kind == "TIMESTAMP":
        return datetime.fromisoformat(cell).isoformat() + "Z"
    return json.loads(cell) if kind == "JSON" else cell
