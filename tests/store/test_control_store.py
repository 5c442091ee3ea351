"""The contract of the ControlStore port: every driver passes it."""

import asyncio
from datetime import UTC, datetime

import pytest

from server.domain.run import LogEntry, RunStatus, StepStatus
from server.domain.tenant import TenantState
from server.store.port import (
    EVENT_CHARACTERS,
    LeaseLost,
    RequestConflict,
    RunEnd,
    RunFilter,
    RunPosition,
    StepEnd,
    TenantConflict,
)
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock, Opener
from tests.store.records import BY, LEASE, PLANS, api_key, claim, claimed, new_run, request_key, tenant


class TestAccept:
    async def test_a_run_begins_pending_with_its_steps_and_first_event(self, store: SqlStore) -> None:
        run = await store.accept_run(new_run(steps=("extract", "load")), PLANS)
        assert run.status is RunStatus.PENDING
        assert [(step.step_id, step.status) for step in run.steps] == [
            ("extract", StepStatus.PENDING),
            ("load", StepStatus.PENDING),
        ]
        (event,) = await store.events(run.pipeline_logging_id, after=0, limit=10)
        assert event.sequence == 1
        assert event.run == run
        assert await store.get_run(run.pipeline_logging_id) == run

    async def test_outbox_has_run_and_steps(self, store: SqlStore) -> None:
        run = await store.accept_run(new_run(steps=("extract", "load")), PLANS)
        entries = await store.outbox(skip=(), limit=10)
        assert [(entry.kind, entry.key) for entry in entries] == [
            ("run", run.pipeline_logging_id),
            ("step", f"{run.pipeline_logging_id}/extract"),
            ("step", f"{run.pipeline_logging_id}/load"),
        ]
        assert await store.outbox(skip=("acme_corp",), limit=10) == []
        await store.accept_run(new_run("other_tenant"), PLANS)
        for skip, told in (
            (("acme_corp",), {"other_tenant"}),
            (("other_tenant", "third_tenant"), {"acme_corp"}),
            (("acme_corp", "other_tenant"), set()),
        ):
            assert {entry.tenant_id for entry in await store.outbox(skip=skip, limit=10)} == told
        flush = await store.begin_flush("acme_corp", "w1", lease_seconds=30)
        assert flush is not None
        await store.acknowledge(flush, [entry.number for entry in entries[:2]], settled=1)
        left = await store.outbox(skip=("other_tenant",), limit=10)
        assert [entry.number for entry in left] == [entries[2].number]

    async def test_the_same_request_gives_the_same_run(self, store: SqlStore) -> None:
        first = await store.accept_run(new_run(request=request_key()), PLANS)
        again = await store.accept_run(new_run(request=request_key()), PLANS)
        assert again == first
        assert await store.find_request(request_key()) == first
        assert len(await store.list_runs(RunFilter(), after=None, limit=10)) == 1

    async def test_a_request_id_is_the_tenants_own(self, store: SqlStore) -> None:
        first = await store.accept_run(new_run(request=request_key()), PLANS)
        other = await store.accept_run(new_run("other_tenant", request=request_key("other_tenant")), PLANS)
        assert first.pipeline_logging_id != other.pipeline_logging_id

    async def test_the_same_id_with_another_content_is_refused_and_stores_nothing(self, store: SqlStore) -> None:
        await store.accept_run(new_run(request=request_key()), PLANS)
        with pytest.raises(RequestConflict):
            await store.accept_run(new_run(request=request_key(content="other")), PLANS)
        with pytest.raises(RequestConflict):
            await store.find_request(request_key(content="other"))
        assert len(await store.list_runs(RunFilter(), after=None, limit=10)) == 1

    async def test_simultaneous_equal_requests_make_one_run(self, store: SqlStore, second: SqlStore) -> None:
        stores = [store, second] * 10
        runs = await asyncio.gather(*(either.accept_run(new_run(request=request_key()), PLANS) for either in stores))
        assert len({run.pipeline_logging_id for run in runs}) == 1


