"""Errors as values: SAFE., IFERROR, ISERROR, NULLIFERROR, and ERROR, which makes one.

DuckDB's TRY gives NULL in the place of an error, of whatever part. SAFE. holds only for the function behind it: its
arguments are computed outside of TRY, and so are aggregates and subqueries, which TRY does not take.
"""

from collections.abc import Callable

from sqlglot import exp

from server.warehouse.translate.aggregates import is_marked
from server.warehouse.translate.coercion import ERROR, supertype
from server.warehouse.translate.rules import IMPLIED, Rules, Types, arguments, call, cast, invalid, literal, unsupported

_OUTSIDE = "outside"
_SHIELDED = "shielded"
_ROW = "q"


def shield_arguments(tree: exp.Expr) -> None:
    """Mark what SAFE. does not hold for, while the query is BigQuery's still: `safe` puts it outside of TRY.

    Raises:
        WarehouseError: INVALID_QUERY for SAFE. before an aggregate.
    """
    for node in reversed(list(tree.find_all(exp.SafeFunc))):
        if isinstance(node.this, exp.AggFunc):
            raise invalid("SAFE. does not stand before an aggregate", node)
        shielded = [part for part in _arguments(node.this) if _is_computed(part)]
        for place, part in enumerate(shielded):
            marked = exp.Paren(this=part.copy())
            marked.meta[_OUTSIDE] = f"v{place}"
            part.replace(marked)
        node.meta[_SHIELDED] = len(shielded)


def _arguments(function: exp.Expr) -> list[exp.Expr]:
    found = []
    for part in function.iter_expressions():
        implied = isinstance(part, IMPLIED) or (isinstance(function, exp.Contains) and isinstance(part, exp.Lower))
        found.extend(_arguments(part) if implied else [part])
    return found


def _is_computed(argument: exp.Expr) -> bool:
    """Whether an argument is more than a name or a constant, which cannot fail."""
    kinds = (exp.Func, exp.Binary, exp.Query, exp.Bracket, exp.Window)
    return isinstance(argument, (*kinds, exp.Unary, exp.Predicate)) and any(argument.find_all(*kinds))


def _safe(node: exp.Expr, _types: Types) -> exp.Expr:
    """SAFE.function(...): NULL where the function fails."""
    result, count = node.args["this"], node.meta.get(_SHIELDED, 0)
    found: dict[str, exp.Expr] = {}
    for part in result.find_all(exp.Paren):
        if name := part.meta.get(_OUTSIDE):
            found.setdefault(name, part.this)
    if len(found) < count:
        raise unsupported("SAFE. before a function of that argument; compute the argument in a subquery", node)
    return _tried(result, found, lambda part: part.meta.get(_OUTSIDE))


def _tried(value: exp.Expr, outside: dict[str, exp.Expr], name_of: Callable[[exp.Expr], str | None]) -> exp.Expr:
    """`TRY(value)`, with what is named computed beforehand: a lambda over one row holds it."""
    if not outside:
        return call("TRY", value.copy())

    def read(part: exp.Expr) -> exp.Expr:
        name = name_of(part)
        return call("STRUCT_EXTRACT", exp.column(_ROW), literal(name)) if name else part

    fields = [exp.PropertyEQ(this=exp.to_identifier(name), expression=part.copy()) for name, part in outside.items()]
    body = exp.Lambda(this=call("TRY", value.transform(read)), expressions=[exp.to_identifier(_ROW)])
    row = exp.Array(expressions=[exp.Struct(expressions=fields)])
    return call("LIST_EXTRACT", call("LIST_TRANSFORM", row, body), literal(1))


def _attempt(value: exp.Expr) -> exp.Expr:
    """The value as the one field of a STRUCT; NULL when it is an error, and not when it is a NULL."""
    boxed = exp.Struct(expressions=[exp.PropertyEQ(this=exp.to_identifier("v"), expression=value.copy())])
    outside: dict[str, exp.Expr] = {}
    for part in boxed.walk(prune=_is_collected):
        if _is_collected(part):
            part.meta[_OUTSIDE] = f"v{len(outside)}"
            outside[part.meta[_OUTSIDE]] = part
    return _tried(boxed, outside, lambda part: part.meta.get(_OUTSIDE))


def _is_collected(node: exp.Expr) -> bool:
    """An aggregate, a window or a subquery."""
    return isinstance(node, exp.Window | exp.Query | exp.Exists) or is_marked(node)


def _if_error(node: exp.Expr, types: Types) -> exp.Expr:
    """IFERROR(value, other)."""
    value, other = arguments(node, 2)
    supertype([value, other], types, "IFERROR cannot give", node)
    boxed = exp.Struct(expressions=[exp.PropertyEQ(this=exp.to_identifier("v"), expression=other.copy())])
    return call("STRUCT_EXTRACT", exp.Coalesce(this=_attempt(value), expressions=[boxed]), literal("v"))


def _is_failure(node: exp.Expr, _types: Types) -> exp.Expr:
    """ISERROR(value)."""
    (value,) = arguments(node, 1)
    return exp.Paren(this=exp.Is(this=_attempt(value), expression=exp.Null()))


def _null_if_error(node: exp.Expr, _types: Types) -> exp.Expr:
    """NULLIFERROR(value)."""
    (value,) = arguments(node, 1)
    return call("STRUCT_EXTRACT", _attempt(value), literal("v"))


def _error(node: exp.Expr, types: Types) -> exp.Expr:
    (message,) = arguments(node, 1)
    if (kind := types.kind(message)) not in ("STRING", "NULL"):
        raise invalid(f"ERROR needs a text and was given {kind}; use CAST", node)
    failure = cast(call("bq_fail", message.copy()), "VARCHAR")
    failure.meta[ERROR] = True
    return failure


FAILURES = Rules(
    by_type={exp.SafeFunc: _safe},
    by_name={"ERROR": _error, "IFERROR": _if_error, "ISERROR": _is_failure, "NULLIFERROR": _null_if_error},
)
