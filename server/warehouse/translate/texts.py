"""Texts: STRING and BYTES functions, regular expressions."""

from sqlglot import exp

from server.warehouse.translate.casts import text_of
from server.warehouse.translate.rules import Rules, Types, call, literal, unsupported


def _length(node: exp.Expr, types: Types) -> exp.Expr:
    name = "OCTET_LENGTH" if types.kind(node.args["this"]) == "BYTES" else "LENGTH"
    return call(name, node.args["this"])


def _substring(node: exp.Expr, _types: Types) -> exp.Expr:
    """Position 0 means 1 on BigQuery, and so does one that lies before the first character."""
    text, start = node.args["this"], node.args["start"]
    before = exp.LT(this=start.copy(), expression=exp.Neg(this=call("LENGTH", text.copy())))
    first = exp.Case().when(exp.EQ(this=start.copy(), expression=literal(0)), literal(1))
    node.set("start", first.when(before, literal(1)).else_(start.copy()))
    return node


def _concat(node: exp.Expr, types: Types) -> exp.Expr:
    """Numbers are written as CAST writes them."""
    parts = [text_of(part, types) for part in node.expressions]
    node.set("expressions", parts)
    return node


def _position(node: exp.Expr, _types: Types) -> exp.Expr:
    if node.args.get("position") or node.args.get("occurrence"):
        raise unsupported("INSTR with a position or an occurrence")
    return node


TEXTS = Rules(
    by_type={
        exp.Length: _length,
        exp.Substring: _substring,
        exp.Concat: _concat,
        exp.StrPosition: _position,
    },
    unchanged=(
        exp.DPipe, exp.Lower, exp.Upper, exp.Trim, exp.Left, exp.Right, exp.Replace, exp.StartsWith, exp.EndsWith,
        exp.Split, exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace, exp.Pad, exp.Reverse,
    ),
)  # fmt: skip
