"""Holds a table against expectations: one query for all of them, and one for examples of what fails."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from processors.base import QueryError
from processors.data_quality.batch import SAMPLE_SIZE, Batch, NotEvaluable
from processors.data_quality.expectation import ROWS, Expectation, Finding, Measure

_Rows = list[dict[str, Any]]
_Answers = dict[int, dict[str, Any] | QueryError]
"""By the number of an expectation: its values, or why there are none."""


class Query(Protocol):
    """Runs a SELECT; raises QueryError when the warehouse cannot run it."""

    async def __call__(self, sql: str, *, max_rows: int = 1_000) -> _Rows:
        """The rows."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one expectation."""

    row_count: int = 0
    """Rows that it is about."""
    finding: Finding | None = None
    """None when it could not be evaluated."""
    sample: tuple[str, ...] = ()
    error: str = ""
    """Why it could not be evaluated."""

    @property
    def status(self) -> str:
        """PASSED, FAILED or ERROR."""
        if self.finding is None:
            return "ERROR"
        return "PASSED" if self.finding.success else "FAILED"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What became of all of them, in their order."""

    row_count: int
    """Rows that were looked at."""
    outcomes: tuple[Outcome, ...]


async def evaluate(expectations: Sequence[Expectation], batch: Batch, query: Query) -> Evaluation:
    """Evaluate every expectation; one that cannot be evaluated keeps no other from it."""
    measures, errors = measured(expectations, batch)
    try:
        row_count, answers = await _ask(measures, batch, query)
    except QueryError as error:
        return Evaluation(0, tuple(Outcome(error=str(error)) for _ in expectations))
    outcomes = {number: _outcome(measures[number], answer) for number, answer in answers.items()}
    failed = {number: measures[number] for number, outcome in outcomes.items() if outcome.status == "FAILED"}
    for number, sample in (await _samples(failed, query)).items():
        outcomes[number] = replace(outcomes[number], sample=sample)
    outcomes |= {number: Outcome(error=message) for number, message in errors.items()}
    return Evaluation(row_count, tuple(outcomes[number] for number in range(len(expectations))))


def measured(expectations: Sequence[Expectation], batch: Batch) -> tuple[dict[int, Measure], dict[int, str]]:
    """By their numbers, how expectations are measured, and what is wrong with those that cannot be."""
    measures, errors = dict[int, Measure](), dict[int, str]()
    for number, expectation in enumerate(expectations):
        try:
            measures[number] = _measure(expectation, batch.within(expectation.row_condition))
        except NotEvaluable as error:
            errors[number] = str(error)
    return measures, errors


def _measure(expectation: Expectation, rows: Batch) -> Measure:
    missing = [column for column in expectation.columns if not rows.has(column)]
    if missing and expectation.needs_columns:
        raise NotEvaluable(f"table {rows.table} has no column {', '.join(missing)}")
    measure = expectation.measure(rows)
    if not rows.own_condition:
        return measure
    return replace(measure, aggregates={**measure.aggregates, ROWS: rows.count()})


def statement(measures: Mapping[int, Measure], batch: Batch) -> str:
    """One SELECT of one row: a scan with all aggregates, and beside it what needs a query of its own."""
    columns = [f"COUNT(*) AS {ROWS}"]
    joined = []
    for number, measure in measures.items():
        columns += [f"{sql} AS c{number}_{name}" for name, sql in measure.aggregates.items()]
        if measure.subquery:
            joined.append(f"(SELECT failing AS c{number}_failing FROM ({measure.subquery})) AS q{number}")
    scan = batch.scan(",\n  ".join(columns))
    return "\nCROSS JOIN ".join([f"SELECT * FROM ({scan}) AS scan", *joined]) if joined else scan


async def _ask(measures: Mapping[int, Measure], batch: Batch, query: Query) -> tuple[int, _Answers]:
    """The rows of the step, and the answers to all measures. Raises QueryError when the rows cannot be read."""

    async def ask(numbers: Sequence[int]) -> _Answers:
        (row,) = await query(statement({number: measures[number] for number in numbers}, batch))
        return {number: _values(row, number) for number in numbers}

    numbers = list(measures)
    try:
        (row,) = await query(statement(measures, batch))
    except QueryError:
        (row,) = await query(statement({}, batch))
        return row[ROWS], await _divided(numbers, ask)
    return row[ROWS], {number: _values(row, number) for number in numbers}


async def _divided(numbers: Sequence[int], ask: Callable[[Sequence[int]], Awaitable[_Answers]]) -> _Answers:
    """Ask each half by itself, and so on, until what cannot be answered is found; the others are answered together."""
    if len(numbers) < 2:
        return await _tried(numbers, ask)
    half = len(numbers) // 2
    return {**await _tried(numbers[:half], ask), **await _tried(numbers[half:], ask)}


async def _tried(numbers: Sequence[int], ask: Callable[[Sequence[int]], Awaitable[_Answers]]) -> _Answers:
    try:
        return await ask(numbers)
    except QueryError as error:
        return dict.fromkeys(numbers, error) if len(numbers) == 1 else await _divided(numbers, ask)


def _values(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    own = f"c{number}_"
    return {ROWS: row[ROWS], **{name.removeprefix(own): row[name] for name in row if name.startswith(own)}}


def _outcome(measure: Measure, answer: dict[str, Any] | QueryError) -> Outcome:
    if isinstance(answer, QueryError):
        return Outcome(error=str(answer))
    return Outcome(answer[ROWS], measure.judge(answer))


async def _samples(failed: Mapping[int, Measure], query: Query) -> dict[int, tuple[str, ...]]:
    """Some of what fails; nothing of what cannot be shown."""

    async def ask(numbers: Sequence[int]) -> _Answers:
        selects = [(number, select) for number in numbers for select in failed[number].samples]
        sql = "\nUNION ALL\n".join(f"SELECT {number} AS number, value FROM ({select})" for number, select in selects)
        found = defaultdict[int, list[str]](list)
        for row in await query(sql, max_rows=SAMPLE_SIZE * len(selects)) if selects else ():
            found[row["number"]].append(row["value"])
        return {number: {"sample": found[number]} for number in numbers}

    answers = await _tried(list(failed), ask) if failed else {}
    return {
        number: tuple(sorted(answer["sample"])[:SAMPLE_SIZE])
        for number, answer in answers.items()
        if not isinstance(answer, QueryError)
    }
