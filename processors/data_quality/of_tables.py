"""Expectations of a table: its columns, its number of rows, its keys, and whatever a query finds."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from processors.data_quality.batch import Batch, quoted, sample_of, type_name
from processors.data_quality.expectation import (
    ROWS,
    Column,
    Expectation,
    Finding,
    Measure,
    Mostly,
    OfColumn,
    OfValues,
    Range,
    judge_share,
)
from processors.destination import TableName

Count = Annotated[int, Field(ge=0)]
Columns = Annotated[list[Column], Field(min_length=1, max_length=1_000)]
TypeName = Annotated[str, Field(min_length=1, max_length=100)]


class RowCountBetween(Expectation, Range):
    """The number of rows lies in a range."""

    type: Literal["expect_table_row_count_to_be_between"]
    min_value: Count | None = None
    max_value: Count | None = None

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        return Measure(_judge_met, {"met": self.within(batch.count(), str)})


class RowCountEqual(Expectation):
    """There are exactly so many rows."""

    type: Literal["expect_table_row_count_to_equal"]
    value: Count

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        return Measure(_judge_met, {"met": f"{batch.count()} = {self.value}"})


def _judge_met(values: Mapping[str, Any]) -> Finding:
    return Finding(values["met"], observed=values[ROWS])


class ColumnExists(OfColumn):
    """The table has a column."""

    type: Literal["expect_column_to_exist"]
    needs_columns = False

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        exists = batch.has(self.column)
        return _known(Finding(exists, observed=exists))


class ColumnsMatchSet(Expectation):
    """The table has these columns, and no other unless `exact_match` is false."""

    type: Literal["expect_table_columns_to_match_set"]
    column_set: Columns
    exact_match: bool = True

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        there = [name for name in batch.types if "." not in name]
        wanted = {name.lower() for name in self.column_set}
        wrong = wanted - set(there) if not self.exact_match else wanted ^ set(there)
        return _known(Finding(not wrong, len(wrong), there))


class OfType(OfColumn):
    """A column has a type."""

    type: Literal["expect_column_values_to_be_of_type"]
    type_: TypeName

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        return _judged_type(batch, self.column, [self.type_])


class OfTypeInList(OfColumn):
    """A column has one of several types."""

    type: Literal["expect_column_values_to_be_in_type_list"]
    type_list: Annotated[list[TypeName], Field(min_length=1, max_length=50)]

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        return _judged_type(batch, self.column, self.type_list)


def _judged_type(batch: Batch, column: str, names: list[str]) -> Measure:
    there = batch.types[column.lower()]
    return _known(Finding(there in {type_name(name) for name in names}, observed=there))


def _known(finding: Finding) -> Measure:
    """What the table's schema tells, without any query."""
    return Measure(lambda _: finding)


class Unique(OfValues):
    """Every value stands in one row only; a value that does not fails in all of its rows."""

    type: Literal["expect_column_values_to_be_unique"]

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        counted = f"{quoted(self.column)} IS NOT NULL"
        return _unique(batch, [self.column], counted, batch.text(self.column), self.mostly)


class CompoundUnique(Expectation):
    """Every combination of values stands in one row only; NULLs are equal to each other."""

    type: Literal["expect_compound_columns_to_be_unique"]
    column_list: Annotated[list[Column], Field(min_length=2, max_length=64)]
    mostly: Mostly = 1.0
    ignore_row_if: Literal["all_values_are_missing", "any_value_is_missing", "never"] = "never"

    @property
    def columns(self) -> tuple[str, ...]:
        """See Expectation."""
        return tuple(self.column_list)

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        present = [f"{quoted(column)} IS NOT NULL" for column in self.column_list]
        counted = {
            "all_values_are_missing": " OR ".join(present),
            "any_value_is_missing": " AND ".join(present),
            "never": "",
        }[self.ignore_row_if]
        return _unique(batch, self.column_list, counted, batch.texts(self.column_list), self.mostly)


def _unique(batch: Batch, columns: list[str], counted: str, text: str, mostly: float) -> Measure:
    grouped = f"GROUP BY {', '.join(map(quoted, columns))} HAVING COUNT(*) > 1"
    repeated = f"{batch.select('COUNT(*) AS times', counted)} {grouped}"
    return Measure(
        partial(judge_share, mostly),
        {"counted": batch.count(counted)},
        subquery=f"SELECT IFNULL(SUM(times), 0) AS failing FROM ({repeated})",
        samples=(sample_of(f"{batch.select(f'{text} AS value', counted)} {grouped}"),),
    )


class ExistInTable(OfValues):
    """Every value is also in a column of another table of the tenant's dataset: a foreign key."""

    type: Literal["expect_column_values_to_exist_in_table"]
    table: TableName
    table_column: Column | None = None
    """The column there; of the same name when it is left out."""

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        column = quoted(self.column)
        # Qualified: a column that the other table lacks would be looked for in this one.
        other = f"referenced.{quoted(self.table_column or self.column)}"
        known = f"SELECT {other} FROM `{self.table}` AS referenced WHERE {other} IS NOT NULL"
        counted, unmet = f"{column} IS NOT NULL", f"{column} NOT IN ({known})"
        return Measure(
            partial(judge_share, self.mostly),
            {"counted": batch.count(counted)},
            subquery=batch.select("COUNT(*) AS failing", counted, unmet),
            samples=(batch.sample(batch.text(self.column), counted, unmet),),
        )


class NoUnexpectedRows(Expectation):
    """A query of one's own finds nothing. It may read the rows that are checked as the table `batch`."""

    type: Literal["unexpected_rows_expectation"]
    unexpected_rows_query: Annotated[str, Field(min_length=1)]

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        query = self.unexpected_rows_query.rstrip().rstrip(";")
        rows = f"WITH batch AS ({batch.select('*')})"
        return Measure(
            lambda values: Finding(values["failing"] == 0, values["failing"], values["failing"]),
            subquery=f"{rows} SELECT COUNT(*) AS failing FROM (\n{query}\n)",
            samples=(sample_of(f"{rows} SELECT TO_JSON_STRING(unexpected) AS value FROM (\n{query}\n) AS unexpected"),),
        )
