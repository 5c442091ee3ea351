"""The columns that UNION, INTERSECT and EXCEPT make of their sides'."""

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from server.warehouse.port import WarehouseError
from server.warehouse.translate.rules import invalid
from server.warehouse.translate.shapes import common_kind, conformed, fits
from server.warehouse.translate.sources import Output
from server.warehouse.types import bigquery_field


def require_written_out(node: exp.SetOperation) -> None:
    """Refuse what BigQuery's grammar has no place for. Raises INVALID_QUERY."""
    name = type(node).key.upper()
    if not isinstance(node, exp.Union) and not node.args.get("distinct"):
        raise invalid(f"{name} ALL: there is only {name} DISTINCT", node)
    for side in (node.this, node.expression):
        if isinstance(side, exp.SetOperation) and (
            type(side) is not type(node) or bool(side.args.get("distinct")) != bool(node.args.get("distinct"))
        ):
            raise invalid(f"{name} beside another set operation; put one of them in parentheses", node)


def by_name(node: exp.SetOperation, left: Sequence[Output], right: Sequence[Output]) -> list[str]:
    """The names of the columns that BY NAME or CORRESPONDING makes, in their order.

    The rules, from GoogleSQL's "Set operators": without a mode both sides have the same names; INNER keeps those of
    both, LEFT those of the left side, FULL all of them. ON names what is kept of these.

    Raises:
        WarehouseError: INVALID_QUERY.
    """
    ours, theirs = _names(node, left), _names(node, right)
    both = [name for name in ours if name in theirs]
    either = [*ours, *(name for name in theirs if name not in ours)]
    side, wanted = str(node.args.get("side") or ""), [column.name.lower() for column in node.args.get("on") or ()]
    kept = {"": both, "LEFT": ours, "FULL": either}[side.upper()]
    if not side and node.args.get("kind") != "INNER" and {*both} != {*either}:
        lacking = [name for name in either if name not in both]
        raise invalid(f"both sides of BY NAME need the same columns: {', '.join(lacking)}", node)
    if missing := [name for name in wanted if name not in kept]:
        raise invalid(f"BY NAME ON: no column {', '.join(missing)}", node)
    if not both and side.upper() != "FULL":
        raise invalid("the sides of a set operation BY NAME have no column in common", node)
    return wanted or kept


def _names(node: exp.SetOperation, outputs: Sequence[Output]) -> list[str]:
    names = [output.name.lower() for output in outputs]
    if len({*names}) < len(names):
        raise invalid("a set operation BY NAME needs columns of different names", node)
    return names


def arranged(side: exp.Expr, outputs: Sequence[Output], names: Sequence[str]) -> tuple[exp.Expr, list[Output | None]]:
    """One side with the columns of these names, NULL in the place of those it lacks (None in the answer)."""
    known = {output.name.lower(): output for output in outputs}
    found = [known.get(name) for name in names]
    values = [_column(output) if output else exp.Null() for output in found]
    named = [output.physical if output else name for output, name in zip(found, names, strict=True)]
    return select_from(side, values, named), found


def filled(columns: Sequence[Output | None], others: Sequence[Output | None]) -> list[Output]:
    """The columns of one side; those it lacks are as the other side's."""
    return [own or other for own, other in zip(columns, others, strict=True) if own or other]  # type: ignore[misc]


def common(operation: str, place: int, left: Output, right: Output) -> Output:
    """The column that both sides of a set operation make; types must be equal or numbers. Raises INVALID_QUERY."""
    kind = common_kind(left.kind, right.kind)
    if kind is None:
        ours, theirs = (bigquery_field("x", output.kind) for output in (left, right))
        raise WarehouseError(
            "INVALID_QUERY",
            f"column {place} of {operation} ({left.name}) is {ours.type} on one side and {theirs.type} on the other; "
            "use CAST",
        )
    return replace(left, kind=kind)


def in_common_form(side: exp.Expr, own: Sequence[Output], wanted: Sequence[Output]) -> exp.Expr:
    """One side with the fields of its STRUCTs named as in the columns that the operation makes."""
    if all(fits(ours.kind, theirs.kind) for ours, theirs in zip(own, wanted, strict=True)):
        return side
    values = [conformed(_column(ours), ours.kind, theirs.kind) for ours, theirs in zip(own, wanted, strict=True)]
    return select_from(side, values, [output.physical for output in own])


def _column(output: Output) -> exp.Expr:
    return exp.column(exp.to_identifier(output.physical, quoted=True), table="r")


def select_from(rows: exp.Expr, values: Sequence[exp.Expr], names: Sequence[str]) -> exp.Expr:
    """A query of another one's rows, which are named `r`."""
    listed = [exp.alias_(value, name, quoted=True) for value, name in zip(values, names, strict=True)]
    named = exp.Subquery(this=rows.copy(), alias=exp.TableAlias(this=exp.to_identifier("r")))
    return exp.Select(expressions=listed).from_(named)


def with_order_outside(tree: exp.Expr) -> exp.Expr:
    """Put a set operation that is ordered by more than its columns into a FROM clause of its own."""
    return tree.transform(_ordered_outside, copy=False)


def _ordered_outside(node: exp.Expr) -> exp.Expr:
    order = node.args.get("order")
    is_union = isinstance(node, exp.SetOperation) or (
        isinstance(node, exp.Subquery) and isinstance(node.unnest(), exp.SetOperation)
    )
    if order is None or not is_union or all(_is_name(ordered.this) for ordered in order.expressions):
        return node
    outside = {key: node.args.get(key) for key in ("order", "limit", "offset", "with_")}
    for key in outside:
        node.set(key, None)
    inner = node.copy()
    return exp.Select(expressions=[exp.Star()], from_=exp.From(this=exp.Subquery(this=inner)), **outside)


def _is_name(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) or (isinstance(node, exp.Column) and len(node.parts) == 1)
