"""Operators: literals, comparisons, fields."""

from sqlglot import exp

from server.warehouse.port import WarehouseError
from server.warehouse.translate.names import read_field
from server.warehouse.translate.numbers import NUMBERS
from server.warehouse.translate.rules import Rules, Types, cast, literal, unsupported


def _literal(node: exp.Expr, _types: Types) -> exp.Expr:
    """1.5 is FLOAT64 on BigQuery and DECIMAL on DuckDB; integers are 64 bits wide in arithmetic."""
    if node.args["is_string"]:
        return node
    if not node.name.isdigit():
        return cast(node, "DOUBLE")
    return cast(node, "BIGINT") if isinstance(node.parent, exp.Binary | exp.Neg | exp.Alias | exp.Select) else node


def _like(node: exp.Expr, _types: Types) -> exp.Expr:
    """A backslash takes the meaning from the character behind it; DuckDB has no escape character of its own."""
    return exp.Escape(this=node, expression=literal("\\"))


def _comparison(node: exp.Expr, types: Types) -> exp.Expr:
    """BigQuery compares a STRING with nothing else, unless it is a literal; DuckDB would convert silently."""
    left, right = node.args["this"], node.args["expression"]
    if _is_literal(left) or _is_literal(right):
        literal, other = (left, right) if _is_literal(left) else (right, left)
        if not (_is_text(literal) and types.kind(other) in NUMBERS):
            return node
    kinds = types.kind(left), types.kind(right)
    if (kinds[0] == "STRING") != (kinds[1] == "STRING") and not _has_null(left, right):
        raise WarehouseError(
            "INVALID_QUERY", f"cannot compare {kinds[0]} with {kinds[1]}; use CAST or SAFE_CAST on one side"
        )
    return node


def _is_literal(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal | exp.RawString)


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.RawString) or bool(node.args.get("is_string"))


def _has_null(*nodes: exp.Expr) -> bool:
    return any(isinstance(node, exp.Null) for node in nodes)


def _dot(node: exp.Expr, types: Types) -> exp.Expr:
    value, name = node.args["this"], node.args["expression"]
    if not isinstance(name, exp.Identifier):
        raise unsupported("a function of that name")
    if types.kind(value) != "RECORD":
        raise WarehouseError("INVALID_QUERY", f"Cannot access field {name.name} on a value of type {types.kind(value)}")
    return read_field(value.copy(), name.name)


OPERATORS = Rules(
    by_type={
        exp.Literal: _literal,
        exp.Like: _like,
        exp.EQ: _comparison,
        exp.NEQ: _comparison,
        exp.LT: _comparison,
        exp.LTE: _comparison,
        exp.GT: _comparison,
        exp.GTE: _comparison,
        exp.Dot: _dot,
    },
    unchanged=(
        exp.And, exp.Or, exp.Not, exp.Is, exp.Between, exp.Case, exp.If, exp.Exists, exp.Interval, exp.AtTimeZone,
        exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Paren, exp.Tuple, exp.Boolean, exp.Null, exp.RawString,
    ),
)  # fmt: skip
