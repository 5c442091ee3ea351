"""Numbers: arithmetic, rounding, bits, the greatest and the least. `mathematics` has the functions."""

from collections.abc import Sequence

from sqlglot import exp

from server.warehouse.translate.coercion import DUCKDB, WIDENING, WITHOUT_ORDER, settle_literals, supertype
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import Rule, Rules, Types, arguments, call, cast, invalid, written

NUMBERS = {kind: DUCKDB[kind] for kind in WIDENING}
EXACT = ("NUMERIC", "BIGNUMERIC")
_SPANS = frozenset({"DATE", "DATETIME", "TIMESTAMP", "TIME", "INTERVAL"})


def number_kind(values: Sequence[exp.Expr], types: Types, what: str, *, only: Sequence[str] = WIDENING) -> str:
    """The type that all the numbers take; INT64 when all are NULL.

    Raises:
        WarehouseError: INVALID_QUERY for a type that is not in `only`.
    """
    settle_literals(values, types)
    kinds = [types.kind(value) for value in values]
    for kind, value in zip(kinds, values, strict=True):
        if kind not in (*only, "NULL"):
            needed = "numbers" if len(only) == len(WIDENING) else " or ".join(only)
            raise invalid(f"{what} needs {needed} and was given {kind}; use CAST", value)
    return max((kind for kind in kinds if kind != "NULL"), key=WIDENING.index, default="INT64")


def as_kind(value: exp.Expr, kind: str) -> exp.Expr:
    """The value as a number of that type."""
    return cast(value.copy(), NUMBERS[kind])


def exactly(name: str, kind: str, *values: exp.Expr) -> exp.Expr:
    """A call of the warehouse's own function for NUMERIC or BIGNUMERIC."""
    return call(f"bq_{name}_{kind.lower()}", *(as_kind(value, kind) for value in values))


def finite(formula: str, message: str) -> str:
    """A template: the formula of `p.a` and `p.b`; from finite numbers it gives a finite one, or an error."""
    return f"CASE WHEN {_lost(formula)} THEN {failing(message)} ELSE {formula} END"


def _lost(formula: str) -> str:
    operands = " AND ".join(f"ISFINITE(p.{name})" for name in "ab" if f"p.{name}" in formula)
    return f"({operands} AND NOT ISFINITE({formula}))"


def _arithmetic(operator: str) -> Rule:
    template = finite(f"p.a {operator} p.b", f"FLOAT64 overflow in a {operator} b")

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        left, right = node.args["this"], node.args["expression"]
        if operator != "*" and _SPANS & {types.kind(left), types.kind(right)}:
            return node
        kind = number_kind([left, right], types, operator)
        a, b = as_kind(left, kind), as_kind(right, kind)
        if kind == "FLOAT64":
            return once(template, a=a, b=b)
        if operator == "*" and kind in EXACT:
            return _exact_product(a, b, kind)
        return cast(type(node)(this=a, expression=b), NUMBERS[kind])

    return rule


def _exact_product(a: exp.Expr, b: exp.Expr, kind: str) -> exp.Expr:
    """DuckDB multiplies exactly as long as all digits of the product fit; beyond that the slower function does."""
    narrow = f"TRY(CAST(p.a * p.b AS {NUMBERS[kind]}))"
    return once(f"COALESCE({narrow}, BQ_MULTIPLY_{kind}(p.a, p.b))", a=a, b=b)


def _divide(node: exp.Expr, types: Types) -> exp.Expr:
    """Integers divide to FLOAT64, and division by zero is an error for FLOAT64 too."""
    left, right = node.args["this"], node.args["expression"]
    kind = number_kind([left, right], types, "/")
    if kind in EXACT:
        return _exact_quotient(as_kind(left, kind), as_kind(right, kind), kind)
    cases = (
        "WHEN p.a IS NULL THEN NULL",
        f"WHEN p.b = 0 THEN {failing('division by zero')}",
        f"WHEN {_lost('p.a / p.b')} THEN {failing('FLOAT64 overflow in a / b')}",
    )
    template = f"CASE {' '.join(cases)} ELSE p.a / p.b END"
    return once(template, a=as_kind(left, "FLOAT64"), b=as_kind(right, "FLOAT64"))


