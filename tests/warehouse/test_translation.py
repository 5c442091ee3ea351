"""BigQuery SQL on the embedded warehouse: what a query gives, and what is refused."""

# ruff: noqa: E501 - one case a line reads better than four

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from server.domain.schema import DatasetRef, TableSpec
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import WarehouseError
from tests.warehouse.tables import PROJECT, column, spec, values

SOURCE = DatasetRef(PROJECT, "src")
_PAIRS = [column("key", "STRING"), column("value", "STRING")]
BILLING = spec(
    column("service", "RECORD", fields=[column("id", "STRING"), column("description", "STRING")]),
    column("project", "RECORD", fields=[column("id", "STRING"), column("labels", "RECORD", "REPEATED", _PAIRS)]),
    column("labels", "RECORD", "REPEATED", _PAIRS),
    column("credits", "RECORD", "REPEATED", [column("name", "STRING"), column("amount", "FLOAT64")]),
    column("usage_start_time", "TIMESTAMP"),
    column("cost", "FLOAT64"),
    column("price", "NUMERIC"),
    column("amount", "INT64"),
    column("currency", "STRING"),
)
ROWS: list[dict[str, Any]] = [
    {
        "service": {"id": "A", "description": "BigQuery"},
        "project": {"id": "p1", "labels": [{"key": "team", "value": "data"}]},
        "labels": [{"key": "env", "value": "prod"}, {"key": "app", "value": "web"}],
        "credits": [{"name": "promo", "amount": -1.5}, {"name": "free", "amount": -0.5}],
        "usage_start_time": "2025-11-17T23:30:00Z",
        "cost": 10.0,
        "price": "1.25",
        "amount": 3,
        "currency": "USD",
    },
    {
        "service": {"id": "B", "description": "Cloud SQL"},
        "project": {"id": "p2", "labels": []},
        "labels": [{"key": "env", "value": "dev"}],
        "credits": [],
        "usage_start_time": "2025-11-18T12:00:00Z",
        "cost": 4.0,
        "price": "0.5",
        "amount": 4,
        "currency": "EUR",
    },
    {
        "service": {"id": "A", "description": "BigQuery"},
        "project": None,
        "labels": [],
        "credits": [{"name": "promo", "amount": -2.0}],
        "usage_start_time": "2025-11-18T08:00:00Z",
        "cost": 2.0,
        "price": None,
        "amount": None,
        "currency": None,
    },
]


@pytest_asyncio.fixture(scope="module")
async def source(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedWarehouse]:
    """Three rows of a billing export, shared: these tests only read."""
    folder: Path = tmp_path_factory.mktemp("source")
    (folder / "rows.ndjson").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    opened = await EmbeddedWarehouse.open(folder / "w.duckdb", project=PROJECT)
    await opened.load_ndjson(folder / "rows.ndjson", SOURCE.table("billing"), BILLING)
    await opened.load_ndjson(folder / "rows.ndjson", DatasetRef(PROJECT, "other").table("billing"), BILLING)
    yield opened
    await opened.close()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def case(name: str, sql: str, *rows: tuple[Any, ...]) -> Any:
    return pytest.param(sql, list(rows), id=name)


