"""Window functions: numbering, navigation, percentiles; which clauses each needs and which it refuses."""

from sqlglot import exp

from server.warehouse.translate.aggregates import over
from server.warehouse.translate.coercion import WIDENING, WITHOUT_ORDER
from server.warehouse.translate.numbers import as_kind, number_kind
from server.warehouse.translate.rules import Rule, Rules, Types, call, invalid, unsupported, written


def _window_of(node: exp.Expr) -> exp.Expr:
    """The OVER clause of a function. Raises INVALID_QUERY when it has none."""
    parent = node.parent
    while isinstance(parent, exp.IgnoreNulls | exp.RespectNulls):
        parent = parent.parent
    if not isinstance(parent, exp.Window):
        raise invalid(f"{written(node)} needs an OVER clause", node)
    return parent


def _clauses(node: exp.Expr, *, order: bool | None, frame: bool) -> None:
    """`order`: True when it has to be ordered, False when it cannot be; `frame`: whether it may have one."""
    window = _window_of(node)
    ordered = window.args.get("order") is not None
    if order is not None and order != ordered:
        wanted = "needs an ORDER BY" if order else "takes no ORDER BY"
        raise invalid(f"{written(node)} {wanted} in its OVER clause", node)
    if window.args.get("spec") is not None and not frame:
        raise invalid(f"{written(node)} takes no frame (ROWS or RANGE) in its OVER clause", node)


def _numbering(*, ordered: bool) -> Rule:
    def rule(node: exp.Expr, _types: Types) -> exp.Expr:
        _clauses(node, order=True if ordered else None, frame=False)
        return node

    return rule


def _parts(node: exp.Expr, types: Types) -> exp.Expr:
    _clauses(node, order=True, frame=False)
    parts = node.args.get("this")
    if parts is None:
        raise invalid("NTILE needs the number of parts", node)
    number_kind([parts], types, "NTILE", only=("INT64",))
    return node


def _neighbour(node: exp.Expr, types: Types) -> exp.Expr:
    """LAG and LEAD."""
    _clauses(node, order=True, frame=False)
    if (offset := node.args.get("offset")) is not None:
        number_kind([offset], types, f"the offset of {written(node)}", only=("INT64",))
        if isinstance(offset.unnest(), exp.Neg):
            raise invalid(f"the offset of {written(node)} cannot be below 0", node)
    return node


def _value(node: exp.Expr, types: Types) -> exp.Expr:
    """FIRST_VALUE, LAST_VALUE, NTH_VALUE."""
    _clauses(node, order=True, frame=True)
    if (offset := node.args.get("offset")) is not None:
        number_kind([offset], types, "the place in NTH_VALUE", only=("INT64",))
    return node


def _percentile(node: exp.Expr, types: Types) -> exp.Expr:
    """PERCENTILE_CONT goes between two values, PERCENTILE_DISC takes one of them; NULLs do not count."""
    _clauses(node, order=False, frame=False)
    if isinstance(node.parent, exp.RespectNulls):
        raise unsupported(f"{written(node)} with RESPECT NULLS", node)
    value, share = node.args["this"], node.args["expression"]
    number_kind([share], types, f"the percentile of {written(node)}")
    _require_share(node, share)
    share = as_kind(share, "FLOAT64")
    if isinstance(node, exp.PercentileDisc):
        if (kind := types.kind(value)) in WITHOUT_ORDER:
            raise invalid(f"PERCENTILE_DISC needs values with an order and was given {WITHOUT_ORDER[kind]}", node)
        return call("QUANTILE_DISC", value.copy(), share)
    kind = number_kind([value], types, "PERCENTILE_CONT")
    return call("QUANTILE_CONT", as_kind(value, "FLOAT64" if kind == "INT64" else kind), share)


def _require_share(node: exp.Expr, share: exp.Expr) -> None:
    number = share.unnest()
    while isinstance(number, exp.Cast):
        number = number.this
    if not isinstance(number, exp.Literal) or not 0 <= float(number.name) <= 1:
        raise invalid(f"{written(node)} needs a literal number from 0 to 1", node)


