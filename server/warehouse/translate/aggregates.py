"""Aggregates and window functions."""

from sqlglot import exp

from server.warehouse.translate.numbers import EXACT, NUMBERS
from server.warehouse.translate.rules import Rules, Types, call, cast, literal, unsupported


def _sum(node: exp.Expr, types: Types) -> exp.Expr:
    """A sum of INT64 is INT64, and an error beyond it; DuckDB would go on with 128 bits."""
    return cast(node, "BIGINT") if types.kind(node.args["this"]) == "INT64" else node


def _average(node: exp.Expr, types: Types) -> exp.Expr:
    kind = types.kind(node.args["this"])
    return cast(node, NUMBERS[kind]) if kind in EXACT else node


def _count_if(node: exp.Expr, _types: Types) -> exp.Expr:
    """Of no rows it is 0; DuckDB's COUNT_IF is NULL then."""
    return exp.Count(this=exp.Case().when(node.args["this"].copy(), literal(1)))


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
    return call("LIST_SLICE", result, literal(1), limit.copy()) if limit else result


def _aggregated(node: exp.Expr) -> exp.Expr:
    """What is aggregated, without its ORDER BY and DISTINCT."""
    if isinstance(node, exp.Order):
        return _aggregated(node.args["this"])
    return node.expressions[0] if isinstance(node, exp.Distinct) else node


def _string_agg(node: exp.Expr, _types: Types) -> exp.Expr:
    inner = node.args["this"]
    if isinstance(inner, exp.Limit):
        raise unsupported("LIMIT inside STRING_AGG")
    separator = node.args.get("separator") or literal(",")
    if isinstance(inner, exp.Order):
        ordered = exp.Order(this=separator.copy(), expressions=[part.copy() for part in inner.expressions])
        return call("STRING_AGG", inner.args["this"].copy(), ordered)
    return call("STRING_AGG", inner.copy(), separator.copy())


AGGREGATES = Rules(
    by_type={
        exp.Sum: _sum,
        exp.Avg: _average,
        exp.CountIf: _count_if,
        exp.ArrayAgg: _array_agg,
        exp.IgnoreNulls: _array_agg,
        exp.GroupConcat: _string_agg,
        exp.Window: _window,
    },
    unchanged=(
        exp.Count, exp.Min, exp.Max, exp.AnyValue, exp.LogicalAnd, exp.LogicalOr, exp.ApproxDistinct, exp.Stddev,
        exp.StddevSamp, exp.StddevPop, exp.Variance, exp.VariancePop, exp.ArgMax, exp.ArgMin, exp.RowNumber, exp.Rank,
        exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue,
    ),
)  # fmt: skip
