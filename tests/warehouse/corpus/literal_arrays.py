"""Array functions on literal values."""

# ruff: noqa: E501 - one case a line reads better than four

from decimal import Decimal
from typing import Any

D = Decimal
NULL_ARRAY = "CAST(NULL AS ARRAY<INT64>)"
LETTERS = "['a', 'b', 'c', 'd', 'e']"

LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    ("elements by place", "SELECT a[0], a[OFFSET(1)], a[ORDINAL(3)], a[SAFE_OFFSET(3)], a[SAFE_ORDINAL(0)], a[SAFE_OFFSET(-1)] FROM (SELECT [10, 20, 30] AS a)", [(10, 20, 30, None, None, None)]),
    ("elements of NULL, at NULL", f"SELECT {NULL_ARRAY}[OFFSET(0)], [1][OFFSET(NULL)], [1][SAFE_OFFSET(NULL)]", [(None, None, None)]),
    ("elements by a column", "SELECT i, ['a', 'b'][SAFE_OFFSET(i)], ['a', 'b'][SAFE_ORDINAL(i)] FROM UNNEST([0, 1, 2]) AS i ORDER BY i", [(0, "a", None), (1, "b", "a"), (2, None, "b")]),
    ("places of the elements of a path", "SELECT id, x, o FROM (SELECT 1 AS id, [7, 8] AS xs UNION ALL SELECT 2, []) AS t LEFT JOIN t.xs AS x WITH OFFSET AS o ORDER BY id, o", [(1, 7, 0), (1, 8, 1), (2, None, None)]),
    ("places of the elements of a path, unnamed", "SELECT xs, offset FROM (SELECT STRUCT([7, 8] AS xs) AS s) AS t, t.s.xs WITH OFFSET WHERE offset = 1", [(8, 1)]),
    ("an array of an outer row by its path", "SELECT (SELECT STRING_AGG(x.a ORDER BY x.a) FROM t.xs AS x) AS s FROM (SELECT [STRUCT('q' AS a), STRUCT('p')] AS xs) AS t", [("p,q",)]),
    ("a field of an element", "SELECT a[OFFSET(1)].n FROM (SELECT [STRUCT('x' AS n), STRUCT('y')] AS a)", [("y",)]),
    ("an expression as place", "SELECT [1, 2, 3][OFFSET(ARRAY_LENGTH([1, 2, 3]) - 1)]", [(3,)]),
    ("ARRAY_CONCAT", f"SELECT ARRAY_CONCAT([1, 2], [3, 4], [5, 6]), ARRAY_CONCAT(['a'], ['b']), ARRAY_CONCAT([1], {NULL_ARRAY}) IS NULL, ARRAY_CONCAT([1], [])", [([1, 2, 3, 4, 5, 6], ["a", "b"], True, [1])]),
    ("ARRAY_CONCAT of structs", "SELECT ARRAY_CONCAT([STRUCT(1 AS a)], [STRUCT(2 AS a)])", [([{"a": 1}, {"a": 2}],)]),
    ("ARRAY_FIRST and ARRAY_LAST", f"SELECT ARRAY_FIRST(['a', 'b', 'c']), ARRAY_LAST(['a', 'b', 'c']), ARRAY_FIRST({NULL_ARRAY}), ARRAY_LAST({NULL_ARRAY}), ARRAY_FIRST([NULL, 1])", [("a", "c", None, None, None)]),
    ("ARRAY_REVERSE", f"SELECT ARRAY_REVERSE([1, 2, 3]), ARRAY_REVERSE(CAST([] AS ARRAY<INT64>)), ARRAY_REVERSE({NULL_ARRAY}) IS NULL", [([3, 2, 1], [], True)]),
    ("ARRAY_LENGTH", f"SELECT ARRAY_LENGTH(['coffee', NULL, 'milk']), ARRAY_LENGTH(['cake', 'pie']), ARRAY_LENGTH([]), ARRAY_LENGTH({NULL_ARRAY})", [(3, 2, 0, None)]),
    ("ARRAY_SLICE", f"SELECT ARRAY_SLICE({LETTERS}, 1, 3), ARRAY_SLICE({LETTERS}, -3, -1), ARRAY_SLICE({LETTERS}, 1, -2), ARRAY_SLICE({LETTERS}, -5, 2), ARRAY_SLICE({LETTERS}, 3, 3)", [(["b", "c", "d"], ["c", "d", "e"], ["b", "c", "d"], ["a", "b", "c"], ["d"])]),
    ("ARRAY_SLICE beyond the ends", f"SELECT ARRAY_SLICE({LETTERS}, 4, 2), ARRAY_SLICE({LETTERS}, 3, 30), ARRAY_SLICE({LETTERS}, -30, 1), ARRAY_SLICE({LETTERS}, 10, 30), ARRAY_SLICE({LETTERS}, NULL, 1) IS NULL, ARRAY_SLICE({NULL_ARRAY}, 0, 1) IS NULL", [([], ["d", "e"], ["a", "b"], [], True, True)]),
    ("ARRAY_TO_STRING with NULLs", "SELECT ARRAY_TO_STRING(['coffee', 'tea', 'milk'], '--'), ARRAY_TO_STRING(['cake', 'pie', NULL], '--', 'MISSING'), ARRAY_TO_STRING([NULL, 'a', NULL], '-'), ARRAY_TO_STRING(CAST(NULL AS ARRAY<STRING>), '-'), ARRAY_TO_STRING(CAST([] AS ARRAY<STRING>), '-'), ARRAY_TO_STRING(['', 'a'], '-')", [("coffee--tea--milk", "cake--pie--MISSING", "a", None, "", "-a")]),
    ("ARRAY_TO_STRING by a column", "SELECT ARRAY_TO_STRING(['a', 'b'], s) FROM UNNEST(['-', '+']) AS s ORDER BY 1", [("a+b",), ("a-b",)]),
    ("GENERATE_ARRAY of integers", "SELECT GENERATE_ARRAY(1, 5), GENERATE_ARRAY(0, 10, 3), GENERATE_ARRAY(10, 0, -3), GENERATE_ARRAY(4, 4, 10), GENERATE_ARRAY(10, 0, 3), GENERATE_ARRAY(5, NULL, 1) IS NULL", [([1, 2, 3, 4, 5], [0, 3, 6, 9], [10, 7, 4, 1], [4], [], True)]),
    ("GENERATE_ARRAY of other numbers", "SELECT GENERATE_ARRAY(0.0, 1.0, 0.25), GENERATE_ARRAY(1, 2, 0.5), GENERATE_ARRAY(NUMERIC '1', 2, NUMERIC '0.4'), GENERATE_ARRAY(1.5, 1.0), GENERATE_ARRAY(NUMERIC '1', NUMERIC '0', NUMERIC '-0.5')", [([0.0, 0.25, 0.5, 0.75, 1.0], [1.0, 1.5, 2.0], [D(1), D("1.4"), D("1.8")], [], [D(1), D("0.5"), D(0)])]),
    ("GENERATE_ARRAY up to a column", "SELECT x, g FROM UNNEST([1, 2]) AS x, UNNEST(GENERATE_ARRAY(1, x)) AS g ORDER BY x, g", [(1, 1), (2, 1), (2, 2)]),
    ("RANGE_BUCKET", "SELECT RANGE_BUCKET(20, [0, 10, 20, 30, 40]), RANGE_BUCKET(20, [0, 10, 20, 20, 40, 40]), RANGE_BUCKET(25, [0, 10, 20, 30, 40]), RANGE_BUCKET(-10, [5, 10, 20]), RANGE_BUCKET(80, [0, 10, 20]), RANGE_BUCKET('b', ['a', 'c']), RANGE_BUCKET(1.5, [1, 2])", [(3, 4, 3, 0, 3, 1, 1)]),
    ("RANGE_BUCKET of nothing", f"SELECT RANGE_BUCKET(NULL, [1]), RANGE_BUCKET(1, {NULL_ARRAY}), RANGE_BUCKET(1, CAST([] AS ARRAY<INT64>))", [(None, None, 0)]),
    ("RANGE_BUCKET in groups", "SELECT RANGE_BUCKET(cost, [10, 100]) AS size, COUNT(*) AS n FROM UNNEST([5, 10, 99, 100, 500]) AS cost GROUP BY size ORDER BY size", [(0, 1), (1, 2), (2, 2)]),
    ("ARRAY of a subquery", "SELECT ARRAY(SELECT x * 1.5 FROM UNNEST([2, 1]) AS x ORDER BY x), ARRAY_LENGTH(ARRAY(SELECT AS STRUCT 1 AS a, 2 AS b))", [([1.5, 3.0], 1)]),
    ("arrays within structs", "SELECT ARRAY_LENGTH(s.a), s.a[OFFSET(0)] FROM (SELECT STRUCT([1, 2] AS a) AS s)", [(2, 1)]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("WITH OFFSET behind rows", "WITH t AS (SELECT 1 AS x) SELECT x FROM t WITH OFFSET AS o"),
    ("an offset beyond the array", "SELECT a[OFFSET(3)] FROM (SELECT [1, 2, 3] AS a)"),
    ("an ordinal beyond the array", "SELECT [1][ORDINAL(2)]"),
    ("a text as place", "SELECT [1][OFFSET('0')]"),
    ("ARRAY_FIRST of an empty array", "SELECT ARRAY_FIRST(CAST([] AS ARRAY<INT64>))"),
    ("ARRAY_LAST of an empty array", "SELECT ARRAY_LAST(CAST([] AS ARRAY<INT64>))"),
    ("ARRAY_LENGTH of a text", "SELECT ARRAY_LENGTH('abc')"),
    ("ARRAY_REVERSE of a number", "SELECT ARRAY_REVERSE(1)"),
    ("ARRAY_CONCAT of a number", "SELECT ARRAY_CONCAT([1], 2)"),
    ("ARRAY_TO_STRING of numbers", "SELECT ARRAY_TO_STRING([1, 2], ',')"),
    ("ARRAY_TO_STRING by a number", "SELECT ARRAY_TO_STRING(['a'], 1)"),
    ("an array of arrays", "SELECT [[1], [2]]"),
    ("GENERATE_ARRAY of texts", "SELECT GENERATE_ARRAY('a', 'c')"),
    ("GENERATE_ARRAY of FLOAT64 with step zero", "SELECT GENERATE_ARRAY(0.5, 1, 0)"),
    ("RANGE_BUCKET of an array out of order", "SELECT RANGE_BUCKET(1, [3, 1])"),
    ("RANGE_BUCKET of an array with a NULL", "SELECT RANGE_BUCKET(1, [1, NULL])"),
    ("RANGE_BUCKET of other types", "SELECT RANGE_BUCKET('a', [1, 2])"),
    ("ARRAY_SLICE by texts", "SELECT ARRAY_SLICE([1], '0', '1')"),
]  # fmt: skip
