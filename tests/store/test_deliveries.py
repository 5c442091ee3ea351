"""Messages to people, on every driver: queued with the step's end, claimed by one worker at a time, kept until they
have arrived."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from server.domain.delivery import (
    GIVE_UP_SECONDS,
    Channel,
    Delivery,
    DeliveryState,
    Mail,
    Outcome,
    SlackMessage,
    delivered,
    later,
    message_id,
    message_of,
    refused,
)
from server.domain.run import StepStatus
from server.store.delivery_port import DeliveryClaim
from server.store.port import Claim, Lease, LeaseLost, RunEnd, RunStatus, StepEnd
from server.store.sql import deliveries as deliveries_sql
from server.store.sql.database import Result, Transaction
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import BY, PLANS, claimed, new_run

OPS, CFO = "ops@example.com", "cfo@example.com"
MAIL = Mail(severity="ERROR", to=(OPS, CFO), subject="Costs failed", text="no rows")
SLACK = SlackMessage(severity="INFO", credential="alerts", payload={"text": "done"})
LEASE = 60.0


async def told(store: SqlStore, message: Mail | SlackMessage = MAIL, *, tenant_id: str = "acme_corp") -> Claim:
    """A run whose step has told people something."""
    await store.accept_run(new_run(tenant_id), PLANS)
    held = await claimed(store)
    await end_step(store, held, message)
    return held


async def end_step(store: SqlStore, held: Claim, message: Mail | SlackMessage | None) -> None:
    step = await store.start_step(held.lease, held.run.steps[0])
    ended = step.model_copy(update={"status": StepStatus.SUCCESS})
    await store.finish_step(held.lease, StepEnd(ended, message=message))


async def claim(store: SqlStore, *, skip: tuple[str, ...] = ()) -> DeliveryClaim | None:
    """Of either channel."""
    found = await store.claim_delivery("w1", Channel.EMAIL, skip=skip, lease_seconds=LEASE)
    return found or await store.claim_delivery("w1", Channel.SLACK, skip=skip, lease_seconds=LEASE)


async def due(store: SqlStore) -> DeliveryClaim:
    found = await claim(store)
    assert found is not None
    return found


async def record(
    store: SqlStore, held: DeliveryClaim, outcomes: Mapping[str, Outcome], pause: float = 60.0
) -> list[Delivery]:
    return await store.record_delivery(held, outcomes, pause_seconds=pause)


async def states(store: SqlStore, run: Claim) -> dict[str, DeliveryState]:
    return {item.recipient: item.state for item in await deliveries(store, run)}


async def deliveries(store: SqlStore, run: Claim) -> tuple[Delivery, ...]:
    found = await store.explain_run(run.run.pipeline_logging_id, PLANS)
    assert found is not None
    return found.deliveries


async def test_what_a_step_tells_is_queued_with_its_end(store: SqlStore, clock: Clock) -> None:
    run = await told(store)
    assert await deliveries(store, run) == tuple(
        Delivery(
            step_id="load",
            message_id=message_id(run.run.pipeline_logging_id, "load"),
            channel=Channel.EMAIL,
            severity="ERROR",
            recipient=recipient,
            queued_at=clock.now,
            next_try_at=clock.now,
        )
        for recipient in (OPS, CFO)
    )
    held = await due(store)
    assert message_of(held.content) == MAIL
    assert (held.tenant_id, held.waiting, held.tries, held.queued_at) == ("acme_corp", (OPS, CFO), 0, clock.now)
    # Neither the run's record nor its events have it.
    plain = await store.get_run(run.run.pipeline_logging_id)
    assert plain is not None
    assert plain.deliveries == ()


async def test_a_step_that_ends_again_tells_nothing_twice(store: SqlStore) -> None:
    run = await told(store)
    await record(store, await due(store), {OPS: delivered(), CFO: delivered()})
    await end_step(store, run, MAIL.model_copy(update={"subject": "again"}))
    assert await claim(store) is None
    assert await states(store, run) == {OPS: DeliveryState.DELIVERED, CFO: DeliveryState.DELIVERED}


async def test_a_worker_that_has_lost_the_run_tells_nothing(store: SqlStore, clock: Clock) -> None:
    await store.accept_run(new_run(), PLANS)
    held = await claimed(store)
    step = await store.start_step(held.lease, held.run.steps[0])
    stale = Lease(held.lease.pipeline_logging_id, "w0", held.lease.epoch - 1)
    with pytest.raises(LeaseLost):
        await store.finish_step(stale, StepEnd(step, message=MAIL))
    assert await claim(store) is None


async def test_a_claim_is_for_one_worker_until_its_lease_ends(store: SqlStore, second: SqlStore, clock: Clock) -> None:
    run = await told(store)
    first = await due(store)
    assert await claim(second) is None
    clock.advance(LEASE)
    other = await due(second)
    assert other.number == first.number + 1
    assert await record(store, first, {OPS: delivered(), CFO: delivered()}) == [], "the first one is too late"
    assert await states(store, run) == {OPS: DeliveryState.QUEUED, CFO: DeliveryState.QUEUED}
    await record(second, other, {OPS: delivered(), CFO: delivered()})
    assert await states(store, run) == {OPS: DeliveryState.DELIVERED, CFO: DeliveryState.DELIVERED}


async def test_what_a_dead_worker_had_is_due_at_once(store: SqlStore) -> None:
    await told(store)
    waiting = await told(store)
    held = await due(store)
    await record(store, await due(store), {OPS: later("450"), CFO: later("450")})
    await store.expire_worker("w1")
    again = await due(store)
    assert again.pipeline_logging_id == held.pipeline_logging_id
    assert await claim(store) is None, f"{waiting.run.pipeline_logging_id} waits for its next try"
    assert await record(store, held, {OPS: delivered(), CFO: delivered()}) == []


async def test_two_workers_share_the_work(store: SqlStore, second: SqlStore) -> None:
    for _ in range(4):
        await told(store)
    found = await asyncio.gather(*(claim(each) for each in (store, second) * 4))
    runs = [held.pipeline_logging_id for held in found if held is not None]
    # A claim that finds its row taken at this very moment may come back empty-handed; none is given twice.
    while (more := await claim(store)) is not None:
        runs.append(more.pipeline_logging_id)
    assert len(runs) == len(set(runs)) == 4


async def test_recipients_have_outcomes_of_their_own(store: SqlStore, clock: Clock) -> None:
    run = await told(store)
    recorded = await record(store, await due(store), {OPS: later("450"), CFO: refused("550")}, pause=60)
    assert {item.recipient: (item.state, item.tries, item.note) for item in recorded} == {
        OPS: (DeliveryState.QUEUED, 1, "450"),
        CFO: (DeliveryState.FAILED, 1, "550"),
    }
    tried_at = clock.now
    clock.advance(59)
    assert await claim(store) is None
    clock.advance(1)
    again = await due(store)
    assert (again.waiting, again.tries) == ((OPS,), 1)
    await record(store, again, {OPS: delivered("written to mail/x.eml")})
    ops, cfo = await deliveries(store, run)
    assert (ops.state, ops.tries, ops.note, ops.tried_at) == (
        *(DeliveryState.DELIVERED, 2, "written to mail/x.eml"),
        clock.now,
    )
    assert (cfo.tries, cfo.tried_at, cfo.next_try_at) == (1, tried_at, None)
    clock.advance(10 * GIVE_UP_SECONDS)
    assert await claim(store) is None


async def test_after_a_day_it_is_given_up_and_says_why(store: SqlStore, clock: Clock) -> None:
    run = await told(store, SLACK)
    await record(store, await due(store), {"alerts": later("Slack answers 500")}, pause=10 * GIVE_UP_SECONDS)
    [waiting] = await deliveries(store, run)
    assert waiting.next_try_at is not None
    assert (waiting.next_try_at - waiting.queued_at).total_seconds() == GIVE_UP_SECONDS, "one more try at the end"
    clock.advance(GIVE_UP_SECONDS)
    await record(store, await due(store), {"alerts": later("Slack answers 503")})
    [item] = await deliveries(store, run)
    assert (item.state, item.tries) == (DeliveryState.FAILED, 2)
    assert item.note == "given up after 24 hours: Slack answers 503"
    assert await claim(store) is None


async def test_one_that_nobody_tried_for_days_is_tried_once(store: SqlStore, clock: Clock) -> None:
    run = await told(store, SLACK)
    clock.advance(3 * GIVE_UP_SECONDS)
    await record(store, await due(store), {"alerts": delivered()})
    assert await states(store, run) == {"alerts": DeliveryState.DELIVERED}


async def test_the_content_is_kept_no_longer_than_it_is_needed(store: SqlStore) -> None:
    await told(store)
    held = await due(store)
    for outcomes, kept in (({OPS: delivered()}, True), ({CFO: refused("550")}, False)):
        await record(store, held, outcomes, pause=0)
        row = await store._db.read(lambda tx: tx.execute("SELECT content, due_at FROM deliveries").fetchone())
        assert row is not None
        assert (row["content"] is not None, row["due_at"] is not None) == (kept, kept)


async def test_channels_and_tenants_are_left_out_where_they_have_no_place(store: SqlStore, clock: Clock) -> None:
    await told(store)
    clock.advance(1)
    await told(store, SLACK, tenant_id="other_tenant")
    assert await store.claim_delivery("w1", Channel.SLACK, skip=["other_tenant"], lease_seconds=LEASE) is None
    found = await store.claim_delivery("w1", Channel.SLACK, skip=["acme_corp"], lease_seconds=LEASE)
    assert found is not None
    assert found.tenant_id == "other_tenant"
    assert await claim(store, skip=("acme_corp",)) is None
    assert (await due(store)).tenant_id == "acme_corp"


async def test_retention_removes_them_with_their_run(store: SqlStore, clock: Clock) -> None:
    run = await told(store)
    await store.finish_run(run.lease, RunEnd(RunStatus.SUCCESS))
    held = await due(store)
    clock.advance(10 * 86_400)
    assert await store.remove_runs(older_than_days=5, limit=9) == 1
    assert await record(store, held, {OPS: delivered(), CFO: delivered()}) == []
    assert await claim(store) is None
    assert await store._db.read(lambda tx: tx.execute("SELECT 1 FROM deliveries").fetchone()) is None


async def test_a_cancelled_run_has_told_what_it_told(store: SqlStore) -> None:
    run = await told(store)
    await store.request_cancel(run.run.pipeline_logging_id, by=BY)
    assert (await due(store)).pipeline_logging_id == run.run.pipeline_logging_id


async def test_a_look_for_work_reads_nothing_that_has_arrived(store: SqlStore) -> None:
    """Whatever the number of messages that have been: there is an index of those that are due."""

    def plan(tx: Transaction) -> str:
        looks: list[tuple[str, Sequence[object]]] = []

        class Noting:
            now, for_update = tx.now, tx.for_update

            def execute(self, sql: str, values: Sequence[object] = ()) -> Result:
                looks.append((sql, values))
                return tx.execute(sql, values)

        assert not deliveries_sql.is_due(cast("Transaction", Noting()), Channel.EMAIL, ["acme_corp"])
        [(sql, values)] = looks
        if tx.for_update:
            # So small a table is read as a whole where that is possible.
            tx.execute("SET LOCAL enable_seqscan = off")
        rows = tx.execute(f"{'EXPLAIN' if tx.for_update else 'EXPLAIN QUERY PLAN'} {sql}", values).fetchall()
        return "\n".join(str(list(dict(row).values())[-1]) for row in rows)  # type: ignore[call-overload]

    found = await store._db.read(plan)
    # SQLite reads nothing of the messages that are passed over; its writers would wait for that.
    assert "COVERING INDEX deliveries_due" in found or "Index Scan using deliveries_due" in found
    assert "SORT" not in found.upper().replace("TEMP B-TREE", "SORT")
