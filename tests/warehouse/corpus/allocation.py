"""Labels, tags, budgets, unit costs and the dataset's tables on the billing export."""

import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from tests.warehouse.corpus.cases import (
    Case,
    Data,
    Row,
    at,
    by_key,
    cost,
    credit,
    day,
    exact,
    grouped,
    label,
    month,
    net,
    project,
    service,
    sums,
)

EXPORT = "gcp_billing_export_resource_v1_0177BB_554433_X9Y8Z7"
MONTHS = ("202603", "202604", "202605")


def _first_and_last(data: Data) -> list[tuple[Any, ...]]:
    return [
        (name, min(map(day, rows)), max(map(day, rows)), (max(map(day, rows)) - min(map(day, rows))).days + 1)
        for name, rows in sorted(grouped(data.gcp, project).items())
    ]


def _budgets(data: Data) -> list[tuple[Any, ...]]:
    budgets: dict[str, Decimal | None] = {
        "BigQuery": Decimal(20000),
        "Cloud SQL": Decimal("15000.5"),
        "Cloud Run": None,
    }
    spent = {name: sum(exact(row["cost"]) for row in rows) for name, rows in grouped(data.gcp, service).items()}
    names = sorted(set(budgets) | set(spent))
    return [(name, spent.get(name), budgets.get(name), _over(spent.get(name), budgets.get(name))) for name in names]


def _over(spent: Decimal | int | None, budget: Decimal | None) -> str:
    if budget is None or spent is None:
        return "no budget" if budget is None else "no cost"
    return "over" if spent > budget * 3 else "within"


def _coverage(data: Data) -> list[tuple[Any, ...]]:
    rows = []
    for name, members in sorted(grouped(data.gcp, project).items()):
        tagged = [row for row in members if any(tag["value"] == "restricted" for tag in row["tags"])]
        share = round(100 * math.fsum(map(cost, tagged)) / math.fsum(map(cost, members)), 2)
        rows.append((name, len(members), len(tagged), share))
    return rows


def _unit_costs(data: Data) -> list[tuple[Any, ...]]:
    rows = grouped(data.gcp, lambda row: (row["usage"]["unit"], row["sku"]["id"]))
    return [
        (*key, math.fsum(map(net, have)) / math.fsum(row["usage"]["amount"] for row in have))
        for key, have in sorted(rows.items())
    ]


def _matching(name: str, test: Callable[[Row], bool]) -> Callable[[Data], list[tuple[Any, ...]]]:
    del name
    return lambda data: [(sum(1 for row in data.gcp if test(row)),)]


