"""BYTES, hashes, code points, normal forms, regular expressions by place, addresses: as BigQuery's reference has them."""

# ruff: noqa: E501 - one case a line reads better than four

from decimal import Decimal
from typing import Any

D = Decimal


LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    ('CHR', 'SELECT CHR(65), CHR(255), CHR(513), CHR(1024), CHR(97), CHR(0xF9B5), CHR(NULL), CHR(0)', [('A', 'ÿ', 'ȁ', 'Ѐ', 'a', '例', None, '')]),
    ('bytes of code points', 'SELECT CODE_POINTS_TO_BYTES([65, 98, 67, 100])', [(b'AbCd',)]),
    ('texts of code points', 'SELECT CODE_POINTS_TO_STRING([65, 255, 513, 1024]), CODE_POINTS_TO_STRING([97, 0, 0xF9B5]), CODE_POINTS_TO_STRING([65, 255, NULL, 1024])', [('AÿȁЀ', 'a例', None)]),
    ('CONTAINS_SUBSTR of any value', "SELECT CONTAINS_SUBSTR('the blue house', 'Blue house'), CONTAINS_SUBSTR('the red house', 'blue'), CONTAINS_SUBSTR('\\u2168 day', 'IX'), CONTAINS_SUBSTR((23, 35, 41), '35'), CONTAINS_SUBSTR(STRUCT('a' AS x, ['Blue', 'red'] AS y), 'blue'), CONTAINS_SUBSTR(['blue'], 'BLUE'), CONTAINS_SUBSTR(DATE '2024-01-02', '2024')", [(True, False, True, True, True, True, True)]),
    ('beginnings and ends of bytes', "SELECT ENDS_WITH('apple', 'e'), ENDS_WITH(b'apple', b'le'), STARTS_WITH('bar', 'b'), STARTS_WITH(b'bar', b'x')", [(True, True, True, False)]),
    ('EDIT_DISTANCE counts letters', "SELECT EDIT_DISTANCE('é', 'e'), EDIT_DISTANCE('', 'abc'), EDIT_DISTANCE(b'\\xc3\\xa9', b'e'), EDIT_DISTANCE('abcdefg', 'a', max_distance => 2), EDIT_DISTANCE('a', NULL)", [(1, 3, 2, 2, None)]),
    ('from base 16, 32 and 64', "SELECT FROM_BASE32('MFRGGZDF74======'), FROM_BASE64('/+A='), FROM_HEX('00010203AAEEEFFF'), FROM_HEX('0AF'), FROM_HEX('666f6f626172')", [(b'abcde\xff', b'\xff\xe0', b'\x00\x01\x02\x03\xaa\xee\xef\xff', b'\x00\xaf', b'foobar')]),
    ('to base 16, 32 and 64', "SELECT TO_BASE32(b'abcde\\xFF'), TO_BASE64(b'\\xFF\\xE0'), TO_HEX(b'\\x00\\x01\\x02\\x03\\xAA\\xEE\\xEF\\xFF'), TO_HEX(b'foobar')", [('MFRGGZDF74======', '/+A=', '00010203aaeeefff', '666f6f626172')]),
    ('INSTR of texts and bytes', "SELECT INSTR('banana', 'an', 1, 1), INSTR('banana', 'an', 1, 2), INSTR('banana', 'an', 1, 3), INSTR('banana', 'an', 3, 1), INSTR('banana', 'an', -1, 1), INSTR('banana', 'an', -3, 1), INSTR('banana', 'ann', 1, 1), INSTR('helloooo', 'oo', 1, 1), INSTR('helloooo', 'oo', 1, 2), INSTR(b'banana', b'an'), INSTR('a', NULL)", [(2, 4, 0, 4, 4, 4, 0, 5, 6, 2, None)]),
    ('LEFT and RIGHT of texts and bytes', "SELECT LEFT('banana', 3), LEFT('', 3), LEFT(b'banana', 3), LEFT('banana', 0), RIGHT('apple', 3), RIGHT(b'apple', 3), RIGHT('apple', 9)", [('ban', '', b'ban', '', 'ple', b'ple', 'apple')]),
    ('LOWER and UPPER of bytes are those of ASCII', "SELECT LOWER('FOO BAR BAZ'), UPPER('foo'), LOWER(b'FOO'), UPPER(b'foo'), LOWER(NULL)", [('foo bar baz', 'FOO', b'foo', b'FOO', None)]),
    ('LPAD of texts and bytes', "SELECT LPAD('abc', 5), LPAD('例子', 4), LPAD('abc', 8, 'def'), LPAD('abc', 5, '-'), LPAD('例子', 5, '中文'), LPAD('', 5), LPAD(b'abc', 5), LPAD(b'abc', 8, b'def'), LPAD('abc', 2), LPAD('abc', 0)", [('  abc', '  例子', 'defdeabc', '--abc', '中文中例子', '     ', b'  abc', b'defdeabc', 'ab', '')]),
    ('RPAD of texts and bytes', "SELECT RPAD('abc', 5, '-'), RPAD('abc', 5), RPAD(b'abc', 5, b'-'), RPAD('abc', 2)", [('abc--', 'abc  ', b'abc--', 'ab')]),
    ('TRIM takes all white space away', "SELECT LTRIM('   apple   '), LTRIM('***apple***', '*'), LTRIM('xxxapplexxx', 'xyz'), RTRIM('***apple***', '*'), RTRIM('applexxz', 'xyz'), TRIM('   apple   '), TRIM('***apple***', '*'), TRIM('xzxapplexxy', 'xyz'), TRIM(b'apple', b'na'), TRIM('\\t\\n apple \\u00a0'), LTRIM(b'xxa', b'x')", [('apple   ', 'apple***', 'applexxx', '***apple', 'apple', 'apple', 'apple', 'apple', b'pple', 'apple', b'a')]),
    ("Unicode's normal forms", "SELECT NORMALIZE('Raha-Mlais\\u0301'), NORMALIZE('\\u00ea') = NORMALIZE('\\u0065\\u0302'), NORMALIZE('\\u2168', NFKC), NORMALIZE_AND_CASEFOLD('The red barn') = NORMALIZE_AND_CASEFOLD('The Red Barn'), NORMALIZE_AND_CASEFOLD('\\u2168', NFKC), LENGTH(NORMALIZE('\\u00ea', NFD))", [('Raha-Mlaiś', True, 'IX', True, 'ix', 2)]),
    ('normal forms by name', "SELECT NORMALIZE('a\\u0301'), NORMALIZE_AND_CASEFOLD('\\u2168', NFKC), NORMALIZE('\\u00ea', NFD)", [('á', 'ix', 'ê')]),
    ('regular expressions in bytes', "SELECT REGEXP_CONTAINS('foo@example.com', r'@[a-zA-Z0-9-]+\\.[a-zA-Z0-9-.]+'), REGEXP_CONTAINS('www.example.net', r'@'), REGEXP_CONTAINS('a@foo.com', r'^([\\w.+-]+@foo\\.com|[\\w.+-]+@bar\\.org)$'), REGEXP_CONTAINS(b'abc', b'b')", [(True, False, True, True)]),
    ('matches by position and occurrence', "SELECT REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 1, 1), REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 1, 2), REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 1, 3), REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 1, 4), REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 2, 1), REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 3, 1), REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 3, 2), REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 3, 3), REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 20, 1), REGEXP_EXTRACT('cats&dogs&rabbits' ,'\\\\w+&', 1, 2), REGEXP_SUBSTR('Hello World Helloo', 'H?ello+', 1, 2)", [('Hello', 'Helloo', 'Hellooo', None, 'ello', 'Helloo', 'Hellooo', None, None, 'dogs&', 'Helloo')]),
    ('a group by occurrence', "SELECT REGEXP_EXTRACT('a1b22c3', r'([a-z])[0-9]', 1, 2), REGEXP_EXTRACT(b'abc', b'b'), REGEXP_EXTRACT('abc', NULL)", [('b', b'b', None)]),
    ('a column as a regular expression', "SELECT REGEXP_EXTRACT_ALL(t, p) FROM UNNEST([STRUCT('a1b2' AS t, '[0-9]' AS p)])", [(['1', '2'],)]),
    ('REGEXP_INSTR', "SELECT REGEXP_INSTR('ab@cd-ef', '@[^-]*'), REGEXP_INSTR('ab@d-ef', '@[^-]*'), REGEXP_INSTR('abc@cd-ef', '@[^-]*'), REGEXP_INSTR('abc-ef', '@[^-]*'), REGEXP_INSTR('a@cd-ef b@cd-ef', '@[^-]*', 1), REGEXP_INSTR('a@cd-ef b@cd-ef', '@[^-]*', 2), REGEXP_INSTR('a@cd-ef b@cd-ef', '@[^-]*', 3), REGEXP_INSTR('a@cd-ef b@cd-ef', '@[^-]*', 4), REGEXP_INSTR('a@cd-ef b@cd-ef c@cd-ef', '@[^-]*', 1, 1), REGEXP_INSTR('a@cd-ef b@cd-ef c@cd-ef', '@[^-]*', 1, 2), REGEXP_INSTR('a@cd-ef b@cd-ef c@cd-ef', '@[^-]*', 1, 3), REGEXP_INSTR('a@cd-ef', '@[^-]*', 1, 1, 0), REGEXP_INSTR('a@cd-ef', '@[^-]*', 1, 1, 1)", [(3, 3, 4, 0, 2, 2, 10, 10, 2, 10, 18, 2, 5)]),
    ('REGEXP_REPLACE', "SELECT REGEXP_REPLACE('# Heading', r'^# ([a-zA-Z0-9\\s]+$)', '<h1>\\\\1</h1>'), REGEXP_REPLACE('aXbX', 'X', ''), REGEXP_REPLACE('abc', '', 'x'), REGEXP_REPLACE('abab', '(a)(b)', r'\\2\\1'), REGEXP_REPLACE('abc', 'b', r'\\0\\0'), REGEXP_REPLACE(b'abc', b'b', b'x'), REGEXP_REPLACE('a.b', r'\\.', r'\\\\')", [('<h1>Heading</h1>', 'ab', 'xaxbxcx', 'baba', 'abbc', b'axc', 'a\\b')]),
    ('REPLACE in bytes', "SELECT REPLACE('apple pie', 'pie', 'cobbler'), REPLACE(b'abc', b'b', b'x'), REPLACE('abc', 'b', NULL)", [('apple cobbler', b'axc', None)]),
    ('REVERSE', "SELECT REVERSE('abc'), REVERSE(b'1a3'), REVERSE('é')", [('cba', b'3a1', 'é')]),
    ('bytes that are no text', "SELECT SAFE_CONVERT_BYTES_TO_STRING(b'\\xc2'), SAFE_CONVERT_BYTES_TO_STRING(b'abc')", [('�', 'abc')]),
    ('SOUNDEX', "SELECT SOUNDEX('Ashcraft'), SOUNDEX('Robert'), SOUNDEX('')", [('A261', 'R163', '')]),
    ('SPLIT of texts and bytes', "SELECT SPLIT('b c d', ' '), SPLIT('', ''), SPLIT('abc', ''), SPLIT(b'a,b', b','), SPLIT(NULL, ',')", [(['b', 'c', 'd'], [''], ['a', 'b', 'c'], [b'a', b'b'], [])]),
    ('STRPOS in bytes', "SELECT STRPOS('foo@example.com', '@'), STRPOS('quxexample', '@'), STRPOS(b'abc', b'c'), STRPOS('abc', '')", [(4, 0, 3, 1)]),
    ('SUBSTR of texts and bytes', "SELECT SUBSTR('apple', 2), SUBSTR('apple', 2, 2), SUBSTR('apple', -2), SUBSTR('apple', 1, 123), SUBSTR('apple', 123), SUBSTR('apple', 123, 5), SUBSTR(b'apple', 2, 2), SUBSTR('apple', 0, 2), SUBSTR('apple', -7, 3), SUBSTRING('apple', 2, 0), SUBSTR('apple', -2, 1), SUBSTR(b'apple', -2), SUBSTR(b'apple', 0)", [('pple', 'pp', 'le', 'apple', '', '', b'pp', 'ap', 'app', '', 'l', b'le', b'apple')]),
    ('code points of texts and bytes', "SELECT TO_CODE_POINTS('foo'), TO_CODE_POINTS('baz'), TO_CODE_POINTS(b'\\x00\\x01\\x10\\xff'), TO_CODE_POINTS('Ā'), TO_CODE_POINTS(b'Test')", [([102, 111, 111], [98, 97, 122], [0, 1, 16, 255], [256], [84, 101, 115, 116])]),
    ('TRANSLATE', "SELECT TRANSLATE('This is a cookie', 'sco', 'zku'), TRANSLATE(b'abc', b'a', b'x'), TRANSLATE('abc', 'abc', 'x')", [('Thiz iz a kuukie', b'xbc', 'x')]),
    ('UNICODE', "SELECT UNICODE('âbcd'), UNICODE('â'), UNICODE(''), UNICODE(NULL)", [(226, 226, 0, None)]),
    ('FARM_FINGERPRINT', "SELECT FARM_FINGERPRINT('1footrue'), FARM_FINGERPRINT('2applefalse'), FARM_FINGERPRINT('3true')", [(-1541654101129638711, 2794438866806483259, -4880158226897771312)]),
    ('LIKE of texts and bytes', "SELECT 'abc' LIKE 'a%', 'abc' NOT LIKE 'b%', 'a%c' LIKE 'a\\\\%c', 'abc' LIKE 'a_c', b'abc' LIKE b'a%', NULL LIKE 'a'", [(True, True, True, True, True, None)]),
    ('addresses of the internet', "SELECT NET.IP_FROM_STRING('48.49.50.51'), NET.IP_TO_STRING(b'0123'), NET.SAFE_IP_FROM_STRING('x'), NET.IPV4_TO_INT64(b'\\x00\\xde\\xad\\xbe'), NET.IPV4_FROM_INT64(0xdeadbe), NET.IP_TRUNC(b'\\x01\\x02\\x03\\x04', 24), NET.IP_NET_MASK(4, 8)", [(b'0123', '48.49.50.51', None, 14593470, b'\x00\xde\xad\xbe', b'\x01\x02\x03\x00', b'\xff\x00\x00\x00')]),
    ('hosts', "SELECT NET.HOST('https://a.b.example.com:8080/x?y#z'), NET.HOST('//user:pw@h.com/p'), NET.HOST('mail.google.com'), NET.HOST('   http://www.x.com  '), NET.HOST('')", [('a.b.example.com', 'h.com', 'mail.google.com', 'www.x.com', None)]),
    ('NULL arguments of texts', "SELECT SUBSTR('abc', NULL), SUBSTR('abc', 1, NULL), STRPOS(NULL, 'a'), SPLIT('a', NULL), LPAD('a', 3, NULL)", [(None, None, None, [], None)]),
    ('texts and bytes side by side', "SELECT BYTE_LENGTH(CONCAT('é', 'a')), REVERSE('e\\u0301'), SPLIT('a--b', '--'), LPAD('7', 3, '0'), LPAD(CAST(7 AS STRING), 3, '0'), SUBSTR(b'apple', -3, 2), TRIM(b'  a ', b' '), REGEXP_REPLACE(b'a1', b'[0-9]', b'#'), STARTS_WITH(b'ab', b'a')", [(3, '́e', ['a', 'b'], '007', '007', b'pl', b'a', b'a#', True)]),
    ('hashes of texts and bytes', "SELECT TO_HEX(SHA512('a')) = TO_HEX(SHA512(b'a')), SHA256(b'') = SHA256(''), MD5(CONCAT('a', 'b')) = MD5(b'ab')", [(True, True, True)]),
    ('bits of bytes', "SELECT 6 & 3, 6 | 3, 6 ^ 3, ~0, 1 << 2, -1 >> 60, 1 << 64, b'\\x0f' & b'\\x03', ~b'\\x0f', b'\\x01' << 1", [(2, 7, 5, -1, 4, 15, 0, b'\x03', b'\xf0', b'\x02')]),
    ('bits counted', "SELECT BIT_COUNT(7), BIT_COUNT(-1), BIT_COUNT(b'\\xff\\x01')", [(3, 64, 9)]),
    ('ARRAY_TO_STRING of bytes', "SELECT ARRAY_TO_STRING(['coffee', 'tea', 'milk'], '--'), ARRAY_TO_STRING(['cake', 'pie', NULL], '--', 'MISSING'), ARRAY_TO_STRING(['a', NULL], ','), ARRAY_TO_STRING([b'a', b'b'], b'-'), ARRAY_TO_STRING(CAST([] AS ARRAY<STRING>), ',')", [('coffee--tea--milk', 'cake--pie--MISSING', 'a', b'a-b', '')]),
    ('FORMAT of whole numbers', 'SELECT FORMAT(\'%d\', 10), FORMAT(\'|%10d|\', 11), FORMAT(\'+%010d+\', 12), FORMAT("%\'d", 123456789), FORMAT(\'%+d\', 5), FORMAT(\'% d\', 5), FORMAT(\'%x\', 255), FORMAT(\'%X\', 255), FORMAT(\'%#x\', 255), FORMAT(\'%o\', 8), FORMAT(\'%#o\', 8), FORMAT(\'%#X\', 255), FORMAT(\'%i\', 3)', [('10', '|        11|', '+0000000012+', '123,456,789', '+5', ' 5', 'ff', 'FF', '0xff', '10', '010', '0XFF', '3')]),
    ('FORMAT of FLOAT64', "SELECT FORMAT('%e', 392.65), FORMAT('%g', 392.65), FORMAT('%G', 392.65e-10), FORMAT('%g', 1e10), FORMAT('%g', 100000.0), FORMAT('%.3g', 1234.5), FORMAT('%#g', 1.0), FORMAT('%.0f', 2.5), FORMAT('%#.0f', 2.0), FORMAT('%5.1f|', 3.14159)", [('3.926500e+02', '392.65', '3.9265E-08', '1e+10', '100000', '1.23e+03', '1.00000', '2', '2.', '  3.1|')]),
    ('FORMAT of what is no number', "SELECT FORMAT('%f', CAST('inf' AS FLOAT64)), FORMAT('%F', CAST('-inf' AS FLOAT64)), FORMAT('%f', CAST('nan' AS FLOAT64)), FORMAT('%t', CAST('inf' AS FLOAT64)), FORMAT('%T', CAST('nan' AS FLOAT64)), FORMAT('%T', CAST('-inf' AS FLOAT64))", [('inf', '-INF', 'nan', 'inf', 'CAST("nan" AS FLOAT64)', 'CAST("-inf" AS FLOAT64)')]),
    ('FORMAT writes literals', "SELECT FORMAT('%T', 'x'), FORMAT('%T', b'x'), FORMAT('%T', 1), FORMAT('%T', 1.0), FORMAT('%T', NUMERIC '1.5'), FORMAT('%T', DATE '2024-01-02'), FORMAT('%T', TIMESTAMP '2024-01-02 03:04:05+00'), FORMAT('%T', DATETIME '2024-01-02 03:04:05'), FORMAT('%T', TIME '03:04:05'), FORMAT('%T', ['a', 'b']), FORMAT('%T', (1, 'a')), FORMAT('%T', NULL), FORMAT('%T', TRUE)", [('"x"', 'b"x"', '1', '1.0', 'NUMERIC "1.5"', 'DATE "2024-01-02"', 'TIMESTAMP "2024-01-02 03:04:05+00"', 'DATETIME "2024-01-02 03:04:05"', 'TIME "03:04:05"', '["a", "b"]', '(1, "a")', 'NULL', 'true')]),
    ('FORMAT prints any value', 'SELECT FORMAT(\'%t\', b\'x\'), FORMAT(\'%t\', NUMERIC \'1.50\'), FORMAT(\'%t\', \'x\'), FORMAT(\'%t\', NULL), FORMAT(\'%t\', [1, NULL]), FORMAT(\'%t\', STRUCT(1 AS a)), FORMAT(\'%T\', STRUCT(1 AS a)), FORMAT(\'%t\', [\'a\']), FORMAT(\'%T\', "it\'s"), FORMAT(\'%T\', \'say "x"\'), FORMAT(\'%T\', \'a\\nb\')', [('x', '1.5', 'x', 'NULL', '[1, NULL]', '(1)', 'STRUCT(1)', '[a]', '"it\'s"', '\'say "x"\'', '"a\\nb"')]),
    ('FORMAT of NULL, with widths from arguments, of JSON', 'SELECT FORMAT(\'%d\', CAST(NULL AS INT64)), FORMAT(\'%s\', CAST(NULL AS STRING)), FORMAT(\'%*d\', 5, 3), FORMAT(\'%.*f\', 1, 3.14), FORMAT(\'%p\', JSON \'{"a": 1}\'), FORMAT(\'%P\', JSON \'{"a": 1}\'), FORMAT(\'%5t|\', \'ab\'), FORMAT(\'%.1t\', \'ab\')', [(None, None, '    3', '3.1', '{"a":1}', '{\n  "a": 1\n}', '   ab|', 'a')]),
    ('FORMAT of NUMERIC', 'SELECT FORMAT(\'%.2f\', NUMERIC \'1234567890.125\'), FORMAT("%\'.2f", NUMERIC \'1234567890.125\'), FORMAT(\'%e\', NUMERIC \'1.5\'), FORMAT(\'%g\', NUMERIC \'1.5\'), FORMAT(\'%.0f\', NUMERIC \'2.5\')', [('1234567890.13', '1,234,567,890.13', '1.500000e+00', '1.5', '3')]),
    ('FORMAT with flags', "SELECT FORMAT('%d|%5.1f|%-6s|%06.2f|%+.1f|%x', 5, 2.25, 'ab', -1.5, 2.0, 255), FORMAT('%t', TIME '01:02:03.5'), FORMAT('%T', b'a\\x00'), FORMAT('%t', STRUCT(1 AS a, 'x' AS b, [1.5] AS c)), FORMAT('%g', NUMERIC '100000000')", [('5|  2.2|ab    |-01.50|+2.0|ff', '01:02:03.500', 'b"a\\x00"', '(1, x, [1.5])', '1e+08')]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ('FROM_HEX of other letters', "SELECT FROM_HEX('zz')"),
    ('LPAD below zero', "SELECT LPAD('abc', -1)"),
    ('LPAD with nothing', "SELECT LPAD('abc', 5, '')"),
    ('LOWER of a number', 'SELECT LOWER(1)'),
    ('STARTS_WITH of a text and bytes', "SELECT STARTS_WITH('a', b'a')"),
    ('TRIM of a number', 'SELECT TRIM(5)'),
    ('LPAD to a text', "SELECT LPAD('a', 'b')"),
    ('TO_HEX of a text', "SELECT TO_HEX('a')"),
    ('FROM_HEX of bytes', "SELECT FROM_HEX(b'a')"),
    ('an address that is none', "SELECT NET.IP_FROM_STRING('x')"),
    ('an address as a text', "SELECT NET.IP_TRUNC('a', 1)"),
    ('CHR below zero', 'SELECT CHR(-1)'),
]  # fmt: skip
