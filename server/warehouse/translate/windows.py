"""Window functions: numbering, navigation, percentiles; which clauses each needs and which it refuses."""

from sqlglot import exp

from server.warehouse.translate.aggregates import argument, marked, over
from server.warehouse.translate.coercion import DUCKDB, WIDENING, WITHOUT_ORDER, is_text, supertype
from server.warehouse.translate.numbers import as_kind, number_kind
from server.warehouse.translate.rules import Rule, Rules, Types, call, cast, invalid, unsupported, written
from server.warehouse.translate.shapes import agree

_NEVER_OVER = (
    exp.Grouping, exp.ApproxQuantiles, exp.ApproxTopK, exp.ApproxTopSum, exp.ArrayConcatAgg, exp.ArgMax, exp.ArgMin,
)  # fmt: skip
_MAY_IGNORE_NULLS = (exp.FirstValue, exp.LastValue, exp.NthValue, exp.PercentileCont, exp.PercentileDisc)


def require_over(window: exp.Window) -> None:
    """Refuse an OVER clause that BigQuery does not have with such a function.

    It takes the query as it was written: what a function becomes may have other functions and clauses in it.

    Raises:
        WarehouseError: INVALID_QUERY.
    """
    function = window.this
    while isinstance(function, exp.IgnoreNulls | exp.RespectNulls):
        function = function.this
    if isinstance(function, _NEVER_OVER) or not isinstance(function, exp.AggFunc | exp.RowNumber):
        raise invalid(f"{written(function)} takes no OVER clause", function)
    if function is not window.this and not isinstance(function, _MAY_IGNORE_NULLS):
        raise invalid(f"{written(function)} with OVER takes neither IGNORE NULLS nor RESPECT NULLS", function)
    what = argument(function) if "this" in function.args else None
    if what and (what.order or what.limit is not None or what.having):
        raise invalid(f"{written(function)} with OVER takes neither ORDER BY nor LIMIT nor HAVING", function)
    if what and what.distinct and (window.args.get("order") is not None or window.args.get("spec") is not None):
        raise invalid("an aggregate with DISTINCT takes neither ORDER BY nor a frame in its OVER clause", window)


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


def _parts(node: exp.Expr, _types: Types) -> exp.Expr:
    _clauses(node, order=True, frame=False)
    parts = node.args.get("this")
    if parts is None:
        raise invalid("NTILE needs the number of parts", node)
    _require_whole(node, parts, "the number of parts of NTILE", least=1)
    return node


def _neighbour(node: exp.Expr, types: Types) -> exp.Expr:
    """LAG and LEAD; DuckDB would give the default the value's type, whatever that loses."""
    _clauses(node, order=True, frame=False)
    if (offset := node.args.get("offset")) is not None:
        _require_whole(node, offset, f"the offset of {written(node)}", least=0)
    if (default := node.args.get("default")) is not None:
        values = [node.args["this"], default]
        kind = supertype(values, types, f"{written(node)} cannot choose from", node)
        agree(values, types, node)
        for key in ("this", "default"):
            value = node.args[key]
            if kind in DUCKDB and types.kind(value) not in (kind, "NULL") and not is_text(value):
                node.set(key, cast(value.copy(), DUCKDB[kind]))
    return marked(node)


def _value(node: exp.Expr, _types: Types) -> exp.Expr:
    """FIRST_VALUE, LAST_VALUE, NTH_VALUE."""
    _clauses(node, order=True, frame=True)
    if (offset := node.args.get("offset")) is not None:
        _require_whole(node, offset, "the place in NTH_VALUE", least=1)
    return marked(node)


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
        return marked(call("QUANTILE_DISC", value.copy(), share))
    kind = number_kind([value], types, "PERCENTILE_CONT")
    return marked(call("QUANTILE_CONT", as_kind(value, "FLOAT64" if kind == "INT64" else kind), share))


def _require_share(node: exp.Expr, share: exp.Expr) -> None:
    number = _written_number(share)
    if number is None or not 0 <= float(number) <= 1:
        raise invalid(f"{written(node)} needs a literal number from 0 to 1", node)


def _require_whole(node: exp.Expr, value: exp.Expr, what: str, *, least: int) -> None:
    number = _written_number(value)
    if number is None or not number.isdigit() or int(number) < least:
        raise invalid(f"{what} has to be a literal whole number, {least} or more", node)


def _written_number(value: exp.Expr) -> str | None:
    """The digits of a literal number, None for what is not one: BigQuery needs it to be known beforehand."""
    number = value.unnest()
    while isinstance(number, exp.Cast):
        number = number.this
    return number.name if isinstance(number, exp.Literal) and not number.is_string else None


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
    _require_frame(node)
    _require_range(node, types)
    return over(node)


def _require_frame(node: exp.Expr) -> None:
    """A frame is of ROWS or RANGE, has literal distances, and ends where it begins or later."""
    spec = node.args.get("spec")
    if spec is None:
        return
    if spec.args.get("kind") not in ("ROWS", "RANGE") or spec.args.get("exclude"):
        raise invalid("a frame of the OVER clause is one of ROWS or RANGE, without EXCLUDE", node)
    distances = [distance for side in ("start", "end") if isinstance(distance := spec.args.get(side), exp.Expr)]
    numbers = [_written_number(distance) for distance in distances]
    if any(number is None or (spec.args["kind"] == "ROWS" and not number.isdigit()) for number in numbers):
        raise invalid("the distances in the frame of an OVER clause have to be literal numbers, whole in ROWS", node)
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
