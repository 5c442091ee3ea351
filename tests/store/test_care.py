"""Retention, checks and repairs, retries and suspects, on every driver."""

import asyncio
from dataclasses import replace

import pytest

from server.domain.data_quality import Check, CheckStatus
from server.domain.run import Effect, EffectState, LogEntry, Run, RunStatus, RunTrigger, StepRun, StepStatus
from server.domain.tenant import SYSTEM_TENANT
from server.retention import Retention
from server.store.port import AlreadyRetried, Claim, EndPosition, LeaseLost, OriginGone, RunEnd, RunFilter, StepEnd
from server.store.sql.database import Transaction
from server.store.sql.outbox import note
from server.store.sql.queues import move
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import BY, PLANS, api_key, multiply, new_run, plans, request_key, tenant

DAY = 86_400.0


async def claimed(store: SqlStore, worker: str = "w1", *, suspects: bool = True) -> Claim:
    found = await store.claim(worker, lease_seconds=30, plans=PLANS, suspects=suspects)
    assert found is not None
    return found


async def ended(store: SqlStore, status: RunStatus = RunStatus.SUCCESS, **options: object) -> Run:
    await store.accept_run(replace(new_run(), **options), PLANS)  # type: ignore[arg-type]
    held = await claimed(store)
    await store.add_logs(held.lease, [LogEntry(message="working")])
    step = await store.start_step(held.lease, held.run.steps[0])
    done = StepStatus.SUCCESS if status is RunStatus.SUCCESS else StepStatus.FAILED
    checks = (Check(check_id="a", status=CheckStatus.PASSED),)
    await store.finish_step(held.lease, StepEnd(step.model_copy(update={"status": done}), checks=checks))
    return await store.finish_run(held.lease, RunEnd(status))


async def all_removed(store: SqlStore, days: float) -> int:
    total = 0
    while removed := await store.remove_runs(older_than_days=days, limit=2):
        total += removed
    return total


async def test_old_runs_are_removed_with_all_that_belongs_to_them(store: SqlStore, clock: Clock) -> None:
    old = [await ended(store, request=request_key(request_id=f"r{number}")) for number in range(3)]
    clock.advance(10 * DAY)
    recent = await ended(store)
    waiting = await store.accept_run(new_run(), PLANS)
    assert await all_removed(store, 5) == 3
    for run in old:
        assert await store.get_run(run.pipeline_logging_id) is None
        assert await store.events(run.pipeline_logging_id, after=0, limit=9) == []
        assert await store.run_snapshot(run.pipeline_logging_id) is None
    assert await store.find_request(request_key(request_id="r0")) is None
    kept = {entry.key.partition("/")[0] for entry in await store.outbox(skip=(), limit=99)}
    active = {waiting.pipeline_logging_id, recent.pipeline_logging_id}
    assert kept <= active
    assert len(await store.events(recent.pipeline_logging_id, after=0, limit=99)) > 3
    assert await store.check() == []


async def test_what_is_active_is_never_removed(store: SqlStore, clock: Clock) -> None:
    await store.accept_run(new_run(), PLANS)
    await store.accept_run(new_run(), PLANS)
    await claimed(store)
    clock.advance(1_000 * DAY)
    assert await all_removed(store, 1) == 0
    page = await store.remove_events(older_than_days=1, after=EndPosition(0, ""), limit=9)
    assert (page.runs, page.is_end) == (0, True)


async def mentions(store: SqlStore, text: str) -> set[str]:
    """The tables in which a row has it."""
    named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    of_postgres = "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()"

    def look(tx: Transaction) -> set[str]:
        tables = [row["name"] for row in tx.execute(of_postgres if tx.for_update else named).fetchall()]
        return {table for table in tables if text in str(values(tx, table))}

    def values(tx: Transaction, table: str) -> list[list[object]]:
        rows = tx.execute(f"SELECT * FROM {table}").fetchall()
        return [list(dict(row).values()) for row in rows]  # type: ignore[call-overload]

    return await store._db.read(look)


