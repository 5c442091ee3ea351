"""CAST and SAFE_CAST: BigQuery's texts of values, its rounding, what it accepts."""

from collections.abc import Callable

from duckdb.sqltypes import DuckDBPyType
from sqlglot import exp

from server.warehouse.translate.cast_formats import formatted
from server.warehouse.translate.intervals import interval_text
from server.warehouse.translate.moments import timestamp_text
from server.warehouse.translate.numbers import EXACT, NUMBERS
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import Rule, Rules, Types, call, cast, invalid, literal, unsupported
from server.warehouse.translate.shapes import conformed
from server.warehouse.translate.text_forms import from_text

# Source: GoogleSQL's "Conversion rules", the table of casts. NULL goes to everything.
_NUMBERS = frozenset(NUMBERS)
_CASTS: dict[str, frozenset[str]] = {
    "INT64": _NUMBERS | {"BOOLEAN", "STRING"},
    **dict.fromkeys(("NUMERIC", "BIGNUMERIC", "FLOAT64"), _NUMBERS | {"STRING"}),
    "BOOLEAN": frozenset({"BOOLEAN", "INT64", "STRING"}),
    "STRING": _NUMBERS | {"BOOLEAN", "STRING", "BYTES", "DATE", "DATETIME", "TIME", "TIMESTAMP", "INTERVAL"},
    "BYTES": frozenset({"STRING", "BYTES"}),
    "DATE": frozenset({"STRING", "DATE", "DATETIME", "TIMESTAMP"}),
    **dict.fromkeys(("DATETIME", "TIMESTAMP"), frozenset({"STRING", "DATE", "DATETIME", "TIME", "TIMESTAMP"})),
    "TIME": frozenset({"STRING", "TIME"}),
    "ARRAY": frozenset({"ARRAY"}),
    "RECORD": frozenset({"RECORD"}),
}
# Other names of INT64.
_INTEGERS = (exp.DType.INT, exp.DType.SMALLINT, exp.DType.TINYINT)
_TARGETS = {
    **dict.fromkeys(_INTEGERS, "INT64"),
    exp.DType.BIGINT: "INT64", exp.DType.DOUBLE: "FLOAT64", exp.DType.DECIMAL: "NUMERIC", exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.BIGDECIMAL: "BIGNUMERIC", exp.DType.TEXT: "STRING", exp.DType.VARCHAR: "STRING", exp.DType.DATE: "DATE",
    exp.DType.VARBINARY: "BYTES", exp.DType.BLOB: "BYTES", exp.DType.BINARY: "BYTES", exp.DType.TIME: "TIME",
    exp.DType.TIMESTAMP: "DATETIME", exp.DType.DATETIME: "DATETIME", exp.DType.TIMESTAMPTZ: "TIMESTAMP",
    exp.DType.ARRAY: "ARRAY", exp.DType.STRUCT: "RECORD",
}  # fmt: skip


def _cast(original: exp.Expr, types: Types) -> exp.Expr:
    """CAST and SAFE_CAST to the warehouse's own types, with BigQuery's text of numbers and rounding."""
    node = original
    value, kind = node.args["this"], types.kind(node.args["this"])
    target = _TARGETS.get(node.args["to"].this)
    if target is None:
        raise unsupported(f"CAST to {node.args['to'].sql('bigquery')}", node)
    if kind in _CASTS and target not in _CASTS[kind]:
        raise invalid(f"a value of type {kind} cannot be cast to {target}", node)
    if node.args.get("format") is not None:
        return formatted(node, kind, target, types)
    precise, length = _precise(node), _length(node)
    node.args["to"].replace(_data_type(node.args["to"]))
    if target in ("ARRAY", "RECORD"):
        return _reshaped(node, types)
    if target == "STRING":
        return _limited(as_text(node, kind), length, "LENGTH", node)
    if target == "BYTES":
        encoded = call("ENCODE", value.copy()) if kind == "STRING" else value.copy() if kind == "BYTES" else node
        return _limited(encoded, length, "OCTET_LENGTH", node)
    if kind == "FLOAT64" and target == "INT64":
        node.set("this", call("ROUND", value))
    if kind == "TIMESTAMP" and target == "TIME":
        node.set("this", call("TIMEZONE", literal("UTC"), value))
    if kind == "STRING":
        node = from_text(node)
    if precise:
        return cast(type(original)(this=node.copy(), to=precise), NUMBERS[target])
    return node


