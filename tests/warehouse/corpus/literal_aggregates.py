"""Aggregates and window functions on literal rows."""

# ruff: noqa: E501 - one case a line reads better than four

import math
from datetime import date
from decimal import Decimal
from typing import Any

D = Decimal
NAN = math.nan
T = "WITH t AS (SELECT 'a' AS k, 1 AS x, 10 AS y UNION ALL SELECT 'a', 2, 20 UNION ALL SELECT 'b', 2, 20 UNION ALL SELECT 'b', NULL, 30)"
FRUIT = "UNNEST(['apple', 'pear', 'banana', 'pear', NULL]) AS fruit"

LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    # types and NULLs
    ("SUM and AVG keep exact types", "SELECT SUM(x), AVG(x), SUM(CAST(x AS NUMERIC)), AVG(CAST(x AS NUMERIC)), SUM(CAST(x AS FLOAT64)), AVG(CAST(x AS BIGNUMERIC)) FROM UNNEST([1, 2, 2, NULL]) AS x", [(5, 5 / 3, D(5), D("1.666666667"), 5.0, D("1.666666666666666667"))]),
    ("an average of great NUMERICs", "SELECT AVG(x) FROM UNNEST([NUMERIC '12345678901234567890.123456789', NUMERIC '12345678901234567890.123456791']) AS x", [(D("12345678901234567890.12345679"),)]),
    ("aggregates of nothing but NULL", "SELECT SUM(x), AVG(x), MIN(x), MAX(x), COUNT(x), COUNT(*), STDDEV(x), BIT_AND(x), ANY_VALUE(x), COUNTIF(x > 1), LOGICAL_OR(x > 1) FROM (SELECT CAST(NULL AS INT64) AS x)", [(None, None, None, None, 0, 1, None, None, None, 0, None)]),
    ("aggregates of no rows", "SELECT SUM(x), AVG(CAST(x AS NUMERIC)), MIN(x * 1.5), COUNT(DISTINCT x), APPROX_COUNT_DISTINCT(x), CORR(x, x), STRING_AGG('a'), ARRAY_AGG(x) IS NULL, APPROX_QUANTILES(x, 2) IS NULL, MAX_BY(x, x) FROM UNNEST([1]) AS x WHERE x > 1", [(None, None, None, 0, 0, None, None, True, True, None)]),
    ("DISTINCT", "SELECT SUM(DISTINCT x), AVG(DISTINCT x), COUNT(DISTINCT x), AVG(DISTINCT CAST(x AS NUMERIC)), COUNTIF(DISTINCT x > 0), STDDEV_POP(DISTINCT x), MAX(DISTINCT x), BIT_XOR(DISTINCT x) FROM UNNEST([1, 1, 3, NULL]) AS x", [(4, 2.0, 2, D(2), 1, 1.0, 3, 2)]),
    ("COUNT DISTINCT of texts and dates", "SELECT COUNT(DISTINCT a), COUNT(DISTINCT b) FROM (SELECT 'x' AS a, DATE '2026-01-01' AS b UNION ALL SELECT 'X', DATE '2026-01-01' UNION ALL SELECT NULL, NULL)", [(2, 1)]),
    ("NaN and infinity in aggregates", "SELECT SUM(x), AVG(x), MIN(x), MAX(x), STDDEV(x) FROM UNNEST([CAST('nan' AS FLOAT64), 1.0]) AS x", [(NAN,) * 5]),
    ("NaN in MIN over groups", "SELECT k, MIN(x), MAX(x) FROM (SELECT 'a' AS k, CAST('nan' AS FLOAT64) AS x UNION ALL SELECT 'a', 1.0 UNION ALL SELECT 'b', 2.0) GROUP BY k ORDER BY k", [("a", NAN, NAN), ("b", 2.0, 2.0)]),
    ("MIN and MAX of other types", "SELECT MIN(d), MAX(d), MIN(s), MAX(s), MIN(b), MAX(b) FROM (SELECT DATE '2026-01-01' AS d, 'a' AS s, TRUE AS b UNION ALL SELECT DATE '2026-02-01', 'B', FALSE)", [(date(2026, 1, 1), date(2026, 2, 1), "B", "a", False, True)]),
    ("LOGICAL_AND and LOGICAL_OR skip NULLs", "SELECT LOGICAL_AND(x < 3), LOGICAL_OR(x < 3), LOGICAL_AND(x < 9) FROM UNNEST([1, 2, 4, NULL]) AS x", [(False, True, True)]),
    ("BIT_AND, BIT_OR, BIT_XOR", "SELECT BIT_AND(x), BIT_OR(x), BIT_XOR(x), BIT_XOR(DISTINCT x) FROM UNNEST([5678, 1234, 1234]) AS x", [(1026, 5886, 5678, 4860)]),
    # statistics
    ("variance and deviation", "SELECT VAR_POP(x), VAR_SAMP(x), VARIANCE(x), STDDEV_POP(x), STDDEV_SAMP(x), STDDEV(x) FROM UNNEST([10, 14, 18]) AS x", [(32 / 3, 16.0, 16.0, math.sqrt(32 / 3), 4.0, 4.0)]),
    ("variance of one value", "SELECT VAR_POP(x), VAR_SAMP(x), STDDEV_POP(x), STDDEV(x) FROM UNNEST([10, NULL]) AS x", [(0.0, None, 0.0, None)]),
    ("variance of NUMERIC is FLOAT64", "SELECT VAR_POP(x), STDDEV(x) FROM UNNEST([NUMERIC '1', NUMERIC '3']) AS x", [(1.0, math.sqrt(2))]),
    ("CORR", "SELECT CORR(y, x), COVAR_POP(y, x), COVAR_SAMP(y, x) FROM UNNEST([STRUCT(1.0 AS y, 5.0 AS x), (3.0, 9.0), (4.0, 7.0)])", [(0.6546536707079772, 4 / 3, 2.0)]),
    ("CORR skips pairs with a NULL", "SELECT CORR(y, x), COVAR_POP(y, x), COVAR_SAMP(y, x) FROM UNNEST([STRUCT(1.0 AS y, NULL AS x), (9.0, 3.0)])", [(None, 0.0, None)]),
    ("CORR of what does not vary", "SELECT CORR(x, y) FROM (SELECT 1.0 AS x, 2 AS y UNION ALL SELECT 1.0, 3)", [(NAN,)]),
    # approximations
    ("APPROX_QUANTILES by rank", "SELECT APPROX_QUANTILES(x, 2), APPROX_QUANTILES(x, 100)[OFFSET(90)], APPROX_QUANTILES(DISTINCT x, 2), APPROX_QUANTILES(x, 1) FROM UNNEST([1, 1, 1, 4, 5, 6, 7, 8, 9, 10, NULL]) AS x", [([1, 5, 10], 9, [1, 6, 10], [1, 10])]),
    ("APPROX_QUANTILES of texts in groups", "SELECT k, APPROX_QUANTILES(v, 2 IGNORE NULLS)[OFFSET(1)] FROM (SELECT 'a' AS k, 'x' AS v UNION ALL SELECT 'a', 'y' UNION ALL SELECT 'a', 'z' UNION ALL SELECT 'b', 'q') GROUP BY k ORDER BY k", [("a", "y"), ("b", "q")]),
    ("APPROX_TOP_COUNT counts NULL", "SELECT APPROX_TOP_COUNT(x, 1) FROM UNNEST([NULL, 'pear', 'pear', 'pear', 'apple', NULL, NULL, NULL]) AS x", [([{"value": None, "count": 4}],)]),
    ("APPROX_TOP_SUM of NULL weights", "SELECT APPROX_TOP_SUM(x, weight, 2) FROM UNNEST([STRUCT('apple' AS x, NULL AS weight), ('pear', 0), ('pear', NULL)])", [([{"value": "pear", "sum": 0}, {"value": "apple", "sum": None}],)]),
    ("APPROX_TOP_SUM of NUMERIC", "SELECT APPROX_TOP_SUM(k, CAST(y AS NUMERIC), 1) FROM (SELECT 'a' AS k, 1.5 AS y UNION ALL SELECT 'a', 2 UNION ALL SELECT 'b', 3)", [([{"value": "a", "sum": D("3.5")}],)]),
    ("APPROX_COUNT_DISTINCT", f"SELECT APPROX_COUNT_DISTINCT(fruit) FROM {FRUIT}", [(3,)]),
    # HAVING MAX
    ("HAVING MAX and MIN", f"{T} SELECT ANY_VALUE(k HAVING MAX x), MAX(y HAVING MIN x), MIN(k HAVING MAX x), SUM(y HAVING MAX x), COUNT(k HAVING MAX x) FROM t WHERE x IS NOT NULL AND k = 'a'", [("a", 10, "a", 20, 1)]),
    ("HAVING MAX over several rows", f"{T} SELECT SUM(y HAVING MAX x), MAX(k HAVING MAX x), MIN(k HAVING MAX x), COUNT(k HAVING MAX x) FROM t", [(40, "b", "a", 2)]),
    ("HAVING MAX by group", f"{T} SELECT k, ANY_VALUE(x HAVING MIN y) FROM t GROUP BY k ORDER BY k", [("a", 1), ("b", 2)]),
    ("MAX_BY and MIN_BY of a text", f"SELECT MAX_BY(fruit, LENGTH(fruit)), MIN_BY(fruit, LENGTH(fruit)) FROM {FRUIT}", [("banana", "pear")]),
    # texts and arrays
    ("STRING_AGG in all forms", f"SELECT STRING_AGG(fruit), STRING_AGG(fruit, ' & '), STRING_AGG(DISTINCT fruit, ' & ' ORDER BY fruit DESC), STRING_AGG(fruit, ' & ' ORDER BY LENGTH(fruit), fruit), STRING_AGG(fruit, ' & ' LIMIT 2), STRING_AGG(DISTINCT fruit, ' & ' ORDER BY fruit DESC LIMIT 2) FROM {FRUIT}", [("apple,pear,banana,pear", "apple & pear & banana & pear", "pear & banana & apple", "pear & pear & apple & banana", "apple & pear", "pear & banana")]),
    ("STRING_AGG by group", f"{T} SELECT k, STRING_AGG(CAST(x AS STRING), '+' ORDER BY x) AS xs FROM t GROUP BY k ORDER BY k", [("a", "1+2"), ("b", "2")]),
    ("STRING_AGG of bytes", "SELECT STRING_AGG(x ORDER BY x), STRING_AGG(DISTINCT x, b'-' ORDER BY x) FROM UNNEST([b'b', b'a', b'a']) AS x", [(b"a,a,b", b"a-b")]),
    ("ARRAY_AGG in all forms", "SELECT ARRAY_AGG(x), ARRAY_AGG(DISTINCT x ORDER BY x DESC), ARRAY_AGG(x ORDER BY ABS(x), x LIMIT 3) FROM UNNEST([2, 1, -2, 3]) AS x", [([2, 1, -2, 3], [3, 2, 1, -2], [1, -2, 2])]),
    ("ARRAY_AGG leaves NULLs out on demand", "SELECT ARRAY_AGG(x IGNORE NULLS), ARRAY_LENGTH(ARRAY_AGG(x)), ARRAY_LENGTH(ARRAY_AGG(x RESPECT NULLS)), ARRAY_AGG(x IGNORE NULLS LIMIT 1) FROM UNNEST([NULL, 1, -2]) AS x", [([1, -2], 3, 3, [1])]),
    ("the last row of each group", f"{T} SELECT k, ARRAY_AGG(STRUCT(x, y) ORDER BY y DESC LIMIT 1)[OFFSET(0)].y AS y FROM t GROUP BY k ORDER BY k", [("a", 20), ("b", 30)]),
    ("ARRAY_CONCAT_AGG in all forms", "SELECT ARRAY_CONCAT_AGG(x ORDER BY ARRAY_LENGTH(x)), ARRAY_CONCAT_AGG(x ORDER BY ARRAY_LENGTH(x) LIMIT 2) FROM (SELECT [1, 2, 3, 4] AS x UNION ALL SELECT NULL UNION ALL SELECT [5, 6] UNION ALL SELECT [7, 8, 9])", [([5, 6, 7, 8, 9, 1, 2, 3, 4], [5, 6, 7, 8, 9])]),
    # windows
    ("aggregates over windows keep their types", f"{T} SELECT y, SUM(x) OVER w, AVG(CAST(x AS NUMERIC)) OVER w, COUNT(*) OVER w, COUNTIF(x > 1) OVER w, MIN(x * 1.0) OVER w, STRING_AGG(k) OVER w FROM t WHERE k = 'a' WINDOW w AS (ORDER BY y) ORDER BY y", [(10, 1, D(1), 1, 0, 1.0, "a"), (20, 3, D("1.5"), 2, 1, 1.0, "a,a")]),
    ("ARRAY_AGG over a window", "SELECT x, ARRAY_AGG(x) OVER (ORDER BY x ROWS 1 PRECEDING) AS a FROM UNNEST([1, 2, 3]) AS x ORDER BY x", [(1, [1]), (2, [1, 2]), (3, [2, 3])]),
    ("DISTINCT over a window", f"{T} SELECT k, y, COUNT(DISTINCT y) OVER (PARTITION BY k) AS n, SUM(DISTINCT x) OVER () AS s FROM t ORDER BY y, k", [("a", 10, 2, 3), ("a", 20, 2, 3), ("b", 20, 2, 3), ("b", 30, 2, 3)]),
    ("ANY_VALUE and CORR over windows", f"{T} SELECT DISTINCT k, ANY_VALUE(k) OVER (PARTITION BY k) AS v, CORR(x, y) OVER (PARTITION BY k) AS c FROM t ORDER BY k", [("a", "a", 1.0), ("b", "b", None)]),
    ("a window of a window's name", "SELECT x, SUM(x) OVER (w ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS s FROM UNNEST([1, 2, 4]) AS x WINDOW w AS (ORDER BY x) ORDER BY x", [(1, 3), (2, 7), (4, 6)]),
    ("a window of the rest", "SELECT x, AVG(x) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before, MAX(x) OVER (ORDER BY x DESC ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS m FROM UNNEST([1, 2, 3]) AS x ORDER BY x", [(1, None, 1), (2, 1.0, 2), (3, 1.5, 3)]),
    ("a range along numbers", "SELECT x, SUM(x) OVER (ORDER BY x RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS s, COUNT(*) OVER (ORDER BY x DESC RANGE BETWEEN 2 PRECEDING AND CURRENT ROW) AS n FROM UNNEST([1, 2, 4, 4]) AS x ORDER BY x", [(1, 3, 2), (2, 3, 3), (4, 8, 2), (4, 8, 2)]),
    ("a range along FLOAT64", "SELECT x, COUNT(*) OVER (ORDER BY x RANGE BETWEEN 0.5 PRECEDING AND CURRENT ROW) AS n FROM UNNEST([1.0, 1.5, 2.5]) AS x ORDER BY x", [(1.0, 1), (1.5, 2), (2.5, 1)]),
    ("NaN comes first in windows", "SELECT x, ROW_NUMBER() OVER (ORDER BY x) AS n, ROW_NUMBER() OVER (ORDER BY x DESC) AS d FROM UNNEST([1.0, CAST('nan' AS FLOAT64), CAST('-inf' AS FLOAT64), NULL]) AS x ORDER BY n", [(None, 1, 4), (NAN, 2, 3), (-math.inf, 3, 2), (1.0, 4, 1)]),
    ("NaN comes first in ARRAY_AGG", "SELECT ARRAY_AGG(x ORDER BY x), ARRAY_AGG(x ORDER BY x DESC) FROM UNNEST([1.0, CAST('nan' AS FLOAT64), 2.0]) AS x", [([NAN, 1.0, 2.0], [2.0, 1.0, NAN])]),
    ("numbers of rows", "SELECT x, ROW_NUMBER() OVER (PARTITION BY MOD(x, 2) ORDER BY x DESC) AS r, RANK() OVER (ORDER BY MOD(x, 2)) AS k, DENSE_RANK() OVER (ORDER BY MOD(x, 2)) AS d, NTILE(3) OVER (ORDER BY x) AS n FROM UNNEST([1, 2, 3, 4]) AS x ORDER BY x", [(1, 2, 3, 2, 1), (2, 2, 1, 1, 1), (3, 1, 3, 2, 2), (4, 1, 1, 1, 3)]),
    ("PERCENT_RANK and CUME_DIST of one row", "SELECT PERCENT_RANK() OVER (ORDER BY x), CUME_DIST() OVER (ORDER BY x) FROM UNNEST([7]) AS x", [(0.0, 1.0)]),
    ("LAG and LEAD", "SELECT x, LAG(x) OVER w, LEAD(x) OVER w, LAG(x, 2) OVER w, LEAD(x, 1, -1) OVER w, LAG(x, 0) OVER w FROM UNNEST([1, 2, 3]) AS x WINDOW w AS (ORDER BY x) ORDER BY x", [(1, None, 2, None, 2, 1), (2, 1, 3, None, 3, 2), (3, 2, None, 1, -1, 3)]),
    ("values of the frame", "SELECT x, FIRST_VALUE(x) OVER w, LAST_VALUE(x) OVER w, NTH_VALUE(x, 2) OVER w FROM UNNEST([1, 2, 3]) AS x WINDOW w AS (ORDER BY x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) ORDER BY x", [(1, 1, 2, 2), (2, 1, 3, 2), (3, 2, 3, 3)]),
    ("values of the frame without NULLs", "SELECT d, FIRST_VALUE(v IGNORE NULLS) OVER w AS f, LAST_VALUE(v IGNORE NULLS) OVER w AS l, NTH_VALUE(v, 2 IGNORE NULLS) OVER w AS n, FIRST_VALUE(v RESPECT NULLS) OVER w AS r FROM (SELECT 1 AS d, CAST(NULL AS INT64) AS v UNION ALL SELECT 2, 5 UNION ALL SELECT 3, 6) WINDOW w AS (ORDER BY d) ORDER BY d", [(1, None, None, None, None), (2, 5, 5, None, None), (3, 5, 6, 6, None)]),
    ("PERCENTILE_CONT between values", "SELECT DISTINCT PERCENTILE_CONT(x, 0) OVER () AS min, PERCENTILE_CONT(x, 0.01) OVER () AS p1, PERCENTILE_CONT(x, 0.5) OVER () AS median, PERCENTILE_CONT(x, 0.9) OVER () AS p90, PERCENTILE_CONT(x, 1) OVER () AS max FROM UNNEST([0, 3, NULL, 1, 2]) AS x", [(0.0, 0.03, 1.5, 2.7, 3.0)]),
    ("PERCENTILE_DISC takes values", "SELECT DISTINCT PERCENTILE_DISC(x, 0) OVER () AS min, PERCENTILE_DISC(x, 0.5) OVER () AS median, PERCENTILE_DISC(x, 1) OVER () AS max FROM UNNEST(['c', NULL, 'b', 'a']) AS x", [("a", "b", "c")]),
    ("PERCENTILE_CONT of NUMERIC", "SELECT DISTINCT PERCENTILE_CONT(x, 0.25) OVER () FROM UNNEST([NUMERIC '0.1', NUMERIC '0.2']) AS x", [(D("0.125"),)]),
    ("PERCENTILE_CONT of nothing but NULL", "SELECT PERCENTILE_CONT(x, 0.5) OVER (), PERCENTILE_DISC(x, 0.5) OVER () FROM (SELECT CAST(NULL AS FLOAT64) AS x)", [(None, None)]),
    ("a running share", f"{T} SELECT y, SUM(y) AS s, ROUND(100 * SUM(SUM(y)) OVER (ORDER BY y) / SUM(SUM(y)) OVER (), 1) AS share FROM t GROUP BY y ORDER BY y", [(10, 10, 12.5), (20, 40, 62.5), (30, 30, 100.0)]),
    ("an aggregate in QUALIFY and HAVING", f"{T} SELECT k FROM t GROUP BY k HAVING AVG(CAST(y AS NUMERIC)) > 15 QUALIFY AVG(SUM(y)) OVER () < SUM(y) + 1 ORDER BY k", [("b",)]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("SUM beyond INT64", "SELECT SUM(x) FROM UNNEST([9223372036854775807, 1]) AS x"),
    ("SUM beyond NUMERIC", "SELECT SUM(x) FROM UNNEST([NUMERIC '99999999999999999999999999999', NUMERIC '1']) AS x"),
    ("AVG of a date", "SELECT AVG(d) FROM UNNEST([DATE '2026-01-01']) AS d"),
    ("AVG of text", "SELECT AVG(x) FROM UNNEST(['1']) AS x"),
    ("SUM of an array", "SELECT SUM(x) FROM (SELECT [1] AS x)"),
    ("COUNTIF of a number", "SELECT COUNTIF(x) FROM UNNEST([1]) AS x"),
    ("LOGICAL_OR of a number", "SELECT LOGICAL_OR(x) FROM UNNEST([1]) AS x"),
    ("BIT_AND of FLOAT64", "SELECT BIT_AND(x) FROM UNNEST([1.5]) AS x"),
    ("STDDEV of text", "SELECT STDDEV(x) FROM UNNEST(['1']) AS x"),
    ("CORR of text", "SELECT CORR(x, x) FROM UNNEST(['1']) AS x"),
    ("MIN of a struct", "SELECT MIN(STRUCT(x AS a)) FROM UNNEST([1]) AS x"),
    ("STRING_AGG of numbers", "SELECT STRING_AGG(x) FROM UNNEST([1]) AS x"),
    ("STRING_AGG DISTINCT ordered by another", "SELECT STRING_AGG(DISTINCT a ORDER BY b) FROM (SELECT 'x' AS a, 1 AS b)"),
    ("ARRAY_AGG of arrays", "SELECT ARRAY_AGG(x) FROM (SELECT [1] AS x)"),
    ("ARRAY_CONCAT_AGG of numbers", "SELECT ARRAY_CONCAT_AGG(x) FROM UNNEST([1]) AS x"),
    ("SUM with ORDER BY", "SELECT SUM(x ORDER BY x) FROM UNNEST([1]) AS x"),
    ("SUM with LIMIT", "SELECT SUM(x LIMIT 1) FROM UNNEST([1]) AS x"),
    ("APPROX_QUANTILES of a struct", "SELECT APPROX_QUANTILES(STRUCT(x AS a), 2) FROM UNNEST([1]) AS x"),
    ("APPROX_QUANTILES of no parts", "SELECT APPROX_QUANTILES(x, 0) FROM UNNEST([1]) AS x"),
    ("APPROX_TOP_SUM by texts", "SELECT APPROX_TOP_SUM(x, 'a', 1) FROM UNNEST([1]) AS x"),
    ("PERCENTILE_CONT without OVER", "SELECT PERCENTILE_CONT(x, 0.5) FROM UNNEST([1]) AS x"),
    ("PERCENTILE_CONT beyond 1", "SELECT PERCENTILE_CONT(x, 1.5) OVER () FROM UNNEST([1]) AS x"),
    ("PERCENTILE_CONT with an order", "SELECT PERCENTILE_CONT(x, 0.5) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
    ("PERCENTILE_CONT of texts", "SELECT PERCENTILE_CONT(x, 0.5) OVER () FROM UNNEST(['a']) AS x"),
    ("DENSE_RANK without an order", "SELECT DENSE_RANK() OVER () FROM UNNEST([1]) AS x"),
    ("NTILE without an order", "SELECT NTILE(2) OVER () FROM UNNEST([1]) AS x"),
    ("NTILE of zero parts", "SELECT NTILE(0) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
    ("LEAD with a frame", "SELECT LEAD(x) OVER (ORDER BY x ROWS 1 PRECEDING) FROM UNNEST([1]) AS x"),
    ("LAG of a negative offset", "SELECT LAG(x, -1) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
    ("FIRST_VALUE without an order", "SELECT FIRST_VALUE(x) OVER () FROM UNNEST([1]) AS x"),
    ("RANK without OVER", "SELECT RANK() FROM UNNEST([1]) AS x"),
    ("PARTITION BY FLOAT64", "SELECT COUNT(*) OVER (PARTITION BY x) FROM UNNEST([1.5]) AS x"),
    ("a window ordered by an array", "SELECT ROW_NUMBER() OVER (ORDER BY x) FROM (SELECT [1] AS x)"),
    ("a range along dates", "SELECT COUNT(*) OVER (ORDER BY d RANGE BETWEEN 6 PRECEDING AND CURRENT ROW) FROM UNNEST([DATE '2026-01-01']) AS d"),
    ("a range along two numbers", "SELECT COUNT(*) OVER (ORDER BY x, x RANGE BETWEEN 6 PRECEDING AND CURRENT ROW) FROM UNNEST([1]) AS x"),
    ("DISTINCT over an ordered window", "SELECT COUNT(DISTINCT x) OVER (ORDER BY x) FROM UNNEST([1]) AS x"),
]  # fmt: skip
