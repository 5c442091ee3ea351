"""Window functions over aggregates, as reports of costs by month have them, and what an OVER clause may be."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import date
from decimal import Decimal
from typing import Any

D = Decimal
ROWS = "UNNEST([STRUCT('a' AS k, 1 AS v), ('a', 2), ('b', 5), ('c', NULL), ('d', 7)])"
# By k: a 3, b 5, c NULL, d 7.
SUMS = f"FROM {ROWS} GROUP BY k"
EXPORT = (
    "WITH export AS (SELECT STRUCT('202601' AS month) AS invoice, STRUCT('A' AS description) AS service, 10.0 AS cost, DATE '2026-01-30' AS day"
    " UNION ALL SELECT STRUCT('202602'), STRUCT('A'), 20.0, DATE '2026-02-01' UNION ALL SELECT STRUCT('202602'), STRUCT('B'), 5.0, DATE '2026-02-01'"
    " UNION ALL SELECT STRUCT('202603'), STRUCT('A'), 15.0, DATE '2026-03-05')"
)

LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    # navigation over an aggregate
    ("LAG of a SUM", f"SELECT k, LAG(SUM(v)) OVER (ORDER BY k) {SUMS} ORDER BY k", [("a", None), ("b", 3), ("c", 5), ("d", None)]),
    ("LEAD of a COUNT with a default", f"SELECT k, LEAD(COUNT(*), 1, 0) OVER (ORDER BY k) {SUMS} ORDER BY k", [("a", 1), ("b", 1), ("c", 1), ("d", 0)]),
    ("values of a frame of SUMs", f"SELECT k, FIRST_VALUE(SUM(v)) OVER (ORDER BY k) AS f, LAST_VALUE(SUM(v)) OVER (ORDER BY k ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS l, NTH_VALUE(SUM(v), 2) OVER (ORDER BY k) AS n {SUMS} ORDER BY k", [("a", 3, 7, None), ("b", 3, 7, 5), ("c", 3, 7, 5), ("d", 3, 7, 5)]),
    ("values of a frame of SUMs without NULLs", f"SELECT k, FIRST_VALUE(SUM(v) IGNORE NULLS) OVER (ORDER BY k DESC) AS f, LAST_VALUE(SUM(v) IGNORE NULLS) OVER (ORDER BY k) AS l, NTH_VALUE(SUM(v), 2 IGNORE NULLS) OVER (ORDER BY k) AS n, LAST_VALUE(SUM(v) RESPECT NULLS) OVER (ORDER BY k) AS r {SUMS} ORDER BY k", [("a", 7, 3, None, 3), ("b", 7, 5, 5, 5), ("c", 7, 5, 5, None), ("d", 7, 7, 5, 7)]),
    ("LAG of other aggregates", "SELECT k, LAG(MIN(v)) OVER w AS a, LAG(AVG(v)) OVER w AS b, LAG(CAST(SUM(v) AS NUMERIC)) OVER w AS c, LAG(COUNTIF(v > 1)) OVER w AS d, LAG(ANY_VALUE(k HAVING MAX v)) OVER w AS e, LAG(STRING_AGG(CAST(v AS STRING), '+' ORDER BY v)) OVER w AS f, LAG(COUNT(DISTINCT v)) OVER w AS g FROM UNNEST([STRUCT('a' AS k, 1.5 AS v), ('a', 2), ('b', 0.5)]) GROUP BY k WINDOW w AS (ORDER BY k) ORDER BY k", [("a", None, None, None, None, None, None, None), ("b", 1.5, 1.75, D("3.5"), 2, "a", "1.5+2", 2)]),
    ("a field of the STRUCT that was before", f"SELECT k, LAG(STRUCT(k AS x, SUM(v) AS y)) OVER (ORDER BY k).y AS y {SUMS} ORDER BY k LIMIT 2", [("a", None), ("b", 3)]),
    # percentiles over an aggregate
    ("percentiles of SUMs", f"SELECT k, PERCENTILE_CONT(SUM(v), 0.25) OVER () AS c, PERCENTILE_DISC(SUM(v), 0.25) OVER () AS d, PERCENTILE_CONT(SUM(v), 0.5 IGNORE NULLS) OVER () AS i, PERCENTILE_CONT(CAST(SUM(v) AS NUMERIC), 0.5) OVER () AS n {SUMS} ORDER BY k LIMIT 1", [("a", 4.0, 3, 5.0, D(5))]),
    ("QUALIFY by the median of SUMs", f"SELECT k, SUM(v) AS s {SUMS} QUALIFY s > PERCENTILE_CONT(SUM(v), 0.5) OVER () ORDER BY k", [("d", 7)]),
    # wherever they stand
    ("LAG of a SUM in QUALIFY", f"SELECT k {SUMS} QUALIFY SUM(v) > LAG(SUM(v)) OVER (ORDER BY k)", [("b",)]),
    ("growth in SAFE_DIVIDE by a named window", f"SELECT k, SAFE_DIVIDE(SUM(v) - LAG(SUM(v)) OVER w, LAG(SUM(v)) OVER w) AS growth, SUM(v) - LAG(SUM(v)) OVER w AS more {SUMS} WINDOW w AS (ORDER BY k) ORDER BY k", [("a", None, None), ("b", 2 / 3, 2), ("c", None, None), ("d", None, None)]),
    ("LAG of a SUM in conditions", f"SELECT k, CASE WHEN LAG(SUM(v)) OVER (ORDER BY k) IS NULL THEN 'first' WHEN SUM(v) > LAG(SUM(v)) OVER (ORDER BY k) THEN 'up' ELSE 'down' END AS c, COALESCE(LAG(SUM(v)) OVER (ORDER BY k), 0) AS z, FORMAT('%d', LAG(SUM(v)) OVER (ORDER BY k)) AS f {SUMS} ORDER BY k LIMIT 2", [("a", "first", 0, None), ("b", "up", 3, "3")]),
    ("LAG of a SUM in ORDER BY", f"SELECT k {SUMS} ORDER BY LAG(SUM(v)) OVER (ORDER BY k) DESC, k", [("c",), ("b",), ("a",), ("d",)]),
    ("LAG of a SUM in an ARRAY of a query", "SELECT ARRAY(SELECT LAG(SUM(v), 1, 0) OVER (ORDER BY k) FROM UNNEST(a) GROUP BY k ORDER BY k) AS r FROM (SELECT [STRUCT('a' AS k, 1 AS v), ('a', 2), ('b', 5)] AS a)", [([0, 3],)]),
    ("LAG of a SUM of a subquery of an array", "SELECT k, LAG(SUM((SELECT SUM(x) FROM UNNEST(a) AS x))) OVER (ORDER BY k) AS l FROM (SELECT 'a' AS k, [1, 2] AS a UNION ALL SELECT 'b', [4]) GROUP BY k ORDER BY k", [("a", None), ("b", 3)]),
    # reports
    ("month over month", f"{EXPORT} SELECT invoice.month, SUM(cost) AS cost, SUM(cost) - LAG(SUM(cost)) OVER (ORDER BY invoice.month) AS more, ROUND(100 * (SUM(export.cost) / LAG(SUM(export.cost)) OVER (ORDER BY invoice.month) - 1), 1) AS percent FROM export GROUP BY 1 ORDER BY 1", [("202601", 10.0, None, None), ("202602", 25.0, 15.0, 150.0), ("202603", 15.0, -10.0, -40.0)]),
    ("a service's last month, its running total, share and rank", f"{EXPORT} SELECT invoice.month AS m, service.description AS s, LAG(SUM(cost)) OVER (PARTITION BY service.description ORDER BY invoice.month) AS before, SUM(SUM(cost)) OVER (ORDER BY invoice.month, service.description) AS total, SUM(cost) / SUM(SUM(cost)) OVER (PARTITION BY invoice.month) AS share, RANK() OVER (PARTITION BY invoice.month ORDER BY SUM(cost) DESC) AS r FROM export GROUP BY m, s ORDER BY m, s", [("202601", "A", None, 10.0, 1.0, 1), ("202602", "A", 10.0, 30.0, 0.8, 1), ("202602", "B", None, 35.0, 0.2, 2), ("202603", "A", 20.0, 50.0, 1.0, 1)]),
    ("a month's first day, and the year to date", f"{EXPORT} SELECT DATE_TRUNC(day, MONTH) AS m, LAG(SUM(cost)) OVER (ORDER BY DATE_TRUNC(day, MONTH)) AS before, SUM(SUM(cost)) OVER (PARTITION BY EXTRACT(YEAR FROM DATE_TRUNC(day, MONTH)) ORDER BY DATE_TRUNC(day, MONTH)) AS ytd FROM export GROUP BY m ORDER BY m", [(date(2026, 1, 1), None, 10.0), (date(2026, 2, 1), 10.0, 35.0), (date(2026, 3, 1), 25.0, 50.0)]),
    ("a moving average of days, in a CTE and joined", f"{EXPORT}, days AS (SELECT day, SUM(cost) AS cost, AVG(SUM(cost)) OVER (ORDER BY UNIX_DATE(day) RANGE BETWEEN 2 PRECEDING AND CURRENT ROW) AS average, LAG(SUM(cost)) OVER (ORDER BY day) AS before FROM export GROUP BY day) SELECT d.day, d.average, d.before, y.cost FROM days AS d LEFT JOIN days AS y ON y.day = DATE_SUB(d.day, INTERVAL 2 DAY) ORDER BY 1", [(date(2026, 1, 30), 10.0, None, None), (date(2026, 2, 1), 17.5, 10.0, 10.0), (date(2026, 3, 5), 15.0, 25.0, None)]),
    ("windows beside ROLLUP", "SELECT k, SUM(v) AS s, LAG(SUM(v)) OVER (ORDER BY k) AS l, RANK() OVER (PARTITION BY GROUPING(k) ORDER BY SUM(v) DESC) AS r FROM UNNEST([STRUCT('a' AS k, 1 AS v), ('a', 2), ('b', 5)]) GROUP BY ROLLUP(k) ORDER BY k", [(None, 8, None, 1), ("a", 3, 8, 2), ("b", 5, 3, 1)]),
    # DISTINCT inside of what has a window
    ("a running total of COUNT DISTINCT", f"SELECT k, SUM(COUNT(DISTINCT v)) OVER (ORDER BY k) AS n {SUMS} ORDER BY k", [("a", 2), ("b", 3), ("c", 3), ("d", 4)]),
    ("a running total of a subquery's COUNT DISTINCT", "SELECT x, SUM((SELECT COUNT(DISTINCT y) FROM UNNEST([x, x]) AS y)) OVER (ORDER BY x) AS n FROM UNNEST([1, 2]) AS x ORDER BY x", [(1, 1), (2, 2)]),
    ("APPROX_COUNT_DISTINCT over an ordered window", "SELECT x, APPROX_COUNT_DISTINCT(x) OVER (ORDER BY x) AS n FROM UNNEST([1, 2, 2]) AS x ORDER BY x", [(1, 1), (2, 2), (2, 2)]),
    # the default of LAG and LEAD
    ("LAG takes the type that its default has in common", "SELECT x, LAG(x, 1, 0.5) OVER w AS f, LEAD(CAST(x AS NUMERIC), 1, 1.5) OVER w AS n, LAG(x, 1, NULL) OVER w AS u, LAG(DATE_ADD(DATE '2026-01-01', INTERVAL x DAY), 1, '2020-01-01') OVER w AS d FROM UNNEST([1, 2]) AS x WINDOW w AS (ORDER BY x) ORDER BY x", [(1, 0.5, D(2), None, date(2020, 1, 1)), (2, 1.0, D("1.5"), 1, date(2026, 1, 2))]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("LAG by a column", "SELECT LAG(x, x) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
    ("LAG by NULL", "SELECT LAG(x, NULL) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
    ("LAG without NULLs", "SELECT LAG(x IGNORE NULLS) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
    ("NTH_VALUE of place 0", "SELECT NTH_VALUE(x, 0) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
    ("NTH_VALUE by a column", "SELECT NTH_VALUE(x, x) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
    ("a function of values over a window", "SELECT ABS(x) OVER () FROM UNNEST([1]) AS x"),
    ("a function of an aggregate over a window", "SELECT UPPER(MAX(x)) OVER () FROM UNNEST(['a']) AS x"),
    ("GROUPING over a window", f"SELECT GROUPING(k) OVER () {SUMS}"),
    ("APPROX_QUANTILES over a window", "SELECT APPROX_QUANTILES(x, 2) OVER () FROM UNNEST([1]) AS x"),
    ("APPROX_TOP_COUNT over a window", "SELECT APPROX_TOP_COUNT(x, 2) OVER () FROM UNNEST([1]) AS x"),
    ("ARRAY_CONCAT_AGG over a window", "SELECT ARRAY_CONCAT_AGG([x]) OVER () FROM UNNEST([1]) AS x"),
    ("MAX_BY over a window", "SELECT MAX_BY(x, x) OVER () FROM UNNEST([1]) AS x"),
    ("HLL_COUNT over a window", "SELECT HLL_COUNT.INIT(x) OVER () FROM UNNEST([1]) AS x"),
    ("ANY_VALUE with HAVING over a window", "SELECT ANY_VALUE(x HAVING MAX x) OVER () FROM UNNEST([1]) AS x"),
    ("ARRAY_AGG with ORDER BY over a window", "SELECT ARRAY_AGG(x ORDER BY x) OVER () FROM UNNEST([1]) AS x"),
    ("STRING_AGG with LIMIT over a window", "SELECT STRING_AGG(x LIMIT 1) OVER () FROM UNNEST(['a']) AS x"),
    ("ARRAY_AGG without NULLs over a window", "SELECT ARRAY_AGG(x IGNORE NULLS) OVER () FROM UNNEST([1]) AS x"),
    ("a frame of GROUPS", "SELECT SUM(x) OVER (ORDER BY x GROUPS 1 PRECEDING) FROM UNNEST([1]) AS x"),
    ("a frame with EXCLUDE", "SELECT SUM(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW) FROM UNNEST([1]) AS x"),
    ("a frame by a column", "SELECT SUM(x) OVER (ORDER BY x ROWS x PRECEDING) FROM UNNEST([1]) AS x"),
    ("a frame of half a row", "SELECT SUM(x) OVER (ORDER BY x ROWS 0.5 PRECEDING) FROM UNNEST([1]) AS x"),
    ("a window function of a window function", "SELECT LAG(SUM(x) OVER ()) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
]  # fmt: skip
