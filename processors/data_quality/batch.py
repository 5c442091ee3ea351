"""The rows that an expectation is about, and the pieces of BigQuery SQL that are made of them.

Whatever comes from a file or a request becomes a quoted name or a literal here; only conditions and queries, which the
server has rendered as SQL, go into a statement as they are.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

Scalar = str | int | float | bool

SAMPLE_SIZE = 20
"""Failing values that are kept of a check."""
_SAMPLE_CHARACTERS = 100
_NUMBERS = {"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"}
_TEXTS = {"STRING", "BYTES"}
_TIMES = {"DATE", "DATETIME", "TIME", "TIMESTAMP"}
_AS_TEXT = {*_NUMBERS, *_TIMES, "BOOLEAN"}
_SYNONYMS = {
    "INTEGER": "INT64", "INT": "INT64", "SMALLINT": "INT64", "BIGINT": "INT64", "TINYINT": "INT64", "BYTEINT": "INT64",
    "FLOAT": "FLOAT64", "DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC", "BOOL": "BOOLEAN", "STRUCT": "RECORD",
}  # fmt: skip
# What stands in no literal as it is. Source: BigQuery's "Lexical structure", escape sequences.
_ESCAPED = re.compile("[\\\\'\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class NotEvaluable(Exception):
    """An expectation cannot be held against this table; the message says why, for the tenant."""


def type_name(name: str) -> str:
    """A type under the name that schemas have: `bool` is BOOLEAN, `array<integer>` is ARRAY<INT64>."""
    upper = re.sub(r"\s+", "", name).upper()
    if upper.startswith("ARRAY<") and upper.endswith(">"):
        return f"ARRAY<{type_name(upper[6:-1])}>"
    return _SYNONYMS.get(upper, upper)


def quoted(path: str) -> str:
    """A column, or a field inside one, in backticks. A path has neither backticks nor backslashes."""
    return ".".join(f"`{part}`" for part in path.split("."))


def text_literal(text: str) -> str:
    """A string literal."""
    return f"'{_ESCAPED.sub(_escape, text)}'"


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if "\ud800" <= character <= "\udfff":
        raise NotEvaluable("a text of its arguments has half a surrogate pair, which no text can hold")
    return f"\\{character}" if character in "\\'" else f"\\u{ord(character):04x}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a table: those for which both conditions hold."""

    table: str
    types: Mapping[str, str]
    """Column, or path of a field inside one, in lower case -> its type; ARRAY<...> for a repeated one."""
    condition: str = ""
    """The step's row_condition, enclosed."""
    own_condition: str = ""
    """That of one expectation. In a scan for several it stands in each aggregate."""

    def within(self, row_condition: str | None) -> "Batch":
        """The rows of one expectation."""
        return replace(self, own_condition=enclosed(row_condition))

    def has(self, column: str) -> bool:
        """Whether the table has that column."""
        return column.lower() in self.types

    def require_text(self, column: str) -> None:
        """Raises NotEvaluable where the values of a column are no texts."""
        kind = self.types[column.lower()]
        if kind not in _TEXTS:
            raise NotEvaluable(f"column {column} is {kind}, and only texts have a length and match expressions")

    def count(self, *conditions: str) -> str:
        """An aggregate: how many rows all conditions hold for."""
        held = _all_of([self.own_condition], conditions)
        return f"COUNTIF({held})" if held else "COUNT(*)"

    def each(self, expression: str) -> str:
        """What an aggregate is to look at: the expression in these rows, NULL in the others of the scan."""
        return f"IF({self.own_condition}, {expression}, NULL)" if self.own_condition else expression

    def select(self, what: str, *conditions: str) -> str:
        """A SELECT from these rows."""
        held = _all_of([self.condition, self.own_condition], conditions)
        return f"SELECT {what} FROM `{self.table}`{f' WHERE {held}' if held else ''}"

    def scan(self, what: str) -> str:
        """A SELECT from the rows of the step, whatever an expectation's own condition is."""
        return replace(self, own_condition="").select(what)

    def literal(self, value: Scalar, column: str) -> str:
        """A value as a literal of the column's type. Raises NotEvaluable."""
        kind = self.types[column.lower()]
        if kind in _NUMBERS:
            return _number_literal(value, column)
        if kind == "BOOLEAN":
            return _boolean_literal(value, column)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return f"{kind} {text_literal(text)}" if kind in _TIMES else text_literal(text)

    def end(self, value: Scalar, column: str) -> str:
        """The end of a range as a literal of the column's type. Raises NotEvaluable."""
        if self.types[column.lower()] == "STRING" and not isinstance(value, str):
            raise NotEvaluable(f"column {column} holds texts, whose order is not that of numbers such as {value!r}")
        return self.literal(value, column)

    def literals(self, values: Sequence[Scalar], column: str) -> list[str]:
        """Values as literals, each once: 1 and 1.0 are the same number. Raises NotEvaluable."""
        literals = [self.literal(value, column) for value in values]
        is_number = self.types[column.lower()] in _NUMBERS
        return list({Decimal(literal) if is_number else literal: literal for literal in literals}.values())

    def text(self, column: str, value: str = "") -> str:
        """A column's value, or another value of its type, as a text for people."""
        kind, value = self.types[column.lower()], value or quoted(column)
        if kind == "STRING":
            return value
        return f"CAST({value} AS STRING)" if kind in _AS_TEXT else f"TO_JSON_STRING({value})"

    def texts(self, columns: Sequence[str]) -> str:
        """The values of several columns as one text."""
        parts = [f"IFNULL({self.text(column)}, 'NULL')" for column in columns]
        return "CONCAT(" + ", ', ', ".join(parts) + ")"

    def sample(self, text: str, *conditions: str) -> str:
        """A SELECT of distinct texts from the rows for which the conditions hold; few, and cut."""
        return sample_of(self.select(f"{text} AS value", *conditions))


