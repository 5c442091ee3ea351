"""Texts: STRING and BYTES functions. `regular` has the regular expressions, `encodings` the other forms of texts."""

from sqlglot import exp

from server.warehouse.translate.casts import text_of
from server.warehouse.translate.json_values import described, json_text
from server.warehouse.translate.numbers import as_kind, number_kind
from server.warehouse.translate.octets import also_of_bytes, require_texts
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import Rule, Rules, Types, call, cast, invalid, literal, require_kind, written

# Unicode's white space; DuckDB's is the blank alone.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# What an EDIT_DISTANCE without a limit never reaches.
_NO_LIMIT = 2**62


def _of_texts(*keys: str) -> Rule:
    """A function of texts that is the same on DuckDB."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        require_texts(node, types, *keys)
        return node

    return also_of_bytes(rule, *keys)


def _length(node: exp.Expr, types: Types) -> exp.Expr:
    kind = require_kind(node, types, node.args["this"], "STRING", "BYTES")
    return call("OCTET_LENGTH" if kind == "BYTES" else "LENGTH", node.args["this"])


def _byte_length(node: exp.Expr, types: Types) -> exp.Expr:
    kind = require_kind(node, types, node.args["this"], "STRING", "BYTES")
    return call("OCTET_LENGTH" if kind == "BYTES" else "STRLEN", node.args["this"])


def _is_count(node: exp.Expr) -> bool:
    """A literal number, which is not below 0."""
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    return isinstance(node, exp.Literal)


def _counted(node: exp.Expr, types: Types, key: str, result: exp.Expr) -> exp.Expr:
    """The result, or an error when the length by that key is below 0."""
    count = node.args[key]
    number_kind([count], types, f"the length in {written(node)}", only=("INT64",))
    if _is_count(count):
        return result
    below = exp.LT(this=exp.Paren(this=count.copy()), expression=literal(0))
    failure = call("bq_fail", literal(f"{written(node)} needs a length that is not below 0"))
    return exp.Paren(this=exp.Case().when(below, failure).else_(result.copy()))


def _substring(node: exp.Expr, types: Types) -> exp.Expr:
    """Position 0 means 1 on BigQuery, and so does one that lies before the first character."""
    text, start = node.args["this"], node.args["start"]
    require_texts(node, types, "this")
    before = exp.LT(this=start.copy(), expression=exp.Neg(this=call("LENGTH", text.copy())))
    first = exp.Case().when(exp.EQ(this=start.copy(), expression=literal(0)), literal(1))
    node.set("start", first.when(before, literal(1)).else_(start.copy()))
    return _counted(node, types, "length", node) if node.args.get("length") is not None else node


def _end(node: exp.Expr, types: Types) -> exp.Expr:
    """LEFT and RIGHT."""
    require_texts(node, types, "this")
    return _counted(node, types, "expression", node)


def _repeat(node: exp.Expr, types: Types) -> exp.Expr:
    require_kind(node, types, node.args["this"], "STRING", "BYTES")
    return _counted(node, types, "times", call("REPEAT", node.args["this"].copy(), node.args["times"].copy()))


def _pad(node: exp.Expr, types: Types) -> exp.Expr:
    """LPAD and RPAD; what is too long is cut."""
    require_texts(node, types, "this", "fill_pattern")
    length, fill = node.args["expression"], node.args.get("fill_pattern")
    number_kind([length], types, f"the length in {written(node)}", only=("INT64",))
    name = "LPAD" if node.args.get("is_left") else "RPAD"
    below = failing(f"{name} needs a length that is not below 0", "INTEGER")
    empty = failing(f"{name} needs a text to fill with that is not empty", "VARCHAR")
    count = f"CASE WHEN p.n < 0 THEN {below} ELSE CAST(p.n AS INTEGER) END"
    template = f"{name}(p.a, {count}, CASE WHEN p.f = '' THEN {empty} ELSE p.f END)"
    return once(template, a=node.args["this"], n=as_kind(length, "INT64"), f=fill if fill is not None else literal(" "))


def _trim(node: exp.Expr, types: Types) -> exp.Expr:
    """TRIM, LTRIM, RTRIM; without characters they take white space away."""
    require_texts(node, types, "this", "expression")
    name = {"LEADING": "LTRIM", "TRAILING": "RTRIM"}.get(str(node.args.get("position") or ""), "TRIM")
    characters = node.args.get("expression")
    return call(name, node.args["this"].copy(), literal(_SPACE) if characters is None else characters.copy())


def _case(name: str) -> Rule:
    """LOWER and UPPER; of BYTES they change the letters of ASCII only."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        if isinstance(node.parent, exp.Contains):
            return node.this  # type: ignore[no-any-return]
        if require_kind(node, types, node.this, "STRING", "BYTES") == "BYTES":
            return call(f"bq_ascii_{name}", node.this.copy())
        return node

    return rule


