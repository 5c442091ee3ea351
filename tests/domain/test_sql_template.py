import re

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from server.domain.faults import Refused
from server.domain.sql_holes import read
from server.domain.sql_lexer import tokens
from server.domain.sql_proof import changing_names
from server.domain.sql_template import render_sql
from server.domain.sql_tree import parse, same_shape
from tests.domain.hostile import VALUES


def reasons(template: str, **values: str) -> list[str]:
    with pytest.raises(Refused) as caught:
        render_sql(template, values)
    return [fault.reason for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        pytest.param(
            "SELECT *\nFROM `{source_billing_table}`\nWHERE DATE(usage_start_time) = '{date}'",
            {
                "source_billing_table": "gac-prod-471220.cloudact_cost_usage.gcp_billing_export_v1",
                "date": "2025-11-18",
            },
            "SELECT *\nFROM `gac-prod-471220.cloudact_cost_usage.gcp_billing_export_v1`\n"
            "WHERE DATE(usage_start_time) = '2025-11-18'",
            id="the billing pipeline",
        ),
        pytest.param(
            "SELECT * FROM `{source_table}` WHERE DATE(created) = '{date}'",
            {"source_table": "billing_export", "date": "2025-01-01"},
            "SELECT * FROM `billing_export` WHERE DATE(created) = '2025-01-01'",
            id="the variables example",
        ),
        pytest.param(
            "SELECT * FROM {source_table} WHERE date = '{date}'",
            {"source_table": "billing_export", "date": "2025-01-01"},
            "SELECT * FROM billing_export WHERE date = '2025-01-01'",
            id="a bare table",
        ),
        pytest.param(
            "SELECT table_name FROM `{tenant_id}.__TABLES__`\nWHERE table_name LIKE 'x_meta_%'",
            {"tenant_id": "acme_corp"},
            "SELECT table_name FROM `acme_corp.__TABLES__`\nWHERE table_name LIKE 'x_meta_%'",
            id="metadata tables",
        ),
        pytest.param("SELECT '{{date}}' -- {{date}}", {}, "SELECT '{date}' -- {date}", id="escaped braces"),
        pytest.param("SELECT JSON '{\"a\": {}}'", {}, "SELECT JSON '{\"a\": {}}'", id="other braces"),
        pytest.param("SELECT 'open", {}, "SELECT 'open", id="no SQL, no variable"),
        pytest.param("WHERE = {n}", {"n": "1"}, "WHERE = 1", id="no SQL with a variable"),
        pytest.param("SELECT '{a}'", {"a": "{b}"}, "SELECT '{b}'", id="never expanded again"),
        pytest.param("SELECT '\\\\{a}'", {"a": "x"}, "SELECT '\\\\x'", id="after an escaped backslash"),
        pytest.param("SELECT '\\x41{a}'", {"a": "1"}, "SELECT '\\x411'", id="after a complete escape"),
    ],
)
def test_renders(template, values, expected):
    assert render_sql(template, values) == expected


@pytest.mark.parametrize("quote", ["'", '"', "'''", '"""', "b'", 'B"', "b'''"])
@pytest.mark.parametrize(
    "value",
    [
        "it's",
        'say "x"',
        "back\\slash",
        "\\",
        "a\nb\tc",
        "'''",
        '"""',
        "' OR 1=1 --",
        "*/",
        "`",
        "{{a}}",
        "",
        "naïve 😀",
    ],
)
def test_any_text_in_a_quoted_string_is_one_literal_with_that_text(quote, value):
    sql = render_sql(f"SELECT {quote}{{v}}{quote.lstrip('bB')} AS x", {"v": value})
    (select,) = sqlglot.parse(sql, read="bigquery")
    (literal,) = (column.this for column in select.expressions)
    assert isinstance(literal, exp.Literal | exp.ByteString)
    assert literal.name.encode("latin-1" if "b" in quote.lower() else "utf-8").decode() == value


