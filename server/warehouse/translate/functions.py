"""Functions and operators whose meaning or result type differs between BigQuery and DuckDB.

Each rule is a small function from a node, its children already translated, to the node that replaces it.
A rule that needs to know a type asks `Types`.
"""

from collections.abc import Callable
from typing import Protocol

from sqlglot import exp

from server.warehouse.port import WarehouseError
from server.warehouse.translate.allowed import unsupported
from server.warehouse.translate.names import read_field


class Types(Protocol):
    """Tells the types of translated expressions."""

    def kind(self, node: exp.Expr) -> str:
        """BigQuery's name of the type: STRING, NUMERIC, RECORD, ARRAY ..., or DuckDB's (INTERVAL)."""
        ...


Rule = Callable[[exp.Expr, Types], exp.Expr]

_NUMBERS = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38, 9)",
    "BIGNUMERIC": "DECIMAL(38, 18)",
}
_EXACT = ("NUMERIC", "BIGNUMERIC")


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of a DuckDB function."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def cast(node: exp.Expr, duckdb_type: str) -> exp.Expr:
    """`CAST(node AS duckdb_type)`."""
    return exp.Cast(this=node, to=exp.DataType.build(duckdb_type, dialect="duckdb"))


def _literal(node: exp.Expr, _types: Types) -> exp.Expr:
    """1.5 is FLOAT64 on BigQuery and DECIMAL on DuckDB; integers are 64 bits wide in arithmetic."""
    if node.args["is_string"]:
        return node
    if not node.name.isdigit():
        return cast(node, "DOUBLE")
    return cast(node, "BIGINT") if isinstance(node.parent, exp.Binary | exp.Neg | exp.Alias | exp.Select) else node


def _exact(node: exp.Expr, left: exp.Expr, right: exp.Expr, types: Types) -> exp.Expr:
    """The result of exact arithmetic is NUMERIC again; DuckDB would widen its scale or give DOUBLE."""
    kinds = {types.kind(left), types.kind(right)}
    if kinds & set(_EXACT) and kinds <= {*_EXACT, "INT64"}:
        return cast(node, _NUMBERS["BIGNUMERIC" if "BIGNUMERIC" in kinds else "NUMERIC"])
    return node


def _multiply(node: exp.Expr, types: Types) -> exp.Expr:
    return _exact(node, node.args["this"], node.args["expression"], types)


def _divide(node: exp.Expr, types: Types) -> exp.Expr:
    """Integers divide to FLOAT64, and division by zero is an error for FLOAT64 too."""
    left, right = node.args["this"], node.args["expression"]
    zero = call("ERROR", exp.Literal.string("division by zero"))
    safe = exp.Case().when(exp.EQ(this=right.copy(), expression=exp.Literal.number(0)), cast(zero, "DOUBLE"))
    return _exact(exp.Paren(this=safe.else_(_plain_division(left, right))), left, right, types)


def _plain_division(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return exp.Div(this=exp.Paren(this=left.copy()), expression=exp.Paren(this=right.copy()))


def _safe_divide(node: exp.Expr, types: Types) -> exp.Expr:
    left, right = node.args["this"], node.args["expression"]
    divisor = exp.Nullif(this=right.copy(), expression=exp.Literal.number(0))
    return _exact(exp.Paren(this=_plain_division(left, divisor)), left, right, types)


def _sum(node: exp.Expr, types: Types) -> exp.Expr:
    """A sum of INT64 is INT64, and an error beyond it; DuckDB would go on with 128 bits."""
    return cast(node, "BIGINT") if types.kind(node.args["this"]) == "INT64" else node


def _like(node: exp.Expr, _types: Types) -> exp.Expr:
    """A backslash takes the meaning from the character behind it; DuckDB has no escape character of its own."""
    return exp.Escape(this=node, expression=exp.Literal.string("\\"))


def _average(node: exp.Expr, types: Types) -> exp.Expr:
    kind = types.kind(node.args["this"])
    return cast(node, _NUMBERS[kind]) if kind in _EXACT else node


def _comparison(node: exp.Expr, types: Types) -> exp.Expr:
    """BigQuery compares a STRING with nothing else, unless it is a literal; DuckDB would convert silently."""
    left, right = node.args["this"], node.args["expression"]
    if _is_literal(left) or _is_literal(right):
        literal, other = (left, right) if _is_literal(left) else (right, left)
        if not (_is_text(literal) and types.kind(other) in _NUMBERS):
            return node
    kinds = types.kind(left), types.kind(right)
    if (kinds[0] == "STRING") != (kinds[1] == "STRING") and not _has_null(left, right):
        raise WarehouseError(
            "INVALID_QUERY", f"cannot compare {kinds[0]} with {kinds[1]}; use CAST or SAFE_CAST on one side"
        )
    return node


def _is_literal(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal | exp.RawString)


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.RawString) or bool(node.args.get("is_string"))


def _has_null(*nodes: exp.Expr) -> bool:
    return any(isinstance(node, exp.Null) for node in nodes)


def _cast(node: exp.Expr, types: Types) -> exp.Expr:
    """CAST and SAFE_CAST to the warehouse's own types, with BigQuery's text of numbers and rounding."""
    kind, target = types.kind(node.args["this"]), node.args["to"]
    target.replace(_data_type(target))
    if node.args["to"].is_type("text"):
        return _as_text(node, kind)
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
    is_right = call("REGEXP_MATCHES", text.copy(), exp.Literal.string(pattern))
    wrong = exp.Is(this=text.copy(), expression=exp.Null())
    case = exp.Case().when(exp.or_(is_right, wrong), node.copy())
    if isinstance(node, exp.TryCast):
        return exp.Paren(this=case)
    told = call("CONCAT", exp.Literal.string(f"{message}: "), text.copy())
    failure = cast(call("ERROR", told), node.args["to"].sql("duckdb"))
    return exp.Paren(this=case.else_(failure))


