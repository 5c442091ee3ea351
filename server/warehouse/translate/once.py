"""Expressions that read their operands several times and compute each of them once."""

from functools import lru_cache

import sqlglot
from sqlglot import exp

from server.warehouse.translate.rules import call, literal


def once(template: str, **values: exp.Expr) -> exp.Expr:
    """The DuckDB expression `template`, in which `p.name` is the value of that name.

    A lambda over one row holds them: repeated operands would double with every operator of a formula.
    """
    fields = [exp.PropertyEQ(this=exp.to_identifier(name), expression=value.copy()) for name, value in values.items()]
    row = exp.Array(expressions=[exp.Struct(expressions=fields)])
    body = exp.Lambda(this=_parsed(template).copy(), expressions=[exp.to_identifier("p")])
    return call("LIST_EXTRACT", call("LIST_TRANSFORM", row, body), literal(1))


def failing(message: str, duckdb_type: str = "DOUBLE") -> str:
    """For a template: what ends the query with an error."""
    return f"CAST(BQ_FAIL('{message}') AS {duckdb_type})"


@lru_cache(maxsize=1_000)
def _parsed(template: str) -> exp.Expr:
    return sqlglot.parse_one(template, read="duckdb").transform(_read_field)


def _read_field(node: exp.Expr) -> exp.Expr:
    """`p.a` as a function: in HAVING, DuckDB would take it for a column `a`."""
    if isinstance(node, exp.Column) and node.table:
        return call("STRUCT_EXTRACT", exp.column(node.table), literal(node.name))
    if isinstance(node, exp.Dot):
        return call("STRUCT_EXTRACT", _read_field(node.this), literal(node.expression.name))
    return node
