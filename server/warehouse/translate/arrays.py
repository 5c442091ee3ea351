"""Arrays and structs: elements by place, series of numbers, parts of arrays."""

from collections.abc import Sequence

from sqlglot import exp

from server.warehouse.translate.names import read_json
from server.warehouse.translate.numbers import EXACT, NUMBERS, as_kind, number_kind
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import Rule, Rules, Types, call, cast, invalid, literal, unsupported, written
from server.warehouse.translate.shapes import agree


def _require_array(node: exp.Expr, value: exp.Expr, types: Types) -> None:
    if (kind := types.kind(value)) not in ("ARRAY", "NULL"):
        raise invalid(f"{written(node)} needs an array and was given {kind}", node)


def _bracket(node: exp.Expr, types: Types) -> exp.Expr:
    """a[OFFSET(n)], a[ORDINAL(n)] and their SAFE_ forms; outside the array is an error, or NULL for SAFE_."""
    array, (index,) = node.args["this"], node.expressions
    if types.kind(array) == "JSON":
        return read_json(array.copy(), "field" if types.kind(index) == "STRING" else "element", index.copy())
    if types.kind(array) != "ARRAY":
        raise unsupported(f"[...] on a value of type {types.kind(array)}", node)
    number_kind([index], types, "the place in an array", only=("INT64",))
    first = node.args.get("offset") or 0
    inside = f"p.i + {1 - first} BETWEEN 1 AND LEN(p.a)"
    place = f"WHEN {inside} OR p.a IS NULL OR p.i IS NULL THEN p.i + {1 - first}"
    if node.args.get("safe"):
        place = f"WHEN {inside} THEN p.i + {1 - first}"
    outside = "NULL" if node.args.get("safe") else failing("array index is out of bounds", "BIGINT")
    template = f"LIST_EXTRACT(p.a, CASE {place} ELSE {outside} END)"
    return once(template, a=array, i=as_kind(index, "INT64"))


def _array(node: exp.Expr, types: Types) -> exp.Expr:
    """`[a, b]`, and ARRAY(SELECT ...)."""
    node.set("struct_name_inheritance", None)
    if any(types.kind(item) == "ARRAY" for item in node.expressions if not isinstance(item, exp.Query)):
        raise invalid("an array of arrays: there is no such type; put each array in a STRUCT", node)
    agree([item for item in node.expressions if not isinstance(item, exp.Query)], types, node)
    return node


def _of_array(name: str) -> Rule:
    """A function of one array, under another name."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        _require_array(node, node.args["this"], types)
        return call(name, node.args["this"])

    return rule


def _concat(node: exp.Expr, types: Types) -> exp.Expr:
    """NULL when one of the arrays is."""
    arrays = [node.args["this"], *node.expressions]
    for array in arrays:
        _require_array(node, array, types)
    agree(arrays, types, node)
    arrays = [node.args["this"], *node.expressions]
    joined = "p.v0"
    for place in range(1, len(arrays)):
        joined = f"LIST_CONCAT({joined}, p.v{place})"
    missing = " OR ".join(f"p.v{place} IS NULL" for place in range(len(arrays)))
    named = {f"v{place}": array for place, array in enumerate(arrays)}
    return once(f"CASE WHEN {missing} THEN NULL ELSE {joined} END", **named)


def _end(place: str) -> Rule:
    """ARRAY_FIRST and ARRAY_LAST; of an empty array they are an error."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        array = node.args["this"]
        _require_array(node, array, types)
        empty = failing(f"{written(node)} of an array without elements", "BIGINT")
        return once(f"LIST_EXTRACT(p.a, CASE WHEN LEN(p.a) = 0 THEN {empty} ELSE {place} END)", a=array)

    return rule


def _slice(node: exp.Expr, types: Types) -> exp.Expr:
    """From one offset to another, both included; negative ones count from the end, those outside are cut."""
    array, start, end = node.args["this"], node.args["start"], node.args.get("end")
    if end is None:
        raise invalid("ARRAY_SLICE takes an array and two offsets", node)
    _require_array(node, array, types)
    number_kind([start, end], types, "ARRAY_SLICE", only=("INT64",))
    first = "GREATEST(CASE WHEN p.s < 0 THEN p.s + LEN(p.a) ELSE p.s END, 0)"
    last = "(CASE WHEN p.e < 0 THEN p.e + LEN(p.a) ELSE p.e END)"
    nothing = "p.a IS NULL OR p.s IS NULL OR p.e IS NULL"
    chosen = f"LIST_FILTER(p.a, LAMBDA x, i : i BETWEEN {first} + 1 AND {last} + 1)"
    template = f"CASE WHEN {nothing} THEN NULL ELSE {chosen} END"
    return once(template, a=array, s=as_kind(start, "INT64"), e=as_kind(end, "INT64"))


def _element_kind(array: exp.Expr, types: Types) -> str:
    return types.kind(call("LIST_EXTRACT", array.copy(), literal(1)))