# In units of the ninth digit; the quotient of whole numbers, half of the divisor added, is rounded half away from zero.
_DIVIDEND = "(CAST(p.a * 1000000000 AS HUGEINT) * 1000000000)"
_DIVISOR = "CAST(p.b * 1000000000 AS HUGEINT)"
_UNITS = f"CAST((2 * {_DIVIDEND} + SIGN(p.a) * ABS({_DIVISOR})) // (2 * {_DIVISOR}) AS DECIMAL(38, 0))"


def _exact_quotient(a: exp.Expr, b: exp.Expr, kind: str) -> exp.Expr:
    """In whole numbers of 128 bits where they suffice; beyond that the slower function does it."""
    if kind == "BIGNUMERIC":
        return exactly("divide", kind, a, b)
    narrow = f"TRY(CAST({_UNITS} * CAST('0.000000001' AS DECIMAL(10, 9)) AS {NUMBERS[kind]}))"
    return once(f"COALESCE({narrow}, BQ_DIVIDE_NUMERIC(p.a, p.b))", a=a, b=b)


def _ieee_divide(node: exp.Expr, types: Types) -> exp.Expr:
    values = arguments(node, 2)
    number_kind(values, types, "IEEE_DIVIDE")
    left, right = (as_kind(value, "FLOAT64") for value in values)
    return exp.Paren(this=exp.Div(this=left, expression=right))


_SAFE: dict[type[exp.Expr], str] = {
    exp.SafeAdd: "+",
    exp.SafeSubtract: "-",
    exp.SafeMultiply: "*",
    exp.SafeDivide: "/",
}


def _safe(node: exp.Expr, types: Types) -> exp.Expr:
    """SAFE_ADD, SAFE_SUBTRACT, SAFE_MULTIPLY, SAFE_DIVIDE: NULL in the place of an error."""
    left, right = node.args["this"], node.args["expression"]
    operator = _SAFE[type(node)]
    kind = number_kind([left, right], types, written(node))
    if operator == "/" and kind == "INT64":
        kind = "FLOAT64"
    operands = {"a": as_kind(left, kind), "b": as_kind(right, kind)}
    result = f"p.a {operator} p.b"
    if kind == "FLOAT64":
        divided = "p.b <> 0 AND " if operator == "/" else ""
        return once(f"CASE WHEN {divided}NOT {_lost(result)} THEN {result} END", **operands)
    if operator in ("*", "/") and kind in EXACT:
        return once(f"TRY(BQ_{'MULTIPLY' if operator == '*' else 'DIVIDE'}_{kind}(p.a, p.b))", **operands)
    return once(f"TRY(CAST({result} AS {NUMBERS[kind]}))", **operands)


def _safe_negate(node: exp.Expr, types: Types) -> exp.Expr:
    kind = number_kind([node.args["this"]], types, "SAFE_NEGATE")
    return once(f"TRY(CAST(- p.a AS {NUMBERS[kind]}))", a=as_kind(node.args["this"], kind))


def _negate(node: exp.Expr, types: Types) -> exp.Expr:
    value = node.args["this"]
    number = value.unnest()
    if isinstance(number, exp.Cast) and number.this.name == "9223372036854775808":
        # The least INT64; its digits alone are beyond the type.
        return cast(exp.Neg(this=number.this.copy()), "BIGINT")
    if types.kind(value) not in _SPANS:
        number_kind([value], types, "-")
    return node


def _absolute(node: exp.Expr, types: Types) -> exp.Expr:
    """ABS and SIGN keep the type."""
    kind = number_kind([node.args["this"]], types, written(node))
    value = as_kind(node.args["this"], kind)
    if isinstance(node, exp.Sign) and kind == "FLOAT64":
        return once("CASE WHEN ISNAN(p.a) THEN p.a ELSE CAST(SIGN(p.a) AS DOUBLE) END", a=value)
    return cast(type(node)(this=value), NUMBERS[kind])