def _as_text(node: exp.Expr, kind: str) -> exp.Expr:
    if kind == "FLOAT64":
        return call("REGEXP_REPLACE", node, exp.Literal.string(r"\.0$"), exp.Literal.string(""))
    if kind in _EXACT:
        shorter = call("REGEXP_REPLACE", node, exp.Literal.string(r"(\.[0-9]*?)0+$"), exp.Literal.string(r"\1"))
        return call("REGEXP_REPLACE", shorter, exp.Literal.string(r"\.$"), exp.Literal.string(""))
    if kind in ("BYTES", "RECORD", "ARRAY", "JSON"):
        raise unsupported(f"CAST of {kind} to STRING")
    return node


def _data_type(target: exp.Expr) -> exp.Expr:
    """A type as sqlglot read it from BigQuery, as the warehouse stores it."""
    exact = {exp.DType.DECIMAL: "NUMERIC", exp.DType.BIGDECIMAL: "BIGNUMERIC"}
    if target.this in exact:
        if target.expressions:
            raise unsupported("NUMERIC with precision and scale")
        return exp.DataType.build(_NUMBERS[exact[target.this]], dialect="duckdb")
    for inner in list(target.expressions):
        part = inner.args["kind"] if isinstance(inner, exp.ColumnDef) else inner
        if isinstance(part, exp.DataType):
            part.replace(_data_type(part))
    return target


def _places(node: exp.Expr, types: Types) -> exp.Expr:
    """ROUND(x, n), TRUNC(x, n): DuckDB takes n as a 32-bit integer, and leaves an INT64 what it is."""
    places = node.args.get("decimals")
    if places:
        node.set("decimals", cast(places.copy(), "INTEGER"))
    return cast(node, "DOUBLE") if types.kind(node.args["this"]) == "INT64" else node


def _sign(node: exp.Expr, types: Types) -> exp.Expr:
    kind = types.kind(node.args["this"])
    return cast(node, _NUMBERS[kind]) if kind in _NUMBERS else node


def _integer_division(node: exp.Expr, types: Types) -> exp.Expr:
    if {types.kind(node.args["this"]), types.kind(node.args["expression"])} != {"INT64"}:
        raise unsupported("DIV of anything but INT64")
    return node


def _length(node: exp.Expr, types: Types) -> exp.Expr:
    name = "OCTET_LENGTH" if types.kind(node.args["this"]) == "BYTES" else "LENGTH"
    return call(name, node.args["this"])


def _substring(node: exp.Expr, _types: Types) -> exp.Expr:
    """Position 0 means 1 on BigQuery, and so does one that lies before the first character."""
    text, start = node.args["this"], node.args["start"]
    before = exp.LT(this=start.copy(), expression=exp.Neg(this=call("LENGTH", text.copy())))
    first = exp.Case().when(exp.EQ(this=start.copy(), expression=exp.Literal.number(0)), exp.Literal.number(1))
    node.set("start", first.when(before, exp.Literal.number(1)).else_(start.copy()))
    return node


def _count_if(node: exp.Expr, _types: Types) -> exp.Expr:
    """Of no rows it is 0; DuckDB's COUNT_IF is NULL then."""
    return exp.Count(this=exp.Case().when(node.args["this"].copy(), exp.Literal.number(1)))


def _concat(node: exp.Expr, types: Types) -> exp.Expr:
    """Numbers are written as CAST writes them."""
    parts = [_text_of(part, types) for part in node.expressions]
    node.set("expressions", parts)
    return node


def _text_of(value: exp.Expr, types: Types) -> exp.Expr:
    kind = types.kind(value)
    return value if kind in ("STRING", "BYTES") else _as_text(cast(value.copy(), "VARCHAR"), kind)


def _position(node: exp.Expr, _types: Types) -> exp.Expr:
    if node.args.get("position") or node.args.get("occurrence"):
        raise unsupported("INSTR with a position or an occurrence")
    return node


def _dot(node: exp.Expr, types: Types) -> exp.Expr:
    value, name = node.args["this"], node.args["expression"]
    if not isinstance(name, exp.Identifier):
        raise unsupported("a function of that name")
    if types.kind(value) != "RECORD":
        raise WarehouseError("INVALID_QUERY", f"Cannot access field {name.name} on a value of type {types.kind(value)}")
    return read_field(value.copy(), name.name)


RULES: dict[type[exp.Expr], Rule] = {
    exp.Literal: _literal,
    exp.Mul: _multiply,
    exp.Div: _divide,
    exp.SafeDivide: _safe_divide,
    exp.Avg: _average,
    exp.Sum: _sum,
    exp.Like: _like,
    exp.EQ: _comparison,
    exp.NEQ: _comparison,
    exp.LT: _comparison,
    exp.LTE: _comparison,
    exp.GT: _comparison,
    exp.GTE: _comparison,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Round: _places,
    exp.Trunc: _places,
    exp.IntDiv: _integer_division,
    exp.Length: _length,
    exp.Substring: _substring,
    exp.CountIf: _count_if,
    exp.Concat: _concat,
    exp.StrPosition: _position,
    exp.Sign: _sign,
    exp.Dot: _dot,
}