def nan_first(node: exp.Expr, types: Types) -> exp.Expr:
    """An ORDER BY key by which NaN is the least value; DuckDB has it as the greatest, so the negative is reversed."""
    value = node.args["this"]
    over_distinct = isinstance(node.parent, exp.Order) and isinstance(node.parent.this, exp.Distinct)
    if over_distinct or types.kind(value) != "FLOAT64":
        return node
    node.set("this", exp.Neg(this=exp.Paren(this=value.copy())))
    node.set("desc", not node.args.get("desc"))
    return node


def _window(node: exp.Expr, types: Types) -> exp.Expr:
    """An OVER clause, its function translated already."""
    for key in node.args.get("partition_by") or ():
        if (kind := types.kind(key)) in ("FLOAT64", *WITHOUT_ORDER):
            raise invalid(f"PARTITION BY takes no value of type {WITHOUT_ORDER.get(kind, kind)}", key)
    order = node.args.get("order")
    for ordered in order.expressions if order else ():
        if (kind := types.kind(ordered.this)) in WITHOUT_ORDER:
            raise invalid(f"ORDER BY: a value of type {WITHOUT_ORDER[kind]} has no order", ordered)
    if any(isinstance(part, exp.Distinct) for part in node.args["this"].find_all(exp.Distinct)) and (
        order is not None or node.args.get("spec") is not None
    ):
        raise invalid("an aggregate with DISTINCT takes neither ORDER BY nor a frame in its OVER clause", node)
    _require_frame(node)
    _require_range(node, types)
    return over(node)


def _require_frame(node: exp.Expr) -> None:
    """A frame ends where it begins or later."""
    spec = node.args.get("spec")
    if spec is None:
        return
    start, end = (_bound(spec, side) for side in ("start", "end"))
    if start > end or start == _BOUNDS.index("UNBOUNDED FOLLOWING") or end == _BOUNDS.index("UNBOUNDED PRECEDING"):
        raise invalid("the frame of the OVER clause ends before it begins", node)


_BOUNDS = ("UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW", "FOLLOWING", "UNBOUNDED FOLLOWING")


def _bound(spec: exp.Expr, side: str) -> int:
    """Where a side of a frame lies, as a place in _BOUNDS; the end may be left out."""
    bound, towards = spec.args.get(side), str(spec.args.get(f"{side}_side") or "").upper()
    if bound is None or bound == "CURRENT ROW":
        return _BOUNDS.index("CURRENT ROW")
    return _BOUNDS.index(f"UNBOUNDED {towards}" if bound == "UNBOUNDED" else towards)


def _require_range(node: exp.Expr, types: Types) -> None:
    """RANGE with distances measures along one number."""
    spec = node.args.get("spec")
    distances = [spec.args.get(side) for side in ("start", "end")] if spec is not None else []
    if spec is None or spec.args.get("kind") != "RANGE" or not any(isinstance(d, exp.Expr) for d in distances):
        return
    order = node.args.get("order")
    keys = order.expressions if order else []
    if len(keys) != 1 or types.kind(keys[0].this) not in WIDENING:
        raise invalid("a RANGE with distances needs ORDER BY exactly one number, such as UNIX_DATE(day)", node)


WINDOWS = Rules(
    by_type={
        exp.Window: _window,
        exp.Ordered: nan_first,
        exp.RowNumber: _numbering(ordered=False),
        **dict.fromkeys((exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist), _numbering(ordered=True)),
        exp.Ntile: _parts,
        **dict.fromkeys((exp.Lag, exp.Lead), _neighbour),
        **dict.fromkeys((exp.FirstValue, exp.LastValue, exp.NthValue), _value),
        **dict.fromkeys((exp.PercentileCont, exp.PercentileDisc), _percentile),
    },
)
