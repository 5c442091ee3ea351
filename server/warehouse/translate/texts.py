"""Texts: STRING and BYTES functions, regular expressions."""

import re

from sqlglot import exp

from server.warehouse.translate.casts import text_of
from server.warehouse.translate.numbers import number_kind, written
from server.warehouse.translate.once import once
from server.warehouse.translate.rules import Rule, Rules, Types, call, invalid, literal, unsupported


def _require(node: exp.Expr, types: Types, value: exp.Expr, *kinds: str) -> str:
    kind = types.kind(value)
    if kind not in (*kinds, "NULL"):
        raise invalid(f"{written(node)} needs {' or '.join(kinds)} and was given {kind}; use CAST", node)
    return kind


def _of_texts(*keys: str) -> Rule:
    """A function of texts that is the same on DuckDB."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        for key in keys:
            value = node.args.get(key)
            if value is not None and _require(node, types, value, "STRING", "BYTES") == "BYTES":
                raise unsupported(f"{written(node)} of BYTES", node)
        return node

    return rule


def _renamed(name: str, *kinds: str, template: str = "{}") -> Rule:
    """A function of one value under DuckDB's name for it."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        value = node.args.get("this") or node.expressions[0]
        _require(node, types, value, *kinds)
        return once(template.format(f"{name}(p.a)"), a=value) if template != "{}" else call(name, value.copy())

    return rule


def _length(node: exp.Expr, types: Types) -> exp.Expr:
    kind = _require(node, types, node.args["this"], "STRING", "BYTES")
    return call("OCTET_LENGTH" if kind == "BYTES" else "LENGTH", node.args["this"])


def _byte_length(node: exp.Expr, types: Types) -> exp.Expr:
    kind = _require(node, types, node.args["this"], "STRING", "BYTES")
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
    if _require(node, types, text, "STRING", "BYTES") == "BYTES":
        raise unsupported("SUBSTR of BYTES", node)
    before = exp.LT(this=start.copy(), expression=exp.Neg(this=call("LENGTH", text.copy())))
    first = exp.Case().when(exp.EQ(this=start.copy(), expression=literal(0)), literal(1))
    node.set("start", first.when(before, literal(1)).else_(start.copy()))
    return _counted(node, types, "length", node) if node.args.get("length") is not None else node


def _end(node: exp.Expr, types: Types) -> exp.Expr:
    """LEFT and RIGHT."""
    if _require(node, types, node.args["this"], "STRING", "BYTES") == "BYTES":
        raise unsupported(f"{written(node)} of BYTES", node)
    return _counted(node, types, "expression", node)


def _repeat(node: exp.Expr, types: Types) -> exp.Expr:
    _require(node, types, node.args["this"], "STRING", "BYTES")
    return _counted(node, types, "times", call("REPEAT", node.args["this"].copy(), node.args["times"].copy()))


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
    for value in (text, part):
        if _require(node, types, value, "STRING", "BYTES") == "BYTES":
            raise unsupported(f"{written(node)} of BYTES", node)
    position, occurrence = node.args.get("position"), node.args.get("occurrence")
    if position is None:
        return call("STRPOS", text.copy(), part.copy())
    return call("bq_instr", text.copy(), part.copy(), position.copy(), (occurrence or literal(1)).copy())


def _capitals(node: exp.Expr, types: Types) -> exp.Expr:
    """sqlglot puts BigQuery's own set of parting characters in where the query has none."""
    _require(node, types, node.args["this"], "STRING")
    parting = node.args["expression"]
    is_default = isinstance(parting, exp.Literal) and "\\[" in parting.name
    return call("bq_initcap", node.args["this"].copy(), literal("") if is_default else parting.copy())


def _pattern(node: exp.Expr) -> str | None:
    pattern = node.args["expression"]
    return pattern.name if isinstance(pattern, exp.Literal | exp.RawString) else None


def _groups(node: exp.Expr) -> int | None:
    """How many groups the literal pattern captures; None when it is no literal. Raises INVALID_QUERY for two."""
    pattern = _pattern(node)
    if pattern is None:
        return None
    plain = re.sub(r"\\.|\[(?:\\.|\^?\])?(?:\\.|[^\]\\])*\]", "", pattern, flags=re.DOTALL)
    count = len(re.findall(r"\((?!\?)|\(\?P?<", plain))
    if count > 1:
        raise invalid(
            f"{written(node)} takes a pattern with one group, not {count}; write (?:...) for the others", node
        )
    return count


def _matched(node: exp.Expr, types: Types) -> exp.Expr:
    for key in ("this", "expression", "replacement"):
        value = node.args.get(key)
        if value is not None and _require(node, types, value, "STRING", "BYTES") == "BYTES":
            raise unsupported(f"{written(node)} of BYTES", node)
    if isinstance(node, exp.RegexpExtract):
        _groups(node)
    return node


def _all_matches(node: exp.Expr, types: Types) -> exp.Expr:
    """REGEXP_EXTRACT_ALL: what the one group captures, or else the whole matches."""
    _matched(node, types)
    groups = _groups(node)
    if groups is None:
        raise unsupported("REGEXP_EXTRACT_ALL with a pattern that is not a literal", node)
    return call("REGEXP_EXTRACT_ALL", node.args["this"].copy(), node.args["expression"].copy(), literal(groups))


def _place_of_match(node: exp.Expr, types: Types) -> exp.Expr:
    """REGEXP_INSTR: one more than the length of the shortest text before a match."""
    _matched(node, types)
    if any(node.args.get(key) is not None for key in ("position", "occurrence", "group")):
        raise unsupported("REGEXP_INSTR with a position", node)
    before = "LENGTH(REGEXP_EXTRACT(p.a, '^(?s:(.*?))(?:' || p.b || ')', 1)) + 1"
    values = {"a": node.args["this"], "b": node.args["expression"]}
    return once(f"CASE WHEN REGEXP_MATCHES(p.a, p.b) THEN {before} WHEN p.a IS NULL THEN NULL ELSE 0 END", **values)