ALLOCATION: list[Case] = [
    Case(
        "label of the project by a subquery",
        f"""
        SELECT (SELECT value FROM UNNEST(project.labels) WHERE key = 'team') AS team, SUM(cost) AS cost
        FROM {EXPORT} GROUP BY team ORDER BY team
        """,
        lambda data: by_key(sums(data.gcp, lambda row: str(label(row, "team")), cost)),
    ),
    Case(
        "environment by team as columns",
        f"""
        SELECT
          (SELECT l.value FROM UNNEST(project.labels) AS l WHERE l.key = 'team' LIMIT 1) AS team,
          SUM(IF((SELECT l.value FROM UNNEST(project.labels) l WHERE l.key = 'env') = 'production', cost, 0)) AS prod,
          SUM(IF('production' NOT IN (SELECT l.value FROM UNNEST(project.labels) l), cost, 0)) AS other
        FROM {EXPORT} GROUP BY 1 ORDER BY 1
        """,
        lambda data: [
            (
                name,
                math.fsum(cost(row) for row in rows if label(row, "env") == "production"),
                math.fsum(cost(row) for row in rows if label(row, "env") != "production"),
            )
            for name, rows in sorted(grouped(data.gcp, lambda row: str(label(row, "team"))).items())
        ],
    ),
    Case(
        "two labels joined",
        f"""
        SELECT CONCAT(env.value, '/', team.value) AS owner, SUM(cost) AS cost
        FROM {EXPORT},
          UNNEST(project.labels) AS env, UNNEST(project.labels) AS team
        WHERE env.key = 'env' AND team.key = 'team'
        GROUP BY owner ORDER BY owner
        """,
        lambda data: by_key(sums(data.gcp, lambda row: f"{label(row, 'env')}/{label(row, 'team')}", cost)),
    ),
    Case(
        "labels of every kind in one array",
        f"""
        SELECT kind, COUNT(*) AS n, COUNT(DISTINCT value) AS distinct_values FROM (
          SELECT item.kind, item.value FROM {EXPORT}, UNNEST(ARRAY(
            SELECT AS STRUCT 'label' AS kind, value FROM UNNEST(labels)
            UNION ALL SELECT AS STRUCT 'system' AS kind, value FROM UNNEST(system_labels)
            UNION ALL SELECT AS STRUCT 'project' AS kind, value FROM UNNEST(project.labels)
            UNION ALL SELECT AS STRUCT 'tag' AS kind, value FROM UNNEST(tags)
          )) AS item
        ) GROUP BY kind ORDER BY kind
        """,
        lambda data: [
            (kind, len(values), len(set(values)))
            for kind, values in sorted(
                {
                    "label": [i["value"] for r in data.gcp for i in r["labels"]],
                    "system": [i["value"] for r in data.gcp for i in r["system_labels"]],
                    "project": [i["value"] for r in data.gcp for i in r["project"]["labels"]],
                    "tag": [i["value"] for r in data.gcp for i in r["tags"]],
                }.items()
            )
        ],
    ),
    Case(
        "labels as one text",
        f"""
        SELECT
          ARRAY_TO_STRING(ARRAY(SELECT CONCAT(key, '=', value) FROM UNNEST(project.labels) ORDER BY key), ',')
            AS labels,
          COUNT(*) AS n
        FROM {EXPORT} GROUP BY labels ORDER BY n DESC, labels
        """,
        lambda data: sorted(
            (
                (key, len(rows))
                for key, rows in grouped(
                    data.gcp, lambda row: f"env={label(row, 'env')},team={label(row, 'team')}"
                ).items()
            ),
            key=lambda item: (-item[1], item[0]),
        ),
    ),
    Case(
        "tag coverage by project",
        f"""
        SELECT project.id, COUNT(*) AS n,
          COUNTIF(EXISTS(SELECT 1 FROM UNNEST(tags) t WHERE t.value = 'restricted')) AS tagged,
          ROUND(100 * SAFE_DIVIDE(
            SUM(IF(EXISTS(SELECT 1 FROM UNNEST(tags) t WHERE t.value = 'restricted'), cost, 0)), SUM(cost)), 2) AS share
        FROM {EXPORT} GROUP BY project.id ORDER BY project.id
        """,
        _coverage,
    ),
    Case(
        "against budgets, with services on one side only",
        f"""
        WITH spending AS (
          SELECT service.description AS service_name, SUM(CAST(cost AS NUMERIC)) AS spent FROM {EXPORT} GROUP BY 1
        )
        SELECT service_name, spent, monthly,
          CASE WHEN monthly IS NULL THEN 'no budget' WHEN spent IS NULL THEN 'no cost'
            WHEN spent > monthly * 3 THEN 'over' ELSE 'within' END AS state
        FROM spending FULL OUTER JOIN budgets USING (service_name)
        ORDER BY service_name
        """,
        _budgets,
    ),
    Case(
        "services without a budget",
        f"""
        SELECT DISTINCT service.description AS name FROM {EXPORT}
        WHERE service.description NOT IN (SELECT service_name FROM budgets)
        ORDER BY name
        """,
        lambda data: [(n,) for n in sorted({service(r) for r in data.gcp} - {"BigQuery", "Cloud SQL", "Cloud Run"})],
    ),
    Case(
        "owners of a budget, and those without",
        "SELECT service_name, owner FROM budgets LEFT JOIN UNNEST(owners) AS owner ORDER BY service_name, owner",
        lambda _: [("BigQuery", "data"), ("BigQuery", "finance"), ("Cloud Run", "web"), ("Cloud SQL", None)],
    ),
    Case(
        "a shared cost split by each project's part",
        f"""
        WITH direct AS (
          SELECT project.id AS id, SUM(cost) AS cost FROM {EXPORT}
          WHERE service.description != 'Cloud Storage' GROUP BY 1
        ), shared AS (SELECT SUM(cost) AS cost FROM {EXPORT} WHERE service.description = 'Cloud Storage')
        SELECT direct.id, direct.cost + shared.cost * direct.cost / SUM(direct.cost) OVER () AS cost
        FROM direct CROSS JOIN shared ORDER BY 1
        """,
        lambda data: [
            (
                name,
                own
                + math.fsum(cost(r) for r in data.gcp if service(r) == "Cloud Storage")
                * own
                / math.fsum(cost(r) for r in data.gcp if service(r) != "Cloud Storage"),
            )
            for name, own in by_key(sums([r for r in data.gcp if service(r) != "Cloud Storage"], project, cost))
        ],
    ),
    Case(
        "unit costs",
        f"""
        SELECT usage.unit, sku.id,
          SAFE_DIVIDE(SUM(cost) + SUM(IFNULL((SELECT SUM(c.amount) FROM UNNEST(credits) c), 0)),
            SUM(usage.amount)) AS unit_cost
        FROM {EXPORT} GROUP BY usage.unit, sku.id ORDER BY 1, 2
        """,
        _unit_costs,
    ),
    Case(
        "effective against list price",
        f"""
        SELECT sku.id, AVG(price.effective_price / NULLIF(price.list_price, 0)) <= 1 AS discounted,
          MIN(price.effective_price) AS lowest, SUM(cost_at_effective_price_default) AS default_cost
        FROM {EXPORT} GROUP BY sku.id ORDER BY sku.id
        """,
        lambda data: [
            (
                name,
                True,
                min(exact(row["price"]["effective_price"]) for row in rows),
                sum(exact(row["cost_at_effective_price_default"]) for row in rows),
            )
            for name, rows in sorted(grouped(data.gcp, lambda row: row["sku"]["id"]).items())
        ],
    ),
    Case(
        "savings by the consumption model",
        f"""
        SELECT IFNULL(consumption_model.description, 'Default') AS model,
          SUM(cost_at_list - cost) AS negotiated,
          -SUM((SELECT IFNULL(SUM(c.amount), 0) FROM UNNEST(credits) c
            WHERE c.type IN UNNEST(['COMMITTED_USE_DISCOUNT', 'SUSTAINED_USE_DISCOUNT']))) AS committed
        FROM {EXPORT} GROUP BY model ORDER BY model
        """,
        lambda data: [
            (
                name,
                math.fsum(row["cost_at_list"] - row["cost"] for row in rows),
                -math.fsum(credit(row, "COMMITTED_USE_DISCOUNT", "SUSTAINED_USE_DISCOUNT") for row in rows),
            )
            for name, rows in sorted(grouped(data.gcp, lambda row: row["consumption_model"]["description"]).items())
        ],
    ),
    Case(
        "days of use of each project",
        f"""
        SELECT project.id, MIN(DATE(usage_start_time)) AS first, MAX(DATE(usage_start_time)) AS last,
          DATE_DIFF(MAX(DATE(usage_start_time)), MIN(DATE(usage_start_time)), DAY) + 1 AS days
        FROM {EXPORT} GROUP BY id ORDER BY id
        """,
        _first_and_last,
    ),
    Case(
        "resources that are idle at the end",
        f"""
        SELECT COUNT(*) AS idle FROM (
          SELECT resource.name, MAX(usage_end_time) AS last FROM {EXPORT} GROUP BY resource.name
          HAVING last < TIMESTAMP('2026-05-01')
        )
        """,
        lambda data: [
            (
                sum(
                    max(at(row["usage_end_time"]) for row in rows) < at("2026-05-01T00:00:00Z")
                    for rows in grouped(data.gcp, lambda row: row["resource"]["name"]).values()
                ),
            )
        ],
    ),
    Case(
        "services that a project uses, as one text",
        f"""
        SELECT project.id, COUNT(DISTINCT service.id) AS n,
          STRING_AGG(DISTINCT service.description, ', ' ORDER BY service.description) AS services
        FROM {EXPORT} WHERE project.id LIKE '%-dev' OR project.id IN ('web-app-staging')
        GROUP BY project.id ORDER BY project.id
        """,
        lambda data: [
            (name, len({service(row) for row in rows}), ", ".join(sorted({service(row) for row in rows})))
            for name, rows in sorted(grouped(data.gcp, project).items())
            if name.endswith("-dev") or name == "web-app-staging"
        ],
    ),
    Case(
        "duplicates of a line",
        f"""
        SELECT resource.name, usage_start_time, sku.id, COUNT(*) AS n FROM {EXPORT}
        GROUP BY 1, 2, 3 HAVING COUNT(*) > 1
        UNION ALL SELECT 'none', NULL, NULL, 0
        """,
        lambda _: [("none", None, None, 0)],
    ),
    Case(
        "every column but the nested ones",
        f"""
        SELECT * EXCEPT (service, sku, project, labels, system_labels, location, resource, tags, price, usage, credits,
          invoice, adjustment_info, subscription, consumption_model, usage_start_time, usage_end_time, export_time,
          cost_at_effective_price_default, cost_at_list_consumption_model)
          REPLACE (ROUND(cost, 1) AS cost)
        FROM {EXPORT} ORDER BY resource.name LIMIT 3
        """,
        lambda data: [
            (
                *(row["billing_account_id"], round(cost(row), 1), row["currency"], row["currency_conversion_rate"]),
                *(row["cost_type"], row["cost_at_list"], row["transaction_type"], row["seller_name"]),
            )
            for row in sorted(data.gcp, key=lambda row: row["resource"]["name"])[:3]
        ],
    ),
]
TABLES: list[Case] = [
    Case(
        "shards by a wildcard",
        "SELECT _TABLE_SUFFIX AS month, COUNT(*) AS n FROM `usage_*` GROUP BY month ORDER BY month",
        lambda data: by_key({name: len(rows) for name, rows in grouped(data.gcp, month).items()}),
    ),
    Case(
        "shards between two suffixes",
        """
        SELECT SUM(cost) AS cost FROM `gac-prod-471220.cloud_billing.usage_2026*`
        WHERE _TABLE_SUFFIX BETWEEN '04' AND '05'
        """,
        lambda data: [(math.fsum(cost(row) for row in data.gcp if month(row) != "202603"),)],
    ),
    Case(
        "shards put together",
        """
        SELECT '03' AS m, COUNT(*) AS n, SUM(cost) AS cost FROM usage_202603
        UNION ALL SELECT '04', COUNT(*), SUM(cost) FROM usage_202604
        UNION ALL SELECT '05', COUNT(*), SUM(cost) FROM cloud_billing.usage_202605
        ORDER BY m
        """,
        lambda data: [
            (name[4:], len(rows), math.fsum(map(cost, rows))) for name, rows in sorted(grouped(data.gcp, month).items())
        ],
    ),
    Case(
        "tables of the dataset",
        "SELECT table_name FROM cloud_billing.INFORMATION_SCHEMA.TABLES WHERE table_name LIKE 'usage%' ORDER BY 1",
        lambda _: [(f"usage_{name}",) for name in MONTHS],
    ),
    Case(
        "columns of a table",
        """
        SELECT column_name, data_type FROM `gac-prod-471220`.cloud_billing.INFORMATION_SCHEMA.COLUMNS
        WHERE table_name = 'budgets' ORDER BY ordinal_position
        """,
        lambda _: [
            ("service_name", "STRING"),
            ("monthly", "NUMERIC"),
            ("owners", "ARRAY<STRING>"),
        ],
    ),
    Case(
        "tables by __TABLES__",
        "SELECT table_id, dataset_id FROM cloud_billing.__TABLES__ WHERE STARTS_WITH(table_id, 'usage_') ORDER BY 1",
        lambda _: [(f"usage_{name}", "cloud_billing") for name in MONTHS],
    ),
    Case(
        "rows before a day",
        f"SELECT COUNT(*) FROM {EXPORT} WHERE usage_start_time < TIMESTAMP '2026-04-01' AND export_time IS NOT NULL",
        _matching("before", lambda row: day(row) < date(2026, 4, 1)),
    ),
    Case(
        "rows that begin before midnight and end after it",
        f"SELECT COUNT(*) FROM {EXPORT} WHERE DATE(usage_start_time) != DATE(usage_end_time)",
        _matching("over", lambda row: day(row) != at(row["usage_end_time"]).date()),
    ),
    Case(
        "rows of the regular kind, in US dollars or euro, of the great zones",
        f"""
        SELECT COUNT(*) FROM {EXPORT}
        WHERE cost_type = 'regular' AND currency IN ('USD', 'EUR')
          AND NOT REGEXP_CONTAINS(location.zone, r'-[bc]$') AND location.country IS NOT NULL
        """,
        _matching(
            "zones",
            lambda row: (
                row["cost_type"] == "regular"
                and row["currency"] in ("USD", "EUR")
                and row["location"]["zone"][-2:] not in ("-b", "-c")
                and row["location"]["country"] is not None
            ),
        ),
    ),
    Case(
        "cost of a machine's cores",
        f"""
        SELECT SAFE_CAST(s.value AS INT64) AS cores, SUM(cost) / SAFE_CAST(s.value AS INT64) AS per_core
        FROM {EXPORT}, UNNEST(system_labels) AS s
        WHERE s.key = 'compute.googleapis.com/cores'
        GROUP BY s.value ORDER BY cores
        """,
        lambda data: [
            (cores, amount / cores)
            for cores, amount in by_key(sums(data.gcp, lambda row: int(row["system_labels"][0]["value"]), cost))
        ],
    ),
]
INGESTION: list[Case] = [
    Case(
        "rows of the last days' partitions",
        """
        SELECT SUM(n) AS n FROM ingested
        WHERE _PARTITIONTIME >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 3 DAY)
          AND _PARTITIONTIME BETWEEN TIMESTAMP('2020-01-01') AND CURRENT_TIMESTAMP()
        """,
        lambda _: [(3,)],
    ),
    Case(
        "partitions by their day",
        """
        SELECT COUNT(DISTINCT _PARTITIONDATE) AS days, LOGICAL_AND(DATE(_PARTITIONTIME) = _PARTITIONDATE) AS same,
          LOGICAL_AND(TIMESTAMP_TRUNC(_PARTITIONTIME, DAY) = _PARTITIONTIME) AS whole
        FROM ingested WHERE _PARTITIONDATE > '2020-01-01'
        """,
        lambda _: [(1, True, True)],
    ),
    Case(
        "the star leaves the partition out",
        "SELECT *, DATE(i._PARTITIONTIME) > DATE '2020-01-01' AS late FROM cloud_billing.ingested AS i ORDER BY n",
        lambda _: [(1, True), (2, True)],
    ),
]
CASES: list[Case] = [*ALLOCATION, *TABLES, *INGESTION]
