"""What DuckDB has to know of a function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Function:
    """A pure function of one row's values.

    A ValueError ends the query; its text is shown to the person who wrote the query.
    """

    name: str
    """`bq_` and a word."""
    run: Callable[..., Any]
    parameters: tuple[str, ...]
    """DuckDB's types."""
    result: str
    gives_null: bool = False
    """Whether it may return None."""
    takes_null: bool = False
    """Whether it is called with None; else the result is NULL then. Only for one that may return None."""
