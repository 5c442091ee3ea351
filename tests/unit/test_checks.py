"""What a processor answers as checks: recorded with its step, or the processor's fault; and copied."""

import json
from typing import Any

import pytest

from server.domain.data_quality import Check, CheckStatus, DataQualityResult, Severity
from server.domain.run import RunStatus, StepStatus
from server.store.port import DataQualityFilter, StepEnd
from server.store.sql.store import SqlStore
from tests.store.records import PLANS, new_run
from tests.unit.mirroring import Place
from tests.unit.workshop import Workshop

CHECK = {"check_id": "a", "status": "PASSED"}


async def recorded(store: SqlStore) -> list[DataQualityResult]:
    return await store.list_data_quality_results(DataQualityFilter("acme_corp"), after=None, limit=999)


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        pytest.param("PASSED", "list", id="no list"),
        pytest.param([CHECK] * 501, "500", id="too many"),
        pytest.param([CHECK, CHECK], "the same check_id", id="twice"),
        pytest.param([CHECK, "b"], "checks[1]", id="no mapping"),
        pytest.param([{"check_id": "a"}], "checks[0] is wrong in status", id="no status"),
        pytest.param([{**CHECK, "status": "passed"}], "checks[0] is wrong in status", id="unknown status"),
        pytest.param([{**CHECK, "check_id": ""}], "checks[0] is wrong in check_id", id="no id"),
        pytest.param([{**CHECK, "table_name": "a\x00"}], "checks[0] is wrong in table_name", id="control character"),
        pytest.param([{**CHECK, "expected": [1]}], "checks[0] is wrong in expected", id="arguments"),
    ],
)
async def test_wrong_checks_are_the_processors_fault(workshop: Workshop, checks: Any, why: str) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        return {"status": "SUCCESS", "checks": checks}

    run = await workshop.run(execute, attempts=3)
    assert run.status is RunStatus.FAILED
    assert why in run.error_message
    assert await recorded(workshop.store) == []


async def test_whatever_was_found_can_be_read_and_tells_no_secret(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        check = {
            **CHECK,
            "row_count": 2**70,
            "failing_count": -1,
            "observed_value": float("nan"),
            "failing_sample": ["\ud800", 1, "postgres://user:hunter2@host/db"],
            "expected": {"password": "hunter2", "n": 10**400},
            "error_message": None,
            "unknown": 1,
        }
        return {"status": "SUCCESS", "checks": [check, {**CHECK, "check_id": "b", "severity": "warn"}]}

    run = await workshop.run(execute)
    assert run.status is RunStatus.SUCCESS
    first, second = await recorded(workshop.store)
    assert (first.row_count, first.failing_count, first.observed_value) == (2**63 - 1, 0, "nan")
    assert "hunter2" not in json.dumps(first.model_dump(mode="json"), allow_nan=False)
    assert second.severity is Severity.WARN


async def test_long_lists_cost_nothing_of_what_was_found(workshop: Workshop) -> None:
    long = [f"c{number}" for number in range(1_000)]

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        check = {
            **CHECK,
            "observed_value": long,
            "expected": {"column_set": long},
            "failing_sample": ["x"],
            "error_message": "why",
        }
        return {"status": "SUCCESS", "checks": [check]}

    await workshop.run(execute)
    [check] = await recorded(workshop.store)
    assert (check.failing_sample, check.error_message) == (("x",), "why")
    assert check.observed_value[:400] == check.expected["column_set"][:400] == long[:400]


async def test_what_another_attempt_would_find_too_is_not_tried_again(workshop: Workshop) -> None:
    attempts = []

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        attempts.append(context["attempt"])
        is_second = context["attempt"] == 2
        check = {"check_id": f"of attempt {len(attempts)}", "status": "FAILED"}
        return {"status": "FAILED", "permanent": is_second, "details": {"error": "wrong"}, "checks": [check]}

    run = await workshop.run(execute, attempts=5)
    assert (run.status, run.error_message) == (RunStatus.FAILED, "step act: wrong")
    assert attempts == [1, 2]
    (result,) = await recorded(workshop.store)
    assert (result.check_id, result.status) == ("of attempt 2", CheckStatus.FAILED)


async def test_one_row_a_check_in_the_tenants_table(place: Place) -> None:
    await place.dataset()
    await place.store.accept_run(new_run(), PLANS)
    claim = await place.store.claim("w1", lease_seconds=60, plans=PLANS)
    assert claim is not None
    found = {
        "n": 0.75,
        "text": "EUR",
        "list": ["id", "cost"],
        "nothing": None,
    }
    for status in (CheckStatus.ERROR, CheckStatus.FAILED):
        checks = tuple(
            Check(
                check_id=name,
                check_name="expect_column_values_to_be_in_set",
                table_name="costs",
                status=status,
                row_count=400,
                failing_count=100,
                observed_value=value,
                expected={"value_set": ["EUR", 'a"b']},
                failing_sample=("it's", 'a"b'),
            )
            for name, value in found.items()
        )
        step = await place.store.start_step(claim.lease, claim.run.steps[0])
        ended = step.model_copy(update={"status": StepStatus.SUCCESS})
        await place.store.finish_step(claim.lease, StepEnd(ended, checks=checks))
        await place.mirror.finish()
    rows = await place.rows(
        "SELECT check_id, status, severity, row_count, failing_count, TO_JSON_STRING(observed_value) AS observed,"
        " JSON_VALUE(expected.value_set[1]) AS expected, JSON_VALUE(failing_sample[1]) AS sample, column_name,"
        " pipeline_id, created_at IS NOT NULL AND checked_at IS NOT NULL AS timed"
        " FROM x_meta_dq_results ORDER BY check_id"
    )
    assert [row["check_id"] for row in rows] == sorted(found)
    assert {row["check_id"]: json.loads(row["observed"] or "null") for row in rows} == found
    told = {(row["status"], row["severity"], row["row_count"], row["failing_count"]) for row in rows}
    assert told == {("FAILED", "error", 400, 100)}
    assert {(row["expected"], row["sample"], row["column_name"], row["timed"]) for row in rows} == {
        ('a"b', 'a"b', None, True)
    }
    assert await place.store.outbox(skip=(), limit=9) == []
