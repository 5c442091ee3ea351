"""Texts and bytes in other forms: hashes, base 16, 32 and 64, code points, Unicode's normal forms, addresses."""

from sqlglot import exp

from server.warehouse.translate.numbers import as_kind, number_kind
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import (
    Rule,
    Rules,
    Types,
    arguments,
    call,
    invalid,
    literal,
    require_kind,
    unsupported,
    written,
)

_FORMS = ("NFC", "NFKC", "NFD", "NFKD")


def _of(name: str, *kinds: str, template: str = "") -> Rule:
    """A function of one value, under another name; `template` is of `p.a`."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        value = node.args.get("this") or node.expressions[0]
        require_kind(node, types, value, *kinds)
        return once(template, a=value) if template else call(name, value.copy())

    return rule


def _octets(value: exp.Expr, kind: str) -> exp.Expr:
    return value.copy() if kind == "BYTES" else call("ENCODE", value.copy())


def _hash(name: str) -> Rule:
    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        value = node.args["this"]
        kind = require_kind(node, types, value, "STRING", "BYTES")
        length = node.args.get("length")
        if length is not None and length.name == "512":
            return call("bq_sha512", _octets(value, kind))
        return call("UNHEX", call(name, value.copy()))

    return rule


def _hexadecimal_hash(node: exp.Expr, types: Types) -> exp.Expr:
    return call("LOWER", call("HEX", _hash("SHA256")(node, types)))


def _fingerprint(node: exp.Expr, types: Types) -> exp.Expr:
    (value,) = arguments(node, 1)
    return call("bq_fingerprint", _octets(value, require_kind(node, types, value, "STRING", "BYTES")))


def _code_points(node: exp.Expr, types: Types) -> exp.Expr:
    if require_kind(node, types, node.args["this"], "STRING", "BYTES") == "BYTES":
        return call("bq_numbers_of_octets", node.args["this"].copy())
    letters = "STRING_SPLIT(p.a, '')"
    points = f"LIST_TRANSFORM({letters}, LAMBDA c : CAST(UNICODE(c) AS BIGINT))"
    return once(f"CASE WHEN p.a = '' THEN CAST([] AS BIGINT[]) ELSE {points} END", a=node.args["this"])


def _of_code_points(made: str) -> Rule:
    """A text or bytes of the numbers in an array; NULL when there is a NULL among them."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        array = node.args["this"]
        if types.kind(array) not in ("ARRAY", "NULL"):
            raise invalid(f"{written(node)} needs an array of INT64 and was given {types.kind(array)}", node)
        numbers = f"CASE WHEN LIST_COUNT(p.a) = LEN(p.a) THEN {made}(CAST(p.a AS BIGINT[])) END"
        return once(numbers, a=array)

    return rule


def _character(node: exp.Expr, types: Types) -> exp.Expr:
    """CHR: the code point 0 is an empty text."""
    value = (node.expressions or [node.args.get("this")])[0]
    number_kind([value], types, "CHR", only=("INT64",))
    return once("CASE WHEN p.a IS NOT NULL THEN BQ_TEXT_OF_NUMBERS([p.a]) END", a=as_kind(value, "INT64"))


def keep_forms(tree: exp.Expr) -> None:
    """The form in NORMALIZE_AND_CASEFOLD(x, NFKC) is a word, where sqlglot sees a column."""
    for node in tree.find_all(exp.Normalize):
        if isinstance(form := node.args.get("form"), exp.Column):
            node.set("form", exp.Var(this=form.name))


def _normal(node: exp.Expr, types: Types) -> exp.Expr:
    """NORMALIZE and NORMALIZE_AND_CASEFOLD."""
    form = node.args["form"].name.upper() if node.args.get("form") else "NFC"
    if form not in _FORMS:
        raise invalid(f"{written(node)}: the form is one of {', '.join(_FORMS)}, not {form}", node)
    require_kind(node, types, node.args["this"], "STRING")
    folded = exp.Boolean(this=bool(node.args.get("is_casefold")))
    return call("bq_normalize", node.args["this"].copy(), literal(form), folded)


