"""Arrays and structs: elements by place, membership."""

from sqlglot import exp

from server.warehouse.translate.rules import Rules, Types, call, fail, literal, unsupported


def _bracket(node: exp.Expr, types: Types) -> exp.Expr:
    """a[OFFSET(n)], a[ORDINAL(n)] and their SAFE_ forms; outside the array is an error, or NULL for SAFE_."""
    array, (index,) = node.args["this"], node.expressions
    if types.kind(array) != "ARRAY":
        raise unsupported(f"[...] on a value of type {types.kind(array)}")
    first = node.args.get("offset") or 0
    position = exp.Paren(this=exp.Add(this=index.copy(), expression=literal(1 - first)))
    inside = exp.Between(this=position, low=literal(1), high=call("LEN", array.copy()))
    if node.args.get("safe"):
        chosen = exp.Case().when(inside, position.copy())
    else:
        missing = exp.Is(this=array.copy(), expression=exp.Null())
        outside = fail("array index is out of bounds", "BIGINT")
        chosen = exp.Case().when(exp.or_(inside, missing), position.copy()).else_(outside)
    return call("LIST_EXTRACT", array.copy(), chosen)


def _array(node: exp.Expr, _types: Types) -> exp.Expr:
    node.set("struct_name_inheritance", None)
    return node


def _array_length(node: exp.Expr, _types: Types) -> exp.Expr:
    return call("LEN", node.args["this"])


ARRAYS = Rules(
    by_type={
        exp.Bracket: _bracket,
        exp.Array: _array,
        exp.ArraySize: _array_length,
    },
    unchanged=(exp.Struct, exp.ArrayToString, exp.ArrayConcat, exp.GenerateSeries, exp.PropertyEQ),
)
