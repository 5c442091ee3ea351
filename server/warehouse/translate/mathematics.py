"""Mathematical functions: roots, logarithms, trigonometry, distances, chance."""

from sqlglot import exp

from server.warehouse.translate.numbers import EXACT, as_kind, exactly, finite, number_kind
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import Rule, Rules, Types, arguments, call, cast, invalid, unsupported, written

_NEEDED = "needs an argument for which it is defined, and a result within FLOAT64"
# With the functions that DuckDB does not have put together from those that it has.
_FORMULAS: dict[type[exp.Expr], str] = {
    exp.Sin: "SIN(p.a)",
    exp.Cos: "COS(p.a)",
    exp.Tan: "TAN(p.a)",
    exp.Cot: "1 / TAN(p.a)",
    exp.Sec: "1 / COS(p.a)",
    exp.Csc: "1 / SIN(p.a)",
    exp.Asin: "ASIN(p.a)",
    exp.Acos: "ACOS(p.a)",
    exp.Atan: "ATAN(p.a)",
    exp.Sinh: "SINH(p.a)",
    exp.Cosh: "COSH(p.a)",
    exp.Tanh: "TANH(p.a)",
    exp.Coth: "1 / TANH(p.a)",
    exp.Sech: "1 / COSH(p.a)",
    exp.Csch: "1 / SINH(p.a)",
    exp.Asinh: "ASINH(p.a)",
    exp.Acosh: "ACOSH(p.a)",
    exp.Atanh: "ATANH(p.a)",
    exp.Cbrt: "CBRT(p.a)",
    exp.Sqrt: "SQRT(p.a)",
    exp.Exp: "EXP(p.a)",
    exp.Ln: "LN(p.a)",
    exp.Atan2: "ATAN2(p.a, p.b)",
    exp.Pow: "POW(p.a, p.b)",
    # A base of 0 is as wrong as one of 1, whose logarithm of 0 makes the quotient infinite.
    exp.Log: "LOG10(p.b) / LOG10(CASE WHEN p.a = 0 THEN 1 ELSE p.a END)",
}
# NUMERIC stays NUMERIC in these, computed exactly.
_KEEPS_EXACT: dict[type[exp.Expr], str] = {exp.Sqrt: "sqrt", exp.Exp: "exp", exp.Ln: "ln", exp.Pow: "pow"}


def _function(formula: str) -> Rule:
    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        values = [node.args[key] for key in ("this", "expression") if node.args.get(key) is not None]
        name = written(node)
        kind = number_kind(values, types, name)
        if kind in EXACT and isinstance(node, exp.Log):
            return exactly("log", kind, values[1], values[0])
        if kind in EXACT and type(node) in _KEEPS_EXACT:
            return exactly(_KEEPS_EXACT[type(node)], kind, *values)
        floats = {key: as_kind(value, "FLOAT64") for key, value in zip("ab", values, strict=False)}
        return once(finite(formula, f"{name} {_NEEDED}"), **floats)

    return rule


def _is(node: exp.Expr, types: Types) -> exp.Expr:
    number_kind([node.args["this"]], types, written(node))
    return call(written(node).replace("_", ""), as_kind(node.args["this"], "FLOAT64"))


def _zero(node: exp.Expr, types: Types) -> exp.Expr:
    """ZEROIFNULL and NULLIFZERO."""
    (value,) = arguments(node, 1)
    kind = number_kind([value], types, written(node))
    zero = as_kind(exp.Literal.number(0), kind)
    if written(node) == "ZEROIFNULL":
        return exp.Coalesce(this=as_kind(value, kind), expressions=[zero])
    return exp.Nullif(this=as_kind(value, kind), expression=zero)


def _distance(function: str) -> Rule:
    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        name = written(node)
        vectors = [node.args["this"], node.args["expression"]]
        for vector in vectors:
            if types.kind(vector) != "ARRAY":
                raise invalid(f"{name} needs two arrays of numbers", node)
            if types.kind(call("LIST_EXTRACT", vector.copy(), exp.Literal.number(1))) == "RECORD":
                raise unsupported(f"{name} of sparse vectors", node)
        a, b = (cast(vector.copy(), "DOUBLE[]") for vector in vectors)
        unequal = "LEN(p.a) <> LEN(p.b) OR LEN(p.a) <> LIST_COUNT(p.a) OR LEN(p.b) <> LIST_COUNT(p.b)"
        empty = " OR ".join(f"LIST_INNER_PRODUCT(p.{side}, p.{side}) = 0" for side in "ab")
        refused = (
            f"WHEN {empty} THEN {failing(f'{name} needs vectors that are not zero')}" if "COSINE" in function else ""
        )
        lengths = failing(f"{name} needs two vectors of one length without NULLs")
        return once(f"CASE WHEN {unequal} THEN {lengths} {refused} ELSE {function}(p.a, p.b) END", a=a, b=b)

    return rule


def _random(_node: exp.Expr, _types: Types) -> exp.Expr:
    return call("RANDOM")


def _uuid(_node: exp.Expr, _types: Types) -> exp.Expr:
    return cast(call("UUID"), "VARCHAR")


MATHEMATICS = Rules(
    by_type={
        **{kind: _function(formula) for kind, formula in _FORMULAS.items()},
        exp.IsNan: _is,
        exp.IsInf: _is,
        exp.Rand: _random,
        exp.Uuid: _uuid,
        exp.CosineDistance: _distance("LIST_COSINE_DISTANCE"),
        exp.EuclideanDistance: _distance("LIST_DISTANCE"),
    },
    by_name={"ZEROIFNULL": _zero, "NULLIFZERO": _zero},
)
