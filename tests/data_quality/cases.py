"""Each expectation as it passes and as it fails, with what has to be found out, on every warehouse alike.

A case: what is expected, and the status, rows, failing rows, observed value and sample of the result.
"""

from typing import Any

PASSED, FAILED, ERROR = "PASSED", "FAILED", "ERROR"
Case = tuple[dict[str, Any], tuple[Any, ...]]


def on(column: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": f"expect_column_{name}", "column": column, **arguments}


def table(name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": f"expect_table_{name}", **arguments}


def pair(a: str, b: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": f"expect_column_pair_values_{name}", "column_A": a, "column_B": b, **arguments}


def found(query: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "unexpected_rows_expectation", "unexpected_rows_query": query, **arguments}


SCHEMA: list[Case] = [
    (table("columns_to_match_set", column_set=["ID", "cost"], exact_match=False), (PASSED, 4, 0)),
    (table("columns_to_match_set", column_set=["id", "cost"]), (FAILED, 4, 8)),
    (table("columns_to_match_set", column_set=["id", "price"], exact_match=False), (FAILED, 4, 1)),
    (on("Cost", "to_exist"), (PASSED, 4, 0, True)),
    (on("service.id", "to_exist"), (PASSED, 4, 0, True)),
    (on("price", "to_exist"), (FAILED, 4, 0, False)),
    (on("amount", "values_to_be_of_type", type_="decimal"), (PASSED, 4, 0, "NUMERIC")),
    (on("labels", "values_to_be_of_type", type_="array<string>"), (PASSED, 4, 0, "ARRAY<STRING>")),
    (on("amount", "values_to_be_of_type", type_="FLOAT64"), (FAILED, 4, 0, "NUMERIC")),
    (on("id", "values_to_be_in_type_list", type_list=["STRING", "integer"]), (PASSED, 4, 0, "INT64")),
    (on("id", "values_to_be_in_type_list", type_list=["STRING"]), (FAILED, 4, 0, "INT64")),
]
ROWS: list[Case] = [
    (table("row_count_to_be_between", min_value=4, max_value=4), (PASSED, 4, 0, 4)),
    (table("row_count_to_be_between", min_value=4, strict_min=True), (FAILED, 4, 0, 4)),
    (table("row_count_to_equal", value=2, row_condition="cost > 0 -- usage"), (PASSED, 2, 0, 2)),
    (table("row_count_to_equal", value=5), (FAILED, 4, 0, 4)),
]
VALUES: list[Case] = [
    (on("cost", "values_to_not_be_null", row_condition="id = 1 OR id IS NULL"), (PASSED, 2, 0, 1.0, [])),
    (on("id", "values_to_not_be_null", mostly=0.75), (PASSED, 4, 1, 0.75, [])),
    (on("id", "values_to_not_be_null", mostly=0.76), (FAILED, 4, 1, 0.75, [])),
    (on("currency", "values_to_be_null", row_condition="cost IS NULL"), (PASSED, 1, 0, 1.0, [])),
    (on("id", "values_to_be_null"), (FAILED, 4, 3, 0.25, ["1", "2"])),
    (on("currency", "values_to_be_in_set", value_set=["EUR", "USD", "it's"]), (PASSED, 4, 0, 1.0, [])),
    (on("currency", "values_to_be_in_set", value_set=["EUR", "USD"]), (FAILED, 4, 1, 2 / 3, ["it's"])),
    (on("currency", "values_to_be_in_set", value_set=["EUR", "USD"], row_condition="id > 0"), (PASSED, 3, 0, 1.0)),
    (on("is_usage", "values_to_be_in_set", value_set=["true", False]), (PASSED, 4, 0, 1.0)),
    (on("id", "values_to_not_be_in_set", value_set=[3, "4"]), (PASSED, 4, 0, 1.0)),
    (on("id", "values_to_not_be_in_set", value_set=["2"]), (FAILED, 4, 2, 1 / 3, ["2"])),
    (on("cost", "values_to_be_between", min_value="-1", max_value=10.5), (PASSED, 4, 0, 1.0, [])),
    (on("cost", "values_to_be_between", min_value=-1, strict_min=True), (FAILED, 4, 1, 2 / 3, ["-1"])),
    (on("started", "values_to_be_between", min_value="2025-11-18"), (PASSED, 4, 0, 1.0)),
    (on("day", "values_to_be_between", max_value="2025-11-18"), (FAILED, 4, 1, 0.5, ["2025-11-19"])),
    (on("amount", "values_to_be_between", max_value=2.5, strict_max=True), (FAILED, 4, 1, 0.5)),
    (on("currency", "values_to_match_regex", regex="[A-Z]"), (FAILED, 4, 1, 2 / 3, ["it's"])),
    (on("currency", "values_to_match_regex", regex="^(EUR|USD|it's)$"), (PASSED, 4, 0, 1.0)),
    (on("currency", "values_to_not_match_regex", regex=r"^\d"), (PASSED, 4, 0, 1.0)),
    (on("currency", "values_to_not_match_regex", regex=r"^\w{3}$"), (FAILED, 4, 2, 1 / 3, ["EUR", "USD"])),
    (on("currency", "value_lengths_to_be_between", min_value=3, max_value=4), (PASSED, 4, 0, 1.0)),
    (on("currency", "value_lengths_to_be_between", max_value=3), (FAILED, 4, 1, 2 / 3, ["it's"])),
    (on("currency", "value_lengths_to_equal", value=3, mostly=0.6), (PASSED, 4, 1, 2 / 3)),
    (on("currency", "value_lengths_to_equal", value=3), (FAILED, 4, 1, 2 / 3, ["it's"])),
    (on("service.id", "values_to_be_in_set", value_set=["a", "b"]), (PASSED, 4, 0, 1.0)),
]
PAIRS: list[Case] = [
    (pair("id", "id", "to_be_equal"), (PASSED, 4, 0, 1.0)),
    (pair("id", "other", "to_be_equal", row_condition="id = 1"), (FAILED, 1, 1, 0.0, ["1, 2"])),
    (pair("id", "id", "to_be_equal", ignore_row_if="neither"), (FAILED, 4, 1, 0.75, ["NULL, NULL"])),
    (pair("id", "other", "a_to_be_greater_than_b"), (FAILED, 4, 3, 0.25, ["1, 2", "2, NULL", "NULL, 3"])),
    (
        pair("id", "other", "a_to_be_greater_than_b", ignore_row_if="either_value_is_missing", mostly=0.5),
        (PASSED, 4, 1, 0.5),
    ),
    (pair("id", "id", "a_to_be_greater_than_b", or_equal=True), (PASSED, 4, 0, 1.0)),
]
KEYS: list[Case] = [
    (on("currency", "values_to_be_unique"), (PASSED, 4, 0, 1.0, [])),
    (on("id", "values_to_be_unique"), (FAILED, 4, 2, 1 / 3, ["2"])),
    (on("service.id", "values_to_be_unique", row_condition="cost IS NOT NULL"), (PASSED, 3, 0, 1.0)),
    (
        {"type": "expect_compound_columns_to_be_unique", "column_list": ["id", "currency"]},
        (PASSED, 4, 0, 1.0, []),
    ),
    (
        {"type": "expect_compound_columns_to_be_unique", "column_list": ["id", "service.id"]},
        (FAILED, 4, 2, 0.5, ["2, b"]),
    ),
    (
        {
            "type": "expect_compound_columns_to_be_unique",
            "column_list": ["started", "day"],
            "ignore_row_if": "any_value_is_missing",
        },
        (PASSED, 4, 0, 1.0),
    ),
    (
        on("currency", "values_to_exist_in_table", table="currencies", table_column="code", mostly=0.6),
        (PASSED, 4, 1, 2 / 3, []),
    ),
    (on("currency", "values_to_exist_in_table", table="currencies"), (FAILED, 4, 2, 1 / 3, ["USD", "it's"])),
]
COLUMNS: list[Case] = [
    (on("cost", "sum_to_be_between", min_value=12.5, max_value=12.5), (PASSED, 4, 0, 12.5)),
    (on("cost", "sum_to_be_between", min_value=0, row_condition="cost < 0"), (FAILED, 1, 0, -1.0)),
    (on("amount", "mean_to_be_between", max_value="2"), (PASSED, 4, 0, "2")),
    (on("amount", "mean_to_be_between", max_value="2", strict_max=True), (FAILED, 4, 0, "2")),
    (on("id", "stdev_to_be_between", max_value=1), (PASSED, 4, 0)),
    (on("id", "stdev_to_be_between", min_value=1), (FAILED, 4, 0)),
    (on("started", "min_to_be_between", min_value="2025-11-18 00:00:00"), (PASSED, 4, 0)),
    (on("currency", "min_to_be_between", min_value="F"), (FAILED, 4, 0, "EUR")),
    (on("day", "max_to_be_between", max_value="2025-11-19"), (PASSED, 4, 0)),
    (on("cost", "max_to_be_between", max_value=10), (FAILED, 4, 0, 10.5)),
    (on("id", "unique_value_count_to_be_between", min_value=2, max_value=2), (PASSED, 4, 0, 2)),
    (on("currency", "unique_value_count_to_be_between", max_value=1), (FAILED, 4, 0, 3)),
    (on("currency", "proportion_of_unique_values_to_be_between", min_value=1), (PASSED, 4, 0, 1.0)),
    (on("id", "proportion_of_unique_values_to_be_between", min_value=0.9), (FAILED, 4, 0, 2 / 3)),
    (on("currency", "distinct_values_to_be_in_set", value_set=["EUR", "USD", "it's"]), (PASSED, 4, 0, 1.0)),
    (on("id", "distinct_values_to_be_in_set", value_set=[1]), (FAILED, 4, 2, 1 / 3, ["2"])),
    (on("currency", "distinct_values_to_contain_set", value_set=["EUR", "EUR"]), (PASSED, 4, 0, 1)),
    (on("currency", "distinct_values_to_contain_set", value_set=["EUR", "GBP"]), (FAILED, 4, 1, 1, ["GBP"])),
    (on("id", "distinct_values_to_equal_set", value_set=[1, 2, "2.0"]), (PASSED, 4, 0, 2)),
    (on("id", "distinct_values_to_equal_set", value_set=[1, 3]), (FAILED, 4, 2, 2, ["2", "3"])),
    (on("started", "max_age_to_be_less_than", hours=10_000_000), (PASSED, 4, 0)),
    (on("day", "max_age_to_be_less_than", hours=1), (FAILED, 4, 0)),
]
QUERIES: list[Case] = [
    (found("SELECT * FROM batch WHERE cost < -1;"), (PASSED, 4, 0, 0, [])),
    (found("WITH a AS (SELECT id FROM batch) SELECT * FROM a WHERE id = 2"), (FAILED, 4, 2, 2, ['{"id":2}'])),
    (found("SELECT id FROM batch WHERE cost < 0", row_condition="id = 1"), (PASSED, 1, 0, 0)),
]
NOT_EVALUABLE: list[Case] = [
    (on("price", "values_to_not_be_null"), (ERROR, 0, 0, None, [])),
    (on("cost", "values_to_match_regex", regex="x"), (ERROR, 0, 0)),
    (on("cost", "values_to_be_in_set", value_set=["EUR"]), (ERROR, 0, 0)),
    (on("is_usage", "values_to_be_in_set", value_set=["yes"]), (ERROR, 0, 0)),
    (on("id", "values_to_not_be_null", row_condition="price > 0"), (ERROR, 0, 0)),
    (on("currency", "sum_to_be_between", min_value=0), (ERROR, 0, 0)),
    (on("currency", "values_to_exist_in_table", table="unknown"), (ERROR, 0, 0)),
    (on("currency", "values_to_exist_in_table", table="currencies", table_column="cost"), (ERROR, 0, 0)),
]
CASES = [*SCHEMA, *ROWS, *VALUES, *PAIRS, *KEYS, *COLUMNS, *QUERIES]
