"""Errors as values: SAFE., IFERROR and their like; operators in their order; casts of odd texts."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

D = Decimal


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


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
    ('NaN has no sign', "SELECT CAST(IEEE_DIVIDE(0, 0) AS STRING), FORMAT('%t', IEEE_DIVIDE(0, 0)), TO_JSON_STRING(IEEE_DIVIDE(0, 0)), FORMAT('%f', IEEE_DIVIDE(0, 0)), TO_JSON_STRING([IEEE_DIVIDE(-1, 0)])", [('nan', 'nan', '"NaN"', 'nan', '["-Infinity"]')]),
    ('other names of INT64', "SELECT CAST('7' AS INT), CAST(7.5 AS INTEGER), CAST('7' AS SMALLINT), CAST(TRUE AS TINYINT), CAST(7 AS BYTEINT), CAST('8' AS BIGINT), SAFE_CAST('x' AS INT), CAST('1.5' AS DECIMAL), CAST('0x10' AS INT)", [(7, 8, 7, 1, 7, 8, None, D("1.5"), 16)]),
    ('other names of INT64 inside types', 'SELECT ARRAY<INT>[1, 2], STRUCT<a INT, b DECIMAL>(1, 2), CAST([1] AS ARRAY<INTEGER>)', [([1, 2], {'a': 1, 'b': D("2")}, [1])]),
    ('IFERROR and SAFE. inside each other', 'SELECT IFERROR(IFERROR(DIV(SUM(x), 0), SUM(x)), 1), IFERROR(SAFE.DIV(SUM(x), 0), 5), SAFE.DIV(DIV(SUM(x), 1), COUNT(*)), IFERROR(DIV(10, SAFE.DIV(SUM(x), 3)), 7), SAFE.LN(IFERROR(SUM(x) / 0, 1.0)) FROM UNNEST([1, 2]) AS x', [(3, None, 1, 10, 0.0)]),
    ('columns with short names under SAFE.', 'SELECT SAFE.DIV(q, p), SAFE.DIV(q + 1, p - p), IFERROR(DIV(p, q), v), SAFE.LN(v0) FROM (SELECT 6 AS q, 2 AS p, 9 AS v, 1.0 AS v0)', [(3, None, 0, 0.0)]),
    ('SAFE. of many functions', "SELECT SAFE.SUBSTR(b'abc', 2), SAFE.LEFT('abc', -1), SAFE.REPEAT('a', -1), SAFE.CHR(-1), SAFE.FROM_HEX('zz'), SAFE.POW(-1.0, 0.5), SAFE.EXP(1000), SAFE.BOOL(JSON '1'), SAFE.REGEXP_CONTAINS('a', '('), SAFE.DATE_SUB(DATE '2024-01-31', INTERVAL 1 MONTH), SAFE.MOD(5, 0), SAFE.ROUND(2.5), SAFE.PARSE_TIME('%H', '25'), SAFE.PARSE_DATETIME('%F', 'z'), SAFE.STRING(JSON '1'), SAFE.FORMAT('%d', 1), SAFE.DATETIME(2024, 13, 1, 0, 0, 0), SAFE.TIME(25, 0, 0)", [(b'bc', None, None, None, None, None, None, None, None, date(2023, 12, 31), None, 3.0, None, None, None, '1', None, None)]),
    ('IFERROR and SAFE_CAST in aggregates', "SELECT SUM(IFERROR(CAST(x AS INT64), 0)), COUNT(SAFE_CAST(x AS INT64)), SUM(SAFE.PARSE_NUMERIC(x)) FROM UNNEST(['1', 'x', '2']) AS x", [(3, 2, D("3"))]),
    ('SAFE. of a computed text, row by row', "SELECT SAFE.PARSE_DATE('%Y%m%d', CONCAT(y, m, '01')) FROM UNNEST([STRUCT('2024' AS y, '05' AS m), ('20', 'x')]) ORDER BY 1", [(None,), (date(2024, 5, 1),)]),
    ('the last hour of a day; logarithms', 'SELECT TIME(23, 59, 59), DATETIME(2024, 1, 1, 23, 0, 0), LOG(8, 2), LOG(1, 5)', [(time(23, 59, 59), datetime(2024, 1, 1, 23), 3.0, 0.0)]),
    ('sketches count', 'SELECT HLL_COUNT.EXTRACT(HLL_COUNT.INIT(x)), HLL_COUNT.EXTRACT(HLL_COUNT.INIT(x, 10)), HLL_COUNT.EXTRACT(NULL) FROM UNNEST([1, 2, 2, NULL]) AS x', [(2, 2, 0)]),
    ('sketches merge', "SELECT HLL_COUNT.MERGE(s), HLL_COUNT.EXTRACT(HLL_COUNT.MERGE_PARTIAL(s)) FROM (SELECT HLL_COUNT.INIT(x) AS s FROM UNNEST(['a', 'b', 'b']) AS x UNION ALL SELECT HLL_COUNT.INIT(x) FROM UNNEST(['b', 'c']) AS x)", [(3, 3)]),
    ('sketches merge by group', "SELECT k, HLL_COUNT.MERGE(s) AS n FROM (SELECT k, d, HLL_COUNT.INIT(u) AS s FROM UNNEST([STRUCT('p' AS k, 1 AS d, 'x' AS u), ('p', 1, 'y'), ('p', 2, 'x'), ('q', 1, 'z')]) GROUP BY k, d) GROUP BY k ORDER BY k", [('p', 2), ('q', 1)]),
    ('sketches of nothing', 'SELECT HLL_COUNT.MERGE(CAST(NULL AS BYTES)), HLL_COUNT.INIT(CAST(NULL AS STRING)) FROM UNNEST([1])', [(0, None)]),
    ('times written by billing exports are parsed', "SELECT PARSE_TIMESTAMP('%Y-%m-%dT%H:%M:%SZ', '2024-01-01T10:00:00Z'), PARSE_TIMESTAMP('%Y-%m-%d %H:%M:%E6S', '2024-01-01 10:00:00.123456'), PARSE_DATE('%d/%m/%Y', '31/12/2024'), PARSE_DATE('%b %d, %Y', 'Jan 5, 2024'), PARSE_DATETIME('%Y%m%d%H%M%S', '20240101101112'), PARSE_TIMESTAMP('%Y-%m-%d %H:%M:%S%Ez', '2024-01-01 10:00:00+02:00')", [(utc(2024, 1, 1, 10), utc(2024, 1, 1, 10, 0, 0, 123456), date(2024, 12, 31), date(2024, 1, 5), datetime(2024, 1, 1, 10, 11, 12), utc(2024, 1, 1, 8))]),
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
    ('SAFE. before SUM', 'SELECT SAFE.SUM(1)'),
    ('SAFE. before MAX', 'SELECT SAFE.MAX(x + 1) FROM UNNEST([1]) AS x'),
    ('PARSE_JSON with an argument without a name', "SELECT PARSE_JSON('1', 'a')"),
    ('a day after the last one', "SELECT DATE_ADD(DATE '9999-12-31', INTERVAL 1 DAY)"),
    ('an hour after the last one', "SELECT TIMESTAMP_ADD(TIMESTAMP '9999-12-31 23:00:00+00', INTERVAL 2 HOUR)"),
    ('a day before the first one', "SELECT DATE '0001-01-01' - 1"),
    ('TO_JSON_STRING of nothing', 'SELECT TO_JSON_STRING()'),
    ('24 hours of a TIME', 'SELECT TIME(24, 0, 0)'),
    ('a logarithm to the base 0', 'SELECT LOG(2, 0)'),
    ('24 hours of a DATETIME', 'SELECT DATETIME(2024, 1, 1, 24, 0, 0)'),
    ('BYTES that are no sketch', "SELECT HLL_COUNT.EXTRACT(b'x')"),
    ('a sketch of FLOAT64', 'SELECT HLL_COUNT.INIT(1.5)'),
]  # fmt: skip