BARE = [
    ("12", True),
    ("-3", True),
    ("1.5", True),
    (".5", True),
    ("1e5", True),
    ("-1.5E-3", True),
    ("true", True),
    ("FALSE", True),
    ("usage_date", True),
    ("_x1", True),
    ("date", True),
    ("NULL", False),
    ("select", False),
    ("Unnest", False),
    ("DESC", False),
    ("0x1F", False),
    ("+1", False),
    ("1.", False),
    ("- 1", False),
    ("--1", False),
    ("1;", False),
    ("1 OR 1=1", False),
    ("a b", False),
    ("a.b", False),
    ("a-b", False),
    ("'x'", False),
    ("`x`", False),
    ("f(x)", False),
    ("@x", False),
    ("1a", False),
    ("ünïcode", False),
    ("\uff11", False),
    ("", False),
    (" ", False),
    ("a\n", False),
    ("a/**/", False),
    ("9" * 200, False),
    ("a" * 301, False),
]


@pytest.mark.parametrize(("value", "right"), BARE, ids=[repr(value)[:20] for value, _ in BARE])
def test_bare(value, right):
    template = "SELECT * FROM t WHERE cost > {v}"
    if right:
        assert render_sql(template, {"v": value}) == f"SELECT * FROM t WHERE cost > {value}"
    else:
        assert reasons(template, v=value) == ["SQL_VALUE_NOT_ALLOWED"]


BACKTICKS = [
    ("t", True),
    ("ds.t", True),
    ("my-project-1.ds.t", True),
    ("ds.t_*", True),
    ("ds.t$20250101", True),
    ("p.region-us.INFORMATION_SCHEMA.JOBS", True),
    ("", False),
    (".", False),
    ("a..b", False),
    (".a", False),
    ("a.", False),
    ("a*b", False),
    ("*.b", False),
    ("a$1.b", False),
    ("a`b", False),
    ("a` JOIN x.y JOIN `b", False),
    ("a\\", False),
    ("a b", False),
    ("a:b.c", False),
    ("a\n", False),
    ("ä", False),
    ("a" * 2000, False),
]


@pytest.mark.parametrize(("value", "right"), BACKTICKS, ids=[repr(value)[:20] for value, _ in BACKTICKS])
def test_backticks(value, right):
    if right:
        assert render_sql("SELECT * FROM `{v}`", {"v": value}) == f"SELECT * FROM `{value}`"
    else:
        assert reasons("SELECT * FROM `{v}`", v=value) == ["SQL_VALUE_NOT_ALLOWED"]