async def test_a_round_removes_every_trace_but_in_the_audit_log(
    store: SqlStore, second: SqlStore, clock: Clock
) -> None:
    """In batches; while another server is at it as well."""
    request = request_key()
    old = await ended(store, request=request)
    await store._db.write(lambda tx: multiply(tx, old, 119))
    running = await store.accept_run(new_run(), PLANS)
    held = await claimed(store)
    waiting = await store.accept_run(new_run(), PLANS)
    clock.advance(20 * DAY)
    recent = await store.accept_run(new_run(), PLANS)
    await store.request_cancel(recent.pipeline_logging_id, by=BY)
    everywhere = {"audit", "data_quality_results", "events", "outbox", "requests", "runs", "snapshots", "steps"}
    assert await mentions(store, old.pipeline_logging_id) == everywhere
    assert await store.accept_run(new_run(request=request), PLANS) == old
    assert await store.remove_runs(older_than_days=10, limit=7) == 7
    assert len(await store.list_runs(RunFilter(statuses=(RunStatus.SUCCESS,)), after=None, limit=500)) == 113
    rounds = [Retention(either, run_days=10, event_days=None).round() for either in (store, second)]
    removed = await asyncio.gather(*rounds)
    assert sum(one.runs for one in removed) == 113
    assert await mentions(store, old.pipeline_logging_id) == {"audit"}
    left = await store.list_runs(RunFilter(), after=None, limit=500)
    assert {run.pipeline_logging_id for run in left} == {run.pipeline_logging_id for run in (running, waiting, recent)}
    assert len(await store.events(running.pipeline_logging_id, after=0, limit=9)) == 2
    assert await store.find_request(request) is None
    again = await store.accept_run(new_run(request=request), PLANS)
    assert again.pipeline_logging_id != old.pipeline_logging_id
    assert await store.renew([held.lease], lease_seconds=30) == {held.lease}
    await finish(store, held, held.run.steps[0], StepStatus.SUCCESS)
    await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS))
    assert await store.check() == []


async def test_a_round_forgets_what_was_used_before_this_month(store: SqlStore, clock: Clock) -> None:
    await ended(store)
    assert await mentions(store, "2025-11-18") >= {"usage"}
    clock.advance(20 * DAY)
    await ended(store)
    await Retention(store, run_days=None, event_days=None).round()
    used = await store._db.read(lambda tx: [row["period"] for row in tx.execute("SELECT period FROM usage")])
    assert sorted(used) == ["2025-12", "2025-12-08"]


async def test_events_go_before_their_runs_but_for_the_last_one(store: SqlStore, clock: Clock) -> None:
    old = [await ended(store) for _ in range(3)]
    clock.advance(10 * DAY)
    recent = await ended(store)
    first = await store.remove_events(older_than_days=5, after=EndPosition(0, ""), limit=2)
    rest = await store.remove_events(older_than_days=5, after=first.last, limit=2)
    assert (first.runs, first.is_end, rest.runs, rest.is_end) == (2, False, 1, True)
    for run in old:
        (event,) = await store.events(run.pipeline_logging_id, after=0, limit=99)
        assert event.is_last
    assert len(await store.events(recent.pipeline_logging_id, after=0, limit=99)) > 3
    assert await store.check() == []


async def test_a_store_in_use_is_as_it_has_to_be(store: SqlStore, clock: Clock) -> None:
    await store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    await ended(store, RunStatus.FAILED)
    await ended(store)
    cancelled = await store.accept_run(new_run(), PLANS)
    await store.request_cancel(cancelled.pipeline_logging_id, by=BY)
    await store.accept_run(new_run("other_tenant"), PLANS)
    for worker in ("w1", "w2", "w3"):
        await store.accept_run(new_run("third_tenant"), PLANS)
        await claimed(store, worker)
        await store.expire_worker(worker)
    assert await store.check() == []
    clock.advance(3_600)
    assert {finding.check for finding in await store.check()} == {"ABANDONED"}


async def test_a_wrong_count_is_found_and_mended(store: SqlStore) -> None:
    await store.accept_run(new_run(), PLANS)
    await store._db.write(lambda tx: move(tx, "acme_corp", pending=2, active=-1))
    (finding,) = await store.check()
    assert (finding.check, finding.subject, finding.is_repairable) == ("QUEUE", "acme_corp", True)
    assert "3 waiting and -1 active runs; there are 1 and 0" in finding.message
    assert await store.check(repair_by=BY) == [finding]
    assert await store.check() == []


OF_RUN = "WHERE pipeline_logging_id = ?"


