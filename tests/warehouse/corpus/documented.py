"""Google's documented examples for the billing export, on the shared export's table."""

import json
import math
from decimal import Decimal
from typing import Any

from tests.warehouse.corpus.cases import (
    Case,
    Data,
    Row,
    at,
    by_key,
    by_value,
    cost,
    credit,
    exact,
    grouped,
    month,
    net,
    pacific_day,
    project,
    service,
    sums,
)

EXPORT = "`gac-prod-471220.cloud_billing.gcp_billing_export_resource_v1_0177BB_554433_X9Y8Z7`"
DISCOUNTS = ("SUSTAINED_USE_DISCOUNT", "COMMITTED_USE_DISCOUNT")


def exact_sum(rows: list[Row], column: str) -> Decimal:
    return sum((exact(row[column]) for row in rows), Decimal(0))


def exact_credit(rows: list[Row], *types: str) -> Decimal:
    found = (c for row in rows for c in row["credits"] if not types or c["type"] in types)
    return sum((exact(c["amount"]) for c in found), Decimal(0))


def _invoice(data: Data) -> list[tuple[Any, ...]]:
    return [
        (name, math.fsum(map(net, rows)), exact_sum(rows, "cost") + exact_credit(rows))
        for name, rows in sorted(grouped(data.gcp, month).items())
    ]


def _report(data: Data) -> list[tuple[Any, ...]]:
    rows = [row for row in data.gcp if "2026-04-01" <= str(pacific_day(row)) <= "2026-04-30"]
    found = []
    for (name, id_), members in grouped(rows, lambda row: (service(row), row["service"]["id"])).items():
        listed, charged = exact_sum(members, "cost_at_list"), exact_sum(members, "cost")
        discounts, promotions = exact_credit(members, *DISCOUNTS), exact_credit(members, "PROMOTION", "FREE_TIER")
        subtotal = charged + discounts + promotions
        found.append((name, id_, listed, charged - listed, discounts, promotions, subtotal))
    return sorted(found, key=lambda row: row[-1], reverse=True)


def _credit_types(data: Data) -> list[tuple[Any, ...]]:
    pairs = [(month(row), c["type"], c["amount"]) for row in data.gcp for c in row["credits"]]
    keys = sorted({pair[:2] for pair in pairs})
    return [(*key, len(have := [p[2] for p in pairs if p[:2] == key]), math.fsum(have)) for key in keys]


def _untagged(data: Data) -> list[tuple[Any, ...]]:
    rows = [row for row in data.gcp if not any(tag["value"] == "internal" for tag in row["tags"])]
    return by_value(sums(rows, project, cost))


def _folders(data: Data) -> list[tuple[Any, ...]]:
    pairs = [(a["display_name"], net(row)) for row in data.gcp for a in row["project"]["ancestors"]]
    names = sorted({name for name, _ in pairs})
    return [(name, math.fsum(amount for other, amount in pairs if other == name)) for name in names]


def _adjustments(data: Data) -> list[tuple[Any, ...]]:
    rows = [row for row in data.gcp if row["adjustment_info"] is not None]
    found = grouped(rows, lambda row: (row["adjustment_info"]["type"], row["adjustment_info"]["mode"]))
    return [(*key, len(have), math.fsum(map(net, have))) for key, have in sorted(found.items())]


def _resources(data: Data) -> list[tuple[Any, ...]]:
    rows = [row for row in data.gcp if service(row) == "Kubernetes Engine"]
    found = sums(rows, lambda row: (row["resource"]["name"], row["resource"]["global_name"], row["sku"]["id"]), net)
    return by_value(found)[:10]