@pytest.mark.parametrize(
    ("template", "values", "right"),
    [
        ("SELECT * FROM `{p}.{d}.t`", {"p": "my-project", "d": "ds"}, True),
        ("SELECT * FROM `{p}.{d}`.t", {"p": "my-project", "d": "ds"}, True),
        ("SELECT * FROM ds.t_{month}", {"month": "202511"}, True),
        ("SELECT * FROM ds.t_{month}_{day}", {"month": "11", "day": "18"}, True),
        ("SELECT b.{field} FROM {t} AS b", {"field": "cost", "t": "billing"}, True),
        ("SELECT DATE_TRUNC(d, {part}), EXTRACT({part} FROM d)", {"part": "WEEK"}, True),
        ("SELECT DATE_SUB(d, INTERVAL {n} {unit})", {"n": "-3", "unit": "MONTH"}, True),
        ("SELECT x - {n}", {"n": "-1"}, True),
        ("SELECT a FROM t WHERE b IN ({x}, {y}) LIMIT {n}", {"x": "1", "y": "-2", "n": "10"}, True),
        ("SELECT * FROM `{d}.`", {"d": "ds"}, False),
        ("SELECT x-{n}", {"n": "-1"}, False),
        ("SELECT {a}{b} FROM t", {"a": "SEL", "b": "ECT"}, False),
        ("SELECT {a}{b} FROM t", {"a": "1", "b": "e5"}, False),
        ("SELECT t.{a} FROM t", {"a": "5"}, False),
        ("SELECT {a}.x FROM t", {"a": "1"}, False),
        ("SELECT t{a} FROM t", {"a": ".5"}, False),
        ("SELECT t{a} FROM t", {"a": "-1"}, False),
        ("SELECT OF{a} FROM t", {"a": ""}, False),
        ("SELECT O{a} FROM t", {"a": "R"}, False),
    ],
)
def test_values_beside_other_text(template, values, right):
    if right:
        assert render_sql(template, values) == template.format(**values)
    else:
        assert set(reasons(template, **values)) == {"SQL_VALUE_NOT_ALLOWED"}


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("SELECT 1 -- {v}", id="line comment"),
        pytest.param("SELECT 1 # {v}", id="hash comment"),
        pytest.param("-- {v}", id="nothing but a comment"),
        pytest.param("SELECT 1 /* {v} */", id="block comment"),
        pytest.param("SELECT 1 /* /* */ + 1 /* {v} */", id="comments do not nest"),
        pytest.param("SELECT r'{v}'", id="raw"),
        pytest.param('SELECT R"""{v}"""', id="raw, triple"),
        pytest.param("SELECT rb'{v}'", id="raw bytes"),
        pytest.param("SELECT bR'{v}'", id="bytes raw"),
        pytest.param("SELECT '{v}", id="no end"),
        pytest.param("SELECT '{v}\n'", id="line ends first"),
        pytest.param("SELECT '\\'{v}", id="no end after an escaped quote"),
        pytest.param("SELECT '''{v}''", id="no end, triple"),
        pytest.param("SELECT `{v}", id="no end, backticks"),
        pytest.param("SELECT 1 /* {v}", id="no end, comment"),
        pytest.param("SELECT '\\{v}'", id="backslash before"),
        pytest.param("SELECT '\\\\\\{v}'", id="three backslashes before"),
        pytest.param("SELECT '\\x{v}'", id="hex escape"),
        pytest.param("SELECT '\\x4{v}'", id="half hex escape"),
        pytest.param("SELECT '\\u00e{v}'", id="unicode escape"),
        pytest.param("SELECT '\\U0001F60{v}'", id="long unicode escape"),
        pytest.param("SELECT '\\10{v}'", id="octal escape"),
        pytest.param("SELECT `a\\{v}`", id="backslash in backticks"),
        pytest.param("SELECT {v}(1)", id="function"),
        pytest.param("SELECT ns.{v} (1)", id="function in a namespace"),
        pytest.param("SELECT `{v}`(1)", id="function in backticks"),
        pytest.param("SELECT {v}.MERGE(x)", id="namespace of a function"),
        pytest.param("SELECT `a.{v}`.b /**/ . c (x)", id="path of a function"),
        pytest.param("SELECT {v}/**/(1)", id="function in front of a comment"),
        pytest.param("SELECT `{v}` -- x\n# y\n (1)", id="function in front of several comments"),
        pytest.param("SELECT @{v}", id="parameter"),
        pytest.param("SELECT @@{v}", id="system variable"),
        pytest.param("SELECT {v}'x'", id="prefix of a string"),
        pytest.param("SELECT 'x'{v}", id="after a string"),
        pytest.param("SELECT x'{v}'", id="word before a string"),
        pytest.param("SELECT '{v}''x'", id="quote after the string"),
        pytest.param("SELECT ''\"{v}\"", id="quote before the string"),
        pytest.param("SELECT `{v}``x`", id="backtick after the backticks"),
        pytest.param("SELECT 1{v}", id="after a number"),
        pytest.param("SELECT 0x{v}", id="hexadecimal number"),
        pytest.param("SELECT 1.{v}", id="after a point"),
        pytest.param("SELECT {v}.5", id="before a fraction"),
    ],
)
@pytest.mark.parametrize("value", ["", "x", "1", "r", "'", "\\"])
def test_positions_without_any_right_value(template, value):
    assert reasons(template, v=value) == ["SQL_POSITION_NOT_ALLOWED"]


@pytest.mark.parametrize(
    ("template", "value", "reason"),
    [
        ("SELECT {v} FROM t", "CURRENT_DATE", "SQL_VALUE_CHANGES_STATEMENT"),
        ("SELECT {v} FROM t", "CURRENT_USER", "SQL_VALUE_CHANGES_STATEMENT"),
        ("SELECT {v} '2020-01-01' FROM t", "DATE", "SQL_VALUE_CHANGES_STATEMENT"),
        ("SELECT {v} '1' FROM t", "NUMERIC", "SQL_VALUE_CHANGES_STATEMENT"),
        ("SELECT a {v} FROM t", "-1", "SQL_VALUE_CHANGES_STATEMENT"),
        ("SELECT * FROM a {v} JOIN b USING (x)", "STRAIGHT_JOIN", "SQL_VALUE_CHANGES_STATEMENT"),
        ("SELECT x FROM a {v} JOIN b USING (i)", "SEMI", "SQL_VALUE_CHANGES_STATEMENT"),
        ("SELECT x FROM a {v} JOIN b USING (i)", "CROSS", "SQL_VALUE_NOT_ALLOWED"),
        ("SELECT * {v} (a) FROM t", "EXCEPT", "SQL_POSITION_NOT_ALLOWED"),
        ("SELECT * FROM t {v} (SUM(a) FOR b IN ('c'))", "PIVOT", "SQL_POSITION_NOT_ALLOWED"),
        ("SELECT x[{v}(0)] FROM t", "OFFSET", "SQL_POSITION_NOT_ALLOWED"),
    ],
)
def test_values_that_are_more_than_a_leaf(template, value, reason):
    assert reasons(template, v=value) == [reason]