def _contains(node: exp.Expr, types: Types) -> exp.Expr:
    """CONTAINS_SUBSTR, which sqlglot reads as one of two texts in small letters."""
    for key in ("this", "expression"):
        if (kind := types.kind(node.args[key])) not in ("STRING", "NULL"):
            raise unsupported(f"CONTAINS_SUBSTR in {kind}", node)
    return node


def _code_points(node: exp.Expr, types: Types) -> exp.Expr:
    _require(node, types, node.args["this"], "STRING")
    letters = "STRING_SPLIT(p.a, '')"
    points = f"LIST_TRANSFORM({letters}, LAMBDA c : CAST(UNICODE(c) AS BIGINT))"
    return once(f"CASE WHEN p.a = '' THEN CAST([] AS BIGINT[]) ELSE {points} END", a=node.args["this"])


def _from_code_points(node: exp.Expr, _types: Types) -> exp.Expr:
    letters = "LIST_TRANSFORM(p.a, LAMBDA c : CHR(CAST(c AS INTEGER)))"
    return once(f"ARRAY_TO_STRING({letters}, '')", a=node.args["this"])


def _hash(name: str) -> Rule:
    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        value = node.args["this"]
        kind = _require(node, types, value, "STRING", "BYTES")
        length = node.args.get("length")
        if length is not None and length.name == "512":
            return call("bq_sha512", value.copy() if kind == "BYTES" else call("ENCODE", value.copy()))
        return call("UNHEX", call(name, value.copy()))

    return rule


def _hexadecimal_hash(node: exp.Expr, types: Types) -> exp.Expr:
    return call("LOWER", call("HEX", _hash("SHA256")(node, types)))


def _bytes(node: exp.Expr, _types: Types) -> exp.Expr:
    """b'...', with its escapes."""
    raw = node.name.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
    return call("UNHEX", literal(raw.hex()))


def _error(node: exp.Expr, types: Types) -> exp.Expr:
    (message,) = node.expressions
    _require(node, types, message, "STRING")
    return call("bq_fail", message.copy())


# What may fail by itself: under SAFE. such an argument would lose its error.
_MAY_FAIL = (
    exp.Cast, exp.Div, exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.IntDiv, exp.Bracket, exp.Anonymous, exp.Query,
    exp.StrToDate, exp.StrToTime, exp.ParseDatetime, exp.ParseTime, exp.Ln, exp.Log, exp.Sqrt, exp.Exp, exp.Pow,
    exp.ParseJSON, exp.Substring, exp.Left, exp.Right, exp.Repeat,
)  # fmt: skip


def may_fail(argument: exp.Expr) -> bool:
    """Whether a part of what SAFE. is given may be an error by itself. The query is BigQuery's still."""
    risky = (
        part for part in argument.walk() if isinstance(part, tuple(_MAY_FAIL)) and not isinstance(part, exp.TryCast)
    )
    return any(not isinstance(part.this, exp.Literal) for part in risky)


def _safe(node: exp.Expr, _types: Types) -> exp.Expr:
    """SAFE.function(...): NULL where the function fails."""
    return call("TRY", node.args["this"].copy())


TEXTS = Rules(
    by_type={
        exp.Length: _length,
        exp.ByteLength: _byte_length,
        exp.Substring: _substring,
        exp.Left: _end,
        exp.Right: _end,
        exp.Repeat: _repeat,
        exp.Concat: _concat,
        exp.DPipe: _joined,
        exp.StrPosition: _position,
        exp.Initcap: _capitals,
        exp.Contains: _contains,
        exp.RegexpLike: _matched,
        exp.RegexpExtract: _matched,
        exp.RegexpReplace: _matched,
        exp.RegexpExtractAll: _all_matches,
        exp.RegexpInstr: _place_of_match,
        exp.ToCodePoints: _code_points,
        exp.CodePointsToString: _from_code_points,
        exp.MD5Digest: _hash("MD5"),
        exp.SHA1Digest: _hash("SHA1"),
        exp.SHA2Digest: _hash("SHA256"),
        # sqlglot takes TO_HEX(MD5(x)) and its like for one function each.
        exp.MD5: _renamed("MD5", "STRING", "BYTES"),
        exp.SHA: _renamed("SHA1", "STRING", "BYTES"),
        exp.SHA2: _hexadecimal_hash,
        exp.LowerHex: _renamed("HEX", "BYTES", template="LOWER({})"),
        exp.Unhex: _renamed("UNHEX", "STRING"),
        exp.ToBase64: _renamed("BASE64", "BYTES"),
        exp.FromBase64: _renamed("FROM_BASE64", "STRING"),
        exp.Ascii: _renamed("ASCII", "STRING"),
        exp.Unicode: _renamed("UNICODE", "STRING"),
        exp.Chr: _renamed("CHR", "INT64", template="CHR(CAST(p.a AS INTEGER))"),
        exp.ByteString: _bytes,
        exp.SafeFunc: _safe,
        **dict.fromkeys((exp.Lower, exp.Upper, exp.Reverse), _of_texts("this")),
        exp.Trim: _of_texts("this", "expression"),
        exp.Replace: _of_texts("this", "expression", "replacement"),
        **dict.fromkeys((exp.StartsWith, exp.EndsWith, exp.Split, exp.Levenshtein), _of_texts("this", "expression")),
        exp.Translate: _of_texts("this", "from_", "to"),
        exp.Pad: _of_texts("this"),
    },
    by_name={"ERROR": _error},
)
