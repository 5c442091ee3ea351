"""What every expectation is made of, and what is found out about it.

Names and arguments are those of Great Expectations (GX Core 1.x, `great_expectations/expectations/core/`), and so is
what counts as a failure: NULLs are left out of what is asked of a column's values, `mostly` is a share of the others,
and no value at all meets it; an aggregate of no value does not.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from processors.data_quality.batch import Batch, Scalar, quoted

_COLUMN = re.compile(r"[^`\\\x00-\x1f.]{1,300}(\.[^`\\\x00-\x1f.]{1,300}){0,15}")


def _column(path: str) -> str:
    if not _COLUMN.fullmatch(path):
        raise ValueError(f"{path[:100]!r} is no column; write its name, or record.field, without backticks")
    return path


Column = Annotated[str, AfterValidator(_column)]
"""A column, or a field inside a RECORD: `service.id`."""
Values = Annotated[list[Scalar], Field(min_length=1, max_length=1_000)]
Mostly = Annotated[float, Field(gt=0, le=1)]

ROWS = "row_count"
"""Among the values of every measurement: the rows that the expectation is about."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What an expectation came to."""

    success: bool
    failing_count: int = 0
    """Rows, or values, that do not meet it."""
    observed: Any = None


@dataclass(frozen=True, slots=True)
class Measure:
    """What has to be asked of the warehouse, and how its answer is judged."""

    judge: Callable[[Mapping[str, Any]], Finding]
    """Gets the values by their names, and ROWS among them."""
    aggregates: Mapping[str, str] = field(default_factory=dict)
    """Name -> an aggregate over the rows of the step: all expectations share one scan."""
    subquery: str = ""
    """A SELECT of one row with further values, for what one scan cannot find out."""
    samples: tuple[str, ...] = ()
    """SELECTs of a text `value`: some of what fails."""


class Expectation(BaseModel):
    """One expectation of a suite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    severity: Literal["error", "warn"] = "error"
    """Whether the step fails, or succeeds with a warning, when it is not met."""
    row_condition: Annotated[str, Field(min_length=1)] | None = None
    """BigQuery SQL: which rows it is about."""
    description: str = ""
    notes: str | list[str] = ""
    meta: dict[str, Any] = {}

    needs_columns: ClassVar[bool] = True
    """Whether it can be evaluated only where the table has its columns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is about."""
        return ()

    @property
    def arguments(self) -> dict[str, Any]:
        """What it expects, as its file says it."""
        return self.model_dump(exclude={"type", "severity", "description", "notes", "meta"}, exclude_unset=True)

    def measure(self, batch: Batch) -> Measure:
        """How it is held against these rows. Raises NotEvaluable."""
        raise NotImplementedError


class OfColumn(Expectation):
    """An expectation of one column."""

    column: Column

    @property
    def columns(self) -> tuple[str, ...]:
        """See Expectation."""
        return (self.column,)


class OfValues(OfColumn):
    """An expectation of each value of a column; those that are NULL are left out."""

    mostly: Mostly = 1.0

    def met(self, batch: Batch) -> str:
        """A condition that holds for the values that meet it."""
        raise NotImplementedError

    def measure(self, batch: Batch) -> Measure:
        """See Expectation."""
        counted = f"{quoted(self.column)} IS NOT NULL"
        return share(batch, self.met(batch), counted=counted, text=batch.text(self.column), mostly=self.mostly)


class Range(BaseModel):
    """From `min_value` to `max_value`, of which one may be missing."""

    min_value: Scalar | None = None
    max_value: Scalar | None = None
    strict_min: bool = False
    """Greater than `min_value`, and not equal."""
    strict_max: bool = False

    @model_validator(mode="after")
    def _has_an_end(self) -> "Range":
        if self.min_value is None and self.max_value is None:
            raise ValueError("give min_value, max_value or both")
        least, most = self.min_value, self.max_value
        if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
            raise ValueError(f"min_value {least} is greater than max_value {most}: nothing lies between them")
        return self

    def within(self, value: str, literal: Callable[[Scalar], str]) -> str:
        """A condition that holds when the value, an SQL expression, lies in the range."""
        above, below = ">" if self.strict_min else ">=", "<" if self.strict_max else "<="
        parts = [f"{value} {above} {literal(self.min_value)}"] if self.min_value is not None else []
        parts += [f"{value} {below} {literal(self.max_value)}"] if self.max_value is not None else []
        return " AND ".join(parts)


def share(batch: Batch, met: str, *, counted: str = "", text: str = "", mostly: float = 1.0) -> Measure:
    """How many rows meet a condition, of those that are counted. NULL does not meet it. `text` shows what fails."""
    unmet = f"NOT IFNULL({met}, FALSE)"
    return Measure(
        partial(judge_share, mostly),
        {"counted": batch.count(counted), "failing": batch.count(counted, unmet)},
        samples=(batch.sample(text, counted, unmet),) if text else (),
    )


def judge_share(mostly: float, values: Mapping[str, Any]) -> Finding:
    """Whether enough of what is `counted` is not `failing`; observed is the share that is not."""
    counted, failing = values["counted"], values["failing"]
    if not counted:
        return Finding(success=True)
    met = (counted - failing) / counted
    return Finding(met >= mostly, failing, met)
