"""Arrays: elements by place, membership, and the aggregates that gather values."""

from sqlglot import exp

from server.warehouse.translate.allowed import unsupported
from server.warehouse.translate.functions import Rule, Types, call


def _bracket(node: exp.Expr, types: Types) -> exp.Expr:
    """a[OFFSET(n)], a[ORDINAL(n)] and their SAFE_ forms; outside the array is an error, or NULL for SAFE_."""
    array, (index,) = node.args["this"], node.expressions
    if types.kind(array) != "ARRAY":
        raise unsupported(f"[...] on a value of type {types.kind(array)}")
    first = node.args.get("offset") or 0
    place = exp.Paren(this=exp.Add(this=index.copy(), expression=exp.Literal.number(1 - first)))
    inside = exp.Between(this=place, low=exp.Literal.number(1), high=call("LEN", array.copy()))
    element = call("LIST_EXTRACT", array.copy(), place.copy())
    case = exp.Case().when(inside, element)
    if not node.args.get("safe"):
        missing = exp.Is(this=array.copy(), expression=exp.Null())
        case = case.when(missing, exp.Null()).else_(call("ERROR", exp.Literal.string("array index is out of bounds")))
    return case


def _array(node: exp.Expr, _types: Types) -> exp.Expr:
    node.set("struct_name_inheritance", None)
    return node


def _array_length(node: exp.Expr, _types: Types) -> exp.Expr:
    return call("LEN", node.args["this"])


def _in(node: exp.Expr, _types: Types) -> exp.Expr:
    """`x IN UNNEST(array)`, with SQL's answer for NULLs."""
    unnest = node.args.get("unnest")
    if unnest is None:
        return node
    elements = exp.Select(expressions=[call("UNNEST", unnest.expressions[0].copy())])
    return exp.In(this=node.args["this"].copy(), query=exp.Subquery(this=elements))


def _window(node: exp.Expr, _types: Types) -> exp.Expr:
    """What a rule put around an aggregate goes around its OVER clause too: CAST(AVG(x) OVER ...)."""
    wrapper = node.args["this"]
    if isinstance(wrapper, exp.Cast):
        return exp.Cast(this=_over(node, wrapper.args["this"]), to=wrapper.args["to"].copy())
    if isinstance(wrapper, exp.Anonymous) and wrapper.name == "LIST_SLICE":
        aggregate, *places = wrapper.expressions
        return call("LIST_SLICE", _over(node, aggregate), *(place.copy() for place in places))
    return node


def _over(window: exp.Expr, aggregate: exp.Expr) -> exp.Expr:
    copied = window.copy()
    copied.set("this", aggregate.copy())
    return copied


def _array_agg(node: exp.Expr, types: Types) -> exp.Expr:
    """ARRAY_AGG([DISTINCT] x [IGNORE NULLS] [ORDER BY ...] [LIMIT n])."""
    if isinstance(node, exp.ArrayAgg) and isinstance(node.parent, exp.IgnoreNulls):
        return node
    ignore = isinstance(node, exp.IgnoreNulls)
    aggregate = node.args["this"] if ignore else node
    if not isinstance(aggregate, exp.ArrayAgg):
        return node
    inner, limit = aggregate.args["this"], None
    if isinstance(inner, exp.Limit):
        inner, limit = inner.args["this"], inner.args["expression"]
    result: exp.Expr = call("ARRAY_AGG", inner.copy())
    if ignore:
        present = exp.Not(this=exp.Is(this=_aggregated(inner).copy(), expression=exp.Null()))
        result = exp.Filter(this=result, expression=exp.Where(this=present))
    return call("LIST_SLICE", result, exp.Literal.number(1), limit.copy()) if limit else result


def _aggregated(node: exp.Expr) -> exp.Expr:
    """What is aggregated, without its ORDER BY and DISTINCT."""
    if isinstance(node, exp.Order):
        return _aggregated(node.args["this"])
    return node.expressions[0] if isinstance(node, exp.Distinct) else node


def _string_agg(node: exp.Expr, _types: Types) -> exp.Expr:
    inner = node.args["this"]
    if isinstance(inner, exp.Limit):
        raise unsupported("LIMIT inside STRING_AGG")
    separator = node.args.get("separator") or exp.Literal.string(",")
    if isinstance(inner, exp.Order):
        ordered = exp.Order(this=separator.copy(), expressions=[part.copy() for part in inner.expressions])
        return call("STRING_AGG", inner.args["this"].copy(), ordered)
    return call("STRING_AGG", inner.copy(), separator.copy())


ARRAY_RULES: dict[type[exp.Expr], Rule] = {
    exp.Bracket: _bracket,
    exp.Array: _array,
    exp.ArraySize: _array_length,
    exp.In: _in,
    exp.ArrayAgg: _array_agg,
    exp.IgnoreNulls: _array_agg,
    exp.GroupConcat: _string_agg,
    exp.Window: _window,
}
