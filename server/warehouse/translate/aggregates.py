"""Aggregates: DISTINCT, ORDER BY, LIMIT and HAVING MAX inside them, what types they take and what they give.

The part of a translation that DuckDB aggregates with is marked, so that an OVER clause goes to it and not around
what stands about it: CAST(SUM(x) OVER (...) AS BIGINT).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from server.warehouse.translate.coercion import WITHOUT_ORDER
from server.warehouse.translate.numbers import EXACT, NUMBERS, as_kind, exactly, number_kind
from server.warehouse.translate.once import once
from server.warehouse.translate.rules import Rule, Rules, Types, call, cast, invalid, literal, unsupported, written

_MARK = "aggregate"


@dataclass(frozen=True, slots=True)
class Argument:
    """What stands in an aggregate's parentheses."""

    value: exp.Expr
    distinct: bool
    order: Sequence[exp.Expr]
    limit: exp.Expr | None
    having: exp.HavingMax | None


def argument(node: exp.Expr) -> Argument:
    """Take `DISTINCT x HAVING MAX y ORDER BY z LIMIT n` apart. Raises INVALID_QUERY for DISTINCT of two values."""
    value = node.args["this"]
    distinct, order, limit, having = False, list[exp.Expr](), None, None
    while isinstance(value, exp.Limit | exp.Order | exp.HavingMax | exp.Distinct):
        if isinstance(value, exp.Distinct):
            if len(value.expressions) != 1:
                raise invalid(f"{written(node)}(DISTINCT ...) takes one value", node)
            distinct, value = True, value.expressions[0]
            continue
        if isinstance(value, exp.Limit):
            limit = value.args["expression"]
        elif isinstance(value, exp.Order):
            order = value.expressions
        else:
            having = value
        value = value.args["this"]
    return Argument(value, distinct, order, limit, having)


def plain(node: exp.Expr, what: Argument) -> None:
    """Refuse ORDER BY and LIMIT, which most aggregates do not have; HAVING where it is not translated."""
    if what.order or what.limit is not None:
        raise invalid(f"{written(node)} takes neither ORDER BY nor LIMIT", node)
    if what.having:
        raise unsupported(f"{written(node)} with HAVING MAX or HAVING MIN", node)


def aggregated(name: str, *values: exp.Expr, distinct: bool = False) -> exp.Expr:
    """A marked call of DuckDB's aggregate; DISTINCT goes by the first value."""
    first, *others = (value.copy() for value in values)
    return marked(call(name, exp.Distinct(expressions=[first]) if distinct else first, *others))


def marked(node: exp.Expr) -> exp.Expr:
    """Tell `over` that the OVER clause belongs here."""
    node.meta[_MARK] = True
    return node


def is_marked(node: exp.Expr) -> bool:
    """Whether DuckDB aggregates with it."""
    return _MARK in node.meta


def over(window: exp.Expr) -> exp.Expr:
    """The window's function, with the OVER clause at each of its marked parts."""
    inner = window.args["this"]
    if not any(is_marked(part) for part in inner.walk()):
        return window
    return _each_over(window, inner)


def _each_over(window: exp.Expr, node: exp.Expr) -> exp.Expr:
    if is_marked(node):
        placed = window.copy()
        placed.set("this", node.copy())
        return placed
    copied = node.copy()
    for key, part in list(node.args.items()):
        if isinstance(part, exp.Expr):
            copied.set(key, _each_over(window, part))
        elif isinstance(part, list):
            copied.set(key, [_each_over(window, item) if isinstance(item, exp.Expr) else item for item in part])
    return copied


def _chosen(what: Argument) -> exp.Expr:
    """For HAVING MAX y: the values of the rows that have the greatest y, as an array."""
    if what.having is None:
        raise ValueError("there is no HAVING")
    by, best = what.having.args["expression"], "MAX" if what.having.args.get("max") else "MIN"
    pair = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name), expression=value.copy())
            for name, value in (("x", what.value), ("y", by))
        ]
    )
    rows = aggregated("LIST", pair)
    kept = "LIST_TRANSFORM(LIST_FILTER(p.pairs, LAMBDA r : r.y = p.best), LAMBDA r : r.x)"
    values = once(kept, pairs=rows, best=aggregated(best, by))
    return call("LIST_DISTINCT", values) if what.distinct else values


