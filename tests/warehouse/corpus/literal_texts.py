"""Texts, bytes, casts and JSON beyond the ordinary: what BigQuery's function reference says of each."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import date
from decimal import Decimal
from typing import Any

LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    # texts
    ("SPLIT into letters", "SELECT SPLIT('abc', ''), SPLIT('', ','), SPLIT('a', ',')", [(["a", "b", "c"], [""], ["a"])]),
    ("INSTR from either end", "SELECT INSTR('banana', 'an', 3), INSTR('banana', 'an', -1, 2), INSTR('banana', 'x', 1, 1), INSTR('banana', 'an', 1, 3)", [(4, 2, 0, 0)]),
    ("INITCAP with own signs", "SELECT INITCAP('Apples1oranges2pears', '12'), INITCAP('it\\'s a_b c.d')", [("Apples1Oranges2Pears", "It's A_B C.D")]),
    ("regular expressions with a group", "SELECT REGEXP_EXTRACT_ALL('k=1;v=2', r'(\\w)='), REGEXP_EXTRACT('user@host', r'@(.+)$'), REGEXP_EXTRACT('a', r'(b)?a'), REGEXP_REPLACE('ab', r'(a)(b)', r'\\2\\1')", [(["k", "v"], "host", None, "ba")]),
    ("places of matches", "SELECT REGEXP_INSTR('ab@c-d@e', r'@'), REGEXP_INSTR('abc', r'x'), REGEXP_INSTR('abc', r'^a'), REGEXP_INSTR('xyzabc', r'[a-c]+')", [(3, 0, 1, 4)]),
    ("LIKE ANY and LIKE ALL", "SELECT 'abc' LIKE ANY ('x%', '%c'), 'abc' LIKE ALL ('a%', '%c'), 'abc' LIKE ALL ('a%', '%x'), 'a' LIKE ANY ('b', NULL)", [(True, True, False, None)]),
    ("texts of NULL", "SELECT INSTR(NULL, 'a', 1), INITCAP(NULL), TO_HEX(MD5(NULL)), REPEAT(NULL, 2), LEFT(NULL, 1), TRANSLATE(NULL, 'a', 'b'), SPLIT(NULL)", [(None, None, None, None, None, None, [])]),
    ("hashes of bytes", "SELECT TO_HEX(MD5(b'a')), TO_HEX(SHA512('')), LENGTH(SHA256('a'))", [("0cc175b9c0f1b6a831c399e269772661", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e", 32)]),
    ("bytes written and read", "SELECT FROM_BASE64('YWI='), TO_BASE64(b'\\x00\\xff'), FROM_HEX('0aFF'), TO_HEX(b'\\n'), b'a' = B'a'", [(b"ab", "AP8=", b"\n\xff", "0a", True)]),
    # casts
    ("casts between numbers and texts", "SELECT CAST('-12' AS INT64), CAST(' 7 ' AS INT64), CAST('1.5' AS NUMERIC), CAST('inf' AS FLOAT64), CAST(TRUE AS INT64), CAST(0 AS BOOL), CAST(-3 AS BOOL), CAST(FALSE AS STRING)", [(-12, 7, Decimal("1.5"), float("inf"), 1, False, True, "false")]),
    ("NUMERIC of a precision", "SELECT CAST('12.345' AS NUMERIC(4, 2)), CAST(2.5 AS NUMERIC(3)), SAFE_CAST('123.4' AS NUMERIC(4, 2))", [(Decimal("12.35"), Decimal(3), None)]),
    ("casts of bytes", "SELECT CAST('é' AS BYTES), CAST(b'\\xc3\\xa9' AS STRING), SAFE_CAST(b'\\xff' AS STRING)", [("é".encode(), "é", None)]),
    ("times as text", "SELECT CAST(DATETIME '2026-01-02 03:04:05.5' AS STRING), CAST(TIMESTAMP '2026-01-02 03:04:05.000001+00' AS STRING), CAST(TIME '03:04:05' AS STRING)", [("2026-01-02 03:04:05.500", "2026-01-02 03:04:05.000001+00", "03:04:05")]),
    # SAFE.
    ("SAFE. of columns", "SELECT SAFE.PARSE_DATE('%F', s), SAFE.LEFT(s, n), SAFE.PARSE_JSON(s) FROM (SELECT 'x' AS s, -1 AS n)", [(None, None, None)]),
    ("SAFE. lets what works through", "SELECT SAFE.PARSE_DATE('%F', s), SAFE.LEFT(s, 4) FROM (SELECT '2026-01-02' AS s)", [(date(2026, 1, 2), "2026")]),
    # JSON
    ("JSON paths", "SELECT JSON_VALUE(j, '$.a[1].b'), JSON_VALUE(j, \"$['c d']\"), JSON_QUERY(j, '$.a[0]'), JSON_VALUE(j, '$.x.y'), JSON_VALUE(j, '$.a[9]') FROM (SELECT '{\"a\": [{\"b\": 1}, {\"b\": \"z\"}], \"c d\": 2.5}' AS j)", [("z", "2.5", '{"b":1}', None, None)]),
    ("JSON of NULL and of what is none", "SELECT JSON_VALUE(NULL, '$.a'), JSON_QUERY('{', '$'), JSON_VALUE_ARRAY('{}'), TO_JSON_STRING(NULL), JSON_QUERY('null', '$')", [(None, None, [], "null", None)]),
    ("members of JSON", "SELECT INT64(j.a.b), STRING(j['c'][0]), j.nope IS NULL, JSON_VALUE(j.c[1]) FROM (SELECT JSON '{\"a\": {\"b\": 7}, \"c\": [\"x\", \"y\"]}' AS j)", [(7, "x", True, "y")]),
    ("LAX conversions", "SELECT LAX_INT64(JSON '\"12\"'), LAX_INT64(JSON '1.5'), LAX_FLOAT64(JSON 'true'), LAX_BOOL(JSON '\"TRUE\"'), LAX_BOOL(JSON '0'), LAX_STRING(JSON '5'), LAX_INT64(JSON 'true')", [(12, 2, None, True, False, "5", 1)]),
    ("values written as JSON", "SELECT TO_JSON_STRING(9007199254740993), TO_JSON_STRING(NUMERIC '1.50'), TO_JSON_STRING(1.0), TO_JSON_STRING(['a', 'é']), TO_JSON_STRING(STRUCT(DATE '2026-01-02' AS d, [1] AS n))", [('"9007199254740993"', '"1.5"', "1", '["a","é"]', '{"d":"2026-01-02","n":[1]}')]),
    ("a label map", "SELECT TO_JSON_STRING(STRUCT('env' AS key, 'prod' AS value)), JSON_VALUE(TO_JSON(STRUCT('env' AS key)), '$.key')", [('{"key":"env","value":"prod"}', "env")]),
    # FORMAT
    ("FORMAT with flags", "SELECT FORMAT('%+d|% d|%x|%X|%o', 5, 5, 255, 255, 8), FORMAT('%*d|%-5d|%.3s', 4, 7, 7, 'abcdef'), FORMAT('%e', 1234.5), FORMAT('%08.3f', -3.14159)", [("+5| 5|ff|FF|10", "   7|7    |abc", "1.234500e+03", "-003.142")]),
    ("FORMAT of NULL", "SELECT FORMAT('%d', NULL), FORMAT('%t', CAST(NULL AS STRING)), FORMAT('%s', CAST(NULL AS STRING))", [(None, "NULL", None)]),
    ("FORMAT as a literal", "SELECT FORMAT('%T', DATE '2026-01-02'), FORMAT('%T', [1, 2]), FORMAT('%t', NUMERIC '1.50'), FORMAT('%T', STRUCT(1, 'a'))", [('DATE "2026-01-02"', "[1, 2]", "1.5", '(1, "a")')]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("a number cast to a date", "SELECT CAST(1 AS DATE)"),
    ("a boolean cast to FLOAT64", "SELECT CAST(TRUE AS FLOAT64)"),
    ("a date cast to a number", "SELECT CAST(DATE '2026-01-01' AS INT64)"),
    ("an array cast to text", "SELECT CAST([1] AS STRING)"),
    ("more digits than NUMERIC(4, 2) has", "SELECT CAST('123.4' AS NUMERIC(4, 2))"),
    ("bytes that are no text", "SELECT CAST(b'\\xff' AS STRING)"),
    ("INITCAP of a number", "SELECT INITCAP(5)"),
    ("SPLIT of a number", "SELECT SPLIT(5)"),
    ("RIGHT of a negative length in a column", "SELECT RIGHT('abc', n) FROM (SELECT -1 AS n)"),
    ("an INSTR at zero", "SELECT INSTR('a', 'a', 0)"),
    ("text joined to a number", "SELECT 'a' || 1"),
    ("STRING of a JSON number", "SELECT STRING(JSON '1')"),
    ("INT64 of a JSON fraction", "SELECT INT64(JSON '1.5')"),
    ("JSON_VALUE of a number", "SELECT JSON_VALUE(5, '$.a')"),
    ("FORMAT of a text as a number", "SELECT FORMAT('%d', 'a')"),
    ("FORMAT with too few values", "SELECT FORMAT('%d %d', 1)"),
    ("FORMAT with too many values", "SELECT FORMAT('%d', 1, 2)"),
    ("a failing argument of SAFE. in a subquery", "SELECT SAFE.LEFT(s, 1) FROM (SELECT ERROR('no') AS s)"),
    ("three groups in REGEXP_EXTRACT_ALL", "SELECT REGEXP_EXTRACT_ALL('a', '(a)(b)(c)')"),
]  # fmt: skip