@pytest.mark.parametrize(
    ("check", "status", "breaking"),
    [
        ("EVENTS", "ended", f"DELETE FROM events {OF_RUN} AND sequence = 3"),
        ("EVENTS", "ended", f"DELETE FROM events {OF_RUN} AND sequence < 3"),
        ("EVENTS", "ended", f"UPDATE runs SET last_sequence = last_sequence + 1 {OF_RUN}"),
        ("EVENTS", "ended", f"DELETE FROM events {OF_RUN}"),
        ("EVENTS", "active", f"DELETE FROM events {OF_RUN} AND sequence = 1"),
        ("RUN_END", "ended", f"UPDATE runs SET finished_at = NULL {OF_RUN}"),
        ("RUN_END", "active", f"UPDATE runs SET finished_at = 1 {OF_RUN}"),
        ("OPEN_STEP", "ended", f"UPDATE steps SET body = REPLACE(body, 'SUCCESS', 'RUNNING') {OF_RUN}"),
        ("OPEN_STEP", "ended", f"UPDATE steps SET body = REPLACE(body, 'SUCCESS', 'PENDING') {OF_RUN}"),
        ("SNAPSHOT", "active", f"DELETE FROM snapshots {OF_RUN}"),
        ("ABANDONED", "active", f"UPDATE runs SET lease_until = 0 {OF_RUN}"),
    ],
)
async def test_what_does_not_fit_together_is_found_and_left_to_a_person(
    store: SqlStore, check: str, status: str, breaking: str
) -> None:
    ended_run = await ended(store)
    await store.accept_run(new_run(), PLANS)
    active = (await claimed(store)).run
    broken = ended_run if status == "ended" else active
    assert await store.check() == []
    await store._db.write(lambda tx: tx.execute(breaking, (broken.pipeline_logging_id,)).rowcount)
    (finding,) = await store.check(repair_by=BY)
    assert (finding.check, finding.subject) == (check, broken.pipeline_logging_id)
    assert not finding.is_repairable
    assert await store.check() == [finding]


@pytest.mark.parametrize("kind", ["run", "step", "dq"])
async def test_outbox_entries_about_what_is_gone_are_found_and_removed(store: SqlStore, kind: str) -> None:
    await store.accept_run(new_run(), PLANS)
    needed = await store.outbox(skip=(), limit=9)
    gone = new_run().pipeline_logging_id + ("" if kind == "run" else "/load")
    await store._db.write(lambda tx: note(tx, "acme_corp", kind, gone))
    (finding,) = await store.check(repair_by=BY)
    assert (finding.check, finding.subject, finding.is_repairable) == ("OUTBOX", gone, True)
    assert await store.check() == []
    assert await store.outbox(skip=(), limit=9) == needed


async def test_what_a_processor_tells_of_its_work_is_no_open_step(store: SqlStore) -> None:
    await store.accept_run(new_run(), PLANS)
    held = await claimed(store)
    told = {"job": {"status": "RUNNING", "attempt": 1}, "text": '"status":"PENDING","attempt":'}
    await finish(store, held, held.run.steps[0], StepStatus.SUCCESS, details=told)
    await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS))
    assert await store.check() == []


async def test_everything_of_a_tenant_is_copied_again(store: SqlStore) -> None:
    run = await store.onboard_tenant(tenant(), api_key(), new_run(steps=("extract", "load")), PLANS)
    await store.accept_run(new_run("other_tenant"), PLANS)
    entries = await store.outbox(skip=(), limit=99)
    flush = await store.begin_flush("acme_corp", "w1", lease_seconds=30)
    assert flush is not None
    await store.acknowledge(flush, [entry.number for entry in entries], settled=1)
    assert await store.note_all("acme_corp", by=BY) == 4
    assert {(entry.kind, entry.key) for entry in await store.outbox(skip=(), limit=99)} == {
        ("api_key", "abc123"),
        ("run", run.pipeline_logging_id),
        ("step", f"{run.pipeline_logging_id}/extract"),
        ("step", f"{run.pipeline_logging_id}/load"),
    }


async def test_all_that_the_central_dataset_shows_is_copied_again(store: SqlStore) -> None:
    await store.add_first_operator_key(api_key(None, "operator"))
    await store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    before = await store.outbox(skip=(), limit=99)
    assert await store.note_all(SYSTEM_TENANT, by=BY) == 3
    noted = (await store.outbox(skip=(), limit=99))[len(before) :]
    assert {(entry.tenant_id, entry.kind, entry.key) for entry in noted} == {
        (SYSTEM_TENANT, "tenant", "acme_corp"),
        (SYSTEM_TENANT, "api_key", "abc123"),
        (SYSTEM_TENANT, "api_key", "operator"),
    }