def sample_of(select: str) -> str:
    """A SELECT of few of the texts that another one gives as `value`, each once and cut."""
    cut = f"SUBSTR(value, 1, {_SAMPLE_CHARACTERS})"
    return f"SELECT DISTINCT {cut} AS value FROM ({select}) WHERE value IS NOT NULL ORDER BY value LIMIT {SAMPLE_SIZE}"


def column_types(fields: Sequence[Mapping[str, Any]], prefix: str = "") -> dict[str, str]:
    """The types of a schema's columns and of the fields inside them, by their paths in lower case."""
    types: dict[str, str] = {}
    for field in fields:
        path, kind = prefix + field["name"].lower(), type_name(field["type"])
        is_repeated = field.get("mode") == "REPEATED"
        types[path] = f"ARRAY<{kind}>" if is_repeated else kind
        if not is_repeated:
            types |= column_types(field.get("fields") or [], f"{path}.")
    return types


def enclosed(condition: str | None) -> str:
    """A condition of a file's in brackets, so that it cannot be read together with what is around it."""
    if not condition:
        return ""
    # The line may end in a comment.
    end = "\n" if "--" in condition or "#" in condition else ""
    return f"({condition}{end})"


def _all_of(given: Sequence[str], conditions: Sequence[str]) -> str:
    """`given` are enclosed; any may be missing."""
    parts = [*filter(None, given), *(f"({condition})" for condition in conditions if condition)]
    return " AND ".join(parts)


def _number_literal(value: Scalar, column: str) -> str:
    try:
        number = Decimal(str(value)) if not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise NotEvaluable(f"column {column} holds numbers, and {value!r} is none")
    return str(number)


def _boolean_literal(value: Scalar, column: str) -> str:
    text = str(value).upper()
    if text not in ("TRUE", "FALSE"):
        raise NotEvaluable(f"column {column} holds TRUE and FALSE, and {value!r} is neither")
    return text
