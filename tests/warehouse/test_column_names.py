"""Which columns of a result have no name."""

import pytest

from server.warehouse.column_names import nameless


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a, t.b, s.x.y, f(z).w, 1 AS n FROM t", ()),
        ("SELECT SUM(a), (SELECT 1 AS n), arr[0] FROM t", ("SUM(a)", "(SELECT 1 AS n)", "arr[0]")),
        ("SELECT * FROM t", ()),
        ("SELECT * FROM t, (SELECT 1) JOIN (SELECT 2) ON TRUE", ("1", "2")),
        ("SELECT b.* FROM (SELECT 1) AS a, (SELECT 2) AS b", ("2",)),
        ("SELECT n FROM (SELECT 1, 2 AS n)", ()),
        ("(SELECT 1 UNION ALL SELECT 2) ORDER BY 1", ("1",)),
        ("SELECT 1 AS n UNION ALL SELECT 2", ()),
        ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM B", ("1",)),
        ("WITH a AS (SELECT 1) SELECT * FROM d.a", ()),
        ("WITH a AS (SELECT 1) SELECT * FROM (WITH a AS (SELECT 2 AS n) SELECT * FROM a)", ()),
        ("WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a", ("1",)),
        ("SELECT * FROM (SELECT 'x' AS k, 1 AS v) PIVOT(SUM(v) FOR k IN ('x'))", ()),
        ("SELECT AS VALUE a FROM t", ("a",)),
        ("SELECT * FROM UNNEST([1])", ()),
        ("SELECT COUNT(*), o FROM t, t.items AS i WITH OFFSET AS o GROUP BY o", ("COUNT(*)",)),
    ],
)
def test_the_select_list_decides(sql: str, expected: tuple[str, ...]) -> None:
    assert nameless(sql, ["f0_"]) == expected


def test_a_result_whose_columns_all_have_names_is_not_looked_into() -> None:
    assert nameless("SELECT 1", ["n", "xf0_", "f_", "f0"]) == ()


def test_what_is_read_again_and_again_is_looked_at_once() -> None:
    tables = ["t0 AS (SELECT 1)"]
    tables += [f"t{n} AS (SELECT * FROM t{n - 1} AS a, t{n - 1} AS b)" for n in range(1, 60)]
    assert nameless(f"WITH {', '.join(tables)} SELECT * FROM t59", ["f0_"]) == ("1",)