async def test_one_worker_writes_a_tenants_tables(store: SqlStore, second: SqlStore, clock: Clock) -> None:
    await store.accept_run(new_run(), PLANS)
    (entry, _) = await store.outbox(skip=(), limit=9)
    first = await store.begin_flush("acme_corp", "w1", lease_seconds=30)
    assert first is not None
    assert (first.number, first.settled) == (1, 0)
    assert await second.begin_flush("acme_corp", "w2", lease_seconds=30) is None
    clock.advance(20)
    assert await store.keep_flush(first, lease_seconds=30)
    clock.advance(20)
    assert await second.begin_flush("acme_corp", "w2", lease_seconds=30) is None
    clock.advance(20)
    taken = await second.begin_flush("acme_corp", "w2", lease_seconds=30)
    assert taken is not None
    assert (taken.number, taken.settled) == (2, 0)
    assert not await store.keep_flush(first, lease_seconds=30)
    await store.acknowledge(first, [entry.number], settled=1)
    assert len(await store.outbox(skip=(), limit=9)) == 2
    await second.acknowledge(taken, [entry.number], settled=2)
    assert len(await store.outbox(skip=(), limit=9)) == 1
    unused = await second.begin_flush("acme_corp", "w2", lease_seconds=30)
    assert unused is not None
    again = await second.begin_flush("acme_corp", "w2", lease_seconds=30, unused=unused.number)
    assert (unused.number, unused.settled) == (3, 2)
    assert again == unused


async def test_a_retry_begins_with_what_succeeded(store: SqlStore) -> None:
    origin = await store.accept_run(new_run(steps=("one", "two", "three")), PLANS)
    held = await claimed(store)
    one, two, three = held.run.steps
    written = [
        Effect(effect_id="a", table="t", write_mode="append", state=EffectState.COMMITTED),
        Effect(effect_id="b", table="t", write_mode="append", state=EffectState.STOPPED),
        Effect(effect_id="c", table="t", write_mode="append"),
    ]
    await finish(store, held, one, StepStatus.SUCCESS, rows_processed=7)
    await finish(store, held, two, StepStatus.FAILED, effects=tuple(written))
    await finish(store, held, three, StepStatus.SKIPPED)
    await store.finish_run(held.lease, RunEnd(RunStatus.FAILED))
    retry = replace(
        new_run(steps=("one", "two", "three")), trigger=RunTrigger.RETRY, retry_of=origin.pipeline_logging_id
    )
    run = await store.accept_run(retry, PLANS)
    assert (run.retry_of, run.trigger, run.status) == (origin.pipeline_logging_id, RunTrigger.RETRY, RunStatus.PENDING)
    assert [step.status for step in run.steps] == [StepStatus.SUCCESS, StepStatus.PENDING, StepStatus.PENDING]
    assert run.steps[0].rows_processed == 7
    assert [effect.effect_id for effect in run.steps[1].inherited] == ["a", "c"]
    with pytest.raises(AlreadyRetried):
        await store.accept_run(replace(retry, pipeline_logging_id="x" * 36), PLANS)
    assert await store.check() == []


async def finish(store: SqlStore, held: Claim, step: StepRun, status: StepStatus, **changes: object) -> None:
    begun = await store.start_step(held.lease, step)
    await store.finish_step(held.lease, StepEnd(begun.model_copy(update={"status": status, **changes})))


async def test_of_runs_that_have_one_life_left_a_worker_gets_one(store: SqlStore) -> None:
    for _ in range(2):
        await store.accept_run(new_run(), PLANS)
    for worker in ("w1", "w2"):
        for _ in range(2):
            await claimed(store, worker)
        await store.expire_worker(worker)
    first = await claimed(store, "w3")
    assert first.is_suspect
    assert await store.claim("w3", lease_seconds=30, plans=PLANS, suspects=False) is None
    await store.accept_run(new_run("other_tenant"), PLANS)
    assert not (await claimed(store, "w3", suspects=False)).is_suspect
    assert (await claimed(store, "w4")).is_suspect


