"""Makes rows of a Google Cloud detailed billing export, for demonstrations and tests.

Shape: the fields that Google documents under "Structure of Detailed data export". The customers, prices and amounts are
invented; the same seed makes the same rows, and the rows of a day do not depend on the other days asked for.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from server.domain.schema import TableSpec, TimePartitioning

BILLING_ACCOUNT = "01A2B3-C4D5E6-F7A8B9"

_Column = dict[str, Any]


def _column(name: str, kind: str, *fields: _Column, mode: str = "NULLABLE") -> _Column:
    return {"name": name, "type": kind, "mode": mode, **({"fields": fields} if fields else {})}


def _texts(*names: str) -> list[_Column]:
    return [_column(name, "STRING") for name in names]


def _labels(name: str) -> _Column:
    return _column(name, "RECORD", *_texts("key", "value"), mode="REPEATED")


_FIELDS = [
    _column("billing_account_id", "STRING"),
    _column("service", "RECORD", *_texts("id", "description")),
    _column("sku", "RECORD", *_texts("id", "description")),
    _column("usage_start_time", "TIMESTAMP"),
    _column("usage_end_time", "TIMESTAMP"),
    _column(
        "project",
        "RECORD",
        *_texts("id", "number", "name"),
        _labels("labels"),
        *_texts("ancestry_numbers"),
        _column("ancestors", "RECORD", *_texts("resource_name", "display_name"), mode="REPEATED"),
    ),
    _labels("labels"),
    _labels("system_labels"),
    _column("location", "RECORD", *_texts("location", "country", "region", "zone")),
    _column("resource", "RECORD", *_texts("name", "global_name")),
    _column(
        "tags",
        "RECORD",
        *_texts("key", "value"),
        _column("inherited", "BOOLEAN"),
        *_texts("namespace"),
        mode="REPEATED",
    ),
    _column(
        "price",
        "RECORD",
        _column("effective_price", "NUMERIC"),
        _column("tier_start_amount", "NUMERIC"),
        *_texts("unit"),
        _column("pricing_unit_quantity", "NUMERIC"),
    ),
    _column("export_time", "TIMESTAMP"),
    _column("cost", "FLOAT64"),
    _column("currency", "STRING"),
    _column("currency_conversion_rate", "FLOAT64"),
    _column(
        "usage",
        "RECORD",
        _column("amount", "FLOAT64"),
        *_texts("unit"),
        _column("amount_in_pricing_units", "FLOAT64"),
        *_texts("pricing_unit"),
    ),
    _column(
        "credits",
        "RECORD",
        *_texts("name"),
        _column("amount", "FLOAT64"),
        *_texts("full_name", "id", "type"),
        mode="REPEATED",
    ),
    _column("invoice", "RECORD", *_texts("month", "publisher_type")),
    _column("cost_type", "STRING"),
    _column("adjustment_info", "RECORD", *_texts("id", "description", "mode", "type")),
    _column("cost_at_list", "FLOAT64"),
    *_texts("transaction_type", "seller_name"),
    _column("subscription", "RECORD", *_texts("instance_id")),
]

SCHEMA = TableSpec.model_validate(
    {
        "description": "Google Cloud billing, detailed usage cost",
        "fields": _FIELDS,
        "time_partitioning": TimePartitioning(field="usage_start_time"),
        "clustering_fields": ("billing_account_id",),
    }
)


@dataclass(frozen=True, slots=True)
class _Sku:
    service_id: str
    service: str
    sku_id: str
    description: str
    usage_unit: str
    pricing_unit: str
    per_pricing_unit: float
    """Usage units in one pricing unit."""
    price: float
    """USD for one pricing unit."""
    pricing_units: tuple[float, float]
    """Least and most in a row."""
    resource: str
    discount: str = ""
    """Type of the credit that some rows of this SKU carry, '' for none."""


_SKUS = (
    _Sku("6F81-5844-456A", "Compute Engine", "A1F0-3C55-9B21", "N2 Instance Core running in Iowa", "seconds",
         "hour", 3_600, 0.031611, (2, 64), "instances/web", "SUSTAINED_USAGE_DISCOUNT"),
    _Sku("6F81-5844-456A", "Compute Engine", "A1F0-3C56-02D7", "N2 Instance Ram running in Iowa", "byte-seconds",
         "gibibyte hour", 3_600 * 2**30, 0.004237, (8, 256), "instances/web", "COMMITTED_USAGE_DISCOUNT"),
    _Sku("6F81-5844-456A", "Compute Engine", "7D0E-11AB-4F90", "SSD backed PD Capacity", "byte-seconds",
         "gibibyte month", 2_678_400 * 2**30, 0.17, (0.1, 3), "disks/data"),
    _Sku("24E6-581D-38E5", "BigQuery", "16B2-9E40-77C3", "Analysis", "bytes",
         "tebibyte", 2**40, 6.25, (0.002, 1.5), "datasets/analytics", "FREE_TIER"),
    _Sku("24E6-581D-38E5", "BigQuery", "947D-3B46-7781", "Active Logical Storage", "byte-seconds",
         "gibibyte month", 2_678_400 * 2**30, 0.02, (0.5, 40), "datasets/analytics"),
    _Sku("95FF-2EF5-5EA1", "Cloud Storage", "E5F0-6A5D-7BAD", "Standard Storage US Regional", "byte-seconds",
         "gibibyte month", 2_678_400 * 2**30, 0.02, (1, 90), "buckets/assets"),
    _Sku("95FF-2EF5-5EA1", "Cloud Storage", "22EB-AAE8-FBCD", "Download Worldwide Destinations", "bytes",
         "gibibyte", 2**30, 0.12, (0.01, 25), "buckets/assets", "PROMOTION"),
    _Sku("9662-B51E-5089", "Cloud SQL", "4C1D-88F2-6E0A", "Cloud SQL for PostgreSQL: Zonal - vCPU", "seconds",
         "hour", 3_600, 0.0413, (1, 16), "instances/orders", "COMMITTED_USAGE_DISCOUNT"),
    _Sku("152E-C115-5142", "Cloud Run", "9F3B-20C7-D1E4", "CPU Allocation Time", "seconds",
         "vCPU second", 1, 0.000024, (100, 40_000), "services/api", "FREE_TIER"),
    _Sku("5490-F7B7-8DF6", "Cloud Logging", "143F-A1B0-E0BE", "Log Volume", "bytes",
         "gibibyte", 2**30, 0.5, (0.05, 12), "buckets/_Default"),
)  # fmt: skip
_PROJECTS = (
    ("acme-web-prod", "417203958811", "Web shop", {"env": "prod", "team": "storefront"}),
    ("acme-data-prod", "530918274466", "Data platform", {"env": "prod", "team": "analytics"}),
    ("acme-web-staging", "608112937745", "Web shop staging", {"env": "staging", "team": "storefront"}),
    ("acme-sandbox", "719204857362", "Sandbox", {"env": "dev"}),
)
_ZONES = (
    ("us-central1", "US", "us-central1", ("us-central1-a", "us-central1-b", None)),
    ("europe-west1", "BE", "europe-west1", ("europe-west1-b", "europe-west1-c", None)),
    ("us", "US", None, (None,)),
)
_CREDITS = {
    "SUSTAINED_USAGE_DISCOUNT": ("Sustained Usage Discount", 0.20),
    "COMMITTED_USAGE_DISCOUNT": ("Committed Usage Discount", 0.37),
    "PROMOTION": ("Partner promotion", 0.50),
    "FREE_TIER": ("Free Tier", 1.0),
}


def generate(seed: int, days: Sequence[date], rows_per_day: int) -> Iterator[dict[str, Any]]:
    """Rows whose usage starts on each of the days (UTC), `rows_per_day` each, ready for JSON.

    Times are ISO 8601 strings, costs are USD, credits are negative amounts.
    """
    for day in days:
        source = random.Random(f"{seed} {day}")  # noqa: S311 - rows that repeat, not secrets
        for _ in range(rows_per_day):
            yield _row(source, day)


def _row(source: random.Random, day: date) -> dict[str, Any]:
    sku = source.choice(_SKUS)
    start = datetime(day.year, day.month, day.day, source.randrange(24), tzinfo=UTC)
    amount = round(source.uniform(*sku.pricing_units), 4)
    list_cost = round(amount * sku.price, 6)
    kind = source.choices(("regular", "tax", "rounding_error"), (97, 2, 1))[0]
    cost = {"regular": list_cost, "tax": round(list_cost * 0.19, 6), "rounding_error": 0.000001}[kind]
    return {
        "billing_account_id": BILLING_ACCOUNT,
        "service": {"id": sku.service_id, "description": sku.service},
        "sku": {"id": sku.sku_id, "description": sku.description},
        "usage_start_time": _iso(start),
        "usage_end_time": _iso(start + timedelta(hours=1)),
        **_place(source, sku),
        "price": _price(sku),
        "export_time": _iso(start + timedelta(hours=source.randint(3, 9), minutes=source.randrange(60))),
        "cost": cost,
        "currency": "USD",
        "currency_conversion_rate": 1.0,
        "usage": _usage(sku, amount),
        "credits": _credits(source, sku, cost) if kind == "regular" else [],
        "invoice": {"month": f"{day:%Y%m}", "publisher_type": "GOOGLE"},
        "cost_type": kind,
        "adjustment_info": None,
        "cost_at_list": cost,
        "transaction_type": "GOOGLE",
        "seller_name": "Google",
        "subscription": None,
    }


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _place(source: random.Random, sku: _Sku) -> dict[str, Any]:
    """Where the usage was: project, labels, location, resource."""
    project_id, number, name, labels = source.choice(_PROJECTS)
    location, country, region, zones = source.choice(_ZONES)
    resource = f"{sku.resource}-{source.randint(1, 6)}"
    cores = {"compute.googleapis.com/cores": str(source.choice((2, 4, 8)))} if "Core" in sku.description else {}
    tag = {"key": "cost_center", "value": source.choice(("retail", "platform")), "inherited": True, "namespace": "acme"}
    return {
        "project": {
            "id": project_id,
            "number": number,
            "name": name,
            "labels": _pairs(labels),
            "ancestry_numbers": "/204918273645/",
            "ancestors": [{"resource_name": "organizations/204918273645", "display_name": "acme.example.com"}],
        },
        "labels": _pairs({"env": labels["env"], "app": sku.resource.split("/")[1]}) if source.random() < 0.8 else [],
        "system_labels": _pairs(cores),
        "location": {"location": location, "country": country, "region": region, "zone": source.choice(zones)},
        "resource": {"name": resource, "global_name": f"//cloud.example.com/projects/{number}/{resource}"},
        "tags": [tag] if source.random() < 0.3 else [],
    }


def _price(sku: _Sku) -> dict[str, Any]:
    return {
        "effective_price": f"{sku.price:.9f}",
        "tier_start_amount": "0",
        "unit": sku.pricing_unit,
        "pricing_unit_quantity": "1",
    }


def _usage(sku: _Sku, amount: float) -> dict[str, Any]:
    return {
        "amount": round(amount * sku.per_pricing_unit, 2),
        "unit": sku.usage_unit,
        "amount_in_pricing_units": amount,
        "pricing_unit": sku.pricing_unit,
    }


def _credits(source: random.Random, sku: _Sku, cost: float) -> list[dict[str, Any]]:
    """About half of the rows of a discounted SKU carry its credit."""
    if not sku.discount or source.random() < 0.5:
        return []
    name, share = _CREDITS[sku.discount]
    return [
        {
            "name": name,
            "amount": -round(cost * share, 6),
            "full_name": f"{name}: {sku.description}",
            "id": sku.discount.lower().replace("_", "-"),
            "type": sku.discount,
        }
    ]