def test_only_the_variable_that_changes_the_statement_is_named():
    with pytest.raises(Refused) as caught:
        render_sql("SELECT {a}, {b} FROM `{t}` WHERE x = '{s}'", {"a": "cost", "b": "CURRENT_DATE", "t": "t", "s": ""})
    assert [(fault.reason, "{b}" in fault.message) for fault in caught.value.faults] == [
        ("SQL_VALUE_CHANGES_STATEMENT", True)
    ]


def test_all_faults_at_once_with_their_places():
    template = "SELECT {nobody}, r'{a}'\nFROM `{b}`\n  WHERE x > {c}"
    with pytest.raises(Refused) as caught:
        render_sql(template, {"a": "", "b": "x y", "c": "1;2"})
    found = [(fault.reason, re.findall(r"\d+:\d+", fault.message)[0]) for fault in caught.value.faults]
    assert found == [
        ("UNDEFINED_VARIABLE", "1:8"),
        ("SQL_POSITION_NOT_ALLOWED", "1:20"),
        ("SQL_VALUE_NOT_ALLOWED", "2:7"),
        ("SQL_VALUE_NOT_ALLOWED", "3:13"),
    ]


def test_a_nul_character_cannot_pass_for_a_variable():
    assert reasons("SELECT \0, {v}", v="1") == ["SQL_POSITION_NOT_ALLOWED"]


def test_half_a_surrogate_pair_is_no_text():
    assert reasons("SELECT '{v}'", v="\ud800") == ["SQL_VALUE_NOT_ALLOWED"]


def test_messages_show_only_a_part_of_a_value():
    with pytest.raises(Refused) as caught:
        render_sql("SELECT {v}", {"v": "s e c r e t" * 100})
    assert len(caught.value.faults[0].message) < 400


@pytest.mark.parametrize(
    ("template", "unescaped"),
    [
        ("SELECT '{v}', 1", "x', 'y"),
        ("SELECT '{v}'", "x\\"),
        ("SELECT '''{v}'''", "'"),
        ("SELECT * FROM `{v}`", "a` JOIN `b"),
        ("SELECT {v}", "1 -- x"),
        ("SELECT {v} FROM t", "/*"),
        ("SELECT {v}, 'x'", "'"),
    ],
)
def test_the_proof_by_tokens_does_not_rely_on_the_rules_for_values(template, unescaped):
    parsed = read(template)
    parsed.holes[0].value = unescaped
    assert changing_names(parsed) == ["v"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("SELECT a FROM t WHERE b = 'x'", "SELECT c FROM u WHERE d = 'y'", True),
        ("SELECT 1", "SELECT -2", True),
        ("SELECT DATE_TRUNC(d, MONTH)", "SELECT DATE_TRUNC(d, WEEK)", True),
        ("SELECT a", "SELECT a, b", False),
        ("SELECT a", "SELECT 'a'", False),
        ("SELECT a", "SELECT `a`", False),
        ("SELECT a", "SELECT a AS b", False),
        ("SELECT a", "SELECT DISTINCT a", False),
        ("SELECT a FROM t", "SELECT a FROM d.t", False),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a DESC", False),
        ("SELECT a UNION ALL SELECT b", "SELECT a UNION DISTINCT SELECT b", False),
        ("SELECT SUM(a)", "SELECT MAX(a)", False),
        ("SELECT a", "SELECT a; SELECT a", False),
    ],
)
def test_same_shape(one, other, same):
    assert same_shape(parse(one), parse(other)) is same


