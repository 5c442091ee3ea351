"""Trends, anomalies, rankings and shares on the billing export."""

import math
import statistics
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from tests.warehouse.corpus.cases import (
    Case,
    Data,
    at,
    by_key,
    by_value,
    cost,
    day,
    grouped,
    month,
    net,
    pacific_day,
    project,
    service,
    sums,
)

EXPORT = "gcp_billing_export_resource_v1_0177BB_554433_X9Y8Z7"
MONTHS = ("202603", "202604", "202605")


def daily(data: Data) -> list[tuple[date, float]]:
    return sorted(sums(data.gcp, day, cost).items())


def _month_over_month(data: Data) -> list[tuple[Any, ...]]:
    found = sums(data.gcp, lambda row: (service(row), month(row)), net)
    rows = []
    for name in sorted({service(row) for row in data.gcp}):
        for before, now in pairwise((None, *MONTHS)):
            amount, earlier = found[name, str(now)], found[name, before] if before else None
            rows.append((name, now, amount, earlier, None if earlier is None else (amount - earlier) / earlier))
    return rows


def _running(data: Data) -> list[tuple[Any, ...]]:
    rows, total = [], 0.0
    for when, amount in daily(data):
        total += amount
        rows.append((when, amount, total))
    return rows


def _top_skus(data: Data) -> list[tuple[Any, ...]]:
    found = grouped(data.gcp, service)
    rows = []
    for name in sorted(found):
        best = by_value(sums(found[name], lambda row: row["sku"]["description"], cost))[:2]
        rows += [(name, sku, amount, place) for place, (sku, amount) in enumerate(best, 1)]
    return rows


def _month_pivot(data: Data) -> list[tuple[Any, ...]]:
    found = sums(data.gcp, lambda row: (service(row), month(row)), cost)
    return [(name, *(found.get((name, m)) for m in MONTHS)) for name in sorted({service(row) for row in data.gcp})]


def _series(data: Data) -> list[tuple[Any, ...]]:
    rows = [row for row in data.gcp if service(row) == "Pub/Sub"]
    found = sums(rows, day, cost)
    days = (date(2026, 3, 1) + timedelta(days=n) for n in range(31))
    return [(when, found.get(when, 0.0)) for when in days]


def _anomalies(data: Data) -> list[tuple[Any, ...]]:
    series, rows = daily(data), []
    for place, (when, amount) in enumerate(series):
        before = [value for _, value in series[max(0, place - 7) : place]]
        if len(before) == 7:
            mean, spread = statistics.fmean(before), statistics.stdev(before)
            if abs((amount - mean) / spread) > 2:
                rows.append((when, amount, mean, spread, (amount - mean) / spread))
    return rows


def _moving(data: Data) -> list[tuple[Any, ...]]:
    series = daily(data)
    return [
        (when, statistics.fmean(value for _, value in series[max(0, place - 6) : place + 1]))
        for place, (when, _) in enumerate(series)
    ]


def _shares(data: Data) -> list[tuple[Any, ...]]:
    found, total = by_value(sums(data.gcp, service, cost)), math.fsum(map(cost, data.gcp))
    rows, running = [], 0.0
    for name, amount in found:
        running += amount
        rows.append((name, round(100 * amount / total, 2), round(100 * running / total, 2)))
    return rows


def _rollup(data: Data) -> list[tuple[Any, ...]]:
    rows: dict[Any, float] = dict(sums(data.gcp, lambda row: (month(row), row["cost_type"]), cost))
    rows |= {(name, None): amount for name, amount in sums(data.gcp, month, cost).items()}
    rows |= {(None, None): math.fsum(map(cost, data.gcp))}
    return sorted(((*key, amount) for key, amount in rows.items()), key=lambda r: (r[0] or "", r[1] or ""))


def _weekday(data: Data) -> list[tuple[Any, ...]]:
    found = sums(data.gcp, lambda row: (day(row).isoweekday() % 7 + 1, day(row).strftime("%A")), cost)
    return by_key(found)


def _weeks(data: Data) -> list[tuple[Any, ...]]:
    return by_key(sums(data.gcp, lambda row: day(row) - timedelta(days=day(row).isoweekday() % 7), cost))


def _top_arrays(data: Data) -> list[tuple[Any, ...]]:
    rows = []
    for name, members in sorted(grouped(data.gcp, service).items()):
        best = sorted(members, key=cost, reverse=True)[:3]
        rows.append((name, [{"id": project(row), "cost": cost(row)} for row in best]))
    return rows