def _reshaped(node: exp.Expr, types: Types) -> exp.Expr:
    """To an array or a STRUCT, whose fields go by their places."""
    value, wanted = node.args["this"], DuckDBPyType(node.args["to"].sql("duckdb"))
    node.set("this", conformed(value, types.whole([value])[0], wanted).copy())
    return node


def _length(node: exp.Expr) -> int | None:
    """The L of STRING(L) and BYTES(L)."""
    target = node.args["to"]
    if _TARGETS.get(target.this) not in ("STRING", "BYTES") or not target.expressions:
        return None
    return int(target.expressions[0].name)


def _limited(value: exp.Expr, length: int | None, measure: str, node: exp.Expr) -> exp.Expr:
    """A text or bytes that may not be longer: an error, or NULL for SAFE_CAST."""
    if length is None:
        return value
    kind = "BLOB" if measure == "OCTET_LENGTH" else "VARCHAR"
    longer = "NULL" if isinstance(node, exp.TryCast) else failing(f"the value is longer than {length}", kind)
    return once(f"CASE WHEN {measure}(p.a) > {length} THEN {longer} ELSE p.a END", a=value)


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


# As many digits as it takes to read the same number back, 15 or else 17; 0 has no sign.
_FLOAT_TEXT = """
CASE WHEN p.a = 0 THEN '0' WHEN ISNAN(p.a) THEN 'nan'
WHEN CAST(PRINTF('%.15g', p.a) AS DOUBLE) = p.a THEN PRINTF('%.15g', p.a)
ELSE PRINTF('%.17g', p.a) END
"""


def as_text(node: exp.Expr, kind: str) -> exp.Expr:
    """BigQuery's text of a value of that type; `node` casts it to VARCHAR already."""
    if kind in ("RECORD", "ARRAY", "JSON"):
        raise invalid(f"a value of type {kind} has no text; use TO_JSON_STRING", node)
    if kind in EXACT:
        shorter = call("REGEXP_REPLACE", node, literal(r"(\.[0-9]*?)0+$"), literal(r"\1"))
        return call("REGEXP_REPLACE", shorter, literal(r"\.$"), literal(""))
    if kind == "BYTES" and isinstance(node, exp.TryCast):
        return call("TRY", call("DECODE", node.args["this"].copy()))
    return _TEXTS[kind](node.args["this"].copy()) if kind in _TEXTS else node


_TEXTS: dict[str, Callable[[exp.Expr], exp.Expr]] = {
    "FLOAT64": lambda value: once(_FLOAT_TEXT, a=value),
    "TIMESTAMP": timestamp_text,
    "DATETIME": lambda value: call("bq_datetime_text", value),
    "TIME": lambda value: call("bq_time_text", value),
    "INTERVAL": interval_text,
    "BYTES": lambda value: call("DECODE", value),
}


def _data_type(target: exp.Expr) -> exp.Expr:
    """A type as sqlglot read it from BigQuery, as the warehouse stores it."""
    numbers = {exp.DType.DECIMAL: "NUMERIC", exp.DType.BIGDECIMAL: "BIGNUMERIC", **dict.fromkeys(_INTEGERS, "INT64")}
    if target.this in numbers:
        return exp.DataType.build(NUMBERS[numbers[target.this]], dialect="duckdb")
    for place, inner in enumerate(list(target.expressions), 1):
        part = inner.args["kind"] if isinstance(inner, exp.ColumnDef) else inner
        if isinstance(part, exp.DataType):
            named = part is inner and target.is_type("struct")
            kind = _data_type(part.copy())
            name = exp.to_identifier(f"_field_{place}", quoted=True)
            part.replace(exp.ColumnDef(this=name, kind=kind) if named else kind)
    return target


def text_of(value: exp.Expr, types: Types) -> exp.Expr:
    """A value as the text that CAST makes of it; texts and bytes stay what they are."""
    kind = types.kind(value)
    return value if kind in ("STRING", "BYTES") else as_text(cast(value.copy(), "VARCHAR"), kind)


def _parsed_number(name: str) -> Rule:
    """PARSE_NUMERIC and PARSE_BIGNUMERIC."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        if (kind := types.kind(node.this)) not in ("STRING", "NULL"):
            raise invalid(f"PARSE_{name} needs a text and was given {kind}", node)
        return call(f"bq_parse_{name.lower()}", node.this.copy())

    return rule


CASTS = Rules(
    by_type={
        exp.Cast: _cast,
        exp.TryCast: _cast,
        exp.ParseNumeric: _parsed_number("NUMERIC"),
        exp.ParseBignumeric: _parsed_number("BIGNUMERIC"),
    },
    unchanged=(exp.DataType, exp.DataTypeParam, exp.ColumnDef),
)
