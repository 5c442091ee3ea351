"""What checks find: recorded with the end of their step, listed, copied and removed, on every driver."""

from typing import Any

import pytest

from server.domain.data_quality import Check, CheckStatus, DataQualityResult, Severity
from server.domain.run import Run, RunStatus, StepStatus
from server.store.port import (
    Claim,
    DataQualityFilter,
    DataQualityPosition,
    LeaseLost,
    RunEnd,
    StepEnd,
)
from server.store.sql.data_quality import list_results
from server.store.sql.database import Transaction
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.explained import Explained
from tests.store.records import BY, PLANS, claimed, new_run

DAY = 86_400.0


def check(check_id: str, status: CheckStatus = CheckStatus.PASSED, table: str = "costs") -> Check:
    return Check(
        check_id=check_id,
        check_name="expect_column_values_to_be_in_set",
        table_name=table,
        column_name="currency",
        status=status,
        severity=Severity.WARN,
        row_count=400,
        failing_count=3,
        observed_value=0.9925,
        expected={"value_set": ["EUR"]},
        failing_sample=("it's", "\x00"),
    )


async def begun(store: SqlStore, tenant_id: str = "acme_corp", **options: tuple[str, ...]) -> Claim:
    await store.accept_run(new_run(tenant_id, **options), PLANS)
    return await claimed(store)


async def tried(store: SqlStore, held: Claim, *checks: Check, step: int = 0) -> None:
    """An attempt of a step that found this."""
    started = await store.start_step(held.lease, held.run.steps[step])
    done = started.model_copy(update={"status": StepStatus.SUCCESS})
    await store.finish_step(held.lease, StepEnd(done, checks=checks))


async def checked(store: SqlStore, *checks: Check, tenant_id: str = "acme_corp") -> Run:
    held = await begun(store, tenant_id)
    await tried(store, held, *checks)
    return await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS))


async def listed(store: SqlStore, size: int = 100, **wanted: object) -> list[DataQualityResult]:
    """All pages."""
    seen, after = list[DataQualityResult](), None
    criteria = DataQualityFilter(**{"tenant_id": "acme_corp", **wanted})  # type: ignore[arg-type]
    while page := await store.list_data_quality_results(criteria, after=after, limit=size):
        seen += page
        last = page[-1]
        after = DataQualityPosition(last.checked_at, last.pipeline_logging_id, last.step_id, last.place)
    return seen


async def test_what_was_found_is_there_with_the_end_of_the_step(store: SqlStore, clock: Clock) -> None:
    held = await begun(store)
    clock.advance(5)
    await tried(store, held, check("a", CheckStatus.FAILED))
    (result,) = await listed(store)
    assert result.model_dump(include=set(Check.model_fields)) == check("a", CheckStatus.FAILED).model_dump()
    assert (result.tenant_id, result.step_id) == ("acme_corp", "load")
    assert (result.pipeline_id, result.run_created_at) == (held.run.pipeline_id, held.run.created_at)
    assert result.checked_at == clock.now


async def test_a_lost_lease_records_nothing(store: SqlStore) -> None:
    held = await begun(store)
    started = await store.start_step(held.lease, held.run.steps[0])
    await store.expire_worker("w1")
    with pytest.raises(LeaseLost):
        await store.finish_step(held.lease, StepEnd(started, checks=(check("a"),)))
    assert await listed(store) == []
    assert {entry.kind for entry in await store.outbox(skip=(), limit=99)} == {"run", "step"}


async def test_an_attempt_replaces_those_before_unless_it_found_nothing(store: SqlStore) -> None:
    held = await begun(store, steps=("check", "again"))
    await tried(store, held, check("a"), check("b"))
    await tried(store, held, check("z"), step=1)
    await tried(store, held, check("b", CheckStatus.FAILED))
    await tried(store, held)
    results = await listed(store)
    assert {(result.step_id, result.check_id, result.status) for result in results} == {
        ("check", "b", CheckStatus.FAILED),
        ("again", "z", CheckStatus.PASSED),
    }


