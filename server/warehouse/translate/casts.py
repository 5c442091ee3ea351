"""CAST and SAFE_CAST: BigQuery's texts of values, its rounding, what it accepts."""

from duckdb.sqltypes import DuckDBPyType
from sqlglot import exp

from server.warehouse.translate.dates import timestamp_text
from server.warehouse.translate.numbers import EXACT, NUMBERS
from server.warehouse.translate.rules import Rules, Types, call, cast, invalid, literal, unsupported
from server.warehouse.translate.shapes import conformed

# Source: GoogleSQL's "Conversion rules", the table of casts. NULL goes to everything.
_NUMBERS = frozenset({"INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64"})
_CASTS: dict[str, frozenset[str]] = {
    "INT64": _NUMBERS | {"BOOLEAN", "STRING"},
    **dict.fromkeys(("NUMERIC", "BIGNUMERIC", "FLOAT64"), _NUMBERS | {"STRING"}),
    "BOOLEAN": frozenset({"BOOLEAN", "INT64", "STRING"}),
    "STRING": _NUMBERS | {"BOOLEAN", "STRING", "BYTES", "DATE", "DATETIME", "TIME", "TIMESTAMP"},
    "BYTES": frozenset({"STRING", "BYTES"}),
    "DATE": frozenset({"STRING", "DATE", "DATETIME", "TIMESTAMP"}),
    **dict.fromkeys(("DATETIME", "TIMESTAMP"), frozenset({"STRING", "DATE", "DATETIME", "TIME", "TIMESTAMP"})),
    "TIME": frozenset({"STRING", "TIME"}),
    "ARRAY": frozenset({"ARRAY"}),
    "RECORD": frozenset({"RECORD"}),
}
_TARGETS = {
    exp.DType.BIGINT: "INT64", exp.DType.DOUBLE: "FLOAT64", exp.DType.DECIMAL: "NUMERIC", exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.BIGDECIMAL: "BIGNUMERIC", exp.DType.TEXT: "STRING", exp.DType.VARCHAR: "STRING", exp.DType.DATE: "DATE",
    exp.DType.VARBINARY: "BYTES", exp.DType.BLOB: "BYTES", exp.DType.BINARY: "BYTES", exp.DType.TIME: "TIME",
    exp.DType.TIMESTAMP: "DATETIME", exp.DType.DATETIME: "DATETIME", exp.DType.TIMESTAMPTZ: "TIMESTAMP",
    exp.DType.ARRAY: "ARRAY", exp.DType.STRUCT: "RECORD",
}  # fmt: skip


def _cast(node: exp.Expr, types: Types) -> exp.Expr:
    """CAST and SAFE_CAST to the warehouse's own types, with BigQuery's text of numbers and rounding."""
    value, kind = node.args["this"], types.kind(node.args["this"])
    target = _TARGETS.get(node.args["to"].this)
    if target is None:
        raise unsupported(f"CAST to {node.args['to'].sql('bigquery')}", node)
    if kind in _CASTS and target not in _CASTS[kind]:
        raise invalid(f"a value of type {kind} cannot be cast to {target}", node)
    precise = _precise(node)
    node.args["to"].replace(_data_type(node.args["to"]))
    if target in ("ARRAY", "RECORD"):
        return _reshaped(node, types)
    if target == "STRING":
        return as_text(node, kind)
    if target == "BYTES":
        return call("ENCODE", value.copy()) if kind == "STRING" else value.copy() if kind == "BYTES" else node
    if kind == "FLOAT64" and target == "INT64":
        node.set("this", call("ROUND", value))
    if kind == "TIMESTAMP" and target == "TIME":
        node.set("this", call("TIMEZONE", literal("UTC"), value))
    if kind == "STRING" and (form := _TEXT_FORMS.get(node.args["to"].this)):
        return _from_text(node, *form)
    if precise:
        node.set("this", exp.maybe_copy(type(node)(this=value.copy(), to=precise)))
    return node


def _reshaped(node: exp.Expr, types: Types) -> exp.Expr:
    """To an array or a STRUCT, whose fields go by their places."""
    value, wanted = node.args["this"], DuckDBPyType(node.args["to"].sql("duckdb"))
    node.set("this", conformed(value, types.whole([value])[0], wanted).copy())
    return node


def _precise(node: exp.Expr) -> exp.Expr | None:
    """The DuckDB type of NUMERIC(precision, scale): a value is rounded to it and has to fit."""
    target = node.args["to"]
    if not target.is_type("decimal", "bigdecimal") or not target.expressions:
        return None
    precision, scale = ([int(part.name) for part in target.expressions] + [0])[:2]
    most = 9 if target.is_type("decimal") else 18
    if scale > most or not 1 <= precision - scale <= 38 - most:
        raise unsupported(f"{target.sql('bigquery')}", node)
    return exp.DataType.build(f"DECIMAL({precision}, {scale})", dialect="duckdb")


_TEXT_FORMS = {
    exp.DType.BIGINT: (r"^\s*[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)\s*$", "bad INT64 value"),
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
    value = node.args["this"]
    if kind == "TIMESTAMP":
        return timestamp_text(value)
    if kind == "DATETIME":
        return call("bq_datetime_text", value.copy())
    if kind == "BYTES":
        decoded = call("DECODE", value.copy())
        return call("TRY", decoded) if isinstance(node, exp.TryCast) else decoded
    if kind in ("RECORD", "ARRAY", "JSON"):
        raise invalid(f"a value of type {kind} has no text; use TO_JSON_STRING", node)
    return node


def _data_type(target: exp.Expr) -> exp.Expr:
    """A type as sqlglot read it from BigQuery, as the warehouse stores it."""
    exact = {exp.DType.DECIMAL: "NUMERIC", exp.DType.BIGDECIMAL: "BIGNUMERIC"}
    if target.this in exact:
        return exp.DataType.build(NUMBERS[exact[target.this]], dialect="duckdb")
    for place, inner in enumerate(list(target.expressions), 1):
        if target.is_type("struct") and not isinstance(inner, exp.ColumnDef):
            inner.replace(exp.ColumnDef(this=exp.to_identifier(f"_field_{place}", quoted=True), kind=inner.copy()))
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
