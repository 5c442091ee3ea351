"""AWS's cost and usage report and FOCUS data: the queries of their guides, in BigQuery SQL; and Google's FOCUS view."""

import json
import math
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.warehouse.corpus.cases import Case, Data, Row, at, by_key, exact, grouped, month, sums

EXPORT = "gcp_billing_export_resource_v1_0177BB_554433_X9Y8Z7"


def unblended(row: Row) -> float:
    return float(row["lineItem/UnblendedCost"])


def aws_day(row: Row) -> date:
    return at(row["lineItem/UsageStartDate"]).date()


def product(row: Row) -> str:
    return str(row["lineItem/ProductCode"])


def money(rows: Iterable[Row], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows if row[column] is not None), Decimal(0)).normalize()


def tag(row: Row, *names: str) -> str | None:
    tags = json.loads(row["Tags"]) if row["Tags"] else {}
    return next((str(tags[name]) for name in names if name in tags), None)


def start(row: Row) -> datetime:
    return datetime.fromisoformat(row["ChargePeriodStart"]).replace(tzinfo=UTC)


def _transfer(data: Data) -> list[tuple[Any, ...]]:
    rows = [row for row in data.aws if row["product/productFamily"] == "Data Transfer"]
    found = grouped(rows, lambda row: row["product/transferType"])
    return [
        (key, math.fsum(float(row["lineItem/UsageAmount"]) for row in have), math.fsum(map(unblended, have)))
        for key, have in sorted(found.items(), key=lambda item: item[0] or "")
    ]


