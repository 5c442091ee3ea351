"""Aggregates that collect: arrays and joined texts, quantiles, the most frequent values."""

from sqlglot import exp

from server.warehouse.translate.aggregates import Argument, aggregated, argument, marked
from server.warehouse.translate.numbers import NUMBERS, as_kind, number_kind
from server.warehouse.translate.once import once
from server.warehouse.translate.rules import Rules, Types, call, cast, invalid, literal, unsupported, written


def _list(what: Argument, node: exp.Expr, value: exp.Expr | None = None, *, present: bool) -> exp.Expr:
    """The group's values as an array, in their order and up to the limit; `present` leaves NULLs out."""
    if what.having:
        raise unsupported(f"{written(node)} with HAVING MAX or HAVING MIN", node)
    _require_own_order(what, node)
    value = (value or what.value).copy()
    inner: exp.Expr = exp.Distinct(expressions=[value]) if what.distinct else value
    if what.order:
        inner = exp.Order(this=inner, expressions=[_by(part, what, value) for part in what.order])
    found = call("LIST", inner)
    if present:
        condition = exp.Not(this=exp.Is(this=what.value.copy(), expression=exp.Null()))
        found = exp.Filter(this=found, expression=exp.Where(this=condition))
    found = marked(found)
    return call("LIST_SLICE", found, literal(1), what.limit.copy()) if what.limit is not None else found


def _by(ordered: exp.Expr, what: Argument, value: exp.Expr) -> exp.Expr:
    """A key of the order; with DISTINCT it has to be the value itself, in whatever form that is collected."""
    copied = ordered.copy()
    if what.distinct:
        copied.set("this", value.copy())
    return copied


def _require_own_order(what: Argument, node: exp.Expr) -> None:
    own = what.value.sql("duckdb")
    if what.distinct and any(part.this.sql("duckdb") != own for part in what.order):
        raise invalid(f"{written(node)}(DISTINCT x ORDER BY y): DISTINCT values are ordered by themselves only", node)


def _array_agg(node: exp.Expr, types: Types) -> exp.Expr:
    """ARRAY_AGG([DISTINCT] x [IGNORE NULLS] [ORDER BY ...] [LIMIT n])."""
    what = argument(node)
    if types.kind(what.value) == "ARRAY":
        raise invalid("ARRAY_AGG of arrays would be an array of arrays, which there is not; put each in a STRUCT", node)
    return _list(what, node, present=isinstance(node.parent, exp.IgnoreNulls))


def _array_concat_agg(node: exp.Expr, types: Types) -> exp.Expr:
    what = argument(node)
    if types.kind(what.value) not in ("ARRAY", "NULL"):
        raise invalid(f"ARRAY_CONCAT_AGG needs arrays and was given {types.kind(what.value)}", node)
    return call("FLATTEN", _list(what, node, present=True))


def _unwrapped(node: exp.Expr, _types: Types) -> exp.Expr:
    """RESPECT NULLS says what is so anyway."""
    value: exp.Expr = node.args["this"]
    return value


def _ignoring(node: exp.Expr, _types: Types) -> exp.Expr:
    """IGNORE NULLS: ARRAY_AGG has seen it already, DuckDB's window functions know it."""
    value: exp.Expr = node.args["this"]
    native = isinstance(value, exp.FirstValue | exp.LastValue | exp.NthValue)
    return marked(node) if native else value


def _string_agg(node: exp.Expr, types: Types) -> exp.Expr:
    """STRING_AGG of texts or of bytes; NULLs are left out."""
    what = argument(node)
    kind = types.kind(what.value)
    if kind not in ("STRING", "BYTES", "NULL"):
        raise invalid(f"STRING_AGG needs STRING or BYTES and was given {kind}; use CAST", node)
    separator = node.args.get("separator")
    if separator is not None and types.kind(separator) != ("BYTES" if kind == "BYTES" else "STRING"):
        raise invalid(f"STRING_AGG needs a separator of type {kind}", node)
    if kind == "BYTES":
        # Two letters a byte keep the order of the bytes.
        joint = call("HEX", separator.copy()) if separator is not None else literal("2C")
        texts = _list(what, node, call("HEX", what.value.copy()), present=True)
        return call("UNHEX", call("ARRAY_TO_STRING", texts, joint))
    joint = separator.copy() if separator is not None else literal(",")
    return call("ARRAY_TO_STRING", _list(what, node, cast(what.value.copy(), "TEXT"), present=True), joint)


