"""Which types stand beside one another: BigQuery converts few of them by itself, DuckDB nearly all.

The rules, from GoogleSQL's "Conversion rules": a number becomes a wider one, a DATE a DATETIME, and a literal text a
date or time. Everything else takes a CAST.
"""

from collections.abc import Sequence
from typing import get_args

from sqlglot import exp

from server.domain.schema import FieldType, TableField
from server.warehouse.translate.rules import Types, invalid
from server.warehouse.types import duckdb_type

WIDENING = ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64")
"""Numbers, each of which becomes those behind it."""
WITHOUT_ORDER = {"ARRAY": "ARRAY", "RECORD": "STRUCT", "JSON": "JSON"}
"""Types of values that are neither less nor greater, and what a query calls them."""
DUCKDB = {kind: duckdb_type(TableField(name="value", type=kind)) for kind in get_args(FieldType) if kind != "RECORD"}
"""The types that are not made of others."""
ERROR = "error"
"""Marks the translation of ERROR(...), a CAST."""
_CALENDAR = ("DATE", "DATETIME")
_TIMES = frozenset({"DATE", "DATETIME", "TIMESTAMP", "TIME"})


def supertype(values: Sequence[exp.Expr], types: Types, where: str, node: exp.Expr) -> str:
    """The type that all the values can take; NULL when all of them are NULL.

    Raises:
        WarehouseError: INVALID_QUERY when there is none, with `where` and the types.
    """
    settle_literals(values, types)
    kinds = ["NULL" if _is_error(value) else types.kind(value) for value in values]
    kind = _common(values, kinds, where, node)
    for value in values:
        if _is_error(value) and kind in DUCKDB:
            value.set("to", exp.DataType.build(DUCKDB[kind], dialect="duckdb"))
    return kind


def _is_error(value: exp.Expr) -> bool:
    """ERROR(...), which is of the type that is needed where it stands."""
    return bool(value.meta.get(ERROR))


def _common(values: Sequence[exp.Expr], kinds: Sequence[str], where: str, node: exp.Expr) -> str:
    texts = any(is_text(value) for value in values)
    found = {kind for value, kind in zip(values, kinds, strict=True) if kind != "NULL" and not is_text(value)}
    if texts and not (found and found <= _TIMES):
        found.add("STRING")
    for ladder in (WIDENING, _CALENDAR):
        if found <= set(ladder):
            return max(found, key=ladder.index, default="NULL")
    if len(found) > 1:
        raise invalid(f"{where} {' with '.join(dict.fromkeys(k for k in kinds if k != 'NULL'))}; use CAST", node)
    return found.pop()


def settle_literals(values: Sequence[exp.Expr], types: Types) -> None:
    """Make literals such as 1.1 NUMERIC where they stand beside NUMERIC and no other FLOAT64.

    A literal takes the type of what surrounds it, so `price * 1.1` stays exact.
    """
    literals = [value for value in values if _is_float_literal(value)]
    kinds = {types.kind(value) for value in values if value not in literals}
    if not literals or "FLOAT64" in kinds:
        return
    for kind in ("BIGNUMERIC", "NUMERIC"):
        if kind in kinds:
            for value in literals:
                value.set("to", exp.DataType.build(DUCKDB[kind], dialect="duckdb"))
            return


def _is_float_literal(node: exp.Expr) -> bool:
    """A number with a point or an exponent, as `operators` has translated it."""
    return (
        isinstance(node, exp.Cast)
        and isinstance(node.this, exp.Literal)
        and not node.this.is_string
        and not node.this.name.isdigit()
        and node.to.is_type("double")
    )


def require_comparable(values: Sequence[exp.Expr], types: Types, node: exp.Expr, *, ordered: bool) -> str:
    """The type that values are compared by; `ordered` for all that needs a less and a greater.

    Raises:
        WarehouseError: INVALID_QUERY.
    """
    kind = supertype(values, types, "cannot compare", node)
    if kind in ("ARRAY", "JSON") or (ordered and kind in WITHOUT_ORDER):
        raise invalid(
            f"values of type {WITHOUT_ORDER[kind]} {'have no order' if ordered else 'cannot be compared'}", node
        )
    return kind


def require_condition(value: exp.Expr, types: Types, where: str) -> None:
    """Refuse what is neither true nor false. Raises INVALID_QUERY."""
    kind = types.kind(value)
    if kind not in ("BOOLEAN", "NULL"):
        raise invalid(f"{where} needs a BOOL and was given {kind}; compare it with something", value)


def is_text(node: exp.Expr) -> bool:
    """Whether it is a literal text, which alone of all STRINGs becomes a date where one is needed."""
    return isinstance(node, exp.RawString) or (isinstance(node, exp.Literal) and node.is_string)
