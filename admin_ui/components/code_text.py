"""SQL, YAML and JSON with colours, line numbers and a way to copy them. It is never read as Markdown or HTML."""

from collections.abc import Collection, Iterator

from nicegui import ui
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType, is_token_subtype

_KINDS = ((Comment, "comment"), (Keyword, "keyword"), (String, "string"), (Number, "number"), (Name.Tag, "name"))

Part = tuple[str, str]
"""A kind, or '', and the text."""


class CodeText(ui.element, component="code_text.js"):
    """A text in one of pygments' languages.

    Args:
        name: what it is, for whoever cannot see it.
        marked: numbers of lines that stand out.
        anchor: what the lines' ids begin with; without it they have none.
    """

    def __init__(self, text: str, *, language: str, name: str, marked: Collection[int] = (), anchor: str = "") -> None:
        super().__init__()
        self.props["lines"] = list(_lines(text, language))
        self.props["marked"] = sorted(marked)
        self.props["anchor"], self.props["name"] = anchor, name


def _lines(text: str, language: str) -> Iterator[list[Part]]:
    line = list[Part]()
    lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    for token, value in lexer.get_tokens(text.rstrip("\n")):
        first, *others = value.split("\n")
        _add(line, _kind(token), first)
        for other in others:
            yield line
            line = []
            _add(line, _kind(token), other)
    yield line


def _add(line: list[Part], kind: str, text: str) -> None:
    """Few parts are quick to show: what is of one kind becomes one."""
    if line and line[-1][0] == kind:
        text = line.pop()[1] + text
    if text:
        line.append((kind, text))


def _kind(token: _TokenType) -> str:
    return next((kind for family, kind in _KINDS if is_token_subtype(token, family)), "")