def _of_list(name: str, array: exp.Expr) -> exp.Expr:
    return call("LIST_AGGREGATE", array, literal(name))


def _summed_kind(node: exp.Expr, what: Argument, types: Types) -> str:
    if types.kind(what.value) == "INTERVAL":
        raise unsupported(f"{written(node)} of INTERVAL", node)
    return number_kind([what.value], types, written(node))


def _sum(node: exp.Expr, types: Types) -> exp.Expr:
    """The sum keeps the type, and is an error beyond it; DuckDB would go on with 128 bits."""
    what = argument(node)
    kind = _summed_kind(node, what, types)
    if what.having:
        return cast(_of_list("sum", _chosen(what)), NUMBERS[kind])
    plain(node, what)
    return cast(aggregated("SUM", as_kind(what.value, kind), distinct=what.distinct), NUMBERS[kind])


def _average(node: exp.Expr, types: Types) -> exp.Expr:
    """The average of NUMERIC is NUMERIC and computed as exactly."""
    what = argument(node)
    kind = _summed_kind(node, what, types)
    if what.having:
        chosen = _chosen(what)
        if kind not in EXACT:
            return cast(_of_list("avg", chosen), NUMBERS["FLOAT64"])
        return exactly("divide", kind, _of_list("sum", chosen), call("LIST_COUNT", chosen.copy()))
    plain(node, what)
    value = as_kind(what.value, kind)
    if kind not in EXACT:
        return aggregated("AVG", value, distinct=what.distinct)
    rows = aggregated("COUNT", value, distinct=what.distinct)
    return exactly("divide", kind, aggregated("SUM", value, distinct=what.distinct), rows)


def _count(node: exp.Expr, _types: Types) -> exp.Expr:
    if isinstance(node.args.get("this"), exp.Star):
        return marked(node)
    what = argument(node)
    if what.having:
        return call("LIST_COUNT", _chosen(what))
    plain(node, what)
    return aggregated("COUNT", what.value, distinct=what.distinct)


def _count_if(node: exp.Expr, types: Types) -> exp.Expr:
    """Of no rows it is 0; DuckDB's COUNT_IF is NULL then."""
    what = argument(node)
    plain(node, what)
    _require(what.value, "BOOLEAN", types, "COUNTIF needs a BOOL")
    counted = literal(1) if not what.distinct else exp.true()
    case = exp.Case().when(what.value.copy(), counted)
    return aggregated("COUNT", case, distinct=what.distinct)


def _require(value: exp.Expr, wanted: str, types: Types, problem: str) -> None:
    if (kind := types.kind(value)) not in (wanted, "NULL"):
        raise invalid(f"{problem} and was given {kind}", value)


def _extreme(node: exp.Expr, types: Types) -> exp.Expr:
    """MIN and MAX are NaN when a value is; DuckDB's MIN is not."""
    what, name = argument(node), written(node)
    kind = types.kind(what.value)
    if kind in WITHOUT_ORDER:
        raise invalid(f"{name} needs values with an order and was given {WITHOUT_ORDER[kind]}", node)
    if what.having:
        return _of_list(name.lower(), _chosen(what))
    plain(node, what)
    found = aggregated(name, what.value)
    if kind != "FLOAT64" or name == "MAX":
        return found
    nan = aggregated("BOOL_OR", call("ISNAN", what.value.copy()))
    return exp.Paren(this=exp.Case().when(nan, cast(exp.Literal.string("nan"), "DOUBLE")).else_(found))


def _any_value(node: exp.Expr, types: Types) -> exp.Expr:
    what = argument(node)
    if what.having is None:
        plain(node, what)
        return aggregated("ANY_VALUE", what.value)
    return _best(what.value, what.having.args["expression"], node, types, greatest=bool(what.having.args.get("max")))


