"""Numbers on literal values: arithmetic, rounding, mathematical functions, bits."""

# ruff: noqa: E501 - one case a line reads better than four

import math
from decimal import Decimal
from typing import Any

D = Decimal
INF, NAN = math.inf, math.nan
F = "WITH f AS (SELECT CAST('nan' AS FLOAT64) AS nan, CAST('inf' AS FLOAT64) AS inf, CAST('-inf' AS FLOAT64) AS ninf)"

LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    # operators and their types
    ("arithmetic of integers", "SELECT 7 + 2, 7 - 9, 7 * -2, -7 / 2, 9223372036854775806 + 1, -9223372036854775808", [(9, -2, -14, -3.5, 2**63 - 1, -(2**63))]),
    ("arithmetic of mixed types", "SELECT 1 + NUMERIC '0.5', NUMERIC '0.5' * 2, NUMERIC '0.5' + 0.5, BIGNUMERIC '1.5' + NUMERIC '1', 2 * 0.5", [(D("1.5"), D(1), D(1), D("2.5"), 1.0)]),
    ("arithmetic with NULL", "SELECT 1 + NULL, NULL * 2.5, NULL / 0, -x, x - 1 FROM (SELECT CAST(NULL AS INT64) AS x)", [(None,) * 5]),
    ("NUMERIC is divided exactly", "SELECT NUMERIC '12345678901234567890.123456789' / 3, NUMERIC '1' / 7, NUMERIC '-2' / 3, 1 / NUMERIC '3', NUMERIC '0.000000001' / 2", [(D("4115226300411522630.041152263"), D("0.142857143"), D("-0.666666667"), D("0.333333333"), D("0.000000001"))]),
    ("BIGNUMERIC is divided exactly", "SELECT BIGNUMERIC '1' / 3", [(D("0.333333333333333333"),)]),
    ("great products of NUMERIC", "SELECT NUMERIC '1000000000000' * NUMERIC '1000000000000.5', NUMERIC '12345678901234567890' * NUMERIC '0.123456789'", [(D("1000000000000500000000000"), D("1524157875171467887.501905210"))]),
    ("NUMERIC rounds half away from zero in products", "SELECT NUMERIC '0.00005' * NUMERIC '0.00005', NUMERIC '-0.000000001' * NUMERIC '0.5'", [(D("0.000000003"), D("-0.000000001"))]),
    ("money of a table", "SELECT SUM(price * amount), SUM(price) / COUNT(*), AVG(price) FROM (SELECT NUMERIC '0.1' AS price, 3 AS amount UNION ALL SELECT NUMERIC '0.2', 4 UNION ALL SELECT NUMERIC '0.2', 0)", [(D("1.1"), D("0.166666667"), D("0.166666667"))]),
    ("infinity in arithmetic", f"{F} SELECT inf * 2, inf - inf, 1 / inf, inf + 1, ninf * 0, -inf FROM f", [(INF, NAN, 0.0, INF, NAN, -INF)]),
    ("NaN in arithmetic", f"{F} SELECT nan + 1, nan * 0, nan / 2, 1 - nan FROM f", [(NAN,) * 4]),
    ("a formula in GROUP BY and HAVING", "SELECT x * 1.5 AS y, COUNT(*) AS n FROM UNNEST([1, 2, 2]) AS x GROUP BY x * 1.5 HAVING SUM(x) * 1.0 / COUNT(*) > 1.5 ORDER BY x * 1.5", [(3.0, 2)]),
    ("a formula in a window", "SELECT x, SUM(x * 1.5) OVER (ORDER BY x * 2.0) / 2 AS s FROM UNNEST([1, 2]) AS x ORDER BY x", [(1, 0.75), (2, 2.25)]),
    ("a formula of subqueries", "SELECT (SELECT SUM(y * 1.5) FROM UNNEST([x, 2]) AS y) * 2.0 FROM UNNEST([1.0, 3.0]) AS x ORDER BY 1", [(9.0,), (15.0,)]),
    ("a long formula", "SELECT ((((x + 1) * 2.0 - 3) / 4 + 5) * 6 - 7) / 8.0 * 9 + x * x * x FROM UNNEST([1.0]) AS x", [(28.5625,)]),
    # SAFE
    ("SAFE_DIVIDE", "SELECT SAFE_DIVIDE(20, 4), SAFE_DIVIDE(0, 20), SAFE_DIVIDE(20, 0), SAFE_DIVIDE(0.0, 0.0), SAFE_DIVIDE(1e308, 1e-10), SAFE_DIVIDE(1, NULL)", [(5.0, 0.0, None, None, None, None)]),
    ("SAFE_DIVIDE of NUMERIC is exact", "SELECT SAFE_DIVIDE(NUMERIC '2', 3), SAFE_DIVIDE(1, NUMERIC '0'), SAFE_DIVIDE(NUMERIC '99999999999999999999999999999', NUMERIC '0.1')", [(D("0.666666667"), None, None)]),
    ("SAFE_ADD and others at the edge", "SELECT SAFE_ADD(9223372036854775807, 1), SAFE_SUBTRACT(-9223372036854775808, 1), SAFE_MULTIPLY(9223372036854775807, 2), SAFE_NEGATE(-9223372036854775808), SAFE_ADD(1, 2), SAFE_NEGATE(2.5)", [(None, None, None, None, 3, -2.5)]),
    ("SAFE_ADD and others of other types", "SELECT SAFE_ADD(NUMERIC '1.5', 1), SAFE_MULTIPLY(NUMERIC '1.5', 2), SAFE_SUBTRACT(1, 0.5), SAFE_MULTIPLY(1e308, 10.0), SAFE_ADD(NUMERIC '99999999999999999999999999999', 1)", [(D("2.5"), D(3), 0.5, None, None)]),
    ("IEEE_DIVIDE never fails", f"{F} SELECT IEEE_DIVIDE(20.0, 4.0), IEEE_DIVIDE(0.0, 25.0), IEEE_DIVIDE(25.0, 0.0), IEEE_DIVIDE(-25.0, 0.0), IEEE_DIVIDE(0.0, 0.0), IEEE_DIVIDE(nan, 0.0), IEEE_DIVIDE(inf, inf), IEEE_DIVIDE(1, NULL) FROM f", [(5.0, 0.0, INF, -INF, NAN, NAN, NAN, None)]),
    # whole numbers
    ("DIV", "SELECT DIV(20, 4), DIV(12, -7), DIV(20, 3), DIV(0, 20), DIV(NUMERIC '-7.5', 2), DIV(NULL, 1)", [(5, -1, 6, 0, D(-3), None)]),
    ("MOD", "SELECT MOD(25, 12), MOD(-25, 12), MOD(25, -12), MOD(NUMERIC '5.5', 2), MOD(NUMERIC '-5.5', NUMERIC '2'), MOD(1, NULL)", [(1, -1, 1, D("1.5"), D("-1.5"), None)]),
    ("ABS and SIGN", "SELECT ABS(-25), ABS(-2.5), ABS(NUMERIC '-2.5'), SIGN(25), SIGN(0), SIGN(-2.5), SIGN(NUMERIC '2.5'), ABS(NULL), SIGN(NULL)", [(25, 2.5, D("2.5"), 1, 0, -1.0, D(1), None, None)]),
    ("SIGN of NaN", f"{F} SELECT SIGN(nan), SIGN(ninf), ABS(ninf) FROM f", [(NAN, -1.0, INF)]),
    # rounding
    ("ROUND", "SELECT ROUND(2.0), ROUND(2.3), ROUND(2.8), ROUND(2.5), ROUND(-2.3), ROUND(-2.8), ROUND(-2.5), ROUND(0)", [(2.0, 2.0, 3.0, 3.0, -2.0, -3.0, -3.0, 0.0)]),
    ("ROUND to digits", "SELECT ROUND(123.7, -1), ROUND(1.235, 2), ROUND(123.987, -3), ROUND(1234, -2), ROUND(-1.25, 1)", [(120.0, 1.24, 0.0, 1200.0, -1.3)]),
    ("ROUND of infinity and NaN", f"{F} SELECT ROUND(nan), ROUND(inf), ROUND(ninf, 2), CEIL(nan), TRUNC(inf) FROM f", [(NAN, INF, -INF, NAN, INF)]),
    ("ROUND of NUMERIC", "SELECT ROUND(NUMERIC '2.345', 2), ROUND(NUMERIC '-2.345', 2), ROUND(NUMERIC '1250', -2), ROUND(NUMERIC '2.5'), ROUND(NUMERIC '2.345678', 20)", [(D("2.35"), D("-2.35"), D(1300), D(3), D("2.345678"))]),
    ("ROUND of NUMERIC to digits of a column", "SELECT ROUND(NUMERIC '123.456', n), TRUNC(NUMERIC '123.456', n) FROM UNNEST([-1, 0, 2]) AS n ORDER BY n", [(D(120), D(120)), (D(123), D(123)), (D("123.46"), D("123.45"))]),
    ("ROUND with a mode", "SELECT ROUND(NUMERIC '2.25', 1, 'ROUND_HALF_EVEN'), ROUND(NUMERIC '2.25', 1, 'ROUND_HALF_AWAY_FROM_ZERO'), ROUND(NUMERIC '-2.5', 0, 'ROUND_HALF_EVEN'), ROUND(NUMERIC '2.35', 1, 'ROUND_HALF_EVEN'), ROUND(BIGNUMERIC '0.5', 0, 'ROUND_HALF_EVEN')", [(D("2.2"), D("2.3"), D(-2), D("2.4"), D(0))]),
    ("TRUNC", "SELECT TRUNC(2.8), TRUNC(-2.8), TRUNC(7), TRUNC(1.789, 2), TRUNC(NUMERIC '-2.79', 1), TRUNC(189.5, -1)", [(2.0, -2.0, 7.0, 1.78, D("-2.7"), 180.0)]),
    ("CEIL and FLOOR", "SELECT CEIL(2.3), CEILING(-2.3), FLOOR(2.8), FLOOR(-2.3), CEIL(2), FLOOR(NUMERIC '-2.3'), CEIL(NUMERIC '2.000000001')", [(3.0, -2.0, 2.0, -3.0, 2.0, D(-3), D(3))]),
    # functions
    ("SQRT and CBRT", f"{F} SELECT SQRT(25.0), SQRT(inf), SQRT(0), CBRT(27), CBRT(-8.0), SQRT(NULL) FROM f", [(5.0, INF, 0.0, 3.0, -2.0, None)]),
    ("NUMERIC stays NUMERIC in functions", "SELECT SQRT(NUMERIC '2'), POW(NUMERIC '2', 10), POW(2, NUMERIC '-1'), EXP(NUMERIC '1'), LN(NUMERIC '10'), LOG10(NUMERIC '1000'), LOG(NUMERIC '8', 2), POW(NUMERIC '0', 0)", [(D("1.414213562"), D(1024), D("0.5"), D("2.718281828"), D("2.302585093"), D(3), D(3), D(1))]),
    ("POW", f"{F} SELECT POW(2.0, 3.0), POWER(-2, 3), POW(1.0, nan), POW(-2, -1), POW(nan, 0), POW(inf, -1), POW(0, 0), POW(2, NULL) FROM f", [(8.0, -8.0, 1.0, -0.5, 1.0, 0.0, 1.0, None)]),
    ("EXP, LN and LOG", f"{F} SELECT EXP(0.0), EXP(ninf), EXP(inf), LN(1.0), LN(inf), LOG(100.0, 10.0), LOG(8, 2), LOG(1), LOG10(100), LOG(NULL, 2) FROM f", [(1.0, 0.0, INF, 0.0, INF, 2.0, 3.0, 0.0, 2.0, None)]),
    ("sines and their like", "SELECT SIN(0), COS(0), TAN(0), ASIN(1), ACOS(1), ATAN(0), ATAN2(1, -1), SINH(0), COSH(0), TANH(0), ASINH(0), ACOSH(1), ATANH(0)", [(0.0, 1.0, 0.0, math.pi / 2, 0.0, 0.0, 3 * math.pi / 4, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)]),
    ("cotangents, secants, cosecants", "SELECT COT(1), COTH(1), CSC(1), CSCH(1), SEC(1), SECH(1)", [(1 / math.tan(1), 1 / math.tanh(1), 1 / math.sin(1), 1 / math.sinh(1), 1 / math.cos(1), 1 / math.cosh(1))]),
    ("sines of infinity", f"{F} SELECT SIN(inf), COS(ninf), TAN(nan), ATAN(inf), TANH(ninf), COSH(ninf), COTH(inf), ACOS(inf) FROM f", [(NAN, NAN, NAN, math.pi / 2, -1.0, INF, 1.0, NAN)]),
    ("IS_NAN and IS_INF", f"{F} SELECT IS_NAN(nan), IS_NAN(25), IS_INF(inf), IS_INF(ninf), IS_INF(25), IS_NAN(NULL) FROM f", [(True, False, True, True, False, None)]),
    ("ZEROIFNULL and NULLIFZERO", "SELECT ZEROIFNULL(NULL), ZEROIFNULL(2.5), NULLIFZERO(0), NULLIFZERO(0.0), NULLIFZERO(NUMERIC '3')", [(0, 2.5, None, None, D(3))]),
    ("RAND and GENERATE_UUID", "SELECT RAND() >= 0 AND RAND() < 1, LENGTH(GENERATE_UUID())", [(True, 36)]),
    ("COSINE_DISTANCE and EUCLIDEAN_DISTANCE", "SELECT COSINE_DISTANCE([1.0, 2.0], [3.0, 4.0]), EUCLIDEAN_DISTANCE([1.0, 2.0], [3.0, 4.0])", [(0.016130089900092459, 2.8284271247461903)]),
    # the greatest and the least
    ("GREATEST and LEAST", "SELECT GREATEST(3, 5, 1), LEAST(3, 5, 1), GREATEST(1, 2.5), LEAST(NUMERIC '1.5', 2), GREATEST('b', 'a'), LEAST(1, NULL)", [(5, 1, 2.5, D("1.5"), "b", None)]),
    ("GREATEST and LEAST of NaN", f"{F} SELECT GREATEST(1, nan), LEAST(1, nan, inf), LEAST(nan, NULL), GREATEST(inf, 1) FROM f", [(NAN, NAN, None, INF)]),
    ("GREATEST of one value and of truths", "SELECT GREATEST(7), LEAST(TRUE, FALSE), GREATEST(FALSE, TRUE)", [(7, False, True)]),
    # bits
    ("operators on bits", "SELECT 12 & 10, 12 | 10, 12 ^ 10, ~0, 5 & NULL, (1 | 2) & 3, 6 & 3 = 2", [(8, 14, 6, -1, None, 3, True)]),
    ("shifts", "SELECT 1 << 62, 1 << 63, 1 << 64, -1 >> 63, -8 >> 1, 8 >> 0, 8 >> 64, 3 << 1, NULL << 1", [(2**62, -(2**63), 0, 1, 2**63 - 4, 8, 0, 6, None)]),
    ("BIT_COUNT", "SELECT BIT_COUNT(5), BIT_COUNT(-1), BIT_COUNT(0), BIT_COUNT(NULL)", [(2, 64, 0, None)]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("INT64 overflow in a sum", "SELECT 9223372036854775807 + 1"),
    ("INT64 overflow in a difference", "SELECT -9223372036854775808 - 1"),
    ("INT64 overflow in a product", "SELECT 9223372036854775807 * 2"),
    ("minus of the least INT64", "SELECT -x FROM (SELECT -9223372036854775808 AS x)"),
    ("ABS of the least INT64", "SELECT ABS(-9223372036854775808)"),
    ("FLOAT64 overflow in a sum", "SELECT 1.7e308 + 1.7e308"),
    ("FLOAT64 overflow in a quotient", "SELECT 1e308 / 1e-10"),
    ("NUMERIC overflow in a sum", "SELECT NUMERIC '99999999999999999999999999999' + NUMERIC '1'"),
    ("NUMERIC overflow in a product", "SELECT NUMERIC '99999999999999999999' * NUMERIC '99999999999999999999'"),
    ("NUMERIC overflow in a quotient", "SELECT NUMERIC '99999999999999999999999999999' / NUMERIC '0.1'"),
    ("DIV by zero", "SELECT DIV(1, 0)"),
    ("MOD by zero", "SELECT MOD(1, 0)"),
    ("FLOAT64 by zero", "SELECT 1.5 / 0"),
    ("DIV of FLOAT64", "SELECT DIV(5.5, 2)"),
    ("MOD of FLOAT64", "SELECT MOD(5.5, 2)"),
    ("a number times a text", "SELECT 2 * '3'"),
    ("a number divided by a boolean", "SELECT 2 / TRUE"),
    ("minus of a date", "SELECT -(1 = 1)"),
    ("POW of a negative number and a fraction", "SELECT POW(-2, 0.5)"),
    ("POW of zero and a negative number", "SELECT POW(0, -1)"),
    ("POW of NUMERIC overflow", "SELECT POW(NUMERIC '10', 30)"),
    ("LN of a negative number", "SELECT LN(-1)"),
    ("LOG of base 1", "SELECT LOG(2, 1)"),
    ("LOG10 of zero", "SELECT LOG10(0)"),
    ("LN of NUMERIC zero", "SELECT LN(NUMERIC '0')"),
    ("SQRT of a negative NUMERIC", "SELECT SQRT(NUMERIC '-1')"),
    ("ACOS beyond 1", "SELECT ACOS(1.1)"),
    ("ASIN beyond 1", "SELECT ASIN(-1.1)"),
    ("ACOSH below 1", "SELECT ACOSH(0.5)"),
    ("ATANH of 1", "SELECT ATANH(1)"),
    ("COT of zero", "SELECT COT(0)"),
    ("CSCH of zero", "SELECT CSCH(0)"),
    ("SINH overflow", "SELECT SINH(1000)"),
    ("SQRT of text", "SELECT SQRT('4')"),
    ("ABS of text", "SELECT ABS('-1')"),
    ("CEIL of a date", "SELECT CEIL(DATE '2026-01-01')"),
    ("ROUND to a fraction of digits", "SELECT ROUND(1.5, 1.5)"),
    ("ROUND of FLOAT64 with a mode", "SELECT ROUND(2.5, 0, 'ROUND_HALF_EVEN')"),
    ("ROUND with an unknown mode", "SELECT ROUND(NUMERIC '2.5', 0, 'HALF_UP')"),
    ("GREATEST of a number and a text", "SELECT GREATEST(1, 'a')"),
    ("GREATEST of arrays", "SELECT GREATEST([1], [2])"),
    ("bits of FLOAT64", "SELECT 1.5 & 1"),
    ("a shift by a negative number", "SELECT 1 << -1"),
    ("IS_NAN of text", "SELECT IS_NAN('a')"),
    ("COSINE_DISTANCE of a zero vector", "SELECT COSINE_DISTANCE([0.0, 0.0], [3.0, 4.0])"),
    ("EUCLIDEAN_DISTANCE of different lengths", "SELECT EUCLIDEAN_DISTANCE([1.0], [3.0, 4.0])"),
    ("SAFE_DIVIDE of text", "SELECT SAFE_DIVIDE('1', 2)"),
]  # fmt: skip