CASES: list[Case] = [
    Case(
        "invoice total per month",
        f"""
        SELECT
          invoice.month,
          SUM(cost)
            + SUM(IFNULL((SELECT SUM(c.amount)
                          FROM UNNEST(credits) c), 0))
            AS total,
          (SUM(CAST(cost AS NUMERIC))
            + SUM(IFNULL((SELECT SUM(CAST(c.amount AS NUMERIC))
                          FROM UNNEST(credits) AS c), 0)))
            AS total_exact
        FROM {EXPORT}
        GROUP BY 1
        ORDER BY 1 ASC
        ;
        """,
        _invoice,
    ),
    Case(
        "details by cost type per month",
        f"""
        SELECT
          invoice.month,
          cost_type,
          SUM(cost)
            + SUM(IFNULL((SELECT SUM(c.amount) FROM UNNEST(credits) c), 0)) AS total
        FROM {EXPORT}
        GROUP BY 1, 2
        ORDER BY 1 ASC, 2 ASC
        """,
        lambda data: by_key(sums(data.gcp, lambda row: (month(row), row["cost_type"]), net)),
    ),
    Case(
        "monthly costs and credits in whole millionths",
        f"""
        SELECT
          invoice.month AS invoice_month,
          (SUM(CAST(cost * 1000000 AS INT64))
            + SUM(IFNULL((SELECT SUM(CAST(c.amount * 1000000 AS INT64)) FROM UNNEST(credits) c), 0))) / 1000000 AS total
        FROM {EXPORT}
        GROUP BY invoice_month
        ORDER BY invoice_month
        """,
        lambda data: by_key(sums(data.gcp, month, net)),
    ),
    Case(
        "costs by the label map",
        f"SELECT TO_JSON_STRING(labels) AS labels, SUM(cost) AS cost FROM {EXPORT} GROUP BY labels ORDER BY labels",
        lambda data: by_key(sums(data.gcp, lambda row: json.dumps(row["labels"], separators=(",", ":")), cost)),
    ),
    Case(
        "costs by label key and value",
        f"""
        SELECT labels.key AS key, labels.value AS value, SUM(cost) AS cost
        FROM {EXPORT}
        LEFT JOIN UNNEST(labels) AS labels
        GROUP BY key, value
        ORDER BY key, value;
        """,
        lambda data: by_key(sums(data.gcp, lambda row: (row["labels"][0]["key"], row["labels"][0]["value"]), cost)),
    ),
    Case(
        "costs by the value of one label",
        f"""
        SELECT labels.value AS environment, SUM(cost) AS cost
        FROM {EXPORT}
        LEFT JOIN UNNEST(project.labels) AS labels ON labels.key = "env"
        GROUP BY environment
        ORDER BY cost DESC
        """,
        lambda data: by_value(sums(data.gcp, lambda row: row["project"]["labels"][0]["value"], cost)),
    ),
    Case(
        "a label that no row has",
        f"""
        SELECT labels.value AS environment, SUM(cost) AS cost
        FROM {EXPORT} LEFT JOIN UNNEST(labels) AS labels ON labels.key = "environment"
        GROUP BY environment
        """,
        lambda data: [(None, math.fsum(map(cost, data.gcp)))],
    ),
    Case(
        "committed use discount credits per month",
        f"""
        SELECT
          invoice.month AS invoice_month,
          SUM(credits.amount) AS CUD_credits
        FROM {EXPORT}
        LEFT JOIN UNNEST(credits) AS credits
        WHERE credits.type = "COMMITTED_USE_DISCOUNT"
        GROUP BY 1
        ORDER BY 1
        """,
        lambda data: by_key(
            sums(
                [row for row in data.gcp if any(c["type"] == "COMMITTED_USE_DISCOUNT" for c in row["credits"])],
                month,
                lambda row: credit(row, "COMMITTED_USE_DISCOUNT"),
            )
        ),
    ),
    Case(
        "commitment fees by the SKU's description",
        f"""
        SELECT invoice.month AS invoice_month, SUM(cost) AS commitment_fees
        FROM {EXPORT}
        WHERE LOWER(sku.description) LIKE "%egress%"
        GROUP BY 1 ORDER BY 1
        """,
        lambda data: by_key(sums([r for r in data.gcp if "egress" in r["sku"]["description"].lower()], month, cost)),
    ),
    Case(
        "credits by type",
        f"""
        SELECT invoice.month, c.type AS credit_type, COUNT(*) AS lines, SUM(c.amount) AS amount
        FROM {EXPORT}, UNNEST(credits) AS c
        GROUP BY invoice.month, credit_type
        ORDER BY month, credit_type
        """,
        _credit_types,
    ),
    Case(
        "report of the console: list cost, savings, discounts, subtotal",
        f"""
        SELECT
          service.description AS Service_description,
          service.id AS Service_ID,
          SUM(CAST(cost_at_list AS NUMERIC)) AS List_cost,
          SUM(CAST(cost AS NUMERIC)) - SUM(CAST(cost_at_list AS NUMERIC)) AS Negotiated_savings,
          SUM(IFNULL((SELECT SUM(CAST(c.amount AS NUMERIC)) FROM UNNEST(credits) c
            WHERE c.type IN ('SUSTAINED_USE_DISCOUNT', 'COMMITTED_USE_DISCOUNT')), 0)) AS Discounts,
          SUM(IFNULL((SELECT SUM(CAST(c.amount AS NUMERIC)) FROM UNNEST(credits) c
            WHERE c.type IN ('PROMOTION', 'FREE_TIER')), 0)) AS Promotions_and_others,
          SUM(CAST(cost AS NUMERIC))
            + SUM(IFNULL((SELECT SUM(CAST(c.amount AS NUMERIC)) FROM UNNEST(credits) c), 0)) AS Subtotal
        FROM {EXPORT}
        WHERE DATE(TIMESTAMP_TRUNC(usage_start_time, Day, 'US/Pacific')) BETWEEN '2026-04-01' AND '2026-04-30'
        GROUP BY Service_description, Service_ID
        ORDER BY Subtotal DESC
        """,
        # The Pacific day begins at 7:00 or 8:00 UTC, so DATE in UTC of its beginning is the same day.
        _report,
    ),
    Case(
        "subtotal of a month in Pacific time",
        f"""
        SELECT service.description, service.id,
          SUM(CAST(cost_at_list AS NUMERIC)) AS listed,
          SUM(CAST(cost AS NUMERIC)) - SUM(CAST(cost_at_list AS NUMERIC)) AS savings,
          SUM(IFNULL((SELECT SUM(CAST(amount AS NUMERIC)) FROM UNNEST(credits)
            WHERE type IN UNNEST(['SUSTAINED_USE_DISCOUNT', 'COMMITTED_USE_DISCOUNT'])), 0)) AS discounts,
          SUM(IFNULL((SELECT SUM(CAST(amount AS NUMERIC)) FROM UNNEST(credits)
            WHERE type NOT IN ('SUSTAINED_USE_DISCOUNT', 'COMMITTED_USE_DISCOUNT')), 0)) AS promotions,
          SUM(CAST(cost AS NUMERIC))
            + SUM((SELECT IFNULL(SUM(CAST(amount AS NUMERIC)), 0) FROM UNNEST(credits))) AS subtotal
        FROM {EXPORT}
        WHERE DATE(usage_start_time, 'America/Los_Angeles') >= '2026-04-01'
          AND DATE(usage_start_time, 'America/Los_Angeles') < '2026-05-01'
        GROUP BY 1, 2
        ORDER BY subtotal DESC
        """,
        _report,
    ),
    Case(
        "rows that have a tag",
        f"""
        SELECT tag.namespace, tag.key, tag.value, tag.inherited, COUNT(*) AS n, SUM(cost) AS cost
        FROM {EXPORT}, UNNEST(tags) AS tag
        WHERE tag.key = "data_classification" AND tag.namespace = "enterprise_governance"
        GROUP BY 1, 2, 3, 4
        ORDER BY 3, 4
        """,
        lambda data: [
            ("enterprise_governance", "data_classification", *key, len(rows), math.fsum(map(cost, rows)))
            for key, rows in sorted(
                grouped(data.gcp, lambda row: (row["tags"][0]["value"], row["tags"][0]["inherited"])).items()
            )
        ],
    ),
    Case(
        "costs without a tag value",
        f"""
        SELECT project.id, SUM(cost) AS untagged
        FROM {EXPORT}
        WHERE NOT EXISTS (SELECT * FROM UNNEST(tags) AS tag WHERE tag.value = 'internal')
        GROUP BY project.id
        ORDER BY untagged DESC
        """,
        _untagged,
    ),
    Case(
        "costs under each folder",
        f"""
        SELECT ancestor.display_name AS folder,
          SUM(cost) + SUM(IFNULL((SELECT SUM(c.amount) FROM UNNEST(credits) c), 0)) AS net
        FROM {EXPORT}, UNNEST(project.ancestors) AS ancestor
        WHERE STARTS_WITH(ancestor.resource_name, 'folders/')
        GROUP BY folder
        ORDER BY folder
        """,
        _folders,
    ),
    Case(
        "costs of the projects in one organization",
        f"""
        SELECT project.name, SUM(cost) AS cost
        FROM {EXPORT}
        WHERE project.ancestry_numbers LIKE '/organizations/102948102/%'
        GROUP BY project.name ORDER BY 2 DESC
        """,
        lambda data: by_value(
            sums(
                [r for r in data.gcp if r["project"]["ancestry_numbers"].startswith("/organizations/102948102/")],
                lambda row: row["project"]["name"],
                cost,
            )
        ),
    ),
    Case(
        "organization out of the ancestry",
        f"""
        SELECT SPLIT(project.ancestry_numbers, '/')[SAFE_OFFSET(2)] AS organization, SUM(cost) AS cost
        FROM {EXPORT} GROUP BY organization ORDER BY organization
        """,
        lambda data: by_key(sums(data.gcp, lambda row: row["project"]["ancestry_numbers"].split("/")[2], cost)),
    ),
    Case(
        "adjustments",
        f"""
        SELECT adjustment_info.type AS kind, adjustment_info.mode AS mode, COUNT(1) AS n,
          SUM(cost) + SUM(IFNULL((SELECT SUM(c.amount) FROM UNNEST(credits) AS c), 0)) AS total
        FROM {EXPORT}
        WHERE adjustment_info.id IS NOT NULL
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
        _adjustments,
    ),
    Case(
        "a record that is missing",
        f"SELECT COUNTIF(adjustment_info IS NULL), COUNTIF(subscription.instance_id IS NOT NULL) FROM {EXPORT}",
        lambda data: [
            (sum(r["adjustment_info"] is None for r in data.gcp), sum(r["subscription"] is not None for r in data.gcp))
        ],
    ),
    Case(
        "the ten dearest resources of a service",
        f"""
        SELECT resource.name, resource.global_name, sku.id,
          SUM(cost) + SUM(IFNULL((SELECT SUM(c.amount) FROM UNNEST(credits) c), 0)) AS net
        FROM {EXPORT}
        WHERE service.description = 'Kubernetes Engine'
        GROUP BY resource.name, resource.global_name, sku.id
        ORDER BY net DESC LIMIT 10
        """,
        _resources,
    ),
    Case(
        "zone out of the resource's name",
        f"""
        SELECT REGEXP_EXTRACT(resource.global_name, r'/zones/([^/]+)/') AS zone, COUNT(DISTINCT resource.name) AS n
        FROM {EXPORT} GROUP BY zone ORDER BY n DESC, zone
        """,
        lambda data: sorted(
            (
                (zone, len({row["resource"]["name"] for row in rows}))
                for zone, rows in grouped(
                    data.gcp, lambda row: row["resource"]["global_name"].split("/zones/")[1].split("/")[0]
                ).items()
            ),
            key=lambda item: (-item[1], item[0]),
        ),
    ),
    Case(
        "usage and price of a SKU with its tier",
        f"""
        SELECT sku.id, sku.description, price.tier_start_amount, usage.pricing_unit,
          SUM(usage.amount_in_pricing_units) AS amount, MAX(price.effective_price) AS price,
          SUM(CAST(usage.amount_in_pricing_units AS NUMERIC) * price.list_price) > 0 AS charged
        FROM {EXPORT}
        WHERE cost_type = 'regular'
        GROUP BY 1, 2, 3, 4
        ORDER BY 1, 2, 3, 4
        """,
        lambda data: [
            (
                *key,
                math.fsum(row["usage"]["amount_in_pricing_units"] for row in rows),
                max(exact(row["price"]["effective_price"]) for row in rows),
                True,
            )
            for key, rows in sorted(
                grouped(
                    [row for row in data.gcp if row["cost_type"] == "regular"],
                    lambda row: (
                        row["sku"]["id"],
                        row["sku"]["description"],
                        exact(row["price"]["tier_start_amount"]),
                        row["usage"]["pricing_unit"],
                    ),
                ).items()
            )
        ],
    ),
    Case(
        "month and year of the export, as whole numbers",
        f"""
        SELECT EXTRACT(MONTH FROM export_time) AS month, EXTRACT(YEAR FROM export_time) AS year,
          ROUND(SUM(cost), 2) AS costs, ROUND(SUM((SELECT SUM(amount) FROM UNNEST(credits))), 2) AS credits
        FROM {EXPORT} GROUP BY year, month ORDER BY year, month
        """,
        lambda data: [
            (number, 2026, round(math.fsum(map(cost, rows)), 2), round(math.fsum(map(credit, rows)), 2))
            for number, rows in sorted(grouped(data.gcp, lambda row: at(row["export_time"]).month).items())
        ],
    ),
    Case(
        "in US dollars",
        f"""
        SELECT currency, SUM(cost / currency_conversion_rate) AS dollars, SUM(cost) / AVG(currency_conversion_rate) > 0
        FROM {EXPORT} GROUP BY currency ORDER BY currency
        """,
        lambda data: [
            (*row, True)
            for row in by_key(
                sums(data.gcp, lambda r: r["currency"], lambda r: r["cost"] / r["currency_conversion_rate"])
            )
        ],
    ),
    Case(
        "gross rows and credit rows beside each other",
        f"""
        WITH
          billing AS (
            SELECT service, project.id AS project_id, cost, credits, invoice FROM {EXPORT}
          ),
          costs AS (
            SELECT 'Gross' AS metric, cost, 0 AS credit_amount, billing.* EXCEPT (credits, cost) FROM billing
          ),
          credited AS (
            SELECT c.name AS metric, 0 AS cost, c.amount AS credit_amount, billing.* EXCEPT (credits, cost)
            FROM billing JOIN UNNEST(credits) c
            WHERE c.name IS NOT NULL
          ),
          both_kinds AS (SELECT costs.* FROM costs UNION ALL SELECT credited.* FROM credited)
        SELECT metric, SUM(cost) AS cost, SUM(credit_amount) AS credit, COUNT(*) AS n
        FROM both_kinds GROUP BY metric ORDER BY metric
        """,
        lambda data: sorted(
            [
                ("Gross", math.fsum(map(cost, data.gcp)), 0.0, len(data.gcp)),
                *((name, 0.0, math.fsum(amounts), len(amounts)) for name, amounts in _credit_amounts(data).items()),
            ]
        ),
    ),
]


def _credit_amounts(data: Data) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in data.gcp:
        for item in row["credits"]:
            found.setdefault(item["name"], []).append(item["amount"])
    return found
