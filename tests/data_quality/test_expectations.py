"""Expectations held against real tables, on both warehouses."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from processors.base import QueryError
from processors.data_quality.expectations import ExpectationsEngine
from processors.data_quality.suite import TYPES
from server.domain.faults import Refused
from server.warehouse.bigquery import BigQueryWarehouse
from server.warehouse.embedded import EmbeddedWarehouse
from tests.bigquery.server import BigQueryServer
from tests.data_quality.cases import CASES, NOT_EVALUABLE, Case, found, on, table
from tests.data_quality.tables import OWN, Checker, Counting, fill, step_in
from tests.warehouse.tables import PROJECT, effect

KEYS = ("status", "row_count", "failing_count", "observed_value", "failing_sample")


@pytest.fixture(scope="module")
async def counting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Counting]:
    path = tmp_path_factory.mktemp("embedded") / "warehouse.duckdb"
    opened = await EmbeddedWarehouse.open(path, project=PROJECT)
    await fill(opened)
    yield Counting(opened)
    await opened.close()


@pytest.fixture(scope="module")
async def checker(counting: Counting, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Checker]:
    async with step_in(counting, tmp_path_factory.mktemp("step")) as warehouse:  # type: ignore[arg-type]
        yield Checker(warehouse)


def wrong(case: Case, check: dict[str, Any]) -> list[str]:
    """What of a result is not as the case says."""
    return [
        f"{case[0]}: {key} is {check[key]!r}, not {expected!r}; {check['error_message']}"
        for key, expected in zip(KEYS, case[1], strict=False)
        if check[key] != (pytest.approx(expected) if isinstance(expected, float) else expected)
    ]


def test_every_expectation_has_a_case_that_passes_and_one_that_fails() -> None:
    for status in ("PASSED", "FAILED"):
        assert {expectation["type"] for expectation, result in CASES if result[0] == status} == set(TYPES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]['type']}-{case[1][0]}")
async def test_an_expectation(checker: Checker, case: Case) -> None:
    (check,) = await checker.checks(case[0])
    assert wrong(case, check) == []


async def test_all_of_them_take_two_queries(checker: Checker, counting: Counting) -> None:
    before = counting.queries
    checks = await checker.checks(*(expectation for expectation, _ in CASES))
    assert [line for case, check in zip(CASES, checks, strict=True) for line in wrong(case, check)] == []
    assert counting.queries - before == 2
    assert len({check["check_id"] for check in checks}) == len(CASES)


async def test_what_cannot_be_evaluated_keeps_nothing_else_from_it(checker: Checker, counting: Counting) -> None:
    cases = [*NOT_EVALUABLE, *CASES]
    before = counting.queries
    checks = await checker.checks(*(expectation for expectation, _ in cases))
    assert [line for case, check in zip(cases, checks, strict=True) for line in wrong(case, check)] == []
    assert all(check["error_message"] for check in checks[: len(NOT_EVALUABLE)])
    assert counting.queries - before < 60


async def test_the_same_on_bigquery(bigquery: BigQueryServer, tmp_path: Path) -> None:
    opened = await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=bigquery.endpoint)
    try:
        await fill(opened)
        async with step_in(opened, tmp_path) as warehouse:
            checks = await Checker(warehouse).checks(*(expectation for expectation, _ in [*CASES, *NOT_EVALUABLE[:5]]))
    finally:
        await opened.close()
    cases = [*CASES, *NOT_EVALUABLE[:5]]
    assert [line for case, check in zip(cases, checks, strict=True) for line in wrong(case, check)] == []


async def test_of_no_rows_only_aggregates_and_counts_fail(checker: Checker) -> None:
    checks = await checker.checks(*(expectation for expectation, _ in CASES), table="nothing")
    statuses = {check["check_name"]: check["status"] for check in checks}
    assert statuses["expect_column_values_to_not_be_null"] == "PASSED"
    assert statuses["expect_column_values_to_be_unique"] == "PASSED"
    assert statuses["expect_column_sum_to_be_between"] == "FAILED"
    assert statuses["expect_column_max_age_to_be_less_than"] == "FAILED"
    assert {check["row_count"] for check in checks} == {0}
    assert "ERROR" not in statuses.values()


async def test_only_the_rows_of_the_step_are_looked_at(checker: Checker) -> None:
    answer = await checker.answer(
        table("row_count_to_equal", value=2),
        on("id", "values_to_be_unique"),
        on("id", "values_to_be_between", max_value=1, row_condition="cost > 0 OR TRUE"),
        found("SELECT * FROM batch"),
        row_condition="cost > 0 OR cost < 0 AND id = 7 # none of these",
    )
    assert [(check["status"], check["row_count"], check["failing_count"]) for check in answer["checks"]] == [
        ("PASSED", 2, 0),
        ("PASSED", 2, 0),
        ("PASSED", 2, 0),
        ("FAILED", 2, 2),
    ]
    assert answer["rows_processed"] == 2


async def test_errors_fail_the_step_and_warnings_do_not(checker: Checker) -> None:
    good, bad = on("id", "to_exist"), on("price", "to_exist")
    missing = on("price", "values_to_not_be_null")
    warned = await checker.answer(good, {**bad, "severity": "warn"}, {**missing, "severity": "warn"})
    assert (warned["status"], warned["warning"], warned["permanent"]) == ("SUCCESS", True, False)
    assert warned["details"] == {"table": "costs", "passed": 1, "failed": 1, "not_evaluated": 1}
    failed = await checker.answer(good, bad, {**missing, "severity": "warn"}, on("id", "values_to_not_be_null"))
    assert (failed["status"], failed["warning"], failed["permanent"]) == ("FAILED", False, True)
    assert failed["details"]["error"] == (
        "2 of 4 checks did not pass: expect_column_to_exist(price): observed False; "
        "expect_column_values_to_not_be_null(id): 1 fail"
    )
    passed = await checker.answer(good)
    assert (passed["status"], passed["warning"]) == ("SUCCESS", False)


async def test_many_failures_are_told_briefly(checker: Checker) -> None:
    answer = await checker.answer(*[on(f"c{number}", "to_exist") for number in range(200)])
    assert len(answer["details"]["error"]) < 3_000
    assert answer["details"]["error"].endswith("; and 180 more")


async def test_a_table_that_is_not_there(checker: Checker) -> None:
    answer = await checker.answer(on("id", "to_exist"), table("row_count_to_equal", value=0), table="lost")
    assert [(check["status"], check["error_message"]) for check in answer["checks"]] == [
        ("ERROR", "there is no table lost")
    ] * 2
    assert answer["status"] == "FAILED"


async def test_a_condition_of_the_step_that_cannot_be_evaluated(checker: Checker, counting: Counting) -> None:
    before = counting.queries
    checks = await checker.checks(*(expectation for expectation, _ in CASES), row_condition="price > 0")
    assert {check["status"] for check in checks} == {"ERROR"}
    assert counting.queries - before == 2


async def test_samples_are_few_and_short(checker: Checker) -> None:
    rows = "SELECT REPEAT(CAST(n AS STRING), 200) AS long FROM UNNEST(GENERATE_ARRAY(10, 99)) AS n"
    (check,) = await checker.checks(found(rows))
    assert check["failing_count"] == 90
    assert len(check["failing_sample"]) == 20
    assert {len(value) for value in check["failing_sample"]} == {100}


@pytest.mark.parametrize("value", ["x' OR TRUE OR '", "\\", "\\' --", "a\nb", "é\u2028\x00", "`", "${x}", "/*", "'''"])
async def test_no_text_leaves_its_literal(checker: Checker, value: str) -> None:
    checks = await checker.checks(
        on("currency", "values_to_be_in_set", value_set=[value]),
        on("currency", "values_to_not_be_in_set", value_set=[value]),
        on("currency", "distinct_values_to_contain_set", value_set=[value]),
        on("currency", "min_to_be_between", max_value=value, row_condition="FALSE"),
    )
    assert [(check["status"], check["failing_count"]) for check in checks] == [
        ("FAILED", 3),
        ("PASSED", 0),
        ("FAILED", 1),
        ("FAILED", 0),
    ]


@pytest.mark.parametrize("value", ["1 OR TRUE", "1e400000000000", "NaN", "1); DROP", "--1", True])
async def test_no_number_is_more_than_a_number(checker: Checker, value: Any) -> None:
    checks = await checker.checks(on("cost", "values_to_be_between", max_value=value), on("id", "to_exist"))
    assert [check["status"] for check in checks] == ["ERROR", "PASSED"]


async def test_what_is_no_query_keeps_nothing_else_from_being_evaluated(checker: Checker) -> None:
    checks = await checker.checks(found("SELECT id FROM batch; -- all of them"), on("id", "to_exist"))
    assert [check["status"] for check in checks] == ["ERROR", "PASSED"]
    assert "another follows" in checks[0]["error_message"]


async def test_texts_are_in_no_range_of_numbers(checker: Checker) -> None:
    checks = await checker.checks(
        on("currency", "values_to_be_between", min_value=5),
        on("currency", "max_to_be_between", max_value=True),
        on("currency", "values_to_be_between", min_value="5"),
    )
    assert [check["status"] for check in checks] == ["ERROR", "ERROR", "PASSED"]
    assert checks[0]["error_message"] == "column currency holds texts, whose order is not that of numbers such as 5"


async def test_all_digits_of_what_was_observed_are_told(checker: Checker) -> None:
    digits = "12345678901234567890123456789.123456789"
    select = f"SELECT NUMERIC '{digits}' AS n UNION ALL SELECT NUMERIC '100'"
    await checker.warehouse._warehouse.write(effect(OWN, select, table="digits", job_id="make-digits"))
    checks = await checker.checks(
        on("n", "max_to_be_between", min_value=0),
        on("n", "min_to_be_between", min_value=0),
        table="digits",
    )
    assert [check["observed_value"] for check in checks] == [digits, "100"]


async def test_a_query_that_may_not_be_read_ends_the_step(checker: Checker) -> None:
    with pytest.raises(Refused, match="is not in the tenant's dataset"):
        await checker.answer(found("SELECT * FROM `another-project.secrets.costs`"))


async def test_a_step_sees_the_columns_of_its_own_tables_only(checker: Checker) -> None:
    fields = await checker.warehouse.table_fields("currencies")
    assert fields is not None
    assert [(field["name"], field["type"], field["mode"]) for field in fields] == [
        ("code", "STRING", "NULLABLE"),
        ("currency", "STRING", "NULLABLE"),
    ]
    with pytest.raises(Refused, match="outside the tenant's dataset"):
        await checker.warehouse.table_fields("rival_inc.costs")
    with pytest.raises(Refused, match="is not in the tenant's dataset"):
        await checker.warehouse.dry_run("SELECT 1 FROM `another-project.secrets.costs`")
    with pytest.raises(QueryError):
        await checker.warehouse.query("SELECT lost FROM currencies")


async def test_a_plan_shows_the_query_and_what_it_reads(checker: Checker, counting: Counting) -> None:
    before = counting.queries
    plan = await checker.plan(on("cost", "values_to_not_be_null"), on("price", "values_to_be_unique"))
    assert "COUNTIF((NOT IFNULL(`cost` IS NOT NULL, FALSE)))" in plan["sql"]
    assert plan["tables_read"] == [f"{PROJECT}.acme_corp.costs"]
    assert plan["estimated_bytes"] > 0
    assert plan["warnings"] == ["expect_column_values_to_be_unique: table costs has no column price"]
    assert counting.queries == before
    assert "not there yet" in (await checker.plan(on("cost", "to_exist"), table="lost"))["warnings"][0]


def test_a_table_of_another_dataset_is_told_what_would_be_right() -> None:
    with pytest.raises(
        ValidationError, match=r"should be the name of a table in the tenant's dataset alone.*, not 'other\.costs'"
    ):
        ExpectationsEngine.Config.model_validate({"table": "other.costs", "expectations": [on("id", "to_exist")]})


@pytest.mark.parametrize(
    "expectation",
    [
        {"type": "expect_the_best"},
        {"column": "id"},
        "expect_column_to_exist",
        on("id", "values_to_be_between"),
        on("id", "values_to_be_between", min_value=2, max_value=1.5),
        on("id", "values_to_be_in_set", value_set=[]),
        on("id", "values_to_not_be_null", mostly=0),
        on("id", "values_to_not_be_null", mostly=1.5),
        on("a`b", "to_exist"),
        on("a..b", "to_exist"),
        on("id", "values_to_match_regex", regex="(?=x)"),
        on("id", "values_to_not_be_null", severity="critical"),
        on("id", "values_to_not_be_null", value=1),
        on("id", "values_to_exist_in_table", table="other.costs"),
        on("id", "max_age_to_be_less_than", hours=0),
    ],
)
def test_what_no_suite_may_have(expectation: Any) -> None:
    with pytest.raises(ValidationError):
        ExpectationsEngine.Config.model_validate({"table": "costs", "expectations": [expectation]})
