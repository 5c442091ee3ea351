"""The expectations there are, and suites of them."""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from processors.data_quality.expectation import Expectation
from processors.data_quality.of_columns import (
    DistinctCountBetween,
    DistinctEqualSet,
    DistinctHoldSet,
    DistinctInSet,
    DistinctShareBetween,
    MaxAge,
    MaxBetween,
    MeanBetween,
    MinBetween,
    StdevBetween,
    SumBetween,
)
from processors.data_quality.of_tables import (
    ColumnExists,
    ColumnsMatchSet,
    CompoundUnique,
    ExistInTable,
    NoUnexpectedRows,
    OfType,
    OfTypeInList,
    RowCountBetween,
    RowCountEqual,
    Unique,
)
from processors.data_quality.of_values import (
    Between,
    InSet,
    LengthsBetween,
    LengthsEqual,
    MatchRegex,
    NotInSet,
    NotMatchRegex,
    NotNull,
    Null,
    PairEqual,
    PairGreater,
)

MAX_EXPECTATIONS = 200
"""In one suite; a step may have as many beside it."""
_CHECK_ID = 200

_Known = Annotated[
    RowCountBetween | RowCountEqual | ColumnExists | ColumnsMatchSet | OfType | OfTypeInList
    | NotNull | Null | InSet | NotInSet | Between | MatchRegex | NotMatchRegex | LengthsBetween | LengthsEqual
    | PairEqual | PairGreater | Unique | CompoundUnique | ExistInTable
    | SumBetween | MeanBetween | StdevBetween | MinBetween | MaxBetween | DistinctCountBetween | DistinctShareBetween
    | DistinctInSet | DistinctHoldSet | DistinctEqualSet | MaxAge | NoUnexpectedRows,
    Field(discriminator="type"),
]  # fmt: skip
MODELS: tuple[type[Expectation], ...] = get_args(get_args(_Known)[0])
"""The expectations there are, in the order of TYPES."""
TYPES = tuple(get_args(model.model_fields["type"].annotation)[0] for model in MODELS)
"""Their names."""


def _of_known_type(value: object) -> object:
    """A name that there is not is told with those like it; pydantic would list all there are."""
    name = value.get("type") if isinstance(value, Mapping) else None
    if name is None:
        raise ValueError("an expectation is a mapping with its name as type, such as expect_column_to_exist")
    if name not in TYPES:
        near = difflib.get_close_matches(str(name), TYPES, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "docs/processors.md lists those there are"
        raise ValueError(f"there is no expectation {str(name)[:100]!r}; {hint}")
    return value


Expectations = Annotated[list[Annotated[_Known, BeforeValidator(_of_known_type)]], Field(max_length=MAX_EXPECTATIONS)]


class Suite(BaseModel):
    """A file of configs/data_quality/expectations."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    description: str = ""
    expectations: Annotated[Expectations, Field(min_length=1)]


def _is_content(value: object) -> object:
    """The server has put the content of the file in the place of its name."""
    if not isinstance(value, Mapping | Suite):
        message = "should be the name of a file in configs/data_quality/expectations, without .yml"
        raise ValueError(message)  # noqa: TRY004 - what pydantic tells as a fault
    return value


SuiteOfStep = Annotated[Suite, BeforeValidator(_is_content)]


def check_ids(expectations: Iterable[Expectation]) -> list[str]:
    """An id for each, which stays the same as long as those of the same name and columns before it do."""
    seen = Counter[str]()
    ids = []
    for expectation in expectations:
        name = ".".join((expectation.type, *expectation.columns))[:_CHECK_ID]
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return ids