def _reverse(node: exp.Expr, types: Types) -> exp.Expr:
    require_texts(node, types, "this")
    return call("bq_reverse", node.this.copy())


def _split(node: exp.Expr, types: Types) -> exp.Expr:
    """Into the parts between the separators; into letters when the separator is empty."""
    require_texts(node, types, "this", "expression")
    parts = "CASE WHEN p.a = '' AND p.s = '' THEN [''] WHEN p.s IS NOT NULL THEN STRING_SPLIT(p.a, p.s) END"
    return once(parts, a=node.args["this"], s=node.args["expression"])


def _distance(node: exp.Expr, types: Types) -> exp.Expr:
    """EDIT_DISTANCE(a, b[, max_distance => n])."""
    require_texts(node, types, "this", "expression")
    most = node.args.get("max_dist") or literal(_NO_LIMIT)
    return call(
        "bq_edit_distance", node.args["this"].copy(), node.args["expression"].copy(), cast(most.copy(), "BIGINT")
    )


def _concat(node: exp.Expr, types: Types) -> exp.Expr:
    """Numbers are written as CAST writes them."""
    parts = [text_of(part, types) for part in node.expressions]
    node.set("expressions", parts)
    return node


def _joined(node: exp.Expr, types: Types) -> exp.Expr:
    """a || b: of texts, of bytes, of arrays."""
    left, right = (types.kind(node.args[key]) for key in ("this", "expression"))
    for kind in (left, right):
        if kind not in ("STRING", "BYTES", "ARRAY", "NULL"):
            raise invalid(f"|| needs texts, bytes or arrays and was given {kind}; use CONCAT or CAST", node)
    if "NULL" not in (left, right) and left != right:
        raise invalid(f"|| cannot join {left} and {right}", node)
    return node


def _position(node: exp.Expr, types: Types) -> exp.Expr:
    text, part = node.args["this"], node.args["substr"]
    require_texts(node, types, "this", "substr")
    position, occurrence = node.args.get("position"), node.args.get("occurrence")
    if position is None:
        return call("STRPOS", text.copy(), part.copy())
    return call("bq_instr", text.copy(), part.copy(), position.copy(), (occurrence or literal(1)).copy())


def _capitals(node: exp.Expr, types: Types) -> exp.Expr:
    """sqlglot puts BigQuery's own set of parting characters in where the query has none."""
    require_kind(node, types, node.args["this"], "STRING")
    parting = node.args["expression"]
    is_default = isinstance(parting, exp.Literal) and "\\[" in parting.name
    return call("bq_initcap", node.args["this"].copy(), literal("") if is_default else parting.copy())


def _contains(node: exp.Expr, types: Types) -> exp.Expr:
    """CONTAINS_SUBSTR(value, part), which sqlglot reads as one of two texts in small letters."""
    value, part = node.args["this"], node.args["expression"]
    if types.kind(part) not in ("STRING", "NULL"):
        raise invalid(f"CONTAINS_SUBSTR looks for a STRING and was given {types.kind(part)}", node)
    return call("bq_contains", json_text(value, types), described([value], types), part.copy())


TEXTS = Rules(
    by_type={
        exp.Length: _length,
        exp.ByteLength: _byte_length,
        exp.Substring: also_of_bytes(_substring, "this"),
        exp.Left: also_of_bytes(_end, "this"),
        exp.Right: also_of_bytes(_end, "this"),
        exp.Repeat: _repeat,
        exp.Concat: _concat,
        exp.DPipe: _joined,
        exp.StrPosition: also_of_bytes(_position, "this", "substr"),
        exp.Initcap: _capitals,
        exp.Contains: _contains,
        exp.Lower: _case("lower"),
        exp.Upper: _case("upper"),
        exp.Reverse: also_of_bytes(_reverse, "this"),
        exp.Trim: also_of_bytes(_trim, "this", "expression"),
        exp.Replace: _of_texts("this", "expression", "replacement"),
        exp.StartsWith: _of_texts("this", "expression"),
        exp.EndsWith: _of_texts("this", "expression"),
        exp.Split: also_of_bytes(_split, "this", "expression"),
        exp.Levenshtein: also_of_bytes(_distance, "this", "expression"),
        exp.Translate: _of_texts("this", "from_", "to"),
        exp.Pad: also_of_bytes(_pad, "this", "fill_pattern"),
    },
)
