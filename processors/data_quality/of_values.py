"""Expectations of each value of a column, and of each pair of values in a row."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter
from pydantic_core import SchemaError

from processors.data_quality.batch import Batch, quoted, text_literal
from processors.data_quality.expectation import (
    Column,
    Expectation,
    Measure,
    Mostly,
    OfColumn,
    OfValues,
    Range,
    Values,
    share,
)

Length = Annotated[int, Field(ge=0)]


class NotNull(OfColumn):
    """No value is NULL."""

    type: Literal["expect_column_values_to_not_be_null"]
    mostly: Mostly = 1.0

    def measure(self, batch: Batch) -> Measure:
        """Every row counts. There is nothing to show of those that fail."""
        return share(batch, f"{quoted(self.column)} IS NOT NULL", mostly=self.mostly)


class Null(OfColumn):
    """Every value is NULL."""

    type: Literal["expect_column_values_to_be_null"]
    mostly: Mostly = 1.0

    def measure(self, batch: Batch) -> Measure:
        """Every row counts."""
        return share(batch, f"{quoted(self.column)} IS NULL", text=batch.text(self.column), mostly=self.mostly)


class InSet(OfValues):
    """Every value is one of those."""

    type: Literal["expect_column_values_to_be_in_set"]
    value_set: Values

    def met(self, batch: Batch) -> str:
        """See OfValues."""
        return f"{quoted(self.column)} IN ({', '.join(batch.literals(self.value_set, self.column))})"


class NotInSet(OfValues):
    """No value is one of those."""

    type: Literal["expect_column_values_to_not_be_in_set"]
    value_set: Values

    def met(self, batch: Batch) -> str:
        """See OfValues."""
        return f"{quoted(self.column)} NOT IN ({', '.join(batch.literals(self.value_set, self.column))})"


class Between(OfValues, Range):
    """Every value lies in a range."""

    type: Literal["expect_column_values_to_be_between"]

    def met(self, batch: Batch) -> str:
        """See OfValues."""
        return self.within(quoted(self.column), lambda value: batch.end(value, self.column))


def _regular(regex: str) -> str:
    """What the engine that pydantic brings takes, RE2 takes as well: neither looks around or back."""
    try:
        TypeAdapter(Annotated[str, StringConstraints(pattern=regex)])
    except SchemaError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"should be a regular expression of RE2 ({reason})") from None
    return regex


class _Regex(OfValues):
    regex: Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_regular)]

    def found(self, batch: Batch) -> str:
        """A condition that holds where a part of the value matches. Raises NotEvaluable."""
        batch.require_text(self.column)
        return f"REGEXP_CONTAINS({quoted(self.column)}, {text_literal(self.regex)})"


class MatchRegex(_Regex):
    """A regular expression (RE2) is found in every value."""

    type: Literal["expect_column_values_to_match_regex"]

    def met(self, batch: Batch) -> str:
        """See OfValues."""
        return self.found(batch)


class NotMatchRegex(_Regex):
    """A regular expression (RE2) is found in no value."""

    type: Literal["expect_column_values_to_not_match_regex"]

    def met(self, batch: Batch) -> str:
        """See OfValues."""
        return f"NOT {self.found(batch)}"


class LengthsBetween(OfValues, Range):
    """The number of characters of every text lies in a range."""

    type: Literal["expect_column_value_lengths_to_be_between"]
    min_value: Length | None = None
    max_value: Length | None = None

    def met(self, batch: Batch) -> str:
        """See OfValues."""
        batch.require_text(self.column)
        return self.within(f"LENGTH({quoted(self.column)})", str)


class LengthsEqual(OfValues):
    """Every text has exactly so many characters."""

    type: Literal["expect_column_value_lengths_to_equal"]
    value: Length

    def met(self, batch: Batch) -> str:
        """See OfValues."""
        batch.require_text(self.column)
        return f"LENGTH({quoted(self.column)}) = {self.value}"


class _Pair(Expectation):
    column_A: Column  # noqa: N815 - GX calls it so
    column_B: Column  # noqa: N815
    mostly: Mostly = 1.0
    ignore_row_if: Literal["both_values_are_missing", "either_value_is_missing", "neither"] = "both_values_are_missing"

    @property
    def columns(self) -> tuple[str, ...]:
        """See Expectation."""
        return (self.column_A, self.column_B)

    def compared(self, batch: Batch, operator: str) -> Measure:
        """The measure of a comparison of both; a NULL that is not ignored does not meet it."""
        a, b = quoted(self.column_A), quoted(self.column_B)
        counted = {
            "both_values_are_missing": f"{a} IS NOT NULL OR {b} IS NOT NULL",
            "either_value_is_missing": f"{a} IS NOT NULL AND {b} IS NOT NULL",
            "neither": "",
        }[self.ignore_row_if]
        return share(batch, f"{a} {operator} {b}", counted=counted, text=batch.texts(self.columns), mostly=self.mostly)


class PairEqual(_Pair):
    """Both values of a row are equal."""

    type: Literal["expect_column_pair_values_to_be_equal"]

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        return self.compared(batch, "=")


class PairGreater(_Pair):
    """The value in A is greater than the one in B."""

    type: Literal["expect_column_pair_values_a_to_be_greater_than_b"]
    or_equal: bool = False

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        return self.compared(batch, ">=" if self.or_equal else ">")
