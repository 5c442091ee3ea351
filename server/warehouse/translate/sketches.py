"""HLL_COUNT: sketches of distinct values. They hold the hash of each value and so count exactly.

A sketch is BYTES, as on BigQuery, and means something to the warehouse that has made it only.
"""

from sqlglot import exp

from server.warehouse.translate.aggregates import aggregated
from server.warehouse.translate.once import once
from server.warehouse.translate.rules import Rule, Rules, Types, arguments, call, cast, invalid, written

_COUNTED = ("INT64", "NUMERIC", "BIGNUMERIC", "STRING", "BYTES", "NULL")


def name_sketches(tree: exp.Expr) -> None:
    """Give HLL_COUNT's functions their whole name, where sqlglot sees a function in a column."""
    for node in list(tree.find_all(exp.Dot)):
        function = node.args["expression"]
        if isinstance(function, exp.Anonymous) and isinstance(node.this, exp.Identifier):
            function.set("this", f"{node.this.name}.{function.name}")
            node.replace(function)


def _argument(node: exp.Expr, types: Types, *kinds: str) -> exp.Expr:
    value, *_ = arguments(node, 1, 2) if node.name.upper().endswith("INIT") else arguments(node, 1)
    if (kind := types.kind(value)) not in (*kinds, "NULL"):
        raise invalid(f"{written(node)} cannot take a value of type {kind}", node)
    return value


def _init(node: exp.Expr, types: Types) -> exp.Expr:
    """HLL_COUNT.INIT(value[, precision]): of no values NULL."""
    value = _argument(node, types, *_COUNTED)
    octets = value.copy() if types.kind(value) == "BYTES" else call("ENCODE", cast(value.copy(), "VARCHAR"))
    return _joined("BQ_SKETCH", aggregated("LIST", octets, distinct=True))


def _merged(function: str) -> Rule:
    """HLL_COUNT.MERGE and MERGE_PARTIAL, of the sketches in a group."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        merged = _joined("BQ_SKETCH_MERGED", aggregated("LIST", _argument(node, types, "BYTES")))
        return merged if function == "partial" else _count(merged)

    return rule


def _joined(function: str, found: exp.Expr) -> exp.Expr:
    present = "LIST_FILTER(p.a, LAMBDA x : x IS NOT NULL)"
    return once(f"CASE WHEN LIST_COUNT(p.a) > 0 THEN {function}({present}) END", a=found)


def _count(sketch: exp.Expr) -> exp.Expr:
    return exp.Coalesce(
        this=call("bq_sketch_count", sketch.copy()), expressions=[cast(exp.Literal.number(0), "BIGINT")]
    )


def _extract(node: exp.Expr, types: Types) -> exp.Expr:
    """HLL_COUNT.EXTRACT(sketch)."""
    return _count(_argument(node, types, "BYTES"))


SKETCHES = Rules(
    by_name={
        "HLL_COUNT.INIT": _init,
        "HLL_COUNT.MERGE": _merged("count"),
        "HLL_COUNT.MERGE_PARTIAL": _merged("partial"),
        "HLL_COUNT.EXTRACT": _extract,
    },
)