def _whole(node: exp.Expr, types: Types) -> exp.Expr:
    """CEIL and FLOOR: INT64 becomes FLOAT64."""
    kind = number_kind([node.args["this"]], types, written(node))
    kind = "FLOAT64" if kind == "INT64" else kind
    return cast(type(node)(this=as_kind(node.args["this"], kind)), NUMBERS[kind])


def _places(node: exp.Expr, types: Types) -> exp.Expr:
    """ROUND(x, n, mode) and TRUNC(x, n); an INT64 becomes FLOAT64."""
    value, places = node.args["this"], node.args.get("decimals")
    kind = number_kind([value], types, written(node))
    if places is not None:
        number_kind([places], types, f"the number of digits in {written(node)}", only=("INT64",))
    if node.args.get("truncate") is not None:
        return _rounded_by_mode(node, kind)
    if kind in EXACT and places is not None and not _is_literal(places):
        digits = as_kind(places, "INT64")
        if isinstance(node, exp.Trunc):
            return call(f"bq_trunc_{kind.lower()}", as_kind(value, kind), digits)
        return call(f"bq_round_{kind.lower()}", as_kind(value, kind), digits, exp.false())
    kind = "FLOAT64" if kind == "INT64" else kind
    node.set("this", as_kind(value, kind))
    if places is not None:
        node.set("decimals", cast(places.copy(), "INTEGER"))
    return cast(node, NUMBERS[kind])


def _is_literal(places: exp.Expr) -> bool:
    """DuckDB rounds a DECIMAL to a number of digits that it knows beforehand, and exactly then."""
    number = places.this if isinstance(places, exp.Neg) else places
    return isinstance(number.this if isinstance(number, exp.Cast) else number, exp.Literal)


def _rounded_by_mode(node: exp.Expr, kind: str) -> exp.Expr:
    mode = node.args["truncate"].name.upper()
    if kind == "FLOAT64":
        raise invalid("ROUND takes a rounding mode for NUMERIC and BIGNUMERIC only", node)
    if mode not in ("ROUND_HALF_EVEN", "ROUND_HALF_AWAY_FROM_ZERO"):
        raise invalid("the rounding mode of ROUND is 'ROUND_HALF_EVEN' or 'ROUND_HALF_AWAY_FROM_ZERO'", node)
    kind = "NUMERIC" if kind == "INT64" else kind
    to_even = exp.Boolean(this=mode == "ROUND_HALF_EVEN")
    places = as_kind(node.args["decimals"], "INT64")
    return call(f"bq_round_{kind.lower()}", as_kind(node.args["this"], kind), places, to_even)


def _integer_division(node: exp.Expr, types: Types) -> exp.Expr:
    """DIV and MOD go towards zero; neither takes a FLOAT64."""
    left, right = node.args["this"], node.args["expression"]
    kind = number_kind([left, right], types, written(node), only=("INT64", *EXACT))
    if isinstance(node, exp.IntDiv) and kind in EXACT:
        return exactly("div", kind, left, right)
    result = f"CAST(p.a {'//' if isinstance(node, exp.IntDiv) else '%'} p.b AS {NUMBERS[kind]})"
    zero = failing("division by zero", NUMBERS[kind])
    template = f"CASE WHEN p.a IS NULL THEN NULL WHEN p.b = 0 THEN {zero} ELSE {result} END"
    return once(template, a=as_kind(left, kind), b=as_kind(right, kind))


