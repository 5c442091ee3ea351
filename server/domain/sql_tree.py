"""BigQuery SQL as sqlglot's syntax tree, for checks on its shape."""

from itertools import product
from typing import Any, ClassVar

import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.bigquery import BigQueryParser

from server.domain.sql_lexer import line_and_column

_RAW_BYTES: list[str | tuple[str, str]] = [
    (first + second + quote, quote)
    for first, second in (*product("rR", "bB"), *product("bB", "rR"))
    for quote in ("'", '"', "'''", '"""')
]


def _raw_bytes(parser: BigQueryParser, token: Token) -> exp.Expr:
    """rb'...', which as b'...' has a letter for each byte."""
    letters = token.text.encode("utf-8", "surrogatepass").decode("latin-1")
    made: exp.Expr = parser.expression(exp.ByteString(this=letters, is_bytes=True), token)
    return made


class BigQueryAsWritten(BigQuery):
    """BigQuery without sqlglot's guess which paths in FROM are arrays: telling them from tables takes their scopes.

    An array's path has the name behind WITH OFFSET, which sqlglot knows of UNNEST only, as its argument `offset`.
    Raw bytes, rb'...', are read, too.
    """

    class Tokenizer(BigQuery.Tokenizer):
        """The tokenizer of this dialect; BigQuery has no national strings, whose raw kind raw bytes are here."""

        NATIONAL_RAW_STRINGS = _RAW_BYTES

    class Parser(BigQueryParser):
        """The parser of this dialect."""

        SUPPORTS_IMPLICIT_UNNEST = False
        # Bytes do not stand where a text has to.
        STRING_PARSERS: ClassVar = {
            kind: parser
            for kind, parser in BigQueryParser.STRING_PARSERS.items()
            if kind is not TokenType.NATIONAL_RAW_STRING
        }
        PRIMARY_PARSERS: ClassVar = {**BigQueryParser.PRIMARY_PARSERS, TokenType.NATIONAL_RAW_STRING: _raw_bytes}

        def _parse_table(self, *args: Any, **kwargs: Any) -> exp.Expr | None:
            table: exp.Expr | None = super()._parse_table(*args, **kwargs)
            if isinstance(table, exp.Table) and self._match_pair(TokenType.WITH, TokenType.OFFSET):
                self._match(TokenType.ALIAS)
                name = self._parse_id_var(any_token=False, tokens=self.UNNEST_OFFSET_ALIAS_TOKENS)
                table.set("offset", name or exp.to_identifier("offset"))
            return table


class Unparsable(Exception):
    """A text is not BigQuery SQL, or too deep for the parser; the message says what and where, without a full stop."""

    def __init__(self, message: str, *, too_deep: bool = False) -> None:
        self.message = message
        self.too_deep = too_deep
        super().__init__(message)


def parse(sql: str) -> list[exp.Expr | None]:
    """The statements of a text.

    Raises:
        Unparsable: With line, column and the text nearby.
    """
    try:
        return list(sqlglot.parse(sql, read=BigQueryAsWritten))
    except RecursionError:
        raise Unparsable("the statement is nested too deeply", too_deep=True) from None
    except ParseError as error:
        raise Unparsable(_explain(sql, error)) from None
    except Exception:  # noqa: BLE001 - odd input raises whatever its helpers raise; none may pass
        raise Unparsable("the statement cannot be read as BigQuery SQL") from None


def quoted_spans(sql: str) -> list[tuple[int, int]]:
    """Start and end of everything that the parser takes for a quoted text or name. Raises Unparsable."""
    try:
        found = [(token.start, token.end + 1) for token in BigQueryAsWritten().tokenize(sql)]
    except TokenError:
        raise Unparsable("a quoted text or name cannot be read") from None
    return [(start, end) for start, end in found if sql[end - 1] in "'\"`"]


def _explain(sql: str, error: ParseError) -> str:
    details = error.errors[0] if error.errors else {}
    word = str(details.get("highlight") or "")
    before = str(details.get("start_context") or "")
    if not word:
        return "the statement ends too early, or a part of it is missing"
    offset = sql.find(before + word) + len(before)
    near = (before[-30:] + word + str(details.get("end_context") or "")[:30]).replace("\n", " ").strip()
    return f"unexpected {word[:40]!r} at line {line_and_column(sql, offset)}, near {near[:80]!r}"


def same_shape(template: object, statement: object) -> bool:
    """Whether two trees, or lists of trees, differ in nothing but names and literal values.

    A negative number counts as a number, and a week as a part of a date like any other, though sqlglot
    has nodes of their own for them.
    """
    pairs: list[tuple[object, object]] = [(template, statement)]
    while pairs:
        left, right = pairs.pop()
        if isinstance(left, exp.Expr) and isinstance(right, exp.Expr):
            if _same_leaf(left, right):
                continue
            if type(left) is not type(right) or _keys(left) != _keys(right):
                return False
            pairs.extend((left.args[key], right.args[key]) for key in _keys(left))
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif left != right:
            return False
    return True


def _keys(node: exp.Expr) -> set[str]:
    return {key for key, value in node.args.items() if value is not None and value != []}


def _same_leaf(left: exp.Expr, right: exp.Expr) -> bool:
    if isinstance(right, exp.Neg) and isinstance(left, exp.Literal) and not left.is_string:
        return isinstance(right.this, exp.Literal) and not right.this.is_string
    if isinstance(right, exp.WeekStart) and isinstance(right.this, exp.Var):
        return isinstance(left, exp.Literal | exp.Var)
    if type(left) is not type(right) or not isinstance(left, exp.Identifier | exp.Literal | exp.Var | exp.Boolean):
        return False
    return left.args.get("quoted") == right.args.get("quoted") and left.args.get("is_string") == right.args.get(
        "is_string"
    )
