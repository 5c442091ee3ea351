"""Regular expressions. Both warehouses have RE2's."""

import re

from sqlglot import exp

from server.warehouse.translate.numbers import as_kind, number_kind
from server.warehouse.translate.octets import also_of_bytes, require_texts
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import Rule, Rules, Types, invalid, literal, written

# A letter that no text has parts it: between two of them stands a match.
_PARTING = "CHR(1114111)"
_PARTS = rf"STRING_SPLIT(REGEXP_REPLACE(p.t, p.b, {_PARTING} || '\0' || {_PARTING}, 'g'), {_PARTING})"


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
    require_texts(node, types, "this", "expression", "replacement")
    if isinstance(node, exp.RegexpExtract):
        _groups(node)
        if node.args.get("position") is not None:
            return _nth_match(node, types)
    return node


def _nth_match(node: exp.Expr, types: Types) -> exp.Expr:
    """REGEXP_EXTRACT(text, pattern, position, occurrence)."""
    found = "LIST_EXTRACT({matches}, p.n)".format(matches=_matches("p.t", _groups(node)))
    return _from_position(node, types, found, missing="NULL")


def _matches(text: str, groups: int | None) -> str:
    """All that a pattern `p.b` matches: what its group captures, if it has one."""
    if groups is not None:
        return f"REGEXP_EXTRACT_ALL({text}, p.b, {groups})"
    # Only with a group is there a first one: what it captures is read where the pattern has one.
    first = f"TRY(REGEXP_EXTRACT_ALL({text}, p.b, 1))"
    return f"COALESCE({first}, REGEXP_EXTRACT_ALL({text}, p.b, 0))"


def _all_matches(node: exp.Expr, types: Types) -> exp.Expr:
    """REGEXP_EXTRACT_ALL: what the one group captures, or else the whole matches."""
    require_texts(node, types, "this", "expression", "replacement")
    return once(_matches("p.a", _groups(node)), a=node.args["this"], b=node.args["expression"])


def _place_of_match(node: exp.Expr, types: Types) -> exp.Expr:
    """REGEXP_INSTR: where the n-th match from a position on begins, or where it has ended."""
    require_texts(node, types, "this", "expression", "replacement")
    option = node.args.get("option")
    if option is not None:
        number_kind([option], types, "the last argument of REGEXP_INSTR", only=("INT64",))
    end = as_kind(option, "INT64") if option is not None else literal(0)
    which = failing("the last argument of REGEXP_INSTR is 0 or 1", "BIGINT")
    last = f"CASE p.e WHEN 0 THEN 2 * p.n - 1 WHEN 1 THEN 2 * p.n ELSE {which} END"
    before = f"LENGTH(ARRAY_TO_STRING(LIST_SLICE({_PARTS}, 1, {last}), ''))"
    found = f"CASE WHEN LEN({_PARTS}) > 2 * p.n THEN p.i + {before} ELSE 0 END"
    return _from_position(node, types, found, missing="0", e=end)


def _from_position(node: exp.Expr, types: Types, found: str, *, missing: str, **more: exp.Expr) -> exp.Expr:
    """`found` in the text `p.t` from a position on; `p.n` is the number of the occurrence."""
    places = {"i": node.args.get("position") or literal(1), "n": node.args.get("occurrence") or literal(1)}
    number_kind(list(places.values()), types, f"a place in {written(node)}", only=("INT64",))
    places = {name: as_kind(place, "INT64") for name, place in places.items()}
    values = {"a": node.args["this"], "b": node.args["expression"], **places, **more}
    missing_values = " OR ".join(f"p.{name} IS NULL" for name in values)
    wrong = failing(f"{written(node)} needs a position and an occurrence above 0", "BIGINT")
    rest = once("SUBSTRING(p.a, CASE WHEN p.i < 1 OR p.n < 1 THEN " + wrong + " ELSE p.i END)", **values)
    cases = f"WHEN {missing_values} THEN NULL WHEN p.i > LENGTH(p.a) + 1 THEN {missing}"
    return once(f"CASE {cases} ELSE {found} END", t=rest, **values)


def _of_texts(rule: Rule, *more: str) -> Rule:
    return also_of_bytes(rule, "this", "expression", *more)


REGULAR = Rules(
    by_type={
        exp.RegexpLike: _of_texts(_matched),
        exp.RegexpExtract: _of_texts(_matched),
        exp.RegexpReplace: _of_texts(_matched, "replacement"),
        exp.RegexpExtractAll: _of_texts(_all_matches),
        exp.RegexpInstr: _of_texts(_place_of_match),
    },
)
