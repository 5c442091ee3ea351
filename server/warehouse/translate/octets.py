"""Functions of texts on BYTES: each byte stands for the letter of its number, and back.

So every function counts bytes, and `.` in a regular expression is one byte, as BigQuery has it.
"""

from sqlglot import exp

from server.warehouse.translate.once import once
from server.warehouse.translate.rules import Rule, Types, call, invalid, literal, written


def also_of_bytes(rule: Rule, *keys: str) -> Rule:
    """The rule, for texts under these keys, and for bytes under all of them."""

    def either(node: exp.Expr, types: Types) -> exp.Expr:
        values = {key: node.args[key] for key in keys if node.args.get(key) is not None}
        kinds = {types.kind(value) for value in values.values()} - {"NULL"}
        if "BYTES" not in kinds:
            return rule(node, types)
        if len(kinds) > 1:
            raise invalid(f"{written(node)} cannot take {' with '.join(sorted(kinds))}; use CAST", node)
        for key, value in values.items():
            node.set(key, letters(value))
        return as_bytes(rule(node, types), types)

    return either


def require_texts(node: exp.Expr, types: Types, *keys: str) -> None:
    """Refuse arguments that are no texts; those that were bytes are texts by now. Raises INVALID_QUERY."""
    for key in keys:
        if (value := node.args.get(key)) is not None and types.kind(value) not in ("STRING", "NULL"):
            raise invalid(f"{written(node)} needs STRING or BYTES and was given {types.kind(value)}; use CAST", node)


def letters(value: exp.Expr) -> exp.Expr:
    """BYTES as a text of as many letters."""
    if isinstance(value, exp.Anonymous) and value.name == "UNHEX" and isinstance(value.expressions[0], exp.Literal):
        return literal(bytes.fromhex(value.expressions[0].name).decode("latin-1"))
    return call("bq_letters", value.copy())


def as_bytes(result: exp.Expr, types: Types) -> exp.Expr:
    """A text of such letters, or an array of them, as BYTES again; anything else stays what it is."""
    kind = types.kind(result)
    if kind == "ARRAY":
        return once("LIST_TRANSFORM(p.a, LAMBDA x : BQ_OCTETS(x))", a=result)
    return call("bq_octets", result.copy()) if kind == "STRING" else result