def _regions(data: Data) -> list[tuple[Any, ...]]:
    found = grouped(data.aws, lambda row: row["product/region"] or "global")
    rows = [(name, len(have), len({product(row) for row in have})) for name, have in found.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _kinds(data: Data) -> list[tuple[Any, ...]]:
    found = grouped(data.aws, lambda row: row["lineItem/LineItemType"])
    return [(name, len(have), round(math.fsum(map(unblended, have)), 6)) for name, have in sorted(found.items())]


def _environments(data: Data) -> list[tuple[Any, ...]]:
    found = grouped(data.focus, lambda row: tag(row, "environment", "env") or "untagged")
    return [(name, len(have), money(have, "BilledCost")) for name, have in sorted(found.items())]


def _providers(data: Data) -> list[tuple[Any, ...]]:
    found = grouped(data.focus, lambda row: (row["ProviderName"], row["ServiceCategory"]))
    return [(*key, money(have, "BilledCost"), money(have, "EffectiveCost")) for key, have in sorted(found.items())]


def _top_services(data: Data) -> list[tuple[Any, ...]]:
    rows = []
    for provider, have in sorted(grouped(data.focus, lambda row: row["ProviderName"]).items()):
        costs = {
            name: money(members, "BilledCost") for name, members in grouped(have, lambda r: r["ServiceName"]).items()
        }
        best = sorted(costs.items(), key=lambda item: (-item[1], item[0]))[:3]
        rows += [(provider, name, amount) for name, amount in best]
    return rows


def _accounts(data: Data) -> list[tuple[Any, ...]]:
    found = grouped(data.focus, lambda row: row["SubAccountName"])
    costs = [(name, money(have, "BilledCost")) for name, have in found.items() if name is not None]
    return [(name, amount) for name, amount in sorted(costs, key=lambda item: -item[1])[:5]]


def _focus_view(data: Data) -> list[tuple[Any, ...]]:
    rows = []
    for row in sorted(data.gcp, key=lambda row: row["resource"]["name"])[:5]:
        regular = row["cost_type"] == "regular"
        year, number = int(month(row)[:4]), int(month(row)[4:])
        discount = next((c for c in row["credits"] if c["type"] == "COMMITTED_USE_DISCOUNT"), None)
        rows.append(
            (
                row["location"]["zone"],
                exact(row["cost"]),
                datetime(year, number, 1, 8 if number == 3 else 7, tzinfo=UTC),
                {"regular": "usage", "tax": "tax"}.get(row["cost_type"], "error"),
                "correction" if row["adjustment_info"] else None,
                "Usage" if discount else None,
                exact(row["usage"]["amount"]) if regular else None,
                row["usage"]["unit"] if regular else None,
                ("committed" if discount else "standard") if regular else None,
                {"us-central1": "Iowa", "us-east4": "Northern Virginia"}.get(row["location"]["region"]),
                f"SKU ID: {row['sku']['id']}, Tier: {row['price']['tier_start_amount']}" if regular else None,
                [
                    *({**item, "x_type": "label", "x_inherited": False} for item in row["labels"]),
                    *({**item, "x_type": "project_label", "x_inherited": True} for item in row["project"]["labels"]),
                    *(
                        {"key": t["key"], "value": t["value"], "x_type": "tag", "x_inherited": t["inherited"]}
                        for t in row["tags"]
                    ),
                ],
                [{"Name": c["name"], "Amount": exact(c["amount"]), "Type": c["type"]} for c in row["credits"]],
                {"id": row["project"]["id"], "ancestors": row["project"]["ancestors"]},
            )
        )
    return rows


FOCUS_VIEW = f"""
WITH region_names AS (
  SELECT * FROM UNNEST([
    STRUCT<id STRING, name STRING>("us-central1", "Iowa"),
    ("us-east4", "Northern Virginia")
  ])
),
usage_cost_data AS (
  SELECT *,
    (SELECT AS STRUCT type, id, full_name FROM UNNEST(credits)
     WHERE type IN UNNEST(["COMMITTED_USE_DISCOUNT", "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE"]) LIMIT 1) AS cud,
    ARRAY(
      (SELECT AS STRUCT key AS key, value AS value, "label" AS x_type, FALSE AS x_inherited FROM UNNEST(labels))
      UNION ALL
      (SELECT AS STRUCT key AS key, value AS value, "project_label" AS x_type, TRUE AS x_inherited
       FROM UNNEST(project.labels))
      UNION ALL
      (SELECT AS STRUCT key AS key, value AS value, "tag" AS x_type, inherited AS x_inherited FROM UNNEST(tags))
    ) AS focus_tags
  FROM {EXPORT}
)
SELECT
  usage_cost_data.location.zone AS AvailabilityZone,
  CAST(usage_cost_data.cost AS NUMERIC) AS BilledCost,
  PARSE_TIMESTAMP("%Y%m", invoice.month, "America/Los_Angeles") AS BillingPeriodStart,
  CASE LOWER(cost_type) WHEN "regular" THEN "usage" WHEN "tax" THEN "tax" ELSE "error" END AS ChargeCategory,
  IF(COALESCE(usage_cost_data.adjustment_info.id, usage_cost_data.adjustment_info.mode) IS NOT NULL,
    "correction", NULL) AS ChargeClass,
  CASE usage_cost_data.cud.type
    WHEN "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE" THEN "Spend"
    WHEN "COMMITTED_USE_DISCOUNT" THEN "Usage"
  END AS CommitmentDiscountCategory,
  IF(usage_cost_data.cost_type = "regular", CAST(usage_cost_data.usage.amount AS NUMERIC), NULL) AS ConsumedQuantity,
  IF(usage_cost_data.cost_type = "regular", usage_cost_data.usage.unit, NULL) AS ConsumedUnit,
  IF(usage_cost_data.cost_type = "regular",
    IF(LOWER(usage_cost_data.sku.description) LIKE "commitment%" OR usage_cost_data.cud IS NOT NULL,
      "committed", "standard"), NULL) AS PricingCategory,
  (SELECT name FROM region_names WHERE id = usage_cost_data.location.region) AS RegionName,
  IF(usage_cost_data.cost_type = "regular",
    CONCAT("SKU ID: ", usage_cost_data.sku.id, ", Tier: ", price.tier_start_amount), NULL) AS SkuPriceId,
  ARRAY(SELECT AS STRUCT * FROM UNNEST(usage_cost_data.focus_tags) ORDER BY x_type, key) AS Tags,
  ARRAY((SELECT AS STRUCT name AS Name, CAST(amount AS NUMERIC) AS Amount, type AS Type
         FROM UNNEST(usage_cost_data.credits))) AS x_Credits,
  (SELECT AS STRUCT usage_cost_data.project.id, usage_cost_data.project.ancestors) AS x_Project
FROM usage_cost_data
ORDER BY usage_cost_data.resource.name LIMIT 5
"""


def _three(data: Data) -> list[tuple[Any, ...]]:
    nine = Decimal("1e-9")
    amounts = {
        "gcp": [exact(row["cost"]) for row in data.gcp],
        "aws": [Decimal(row["lineItem/UnblendedCost"]).quantize(nine, "ROUND_HALF_UP") for row in data.aws],
    }
    for row in data.focus:
        if row["ProviderName"] != "AWS":
            amounts.setdefault(row["ProviderName"].lower(), []).append(Decimal(row["BilledCost"]))
    found = [(name, round(sum(have, Decimal(0)), 4), len(have)) for name, have in amounts.items()]
    return sorted(found, key=lambda row: -row[2])


AWS: list[Case] = [
    Case(
        "AWS: cost by product",
        """
        SELECT line_item_product_code, ROUND(SUM(line_item_unblended_cost), 8) AS cost, COUNT(*) AS n
        FROM aws_cur WHERE line_item_line_item_type = 'Usage'
        GROUP BY 1 ORDER BY n DESC, 1
        """,
        lambda data: sorted(
            (
                (name, round(math.fsum(map(unblended, rows)), 8), len(rows))
                for name, rows in grouped(
                    [row for row in data.aws if row["lineItem/LineItemType"] == "Usage"], product
                ).items()
            ),
            key=lambda row: (-row[2], row[0]),
        ),
    ),
    Case(
        "AWS: cost by day and product",
        """
        SELECT DATE(line_item_usage_start_date) AS day, line_item_product_code AS code,
          SUM(line_item_unblended_cost) AS cost
        FROM aws_cur WHERE line_item_usage_start_date >= '2023-11-04' AND line_item_usage_start_date < '2023-11-08'
        GROUP BY day, code ORDER BY day, code
        """,
        lambda data: by_key(
            sums(
                [row for row in data.aws if date(2023, 11, 4) <= aws_day(row) < date(2023, 11, 8)],
                lambda row: (aws_day(row), product(row)),
                unblended,
            )
        ),
    ),
    Case(
        "AWS: data transfer by its kind",
        """
        SELECT product_transfer_type, SUM(line_item_usage_amount) AS gigabytes, SUM(line_item_unblended_cost) AS cost
        FROM aws_cur WHERE product_product_family = 'Data Transfer'
        GROUP BY product_transfer_type ORDER BY product_transfer_type
        """,
        _transfer,
    ),
    Case(
        "AWS: regions, and what has none",
        """
        SELECT IFNULL(product_region, 'global') AS region, COUNT(*) AS n,
          COUNT(DISTINCT line_item_product_code) AS products
        FROM aws_cur GROUP BY region ORDER BY n DESC, region
        """,
        _regions,
    ),
    Case(
        "AWS: kinds of line",
        """
        SELECT line_item_line_item_type AS kind, COUNT(*) AS n, ROUND(SUM(line_item_unblended_cost), 6) AS cost
        FROM aws_cur GROUP BY kind ORDER BY kind
        """,
        _kinds,
    ),
    Case(
        "AWS: amortised cost by the kind of line",
        """
        SELECT line_item_product_code,
          SUM(CASE line_item_line_item_type
            WHEN 'SavingsPlanCoveredUsage' THEN savings_plan_savings_plan_effective_cost
            WHEN 'DiscountedUsage' THEN reservation_effective_cost
            WHEN 'RIFee' THEN 0
            ELSE line_item_unblended_cost END) AS amortised
        FROM aws_cur GROUP BY 1 ORDER BY 1
        """,
        lambda data: by_key(sums(data.aws, product, unblended)),
    ),
    Case(
        "AWS: text costs cast, empty ones counted as nothing",
        """
        SELECT pricing_term, SUM(SAFE_CAST(pricing_public_on_demand_cost AS FLOAT64)) AS on_demand, COUNT(*) AS n
        FROM aws_cur GROUP BY pricing_term ORDER BY pricing_term NULLS LAST
        """,
        lambda data: [
            (term, math.fsum(float(r["pricing/publicOnDemandCost"] or 0) for r in rows), len(rows))
            for term, rows in sorted(
                grouped(data.aws, lambda row: row["pricing/term"]).items(), key=lambda item: item[0] or "~"
            )
        ],
    ),
    Case(
        "AWS: region code out of the usage type",
        """
        SELECT REGEXP_EXTRACT(line_item_usage_type, r'^([A-Z]{3}\\d)-') AS prefix, COUNT(*) AS n
        FROM aws_cur WHERE REGEXP_CONTAINS(line_item_usage_type, r'Requests-Tier[12]$')
        GROUP BY prefix ORDER BY n DESC, prefix
        """,
        lambda data: sorted(
            (
                (name, len(rows))
                for name, rows in grouped(
                    [
                        row
                        for row in data.aws
                        if (row["lineItem/UsageType"] or "").endswith(("Requests-Tier1", "Requests-Tier2"))
                    ],
                    lambda row: _prefix(row["lineItem/UsageType"]),
                ).items()
            ),
            key=lambda row: (-row[1], row[0] or ""),
        ),
    ),
    Case(
        "AWS: the busiest hours",
        """
        SELECT TIMESTAMP_TRUNC(line_item_usage_start_date, HOUR) AS hour, COUNT(*) AS n
        FROM aws_cur GROUP BY hour HAVING n > 25 ORDER BY n DESC, hour
        """,
        lambda data: sorted(
            (
                (when, len(rows))
                for when, rows in grouped(
                    data.aws, lambda row: at(row["lineItem/UsageStartDate"]).replace(minute=0, second=0)
                ).items()
                if len(rows) > 25
            ),
            key=lambda row: (-row[1], row[0]),
        ),
    ),
    Case(
        "AWS: lines that are reported again",
        """
        SELECT COUNT(*) AS again FROM (
          SELECT identity_line_item_id, ROW_NUMBER() OVER (
            PARTITION BY identity_line_item_id, line_item_usage_start_date ORDER BY line_item_usage_end_date DESC) AS n
          FROM aws_cur
        ) WHERE n > 1
        """,
        lambda data: [
            (len(data.aws) - len({(r["identity/LineItemId"], r["lineItem/UsageStartDate"]) for r in data.aws}),)
        ],
    ),
]


def _prefix(usage_type: str) -> str | None:
    head = usage_type.split("-", maxsplit=1)[0]
    return head if len(head) == 4 and head[:3].isalpha() and head[:3].isupper() and head[3].isdigit() else None


FOCUS: list[Case] = [
    Case(
        "FOCUS: billed and effective cost by provider and category",
        """
        SELECT ProviderName, ServiceCategory, SUM(BilledCost) AS BilledCost, SUM(EffectiveCost) AS EffectiveCost
        FROM focus GROUP BY ProviderName, ServiceCategory ORDER BY ProviderName, ServiceCategory
        """,
        _providers,
    ),
    Case(
        "FOCUS: three dearest services of each provider",
        """
        SELECT ProviderName, ServiceName, TotalBilledCost FROM (
          SELECT ProviderName, ServiceName, SUM(BilledCost) AS TotalBilledCost,
            ROW_NUMBER() OVER (PARTITION BY ProviderName ORDER BY SUM(BilledCost) DESC, ServiceName) AS place
          FROM focus GROUP BY ProviderName, ServiceName
        ) WHERE place <= 3 ORDER BY ProviderName, place
        """,
        _top_services,
    ),
    Case(
        "FOCUS: five dearest sub-accounts",
        """
        SELECT SubAccountName, SUM(BilledCost) AS cost FROM focus
        WHERE SubAccountName IS NOT NULL GROUP BY SubAccountName ORDER BY cost DESC LIMIT 5
        """,
        _accounts,
    ),
    Case(
        "FOCUS: environment out of the JSON tags",
        """
        SELECT COALESCE(JSON_VALUE(Tags, '$.environment'), JSON_VALUE(Tags, '$.env'), 'untagged') AS environment,
          COUNT(*) AS n, SUM(BilledCost) AS cost
        FROM focus GROUP BY environment ORDER BY environment
        """,
        _environments,
    ),
    Case(
        "FOCUS: environment by field of the JSON tags",
        """
        SELECT COUNT(*) AS n, COUNT(DISTINCT JSON_VALUE(Tags.application)) AS applications
        FROM focus WHERE JSON_VALUE(Tags.environment) = 'prod'
        """,
        lambda data: [
            (
                len([row for row in data.focus if tag(row, "environment") == "prod"]),
                len({tag(row, "application") for row in data.focus if tag(row, "environment") == "prod"} - {None}),
            )
        ],
    ),
    Case(
        "FOCUS: tag coverage by cost",
        """
        SELECT COUNTIF(Tags IS NULL) AS untagged,
          ROUND(SAFE_DIVIDE(COUNTIF(Tags IS NOT NULL), COUNT(*)) * 100, 1) AS share
        FROM focus
        """,
        lambda data: [
            (
                sum(row["Tags"] is None for row in data.focus),
                round(100 * sum(row["Tags"] is not None for row in data.focus) / len(data.focus), 1),
            )
        ],
    ),
    Case(
        "FOCUS: charges of a period by category and frequency",
        """
        SELECT ChargeCategory, ChargeFrequency, COUNT(*) AS n, SUM(BilledCost) AS cost FROM focus
        WHERE ChargePeriodStart >= TIMESTAMP '2024-09-01' AND ChargePeriodEnd <= TIMESTAMP '2024-10-01'
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
        lambda data: [
            (*key, len(have), money(have, "BilledCost"))
            for key, have in sorted(
                grouped(
                    [
                        row
                        for row in data.focus
                        if row["ChargePeriodStart"] >= "2024-09-01" and row["ChargePeriodEnd"] <= "2024-10-01 00:00:00"
                    ],
                    lambda row: (row["ChargeCategory"], row["ChargeFrequency"]),
                ).items()
            )
        ],
    ),
    Case(
        "FOCUS: usage per unit",
        """
        SELECT ConsumedUnit, SUM(CAST(ConsumedQuantity AS FLOAT64)) AS quantity, COUNT(*) AS n FROM focus
        WHERE ConsumedUnit IS NOT NULL GROUP BY ConsumedUnit HAVING COUNT(*) > 10 ORDER BY n DESC, ConsumedUnit
        """,
        lambda data: sorted(
            (
                (unit, math.fsum(float(row["ConsumedQuantity"] or 0) for row in rows), len(rows))
                for unit, rows in grouped(data.focus, lambda row: row["ConsumedUnit"]).items()
                if unit is not None and len(rows) > 10
            ),
            key=lambda row: (-row[2], row[0]),
        ),
    ),
    Case(
        "FOCUS: commitment discounts and their use",
        """
        SELECT CommitmentDiscountType, CommitmentDiscountStatus, COUNT(*) AS n, SUM(EffectiveCost) AS cost FROM focus
        WHERE CommitmentDiscountId IS NOT NULL GROUP BY 1, 2
        """,
        lambda data: [
            (*key, len(have), money(have, "EffectiveCost"))
            for key, have in grouped(
                [row for row in data.focus if row["CommitmentDiscountId"]],
                lambda row: (row["CommitmentDiscountType"], row["CommitmentDiscountStatus"]),
            ).items()
        ],
        ordered=False,
    ),
    Case(
        "FOCUS: cost by day of the charge",
        """
        SELECT FORMAT_TIMESTAMP('%Y-%m-%d', ChargePeriodStart) AS day, SUM(BilledCost) AS cost
        FROM focus WHERE ProviderName = 'AWS' GROUP BY day ORDER BY day
        """,
        lambda data: [
            (name, money(rows, "BilledCost"))
            for name, rows in sorted(
                grouped(
                    [row for row in data.focus if row["ProviderName"] == "AWS"],
                    lambda row: start(row).date().isoformat(),
                ).items()
            )
        ],
    ),
    Case(
        "three providers in one table",
        f"""
        SELECT provider, ROUND(SUM(cost), 4) AS cost, COUNT(*) AS n FROM (
          SELECT 'gcp' AS provider, CAST(cost AS NUMERIC) AS cost FROM {EXPORT}
          UNION ALL SELECT 'aws', CAST(line_item_unblended_cost AS NUMERIC) FROM aws_cur
          UNION ALL SELECT LOWER(ProviderName), BilledCost FROM focus WHERE ProviderName != 'AWS'
        ) GROUP BY provider ORDER BY n DESC
        """,
        _three,
    ),
    Case("Google's FOCUS view", FOCUS_VIEW, _focus_view),
]

CASES: list[Case] = [*AWS, *FOCUS]