TEMPLATES = [
    "SELECT '{v}' AS x, y FROM t WHERE z = 'a'",
    'SELECT "{v}", "a" FROM t',
    "SELECT '''a'b{v}c''' FROM t",
    'SELECT """{v}""", 1',
    "SELECT b'{v}' AS x, 'y'",
    "SELECT x FROM `{v}` AS t WHERE a = 'b'",
    "SELECT x FROM `p.{v}.t` JOIN u USING (i)",
    "SELECT x FROM {v} AS t",
    "SELECT x, {v} FROM t",
    "SELECT x AS {v} FROM t",
    "SELECT * FROM t {v}",
    "SELECT a-{v} FROM t",
    "SELECT {v} - {v}, '{v}' FROM t",
    "SELECT x{v} FROM t ORDER BY x{v}",
    "SELECT a {v} b FROM t",
    "SELECT x FROM t WHERE y {v}",
    "SELECT x FROM t LIMIT {v}",
    "SELECT {v} 'x', y",
    "{v} x FROM t",
    "SELECT DATE_TRUNC(d, {v}) FROM t",
    "SELECT CAST(x AS {v}) FROM t",
    "SELECT x FROM t, UNNEST({v}) AS e",
    "SELECT x FROM a {v} JOIN b USING (i)",
]


def skeleton(sql: str) -> list[tuple[str, str]]:
    """Kind and text of every token, without what a value may fill: literals, names and their signs."""
    return [(token.kind, token.text if token.kind == "symbol" else token.prefix + token.quote) for token in tokens(sql)]


def shape(node: exp.Expr) -> object:
    """A tree's classes and edges, without leaves' texts; written apart from the product's own comparison."""
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
        node = node.this
    if isinstance(node, exp.WeekStart):
        return "leaf"
    if isinstance(node, exp.Literal | exp.Identifier | exp.Var | exp.Boolean | exp.ByteString):
        return "leaf"
    edges = {key: value for key, value in node.args.items() if value is not None and value != []}
    return type(node).__name__, {key: _edge(value) for key, value in edges.items()}


def _edge(value: object) -> object:
    if isinstance(value, exp.Expr):
        return shape(value)
    return [_edge(item) for item in value] if isinstance(value, list) else value


def reference(template: str, value: str) -> str:
    """The template with a harmless value of the kind that this value has."""
    number = re.fullmatch(r"-?[0-9.]+([eE][+-]?[0-9]+)?", value)
    boolean = value.upper() in ("TRUE", "FALSE")
    path = ".".join(part if part == "INFORMATION_SCHEMA" else "zz" for part in value.split("."))
    in_backticks = re.search(r"`[^`]*\{v\}[^`]*`", template)
    neutral = "7" if number and not in_backticks else "TRUE" if boolean and not in_backticks else path
    return re.sub(r"(['\"])\{v\}\1", r"\1zz\1", template).replace(
        "{v}", neutral if "`" in template else neutral or "zz"
    )


@settings(max_examples=500, deadline=None)
@given(template=st.sampled_from(TEMPLATES), value=VALUES)
def test_no_value_changes_more_than_its_leaf(template, value):
    try:
        sql = render_sql(template, {"v": value})
    except Refused:
        return
    neutral = reference(template, value) if "'''" not in template and '"""' not in template else template.format(v="zz")
    signs = [token for token in skeleton(sql) if token != ("symbol", "-")]
    expected = [token for token in skeleton(neutral) if token != ("symbol", "-")]
    word_like = {"word": "leaf", "number": "leaf"}
    assert [(word_like.get(kind, kind), text) for kind, text in signs] == [
        (word_like.get(kind, kind), text) for kind, text in expected
    ]
    assert trees(sql) == trees(neutral)


def trees(sql: str) -> object:
    try:
        return [shape(tree) for tree in sqlglot.parse(sql, read="bigquery") if tree]
    except sqlglot.errors.SqlglotError:
        return None


@settings(max_examples=500, deadline=None)
@given(value=VALUES, quote=st.sampled_from(["'", '"', "'''", '"""']))
def test_any_text_comes_back_out_of_its_string(value, quote):
    try:
        sql = render_sql(f"SELECT {quote}{{v}}{quote}, 1", {"v": value})
    except Refused:
        assert any("\ud800" <= character <= "\udfff" for character in value)
        return
    (select,) = sqlglot.parse(sql, read="bigquery")
    assert [column.name for column in select.expressions] == [value, "1"]
