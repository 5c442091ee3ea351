"""Errors as values: SAFE., IFERROR and their like; operators in their order; casts of odd texts."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import date
from decimal import Decimal
from typing import Any

D = Decimal


LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    ('operators on bits in parentheses', 'SELECT 1 | (2 | 1 & 4 ^ 3) & 2, (1 ^ 3 & 2) | (4 | 8 & 8)', [(3, 15)]),
    ('operators on bits bind by rank', 'SELECT 1 | 2 ^ 3 & 4, 1 | 2 << 1, 7 & 3 << 1, 1 ^ 1 | 1, 6 & 3 = 2, (1 | 2) & 2, x | x & 4 ^ 1 FROM (SELECT 2 AS x)', [(3, 5, 6, 1, True, 2, 3)]),
    ('conditions, texts and signs bind by rank', "SELECT TRUE OR FALSE AND FALSE, NOT FALSE AND FALSE, 2 + 3 * 4 - 1, 'abc' LIKE 'a' || '%', -2 + 3, 2 - -3, 10 - 4 - 3, 1 + 2 = 3 AND 4 > 3, NOT 1 = 2, -x * 2 FROM (SELECT 3 AS x)", [(True, False, 13, True, 1, 5, 3, True, True, -6)]),
    ('quotients and differences go from the left', 'SELECT 8 / 2 / 2, 8 / (2 / 2), 7 - (3 - 2), 1 - (2 + 3), 2 * (3 + 4), -(1 + 2), a - (b - c), a / (b * c), a - (b + c) FROM (SELECT 10 AS a, 5 AS b, 2 AS c)', [(2.0, 8.0, 6, -4, 14, -3, 7, 1.0, 3)]),
    ('SAFE. of computed arguments', "SELECT SAFE.LN(1.0 - 1.0), SAFE.SUBSTR('abc', 1 + 1), SAFE.PARSE_DATE('%F', SUBSTR('x2024-01-02', 2)), SAFE.DIV(x - 1, y * 2), SAFE.PARSE_DATE('%F', CONCAT('x', 'y')) FROM (SELECT 7 AS x, 1 AS y)", [(None, 'bc', date(2024, 1, 2), 3, None)]),
    ('SAFE. of aggregates', 'SELECT SAFE.DIV(SUM(x), COUNT(*)), SAFE.LN(SUM(x) - 6), SAFE.POW(SUM(x), 2) FROM UNNEST([1, 2, 3]) AS x', [(2, None, 36.0)]),
    ('SAFE. of subqueries', 'SELECT SAFE.LN((SELECT 0)), SAFE.DIV(1, (SELECT 0))', [(None, None)]),
    ('SAFE. of a window', 'SELECT SAFE.DIV(SUM(x) OVER (), x) FROM UNNEST([0, 2]) AS x ORDER BY x', [(None,), (1,)]),
    ('IFERROR', "SELECT IFERROR(1/0, -1), IFERROR(1, 2), IFERROR(CAST('x' AS INT64), 0), IFERROR(PARSE_DATE('%F', 'x'), DATE '2024-01-01'), IFERROR(NULL, 1), IFERROR(CAST(NULL AS INT64), 3), IFERROR(IFERROR(1/0, 1/0), 5), IFERROR(ERROR('a'), 'b'), IFERROR(1, 1/0), IFERROR(DIV(1, 0), DIV(2, 1))", [(-1.0, 1, 0, date(2024, 1, 1), None, None, 5.0, 'b', 1.0, 2)]),
    ('ISERROR and NULLIFERROR', "SELECT ISERROR(1/0), ISERROR(1), ISERROR(NULL), NULLIFERROR(1/0), NULLIFERROR(5), NULLIFERROR(ERROR('x'))", [(True, False, False, None, 5, None)]),
    ('IFERROR of aggregates', 'SELECT IFERROR(SUM(x) / SUM(y), 0), IFERROR(DIV(SUM(x), (SELECT 0)), -1), ISERROR(LN(MIN(y))) FROM UNNEST([STRUCT(1 AS x, 0 AS y), (2, 0)])', [(0.0, -1, True)]),
    ('IFERROR of a window', 'SELECT IFERROR(x / SUM(y) OVER (ORDER BY x), 9) FROM UNNEST([STRUCT(1 AS x, 0 AS y), (2, 4)]) ORDER BY x', [(9.0,), (0.5,)]),
    ('IFERROR row by row', 'SELECT x, IFERROR(10 / x, NULL) FROM UNNEST([0, 5]) AS x ORDER BY x', [(0, None), (5, 2.0)]),
    ('ERROR is of the type that is needed', "SELECT IF(FALSE, ERROR('x'), DATE '2024-01-01'), CASE WHEN FALSE THEN ERROR('x') ELSE 1.5 END, IFNULL(TRUE, ERROR('x')), COALESCE(JSON '1', ERROR('x')), IF(TRUE, 'a', ERROR('x'))", [(date(2024, 1, 1), 1.5, True, 1, 'a')]),
    ('lengths and precisions of types', "SELECT CAST('abc' AS STRING(3)), SAFE_CAST('abcd' AS STRING(3)), SAFE_CAST('abcd' AS BYTES(2)), CAST(12.345 AS NUMERIC(4,2)), SAFE_CAST(123.45 AS NUMERIC(4,2)), CAST('12.345' AS NUMERIC(4, 2))", [('abc', None, None, D("12.35"), None, D("12.35"))]),
    ('signed hexadecimal texts', "SELECT CAST('0x87a' AS INT64), CAST('-0x87a' AS INT64), CAST('12' AS INT64), CAST(' 12 ' AS INT64), CAST('+12' AS INT64), CAST('-12' AS INT64)", [(2170, -2170, 12, 12, 12, -12)]),
    ('PARSE_NUMERIC', "SELECT PARSE_NUMERIC('123.45'), PARSE_NUMERIC('12.34E27'), PARSE_NUMERIC('1.0123456789'), PARSE_NUMERIC('  -  12.34 '), PARSE_NUMERIC('12.34-'), PARSE_NUMERIC('1,2,,3,.45 + '), PARSE_NUMERIC('1.2345e-1 '), PARSE_BIGNUMERIC('123.45')", [(D("123.45"), D("12340000000000000000000000000"), D("1.012345679"), D("-12.34"), D("-12.34"), D("123.45"), D("0.12345"), D("123.45"))]),
    ('TIME and others as text', "SELECT CAST(DATE '2024-01-02' AS STRING), CAST(TIME '03:04:05.5' AS STRING), CAST(DATETIME '2024-01-02 03:04:05.123456' AS STRING), CAST(TIMESTAMP '2024-01-02 03:04:05.1+00' AS STRING), CAST(b'abc' AS STRING), CAST('abc' AS BYTES), CAST(DATETIME '2024-01-02 00:00:00' AS STRING)", [('2024-01-02', '03:04:05.500', '2024-01-02 03:04:05.123456', '2024-01-02 03:04:05.100+00', 'abc', b'abc', '2024-01-02 00:00:00')]),
    ('STRUCTs of types without names', "SELECT STRUCT<INT64>(1), STRUCT<INT64, STRING>(1, 'a'), CAST((1, 2) AS STRUCT<FLOAT64, NUMERIC>), ARRAY<STRUCT<INT64, STRING>>[(1, 'x')]", [({'_field_1': 1}, {'_field_1': 1, '_field_2': 'a'}, {'_field_1': 1.0, '_field_2': D("2")}, [{'_field_1': 1, '_field_2': 'x'}])]),
    ('aggregates of the rows with the greatest value', 'SELECT MAX(x HAVING MIN y), SUM(x HAVING MAX y), AVG(x HAVING MAX y), COUNT(x HAVING MAX y), AVG(CAST(x AS NUMERIC) HAVING MAX y) FROM UNNEST([STRUCT(1 AS x, 5 AS y), (2, 5), (9, 1)])', [(9, 3, 1.5, 2, D("1.5"))]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("SAFE. keeps an argument's error", 'SELECT SAFE.TIMESTAMP_SECONDS(DIV(x, 0)) FROM (SELECT 1 AS x)'),
    ('SAFE. keeps the error of a division in its argument', 'SELECT SAFE.LN(1 / (x - 1)) FROM (SELECT 1 AS x)'),
    ('SAFE. keeps the error of a cast in its argument', "SELECT SAFE.LN(CAST('x' AS FLOAT64))"),
    ('SAFE. keeps ERROR in its argument', "SELECT SAFE.PARSE_DATE('%F', ERROR('x'))"),
    ('IFERROR of one value', 'SELECT IFERROR(1)'),
    ('IFERROR of two types', "SELECT IFERROR(1, 'a')"),
    ('IF that reaches ERROR', "SELECT IF(TRUE, ERROR('boom'), 1)"),
    ('INT64 with an underscore', "SELECT CAST('1_000' AS INT64)"),
    ('FLOAT64 with an underscore', "SELECT CAST('1_000' AS FLOAT64)"),
    ('a DATE with slashes', "SELECT CAST('2024/01/02' AS DATE)"),
    ('epoch as a TIMESTAMP', "SELECT CAST('epoch' AS TIMESTAMP)"),
    ("24 o'clock", "SELECT CAST('24:00:00' AS TIME)"),
    ('NaN as NUMERIC', "SELECT CAST('nan' AS NUMERIC)"),
    ("a column's text that is no TIMESTAMP", "SELECT CAST(x AS TIMESTAMP) FROM UNNEST(['2024-01-01', 'x']) AS x"),
    ('PARSE_NUMERIC with a currency', "SELECT PARSE_NUMERIC('$1')"),
    ('PARSE_NUMERIC of two numbers', "SELECT PARSE_NUMERIC('1 2')"),
    ('a literal beyond FLOAT64', 'SELECT 1e400'),
    ('a text longer than its type', "SELECT CAST('abcdef' AS STRING(3))"),
]  # fmt: skip