class TestTenants:
    async def test_onboarding_stores_tenant_key_and_run_together(self, store: SqlStore) -> None:
        run = await store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
        stored = await store.get_tenant("acme_corp")
        assert stored is not None
        assert stored.state is TenantState.ONBOARDING
        assert stored.onboarding_run == run.pipeline_logging_id
        assert [key.key_id for key in await store.tenant_keys("acme_corp")] == ["abc123"]
        assert await store.find_api_key("abc123") == api_key()
        assert await store.find_api_key("unknown") is None

    async def test_an_id_is_taken_once(self, store: SqlStore) -> None:
        await store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
        with pytest.raises(TenantConflict):
            await store.onboard_tenant(tenant(), api_key(key_id="second"), new_run(), PLANS)
        assert await store.find_api_key("second") is None
        assert len(await store.list_runs(RunFilter(), after=None, limit=10)) == 1

    async def test_the_same_request_onboards_once(self, store: SqlStore) -> None:
        first = await store.onboard_tenant(tenant(), api_key(), new_run(request=request_key()), PLANS)
        again = await store.onboard_tenant(tenant(), api_key(key_id="second"), new_run(request=request_key()), PLANS)
        assert again.pipeline_logging_id == first.pipeline_logging_id
        assert len(await store.tenant_keys("acme_corp")) == 1

    async def test_lists_by_id_in_pages_and_by_state(self, store: SqlStore) -> None:
        for position, name in enumerate(("charlie", "alpha", "bravo")):
            await store.onboard_tenant(tenant(name), api_key(name, f"key{position}"), new_run(name), PLANS)
        assert [t.tenant_id for t in await store.list_tenants(after="", limit=2)] == ["alpha", "bravo"]
        assert [t.tenant_id for t in await store.list_tenants(after="bravo", limit=2)] == ["charlie"]
        assert await store.list_tenants(after="", limit=9, states=[TenantState.ACTIVE]) == []
        assert await store.count_tenants() == 3
        assert await store.tenants_among(["alpha", "nobody", "bravo"]) == {"alpha", "bravo"}

    async def test_the_onboarding_runs_success_activates(self, store: SqlStore) -> None:
        await store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
        held = await claimed(store)
        await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS, activates_tenant=True))
        stored = await store.get_tenant("acme_corp")
        assert stored is not None
        assert stored.state is TenantState.ACTIVE

    async def test_the_first_operator_key_is_one(self, store: SqlStore) -> None:
        assert await store.add_first_operator_key(api_key(None, "op1"))
        assert not await store.add_first_operator_key(api_key(None, "op2"))
        assert await store.find_api_key("op2") is None


class TestList:
    async def test_newest_first_in_pages_without_gap(self, store: SqlStore, clock: Clock) -> None:
        made = []
        for position in range(7):
            # Two runs share each moment, so that the id has to break the tie.
            clock.advance(position % 2)
            made.append(await store.accept_run(new_run(), PLANS))
        seen, after = [], None
        while page := await store.list_runs(RunFilter(tenant_id="acme_corp"), after=after, limit=2):
            seen += page
            after = RunPosition(page[-1].created_at, page[-1].pipeline_logging_id)
        assert len(seen) == 7
        assert {run.pipeline_logging_id for run in seen} == {run.pipeline_logging_id for run in made}
        keys = [(run.created_at, run.pipeline_logging_id) for run in seen]
        assert keys == sorted(keys, reverse=True)

    async def test_a_time_before_all_time_is_a_filter_too(self, store: SqlStore) -> None:
        await store.accept_run(new_run(), PLANS)
        beginning = datetime(1970, 1, 1, tzinfo=UTC)
        assert await store.list_runs(RunFilter(created_before=beginning), after=None, limit=9) == []
        assert len(await store.list_runs(RunFilter(created_after=beginning), after=None, limit=9)) == 1

    async def test_filters(self, store: SqlStore, clock: Clock) -> None:
        first = await store.accept_run(new_run(), PLANS)
        clock.advance(60)
        second = await store.accept_run(new_run("other_tenant"), PLANS)

        async def ids(wanted: RunFilter) -> list[str]:
            return [run.pipeline_logging_id for run in await store.list_runs(wanted, after=None, limit=9)]

        assert await ids(RunFilter(tenant_id="acme_corp")) == [first.pipeline_logging_id]
        assert await ids(RunFilter(created_after=second.created_at)) == [second.pipeline_logging_id]
        assert len(await ids(RunFilter(created_after=first.created_at))) == 2
        assert await ids(RunFilter(created_before=second.created_at)) == [first.pipeline_logging_id]
        assert await ids(RunFilter(pipeline_id="other_tenant-costs")) == [second.pipeline_logging_id]
        assert await ids(RunFilter(statuses=(RunStatus.RUNNING,))) == []
        assert await ids(RunFilter(template_name="nothing")) == []
        assert len(await ids(RunFilter(provider="gcp", domain="cost", statuses=(RunStatus.PENDING,)))) == 2