async def test_newest_first_in_pages_without_gap_and_in_the_order_of_a_step(store: SqlStore, clock: Clock) -> None:
    made = []
    for number in range(6):
        # Some share a moment.
        clock.advance(number % 2)
        status = CheckStatus.FAILED if number % 3 else CheckStatus.ERROR
        run = await checked(store, check("b"), check("a", status, table=f"t{number % 2}"), check("c"))
        made.append((run, status))
    await checked(store, check("a", CheckStatus.FAILED), tenant_id="rival_inc")
    for size in (1, 2, 100):
        seen = await listed(store, size)
        keys = [(result.checked_at, result.pipeline_logging_id) for result in seen]
        assert keys == sorted(keys, reverse=True)
        assert [result.check_id for result in seen] == ["b", "a", "c"] * 6
        wrong = await listed(store, size, statuses=(CheckStatus.FAILED, CheckStatus.ERROR, CheckStatus.FAILED))
        assert [result.check_id for result in wrong] == ["a"] * 6
        assert {result.pipeline_logging_id for result in wrong} == {run.pipeline_logging_id for run, _ in made}
        assert len(await listed(store, size, statuses=(CheckStatus.ERROR,), table_name="t0")) == 1
        assert len(await listed(store, size, table_name="t1")) == 3
        one = await listed(store, size, pipeline_logging_id=made[2][0].pipeline_logging_id)
        assert [result.check_id for result in one] == ["b", "a", "c"]
    assert len(await listed(store, tenant_id="rival_inc")) == 1


async def test_the_mirror_hears_of_them_and_can_ask(store: SqlStore) -> None:
    held = await begun(store)
    await tried(store, held, check("a"), check("b"))
    key = f"{held.run.pipeline_logging_id}/load"
    assert [entry.key for entry in await store.outbox(skip=(), limit=99) if entry.kind == "dq"] == [key]
    found = await store.data_quality_results_of([(held.run.pipeline_logging_id, "load"), ("gone", "load")])
    assert {result.check_id for result in found} == {"a", "b"}
    before = len(await store.outbox(skip=(), limit=99))
    await store.note_all("acme_corp", by=BY)
    again = (await store.outbox(skip=(), limit=99))[before:]
    assert ("dq", key) in {(entry.kind, entry.key) for entry in again}


async def test_they_go_with_their_run(store: SqlStore, clock: Clock) -> None:
    await checked(store, check("a"))
    clock.advance(10 * DAY)
    kept = await checked(store, check("b"))
    assert await store.remove_runs(older_than_days=5, limit=9) == 1
    assert [result.pipeline_logging_id for result in await listed(store)] == [kept.pipeline_logging_id]
    assert {entry.key[:36] for entry in await store.outbox(skip=(), limit=99)} == {kept.pipeline_logging_id}
    assert await store.check() == []


def multiply(tx: Transaction) -> None:
    """Thousands of results like the one that is there."""
    row = dict(tx.execute("SELECT * FROM data_quality_results WHERE check_id = 'a'").fetchone())  # type: ignore[call-overload]
    others = [{**row, "check_id": f"c{n}", "checked_at": n, "place": n} for n in range(3_000)]
    marks = ", ".join("?" * len(row))
    sql = f"INSERT INTO data_quality_results ({', '.join(row)}) VALUES ({marks})"
    tx.executemany(sql, [tuple(other.values()) for other in others])
    if tx.for_update:
        tx.execute("ANALYZE data_quality_results")


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "data_quality_newest"),
        ({"table_name": "rare"}, "data_quality_of_table"),
        ({"statuses": (CheckStatus.ERROR, CheckStatus.FAILED)}, "data_quality_by_status"),
    ],
)
async def test_a_list_reads_no_more_than_it_shows(store: SqlStore, wanted: dict[str, Any], index: str) -> None:
    await checked(store, check("a"), check("b", CheckStatus.ERROR, table="rare"))
    await store._db.write(multiply)

    def look(tx: Transaction) -> str:
        explained = Explained(tx, "data_quality_results")
        assert list_results(explained, DataQualityFilter("acme_corp", **wanted), None, 50)
        return explained.plan

    plan = await store._db.read(look)
    assert index in plan, plan
    assert "Seq Scan" not in plan
