"""Operators: literals, comparisons, conditions, fields."""

import math

from sqlglot import exp

from server.warehouse.translate.coercion import require_comparable, require_condition, supertype
from server.warehouse.translate.names import read_field, read_json
from server.warehouse.translate.octets import also_of_bytes
from server.warehouse.translate.once import once
from server.warehouse.translate.rules import Rules, Types, call, cast, invalid, literal, unsupported
from server.warehouse.translate.shapes import agree

_DOUBLE = "DOUBLE"


def _literal(node: exp.Expr, _types: Types) -> exp.Expr:
    """1.5 is FLOAT64 on BigQuery and DECIMAL on DuckDB; integers are 64 bits wide in arithmetic."""
    if node.args["is_string"]:
        return node
    if not node.name.isdigit():
        if math.isinf(float(node.name)):
            raise invalid(f"the number {node.name[:40]} is beyond the range of FLOAT64", node)
        return cast(node, _DOUBLE)
    return cast(node, "BIGINT") if isinstance(node.parent, exp.Binary | exp.Neg | exp.Alias | exp.Select) else node


def _hexadecimal(node: exp.Expr, _types: Types) -> exp.Expr:
    """0xFF; sqlglot keeps the digits."""
    return cast(literal(int(node.name, 16)), "BIGINT")


def _like(node: exp.Expr, types: Types) -> exp.Expr:
    """A backslash takes the meaning from the character behind it; DuckDB has no escape character of its own."""
    patterns = node.args["expression"]
    if isinstance(patterns, exp.Any | exp.All):
        return _like_several(node, patterns, types)
    return also_of_bytes(_like_one, "this", "expression")(node, types)


def _like_one(node: exp.Expr, types: Types) -> exp.Expr:
    for side in ("this", "expression"):
        if (kind := types.kind(node.args[side])) not in ("STRING", "NULL"):
            raise invalid(f"LIKE needs texts and was given {kind}", node)
    return exp.Escape(this=node, expression=literal("\\"))


def _like_several(node: exp.Expr, patterns: exp.Any | exp.All, types: Types) -> exp.Expr:
    """x LIKE ANY (a, b), x LIKE ALL (a, b)."""
    listed = patterns.this
    if isinstance(listed, exp.Unnest) and not node.args.get("negate"):
        return _like_elements(node, patterns, types)
    if node.args.get("negate") or not isinstance(listed, exp.Tuple | exp.Paren):
        raise unsupported("NOT LIKE ANY or ALL, and LIKE ANY or ALL of a query", node)
    each = [listed.this] if isinstance(listed, exp.Paren) else listed.expressions
    likes = [_like(exp.Like(this=node.args["this"].copy(), expression=each_one.copy()), types) for each_one in each]
    return exp.Paren(this=exp.or_(*likes) if isinstance(patterns, exp.Any) else exp.and_(*likes))


def _like_elements(node: exp.Expr, patterns: exp.Any | exp.All, types: Types) -> exp.Expr:
    """x LIKE ANY UNNEST(array): with SQL's answer for NULLs."""
    (array,) = patterns.this.expressions
    for text in (node.args["this"], call("LIST_EXTRACT", array.copy(), literal(1))):
        if (kind := types.kind(text)) not in ("STRING", "NULL"):
            raise invalid(f"LIKE needs texts and was given {kind}", node)
    several, decided = ("BOOL_OR", "TRUE") if isinstance(patterns, exp.Any) else ("BOOL_AND", "FALSE")
    found = once("LIST_TRANSFORM(p.a, LAMBDA e : p.t LIKE e ESCAPE '\\')", t=node.args["this"], a=array)
    cases = f"WHEN LIST_{several}(p.m) = {decided} THEN {decided} WHEN LEN(p.m) > LIST_COUNT(p.m) THEN NULL"
    return once(f"CASE {cases} ELSE NOT {decided} END", m=found)


# On BigQuery NaN compares with nothing; on DuckDB it equals itself and is the greatest. The side that decides:
_NAN_SIDE: dict[type[exp.Expr], str] = {
    exp.EQ: "this",
    exp.NEQ: "this",
    exp.GT: "this",
    exp.GTE: "this",
    exp.LT: "expression",
    exp.LTE: "expression",
}