def _to_string(node: exp.Expr, types: Types) -> exp.Expr:
    """Texts put together; NULLs are left out, or stand as the third argument."""
    array, separator, missing = node.args["this"], node.args["expression"], node.args.get("null")
    _require_array(node, array, types)
    kind = _element_kind(array, types)
    if kind == "BYTES":
        return _to_bytes(node, types)
    for value in (kind, types.kind(separator), *([types.kind(missing)] if missing is not None else [])):
        if value not in ("STRING", "NULL"):
            raise invalid(f"ARRAY_TO_STRING needs an array of STRING and texts, and was given {value}; use CAST", node)
    if missing is not None:
        array = once("LIST_TRANSFORM(p.a, LAMBDA x : COALESCE(x, p.n))", a=array, n=missing)
    texts = "LIST_FILTER(p.a, LAMBDA x : x IS NOT NULL)"
    joined = f"LIST_REDUCE({texts}, LAMBDA x, y : CONCAT(x, p.s, y))"
    template = f"CASE WHEN p.s IS NULL THEN NULL WHEN LIST_COUNT(p.a) = 0 THEN '' ELSE {joined} END"
    return once(template, a=cast(array.copy(), "TEXT[]"), s=separator)


def _to_bytes(node: exp.Expr, types: Types) -> exp.Expr:
    """The same of bytes, as texts of two letters for each."""
    parts = [node.args["expression"], *([node.args["null"]] if node.args.get("null") is not None else [])]
    if wrong := [kind for part in parts if (kind := types.kind(part)) not in ("BYTES", "NULL")]:
        raise invalid(f"ARRAY_TO_STRING of an array of BYTES needs bytes and was given {wrong[0]}", node)
    node.set("this", once("LIST_TRANSFORM(p.a, LAMBDA x : HEX(x))", a=node.this))
    for key in ("expression", "null"):
        if node.args.get(key) is not None:
            node.set(key, call("HEX", node.args[key].copy()))
    return call("UNHEX", _to_string(node, types))


def _series(node: exp.Expr, types: Types) -> exp.Expr:
    """GENERATE_ARRAY(from, to, step) of any numbers; a step of the other direction gives nothing."""
    start, end = node.args["start"], node.args["end"]
    step = node.args.get("step") or exp.Literal.number(1)
    kind = number_kind([start, end, step], types, "GENERATE_ARRAY")
    a, b, c = (as_kind(value, kind) for value in (start, end, step))
    number = NUMBERS[kind]
    zero = failing("the step of GENERATE_ARRAY is zero", f"{number}[]")
    missing = "p.a IS NULL OR p.b IS NULL OR p.c IS NULL"
    empty = "(p.c > 0 AND p.a > p.b) OR (p.c < 0 AND p.a < p.b)"
    if kind == "INT64":
        series = "GENERATE_SERIES(p.a, p.b, p.c)"
    else:
        steps = f"BQ_DIV_{kind}(CAST(p.b - p.a AS {number}), p.c)" if kind in EXACT else "TRUNC((p.b - p.a) / p.c)"
        counted = f"GENERATE_SERIES(0, CAST({steps} AS BIGINT))"
        series = f"LIST_TRANSFORM({counted}, LAMBDA i : CAST(p.a + i * p.c AS {number}))"
    cases = f"WHEN {missing} THEN NULL WHEN p.c = 0 THEN {zero} WHEN {empty} THEN CAST([] AS {number}[])"
    return once(f"CASE {cases} ELSE {series} END", a=a, b=b, c=c)


def _bucket(node: exp.Expr, types: Types) -> exp.Expr:
    """RANGE_BUCKET(point, bounds): how many of the ascending bounds are not above the point."""
    point, bounds = node.args["this"], node.args["expression"]
    _require_array(node, bounds, types)
    values: Sequence[str] = (types.kind(point), _element_kind(bounds, types))
    if set(values) & {"ARRAY", "RECORD", "JSON"}:
        raise invalid("RANGE_BUCKET needs values with an order", node)
    if len({*values} - {"NULL"}) > 1 and not {*values} <= {*NUMBERS, "NULL"}:
        raise invalid(f"RANGE_BUCKET cannot compare {values[0]} with {values[1]}; use CAST", node)
    holes = failing("RANGE_BUCKET needs an array without NULLs", "BIGINT")
    unsorted = failing("RANGE_BUCKET needs an array in ascending order", "BIGINT")
    cases = (
        "WHEN p.x IS NULL OR p.a IS NULL THEN NULL",
        f"WHEN LEN(p.a) <> LIST_COUNT(p.a) THEN {holes}",
        f"WHEN p.a <> LIST_SORT(p.a) THEN {unsorted}",
    )
    found = "LEN(LIST_FILTER(p.a, LAMBDA b : b <= p.x))"
    return once(f"CASE {' '.join(cases)} ELSE {found} END", x=point, a=bounds)


ARRAYS = Rules(
    by_type={
        exp.Bracket: _bracket,
        exp.Array: _array,
        exp.ArraySize: _of_array("LEN"),
        exp.ArrayConcat: _concat,
        exp.ArrayFirst: _end("1"),
        exp.ArrayLast: _end("LEN(p.a)"),
        exp.ArrayReverse: _of_array("LIST_REVERSE"),
        exp.ArraySlice: _slice,
        exp.ArrayToString: _to_string,
        exp.GenerateSeries: _series,
        exp.RangeBucket: _bucket,
    },
    unchanged=(exp.Struct, exp.PropertyEQ),
)
