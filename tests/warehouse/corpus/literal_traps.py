"""Where another engine would quietly give something else: NaN, supertypes, joins, scopes, spelling."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

T = "WITH t AS (SELECT 1 AS x, 10 AS y UNION ALL SELECT 2, 20 UNION ALL SELECT 3, 30)"
NULLS = "WITH n AS (SELECT 'a' AS k, 1 AS v UNION ALL SELECT 'b', NULL UNION ALL SELECT 'c', 3)"

LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    # floats
    ("equal across types", "SELECT 5 = 5.0, NUMERIC '5' = 5, 0.1 = NUMERIC '0.1', 'a' = 'a ', 1 IN (1.0, 2.5)", [(True, True, True, False, True)]),
    ("sums keep their type", "SELECT SUM(x), SUM(x) / COUNT(*), SUM(CAST(x AS NUMERIC)) / COUNT(*), AVG(CAST(x AS NUMERIC)) FROM UNNEST([1, 2, 2]) AS x", [(5, 5 / 3, Decimal("1.666666667"), Decimal("1.666666667"))]),
    ("NUMERIC beside other numbers", "SELECT NUMERIC '1.5' / 2, NUMERIC '1.5' * 2.0, CAST(0.1 + 0.2 AS NUMERIC), CAST(1e-10 AS NUMERIC), IF(TRUE, NUMERIC '1', 2)", [(Decimal("0.75"), 3.0, Decimal("0.3"), Decimal(0), Decimal(1))]),
    ("sums of NUMERIC are exact", "SELECT SUM(CAST(x AS NUMERIC)), SUM(x) = 0.3 FROM UNNEST([0.1, 0.1, 0.1]) AS x", [(Decimal("0.3"), False)]),
    # NULLs
    ("NULLs in the order of ARRAY_AGG and STRING_AGG", f"{NULLS} SELECT ARRAY_AGG(k ORDER BY v), STRING_AGG(k, '' ORDER BY v DESC) FROM n", [(["b", "a", "c"], "cab")]),
    ("NULLs in the order of windows", f"{NULLS} SELECT k, ROW_NUMBER() OVER (ORDER BY v DESC) AS d, LAG(k) OVER (ORDER BY v) AS l FROM n ORDER BY k", [("a", 2, "b"), ("b", 3, None), ("c", 1, "a")]),
    ("NULL between", "SELECT 1 BETWEEN NULL AND 2, 3 BETWEEN NULL AND 2, 3 NOT BETWEEN NULL AND 2, NULL LIKE 'a'", [(None, False, True, None)]),
    ("IN of an empty subquery", f"{T} SELECT x IN (SELECT y FROM t WHERE FALSE), NULL IN (SELECT x FROM t WHERE FALSE), x NOT IN (SELECT y FROM t WHERE FALSE) FROM t WHERE x = 1", [(False, False, True)]),
    ("IN UNNEST with a NULL", "SELECT 'a' IN UNNEST(['a', NULL]), 'b' IN UNNEST(['a', NULL])", [(True, None)]),
    ("a scalar subquery without rows", f"{T} SELECT (SELECT x FROM t WHERE x > 5), IFNULL((SELECT SUM(x) FROM t WHERE x > 5), 0)", [(None, 0)]),
    ("sum of sums that are NULL", "SELECT SUM(cost) + SUM((SELECT SUM(c) FROM UNNEST(credits) AS c)) AS wrong, SUM(cost) + SUM(IFNULL((SELECT SUM(c) FROM UNNEST(credits) AS c), 0)) AS total FROM (SELECT 1.5 AS cost, ARRAY<FLOAT64>[] AS credits)", [(None, 1.5)]),
    ("functions of NULL", "SELECT SUBSTR(NULL, 1), LENGTH(NULL), CAST(NULL AS STRING), ABS(NULL), UPPER(NULL), ARRAY_LENGTH(SPLIT(NULL, ','))", [(None,) * 6]),
    # joins
    ("FULL JOIN of three by USING", "SELECT k, a, b, c FROM (SELECT 1 AS k, 'a' AS a) FULL JOIN (SELECT 2 AS k, 'b' AS b) USING (k) FULL JOIN (SELECT 2 AS k, 'c' AS c) USING (k) ORDER BY k", [(1, "a", None, None), (2, None, "b", "c")]),
    ("star of a FULL JOIN by USING", "SELECT * FROM (SELECT 'l' AS a, 1 AS k) FULL JOIN (SELECT 'r' AS b, 2 AS k) USING (k) ORDER BY k", [(1, "l", None), (2, None, "r")]),
    ("RIGHT JOIN by USING", "SELECT k, a FROM (SELECT 1 AS k, 'a' AS a) RIGHT JOIN (SELECT 2 AS k) USING (k)", [(2, None)]),
    ("the sides of USING by name", "SELECT l.k AS lk, r.k AS rk, k FROM (SELECT 1 AS k) AS l FULL JOIN (SELECT 2 AS k) AS r USING (k) ORDER BY k", [(1, None, 1), (None, 2, 2)]),
    ("prices by the day they hold", "SELECT u.d, p.price FROM (SELECT DATE '2026-01-05' AS d UNION ALL SELECT DATE '2026-02-05' UNION ALL SELECT DATE '2025-01-01') AS u LEFT JOIN (SELECT DATE '2026-01-01' AS since, DATE '2026-01-31' AS until, 1.5 AS price UNION ALL SELECT DATE '2026-02-01', DATE '2026-02-28', 2.5) AS p ON u.d BETWEEN p.since AND p.until ORDER BY u.d", [(date(2025, 1, 1), None), (date(2026, 1, 5), 1.5), (date(2026, 2, 5), 2.5)]),
    ("a join by OR", f"{T} SELECT a.x, b.x AS z FROM t AS a JOIN t AS b ON a.x = b.x + 1 OR a.y = b.x * 30 ORDER BY 1, 2", [(2, 1), (3, 1), (3, 2)]),
    ("a condition of LEFT JOIN does not filter", f"{T} SELECT a.x, b.y FROM t AS a LEFT JOIN t AS b ON a.x = b.x AND b.y > 15 ORDER BY a.x", [(1, None), (2, 20), (3, 30)]),
    ("a condition in WHERE does", f"{T} SELECT a.x, b.y FROM t AS a LEFT JOIN t AS b ON a.x = b.x WHERE b.y > 15 ORDER BY a.x", [(2, 20), (3, 30)]),
    ("WHERE on the element of a LEFT JOIN UNNEST", "SELECT id, e FROM (SELECT 1 AS id, [7, 8] AS es UNION ALL SELECT 2, ARRAY<INT64>[]) LEFT JOIN UNNEST(es) AS e WHERE e IS NULL OR e = 8 ORDER BY id", [(1, 8), (2, None)]),
    ("an array of the joined table", "SELECT a.id, e FROM (SELECT 1 AS id) AS a JOIN (SELECT 1 AS id, [5, 6] AS es) AS b ON a.id = b.id CROSS JOIN UNNEST(b.es) AS e ORDER BY e", [(1, 5), (1, 6)]),
    ("NOT EXISTS of the outer row", f"{T} SELECT x FROM t AS a WHERE NOT EXISTS (SELECT 1 FROM t AS b WHERE b.x = a.x + 1)", [(3,)]),
    ("a count for each outer row", f"{T} SELECT x, (SELECT COUNT(*) FROM t AS b WHERE b.x < a.x) AS lower FROM t AS a ORDER BY x", [(1, 0), (2, 1), (3, 2)]),
    ("a correlated ARRAY", f"{T} SELECT x, ARRAY(SELECT b.x FROM t AS b WHERE b.x <= a.x ORDER BY b.x DESC) AS seen FROM t AS a ORDER BY x", [(1, [1]), (2, [2, 1]), (3, [3, 2, 1])]),
    # names
    ("a field's alias hides the table's column in GROUP BY", "SELECT s.id AS id, COUNT(*) AS n FROM (SELECT 1 AS id, STRUCT('a' AS id) AS s UNION ALL SELECT 2, STRUCT('a' AS id)) GROUP BY id", [("a", 2)]),
    ("GROUP BY a field by its own name", "SELECT s.name, COUNT(*) AS n FROM (SELECT STRUCT('a' AS name) AS s UNION ALL SELECT STRUCT('a' AS name)) GROUP BY s.name", [("a", 2)]),
    ("GROUP BY a field's implicit name", "SELECT s.name, COUNT(*) AS n FROM (SELECT STRUCT('a' AS name) AS s) GROUP BY name", [("a", 1)]),
    ("an aggregate named like its column", f"{T} SELECT MOD(x, 2) AS odd, SUM(x) AS x FROM t GROUP BY odd ORDER BY x", [(0, 2), (1, 4)]),
    ("WHERE under an aggregate of its name", f"{T} SELECT SUM(x) AS x FROM t WHERE x < 3", [(3,)]),
    ("a window of an aggregate named like its column", f"{T} SELECT MOD(x, 2) AS odd, SUM(y) AS y, RANK() OVER (ORDER BY SUM(y) DESC) AS place FROM t GROUP BY odd ORDER BY place", [(1, 40, 1), (0, 20, 2)]),
    ("ORDER BY a window", f"{T} SELECT x FROM t ORDER BY ROW_NUMBER() OVER (ORDER BY x DESC)", [(3,), (2,), (1,)]),
    ("ORDER BY and LIMIT in a subquery", f"{T} SELECT SUM(x) FROM (SELECT x FROM t ORDER BY x DESC LIMIT 2)", [(5,)]),
    ("GROUP BY a constant's alias", f"{T} SELECT 'all' AS scope, SUM(x) AS s FROM t GROUP BY scope", [("all", 6)]),
    ("an element named like an outer column", "SELECT (SELECT SUM(amount) FROM UNNEST(items)) AS inside, amount FROM (SELECT 100 AS amount, [STRUCT(1 AS amount), STRUCT(2)] AS items)", [(3, 100)]),
    ("the outer column by its table's name", "SELECT (SELECT SUM(i.amount + o.amount) FROM UNNEST(o.items) AS i) AS s FROM (SELECT 100 AS amount, [STRUCT(1 AS amount), STRUCT(2)] AS items) AS o", [(203,)]),
    ("an element named like its array", "SELECT items, COUNT(*) AS n FROM (SELECT [1, 1, 2] AS items) AS o, o.items GROUP BY items ORDER BY items", [(1, 2), (2, 1)]),
    ("star of a struct with an exception", "SELECT s.* EXCEPT (b) FROM (SELECT STRUCT(1 AS a, 2 AS b) AS s)", [(1,)]),
    ("a CTE hides one outside only within", "WITH a AS (SELECT 1 AS x) SELECT (WITH a AS (SELECT 2 AS x) SELECT x FROM a) AS inner_x, x FROM a", [(2, 1)]),
    ("a CTE reads one of its own level", "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a), c AS (SELECT a.x + b.x AS x FROM a, b) SELECT x FROM c", [(3,)]),
    # spelling
    ("a comma at the end of the list", f"{T} SELECT MOD(x, 2) AS odd, SUM(y) AS s, FROM t GROUP BY 1 ORDER BY 1", [(0, 20), (1, 40)]),
    ("comments", "SELECT /* a */ 1 AS x -- b\n, 2 AS y # c\n", [(1, 2)]),
    ("double quotes are text", 'SELECT DATE "2026-04-01", TIMESTAMP("2026-04-01"), FORMAT_DATE("%Y%m", DATE "2026-04-01"), "a" = \'a\'', [(date(2026, 4, 1), datetime(2026, 4, 1, tzinfo=UTC), "202604", True)]),
    ("small letters", "select sum(x) as s from unnest([1, 2]) as x where x <> 1 group by x having s > 0 order by s limit 1", [(2,)]),
    ("parentheses everywhere", "(((SELECT ((1)) AS x)))", [(1,)]),
    ("LIMIT 0", f"{T} SELECT x FROM t LIMIT 0", []),
    ("join words", f"{T} SELECT COUNT(*) FROM t AS a INNER JOIN t AS b ON a.x = b.x LEFT OUTER JOIN t AS c ON c.x = b.x CROSS JOIN t AS d", [(9,)]),
    ("arrays put together", "SELECT [1] || [2, 3], 'a' || 'b'", [([1, 2, 3], "ab")]),
    # texts and times
    ("the whole match", "SELECT REGEXP_REPLACE('abc', r'b', r'<\\0>'), REGEXP_EXTRACT('abc', r'b.')", [("a<b>c", "bc")]),
    ("sets of characters", "SELECT TRIM('abcba', 'ab'), LPAD('abc', 8, 'def'), RPAD('abc', 5, 'de')", [("c", "defdeabc", "abcde")]),
    ("texts of other letters", "SELECT SUBSTR('äöü', 2, 1), STRPOS('äöü', 'ü'), REVERSE('äö'), LENGTH('日本')", [("ö", 3, "öä", 2)]),
    ("weeks at the end of the year", "SELECT EXTRACT(WEEK FROM DATE '2026-12-31'), EXTRACT(ISOWEEK FROM DATE '2026-12-31'), DATE_TRUNC(DATE '2026-12-31', WEEK(THURSDAY)), EXTRACT(ISOYEAR FROM DATE '2025-12-29')", [(52, 53, date(2026, 12, 31), 2026)]),
    ("intervals below zero", "SELECT DATE_ADD(DATE '2026-03-31', INTERVAL -1 MONTH), DATE_DIFF('2026-01-01', '2026-01-11', WEEK), TIMESTAMP_DIFF(TIMESTAMP '2026-01-01 00:00:00+00', TIMESTAMP '2026-01-02 12:00:00+00', DAY), DATE_DIFF('2026-01-31', '2026-02-01', MONTH)", [(date(2026, 2, 28), -2, -1, -1)]),
    ("weeks and quarters of instants", "SELECT TIMESTAMP_TRUNC(t, WEEK), TIMESTAMP_TRUNC(t, ISOWEEK), TIMESTAMP_TRUNC(t, QUARTER), TIMESTAMP_TRUNC(t, MINUTE) FROM (SELECT TIMESTAMP '2026-05-20 10:11:12+00' AS t)", [(datetime(2026, 5, 17, tzinfo=UTC), datetime(2026, 5, 18, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 20, 10, 11, tzinfo=UTC))]),
    ("a week of instants in a zone", "SELECT TIMESTAMP_TRUNC(TIMESTAMP '2026-05-17 05:00:00+00', WEEK, 'America/Los_Angeles'), TIMESTAMP_TRUNC(TIMESTAMP '2026-05-18 05:00:00+00', WEEK(MONDAY), 'America/Los_Angeles')", [(datetime(2026, 5, 10, 7, tzinfo=UTC), datetime(2026, 5, 11, 7, tzinfo=UTC))]),
    ("instants are equal in any zone", "SELECT TIMESTAMP '2026-01-01 00:00:00-08' = TIMESTAMP '2026-01-01 08:00:00+00', COUNT(DISTINCT t) FROM UNNEST([TIMESTAMP '2026-01-01 00:00:00-08', TIMESTAMP '2026-01-01 08:00:00Z']) AS t", [(True, 1)]),
    ("months of a period", "SELECT FORMAT_DATE('%Y-%m', m) FROM UNNEST(GENERATE_DATE_ARRAY('2025-12-01', '2026-02-01', INTERVAL 1 MONTH)) AS m ORDER BY m", [("2025-12",), ("2026-01",), ("2026-02",)]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("zero by zero", "SELECT 0.0 / 0.0"),
    ("NUMERIC division by zero", "SELECT NUMERIC '1' / 0"),
    ("SUM of a date", "SELECT SUM(d) FROM UNNEST([DATE '2026-01-01']) AS d"),
    ("AVG of a boolean", "SELECT AVG(x > 1) FROM UNNEST([1, 2]) AS x"),
    ("LENGTH of a number", "SELECT LENGTH(123)"),
    ("SUBSTR of a number", "SELECT SUBSTR(20260401, 1, 4)"),
    ("a date against a text column", "SELECT d = s FROM (SELECT DATE '2026-01-01' AS d, '2026-01-01' AS s)"),
    ("a number against a text column", "SELECT n = s FROM (SELECT 1 AS n, '1' AS s)"),
    ("minus of a text", "SELECT -'1'"),
    ("a column that a subquery does not give", "SELECT y FROM (SELECT 1 AS x)"),
    ("an alias of the next table in ON", "SELECT 1 FROM UNNEST([1]) AS a JOIN UNNEST([1]) AS b ON a = c JOIN UNNEST([1]) AS c ON TRUE"),
    ("the outer alias of a subquery that is not correlated", "SELECT (SELECT z FROM UNNEST([1]) AS x) FROM UNNEST([1]) AS y"),
    ("a derived table does not see its neighbour", "SELECT 1 FROM UNNEST([1]) AS a, (SELECT a + 1 AS b) AS d"),
    ("the star after GROUP BY", f"{T} SELECT * FROM t GROUP BY x"),
    ("a subquery of two columns", "SELECT (SELECT 1, 2)"),
    ("IN of a subquery of two columns", "SELECT 1 IN (SELECT 1, 2)"),
    ("REPLACE of an unknown column", "SELECT * REPLACE (1 AS z) FROM (SELECT 1 AS x)"),
    ("UNION of other numbers of columns", "SELECT 1 AS a, 2 AS b UNION ALL SELECT 1"),
    ("a window function without OVER", "SELECT ROW_NUMBER() FROM UNNEST([1]) AS x"),
    ("UNION without ALL or DISTINCT", "SELECT 1 AS x UNION SELECT 1"),
    ("an unknown function of the warehouse below", "SELECT LIST_VALUE(1)"),
]  # fmt: skip