def _by(node: exp.Expr, types: Types) -> exp.Expr:
    """MAX_BY and MIN_BY."""
    greatest = isinstance(node, exp.ArgMax)
    return _best(node.args["this"], node.args["expression"], node, types, greatest=greatest)


def _best(value: exp.Expr, by: exp.Expr, node: exp.Expr, types: Types, *, greatest: bool) -> exp.Expr:
    if (kind := types.kind(by)) in WITHOUT_ORDER:
        raise invalid(f"MAX and MIN need values with an order and were given {WITHOUT_ORDER[kind]}", node)
    return aggregated("ARG_MAX" if greatest else "ARG_MIN", value, by)


def _of_type(name: str, wanted: Sequence[str]) -> Rule:
    """An aggregate of one value that takes these types and means the same on DuckDB."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        what = argument(node)
        plain(node, what)
        if (kind := types.kind(what.value)) not in (*wanted, "NULL"):
            raise invalid(f"{written(node)} needs {' or '.join(wanted).replace('BOOLEAN', 'BOOL')}, given {kind}", node)
        return aggregated(name, what.value, distinct=what.distinct)

    return rule


def _spread(name: str) -> Rule:
    """Variance and standard deviation, in FLOAT64."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        what = argument(node)
        plain(node, what)
        number_kind([what.value], types, written(node))
        return aggregated(name, as_kind(what.value, "FLOAT64"), distinct=what.distinct)

    return rule


def _pairs(name: str) -> Rule:
    """CORR and the covariances, in FLOAT64; CORR of less than two pairs is NULL, which DuckDB calls NaN."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        values = [node.args["this"], node.args["expression"]]
        number_kind(values, types, name)
        x, y = (as_kind(value, "FLOAT64") for value in values)
        found = aggregated(name, x, y)
        if name != "CORR":
            return found
        several = exp.GT(this=aggregated("REGR_COUNT", x, y), expression=literal(1))
        return exp.Paren(this=exp.Case().when(several, found))

    return rule


def _approximate_count(node: exp.Expr, types: Types) -> exp.Expr:
    """Counted exactly: an approximation may be exact."""
    value = argument(node).value
    if (kind := types.kind(value)) in WITHOUT_ORDER:
        raise invalid(f"{written(node)} cannot count values of type {WITHOUT_ORDER[kind]}", node)
    return aggregated("COUNT", value, distinct=True)


def _grouping(node: exp.Expr, _types: Types) -> exp.Expr:
    return cast(call("GROUPING", *(part.copy() for part in node.expressions)), "BIGINT")


AGGREGATES = Rules(
    by_type={
        exp.Sum: _sum,
        exp.Avg: _average,
        exp.Count: _count,
        exp.CountIf: _count_if,
        exp.Min: _extreme,
        exp.Max: _extreme,
        exp.AnyValue: _any_value,
        exp.ArgMax: _by,
        exp.ArgMin: _by,
        exp.LogicalAnd: _of_type("BOOL_AND", ("BOOLEAN",)),
        exp.LogicalOr: _of_type("BOOL_OR", ("BOOLEAN",)),
        exp.BitwiseAndAgg: _of_type("BIT_AND", ("INT64",)),
        exp.BitwiseOrAgg: _of_type("BIT_OR", ("INT64",)),
        exp.BitwiseXorAgg: _of_type("BIT_XOR", ("INT64",)),
        exp.Stddev: _spread("STDDEV_SAMP"),
        exp.StddevSamp: _spread("STDDEV_SAMP"),
        exp.StddevPop: _spread("STDDEV_POP"),
        exp.Variance: _spread("VAR_SAMP"),
        exp.VariancePop: _spread("VAR_POP"),
        exp.Corr: _pairs("CORR"),
        exp.CovarPop: _pairs("COVAR_POP"),
        exp.CovarSamp: _pairs("COVAR_SAMP"),
        exp.ApproxDistinct: _approximate_count,
        exp.Grouping: _grouping,
    },
    unchanged=(exp.HavingMax,),
)