class TestClaim:
    async def test_nothing_waits(self, store: SqlStore) -> None:
        seen = store.version
        assert await claim(store) is None
        assert store.version == seen, "an empty claim must wake nobody"

    async def test_a_claim_has_everything_the_run_needs(self, store: SqlStore) -> None:
        await store.onboard_tenant(tenant(), api_key(), new_run(steps=("extract", "load")), PLANS)
        held = await claimed(store)
        assert held.run.status is RunStatus.RUNNING
        assert held.run.started_at is not None
        assert [step.step_id for step in held.snapshot.steps] == ["extract", "load"]
        assert held.allowed_sources == ("shared-project.export.gcp_*",)

    async def test_two_workers_never_have_the_same_run(self, store: SqlStore, second: SqlStore) -> None:
        for _ in range(10):
            await store.accept_run(new_run(), PLANS)
        stores = [store, second] * 6
        held = await asyncio.gather(*(claim(either, f"w{n}", concurrent=100) for n, either in enumerate(stores)))
        runs = [found.run.pipeline_logging_id for found in held if found]
        assert len(runs) == len(set(runs)) == 10

    async def test_a_backlog_does_not_delay_another_tenants_first_run(self, store: SqlStore, clock: Clock) -> None:
        for _ in range(5):
            await store.accept_run(new_run("busy_tenant"), PLANS)
            clock.advance(1)
        await claimed(store)
        await store.accept_run(new_run("late_tenant"), PLANS)
        assert (await claimed(store)).run.tenant_id == "late_tenant"

    async def test_no_more_than_the_tenants_limit_at_a_time(self, store: SqlStore) -> None:
        for _ in range(3):
            await store.accept_run(new_run(), PLANS)
        first = await claimed(store, concurrent=2)
        assert await claim(store, concurrent=2) is not None
        assert await claim(store, concurrent=2) is None
        await store.finish_run(first.lease, RunEnd(RunStatus.SUCCESS))
        assert await claim(store, concurrent=2) is not None

    async def test_oldest_first_within_a_tenant(self, store: SqlStore, clock: Clock) -> None:
        made = []
        for _ in range(3):
            made.append((await store.accept_run(new_run(), PLANS)).pipeline_logging_id)
            clock.advance(1)
        assert [(await claimed(store)).run.pipeline_logging_id for _ in range(3)] == made