def _bytes(node: exp.Expr, _types: Types) -> exp.Expr:
    """b'...', read already into a letter for each byte."""
    return call("UNHEX", literal(node.name.encode("latin-1").hex()))


def _unhex(node: exp.Expr, types: Types) -> exp.Expr:
    value = node.args["this"]
    require_kind(node, types, value, "STRING")
    wrong = failing("FROM_HEX needs a text of hexadecimal digits", "BLOB")
    return once(
        f"CASE WHEN REGEXP_MATCHES(p.a, '^[0-9a-fA-F]*$') THEN UNHEX(p.a) WHEN p.a IS NOT NULL THEN {wrong} END",
        a=value,
    )


# The function and the types of its arguments.
_NET: dict[str, tuple[str, ...]] = {
    "HOST": ("bq_net_host", "STRING"),
    "IP_FROM_STRING": ("bq_net_ip_from_string", "STRING"),
    "SAFE_IP_FROM_STRING": ("bq_net_safe_ip_from_string", "STRING"),
    "IP_TO_STRING": ("bq_net_ip_to_string", "BYTES"),
    "IP_NET_MASK": ("bq_net_ip_net_mask", "INT64", "INT64"),
    "IP_TRUNC": ("bq_net_ip_trunc", "BYTES", "INT64"),
    "IPV4_FROM_INT64": ("bq_net_ipv4_from_int64", "INT64"),
    "IPV4_TO_INT64": ("bq_net_ipv4_to_int64", "BYTES"),
}


def _net(name: str, function: str, *kinds: str) -> Rule:
    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        if not isinstance(node.parent, exp.NetFunc):
            raise unsupported(f"the function {name}", node)
        values = [node.this] if isinstance(node, exp.Host) else arguments(node, len(kinds))
        for value, kind in zip(values, kinds, strict=True):
            if types.kind(value) not in (kind, "NULL"):
                raise invalid(f"NET.{name} needs {kind} and was given {types.kind(value)}", node)
        return call(function, *(value.copy() for value in values))

    return rule


def _in_net(node: exp.Expr, _types: Types) -> exp.Expr:
    """NET.function(...), translated already."""
    value: exp.Expr = node.this
    return value


ENCODINGS = Rules(
    by_type={
        exp.ToCodePoints: _code_points,
        exp.CodePointsToString: _of_code_points("BQ_TEXT_OF_NUMBERS"),
        exp.CodePointsToBytes: _of_code_points("BQ_OCTETS_OF_NUMBERS"),
        exp.Ascii: _of("ASCII", "STRING"),
        exp.Unicode: _of(
            "UNICODE", "STRING", template="CASE WHEN p.a = '' THEN 0 ELSE CAST(UNICODE(p.a) AS BIGINT) END"
        ),
        exp.Chr: _character,
        exp.Normalize: _normal,
        exp.Soundex: _of("bq_soundex", "STRING"),
        exp.SafeConvertBytesToString: _of("bq_text_of_octets", "BYTES"),
        exp.ByteString: _bytes,
        exp.MD5Digest: _hash("MD5"),
        exp.SHA1Digest: _hash("SHA1"),
        exp.SHA2Digest: _hash("SHA256"),
        exp.FarmFingerprint: _fingerprint,
        # sqlglot takes TO_HEX(MD5(x)) and its like for one function each.
        exp.MD5: _of("MD5", "STRING", "BYTES"),
        exp.SHA: _of("SHA1", "STRING", "BYTES"),
        exp.SHA2: _hexadecimal_hash,
        exp.LowerHex: _of("HEX", "BYTES", template="LOWER(HEX(p.a))"),
        exp.Unhex: _unhex,
        exp.ToBase64: _of("BASE64", "BYTES"),
        exp.FromBase64: _of("FROM_BASE64", "STRING"),
        exp.ToBase32: _of("bq_to_base32", "BYTES"),
        exp.FromBase32: _of("bq_from_base32", "STRING"),
        exp.NetFunc: _in_net,
        exp.Host: _net("HOST", *_NET["HOST"]),
    },
    by_name={name: _net(name, *signature) for name, signature in _NET.items() if name != "HOST"},
)
