"""Numbers: arithmetic, rounding, mathematical functions."""

from sqlglot import exp

from server.warehouse.translate.rules import Rules, Types, cast, fail, literal, unsupported

NUMBERS = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38, 9)",
    "BIGNUMERIC": "DECIMAL(38, 18)",
}
EXACT = ("NUMERIC", "BIGNUMERIC")


def _exact(node: exp.Expr, left: exp.Expr, right: exp.Expr, types: Types) -> exp.Expr:
    """The result of exact arithmetic is NUMERIC again; DuckDB would widen its scale or give DOUBLE."""
    kinds = {types.kind(left), types.kind(right)}
    if kinds & set(EXACT) and kinds <= {*EXACT, "INT64"}:
        return cast(node, NUMBERS["BIGNUMERIC" if "BIGNUMERIC" in kinds else "NUMERIC"])
    return node


def _multiply(node: exp.Expr, types: Types) -> exp.Expr:
    return _exact(node, node.args["this"], node.args["expression"], types)


def _divide(node: exp.Expr, types: Types) -> exp.Expr:
    """Integers divide to FLOAT64, and division by zero is an error for FLOAT64 too."""
    left, right = node.args["this"], node.args["expression"]
    safe = exp.Case().when(exp.EQ(this=right.copy(), expression=literal(0)), fail("division by zero", "DOUBLE"))
    return _exact(exp.Paren(this=safe.else_(_plain_division(left, right))), left, right, types)


def _plain_division(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return exp.Div(this=exp.Paren(this=left.copy()), expression=exp.Paren(this=right.copy()))


def _safe_divide(node: exp.Expr, types: Types) -> exp.Expr:
    left, right = node.args["this"], node.args["expression"]
    divisor = exp.Nullif(this=right.copy(), expression=literal(0))
    return _exact(exp.Paren(this=_plain_division(left, divisor)), left, right, types)


def _places(node: exp.Expr, types: Types) -> exp.Expr:
    """ROUND(x, n), TRUNC(x, n): DuckDB takes n as a 32-bit integer, and leaves an INT64 what it is."""
    places = node.args.get("decimals")
    if places:
        node.set("decimals", cast(places.copy(), "INTEGER"))
    return cast(node, "DOUBLE") if types.kind(node.args["this"]) == "INT64" else node


def _sign(node: exp.Expr, types: Types) -> exp.Expr:
    kind = types.kind(node.args["this"])
    return cast(node, NUMBERS[kind]) if kind in NUMBERS else node


def _integer_division(node: exp.Expr, types: Types) -> exp.Expr:
    if {types.kind(node.args["this"]), types.kind(node.args["expression"])} != {"INT64"}:
        raise unsupported("DIV of anything but INT64")
    return node


ARITHMETIC = Rules(
    by_type={
        exp.Mul: _multiply,
        exp.Div: _divide,
        exp.SafeDivide: _safe_divide,
        exp.Round: _places,
        exp.Trunc: _places,
        exp.IntDiv: _integer_division,
        exp.Sign: _sign,
    },
    unchanged=(
        exp.Add, exp.Sub, exp.Neg, exp.Abs, exp.Ceil, exp.Floor, exp.Mod, exp.Pow, exp.Sqrt, exp.Exp, exp.Ln, exp.Log,
    ),
)  # fmt: skip