async def test_a_run_whose_origin_is_gone_is_not_begun_anew(store: SqlStore, clock: Clock) -> None:
    origin = await ended(store, RunStatus.FAILED)
    clock.advance(10 * DAY)
    assert await all_removed(store, 1) == 1
    with pytest.raises(OriginGone):
        await store.accept_run(replace(new_run(), retry_of=origin.pipeline_logging_id), PLANS)
    assert await store.check() == []


async def test_runs_that_were_handed_back_are_suspects_as_well(store: SqlStore) -> None:
    for _ in range(2):
        await store.accept_run(new_run(), PLANS)
    for worker in ("w1", "w2"):
        for _ in range(2):
            await claimed(store, worker)
        await store.expire_worker(worker)
    for _ in range(2):
        await store.hand_back((await claimed(store, "w3")).lease)
    assert await store.claim("w4", lease_seconds=30, plans=PLANS, suspects=False) is None
    assert (await claimed(store, "w4")).is_suspect


async def test_an_attempt_that_is_over_records_no_writes(store: SqlStore) -> None:
    await store.accept_run(new_run(), PLANS)
    held = await claimed(store)
    step = await store.start_step(held.lease, held.run.steps[0])
    written = Effect(effect_id="a", table="t", write_mode="append", state=EffectState.COMMITTED)
    ended_step = step.model_copy(update={"status": StepStatus.FAILED, "effects": (written,)})
    await store.finish_step(held.lease, StepEnd(ended_step))
    with pytest.raises(LeaseLost):
        await store.record_effects(held.lease, step)
    run = await store.get_run(held.run.pipeline_logging_id)
    assert run is not None
    assert run.steps[0].effects == (written,)


async def test_a_run_is_taken_from_its_worker(store: SqlStore) -> None:
    waiting = await store.accept_run(new_run(), PLANS)
    assert not await store.expire_run(waiting.pipeline_logging_id, by=BY)
    held = await claimed(store)
    assert await store.expire_run(waiting.pipeline_logging_id, by=BY)
    assert await store.renew([held.lease], lease_seconds=30) == frozenset(), "its worker must not keep it"
    assert (await claimed(store, "w2")).run.pipeline_logging_id == waiting.pipeline_logging_id


async def test_what_a_newer_version_has_stored_can_be_read(store: SqlStore) -> None:
    """Servers of two versions work side by side while they are brought up to date."""
    run = await store.onboard_tenant(tenant(), api_key(), new_run(), plans(requests_per_minute=5))

    def add_field(tx: Transaction) -> None:
        for table in ("snapshots", "steps"):
            rows = tx.execute(f"SELECT body FROM {table}").fetchall()
            for row in rows:
                body = '{"novelty": 1, ' + row["body"][1:]
                tx.execute(f"UPDATE {table} SET body = ? WHERE body = ?", (body, row["body"]))
        tx.execute("UPDATE tenants SET quotas = ?", ('{"novelty": 1, "maximum_bytes_billed": 10000000000}',))

    await store._db.write(add_field)
    held = await claimed(store)
    assert held.snapshot == await store.run_snapshot(run.pipeline_logging_id)
    assert [step.step_id for step in held.run.steps] == ["load"]
    stored = await store.get_tenant("acme_corp")
    assert stored is not None
    assert stored.quotas == tenant().quotas
    taken = await store.take_requests("acme_corp", 3, plans(requests_per_minute=5))
    assert taken is not None
    assert taken.given == 3


async def test_what_an_operator_mends_is_in_the_audit_log(store: SqlStore) -> None:
    """In the transaction that mends; looking is no change."""
    await store.accept_run(new_run(), PLANS)
    before = len(await store.audit_events(None, before=None, limit=99))
    await store.check(repair_by=BY)
    assert len(await store.audit_events(None, before=None, limit=99)) == before
    await store._db.write(lambda tx: tx.execute("UPDATE queues SET pending = 7"))
    await store.check(repair_by=BY)
    await store.note_all("acme_corp", by=BY)
    await store.note_retention(by=BY)
    events = list(reversed(await store.audit_events(None, before=None, limit=99)))[before:]
    assert [(event.action, event.tenant_id, event.details) for event in events] == [
        ("store.repair", None, {"findings": "1"}),
        ("mirror.rebuild", "acme_corp", {"records": "2"}),
        ("retention.apply", None, {}),
    ]
    assert {(event.key_id, event.peer) for event in events} == {(BY.key_id, BY.peer)}
