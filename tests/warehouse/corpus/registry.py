"""All cases."""

from typing import Any

from tests.warehouse.corpus import (
    allocation,
    clouds,
    documented,
    literal_names,
    literal_times,
    literal_traps,
    literal_values,
    trends,
)

CASES = [*documented.CASES, *trends.CASES, *allocation.CASES, *clouds.CASES]
LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    *literal_names.LITERALS,
    *literal_values.LITERALS,
    *literal_times.LITERALS,
    *literal_traps.LITERALS,
]
ERRORS: list[tuple[str, str]] = [
    *literal_names.ERRORS,
    *literal_values.ERRORS,
    *literal_times.ERRORS,
    *literal_traps.ERRORS,
]