def _number_of(node: exp.Expr, count: exp.Expr) -> int:
    """A literal count. Raises INVALID_QUERY for anything else: BigQuery needs it to be known beforehand."""
    number = count.unnest()
    while isinstance(number, exp.Cast):
        number = number.this
    if not isinstance(number, exp.Literal) or number.is_string or not number.name.isdigit() or not int(number.name):
        raise invalid(f"{written(node)} needs a whole number above 0 as its last argument", node)
    return int(number.name)


def _approximate_quantiles(node: exp.Expr, types: Types) -> exp.Expr:
    """The least value, the n - 1 between, and the greatest: taken exactly."""
    value, count = node.args["this"], node.args.get("expression")
    distinct = isinstance(value, exp.Distinct)
    if distinct:
        value, count = value.expressions
    if count is None:
        raise invalid("APPROX_QUANTILES takes a value and a number of parts", node)
    if isinstance(node.parent, exp.RespectNulls):
        raise unsupported("APPROX_QUANTILES with RESPECT NULLS", node)
    if (kind := types.kind(value)) in ("ARRAY", "RECORD", "JSON"):
        raise invalid(f"APPROX_QUANTILES needs values with an order and was given {kind}", node)
    parts = _number_of(node, count)
    shares = exp.Array(expressions=[exp.Literal.number(repr(place / parts)) for place in range(parts + 1)])
    return aggregated("QUANTILE_DISC", value, shares, distinct=distinct)


_TOP = "LIST_TRANSFORM(LIST_SLICE(LIST_SORT({rows}), 1, {count}), LAMBDA e : {shape})"


def _approximate_top_count(node: exp.Expr, _types: Types) -> exp.Expr:
    """The most frequent values, NULL among them, with their counts: taken exactly."""
    count = _number_of(node, node.args["expression"])
    rows = "LIST_TRANSFORM(MAP_ENTRIES(p.found), LAMBDA e : {'n': - CAST(e.value AS BIGINT), 'v': e.key.v})"
    template = _TOP.format(rows=rows, count=count, shape="{'value': e.v, 'count': - e.n}")
    return once(template, found=aggregated("HISTOGRAM", _row(v=node.args["this"])))


def _approximate_top_sum(node: exp.Expr, types: Types) -> exp.Expr:
    """The values with the greatest sums of weights: taken exactly."""
    value, weight, count = node.args["this"], node.args["expression"], _number_of(node, node.args["count"])
    kind = number_kind([weight], types, "APPROX_TOP_SUM")
    same = "LIST_FILTER(p.found, LAMBDA r : r.v IS NOT DISTINCT FROM k.v)"
    total = f"LIST_SUM(LIST_TRANSFORM({same}, LAMBDA r : r.w))"
    keys = "LIST_DISTINCT(LIST_TRANSFORM(p.found, LAMBDA r : {'v': r.v}))"
    sums = f"LIST_TRANSFORM({keys}, LAMBDA k : {{'v': k.v, 's': {total}}})"
    rows = f"LIST_TRANSFORM({sums}, LAMBDA e : {{'none': e.s IS NULL, 'n': - e.s, 'v': e.v, 's': e.s}})"
    template = _TOP.format(rows=rows, count=count, shape=f"{{'value': e.v, 'sum': CAST(e.s AS {NUMBERS[kind]})}}")
    return once(template, found=aggregated("LIST", _row(v=value, w=as_kind(weight, kind))))


def _row(**values: exp.Expr) -> exp.Expr:
    fields = [exp.PropertyEQ(this=exp.to_identifier(name), expression=value.copy()) for name, value in values.items()]
    return exp.Struct(expressions=fields)


COLLECTING = Rules(
    by_type={
        exp.ArrayAgg: _array_agg,
        exp.ArrayConcatAgg: _array_concat_agg,
        exp.GroupConcat: _string_agg,
        exp.IgnoreNulls: _ignoring,
        exp.RespectNulls: _unwrapped,
        exp.ApproxQuantiles: _approximate_quantiles,
        exp.ApproxTopK: _approximate_top_count,
        exp.ApproxTopSum: _approximate_top_sum,
    },
)
