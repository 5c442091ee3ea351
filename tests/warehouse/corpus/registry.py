"""All cases."""

from typing import Any

from tests.warehouse.corpus import (
    allocation,
    clouds,
    documented,
    literal_aggregates,
    literal_arrays,
    literal_encodings,
    literal_failures,
    literal_intervals,
    literal_json,
    literal_names,
    literal_numbers,
    literal_queries,
    literal_structs,
    literal_texts,
    literal_times,
    literal_traps,
    literal_values,
    literal_windows,
    trends,
)

CASES = [*documented.CASES, *trends.CASES, *allocation.CASES, *clouds.CASES]
LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    *literal_names.LITERALS,
    *literal_values.LITERALS,
    *literal_texts.LITERALS,
    *literal_times.LITERALS,
    *literal_traps.LITERALS,
    *literal_numbers.LITERALS,
    *literal_arrays.LITERALS,
    *literal_aggregates.LITERALS,
    *literal_queries.LITERALS,
    *literal_structs.LITERALS,
    *literal_failures.LITERALS,
    *literal_encodings.LITERALS,
    *literal_json.LITERALS,
    *literal_intervals.LITERALS,
    *literal_windows.LITERALS,
]
ERRORS: list[tuple[str, str]] = [
    *literal_names.ERRORS,
    *literal_values.ERRORS,
    *literal_texts.ERRORS,
    *literal_times.ERRORS,
    *literal_traps.ERRORS,
    *literal_numbers.ERRORS,
    *literal_arrays.ERRORS,
    *literal_aggregates.ERRORS,
    *literal_queries.ERRORS,
    *literal_structs.ERRORS,
    *literal_failures.ERRORS,
    *literal_encodings.ERRORS,
    *literal_json.ERRORS,
    *literal_intervals.ERRORS,
    *literal_windows.ERRORS,
]
