"""Clauses of a query: the examples of GoogleSQL's "Query syntax" and "Window function calls", and their errors."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import date
from typing import Any

from tests.warehouse.corpus.literal_structs import BILL

ROSTER = "WITH Roster AS (SELECT 'Adams' as LastName, 50 as SchoolID UNION ALL SELECT 'Buchanan', 52 UNION ALL SELECT 'Coolidge', 52 UNION ALL SELECT 'Davis', 51 UNION ALL SELECT 'Eisenhower', 77)"
TEAMS = (
    ROSTER
    + ", TeamMascot AS (SELECT 50 as SchoolID, 'Jaguars' as Mascot UNION ALL SELECT 51, 'Knights' UNION ALL SELECT 52, 'Lakers' UNION ALL SELECT 53, 'Mustangs'), PlayerStats AS (SELECT 'Adams' as LastName, 51 as OpponentID, 3 as PointsScored UNION ALL SELECT 'Buchanan', 77, 0 UNION ALL SELECT 'Coolidge', 77, 1 UNION ALL SELECT 'Adams', 52, 4 UNION ALL SELECT 'Buchanan', 50, 13)"
)
PRODUCE = "WITH Produce AS (SELECT 'Kale' as product, 51 as sales, 'Q1' as quarter, 2020 as year UNION ALL SELECT 'Kale', 23, 'Q2', 2020 UNION ALL SELECT 'Kale', 45, 'Q3', 2020 UNION ALL SELECT 'Kale', 3, 'Q4', 2020 UNION ALL SELECT 'Kale', 70, 'Q1', 2021 UNION ALL SELECT 'Kale', 85, 'Q2', 2021 UNION ALL SELECT 'Apple', 77, 'Q1', 2020 UNION ALL SELECT 'Apple', 0, 'Q2', 2020 UNION ALL SELECT 'Apple', 1, 'Q1', 2021)"
QUARTERS = "WITH Produce AS (SELECT 'Kale' as product, 51 as Q1, 23 as Q2, 45 as Q3, 3 as Q4 UNION ALL SELECT 'Apple', 77, 0, 25, 2)"
FOOD = "WITH Produce AS (SELECT 'kale' as item, 23 as purchases, 'vegetable' as category UNION ALL SELECT 'banana', 2, 'fruit' UNION ALL SELECT 'cabbage', 9, 'vegetable' UNION ALL SELECT 'apple', 8, 'fruit' UNION ALL SELECT 'leek', 2, 'vegetable' UNION ALL SELECT 'lettuce', 10, 'vegetable')"
FINISHERS = """WITH finishers AS
 (SELECT 'Sophia Liu' as name, TIMESTAMP '2016-10-18 2:51:45' as finish_time, 'F30-34' as division
  UNION ALL SELECT 'Lisa Stelzner', TIMESTAMP '2016-10-18 2:54:11', 'F35-39'
  UNION ALL SELECT 'Nikki Leith', TIMESTAMP '2016-10-18 2:59:01', 'F30-34'
  UNION ALL SELECT 'Lauren Matthews', TIMESTAMP '2016-10-18 3:01:17', 'F35-39'
  UNION ALL SELECT 'Desiree Berry', TIMESTAMP '2016-10-18 3:05:42', 'F35-39'
  UNION ALL SELECT 'Suzy Slane', TIMESTAMP '2016-10-18 3:06:24', 'F35-39')"""
T = "WITH t AS (SELECT 1 AS x, 10 AS y UNION ALL SELECT 2, 20 UNION ALL SELECT 3, 30)"
C = "WITH c AS (SELECT DATE '2026-01-01' AS day, 'a' AS svc, 5.0 AS cost UNION ALL SELECT DATE '2026-01-02', 'a', 7.0 UNION ALL SELECT DATE '2026-01-01', 'b', 1.0)"

LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    ("SELECT * EXCEPT as documented", "WITH orders AS (SELECT 5 as order_id, 'sprocket' as item_name, 200 as quantity) SELECT * EXCEPT (order_id) FROM orders", [("sprocket",200)]),
    ("SELECT * REPLACE as documented", "WITH orders AS (SELECT 5 as order_id, 'sprocket' as item_name, 200 as quantity) SELECT * REPLACE (quantity/2 AS quantity) FROM orders", [(5,"sprocket",100.0)]),
    ("INNER JOIN as documented", TEAMS +" SELECT Roster.LastName, TeamMascot.Mascot FROM Roster JOIN TeamMascot ON Roster.SchoolID = TeamMascot.SchoolID ORDER BY 1", [("Adams","Jaguars"),("Buchanan","Lakers"),("Coolidge","Lakers"),("Davis","Knights")]),
    ("FULL JOIN as documented", TEAMS +" SELECT Roster.LastName, TeamMascot.Mascot FROM Roster FULL JOIN TeamMascot ON Roster.SchoolID = TeamMascot.SchoolID ORDER BY 1, 2", [(None,"Mustangs"),("Adams","Jaguars"),("Buchanan","Lakers"),("Coolidge","Lakers"),("Davis","Knights"),("Eisenhower",None)]),
    ("JOIN USING as documented", TEAMS +" SELECT * FROM Roster INNER JOIN PlayerStats USING (LastName) ORDER BY 1,3", [("Adams",50,51,3),("Adams",50,52,4),("Buchanan",52,50,13),("Buchanan",52,77,0),("Coolidge",52,77,1)]),
    ("a correlated join with an array's length", "WITH A AS (SELECT 'Raspberry' AS name, [STRUCT('north' AS d, 1 AS n), ('south', 2)] AS items UNION ALL SELECT 'Blue', []) SELECT A.name, item, ARRAY_LENGTH(A.items) item_count_for_name FROM A, UNNEST(A.items) AS item ORDER BY item.n", [("Raspberry",{"d":"north","n":1},2),("Raspberry",{"d":"south","n":2},2)]),
    ("LEFT JOIN of an array by its path", "WITH A AS (SELECT 'first' AS name, [1,2] AS items UNION ALL SELECT 'second', []) SELECT A.name, item FROM A LEFT JOIN A.items AS item ORDER BY 1,2", [("first",1),("first",2),("second",None)]),
    ("joins inside joins by USING", "WITH A AS (SELECT 1 AS k), B AS (SELECT 1 AS k, 2 AS j), C AS (SELECT 2 AS j, 'x' AS v) SELECT A.k, C.v FROM (A JOIN (B JOIN C USING (j)) USING (k))", [(1,"x")]),
    ("two ON behind two joins", "WITH A AS (SELECT 1 AS k), B AS (SELECT 1 AS k, 2 AS j), C AS (SELECT 2 AS j, 'x' AS v) SELECT A.k, C.v FROM A JOIN B JOIN C ON B.j = C.j ON A.k = B.k", [(1,"x")]),
    ("arrays side by side by ON", "SELECT letter, number FROM UNNEST(['a','b','c']) AS letter WITH OFFSET p1 JOIN UNNEST([1,2,3]) AS number WITH OFFSET p2 ON p1 = p2 ORDER BY p1", [("a",1),("b",2),("c",3)]),
    ("arrays side by side by USING", "SELECT letter, number FROM UNNEST(['a', 'b']) AS letter WITH OFFSET pos JOIN UNNEST([1, 2]) AS number WITH OFFSET pos USING (pos) ORDER BY pos", [("a", 1), ("b", 2)]),
    ("GROUP BY ALL", TEAMS +" SELECT SUM(PointsScored) AS total_points, LastName AS last_name FROM PlayerStats GROUP BY ALL ORDER BY 1", [(1,"Coolidge"),(7,"Adams"),(13,"Buchanan")]),
    ("GROUP BY ALL with an expression", "WITH P AS (SELECT 'a' AS x, 'b' AS y, 1 AS v UNION ALL SELECT 'a','c',2) SELECT CONCAT(x, y) AS xy, SUM(v) s, x FROM P GROUP BY ALL ORDER BY 1", [("ab",1,"a"),("ac",2,"a")]),
    ("GROUP BY ALL with a subquery", BILL +" SELECT (SELECT value FROM UNNEST(project.labels) WHERE key='env') AS env, SUM(cost) FROM bill GROUP BY ALL ORDER BY 1", [(None,5.0),("dev",20.0),("prod",10.0)]),
    ("GROUP BY ALL of aggregates only", BILL +" SELECT SUM(cost) FROM bill GROUP BY ALL", [(35.0,)]),
    ("CUBE", "SELECT a, b, SUM(c) FROM (SELECT 'x' AS a, 'p' AS b, 1 AS c UNION ALL SELECT 'x','q',2) GROUP BY CUBE(a,b) ORDER BY 1,2", [(None,None,3),(None,"p",1),(None,"q",2),("x",None,3),("x","p",1),("x","q",2)]),
    ("ROLLUP inside GROUPING SETS", "SELECT a, b, SUM(c) FROM (SELECT 'x' AS a, 'p' AS b, 1 AS c UNION ALL SELECT 'x','q',2) GROUP BY GROUPING SETS(a, ROLLUP(b)) ORDER BY 1,2,3", [(None,None,3),(None,"p",1),(None,"q",2),("x",None,3)]),
    ("ROLLUP of a place and a name", "SELECT a AS k, b, SUM(c) FROM (SELECT 'x' AS a, 'p' AS b, 1 AS c UNION ALL SELECT 'x','q',2) GROUP BY ROLLUP(1, b) ORDER BY 1,2,3", [(None,None,3),("x",None,3),("x","p",1),("x","q",2)]),
    ("ROLLUP of an alias, and HAVING", BILL +" SELECT svc AS service, SUM(cost) AS c FROM bill GROUP BY ROLLUP(service) HAVING service IS NULL", [(None,35.0)]),
    ("named windows of named windows", FOOD +" SELECT item, purchases, category, LAST_VALUE(item) OVER (d) AS most_popular FROM Produce WINDOW a AS (PARTITION BY category), b AS (a ORDER BY purchases), c AS (b ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING), d AS (c) ORDER BY category, purchases", [("banana",2,"fruit","apple"),("apple",8,"fruit","apple"),("leek",2,"vegetable","lettuce"),("cabbage",9,"vegetable","kale"),("lettuce",10,"vegetable","kale"),("kale",23,"vegetable","kale")]),
    ("a window that goes on from a named one", FOOD +" SELECT item, LAST_VALUE(item) OVER (a ORDER BY purchases ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING) AS mp FROM Produce WINDOW a AS (PARTITION BY category) ORDER BY category, purchases", [("banana","apple"),("apple","apple"),("leek","lettuce"),("cabbage","kale"),("lettuce","kale"),("kale","kale")]),
    ("a range along numbers as documented", "WITH Farm AS (SELECT 'cat' AS animal, 23 AS population, 'mammal' AS category UNION ALL SELECT 'duck',3,'bird' UNION ALL SELECT 'dog',2,'mammal' UNION ALL SELECT 'goose',1,'bird' UNION ALL SELECT 'ox',2,'mammal' UNION ALL SELECT 'goat',2,'mammal') SELECT animal, population, category, COUNT(*) OVER (ORDER BY population RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS similar_population FROM Farm ORDER BY population, animal", [("goose",1,"bird",4),("dog",2,"mammal",5),("goat",2,"mammal",5),("ox",2,"mammal",5),("duck",3,"bird",4),("cat",23,"mammal",1)]),
    ("distance to the first of a group", FINISHERS + " SELECT name, TIMESTAMP_DIFF(finish_time, FIRST_VALUE(finish_time) OVER (PARTITION BY division ORDER BY finish_time ASC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), SECOND) AS delta FROM finishers ORDER BY delta, name LIMIT 3", [("Lisa Stelzner", 0), ("Sophia Liu", 0), ("Lauren Matthews", 426)]),
    ("PARTITION BY a part of a date", C +" SELECT svc, SUM(cost) OVER (PARTITION BY EXTRACT(MONTH FROM day)) AS m FROM c ORDER BY svc, cost", [("a",13.0),("a",13.0),("b",13.0)]),
    ("a range along days", BILL +" SELECT id, SUM(cost) OVER (ORDER BY UNIX_DATE(day) RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM bill ORDER BY id", [(1,10.0),(2,30.0),(3,5.0)]),
    ("UNION ALL BY NAME", "SELECT 1 AS one_digit, 10 AS two_digit UNION ALL BY NAME SELECT 20 AS two_digit, 2 AS one_digit ORDER BY 1", [(1, 10), (2, 20)]),
    ("CORRESPONDING keeps the columns of both", "SELECT 1 AS a, 2 AS b UNION ALL CORRESPONDING SELECT 4 AS b, 3 AS c ORDER BY b", [(2,), (4,)]),
    ("FULL UNION BY NAME keeps all columns", "SELECT 1 AS a FULL OUTER UNION ALL BY NAME SELECT 2 AS b, 3 AS a ORDER BY a", [(1, None), (3, 2)]),
    ("LEFT UNION BY NAME keeps the left columns", "SELECT 1 AS a, 'x' AS b LEFT OUTER UNION ALL BY NAME SELECT 2 AS a, 3 AS c ORDER BY a", [(1, "x"), (2, None)]),
    ("INNER UNION BY NAME in a given order", "SELECT 1 AS a, 2 AS b, 3 AS c INNER UNION ALL BY NAME ON (c, a) SELECT 4 AS c, 5 AS a ORDER BY a", [(3, 1), (4, 5)]),
    ("INTERSECT BY NAME", "SELECT 1 AS a, 2 AS b INTERSECT DISTINCT BY NAME SELECT 2 AS b, 1 AS a", [(1, 2)]),
    ("a UNION ordered by an expression", "SELECT 1 AS x UNION ALL SELECT 3 UNION ALL SELECT 2 ORDER BY MOD(x, 3), -x LIMIT 2", [(3,), (1,)]),
    ("a UNION in parentheses ordered by an expression, with WITH", "WITH t AS (SELECT 1 AS x) (SELECT x FROM t UNION ALL SELECT 2) ORDER BY -x", [(2,), (1,)]),
    ("recursion between others", "WITH RECURSIVE T0 AS (SELECT 1 AS n), T1 AS ((SELECT * FROM T0) UNION ALL (SELECT n + 1 FROM T1 WHERE n < 4)), T2 AS (SELECT n FROM T1) SELECT SUM(n) FROM T2", [(10,)]),
    ("WITH RECURSIVE sees what comes later", "WITH RECURSIVE T1 AS (SELECT * FROM T2), T2 AS (SELECT 1 AS n) SELECT n FROM T1", [(1,)]),
    ("a tree by recursion", "WITH RECURSIVE e AS (SELECT 1 AS id, NULL AS boss, 'ceo' AS n UNION ALL SELECT 2, 1, 'a' UNION ALL SELECT 3, 2, 'b'), r AS (SELECT id, n, 0 AS d, n AS path FROM e WHERE boss IS NULL UNION ALL SELECT e.id, e.n, r.d + 1, CONCAT(r.path, '/', e.n) FROM e JOIN r ON e.boss = r.id) SELECT * FROM r ORDER BY id", [(1,"ceo",0,"ceo"),(2,"a",1,"ceo/a"),(3,"b",2,"ceo/a/b")]),
    ("STRUCTs by recursion", "WITH RECURSIVE r AS (SELECT STRUCT(1 AS n) AS s UNION ALL SELECT STRUCT(s.n + 1) FROM r WHERE s.n < 3) SELECT s.n FROM r ORDER BY 1", [(1,), (2,), (3,)]),
    ("days by recursion", "WITH RECURSIVE days AS (SELECT DATE '2026-01-01' AS d UNION ALL SELECT DATE_ADD(d, INTERVAL 1 DAY) FROM days WHERE d < DATE '2026-01-03') SELECT ARRAY_AGG(d ORDER BY d) AS ds FROM days", [([date(2026,1,1),date(2026,1,2),date(2026,1,3)],)]),
    ("paths by recursion", "WITH RECURSIVE o AS (SELECT 'root' AS id, CAST(NULL AS STRING) AS parent UNION ALL SELECT 'a', 'root' UNION ALL SELECT 'b', 'a'), r AS (SELECT id, [id] AS path, 0 AS lvl FROM o WHERE parent IS NULL UNION ALL SELECT o.id, ARRAY_CONCAT(r.path, [o.id]), lvl + 1 FROM o JOIN r ON o.parent = r.id) SELECT id, path, lvl FROM r ORDER BY lvl", [("root",["root"],0),("a",["root","a"],1),("b",["root","a","b"],2)]),
    ("PIVOT as documented", PRODUCE +" SELECT * FROM Produce PIVOT(SUM(sales) FOR quarter IN ('Q1', 'Q2', 'Q3', 'Q4')) ORDER BY product, year", [("Apple",2020,77,0,None,None),("Apple",2021,1,None,None,None),("Kale",2020,51,23,45,3),("Kale",2021,70,85,None,None)]),
    ("PIVOT of two aggregates as documented", PRODUCE +" SELECT * FROM (SELECT product, sales, quarter FROM Produce) PIVOT(SUM(sales) AS total_sales, COUNT(*) AS num_records FOR quarter IN ('Q1', 'Q2')) ORDER BY 1", [("Apple",78,2,0,1),("Kale",121,2,108,2)]),
    ("UNPIVOT as documented", QUARTERS +" SELECT * FROM Produce UNPIVOT(sales FOR quarter IN (Q1, Q2, Q3, Q4)) ORDER BY product, quarter", [("Apple",77,"Q1"),("Apple",0,"Q2"),("Apple",25,"Q3"),("Apple",2,"Q4"),("Kale",51,"Q1"),("Kale",23,"Q2"),("Kale",45,"Q3"),("Kale",3,"Q4")]),
    ("UNPIVOT of sets as documented", QUARTERS +" SELECT * FROM Produce UNPIVOT((first_half_sales, second_half_sales) FOR semesters IN ((Q1, Q2) AS 'semester_1', (Q3, Q4) AS 'semester_2')) ORDER BY 1,4", [("Apple",77,0,"semester_1"),("Apple",25,2,"semester_2"),("Kale",51,23,"semester_1"),("Kale",45,3,"semester_2")]),
    ("UNPIVOT with numbers as names", QUARTERS +" SELECT semesters, SUM(sales) FROM Produce UNPIVOT(sales FOR semesters IN (Q1 AS 1, Q2 AS 1, Q3 AS 2, Q4 AS 2)) GROUP BY 1 ORDER BY 1", [(1,151),(2,75)]),
    ("the alias of a FROM item goes before a column of its name", "WITH total AS (SELECT 5 AS total) SELECT total, total.total AS t FROM total", [({"total": 5}, 5)]),
    ("a name with a space", "SELECT `a b` AS ab FROM (SELECT 1 AS `a b`)", [(1,)]),
    ("names of other letters", "SELECT `größe`, `Total cost` + 1 AS c FROM (SELECT 2 AS `größe`, 3 AS `Total cost`)", [(2, 4)]),
    ("a subquery of an array in ON", BILL +" SELECT a.id, b.id AS bid FROM bill a JOIN bill b ON a.id = b.id AND (SELECT COUNT(*) FROM UNNEST(a.credits)) > 1", [(1,1)]),
    ("a subquery of an array in ORDER BY", BILL +" SELECT id FROM bill ORDER BY (SELECT COUNT(*) FROM UNNEST(credits)) DESC, id", [(1,),(2,),(3,)]),
    ("a subquery of an array in a window", BILL +" SELECT id, SUM((SELECT IFNULL(SUM(amount),0) FROM UNNEST(credits))) OVER (ORDER BY id) AS run FROM bill ORDER BY id", [(1,-3.0),(2,-8.0),(3,-8.0)]),
    ("a subquery of an array in QUALIFY", BILL +" SELECT id FROM bill QUALIFY ROW_NUMBER() OVER (ORDER BY (SELECT SUM(amount) FROM UNNEST(credits)) NULLS LAST) = 1", [(2,)]),
    ("a subquery of an array in HAVING", BILL +" SELECT svc FROM bill GROUP BY svc HAVING SUM((SELECT IFNULL(SUM(amount),0) FROM UNNEST(credits))) < 0", [("Compute",)]),
    ("a subquery of an array in another's", BILL +" SELECT id, (SELECT STRING_AGG((SELECT CONCAT(c.type, ':', l.value) FROM UNNEST(project.labels) l WHERE l.key = 'env'), ',' ORDER BY c.type) FROM UNNEST(credits) c) x FROM bill ORDER BY id", [(1,"CUD:prod,PROMO:prod"),(2,"CUD:dev"),(3,None)]),
    ("an array of the side that has no row", BILL +" SELECT k.k, c.type FROM (SELECT 1 AS k UNION ALL SELECT 9) k LEFT JOIN bill b ON b.id = k.k LEFT JOIN UNNEST(b.credits) c ORDER BY 1, 2", [(1,"CUD"),(1,"PROMO"),(9,None)]),
    ("a shared cost by shares", BILL +", shared AS (SELECT SUM(cost) AS total FROM bill WHERE svc = 'Storage') SELECT b.project.id, SUM(b.cost) + ANY_VALUE(s.total) * SUM(b.cost) / SUM(SUM(b.cost)) OVER () AS c FROM bill b CROSS JOIN shared s WHERE b.svc != 'Storage' GROUP BY b.project.id ORDER BY 1", [("p1",10+5*10/30),("p2",20+5*20/30)]),
    ("ARRAY of a UNION", BILL +" SELECT id, ARRAY(SELECT key FROM UNNEST(project.labels) UNION ALL SELECT type FROM UNNEST(credits) ORDER BY 1) AS a FROM bill WHERE id = 2", [(2,["CUD","env"])]),
    ("WHERE takes the column and not the field's alias", BILL +" SELECT project.id AS id, SUM(cost) AS c FROM bill WHERE id > 1 GROUP BY id ORDER BY id", [("p1",5.0),("p2",20.0)]),
    ("NaN joins nothing, and is in nothing", "SELECT (SELECT COUNT(*) FROM (SELECT CAST('nan' AS FLOAT64) AS x) JOIN (SELECT CAST('nan' AS FLOAT64) AS x) USING (x)) AS joined, n IN (n, 1.0) AS listed, n IN UNNEST([n]) AS element, n NOT IN (n) AS other FROM (SELECT CAST('nan' AS FLOAT64) AS n)", [(0, False, False, True)]),
    ("parts of dates are INT64 wherever they stand", "SELECT EXTRACT(MONTH FROM d) AS m, SUM(x) OVER (PARTITION BY EXTRACT(YEAR FROM d)) AS s, FORMAT('%d', EXTRACT(DAY FROM d)) AS t FROM (SELECT 1 AS x, DATE '2026-03-05' AS d)", [(3, 1, "5")]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("LEFT JOIN without ON", T +" SELECT 1 FROM t LEFT JOIN t AS u"),
    ("JOIN without ON", T +" SELECT 1 FROM t JOIN t AS u"),
    ("JOIN and a remark without ON", T +" SELECT 1 FROM t JOIN /* all of */ t AS u"),
    ("JOIN of joins without ON", T +" SELECT 1 FROM t JOIN (t AS u JOIN t AS v ON TRUE)"),
    ("JOIN of a subquery without ON", "SELECT 1 FROM (SELECT 1 AS a) AS x JOIN (SELECT 2 AS b) AS y"),
    ("a recursion that widens its type", "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 0.5 FROM r WHERE n < 2) SELECT n FROM r"),
    ("CROSS JOIN with ON", "SELECT 1 FROM UNNEST([1]) AS a CROSS JOIN (SELECT 1 AS b) AS t ON a = b"),
    ("INTERSECT ALL", "SELECT 1 INTERSECT ALL SELECT 1"),
    ("EXCEPT ALL", "SELECT 1 EXCEPT ALL SELECT 1"),
    ("UNION ALL and UNION DISTINCT without parentheses", "SELECT 1 AS x UNION ALL SELECT 1 UNION DISTINCT SELECT 2"),
    ("UNION and EXCEPT without parentheses", "SELECT 1 AS x UNION ALL SELECT 2 EXCEPT DISTINCT SELECT 2"),
    ("two common table expressions of one name", "WITH a AS (SELECT 1 AS x), a AS (SELECT 2 AS x) SELECT x FROM a"),
    ("LIMIT of an expression", T +" SELECT x FROM t LIMIT 1 + 1"),
    ("LIMIT below zero", C +" SELECT svc FROM c LIMIT -1"),
    ("recursion by UNION DISTINCT", "WITH RECURSIVE r AS (SELECT 1 AS n UNION DISTINCT SELECT MOD(n, 3) + 1 FROM r) SELECT n FROM r"),
    ("two that read each other", "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM b WHERE n < 3), b AS (SELECT n FROM a) SELECT n FROM a"),
    ("a frame that ends before it begins", "SELECT SUM(x) OVER (ORDER BY x ROWS BETWEEN CURRENT ROW AND 1 PRECEDING) FROM UNNEST([1]) x"),
    ("a window that is not defined", "SELECT SUM(x) OVER w FROM UNNEST([1]) x"),
    ("BY NAME of other names", "SELECT 1 AS a UNION ALL BY NAME SELECT 1 AS b"),
    ("BY NAME ON what one side lacks", "SELECT 1 AS a, 2 AS b INNER UNION ALL BY NAME ON (b) SELECT 1 AS a"),
    ("a row where its column is meant", "WITH total AS (SELECT 5 AS total) SELECT 10 / total FROM total"),
    ("an aggregate of an aggregate", C +" SELECT SUM(SUM(cost)) FROM c"),
    ("an aggregate of an alias that is one", C +" SELECT svc, SUM(cost) AS cost FROM c GROUP BY svc ORDER BY SUM(cost) DESC"),
    ("QUALIFY without a window", C +" SELECT svc FROM c QUALIFY cost > 1"),
    ("GROUP BY a window", C +" SELECT ROW_NUMBER() OVER (ORDER BY day) AS r, COUNT(*) FROM c GROUP BY r"),
    ("GROUP BY the place of an aggregate", C +" SELECT SUM(cost) FROM c GROUP BY 1"),
    ("ORDER BY a place that is not there", C +" SELECT svc FROM c ORDER BY 2"),
    ("a name that a subquery gives twice", "SELECT a FROM (SELECT 1 AS a, 2 AS a)"),
    ("a table twice without an alias", T +" SELECT 1 FROM t, t"),
    ("a correlated subquery of several rows", "SELECT (SELECT x FROM UNNEST(a) x) FROM (SELECT [1,2] AS a)"),
]  # fmt: skip
