"""STRUCTs by the places of their fields, rows compared with rows, and `.*` behind a value."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import date
from decimal import Decimal
from typing import Any

BILL = """WITH bill AS (
 SELECT 1 AS id, 'Compute' AS svc, STRUCT('p1' AS id, [STRUCT('env' AS key, 'prod' AS value), ('team', 'a')] AS labels) AS project, 10.0 AS cost, [STRUCT('CUD' AS type, -1.0 AS amount), ('PROMO', -2.0)] AS credits, '202601' AS m, DATE '2026-01-05' AS day
 UNION ALL SELECT 2, 'Compute', STRUCT('p2', [STRUCT('env', 'dev')]), 20.0, [STRUCT('CUD', -5.0)], '202601', DATE '2026-01-06'
 UNION ALL SELECT 3, 'Storage', STRUCT('p1', []), 5.0, [], '202602', DATE '2026-02-05')"""

LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    ("STRUCTs of a UNION go by the places of their fields", "WITH locations AS (SELECT STRUCT('Seattle' AS city, 'Washington' AS state) AS location UNION ALL SELECT STRUCT('Phoenix', 'Arizona')) SELECT l.location.* FROM locations l ORDER BY city", [("Phoenix","Arizona"),("Seattle","Washington")]),
    ("a UNION's STRUCTs take the names of the first and the wider type", "SELECT s.a FROM (SELECT STRUCT(1 AS a) AS s UNION ALL SELECT STRUCT(2.5)) ORDER BY 1", [(1.0,), (2.5,)]),
    ("a UNION's arrays of STRUCTs as well", "SELECT s FROM (SELECT [STRUCT(1 AS a)] AS s UNION ALL SELECT [STRUCT(2 AS b)]) ORDER BY s[OFFSET(0)].a", [([{"a": 1}],), ([{"a": 2}],)]),
    ("a UNION of a column and a literal of other names", BILL +" SELECT project.labels AS l FROM bill WHERE id = 1 UNION ALL SELECT [STRUCT('x' AS a, 'y' AS b)] ORDER BY ARRAY_LENGTH(l)", [([{"key":"x","value":"y"}],),([{"key":"env","value":"prod"},{"key":"team","value":"a"}],)]),
    ("GROUP BY a STRUCT", "SELECT s, COUNT(*) FROM (SELECT STRUCT(1 AS a, 'x' AS b) AS s UNION ALL SELECT STRUCT(1, 'x')) GROUP BY s", [({"a":1,"b":"x"},2)]),
    ("IF and COALESCE of STRUCTs go by place", "SELECT IF(FALSE, STRUCT(1 AS a, 'x' AS b), STRUCT(2, 'y')).a, COALESCE(NULL, STRUCT(3 AS c)).c", [(2, 3)]),
    ("IF of STRUCTs, one without names", "SELECT IF(x > 1, STRUCT(x AS n, 'big' AS s), STRUCT(x, 'small')).s FROM UNNEST([1,2]) x ORDER BY 1", [("big",),("small",)]),
    ("CASE of a column and a STRUCT of other names", BILL +" SELECT CASE WHEN id = 1 THEN project ELSE STRUCT('other' AS name, project.labels) END.id FROM bill ORDER BY 1 LIMIT 1", [("other",)]),
    ("COALESCE of an element and a STRUCT of other names", BILL +" SELECT id, COALESCE(credits[SAFE_OFFSET(0)], STRUCT('none' AS t, 0.0 AS a)).type AS t FROM bill ORDER BY id", [(1,"CUD"),(2,"CUD"),(3,"none")]),
    ("an array's STRUCTs have the names of the first", "SELECT [STRUCT(1 AS a), STRUCT(2 AS b), STRUCT(3)]", [([{"a": 1}, {"a": 2}, {"a": 3}],)]),
    ("ARRAY_CONCAT of arrays of other names", BILL +" SELECT id, (SELECT STRING_AGG(CONCAT(key,'=',value), ',' ORDER BY key) FROM UNNEST(ARRAY_CONCAT(project.labels, [STRUCT('svc' AS k, svc AS v)]))) AS s FROM bill WHERE id = 2", [(2,"env=dev,svc=Compute")]),
    ("ARRAY_CONCAT with tuples", BILL +" SELECT id, l.key, l.value FROM bill, UNNEST(ARRAY_CONCAT(project.labels, [('svc', svc)])) AS l WHERE id = 2 ORDER BY key", [(2,"env","dev"),(2,"svc","Compute")]),
    ("a typed array of tuples in tuples", "SELECT * FROM UNNEST(ARRAY<STRUCT<x INT64, y STRING, z STRUCT<a INT64, b INT64>>>[(1, 'foo', (10, 11)), (3, 'bar', (20, 21))]) WITH OFFSET AS off ORDER BY off", [(1,"foo",{"a":10,"b":11},0),(3,"bar",{"a":20,"b":21},1)]),
    ("a typed array of texts and dates", "SELECT d FROM UNNEST(ARRAY<STRUCT<k STRING, d DATE>>[('a', '2026-01-01'), ('b', DATE '2026-01-02')]) ORDER BY d", [(date(2026,1,1),),(date(2026,1,2),)]),
    ("a typed array with NULL", "SELECT k, v FROM UNNEST(ARRAY<STRUCT<k STRING, v NUMERIC>>[('a', 1.5), ('b', NULL)]) ORDER BY k", [("a",Decimal("1.5")),("b",None)]),
    ("rows written as STRUCTs with NULL", "SELECT k, v FROM UNNEST([STRUCT('a' AS k, NULL AS v), ('b', 2)]) ORDER BY k", [("a",None),("b",2)]),
    ("a typed STRUCT without names", "SELECT STRUCT<INT64, STRING>(1, 'y'), STRUCT<a INT64, STRING>(1, 'y').a", [({"_field_1": 1, "_field_2": "y"}, 1)]),
    ("a row among a subquery's rows", "SELECT STRUCT(1,2) = (1,2), (1,2) IN ((1,2),(3,4)), (1,'a') IN (SELECT AS STRUCT 1, 'a')", [(True,True,True)]),
    ("a row among an array's rows", "SELECT (1, 'a') IN UNNEST([STRUCT(1 AS n, 'a' AS s), (2, 'b')]), (1, 'b') IN UNNEST([STRUCT(1 AS n, 'a' AS s)]), (1, 'b') IN UNNEST([STRUCT(1 AS n, CAST(NULL AS STRING) AS s)]), (1, 'b') NOT IN UNNEST([STRUCT(2 AS n, 'a' AS s)])", [(True, False, None, True)]),
    ("columns as a row among rows", "WITH t AS (SELECT 1 AS a, 'x' AS b) SELECT a FROM t WHERE (a, b) IN (SELECT (1, 'x'))", [(1,)]),
    ("a row with a subquery's value among rows", "WITH t AS (SELECT 1 AS x, 'a' AS k UNION ALL SELECT 2, 'a' UNION ALL SELECT 3, 'b') SELECT x FROM t WHERE ((SELECT MAX(u.x) FROM t u WHERE u.k = t.k), k) IN UNNEST([STRUCT(3 AS a, 'b' AS b)])", [(3,)]),
    ("rows that are the greatest of their group", "WITH t AS (SELECT 1 AS x, 'a' AS k UNION ALL SELECT 2, 'a' UNION ALL SELECT 3, 'b') SELECT x FROM t WHERE (x, k) IN (SELECT STRUCT(MAX(u.x), u.k) FROM t u GROUP BY u.k) ORDER BY x", [(2,), (3,)]),
    ("rows that are not", "WITH t AS (SELECT 1 AS x, 'a' AS k UNION ALL SELECT 2, 'a' UNION ALL SELECT 3, 'b') SELECT x FROM t WHERE (x, k) NOT IN (SELECT STRUCT(MAX(u.x), u.k) FROM t u GROUP BY u.k) ORDER BY x", [(1,)]),
    ("all fields of an element", "WITH locations AS (SELECT ARRAY<STRUCT<city STRING, state STRING>>[('Seattle', 'Washington'), ('Phoenix', 'Arizona')] AS location) SELECT l.LOCATION[offset(0)].* FROM locations l", [("Seattle","Washington")]),
    ("all fields of a subquery's STRUCT", "SELECT (SELECT AS STRUCT 1 AS a, 2 AS b).*", [(1,2)]),
    ("all fields of a STRUCT but one", "SELECT STRUCT(1 AS a, 2 AS b, 3 AS c).* EXCEPT (b)", [(1,3)]),
    ("all columns of any row", "WITH t AS (SELECT 1 AS a, 2 AS b) SELECT ANY_VALUE(t).* FROM t", [(1,2)]),
    ("the last row of each key", "WITH t AS (SELECT 1 AS a, 2 AS b UNION ALL SELECT 1, 3) SELECT event.* FROM (SELECT ARRAY_AGG(t ORDER BY t.b DESC LIMIT 1)[OFFSET(0)] AS event FROM t GROUP BY t.a)", [(1,3)]),
    ("all columns of an outer row but some", BILL + " SELECT TO_JSON_STRING((SELECT AS STRUCT b.* EXCEPT (credits, project, day))) AS j FROM bill b ORDER BY id LIMIT 1", [('{"id":1,"svc":"Compute","cost":10,"m":"202601"}',)]),
    ("ARRAY(SELECT AS STRUCT *)", BILL +" SELECT ARRAY(SELECT AS STRUCT * FROM UNNEST(credits) ORDER BY amount LIMIT 1) AS c FROM bill ORDER BY id LIMIT 1", [([{"type":"PROMO","amount":-2.0}],)]),
    ("ARRAY(SELECT AS STRUCT * EXCEPT)", BILL +" SELECT ARRAY(SELECT AS STRUCT * EXCEPT (type), ROUND(cost) AS parent FROM UNNEST(credits) ORDER BY amount) AS c FROM bill WHERE id = 2", [([{"amount":-5.0,"parent":20.0}],)]),
    ("ARRAY(SELECT AS STRUCT * REPLACE)", BILL +" SELECT * REPLACE (ARRAY(SELECT AS STRUCT * REPLACE (amount * 2 AS amount) FROM UNNEST(credits)) AS credits) FROM (SELECT id, credits FROM bill) WHERE id = 2", [(2,[{"type":"CUD","amount":-10.0}])]),
    ("a STRUCT with one field replaced", BILL +" SELECT id, (SELECT AS STRUCT project.* REPLACE ('x' AS id)).id AS pid FROM bill ORDER BY id LIMIT 1", [(1,"x")]),
    ("fields of SELECT AS STRUCT without a name", "SELECT ARRAY(SELECT AS STRUCT 1 x, 2, 3)", [([{"x": 1, "_field_2": 2, "_field_3": 3}],)]),
    ("SELECT AS VALUE of a row", "SELECT AS VALUE v FROM (SELECT AS STRUCT 1 a, true b) v WHERE v.b", [(1, True)]),
    ("SELECT AS VALUE outermost gives columns", "SELECT AS VALUE STRUCT(1 AS a, 2 AS b)", [(1,2)]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("STRUCTs of other numbers of fields in a UNION", "SELECT STRUCT(1 AS a) AS s UNION ALL SELECT STRUCT(1, 2)"),
    ("STRUCTs of other types in IF", "SELECT IF(TRUE, STRUCT(1 AS a), STRUCT('x'))"),
    ("a tuple too short for its type", "SELECT ARRAY<STRUCT<a INT64, b INT64>>[(1, 2, 3)]"),
]  # fmt: skip