class TestRunControl:
    async def test_events_are_numbered_without_gap(self, store: SqlStore) -> None:
        accepted = await store.accept_run(new_run(), PLANS)
        held = await claimed(store)
        step = await store.start_step(held.lease, held.run.steps[0])
        await store.add_logs(held.lease, [LogEntry(step_id="load", message="one"), LogEntry(message="two")])
        ended = step.model_copy(update={"status": StepStatus.SUCCESS, "rows_processed": 7})
        await store.finish_step(held.lease, StepEnd(ended, (LogEntry(message="three"),)))
        await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS, rows_processed=7))
        events = await store.events(accepted.pipeline_logging_id, after=0, limit=100)
        assert [event.sequence for event in events] == list(range(1, 9))
        assert [event.log.message for event in events if event.log] == ["one", "two", "three"]
        assert events[-1].is_last
        assert not any(event.is_last for event in events[:-1])
        assert [e.sequence for e in await store.events(accepted.pipeline_logging_id, after=5, limit=2)] == [6, 7]

    async def test_cancelling_a_waiting_run_ends_it(self, store: SqlStore) -> None:
        run = await store.accept_run(new_run(), PLANS)
        cancelled = await store.request_cancel(run.pipeline_logging_id, by=BY)
        assert cancelled is not None
        assert cancelled.status is RunStatus.CANCELLED
        assert cancelled.finished_at is not None
        assert [step.status for step in cancelled.steps] == [StepStatus.CANCELLED]
        assert (await store.events(run.pipeline_logging_id, after=0, limit=9))[-1].is_last
        assert await claim(store) is None

    async def test_cancelling_a_running_run_tells_its_worker(self, store: SqlStore) -> None:
        await store.accept_run(new_run(), PLANS)
        held = await claimed(store)
        assert await store.cancelling([held.lease]) == frozenset()
        run = await store.request_cancel(held.run.pipeline_logging_id, by=BY)
        assert run is not None
        assert run.status is RunStatus.CANCELLING
        assert await store.cancelling([held.lease]) == {held.lease}
        assert await store.renew([held.lease], lease_seconds=LEASE) == {held.lease}

    async def test_a_terminal_status_never_changes(self, store: SqlStore) -> None:
        await store.accept_run(new_run(), PLANS)
        held = await claimed(store)
        await store.finish_run(held.lease, RunEnd(RunStatus.FAILED, "step load: no", "load"))
        again = await store.request_cancel(held.run.pipeline_logging_id, by=BY)
        assert again is not None
        assert (again.status, again.error_message, again.failed_step) == (RunStatus.FAILED, "step load: no", "load")
        with pytest.raises(LeaseLost):
            await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS))

    async def test_an_unknown_run_is_none(self, store: SqlStore) -> None:
        assert await store.request_cancel("unknown", by=BY) is None
        assert await store.get_run("unknown") is None
        assert await store.get_run("un\0known") is None
        assert await store.list_runs(RunFilter(pipeline_id="\0"), after=None, limit=9) == []
        assert await store.queue_states(["unknown"]) == []


class TestProcesses:
    async def test_a_commit_before_the_first_look_is_noticed(self, store: SqlStore, second: SqlStore) -> None:
        seen = store.version
        await second.accept_run(new_run(), PLANS)
        async with asyncio.timeout(10):
            assert await store.wait_for_change(seen, 30) != seen

    async def test_another_process_is_noticed(self, store: SqlStore, second: SqlStore) -> None:
        seen = await store.wait_for_change(store.version, 2)
        waiting = asyncio.create_task(store.wait_for_change(seen, 30))
        await second.accept_run(new_run(), PLANS)
        assert await waiting != seen

    async def test_what_was_accepted_survives_reopening(self, opener: Opener) -> None:
        first = await opener()
        run = await first.accept_run(new_run(), PLANS)
        await first.close()
        assert await (await opener()).get_run(run.pipeline_logging_id) == run

    async def test_several_processes_may_start_at_once(self, opener: Opener) -> None:
        stores = await asyncio.gather(*(opener() for _ in range(4)))
        await stores[0].accept_run(new_run(), PLANS)
        assert len(await stores[3].list_runs(RunFilter(), after=None, limit=9)) == 1

    async def test_a_fact_is_agreed_on_once(self, store: SqlStore, second: SqlStore) -> None:
        said = await asyncio.gather(store.agree("pepper", "a"), second.agree("pepper", "b"))
        assert len(set(said)) == 1
        assert await store.agree("pepper", "c") == said[0]


async def test_a_piece_of_events_ends_where_it_gets_too_large(store: SqlStore) -> None:
    """However many are asked for; a single one is never too large to be read."""
    run = await store.accept_run(new_run(), PLANS)
    held = await claimed(store)
    large = "x" * (EVENT_CHARACTERS // 2)
    await store.add_logs(held.lease, [LogEntry(message=large + str(number)) for number in range(5)])
    await store.add_logs(held.lease, [LogEntry(message="x" * (2 * EVENT_CHARACTERS)), LogEntry(message="the last")])
    pieces, after = list[int](), 0
    while piece := await store.events(run.pipeline_logging_id, after=after, limit=500):
        assert [event.sequence for event in piece] == list(range(after + 1, after + len(piece) + 1))
        pieces.append(len(piece))
        after = piece[-1].sequence
    # Each ends with the event that makes it too large.
    assert pieces == [4, 2, 2, 1]