NAMES = [
    case("struct field", "SELECT service.description FROM billing ORDER BY cost", ("BigQuery",), ("Cloud SQL",), ("BigQuery",)),
    case("struct field of an alias", "SELECT b.service.id FROM billing AS b WHERE b.cost = 4", ("B",)),
    case("backticks around the path", f"SELECT COUNT(*) FROM `{PROJECT}.src.billing`", (3,)),
    case("backticks around the parts", f"SELECT COUNT(*) FROM `{PROJECT}`.`src`.`billing`", (3,)),
    case("a project with dashes", f"SELECT COUNT(*) FROM {PROJECT}.src.billing", (3,)),
    case("dataset.table", "SELECT COUNT(*) FROM other.billing", (3,)),
    case("the table's name is its alias", "SELECT MAX(billing.cost) FROM src.billing", (10.0,)),
    case("a CTE hides a table", "WITH billing AS (SELECT 1 AS x) SELECT x FROM billing", (1,)),
    case("a CTE in any case", "WITH Daily AS (SELECT 1 AS x) SELECT x FROM dAILY", (1,)),
    case("a CTE reads the table it is named like", "WITH billing AS (SELECT cost FROM billing WHERE cost > 5) SELECT * FROM billing", (10.0,)),
    case("a qualified name is never a CTE", "WITH billing AS (SELECT 1 AS x) SELECT COUNT(*) FROM src.billing", (3,)),
    case("a CTE reads the one before", "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) SELECT * FROM b", (2,)),
    case("a CTE inside a subquery", "SELECT * FROM (WITH a AS (SELECT 1 AS x) SELECT x FROM a)", (1,)),
    case("column names in any case", "SELECT COST FROM billing WHERE Service.ID = 'B'", (4.0,)),
    case("GROUP BY prefers the alias", "SELECT DATE(usage_start_time) AS usage_start_time, SUM(cost) FROM billing GROUP BY usage_start_time ORDER BY 1", (date(2025, 11, 17), 10.0), (date(2025, 11, 18), 6.0)),
    case("GROUP BY an expression of a column with the alias' name", "SELECT UPPER(currency) AS currency, COUNT(*) FROM billing GROUP BY UPPER(currency) ORDER BY 1", (None, 1), ("EUR", 1), ("USD", 1)),
    case("ORDER BY prefers the alias", "SELECT -cost AS cost FROM billing ORDER BY cost", (-10.0,), (-4.0,), (-2.0,)),
    case("HAVING by alias", "SELECT service.id, SUM(cost) AS total FROM billing GROUP BY id HAVING total > 5", ("A", 12.0)),
    case("a correlated subquery", "SELECT cost FROM billing AS a WHERE cost = (SELECT MAX(b.cost) FROM billing AS b WHERE b.service.id = a.service.id) ORDER BY 1", (4.0,), (10.0,)),
]  # fmt: skip
ARRAYS = [
    case("alias is the element", "SELECT c.name, c.amount FROM billing, UNNEST(credits) AS c ORDER BY 2", ("promo", -2.0), ("promo", -1.5), ("free", -0.5)),
    case("alias named like the column", "SELECT SUM(credits.amount) FROM billing, UNNEST(credits) AS credits", (-4.0,)),
    case("fields of the element by themselves", "SELECT name FROM billing, UNNEST(credits) WHERE cost = 2", ("promo",)),
    case("sum in a subquery", "SELECT (SELECT SUM(c.amount) FROM UNNEST(credits) AS c) FROM billing ORDER BY cost", (-2.0,), (None,), (-2.0,)),
    case("sum of unqualified fields: the element hides the outer column", "SELECT (SELECT IFNULL(SUM(amount), 0) FROM UNNEST(credits)) FROM billing ORDER BY cost", (-2.0,), (0.0,), (-2.0,)),
    case("sum of a subquery's sums", "SELECT service.id, SUM(cost) + SUM(IFNULL((SELECT SUM(c.amount) FROM UNNEST(credits) c), 0)) AS net FROM billing GROUP BY 1 ORDER BY 1", ("A", 8.0), ("B", 4.0)),
    case("label by key", "SELECT (SELECT value FROM UNNEST(labels) WHERE key = 'env') AS env, cost FROM billing ORDER BY cost", (None, 2.0), ("dev", 4.0), ("prod", 10.0)),
    case("grouped and ordered by a subquery", "SELECT (SELECT value FROM UNNEST(labels) WHERE key = 'env') AS env, SUM(cost) FROM billing GROUP BY env ORDER BY env DESC", ("prod", 10.0), ("dev", 4.0), (None, 2.0)),
    case("label of the project", "SELECT (SELECT value FROM UNNEST(project.labels) WHERE key = 'team') FROM billing WHERE cost = 10", ("data",)),
    case("LEFT JOIN UNNEST keeps rows", "SELECT cost, l.key FROM billing LEFT JOIN UNNEST(labels) AS l ORDER BY 1, 2", (2.0, None), (4.0, "env"), (10.0, "app"), (10.0, "env")),
    case("LEFT JOIN UNNEST ON", "SELECT cost, l.value FROM billing LEFT JOIN UNNEST(labels) AS l ON l.key = 'app' ORDER BY 1", (2.0, None), (4.0, None), (10.0, "web")),
    case("path of an alias", "SELECT c.amount FROM billing AS b, b.credits AS c WHERE b.cost = 2", (-2.0,)),
    case("path without an alias", "SELECT credits.amount FROM billing AS b, b.credits WHERE b.cost = 2", (-2.0,)),
    case("CROSS JOIN UNNEST of a path", "SELECT COUNT(*) FROM billing AS b CROSS JOIN UNNEST(b.labels)", (3,)),
    case("two arrays", "SELECT l.key, c.name FROM billing, UNNEST(labels) AS l, UNNEST(credits) AS c ORDER BY 1, 2", ("app", "free"), ("app", "promo"), ("env", "free"), ("env", "promo")),
    case("array of a struct", "SELECT l.value FROM billing, UNNEST(project.labels) AS l", ("data",)),
    case("array of a CTE", "WITH b AS (SELECT credits AS cs FROM billing) SELECT SUM(c.amount) FROM b, UNNEST(cs) AS c", (-4.0,)),
    case("WITH OFFSET", "SELECT l.key, o FROM billing, UNNEST(labels) AS l WITH OFFSET AS o ORDER BY 1, 2", ("app", 1), ("env", 0), ("env", 0)),
    case("scalars", "SELECT x FROM UNNEST([3, 1, NULL]) AS x ORDER BY x", (None,), (1,), (3,)),
    case("literal structs", "SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b), (2, 'y')]) ORDER BY a", (1, "x"), (2, "y")),
    case("unnamed structs take the first one's names", "SELECT x.a, x.b FROM UNNEST([STRUCT(1 AS a, 'x' AS b), STRUCT(2, 'y')]) AS x ORDER BY a", (1, "x"), (2, "y")),
    case("IN UNNEST", "SELECT cost FROM billing WHERE service.id IN UNNEST(['B', 'C'])", (4.0,)),
    case("EXISTS", "SELECT cost FROM billing WHERE EXISTS (SELECT 1 FROM UNNEST(labels) WHERE key = 'env' AND value = 'dev')", (4.0,)),
    case("aggregate and GROUP BY of elements", "SELECT c.name, ROUND(SUM(c.amount), 2) AS total FROM billing, UNNEST(credits) AS c GROUP BY c.name ORDER BY total", ("promo", -3.5), ("free", -0.5)),
    case("ARRAY_LENGTH", "SELECT ARRAY_LENGTH(credits) FROM billing ORDER BY cost", (1,), (0,), (2,)),
    case("elements by place", "SELECT labels[OFFSET(1)].key, labels[ORDINAL(1)].key AS first, labels[SAFE_OFFSET(9)].key AS beyond FROM billing WHERE cost = 10", ("app", "env", None)),
    case("ARRAY of structs", "SELECT ARRAY(SELECT AS STRUCT value AS v FROM UNNEST(labels) ORDER BY value) FROM billing ORDER BY cost", ([],), ([{"v": "dev"}],), ([{"v": "prod"}, {"v": "web"}],)),
    case("ARRAY_AGG", "SELECT ARRAY_AGG(currency IGNORE NULLS ORDER BY cost DESC), ARRAY_AGG(cost ORDER BY cost LIMIT 2) FROM billing", (["USD", "EUR"], [2.0, 4.0])),
    case("ARRAY_AGG of nothing is empty", "SELECT ARRAY_AGG(cost) FROM billing WHERE FALSE", ([],)),
    case("STRING_AGG", "SELECT STRING_AGG(DISTINCT service.id, '/' ORDER BY service.id) FROM billing", ("A/B",)),
    case("dates", "SELECT d FROM UNNEST(GENERATE_DATE_ARRAY('2025-11-30', '2025-12-01')) AS d ORDER BY d", (date(2025, 11, 30),), (date(2025, 12, 1),)),
]  # fmt: skip
LISTS = [
    case("unnamed columns", "SELECT COUNT(*), MAX(cost) FROM billing", (3, 10.0)),
    case("EXCEPT", "SELECT * EXCEPT (service, project, labels, credits, usage_start_time, currency) FROM billing WHERE cost = 4", (4.0, Decimal("0.5"), 4)),
    case("REPLACE", "SELECT * REPLACE (n + 1 AS n) FROM (SELECT 1 AS n, 2 AS m)", (2, 2)),
    case("EXCEPT and REPLACE", "SELECT * EXCEPT (m) REPLACE (n + m AS n) FROM (SELECT 1 AS n, 2 AS m)", (3,)),
    case("star of an alias", "SELECT b.* FROM (SELECT 1 AS x) AS a, (SELECT 2 AS y) AS b", (2,)),
    case("star of a struct", "SELECT service.* FROM billing WHERE cost = 4", ("B", "Cloud SQL")),
    case("star of an element", "SELECT c.* FROM billing, UNNEST(credits) AS c WHERE cost = 2", ("promo", -2.0)),
    case("DISTINCT", "SELECT DISTINCT service.id FROM billing ORDER BY id", ("A",), ("B",)),
    case("DISTINCT ordered by what is not a column", "SELECT DISTINCT (SELECT SUM(c.amount) FROM UNNEST(credits) AS c) AS s FROM billing ORDER BY s DESC", (-2.0,), (None,)),
    case("UNION ALL", "SELECT 1 AS n UNION ALL SELECT 2 ORDER BY n DESC", (2,), (1,)),
    case("UNION of numbers", "SELECT 1 AS n UNION ALL SELECT 2.5 ORDER BY n", (1.0,), (2.5,)),
    case("EXCEPT DISTINCT", "SELECT service.id FROM billing EXCEPT DISTINCT SELECT 'A'", ("B",)),
    case("JOIN USING", "SELECT id, n FROM (SELECT service.id, cost FROM billing) JOIN (SELECT 'B' AS id, 7 AS n) USING (id)", ("B", 7)),
    case("star of JOIN USING", "SELECT * FROM (SELECT 1 AS id, 2 AS a) JOIN (SELECT 1 AS id, 3 AS b) USING (id)", (1, 2, 3)),
    case("LEFT JOIN", "SELECT a.x, b.y FROM UNNEST([1, 2]) AS x JOIN (SELECT 1 AS x) AS a ON a.x = x LEFT JOIN (SELECT 2 AS x, 3 AS y) AS b ON b.x = a.x", (1, None)),
    case("QUALIFY", "SELECT service.id, cost FROM billing QUALIFY ROW_NUMBER() OVER (PARTITION BY service.id ORDER BY cost DESC) = 1 ORDER BY 1", ("A", 10.0), ("B", 4.0)),
    case("QUALIFY by alias", "SELECT cost, RANK() OVER (ORDER BY cost) AS r FROM billing QUALIFY r <= 2 ORDER BY r", (2.0, 1), (4.0, 2)),
    case("a named window", "SELECT cost, SUM(cost) OVER w FROM billing WINDOW w AS (ORDER BY cost) ORDER BY 1", (2.0, 2.0), (4.0, 6.0), (10.0, 16.0)),
    case("a named window with its own frame", "SELECT cost, SUM(cost) OVER (w ROWS 1 PRECEDING) FROM billing WINDOW w AS (ORDER BY cost) ORDER BY 1", (2.0, 2.0), (4.0, 6.0), (10.0, 14.0)),
    case("LAG", "SELECT LAG(cost) OVER (ORDER BY cost) FROM billing ORDER BY cost", (None,), (2.0,), (4.0,)),
    case("GROUP BY ALL", "SELECT service.id, COUNT(*) FROM billing GROUP BY ALL ORDER BY 1", ("A", 2), ("B", 1)),
    case("ROLLUP", "SELECT service.id, SUM(cost) FROM billing GROUP BY ROLLUP(id) ORDER BY 1", (None, 16.0), ("A", 12.0), ("B", 4.0)),
    case("NULLs come first", "SELECT currency FROM billing ORDER BY currency", (None,), ("EUR",), ("USD",)),
    case("NULLs come last descending", "SELECT currency FROM billing ORDER BY currency DESC", ("USD",), ("EUR",), (None,)),
    case("NULLs first in windows", "SELECT currency, ROW_NUMBER() OVER (ORDER BY currency) FROM billing ORDER BY 2", (None, 1), ("EUR", 2), ("USD", 3)),
    case("LIMIT and OFFSET", "SELECT cost FROM billing ORDER BY cost LIMIT 1 OFFSET 1", (4.0,)),
    case("a struct", "SELECT STRUCT(service.id, cost AS c) AS s FROM billing WHERE cost = 4", ({"id": "B", "c": 4.0},)),
    case("a typed struct", "SELECT STRUCT<x INT64, y STRING>(1, 'a')", ({"x": 1, "y": "a"},)),
    case("two columns of one name inside", "SELECT x FROM (SELECT a.id, b.id, 1 AS x FROM (SELECT 1 AS id) AS a, (SELECT 2 AS id) AS b)", (1,)),
]  # fmt: skip
FUNCTIONS = [
    case("integer division is FLOAT64", "SELECT 1 / 2, 4 / 2", (0.5, 2.0)),
    case("NUMERIC stays NUMERIC", "SELECT price * price, price / 2, AVG(price) OVER (), ROUND(price * 10) FROM billing WHERE cost = 10", (Decimal("1.5625"), Decimal("0.625"), Decimal("1.25"), Decimal(13))),
    case("NUMERIC with FLOAT64", "SELECT price * cost FROM billing WHERE cost = 4", (2.0,)),
    case("SAFE_DIVIDE", "SELECT SAFE_DIVIDE(1, 0), SAFE_DIVIDE(1, 4)", (None, 0.25)),
    case("DIV and MOD", "SELECT DIV(-5, 2), MOD(-5, 2)", (-2, -1)),
    case("halves round away from zero", "SELECT ROUND(2.5), ROUND(-2.5), ROUND(1234.5, -2), CAST(2.5 AS INT64)", (3.0, -3.0, 1200.0, 3)),
    case("integers have 64 bits", "SELECT 2000000000 + 2000000000", (4_000_000_000,)),
    case("IFNULL COALESCE NULLIF IF", "SELECT IFNULL(NULL, 1), COALESCE(NULL, NULL, 2), NULLIF(3, 3), IF(1 > 2, 'a', 'b')", (1, 2, None, "b")),
    case("CASE", "SELECT CASE service.id WHEN 'A' THEN 1 ELSE 2 END, CASE WHEN cost > 5 THEN 'big' END FROM billing ORDER BY cost", (1, None), (2, None), (1, "big")),
    case("COUNTIF LOGICAL_OR ANY_VALUE", "SELECT COUNTIF(cost > 3), LOGICAL_OR(cost > 9), ANY_VALUE(service.id) FROM billing WHERE service.id = 'A'", (1, True, "A")),
    case("COUNT DISTINCT", "SELECT COUNT(DISTINCT service.id), COUNT(currency) FROM billing", (2, 2)),
    case("GREATEST with NULL", "SELECT GREATEST(1, 2), LEAST(1, NULL)", (2, None)),
    case("CONCAT with NULL", "SELECT CONCAT('a', 'b'), CONCAT('a', NULL), 'a' || 'b'", ("ab", None, "ab")),
    case("strings", "SELECT UPPER('ä'), LENGTH('äö'), TRIM('  x '), REPLACE('aXa', 'X', '-'), STARTS_WITH('abc', 'ab'), STRPOS('abc', 'c'), LPAD('7', 3, '0'), LEFT('abc', 2)", ("Ä", 2, "x", "a-a", True, 3, "007", "ab")),
    case("SUBSTR", "SELECT SUBSTR('abc', 2), SUBSTR('abc', 0, 2), SUBSTR('abc', -2, 1)", ("bc", "ab", "b")),
    case("SPLIT", "SELECT SPLIT('a,b'), SPLIT('a/b', '/')[SAFE_OFFSET(1)]", (["a", "b"], "b")),
    case("regular expressions", "SELECT REGEXP_CONTAINS('abc', r'b.'), REGEXP_EXTRACT('a-12', r'(\\d+)'), REGEXP_EXTRACT('a', r'\\d'), REGEXP_REPLACE('a1b2', r'\\d', '')", (True, "12", None, "ab")),
    case("LIKE with an escaped wildcard", r"SELECT 'a_b' LIKE 'a\\_b', 'axb' LIKE 'a\\_b', 'a%' LIKE r'a\%', 'ab' LIKE r'a\%'", (True, False, True, False)),
    case("NOT LIKE", "SELECT 'ab' NOT LIKE 'a%', 'b' NOT LIKE 'a%'", (False, True)),
    case("SUM over a window", "SELECT SUM(x) OVER (ORDER BY x) FROM UNNEST([1, 2, 3]) AS x ORDER BY 1", (1,), (3,), (6,)),
    case("LIKE and IN", "SELECT cost FROM billing WHERE service.description LIKE 'Cloud%' AND service.id IN ('A', 'B')", (4.0,)),
    case("quotes and backslashes", "SELECT 'it\\'s', r'a\\b', \"x\"", ("it's", "a\\b", "x")),
    case("CAST to STRING", "SELECT CAST(1.0 AS STRING), CAST(NUMERIC '100.50' AS STRING), CAST(NUMERIC '100' AS STRING), CAST(TRUE AS STRING), CAST(TIMESTAMP '2025-11-18' AS STRING)", ("1", "100.5", "100", "true", "2025-11-18 00:00:00+00")),
    case("SAFE_CAST", "SELECT SAFE_CAST('x' AS INT64), SAFE_CAST('12' AS INT64), CAST('1.5' AS NUMERIC), CAST('2025-11-18' AS DATE)", (None, 12, Decimal("1.5"), date(2025, 11, 18))),
]  # fmt: skip
DATES = [
    case("DATE is in UTC", "SELECT DATE(usage_start_time) FROM billing WHERE cost = 10", (date(2025, 11, 17),)),
    case("DATE in a zone", "SELECT DATE(usage_start_time, 'Europe/Berlin') FROM billing WHERE cost = 10", (date(2025, 11, 18),)),
    case("DATE against a literal", "SELECT SUM(cost) FROM billing WHERE DATE(usage_start_time) = '2025-11-18'", (6.0,)),
    case("a range of timestamps", "SELECT SUM(cost) FROM billing WHERE usage_start_time >= TIMESTAMP('2025-11-18') AND usage_start_time < '2025-11-18 10:00:00'", (2.0,)),
    case("today", "SELECT CURRENT_DATE() = DATE(CURRENT_TIMESTAMP()), DATE_SUB(CURRENT_DATE(), INTERVAL 1 DAY) < CURRENT_DATE()", (True, True)),
    case("DATE_TRUNC", "SELECT DATE_TRUNC(DATE '2025-11-18', MONTH), DATE_TRUNC(DATE '2025-11-18', WEEK), DATE_TRUNC(DATE '2025-11-18', WEEK(MONDAY)), DATE_TRUNC(DATE '2025-11-18', QUARTER)", (date(2025, 11, 1), date(2025, 11, 16), date(2025, 11, 17), date(2025, 10, 1))),
    case("weeks begin on Sunday", "SELECT DATE_TRUNC(DATE '2025-11-16', WEEK), DATE_TRUNC(DATE '2025-11-16', ISOWEEK), DATE_TRUNC(DATE '2025-11-15', WEEK(SATURDAY))", (date(2025, 11, 16), date(2025, 11, 10), date(2025, 11, 15))),
    case("TIMESTAMP_TRUNC", "SELECT TIMESTAMP_TRUNC(usage_start_time, DAY), TIMESTAMP_TRUNC(usage_start_time, DAY, 'Europe/Berlin') FROM billing WHERE cost = 10", (at("2025-11-17"), at("2025-11-17T23:00:00"))),
    case("other weeks", "SELECT TIMESTAMP_TRUNC(TIMESTAMP '2025-11-18', WEEK), DATETIME_TRUNC(DATETIME '2025-11-16', WEEK(MONDAY)), DATETIME_DIFF(DATETIME '2025-11-16', DATETIME '2025-11-15', WEEK)", (at("2025-11-16"), datetime(2025, 11, 10), 1)),
    case("EXTRACT", "SELECT EXTRACT(YEAR FROM d), EXTRACT(DAYOFWEEK FROM d), EXTRACT(WEEK FROM d), EXTRACT(ISOWEEK FROM d), EXTRACT(DAYOFYEAR FROM d) FROM (SELECT DATE '2025-11-16' AS d)", (2025, 1, 46, 46, 320)),
    case("EXTRACT of a timestamp", "SELECT EXTRACT(HOUR FROM usage_start_time), EXTRACT(HOUR FROM usage_start_time AT TIME ZONE 'Europe/Berlin'), EXTRACT(DATE FROM usage_start_time) FROM billing WHERE cost = 10", (23, 0, date(2025, 11, 17))),
    case("EXTRACT parts of a second", "SELECT EXTRACT(SECOND FROM t), EXTRACT(MILLISECOND FROM t), EXTRACT(MICROSECOND FROM t) FROM (SELECT TIMESTAMP '2025-11-18 10:00:05.123456' AS t)", (5, 123, 123456)),
    case("DATE_ADD", "SELECT DATE_ADD(DATE '2025-01-31', INTERVAL 1 MONTH), DATE_SUB('2025-03-01', INTERVAL 2 DAY), DATE_ADD(DATE '2025-01-01', INTERVAL 1 WEEK)", (date(2025, 2, 28), date(2025, 2, 27), date(2025, 1, 8))),
    case("TIMESTAMP_ADD", "SELECT TIMESTAMP_ADD(usage_start_time, INTERVAL 30 MINUTE) FROM billing WHERE cost = 10", (at("2025-11-18"),)),
    case("DATE_DIFF", "SELECT DATE_DIFF('2025-11-16', '2025-11-15', WEEK), DATE_DIFF('2025-11-16', '2025-11-15', ISOWEEK), DATE_DIFF(DATE '2025-03-01', DATE '2025-02-28', MONTH), DATE_DIFF('2025-11-01', '2025-11-03', DAY)", (1, 0, 1, -2)),
    case("TIMESTAMP_DIFF counts whole units", "SELECT TIMESTAMP_DIFF(TIMESTAMP '2025-11-18', TIMESTAMP '2025-11-17 00:30:00', HOUR)", (23,)),
    case("FORMAT_DATE", "SELECT FORMAT_DATE('%Y-%m', DATE(usage_start_time)), FORMAT_DATE('%A', '2025-11-18') FROM billing WHERE cost = 10", ("2025-11", "Tuesday")),
    case("FORMAT_TIMESTAMP", "SELECT FORMAT_TIMESTAMP('%F %T', usage_start_time), FORMAT_TIMESTAMP('%F %H', usage_start_time, 'Europe/Berlin') FROM billing WHERE cost = 10", ("2025-11-17 23:30:00", "2025-11-18 00")),
    case("PARSE_DATE", "SELECT PARSE_DATE('%Y%m%d', '20251118'), PARSE_TIMESTAMP('%F %T', '2025-11-18 10:00:00')", (date(2025, 11, 18), at("2025-11-18T10:00:00"))),
    case("DATETIME", "SELECT DATETIME(usage_start_time, 'Europe/Berlin') FROM billing WHERE cost = 10", (datetime(2025, 11, 18, 0, 30),)),
    case("LAST_DAY", "SELECT LAST_DAY(DATE '2024-02-03'), DATE(2025, 1, 2)", (date(2024, 2, 29), date(2025, 1, 2))),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), [*NAMES, *ARRAYS, *LISTS, *FUNCTIONS, *DATES])
