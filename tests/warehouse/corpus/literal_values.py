"""Numbers, texts, JSON and arrays on literal values: what BigQuery's reference says of each function."""

# ruff: noqa: E501 - one case a line reads better than four

from decimal import Decimal
from typing import Any

LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    # numbers
    ("a division is FLOAT64", "SELECT 7 / 2, 4 / 2, 1 / 3.0", [(3.5, 2.0, 1 / 3)]),
    ("division of NUMERIC", "SELECT NUMERIC '1' / 3, NUMERIC '2' / 3, CAST(1 AS NUMERIC) / NUMERIC '8'", [(Decimal("0.333333333"), Decimal("0.666666667"), Decimal("0.125"))]),
    ("product of NUMERIC", "SELECT NUMERIC '0.000000001' * NUMERIC '0.5', NUMERIC '1.5' * 2, NUMERIC '1.1' + 1", [(Decimal("0.000000001"), Decimal(3), Decimal("2.1"))]),
    ("rounding NUMERIC", "SELECT ROUND(NUMERIC '2.345', 2), ROUND(NUMERIC '-2.5'), TRUNC(NUMERIC '2.349', 2), CEIL(NUMERIC '1.1'), FLOOR(NUMERIC '-1.1')", [(Decimal("2.35"), Decimal(-3), Decimal("2.34"), Decimal(2), Decimal(-2))]),
    ("CEIL FLOOR TRUNC", "SELECT CEIL(1.2), FLOOR(-1.2), TRUNC(-1.7), TRUNC(1.789, 2), CEIL(2)", [(2.0, -2.0, -1.0, 1.78, 2.0)]),
    ("CAST to INT64 rounds", "SELECT CAST(1.5 AS INT64), CAST(-1.5 AS INT64), CAST(2.4 AS INT64), CAST(NUMERIC '0.5' AS INT64), CAST(TRUE AS INT64)", [(2, -2, 2, 1, 1)]),
    ("CAST to NUMERIC rounds at nine digits", "SELECT CAST(0.1 AS NUMERIC), CAST('1.2345678905' AS NUMERIC), CAST(3 AS NUMERIC)", [(Decimal("0.1"), Decimal("1.234567891"), Decimal(3))]),
    ("SAFE_DIVIDE of NUMERIC", "SELECT SAFE_DIVIDE(NUMERIC '1', NUMERIC '4'), SAFE_DIVIDE(NUMERIC '1', 0)", [(Decimal("0.25"), None)]),
    ("mixed numbers", "SELECT 1 + 1.5, GREATEST(1, 2.5), NUMERIC '1.5' + 1.5, -(-3), 2 * 3 - 4 / 2", [(2.5, 2.5, 3.0, 3, 4.0)]),
    ("averages", "SELECT AVG(x), SUM(x), AVG(CAST(x AS NUMERIC)), SUM(x * 1.0) FROM UNNEST([1, 2]) AS x", [(1.5, 3, Decimal("1.5"), 3.0)]),
    ("COUNTIF", "SELECT COUNTIF(x > 1), COUNTIF(x IS NULL), COUNTIF(x > 9), LOGICAL_OR(x > 1), LOGICAL_AND(x > 1) FROM UNNEST([1, 2, NULL]) AS x", [(1, 1, 0, True, False)]),
    ("COUNTIF over a window", "SELECT COUNTIF(x > 1) OVER (ORDER BY x) FROM UNNEST([1, 2, 3]) AS x ORDER BY x", [(0,), (1,), (2,)]),
    ("APPROX_COUNT_DISTINCT", "SELECT APPROX_COUNT_DISTINCT(x) FROM UNNEST([0, 1, 1, 2, 3, 5]) AS x", [(5,)]),
    # texts of values
    ("FLOAT64 as text", "SELECT CAST(1.0 AS STRING), CAST(0.1 + 0.2 AS STRING), CAST(1e20 AS STRING), CAST(123456.789 AS STRING), CAST(0.00001 AS STRING), CAST(-0.5 AS STRING)", [("1", "0.30000000000000004", "1e+20", "123456.789", "1e-05", "-0.5")]),
    ("other values as text", "SELECT CAST(TRUE AS STRING), CAST(DATE '2026-01-02' AS STRING), CAST(DATETIME '2026-01-02 03:04:05' AS STRING), CAST(TIME '03:04:05' AS STRING), CAST(12 AS STRING)", [("true", "2026-01-02", "2026-01-02 03:04:05", "03:04:05", "12")]),
    # texts
    ("SPLIT", "SELECT SPLIT('a,b'), SPLIT('', ','), SPLIT('a-b', '-')[OFFSET(1)], SPLIT('a', '-')[SAFE_OFFSET(1)], SPLIT('a,,b', ',')", [(["a", "b"], [""], "b", None, ["a", "", "b"])]),
    ("the n-th match", "SELECT REGEXP_EXTRACT('a1b22c3', r'[0-9]+', 1, 2)", [("22",)]),
    ("regular expressions ignore case on demand", "SELECT REGEXP_CONTAINS('ABC', r'(?i)b'), REGEXP_CONTAINS('ABC', r'b'), REGEXP_REPLACE('AbA', r'(?i)a', 'x')", [(True, False, "xbx")]),
    ("padding and trimming", "SELECT LPAD('7', 3, '0'), LPAD('abcd', 2), RPAD('a', 3, 'xy'), TRIM('  a '), TRIM('xxaxx', 'x'), LTRIM('00123', '0'), RTRIM('1.500', '0')", [("007", "ab", "axy", "a", "a", "123", "1.5")]),
    ("texts compare by bytes", "SELECT 'a' < 'B', 'Z' < 'a', 'a' = 'A', 'a' LIKE 'A', 'abc' LIKE '_b%', 'a\\nb' LIKE 'a%b'", [(False, True, False, False, True, True)]),
    ("texts order by bytes", "SELECT x FROM UNNEST(['b', 'B', 'a', 'A']) AS x ORDER BY x", [("A",), ("B",), ("a",), ("b",)]),
    ("quoting", "SELECT 'it\\'s', \"say \\\"x\\\"\", r'a\\b', '''a'b''', 'tab\\there', '\\u00e9'", [("it's", 'say "x"', "a\\b", "a'b", "tab\there", "é")]),
    # JSON
    # arrays
    ("places", "SELECT [1, 2][OFFSET(0)], [1, 2][ORDINAL(2)], [1, 2][SAFE_OFFSET(5)], [1, 2][SAFE_ORDINAL(0)], [1, 2][1]", [(1, 2, None, None, 2)]),
    ("ARRAY_TO_STRING", "SELECT ARRAY_TO_STRING(['a', NULL, 'b'], ','), ARRAY_TO_STRING(['a', NULL], ',', '-')", [("a,b", "a,-")]),
    ("lengths and NULL arrays", "SELECT ARRAY_LENGTH([1, NULL]), ARRAY_LENGTH([]), ARRAY_LENGTH(CAST(NULL AS ARRAY<INT64>))", [(2, 0, None)]),
    ("ARRAY_AGG", "SELECT ARRAY_AGG(x IGNORE NULLS ORDER BY x DESC LIMIT 2), ARRAY_AGG(DISTINCT x IGNORE NULLS ORDER BY x), ARRAY_AGG(x IGNORE NULLS ORDER BY x)[OFFSET(0)] FROM UNNEST([2, NULL, 3, 1, 2]) AS x", [([3, 2], [1, 2, 3], 1)]),
    ("ARRAY_AGG of structs", "SELECT k, ARRAY_AGG(STRUCT(v, n AS name) ORDER BY v DESC LIMIT 1) AS top FROM (SELECT 'a' AS k, 1 AS v, 'x' AS n UNION ALL SELECT 'a', 2, 'y') GROUP BY k", [("a", [{"v": 2, "name": "y"}])]),
    ("UNNEST WITH OFFSET", "SELECT x, o FROM UNNEST(['b', 'a']) AS x WITH OFFSET AS o ORDER BY o", [("b", 0), ("a", 1)]),
    ("WITH OFFSET without a name", "SELECT x, offset FROM UNNEST(['b', 'a']) AS x WITH OFFSET ORDER BY offset", [("b", 0), ("a", 1)]),
    ("UNNEST of NULL and of nothing", "SELECT COUNT(*) FROM UNNEST(CAST(NULL AS ARRAY<INT64>)) AS x", [(0,)]),
    ("nested arrays of structs", "SELECT o.id, i.v FROM UNNEST([STRUCT(1 AS id, [STRUCT(10 AS v), STRUCT(20)] AS items), (2, [])]) AS o LEFT JOIN UNNEST(o.items) AS i ORDER BY 1, 2", [(1, 10), (1, 20), (2, None)]),
    ("two arrays side by side", "SELECT a, ['x', 'y'][SAFE_OFFSET(i)] AS b FROM UNNEST([1, 2, 3]) AS a WITH OFFSET AS i ORDER BY a", [(1, "x"), (2, "y"), (3, None)]),
    ("ARRAY of a subquery in order", "SELECT ARRAY(SELECT x * 2 FROM UNNEST([3, 1]) AS x ORDER BY x)", [([2, 6],)]),
    ("ARRAY of a subquery without rows", "SELECT ARRAY(SELECT x FROM UNNEST([1]) AS x WHERE x > 1)", [([],)]),
    ("sum of products over two columns", "SELECT SUM(a * b) FROM (SELECT 2 AS a, 1.5 AS b UNION ALL SELECT 4, 0.25)", [(4.0,)]),
    ("struct fields", "SELECT s.a.b, s.c[OFFSET(0)].d FROM (SELECT STRUCT(STRUCT(1 AS b) AS a, [STRUCT('x' AS d)] AS c) AS s)", [(1, "x")]),
    ("struct comparison", "SELECT (1, 'a') = (1, 'a'), (1, 2) IN ((1, 2), (3, 4)), STRUCT(1 AS a) = STRUCT(2 AS b)", [(True, True, False)]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("array elements of different types", "SELECT [1, 'a']"),
    ("ROUND of text", "SELECT ROUND('1.5')"),
    ("a regular expression that is none", "SELECT REGEXP_CONTAINS('a', '(')"),
    ("text plus text", "SELECT 'a' + 'b'"),
    ("a number as a boolean text", "SELECT CAST('2' AS BOOL)"),
    ("FLOAT64 too great for INT64", "SELECT CAST(1e20 AS INT64)"),
]  # fmt: skip
