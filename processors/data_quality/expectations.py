"""data_quality.expectations: hold a table of the tenant's dataset against a suite of expectations."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from processors.base import Context
from processors.data_quality.batch import Batch, column_types, enclosed
from processors.data_quality.evaluation import Evaluation, Outcome, evaluate, measured, statement
from processors.data_quality.expectation import Expectation
from processors.data_quality.suite import Expectations, SuiteOfStep, check_ids
from processors.destination import TableName

_MOST_TOLD = 20
_COUNTED = {"passed": "PASSED", "failed": "FAILED", "not_evaluated": "ERROR"}


class ExpectationsEngine:
    """Data quality checks: one scan of the table, one result for each expectation."""

    class Config(BaseModel):
        """Settings of a step."""

        model_config = ConfigDict(extra="forbid")

        table: TableName
        suite: SuiteOfStep | None = None
        """In a file, its name: `billing_cost` is configs/data_quality/expectations/billing_cost.yml."""
        expectations: Expectations = []
        """Further ones."""
        row_condition: Annotated[str, Field(min_length=1)] | None = None
        """BigQuery SQL: which rows are checked; all of them without it."""

        @model_validator(mode="after")
        def _expects_something(self) -> "ExpectationsEngine.Config":
            if not self.all:
                raise ValueError("give a suite, expectations or both")
            return self

        @property
        def all(self) -> list[Expectation]:
            """Those of the suite, then those of the step."""
            return [*(self.suite.expectations if self.suite else ()), *self.expectations]

    async def execute(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Check the table. Details: table, and how many checks passed, failed and could not be evaluated."""
        config = self.Config.model_validate(step_config)
        context["progress"](f"Checking {len(config.all)} expectations of {config.table}")
        batch = await _batch(config, context)
        if batch is None:
            outcome = Outcome(error=f"there is no table {config.table}")
            evaluation = Evaluation(0, (outcome,) * len(config.all))
        else:
            evaluation = await evaluate(config.all, batch, context["warehouse"].query)
        return _answer(config, evaluation, context)

    async def plan(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """The query that `execute` would run, and which expectations could not be evaluated."""
        config = self.Config.model_validate(step_config)
        batch = await _batch(config, context)
        if batch is None:
            missing = f"table {config.table} is not there yet: what would be asked of it is not known before it is"
            return {"warnings": [missing]}
        measures, errors = measured(config.all, batch)
        told = await context["warehouse"].dry_run(statement(measures, batch))
        return {**told, "warnings": [f"{config.all[number].type}: {error}" for number, error in errors.items()]}


async def _batch(config: ExpectationsEngine.Config, context: Context) -> Batch | None:
    """The rows that are checked; None when there is no such table."""
    fields = await context["warehouse"].table_fields(config.table)
    return None if fields is None else Batch(config.table, column_types(fields), enclosed(config.row_condition))


def _answer(config: ExpectationsEngine.Config, evaluation: Evaluation, context: Context) -> dict[str, Any]:
    ids, outcomes = check_ids(config.all), evaluation.outcomes
    counts = {name: sum(outcome.status == status for outcome in outcomes) for name, status in _COUNTED.items()}
    checked = list(zip(config.all, outcomes, strict=True))
    unmet = [(expectation, outcome) for expectation, outcome in checked if outcome.status != "PASSED"]
    for expectation, outcome in unmet[:_MOST_TOLD]:
        context["progress"](_sentence(expectation, outcome), severity=expectation.severity)
    fatal = [(expectation, outcome) for expectation, outcome in unmet if expectation.severity == "error"]
    details: dict[str, Any] = {"table": config.table, **counts}
    if fatal:
        details["error"] = _told(fatal, len(outcomes))
    return {
        "status": "FAILED" if fatal else "SUCCESS",
        "permanent": bool(fatal),
        "warning": bool(unmet) and not fatal,
        "rows_processed": evaluation.row_count,
        "details": details,
        "checks": [
            _check(check_id, config.table, expectation, outcome)
            for check_id, (expectation, outcome) in zip(ids, checked, strict=True)
        ],
    }


def _check(check_id: str, table: str, expectation: Expectation, outcome: Outcome) -> dict[str, Any]:
    return {
        "check_id": check_id,
        "check_name": expectation.type,
        "table_name": table,
        "column_name": ", ".join(expectation.columns),
        "status": outcome.status,
        "severity": expectation.severity,
        "row_count": outcome.row_count,
        "failing_count": outcome.finding.failing_count if outcome.finding else 0,
        "observed_value": _readable(outcome.finding.observed) if outcome.finding else None,
        "expected": expectation.arguments,
        "failing_sample": list(outcome.sample),
        "error_message": outcome.error,
    }


def _readable(value: Any) -> Any:
    """A decimal number with all of its digits, and without the zeros that its column's scale adds."""
    if not isinstance(value, Decimal):
        return value
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _told(fatal: Sequence[tuple[Expectation, Outcome]], total: int) -> str:
    sentences = [_sentence(expectation, outcome) for expectation, outcome in fatal[:_MOST_TOLD]]
    if len(fatal) > _MOST_TOLD:
        sentences.append(f"and {len(fatal) - _MOST_TOLD} more")
    return f"{len(fatal)} of {total} checks did not pass: {'; '.join(sentences)}"


def _sentence(expectation: Expectation, outcome: Outcome) -> str:
    columns = ", ".join(expectation.columns)
    name = f"{expectation.type}({columns})" if columns else expectation.type
    if outcome.finding is None:
        return f"{name} could not be evaluated: {outcome.error[:300]}"
    if outcome.finding.failing_count:
        return f"{name}: {outcome.finding.failing_count:,} fail"
    return f"{name}: observed {str(_readable(outcome.finding.observed))[:100]}"


def get_engine() -> ExpectationsEngine:
    """The factory that the registry calls."""
    return ExpectationsEngine()
