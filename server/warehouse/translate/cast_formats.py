"""CAST(value AS STRING FORMAT ...) and CAST(text AS BYTES FORMAT ...). sqlglot reads those to dates as PARSE_DATE."""

from sqlglot import exp

from server.warehouse.translate.moments import local_time
from server.warehouse.translate.rules import Types, call, invalid, literal, unsupported

_OF_BYTES = {
    "HEX": "LOWER(HEX({}))", "BASE64": "BASE64({})", "BASE64M": "BASE64({})", "BASE32": "bq_to_base32({})",
    "UTF-8": "DECODE({})", "UTF8": "DECODE({})", "ASCII": "DECODE({})",
}  # fmt: skip
_TO_BYTES = {
    "HEX": "UNHEX({})", "BASE64": "FROM_BASE64({})", "BASE32": "bq_from_base32({})", "UTF-8": "ENCODE({})",
    "UTF8": "ENCODE({})", "ASCII": "ENCODE({})",
}  # fmt: skip
_TIMES = ("DATE", "DATETIME", "TIME", "TIMESTAMP")


def formatted(node: exp.Expr, kind: str, target: str, types: Types) -> exp.Expr:
    """A CAST with a format. Raises UNSUPPORTED_SQL for formats of numbers."""
    pattern, zone = node.args["format"], None
    if isinstance(pattern, exp.AtTimeZone):
        pattern, zone = pattern.this, pattern.args["zone"]
    if types.kind(pattern) not in ("STRING", "NULL"):
        raise invalid("the FORMAT of a CAST is a text", node)
    if zone is not None and kind != "TIMESTAMP":
        raise invalid("AT TIME ZONE in a CAST needs a TIMESTAMP", node)
    if target == "STRING" and kind in _TIMES:
        local, offset = local_time(node.this, kind, zone)
        found = call("bq_cast_format", pattern.copy(), local, literal(kind), offset)
    else:
        found = _of_bytes(node, pattern, kind, target)
    return call("TRY", found) if isinstance(node, exp.TryCast) else found


def _of_bytes(node: exp.Expr, pattern: exp.Expr, kind: str, target: str) -> exp.Expr:
    forms = {("BYTES", "STRING"): _OF_BYTES, ("STRING", "BYTES"): _TO_BYTES}.get((kind, target), {})
    template = forms.get(pattern.name.upper()) if isinstance(pattern, exp.Literal) else None
    if template is None:
        raise unsupported(f"CAST from {kind} to {target} with FORMAT {pattern.sql('bigquery')[:40]}", node)
    return exp.maybe_parse(template.format("x_"), dialect="duckdb").transform(
        lambda part: node.this.copy() if isinstance(part, exp.Column) and part.name == "x_" else part
    )