def equal(left: exp.Expr, right: exp.Expr, types: Types) -> exp.Expr:
    """`left = right` of translated values, for USING. Raises INVALID_QUERY when they do not compare."""
    return _comparison(exp.EQ(this=left, expression=right), types)


def _comparison(node: exp.Expr, types: Types) -> exp.Expr:
    sides = node.args["this"], node.args["expression"]
    kind = require_comparable(sides, types, node, ordered=not isinstance(node, exp.EQ | exp.NEQ))
    if kind == "RECORD":
        same = _same_fields(*sides, types)
        return exp.Not(this=same) if isinstance(node, exp.NEQ) else same
    side = node.args[_NAN_SIDE[type(node)]]
    if kind != "FLOAT64" or types.kind(side) != "FLOAT64" or _is_number(side):
        return node
    is_nan = call("ISNAN", side.copy())
    if isinstance(node, exp.NEQ):
        return exp.Paren(this=exp.Or(this=node.copy(), expression=is_nan))
    return exp.Paren(this=exp.And(this=node.copy(), expression=exp.Not(this=is_nan)))


def _is_number(node: exp.Expr) -> bool:
    return isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and not node.this.is_string


def _same_fields(left: exp.Expr, right: exp.Expr, types: Types) -> exp.Expr:
    """STRUCTs are equal when their fields are, place by place; DuckDB goes by names and holds NULLs for equal."""
    names = types.fields(left), types.fields(right)
    if not names[0] or not names[1]:
        return exp.EQ(this=left.copy(), expression=right.copy())
    if len(names[0]) != len(names[1]):
        raise invalid(f"cannot compare a STRUCT of {len(names[0])} fields with one of {len(names[1])}", left)
    pairs = [
        (read_field(left.copy(), ours), read_field(right.copy(), theirs)) for ours, theirs in zip(*names, strict=True)
    ]
    return exp.Paren(this=exp.and_(*(_comparison(exp.EQ(this=a, expression=b), types) for a, b in pairs)))


def _distinct(node: exp.Expr, types: Types) -> exp.Expr:
    """IS [NOT] DISTINCT FROM: as DuckDB has it, NaN and NULL being equal to themselves."""
    require_comparable([node.args["this"], node.args["expression"]], types, node, ordered=False)
    return node


def _between(node: exp.Expr, types: Types) -> exp.Expr:
    value, low, high = (node.args[key] for key in ("this", "low", "high"))
    kind = require_comparable([value, low, high], types, node, ordered=True)
    if kind != "FLOAT64" or types.kind(high) != "FLOAT64" or _is_number(high):
        return node
    return exp.Paren(this=exp.And(this=node.copy(), expression=exp.Not(this=call("ISNAN", high.copy()))))


def _in(node: exp.Expr, types: Types) -> exp.Expr:
    """`x IN (a, b)`, `x IN (SELECT ...)`, and `x IN UNNEST(array)` with SQL's answer for NULLs."""
    value = node.args["this"]
    if types.kind(value) == "RECORD" and not node.expressions:
        return _in_rows(value, node, types)
    if unnest := node.args.get("unnest"):
        elements = exp.Select(expressions=[call("UNNEST", unnest.expressions[0].copy())])
        found = exp.In(this=value.copy(), query=exp.Subquery(this=elements))
        return _of_numbers(found, types.kind(value))
    if query := node.args.get("query"):
        return _of_numbers(node, require_comparable([value, query], types, node, ordered=False))
    kind = require_comparable([value, *node.expressions], types, node, ordered=False)
    if kind == "RECORD":
        return exp.Paren(this=exp.or_(*(_same_fields(value, other, types) for other in node.expressions)))
    return _of_numbers(node, kind)


def _of_numbers(node: exp.Expr, kind: str) -> exp.Expr:
    """NaN is in nothing."""
    value = node.args["this"]
    if kind != "FLOAT64" or _is_number(value):
        return node
    is_nan = call("ISNAN", cast(value.copy(), _DOUBLE))
    return exp.Paren(this=exp.And(this=node.copy(), expression=exp.Not(this=is_nan)))


