"""A SQL template cut into tokens, with the places of its variables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from server.domain.faults import refuse
from server.domain.sql_lexer import HOLE, Kind, Token, line_and_column, tokens
from server.domain.variables import PLACEHOLDER

_WORDLIKE = ("word", "number", "string", "identifier")


@dataclass(slots=True)
class Hole:
    """A `{name}` of the template."""

    name: str
    position: str
    """Line and column in the template."""
    kind: Kind = "word"
    """What it stands in."""
    value: str = ""
    """As it is written into the SQL."""


@dataclass(frozen=True, slots=True)
class Part:
    """A token of the template, the tokens beside it, of which none is a comment, and the holes inside it."""

    token: Token
    before: Token | None
    after: Token | None
    called: bool
    """It names a function, or is part of its path: a parenthesis follows."""
    holes: tuple[Hole, ...]

    def follows(self, symbol: str) -> bool:
        """Whether the symbol stands directly before."""
        return self.before is not None and self.before.text == symbol and self.before.end == self.token.start

    def leads(self, symbol: str) -> bool:
        """Whether the symbol stands directly after."""
        return self.after is not None and self.after.text == symbol and self.after.start == self.token.end

    @property
    def touches_word(self) -> bool:
        """Whether a word, a number or anything quoted stands directly before or after."""
        before = self.before is not None and self.before.end == self.token.start and self.before.kind in _WORDLIKE
        after = self.after is not None and self.after.start == self.token.end and self.after.kind in _WORDLIKE
        return before or after

    @property
    def alone(self) -> bool:
        """The token is the hole and nothing else."""
        return self.token.text == HOLE

    @property
    def filled(self) -> str:
        """The token's text with the values of its holes."""
        return fill(self.token.text, [hole.value for hole in self.holes])


@dataclass(frozen=True, slots=True)
class Template:
    """A template in which a HOLE stands for each variable."""

    text: str
    holes: tuple[Hole, ...]
    parts: tuple[Part, ...]

    def render(self, instead: Mapping[int, str] | None = None) -> str:
        """The text with the value of each hole, or what `instead` has for the hole's number."""
        others = instead or {}
        return fill(self.text, [others.get(number, hole.value) for number, hole in enumerate(self.holes)])


def fill(text: str, values: list[str]) -> str:
    """Put one value into each hole of a text."""
    first, *rest = text.split(HOLE)
    return first + "".join(value + after for value, after in zip(values, rest, strict=True))


def read(template: str, *, before: str = "", after: str = "") -> Template:
    """Cut a template into tokens; `before` and `after` are no part of it and make it whole.

    Raises:
        Refused: SQL_POSITION_NOT_ALLOWED for a NUL character.
    """
    if HOLE in template:
        where = line_and_column(template, template.index(HOLE))
        raise refuse("SQL_POSITION_NOT_ALLOWED", f"the SQL has a NUL character at line {where}; remove it")
    found = [match for match in PLACEHOLDER.finditer(template) if match["name"]]
    holes = tuple(Hole(match["name"], line_and_column(template, match.start())) for match in found)
    text = PLACEHOLDER.sub(lambda match: HOLE if match["name"] else f"{{{match['literal']}}}", template)
    whole = before + text + after
    return Template(whole, holes, tuple(_parts(whole, holes)))


def _parts(text: str, holes: tuple[Hole, ...]) -> Iterator[Part]:
    sequence = list(tokens(text))
    code = [token for token in sequence if token.kind != "comment"]
    called = _called(code)
    beside = dict(zip(code, zip([None, *code], [*code[1:], None], strict=False), strict=False))
    used = 0
    for token in sequence:
        inside = holes[used : used + token.text.count(HOLE)]
        used += len(inside)
        for hole in inside:
            hole.kind = token.kind
        yield Part(token, *beside.get(token, (None, None)), token in called, inside)


def _called(code: list[Token]) -> set[Token]:
    """The tokens of paths in front of a parenthesis: `f (`, `net . f (`."""
    called: set[Token] = set()
    for token, after, then in reversed(list(zip(code, code[1:], [*code[2:], None], strict=False))):
        if after.text == "(" or (after.text == "." and then in called):
            called.add(token)
    return called
