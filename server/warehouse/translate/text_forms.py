"""Which texts are a value of a type: BigQuery's literals. DuckDB reads more of them, such as 1_000, yes and epoch."""

import re

from sqlglot import exp

from server.warehouse.translate.coercion import DUCKDB, is_text
from server.warehouse.translate.rules import call, cast, literal

_DAY = r"[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = r"([01]?[0-9]|2[0-3]):[0-9]{1,2}:[0-9]{1,2}(\.[0-9]{0,9})?"
_NUMBER = r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
# By the type of the warehouse; each pattern is RE2's and Python's.
_FORMS: dict[str, str] = {
    "BIGINT": r"^\s*[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)\s*$",
    "BOOLEAN": r"^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])$",
    "DOUBLE": rf"^\s*[+-]?({_NUMBER}|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])\s*$",
    "DECIMAL(38, 9)": rf"^\s*[+-]?{_NUMBER}\s*$",
    "DECIMAL(38, 18)": rf"^\s*[+-]?{_NUMBER}\s*$",
    "DATE": rf"^{_DAY}([ Tt].*)?$",
    "TIMESTAMP": rf"^{_DAY}([ Tt]{_CLOCK})?$",
    "TIME": rf"^{_CLOCK}$",
}
_NAMES = {**{duckdb_type: kind for kind, duckdb_type in DUCKDB.items()}, "BOOLEAN": "BOOL"}
# The texts of a TIMESTAMP that DuckDB reads as BigQuery does.
_PLAIN_TIMESTAMP = rf"^{_DAY}([ T][0-2][0-9]:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,6}})?(Z|[+-][0-9]{{2}}(:[0-9]{{2}})?)?)?$"
_HEXADECIMAL = r"^\s*[+-]?0[xX]"


def from_text(node: exp.Expr) -> exp.Expr:
    """A CAST or SAFE_CAST of a text to a type of the warehouse, for the texts that BigQuery reads as one."""
    text, target, safe = node.args["this"], node.args["to"].sql("duckdb"), isinstance(node, exp.TryCast)
    if target in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"):
        return timestamp_of(text, safe=safe)
    pattern = _FORMS.get(target)
    if pattern is None:
        return node
    if is_text(text) and re.search(pattern, text.name):
        return _cast_one(node, target) if target == "BIGINT" else node
    return _checked(node, text, target, pattern, safe=safe)


def _checked(node: exp.Expr, text: exp.Expr, target: str, pattern: str, *, safe: bool) -> exp.Expr:
    is_right = call("REGEXP_MATCHES", text.copy(), literal(pattern))
    case = exp.Case().when(exp.or_(is_right, exp.Is(this=text.copy(), expression=exp.Null())), _cast_one(node, target))
    if safe:
        return exp.Paren(this=case)
    told = call("CONCAT", literal(f"bad {_NAMES[target]} value: "), text.copy())
    return exp.Paren(this=case.else_(cast(call("bq_fail", told), target)))


def _cast_one(node: exp.Expr, target: str) -> exp.Expr:
    """The cast of a text of the right form; DuckDB reads 0x1F but not -0x1F."""
    if target != "BIGINT":
        return node.copy()
    text = node.args["this"]
    if is_text(text) and not re.search(_HEXADECIMAL, text.name):
        return node.copy()
    signed = call("bq_hexadecimal", text.copy())
    if isinstance(node, exp.TryCast):
        signed = call("TRY", signed)
    is_hexadecimal = call("REGEXP_MATCHES", text.copy(), literal(_HEXADECIMAL))
    return exp.Paren(this=exp.Case().when(is_hexadecimal, signed).else_(node.copy()))


def timestamp_of(text: exp.Expr, *, safe: bool = False) -> exp.Expr:
    """A text as a TIMESTAMP: with a zone's offset, or its name behind a space, in UTC without either."""
    kind = "TIMESTAMP WITH TIME ZONE"
    plain = cast(text.copy(), kind)
    if is_text(text) and re.search(_PLAIN_TIMESTAMP, text.name) and not safe:
        return plain
    read = call("TIMEZONE", literal("UTC"), call("bq_timestamp", text.copy()))
    if not is_text(text):
        read = exp.Case().when(call("REGEXP_MATCHES", text.copy(), literal(_PLAIN_TIMESTAMP)), plain).else_(read)
    return call("TRY", read) if safe else exp.Paren(this=read)