def _percentiles(data: Data) -> list[tuple[Any, ...]]:
    rows = []
    for name, members in sorted(grouped(data.gcp, service).items()):
        values = sorted(map(cost, members))
        place = 0.9 * (len(values) - 1)
        low = math.floor(place)
        rows.append((name, values[low] + (place - low) * (values[min(low + 1, len(values) - 1)] - values[low])))
    return rows


def _concentration(data: Data) -> list[tuple[Any, ...]]:
    found = [amount for _, amount in by_value(sums(data.gcp, lambda row: row["resource"]["name"], cost))]
    return [(len(found), math.fsum(found[:10]) / math.fsum(found))]


TRENDS: list[Case] = [
    Case(
        "month over month by service",
        f"""
        WITH monthly AS (
          SELECT service.description AS service, invoice.month AS month,
            SUM(cost) + SUM(IFNULL((SELECT SUM(c.amount) FROM UNNEST(credits) AS c), 0)) AS net_cost
          FROM {EXPORT}
          GROUP BY service, month
        )
        SELECT service, month, net_cost,
          LAG(net_cost) OVER (PARTITION BY service ORDER BY month) AS previous,
          SAFE_DIVIDE(net_cost - LAG(net_cost) OVER (PARTITION BY service ORDER BY month),
            LAG(net_cost) OVER (PARTITION BY service ORDER BY month)) AS change
        FROM monthly
        ORDER BY service, month
        """,
        _month_over_month,
    ),
    Case(
        "running total by day",
        f"""
        SELECT DATE(usage_start_time) AS day, SUM(cost) AS cost,
          SUM(SUM(cost)) OVER (ORDER BY DATE(usage_start_time) ROWS UNBOUNDED PRECEDING) AS running
        FROM {EXPORT} GROUP BY day ORDER BY day
        """,
        _running,
    ),
    Case(
        "running total within a month",
        f"""
        WITH d AS (SELECT DATE(usage_start_time) AS day, SUM(cost) AS cost FROM {EXPORT} GROUP BY 1)
        SELECT day, SUM(cost) OVER (PARTITION BY DATE_TRUNC(day, MONTH) ORDER BY day) AS month_to_date
        FROM d WHERE day >= '2026-05-01' ORDER BY day
        """,
        lambda data: [
            (when, math.fsum(v for d, v in daily(data) if date(2026, 5, 1) <= d <= when))
            for when, _ in daily(data)
            if when >= date(2026, 5, 1)
        ],
    ),
    Case(
        "daily series without gaps",
        f"""
        WITH days AS (
          SELECT day FROM UNNEST(GENERATE_DATE_ARRAY(DATE '2026-03-01', DATE '2026-03-31', INTERVAL 1 DAY)) AS day
        ), spent AS (
          SELECT DATE(usage_start_time) AS day, SUM(cost) AS cost
          FROM {EXPORT} WHERE service.description = 'Pub/Sub' GROUP BY 1
        )
        SELECT days.day, IFNULL(spent.cost, 0) AS cost
        FROM days LEFT JOIN spent ON spent.day = days.day
        ORDER BY days.day
        """,
        _series,
    ),
    Case(
        "the same with USING",
        f"""
        SELECT day, COALESCE(cost, 0) AS cost
        FROM UNNEST(GENERATE_DATE_ARRAY('2026-03-01', '2026-03-31')) AS day
        LEFT JOIN (
          SELECT DATE(usage_start_time) AS day, SUM(cost) AS cost
          FROM {EXPORT} WHERE service.description = 'Pub/Sub' GROUP BY day
        ) USING (day)
        ORDER BY day
        """,
        _series,
    ),
    Case(
        "seven-day moving average",
        f"""
        SELECT day, AVG(cost) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS average
        FROM (SELECT DATE(usage_start_time) AS day, SUM(cost) AS cost FROM {EXPORT} GROUP BY day)
        ORDER BY day
        """,
        _moving,
    ),
    Case(
        "anomalies against the week before",
        f"""
        WITH daily AS (
          SELECT DATE(usage_start_time) AS day, SUM(cost) AS cost FROM {EXPORT} GROUP BY day
        ), measured AS (
          SELECT day, cost, AVG(cost) OVER w AS mean, STDDEV(cost) OVER w AS spread, COUNT(*) OVER w AS n
          FROM daily
          WINDOW w AS (ORDER BY day ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING)
        )
        SELECT day, cost, mean, spread, (cost - mean) / spread AS z
        FROM measured
        WHERE n = 7 AND ABS(SAFE_DIVIDE(cost - mean, spread)) > 2
        ORDER BY day
        """,
        _anomalies,
    ),
    Case(
        "costs by Pacific day and month",
        f"""
        SELECT FORMAT_DATE('%Y%m', DATE(usage_start_time, 'America/Los_Angeles')) AS month, SUM(cost) AS cost
        FROM {EXPORT} GROUP BY month ORDER BY month
        """,
        lambda data: by_key(sums(data.gcp, lambda row: pacific_day(row).strftime("%Y%m"), cost)),
    ),
    Case(
        "costs by Pacific month as an instant",
        f"""
        SELECT DATE(TIMESTAMP_TRUNC(usage_start_time, MONTH, 'America/Los_Angeles'), 'America/Los_Angeles') AS month,
          COUNT(*) AS n
        FROM {EXPORT} GROUP BY 1 ORDER BY 1
        """,
        lambda data: by_key({k: len(v) for k, v in grouped(data.gcp, lambda r: pacific_day(r).replace(day=1)).items()}),
    ),
    Case(
        "costs by day of the week",
        f"""
        SELECT EXTRACT(DAYOFWEEK FROM DATE(usage_start_time)) AS number,
          FORMAT_DATE('%A', DATE(usage_start_time)) AS name, SUM(cost) AS cost
        FROM {EXPORT} GROUP BY number, name ORDER BY number
        """,
        _weekday,
    ),
    Case(
        "costs by week from Sunday",
        f"SELECT DATE_TRUNC(DATE(usage_start_time), WEEK) AS week, SUM(cost) FROM {EXPORT} GROUP BY week ORDER BY week",
        _weeks,
    ),
    Case(
        "costs by ISO week",
        f"SELECT EXTRACT(ISOWEEK FROM usage_start_time) AS week, SUM(cost) FROM {EXPORT} GROUP BY 1 ORDER BY 1",
        lambda data: by_key(sums(data.gcp, lambda row: day(row).isocalendar().week, cost)),
    ),
    Case(
        "costs by hour of the day",
        f"SELECT EXTRACT(HOUR FROM usage_start_time) AS hour, SUM(cost) FROM {EXPORT} GROUP BY hour ORDER BY hour",
        lambda data: by_key(sums(data.gcp, lambda row: at(row["usage_start_time"]).hour, cost)),
    ),
    Case(
        "linear forecast of the month",
        f"""
        WITH spent AS (
          SELECT SUM(cost) AS cost, MAX(DATE(usage_start_time)) AS last FROM {EXPORT}
          WHERE DATE(usage_start_time) BETWEEN DATE '2026-05-01' AND DATE '2026-05-10'
        )
        SELECT cost / 10 * EXTRACT(DAY FROM LAST_DAY(last)) AS forecast FROM spent
        """,
        lambda data: [(math.fsum(v for d, v in daily(data) if date(2026, 5, 1) <= d <= date(2026, 5, 10)) * 3.1,)],
    ),
    Case(
        "delay of the export in minutes",
        f"""
        SELECT invoice.month, MAX(TIMESTAMP_DIFF(export_time, usage_end_time, MINUTE)) AS longest,
          AVG(TIMESTAMP_DIFF(export_time, usage_end_time, MINUTE)) AS average
        FROM {EXPORT} GROUP BY month ORDER BY month
        """,
        lambda data: [
            (name, max(delays), statistics.fmean(delays))
            for name, rows in sorted(grouped(data.gcp, month).items())
            for delays in [[int((at(r["export_time"]) - at(r["usage_end_time"])).total_seconds() / 60) for r in rows]]
        ],
    ),
]
SHARES: list[Case] = [
    Case(
        "two dearest SKUs of each service",
        f"""
        SELECT service.description AS service, sku.description AS sku, SUM(cost) AS cost,
          ROW_NUMBER() OVER (PARTITION BY service.description ORDER BY SUM(cost) DESC) AS place
        FROM {EXPORT}
        GROUP BY service, sku
        QUALIFY place <= 2
        ORDER BY service, place
        """,
        _top_skus,
    ),
    Case(
        "share and cumulative share",
        f"""
        WITH s AS (SELECT service.description AS service, SUM(cost) AS cost FROM {EXPORT} GROUP BY 1)
        SELECT service, ROUND(100 * cost / SUM(cost) OVER (), 2) AS share,
          ROUND(100 * SUM(cost) OVER (ORDER BY cost DESC) / SUM(cost) OVER (), 2) AS cumulative
        FROM s ORDER BY cost DESC
        """,
        _shares,
    ),
    Case(
        "months as columns with names",
        f"""
        SELECT service, march, april + may AS later FROM (
          SELECT service.description AS service, invoice.month AS month, cost FROM {EXPORT}
        )
        PIVOT(SUM(cost) FOR month IN ('202603' AS march, '202604' AS april, '202605' AS may))
        ORDER BY service
        """,
        lambda data: [(name, a, b + c) for name, a, b, c in _month_pivot(data)],
    ),
    Case(
        "months as columns with CASE and IF",
        f"""
        SELECT service.description,
          SUM(CASE WHEN invoice.month = '202603' THEN cost END) AS march,
          SUM(IF(invoice.month = '202604', cost, NULL)) AS april,
          SUM(IF(invoice.month = '202605', cost, NULL)) AS may
        FROM {EXPORT} GROUP BY service.description ORDER BY 1
        """,
        _month_pivot,
    ),
    Case(
        "total, months and cost types with ROLLUP",
        f"""
        SELECT invoice.month AS month, cost_type, SUM(cost) AS cost
        FROM {EXPORT} GROUP BY ROLLUP(month, cost_type) ORDER BY month, cost_type
        """,
        _rollup,
    ),
    Case(
        "three dearest lines of each service as an array",
        f"""
        SELECT service.description AS service, ARRAY_AGG(STRUCT(project.id, cost) ORDER BY cost DESC LIMIT 3) AS top
        FROM {EXPORT} GROUP BY service ORDER BY service
        """,
        _top_arrays,
    ),
    Case(
        "the dearest line of each service with its columns",
        f"""
        SELECT service, top.id, top.cost FROM (
          SELECT service.description AS service,
            ARRAY_AGG(STRUCT(project.id AS id, cost AS cost) ORDER BY cost DESC LIMIT 1)[OFFSET(0)] AS top
          FROM {EXPORT} GROUP BY 1
        ) ORDER BY service
        """,
        lambda data: [(name, top[0]["id"], top[0]["cost"]) for name, top in _top_arrays(data)],
    ),
    Case(
        "rows of the dearest project of each month",
        f"""
        WITH p AS (SELECT invoice.month AS m, project.id AS id, SUM(cost) AS cost FROM {EXPORT} GROUP BY 1, 2)
        SELECT m, id, cost FROM p AS outside
        WHERE cost = (SELECT MAX(cost) FROM p WHERE p.m = outside.m)
        ORDER BY m
        """,
        lambda data: [
            (name, *by_value(sums(rows, project, cost))[0]) for name, rows in sorted(grouped(data.gcp, month).items())
        ],
    ),
    Case(
        "90th percentile of line cost",
        f"""
        SELECT DISTINCT service.description AS service,
          PERCENTILE_CONT(cost, 0.9) OVER (PARTITION BY service.description) AS p90
        FROM {EXPORT} ORDER BY service
        """,
        _percentiles,
    ),
    Case(
        "share of the ten dearest resources",
        f"""
        WITH r AS (SELECT resource.name AS name, SUM(cost) AS cost FROM {EXPORT} GROUP BY name),
        ranked AS (SELECT cost, RANK() OVER (ORDER BY cost DESC) AS place FROM r)
        SELECT COUNT(*) AS n, SUM(IF(place <= 10, cost, 0)) / SUM(cost) AS share FROM ranked
        """,
        _concentration,
    ),
    Case(
        "buckets of cost",
        f"""
        SELECT CASE WHEN cost < 100 THEN 'small' WHEN cost < 1000 THEN 'medium' ELSE 'large' END AS size, COUNT(*) AS n
        FROM {EXPORT} GROUP BY size ORDER BY n DESC
        """,
        lambda data: by_value(
            {
                k: len(v)
                for k, v in grouped(
                    data.gcp, lambda r: "small" if cost(r) < 100 else "medium" if cost(r) < 1000 else "large"
                ).items()
            }
        ),
    ),
    Case(
        "quartiles of projects",
        f"""
        SELECT id, NTILE(2) OVER (ORDER BY cost DESC) AS half
        FROM (SELECT project.id AS id, SUM(cost) AS cost FROM {EXPORT} GROUP BY project.id) ORDER BY half, id
        """,
        lambda data: sorted(
            ((name, 1 + (place > 2)) for place, (name, _) in enumerate(by_value(sums(data.gcp, project, cost)))),
            key=lambda row: (row[1], row[0]),
        ),
    ),
]
CASES: list[Case] = [*TRENDS, *SHARES]