def _extreme(node: exp.Expr, types: Types) -> exp.Expr:
    """GREATEST and LEAST are NULL when a value is, and NaN when one is NaN."""
    name = written(node)
    values = [node.args["this"], *node.expressions]
    kind = supertype(values, types, f"{name} cannot choose from", node)
    if kind in WITHOUT_ORDER:
        raise invalid(f"values of type {WITHOUT_ORDER[kind]} have no order", node)
    named = {f"v{place}": cast(v.copy(), DUCKDB[kind]) if kind in DUCKDB else v for place, v in enumerate(values)}
    missing = " OR ".join(f"p.{v} IS NULL" for v in named)
    nan = f"WHEN {' OR '.join(f'ISNAN(p.{v})' for v in named)} THEN CAST('nan' AS DOUBLE)" if kind == "FLOAT64" else ""
    chosen = f"{name}({', '.join(f'p.{v}' for v in named)})"
    return once(f"CASE WHEN {missing} THEN NULL {nan} ELSE {chosen} END", **named)


_BIT_FUNCTIONS: dict[type[exp.Expr], str] = {
    exp.BitwiseXor: "XOR",
    exp.BitwiseLeftShift: "bq_shift_left",
    exp.BitwiseRightShift: "bq_shift_right",
}

_BYTES_FUNCTIONS: dict[type[exp.Expr], tuple[str, str]] = {
    exp.BitwiseAnd: ("and", "BYTES"),
    exp.BitwiseOr: ("or", "BYTES"),
    exp.BitwiseXor: ("xor", "BYTES"),
    exp.BitwiseNot: ("not", ""),
    exp.BitwiseLeftShift: ("shift", "INT64"),
    exp.BitwiseRightShift: ("shift", "INT64"),
}


def _bits(node: exp.Expr, types: Types) -> exp.Expr:
    operands = [node.args[key] for key in ("this", "expression") if key in node.args]
    if types.kind(operands[0]) == "BYTES":
        return _bits_of_bytes(node, operands, types)
    number_kind(operands, types, "an operator on bits", only=("INT64",))
    values = [as_kind(operand, "INT64") for operand in operands]
    if name := _BIT_FUNCTIONS.get(type(node)):
        return call(name, *values)
    return exp.Paren(this=type(node)(**dict(zip(("this", "expression"), values, strict=False))))


def _bits_of_bytes(node: exp.Expr, operands: Sequence[exp.Expr], types: Types) -> exp.Expr:
    name, second = _BYTES_FUNCTIONS[type(node)]
    if len(operands) > 1 and (kind := types.kind(operands[1])) not in (second, "NULL"):
        raise invalid(f"an operator on the bits of BYTES needs {second} beside it and was given {kind}", node)
    values = [operand.copy() for operand in operands]
    if isinstance(node, exp.BitwiseRightShift):
        values[1] = exp.Neg(this=exp.Paren(this=values[1]))
    return call(f"bq_bytes_{name}", *values)


def _bit_count(node: exp.Expr, types: Types) -> exp.Expr:
    if types.kind(node.args["this"]) == "BYTES":
        return call("bq_bytes_count", node.args["this"].copy())
    number_kind([node.args["this"]], types, "BIT_COUNT", only=("INT64",))
    return cast(call("BIT_COUNT", as_kind(node.args["this"], "INT64")), "BIGINT")


ARITHMETIC = Rules(
    by_type={
        exp.Add: _arithmetic("+"),
        exp.Sub: _arithmetic("-"),
        exp.Mul: _arithmetic("*"),
        exp.Div: _divide,
        **dict.fromkeys(_SAFE, _safe),
        exp.SafeNegate: _safe_negate,
        exp.Neg: _negate,
        **dict.fromkeys((exp.Abs, exp.Sign), _absolute),
        **dict.fromkeys((exp.Ceil, exp.Floor), _whole),
        **dict.fromkeys((exp.Round, exp.Trunc), _places),
        **dict.fromkeys((exp.IntDiv, exp.Mod), _integer_division),
        **dict.fromkeys((exp.Greatest, exp.Least), _extreme),
        **dict.fromkeys((exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseNot, *_BIT_FUNCTIONS), _bits),
        exp.BitwiseCount: _bit_count,
    },
    by_name={"IEEE_DIVIDE": _ieee_divide},
)
