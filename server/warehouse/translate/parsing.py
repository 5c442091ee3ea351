"""Reads a query into sqlglot's tree, and refuses the literals that sqlglot reads otherwise than BigQuery.

Source of the escapes: GoogleSQL's "Lexical structure and syntax", escape sequences for string and bytes literals.
"""

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from server.domain.sql_lexer import line_and_column, tokens
from server.domain.sql_tree import BigQueryAsWritten
from server.warehouse.port import WarehouseError
from server.warehouse.translate.rules import invalid

_OF_BYTES = r"""[abfnrtv\\?"'`]|[0-3][0-7]{2}|[xX][0-9a-fA-F]{2}"""
_NO_SURROGATE = r"(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
_OF_TEXTS = rf"{_OF_BYTES}|u{_NO_SURROGATE}|U0000{_NO_SURROGATE}|U00(?:0[1-9a-fA-F]|10)[0-9a-fA-F]{{4}}"
# By the literal's prefix: an escape, or a backslash and what it does not escape.
_ESCAPES = {
    prefix: re.compile(rf"\\(?:(?P<known>{known})|[0-9xXuU][0-9a-fA-F]{{0,8}}|.)", re.DOTALL)
    for prefix, known in (("", _OF_TEXTS), ("b", _OF_BYTES))
}


class _BigQuery(BigQueryAsWritten):
    """BigQuery, whose JSON paths begin with $: sqlglot would put it before those that do not."""

    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        if isinstance(path, exp.Literal) and not path.name.startswith("$"):
            return path
        return super().to_json_path(path)


def parse(sql: str) -> exp.Expr:
    """The tree of a query; the text of its `ByteString`s has a letter for each byte.

    Raises:
        WarehouseError: INVALID_QUERY, UNSUPPORTED_SQL.
    """
    _require_literals(sql)
    try:
        statements = [statement for statement in sqlglot.parse(sql, read=_BigQuery) if statement]
    except SqlglotError as error:
        first = str(error).split("\n", 1)[0]
        raise WarehouseError("INVALID_QUERY", f"the query is not BigQuery SQL: {first}") from None
    except (LookupError, ValueError, AttributeError, TypeError) as error:  # what sqlglot's parser stumbles over
        raise WarehouseError("INVALID_QUERY", "the query cannot be read as BigQuery SQL") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise WarehouseError("INVALID_QUERY", "a query is exactly one SELECT")
    return statements[0]


def _require_literals(sql: str) -> None:
    """Refuse escapes that BigQuery does not have: `\\q` would become `q`."""
    for token in tokens(sql):
        if token.kind != "string" or token.raw:
            continue
        for escape in _ESCAPES[token.prefix].finditer(token.text):
            if escape["known"] is None:
                kind = "bytes" if token.prefix else "texts"
                told = f"{kind} have no escape sequence {escape[0].strip()}; write a backslash as \\\\"
                raise invalid(told + _place(sql, token.start + escape.start()))


def _place(sql: str, offset: int) -> str:
    line, column = line_and_column(sql, offset).split(":")
    return f" at line {line}, column {column}"
