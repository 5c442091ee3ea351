"""Expectations of a column as a whole: of an aggregate, of its distinct values, of its age."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from processors.data_quality.batch import Batch, Scalar, quoted, sample_of
from processors.data_quality.expectation import Finding, Measure, OfColumn, Range, Values, share

_SECONDS_AN_HOUR = 3_600


class _Aggregate(OfColumn, Range):
    """An aggregate that has the type of the column, or is a number as its values are."""

    aggregate: ClassVar[str]
    """With {} for the values."""

    def literal(self, batch: Batch, value: Scalar) -> str:
        """An end of the range."""
        return batch.end(value, self.column)

    def measure(self, batch: Batch) -> Measure:
        """The warehouse compares: it knows its own numbers and times. Without any value there is no aggregate."""
        value = self.aggregate.format(batch.each(quoted(self.column)))
        met = self.within(value, lambda end: self.literal(batch, end))
        return Measure(_judge_aggregate, {"value": value, "met": f"IFNULL({met}, FALSE)"})


def _judge_aggregate(values: Mapping[str, Any]) -> Finding:
    return Finding(values["met"], observed=values["value"])


class SumBetween(_Aggregate):
    """The sum lies in a range."""

    type: Literal["expect_column_sum_to_be_between"]
    aggregate = "SUM({})"


class MeanBetween(_Aggregate):
    """The mean lies in a range."""

    type: Literal["expect_column_mean_to_be_between"]
    aggregate = "AVG({})"


class StdevBetween(_Aggregate):
    """The standard deviation of a sample lies in a range."""

    type: Literal["expect_column_stdev_to_be_between"]
    aggregate = "STDDEV_SAMP({})"


class MinBetween(_Aggregate):
    """The smallest value lies in a range."""

    type: Literal["expect_column_min_to_be_between"]
    aggregate = "MIN({})"


class MaxBetween(_Aggregate):
    """The greatest value lies in a range."""

    type: Literal["expect_column_max_to_be_between"]
    aggregate = "MAX({})"


class DistinctCountBetween(_Aggregate):
    """The number of distinct values lies in a range."""

    type: Literal["expect_column_unique_value_count_to_be_between"]
    aggregate = "COUNT(DISTINCT {})"
    min_value: Annotated[int, Field(ge=0)] | None = None
    max_value: Annotated[int, Field(ge=0)] | None = None

    def literal(self, batch: Batch, value: Scalar) -> str:
        """A count is a number, whatever is counted."""
        return str(value)


class DistinctShareBetween(_Aggregate):
    """The number of distinct values, divided by that of all values, lies in a range."""

    type: Literal["expect_column_proportion_of_unique_values_to_be_between"]
    aggregate = "SAFE_DIVIDE(COUNT(DISTINCT {0}), COUNT({0}))"
    min_value: Annotated[float, Field(ge=0, le=1)] | None = None
    max_value: Annotated[float, Field(ge=0, le=1)] | None = None

    def literal(self, batch: Batch, value: Scalar) -> str:
        """A share is a number, whatever is counted."""
        return str(value)


class DistinctInSet(OfColumn):
    """No value lies outside a set."""

    type: Literal["expect_column_distinct_values_to_be_in_set"]
    value_set: Values

    def measure(self, batch: Batch) -> Measure:
        """As of each value, and all of them have to meet it."""
        column = quoted(self.column)
        met = f"{column} IN ({', '.join(batch.literals(self.value_set, self.column))})"
        return share(batch, met, counted=f"{column} IS NOT NULL", text=batch.text(self.column))


class _HoldsSet(OfColumn):
    value_set: Values

    def missing(self, batch: Batch) -> Measure:
        """Which of the set's values no row has."""
        column, literals = quoted(self.column), batch.literals(self.value_set, self.column)
        found = batch.each(f"IF({column} IN ({', '.join(literals)}), {column}, NULL)")
        there = batch.select(column, f"{column} IS NOT NULL")
        text = batch.text(self.column, "wanted")
        lacking = f"SELECT {text} AS value FROM UNNEST([{', '.join(literals)}]) AS wanted WHERE wanted NOT IN ({there})"
        judge = partial(_judge_missing, len(literals))
        return Measure(judge, {"found": f"COUNT(DISTINCT {found})"}, samples=(sample_of(lacking),))


def _judge_missing(wanted: int, values: Mapping[str, Any]) -> Finding:
    missing = wanted - values["found"]
    return Finding(missing == 0, missing, values["found"])


class DistinctHoldSet(_HoldsSet):
    """Every value of a set is there; observed is how many are."""

    type: Literal["expect_column_distinct_values_to_contain_set"]

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        return self.missing(batch)


class DistinctEqualSet(_HoldsSet):
    """Every value of a set is there, and no other; observed is how many distinct values there are."""

    type: Literal["expect_column_distinct_values_to_equal_set"]

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        column, literals = quoted(self.column), batch.literals(self.value_set, self.column)
        missing = self.missing(batch)
        outside = batch.sample(batch.text(self.column), f"{column} NOT IN ({', '.join(literals)})")
        aggregates = {**missing.aggregates, "distinct": f"COUNT(DISTINCT {batch.each(column)})"}
        return Measure(partial(_judge_equal, len(literals)), aggregates, samples=(*missing.samples, outside))


def _judge_equal(wanted: int, values: Mapping[str, Any]) -> Finding:
    missing, others = wanted - values["found"], values["distinct"] - values["found"]
    return Finding(missing + others == 0, missing + others, values["distinct"])


class MaxAge(OfColumn):
    """The latest time is not older than some hours; observed is its age. A DATE is the time at which its day begins."""

    type: Literal["expect_column_max_age_to_be_less_than"]
    hours: Annotated[float, Field(gt=0)]

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        latest = f"CAST(MAX({batch.each(quoted(self.column))}) AS TIMESTAMP)"
        return Measure(self._judge, {"age": f"TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), {latest}, SECOND)"})

    def _judge(self, values: Mapping[str, Any]) -> Finding:
        if values["age"] is None:
            return Finding(success=False)
        hours = values["age"] / _SECONDS_AN_HOUR
        return Finding(hours < self.hours, observed=round(hours, 2))