async def test_query(source: EmbeddedWarehouse, sql: str, expected: list[tuple[Any, ...]]) -> None:
    found = await values(source, SOURCE, sql)

    assert found == expected
    assert [[type(value) for value in row] for row in found] == [[type(value) for value in row] for row in expected]


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        pytest.param("SELECT cost, service.id, 1, b.currency AS cur, 2 FROM billing AS b", ("cost", "id", "f0_", "cur", "f1_"), id="list"),
        pytest.param("SELECT * FROM (SELECT 1 AS a, 2) JOIN (SELECT 1 AS a, 3 AS b) USING (a)", ("a", "f0_", "b"), id="star"),
    ],
)  # fmt: skip
async def test_columns_have_the_names_of_bigquery(
    source: EmbeddedWarehouse, sql: str, columns: tuple[str, ...]
) -> None:
    assert (await source.query(sql, default_dataset=SOURCE)).columns == columns


def refused(name: str, sql: str, reason: str, words: str) -> Any:
    return pytest.param(sql, reason, words, id=name)


@pytest.mark.parametrize(
    ("sql", "reason", "words"),
    [
        refused("unknown column", "SELECT cost,\n costs FROM billing", "INVALID_QUERY", "Unrecognized name: costs; did you mean cost? at line 2, column 2"),
        refused("unknown column of USING", "SELECT 1 FROM billing JOIN other.billing AS b USING (costs)", "INVALID_QUERY", "Unrecognized name: costs; did you mean cost? at line 1, column 54"),
        refused("unknown FROM item before a star", "SELECT 1, b.* FROM billing", "INVALID_QUERY", "Unrecognized name: b at line 1, column 11"),
        refused("unknown column of an alias", "SELECT b.costs FROM billing AS b", "INVALID_QUERY", "costs not found inside b"),
        refused("a sum beyond INT64", "SELECT SUM(x) FROM UNNEST([9223372036854775807, 1]) AS x", "INVALID_QUERY", "out of range"),
        refused("a lone escape", r"SELECT 'a' LIKE 'a\\'", "INVALID_QUERY", "escape character"),
        refused("unknown field", "SELECT service.name FROM billing", "INVALID_QUERY", "name does not exist in service; it has id, description"),
        refused("field of an array", "SELECT credits.amount FROM billing", "INVALID_QUERY", "credits, which is an array; use UNNEST"),
        refused("field of a scalar", "SELECT cost.x FROM billing", "INVALID_QUERY", "cost, which is FLOAT64"),
        refused("ambiguous column", "SELECT cost FROM billing AS a, other.billing AS b", "INVALID_QUERY", "cost is ambiguous"),
        refused("ambiguous field", "SELECT key FROM billing, UNNEST(labels), UNNEST(project.labels)", "INVALID_QUERY", "key is ambiguous"),
        refused("alias in WHERE", "SELECT cost AS c FROM billing WHERE c > 1", "INVALID_QUERY", "Unrecognized name: c"),
        refused("two result columns of one name", "SELECT cost, cost FROM billing", "INVALID_QUERY", "same name: cost"),
        refused("UNNEST of a scalar", "SELECT 1 FROM billing, UNNEST(cost)", "INVALID_QUERY", "UNNEST needs an array"),
        refused("number against text", "SELECT 1 FROM billing WHERE cost = currency", "INVALID_QUERY", "FLOAT64 with STRING"),
        refused("number against a text literal", "SELECT 1 FROM billing WHERE cost = '4'", "INVALID_QUERY", "FLOAT64 with STRING"),
        refused("UNION of other types", "SELECT 1 AS a UNION ALL SELECT 'x'", "INVALID_QUERY", "column 1 of UNION"),
        refused("UNION of other widths", "SELECT 1 AS a UNION ALL SELECT 1, 2", "INVALID_QUERY", "1 and 2 columns"),
        refused("EXCEPT of an unknown column", "SELECT * EXCEPT (nope) FROM billing", "INVALID_QUERY", "no column nope"),
        refused("index beyond the array", "SELECT labels[OFFSET(9)] FROM billing", "INVALID_QUERY", "out of bounds"),
        refused("a subquery of two columns", "SELECT (SELECT 1, 2)", "INVALID_QUERY", "1 column, not 2"),
        refused("syntax", "SELECT FROM WHERE", "INVALID_QUERY", "not BigQuery SQL"),
        refused("not a query", "DELETE FROM billing WHERE TRUE", "INVALID_QUERY", "exactly one SELECT"),
        refused("two statements", "SELECT 1; SELECT 2", "INVALID_QUERY", "exactly one SELECT"),
        refused("functions without translation, all named", "SELECT SEARCH('a', 'b'), LIST_SORT([1]), my_udf(1)", "UNSUPPORTED_SQL", "the function SEARCH at line 1, column 8, the function LIST_SORT at line 1, column 26, the function MY_UDF at line 1"),
        refused("a function of a dataset", "SELECT src.f(1)", "UNSUPPORTED_SQL", "the function SRC.F"),
        refused("structs of other numbers of fields in an array", "SELECT [STRUCT(1 AS a), STRUCT(2, 3)]", "INVALID_QUERY", "STRUCTs of different fields cannot become one"),
        refused("PIVOT of a value without a name", "SELECT * FROM billing PIVOT(SUM(cost) FOR currency IN (DATE '2026-01-01'))", "UNSUPPORTED_SQL", "of PIVOT without a name (... AS name) at line 1, column 61"),
        refused("PIVOT without an aggregate", "SELECT * FROM billing PIVOT(ROUND(cost) FOR currency IN ('USD'))", "INVALID_QUERY", "PIVOT needs an aggregate"),
        refused("UNPIVOT of an unknown column", "SELECT * FROM billing UNPIVOT(v FOR k IN (cost, nope))", "INVALID_QUERY", "no column nope at line 1, column 49"),
        refused("a wildcard table that matches nothing", "SELECT * FROM `src.other_*`", "TABLE_NOT_FOUND", "other_* does not match any table"),
        refused("a condition that is a number", "SELECT 1 FROM billing WHERE cost", "INVALID_QUERY", "WHERE needs a BOOL and was given FLOAT64"),
        refused("texts and numbers in one CASE", "SELECT CASE WHEN cost > 1 THEN cost ELSE 'x' END FROM billing", "INVALID_QUERY", "CASE cannot give FLOAT64 with STRING; use CAST at line 1, column 18"),
        refused("a parameter", "SELECT @day", "UNSUPPORTED_SQL", "PARAMETER"),
        refused("time travel", "SELECT 1 FROM billing FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", "UNSUPPORTED_SQL", "FOR SYSTEM_TIME at line 1"),
        refused("a format element that is not there", "SELECT FORMAT_DATE('%L', DATE '2025-11-18')", "INVALID_QUERY", "the format element %L is not supported"),
        refused("ORDER BY a STRUCT", "SELECT cost FROM billing ORDER BY service", "INVALID_QUERY", "ORDER BY service: a value of type STRUCT has no order"),
        refused("too few arguments", "SELECT SUBSTR('a')", "INVALID_QUERY", "SUBSTR was given too few arguments at line 1, column 8"),
        refused("nothing to format", "SELECT FORMAT_DATE('%Y')", "INVALID_QUERY", "FORMAT_DATE was given too few arguments at line 1, column 8"),
        refused("too many arguments", "SELECT FARM_FINGERPRINT('a', 'b')", "INVALID_QUERY", "FARM_FINGERPRINT takes 1 argument at line 1, column 8"),
        refused("as many arguments as a mode makes", "SELECT INT64_ARRAY()", "INVALID_QUERY", "INT64_ARRAY takes 1 or 2 arguments at line 1, column 8"),
        refused("one bucket too few", "SELECT DATE_BUCKET('2024-01-01')", "INVALID_QUERY", "DATE_BUCKET takes 2 or 3 arguments at line 1, column 8"),
        refused("a step that is computed", "SELECT GENERATE_DATE_ARRAY(DATE '2024-01-01', '2024-02-01', MAKE_INTERVAL(day => 1))", "UNSUPPORTED_SQL", "GENERATE_DATE_ARRAY by other steps than INTERVAL n part at line 1, column 8"),
        refused("a step that may have months", "SELECT GENERATE_TIMESTAMP_ARRAY('2024-01-01', '2024-02-01', MAKE_INTERVAL(month => 1))", "UNSUPPORTED_SQL", "GENERATE_TIMESTAMP_ARRAY by other steps than INTERVAL n part at line 1, column 8"),
        refused("what a rule does not foresee", "SELECT ARRAY()", "UNSUPPORTED_SQL", "does not support ARRAY as it is used"),
        refused("a function that is a CAST, of nothing", "SELECT TS_OR_DS_TO_DATE_STR()", "INVALID_QUERY", "CAST was given too few arguments"),
        refused("several arrays in UNNEST", "SELECT cost FROM billing,\n UNNEST(labels, credits)", "UNSUPPORTED_SQL", "UNNEST of several arrays at once at line 2, column 9"),
        refused("a column that a metadata view lacks", "SELECT table_name, ddl FROM src.INFORMATION_SCHEMA.TABLES", "UNSUPPORTED_SQL", "the column ddl of that view at line 1, column 20"),
        refused("an INTERVAL as a column", "SELECT cost, INTERVAL 1 DAY AS x FROM billing", "UNSUPPORTED_SQL", "column 2, x, has the type INTERVAL, which no column of the embedded warehouse has; CAST it at line 1, column 32"),
        refused("an INTERVAL in a column", "SELECT [STRUCT(MAKE_INTERVAL(1) AS i)]", "UNSUPPORTED_SQL", "column 1, f0_, has the type INTERVAL"),
        refused("UNNEST of INTERVALs", "SELECT 1 FROM UNNEST([MAKE_INTERVAL(1)])", "UNSUPPORTED_SQL", "UNNEST of INTERVAL at line 1, column 37"),
        refused("a part to cut a date to", "SELECT DATE_TRUNC('2025-11-18', CENTURY)", "UNSUPPORTED_SQL", "the date part CENTURY at line 1, column 8"),
        refused("a part to take of a date", "SELECT EXTRACT(CENTURY FROM usage_start_time) FROM billing", "UNSUPPORTED_SQL", "the date part CENTURY at line 1, column 29"),
        refused("a part to add to a date", "SELECT DATE_ADD('2025-11-18', INTERVAL 1 CENTURY)", "UNSUPPORTED_SQL", "the date part CENTURY at line 1, column 8"),
        refused("a part of an INTERVAL", "SELECT DATE '2025-11-18' + INTERVAL 1 CENTURY", "UNSUPPORTED_SQL", "the date part CENTURY at line 1, column 13"),
        refused("an INTERVAL without a part", "SELECT DATE '2025-11-18' + INTERVAL '1'", "UNSUPPORTED_SQL", "an INTERVAL without a date part at line 1"),
        refused("weeks from no weekday", "SELECT DATE_TRUNC('2025-11-18', WEEK(FOO))", "INVALID_QUERY", "WEEK(FOO) is not a date part; write WEEK(MONDAY) or another day at line 1, column 8"),
        refused("an escape that is none", "SELECT 'a',\n b'日\\q'", "INVALID_QUERY", "bytes have no escape sequence \\q; write a backslash as \\\\ at line 2, column 5"),
        refused("an escape cut short", r"SELECT '\u00g'", "INVALID_QUERY", r"texts have no escape sequence \u00; write a backslash as \\ at line 1, column 9"),
        refused("a code point in bytes", r"SELECT b'\u0041'", "INVALID_QUERY", r"bytes have no escape sequence \u0041; write a backslash as \\ at line 1, column 10"),
        refused("what the parser stumbles over", "SELECT REGEXP_EXTRACT('a')", "INVALID_QUERY", "cannot be read as BigQuery SQL"),
        refused("an unknown CTE", "SELECT * FROM Daily", "TABLE_NOT_FOUND", "table Daily was not found"),
    ],
)  # fmt: skip
async def test_refusal(source: EmbeddedWarehouse, sql: str, reason: str, words: str) -> None:
    with pytest.raises(WarehouseError) as error:
        await source.query(sql, default_dataset=SOURCE)

    assert error.value.reason == reason
    assert words in error.value.message


