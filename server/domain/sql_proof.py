"""Proof that the values in a filled template are leaves of the statement."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from server.domain.sql_holes import Hole, Part, Template
from server.domain.sql_lexer import Kind, is_number, tokens
from server.domain.sql_tree import Unparsable, parse, same_shape

_Extent = tuple[Kind, int, int, bool]
"""Of a token: kind, start, end, and whether its quotes are closed."""


def changing_names(template: Template) -> list[str]:
    """The variables whose values are more than a leaf: the statement has another shape with neutral values.

    Values in strings are proven by the tokens alone; what they mean to a function (a format, a path) is not
    the statement's shape. Two texts of which neither is SQL are not told apart.
    """
    if not _has_same_tokens(template):
        return list(dict.fromkeys(hole.name for hole in template.holes))
    neutral = _neutral_values(template)
    outside = list(dict.fromkeys(hole.name for hole in template.holes if hole.kind != "string"))
    base = template.render(neutral)
    if not outside or _alike(base, template.render(_without(template, neutral, outside))):
        return []
    return [
        name for name in outside if not _alike(base, template.render(_without(template, neutral, [name])))
    ] or outside


def _without(template: Template, neutral: Mapping[int, str], names: Sequence[str]) -> dict[int, str]:
    """The neutral values, but not for these variables where they stand outside strings."""
    return {
        number: value
        for number, value in neutral.items()
        if template.holes[number].kind == "string" or template.holes[number].name not in names
    }


def _has_same_tokens(template: Template) -> bool:
    shift = 0
    expected: list[_Extent] = []
    for part in template.parts:
        start = part.token.start + shift
        shift += sum(len(hole.value) - 1 for hole in part.holes)
        expected.extend(_expected_tokens(part, start, part.token.end + shift))
    return expected == [(token.kind, token.start, token.end, token.closed) for token in tokens(template.render())]


def _expected_tokens(part: Part, start: int, end: int) -> list[_Extent]:
    if not part.alone or not is_number(part.filled):
        return [(part.token.kind, start, end, part.token.closed)]
    if part.filled.startswith("-"):
        return [("symbol", start, start + 1, True), ("number", start + 1, end, True)]
    return [("number", start, end, True)]


def _neutral_values(template: Template) -> dict[int, str]:
    """Hole number -> a value of the same kind that is sure to be no keyword."""
    fresh = "zq"
    while fresh in template.text.lower():
        fresh += "q"
    return {number: _neutral_value(hole, f"{fresh}{number}") for number, hole in enumerate(template.holes)}


def _neutral_value(hole: Hole, fresh: str) -> str:
    if hole.kind == "string":
        return "x"
    if hole.kind == "identifier":
        return ".".join(part if part.upper() == "INFORMATION_SCHEMA" else fresh for part in hole.value.split("."))
    if is_number(hole.value):
        return "1"
    return "TRUE" if hole.value.upper() in ("TRUE", "FALSE") else fresh


@lru_cache(maxsize=128)
def _alike(template: str, statement: str) -> bool:
    """A pure function of two texts that are the same for every date and address of a pipeline's runs."""
    return same_shape(_trees(template), _trees(statement))


def _trees(sql: str) -> Sequence[object] | None:
    try:
        return parse(sql)
    except Unparsable:
        return None