def _in_rows(value: exp.Expr, node: exp.Expr, types: Types) -> exp.Expr:
    """A STRUCT among an array's or a subquery's, each compared field by field."""
    query, unnest = node.args.get("query"), node.args.get("unnest")
    array = unnest.expressions[0] if unnest else exp.Array(expressions=[query.this if query else exp.Null()])
    element = call("LIST_EXTRACT", array.copy(), literal(1))
    if types.kind(element) != "RECORD":
        raise invalid(f"cannot compare STRUCT with {types.kind(element)}", node)
    held = {element: exp.column("e"), value: exp.column("v", table="p")}
    same = _same_fields(value.copy(), element, types).transform(
        lambda part: held[part].copy() if part in held else part
    )
    found = f"LIST_TRANSFORM(p.a, LAMBDA e : {same.sql('duckdb')})"
    template = "CASE WHEN LIST_CONTAINS({0}, TRUE) THEN TRUE WHEN LIST_COUNT({0}) < LEN({0}) THEN NULL ELSE FALSE END"
    return once(template.format(found), v=value, a=array)


def _logical(node: exp.Expr, types: Types) -> exp.Expr:
    for side in ("this", "expression"):
        if side in node.args:
            require_condition(node.args[side], types, node.key.upper())
    return node


def _if(node: exp.Expr, types: Types) -> exp.Expr:
    if isinstance(node.parent, exp.Case):
        return node
    require_condition(node.args["this"], types, "IF")
    other = node.args.get("false")
    values = [node.args["true"], *([other] if other else [])]
    supertype(values, types, "IF cannot give", node)
    agree(values, types, node)
    return node


def _case(node: exp.Expr, types: Types) -> exp.Expr:
    """CASE WHEN condition, and CASE value WHEN other, whose comparison NaN never meets."""
    value, branches, default = node.args.get("this"), node.args["ifs"], node.args.get("default")
    for branch in branches:
        if value is None:
            require_condition(branch.this, types, "WHEN")
    if value is not None:
        require_comparable([value, *(branch.this for branch in branches)], types, node, ordered=False)
    results = [branch.args["true"] for branch in branches] + ([default] if default is not None else [])
    supertype(results, types, "CASE cannot give", node)
    agree(results, types, node)
    return node


def _coalesce(node: exp.Expr, types: Types) -> exp.Expr:
    values = [node.args["this"], *node.expressions]
    supertype(values, types, "COALESCE and IFNULL cannot choose from", node)
    agree(values, types, node)
    return node


def _nullif(node: exp.Expr, types: Types) -> exp.Expr:
    values = [node.args["this"], node.args["expression"]]
    if require_comparable(values, types, node, ordered=False) == "FLOAT64" and types.kind(values[0]) != "FLOAT64":
        node.set("this", cast(values[0].copy(), _DOUBLE))
    return node


def _tuple(node: exp.Expr, _types: Types) -> exp.Expr:
    """`(a, b)` is a STRUCT without names; what surrounds it may give it some."""
    if isinstance(node.parent, exp.Any | exp.All):
        return node
    fields = [
        exp.PropertyEQ(this=exp.to_identifier(f"_field_{place}", quoted=True), expression=value.copy())
        for place, value in enumerate(node.expressions, 1)
    ]
    return exp.Struct(expressions=fields)


def _dot(node: exp.Expr, types: Types) -> exp.Expr:
    value, name = node.args["this"], node.args["expression"]
    if not isinstance(name, exp.Identifier):
        raise unsupported("a function of that name", node)
    if types.kind(value) == "JSON":
        return read_json(value.copy(), "field", literal(name.name))
    if types.kind(value) != "RECORD":
        raise invalid(f"Cannot access field {name.name} on a value of type {types.kind(value)}", node)
    return read_field(value.copy(), name.name)


OPERATORS = Rules(
    by_type={
        exp.Literal: _literal,
        exp.HexString: _hexadecimal,
        exp.Like: _like,
        **dict.fromkeys(_NAN_SIDE, _comparison),
        exp.NullSafeEQ: _distinct,
        exp.NullSafeNEQ: _distinct,
        exp.Between: _between,
        exp.In: _in,
        exp.And: _logical,
        exp.Or: _logical,
        exp.Not: _logical,
        exp.If: _if,
        exp.Case: _case,
        exp.Coalesce: _coalesce,
        exp.Nullif: _nullif,
        exp.Tuple: _tuple,
        exp.Dot: _dot,
    },
    unchanged=(
        exp.Is, exp.Exists, exp.AtTimeZone, exp.Greatest, exp.Least, exp.Paren, exp.Boolean, exp.Null,
        exp.RawString, exp.Any, exp.All,
    ),
)  # fmt: skip