def documented(words: str, sql: str) -> Any:
    """What docs/pipelines.md says, in these words, that the embedded warehouse does not run."""
    return pytest.param(words, sql, id=words)


@pytest.mark.parametrize(
    ("words", "sql"),
    [
        documented("`FOR SYSTEM_TIME`", "SELECT 1 FROM billing FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()"),
        documented("`TABLESAMPLE`", "SELECT 1 FROM billing TABLESAMPLE SYSTEM (10 PERCENT)"),
        documented("`UNNEST` of several arrays at once", "SELECT 1 FROM billing, UNNEST(labels, credits)"),
        documented("an `INTERVAL` as a column", "SELECT INTERVAL 1 DAY AS x"),
        documented("`RANGE`", "SELECT RANGE(DATE '2025-11-18', DATE '2025-11-19')"),
        documented("a column, `RANGE`", "SELECT CAST('[2025-11-18, 2025-11-19)' AS RANGE<DATE>)"),
        documented("`NOT LIKE ANY`", "SELECT currency NOT LIKE ANY ('E%', 'U%') FROM billing"),
        documented("`NOT LIKE ALL`", "SELECT currency NOT LIKE ALL ('E%', 'U%') FROM billing"),
        documented("`LIKE ANY` of a subquery", "SELECT currency LIKE ANY (SELECT 'E%') FROM billing"),
        documented("`COLLATE`", "SELECT COLLATE(currency, 'und:ci') FROM billing"),
        documented("`SEARCH`", "SELECT SEARCH(currency, 'EUR') FROM billing"),
        documented("`NET.REG_DOMAIN`", "SELECT NET.REG_DOMAIN('a.example.com')"),
        documented("`NET.PUBLIC_SUFFIX`", "SELECT NET.PUBLIC_SUFFIX('a.example.com')"),
        documented("`CAST ... FORMAT` of numbers", "SELECT CAST(cost AS STRING FORMAT '999.9') FROM billing"),
        documented("wildcards in a JSON path", "SELECT JSON_QUERY(JSON '[1]', '$[*]')"),
        documented("`SUM` and `AVG` of `INTERVAL`", "SELECT SUM(INTERVAL amount DAY) FROM billing"),
        documented("`AVG` of `INTERVAL`", "SELECT AVG(INTERVAL amount DAY) FROM billing"),
        documented("`KLL_QUANTILES`", "SELECT KLL_QUANTILES.INIT_FLOAT64(cost) FROM billing"),
        documented("geography", "SELECT ST_GEOGPOINT(1, 2)"),
        documented("`RESPECT NULLS` in percentiles", "SELECT PERCENTILE_CONT(cost, 0.5 RESPECT NULLS) OVER () FROM billing"),
        documented("`RESPECT NULLS` in percentiles and quantiles", "SELECT APPROX_QUANTILES(cost, 2 RESPECT NULLS) FROM billing"),
        documented("`PIVOT` of a date", "SELECT * FROM (SELECT cost, DATE(usage_start_time) AS d FROM billing) PIVOT(SUM(cost) FOR d IN (DATE '2025-11-18'))"),
        documented("`PIVOT` of another `PIVOT`", "SELECT * FROM billing PIVOT(SUM(cost) FOR currency IN ('EUR')) PIVOT(SUM(eur) FOR amount IN (3))"),
        documented("`ddl` of `INFORMATION_SCHEMA.TABLES`", "SELECT ddl FROM src.INFORMATION_SCHEMA.TABLES"),
        documented("bytes and times of `PARTITIONS`", "SELECT total_logical_bytes FROM src.INFORMATION_SCHEMA.PARTITIONS"),
        documented("`last_modified_time` of `__TABLES__`", "SELECT last_modified_time FROM src.__TABLES__"),
    ],
)  # fmt: skip
async def test_what_the_manual_says_is_refused_is_refused_with_its_place(
    source: EmbeddedWarehouse, words: str, sql: str
) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "pipelines.md").read_text()
    with pytest.raises(WarehouseError, match=r" at line 1, column \d+") as error:
        await source.query(sql, default_dataset=SOURCE)

    assert error.value.reason == "UNSUPPORTED_SQL"
    assert words in page


async def test_an_empty_spec_is_not_a_table(source: EmbeddedWarehouse) -> None:
    with pytest.raises(WarehouseError, match="at least one column"):
        await source.ensure_table(SOURCE.table("empty"), TableSpec())
