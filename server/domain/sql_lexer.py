"""BigQuery SQL as a sequence of tokens.

Source of the rules: GoogleSQL's reference, "Lexical structure and syntax". The lexer never fails: what has no end is
a token with `closed=False`, and a character that means nothing is a symbol. It is written apart from sqlglot's,
so that the two can be compared: text that two readers cut differently is a way past a guard.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["word", "number", "string", "identifier", "comment", "symbol"]

HOLE = "\0"
"""Stands for a variable in the text of a template: a letter of a word, an ordinary character in quotes."""

_RESERVED_WORDS = """
ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT
DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM
FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE
LIMIT LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO QUALIFY
RANGE RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION
UNNEST USING WHEN WHERE WINDOW WITH WITHIN
"""
RESERVED = frozenset(_RESERVED_WORDS.split())
"""GoogleSQL's reserved keywords: they are never names unless in backticks."""

_NUMBER = re.compile(r"-?(?:[0-9]{1,100}(?:\.[0-9]{1,100})?|\.[0-9]{1,100})(?:[eE][+-]?[0-9]{1,3})?")
_SPACE = re.compile(r"[ \t\n\r\f\v\b]+")
# Possessive repetition keeps every pattern linear. A quoted token without its end runs to the end of the text.
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("comment", re.compile(r"(?:--|\#)[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?P<end>\*/)?")),
    (
        "string",
        re.compile(
            r"""(?P<prefix>[rR][bB]|[bB][rR]|[rRbB])?(?:
                (?P<triple>'''|\"\"\")(?:[^'"\\]++|\\.|(?!(?P=triple))['"])*+(?P<triple_end>(?P=triple))?
              | '(?:[^'\\\n\r]++|\\[^\n\r])*+(?P<single_end>')?
              | "(?:[^"\\\n\r]++|\\[^\n\r])*+(?P<double_end>")?
            )""",
            re.VERBOSE | re.DOTALL,
        ),
    ),
    ("identifier", re.compile(r"`(?:[^`\\\n\r]++|\\[^\n\r])*+(?P<end>`)?")),
    ("number", re.compile(r"0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")),
    ("word", re.compile(rf"[A-Za-z_{HOLE}][A-Za-z0-9_{HOLE}]*")),
    ("symbol", re.compile(r".", re.DOTALL)),
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token: what it is, where it stands (`text[start:end]`), and how it is quoted."""

    kind: Kind
    start: int
    end: int
    text: str
    prefix: str = ""
    """`r`, `b` or `rb` in lower case, for a string that is raw, bytes or both."""
    quote: str = ""
    closed: bool = True

    @property
    def raw(self) -> bool:
        """A string in which a backslash escapes nothing."""
        return "r" in self.prefix

    @property
    def upper(self) -> str:
        """The text for comparison with keywords."""
        return self.text.upper()


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of a text in order, comments included, white space left out."""
    position = 0
    while position < len(sql):
        if space := _SPACE.match(sql, position):
            position = space.end()
            continue
        token = _token_at(sql, position)
        yield token
        position = token.end


def _token_at(sql: str, position: int) -> Token:
    kind, match = next((kind, match) for kind, pattern in _PATTERNS if (match := pattern.match(sql, position)))
    if kind == "string":
        return _string(sql, match)
    line_comment = kind == "comment" and not match[0].startswith("/*")
    if kind not in ("comment", "identifier") or line_comment or match["end"]:
        return Token(kind, position, match.end(), match[0])
    return Token(kind, position, len(sql), sql[position:], closed=False)


def _string(sql: str, match: re.Match[str]) -> Token:
    prefix = match["prefix"] or ""
    closed = bool(match["triple_end"] or match["single_end"] or match["double_end"])
    quote = match["triple"] or sql[match.start() + len(prefix)]
    end = match.end() if closed else len(sql)
    ordered = "".join(sorted(prefix.lower(), reverse=True))
    return Token("string", match.start(), end, sql[match.start() : end], ordered, quote, closed)


def is_number(text: str) -> bool:
    """Whether a text is a decimal number, with or without a minus: `12`, `-0.5`, `.5`, `1e6`."""
    return _NUMBER.fullmatch(text) is not None


def line_and_column(text: str, offset: int) -> str:
    """`line:column` of an offset, both 1-based, for a message."""
    return f"{text.count(chr(10), 0, offset) + 1}:{offset - text.rfind(chr(10), 0, offset)}"
