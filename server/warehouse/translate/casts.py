"""CAST and SAFE_CAST: BigQuery's texts of values, its rounding, what it accepts."""

from sqlglot import exp

from server.warehouse.translate.numbers import EXACT, NUMBERS
from server.warehouse.translate.rules import Rules, Types, call, cast, literal, unsupported


def _cast(node: exp.Expr, types: Types) -> exp.Expr:
    """CAST and SAFE_CAST to the warehouse's own types, with BigQuery's text of numbers and rounding."""
    kind, target = types.kind(node.args["this"]), node.args["to"]
    target.replace(_data_type(target))
    if node.args["to"].is_type("text"):
        return as_text(node, kind)
    if kind == "FLOAT64" and node.args["to"].is_type("bigint"):
        node.set("this", call("ROUND", node.args["this"]))
    if kind == "STRING" and (form := _TEXT_FORMS.get(node.args["to"].this)):
        return _from_text(node, *form)
    if kind == "BYTES" or node.args["to"].is_type("blob"):
        raise unsupported("CAST from or to BYTES")
    return node


_TEXT_FORMS = {
    exp.DType.BIGINT: (r"^\s*[+-]?[0-9]+\s*$", "bad INT64 value"),
    exp.DType.BOOLEAN: (r"(?i)^(true|false)$", "bad BOOL value"),
}
"""The texts that BigQuery reads as a number or a truth; DuckDB reads more of them, such as 1.5 and yes."""


def _from_text(node: exp.Expr, pattern: str, message: str) -> exp.Expr:
    text = node.args["this"]
    is_right = call("REGEXP_MATCHES", text.copy(), literal(pattern))
    wrong = exp.Is(this=text.copy(), expression=exp.Null())
    case = exp.Case().when(exp.or_(is_right, wrong), node.copy())
    if isinstance(node, exp.TryCast):
        return exp.Paren(this=case)
    told = call("CONCAT", literal(f"{message}: "), text.copy())
    failure = cast(call("bq_fail", told), node.args["to"].sql("duckdb"))
    return exp.Paren(this=case.else_(failure))


def as_text(node: exp.Expr, kind: str) -> exp.Expr:
    """BigQuery's text of a value of that type; `node` casts it to VARCHAR already."""
    if kind == "FLOAT64":
        return call("REGEXP_REPLACE", node, literal(r"\.0$"), literal(""))
    if kind in EXACT:
        shorter = call("REGEXP_REPLACE", node, literal(r"(\.[0-9]*?)0+$"), literal(r"\1"))
        return call("REGEXP_REPLACE", shorter, literal(r"\.$"), literal(""))
    if kind in ("BYTES", "RECORD", "ARRAY", "JSON"):
        raise unsupported(f"CAST of {kind} to STRING")
    return node


def _data_type(target: exp.Expr) -> exp.Expr:
    """A type as sqlglot read it from BigQuery, as the warehouse stores it."""
    exact = {exp.DType.DECIMAL: "NUMERIC", exp.DType.BIGDECIMAL: "BIGNUMERIC"}
    if target.this in exact:
        if target.expressions:
            raise unsupported("NUMERIC with precision and scale")
        return exp.DataType.build(NUMBERS[exact[target.this]], dialect="duckdb")
    for inner in list(target.expressions):
        part = inner.args["kind"] if isinstance(inner, exp.ColumnDef) else inner
        if isinstance(part, exp.DataType):
            part.replace(_data_type(part))
    return target


def text_of(value: exp.Expr, types: Types) -> exp.Expr:
    """A value as the text that CAST makes of it; texts and bytes stay what they are."""
    kind = types.kind(value)
    return value if kind in ("STRING", "BYTES") else as_text(cast(value.copy(), "VARCHAR"), kind)


CASTS = Rules(by_type={exp.Cast: _cast, exp.TryCast: _cast}, unchanged=(exp.DataType, exp.DataTypeParam, exp.ColumnDef))
