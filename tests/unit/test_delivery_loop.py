"""The loop that delivers, on a real store whose clock a test moves, and with senders that talk to real servers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from server.delivery.loop import DeliveryLoop
from server.delivery.sending import Dispatch, Outcomes, Sender, for_all
from server.delivery.smtp import MailServer as Server
from server.delivery.smtp import SmtpSender
from server.domain.delivery import (
    GIVE_UP_SECONDS,
    SLOW_SECONDS,
    Channel,
    Delivery,
    Mail,
    Outcome,
    SlackMessage,
    delivered,
    later,
    misconfigured,
    pause_after,
)
from server.domain.run import StepStatus
from server.store.port import StepEnd
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite
from server.tasks import end_tasks
from tests.mail_server import MailServer, tarpit
from tests.store.conftest import Clock
from tests.store.records import PLANS, claimed, new_run
from tests.unit.messages import CFO, DELIVERED, FAILED, OPS, QUEUED, mail, slack

OWN = "the installation's webhook"


@dataclass
class Recorder:
    """Notes what it is asked to send, and answers as a test wants."""

    answer: Callable[[Dispatch], Outcomes] = lambda dispatch: for_all(dispatch, delivered())
    timeout_seconds: float = 5.0
    hold: asyncio.Event | None = None
    asked: list[Dispatch] = field(default_factory=list)
    most: Counter[str] = field(default_factory=Counter)
    """How many messages of each tenant were under way at a time, at most."""
    now: Counter[str] = field(default_factory=Counter)

    async def send(self, dispatch: Dispatch) -> Outcomes:
        self.asked.append(dispatch)
        self.now[dispatch.tenant_id] += 1
        self.most |= self.now
        try:
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self.now[dispatch.tenant_id] -= 1
        return self.answer(dispatch)


@dataclass
class Post:
    """A store, and a loop on it."""

    store: SqlStore
    clock: Clock

    async def tell(self, message: Mail | SlackMessage, tenant_id: str = "acme_corp") -> str:
        """Have a step tell it; answers the run."""
        await self.store.accept_run(new_run(tenant_id), PLANS)
        held = await claimed(self.store, concurrent=100)
        step = await self.store.start_step(held.lease, held.run.steps[0])
        ended = step.model_copy(update={"status": StepStatus.SUCCESS})
        await self.store.finish_step(held.lease, StepEnd(ended, message=message))
        return held.run.pipeline_logging_id

    async def deliveries(self, run_id: str) -> tuple[Delivery, ...]:
        run = await self.store.explain_run(run_id, PLANS)
        assert run is not None
        return run.deliveries

    async def until(self, run_id: str, condition: Callable[[Delivery], bool]) -> list[Delivery]:
        """Wait until it holds for each of the run's deliveries."""
        async with asyncio.timeout(20):
            while True:
                seen = self.store.version
                found = list(await self.deliveries(run_id))
                if all(map(condition, found)):
                    return found
                await self.store.wait_for_change(seen, 1)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    clock = Clock()
    store = await open_sqlite(tmp_path / "control.sqlite3", clock=clock)
    yield Post(store, clock)
    await store.close()


@asynccontextmanager
async def delivering(post: Post, email: Sender, chat: Sender | None = None) -> AsyncIterator[DeliveryLoop]:
    loop = DeliveryLoop("w1", post.store, {Channel.EMAIL: email, Channel.SLACK: chat or Recorder()})
    task = asyncio.create_task(loop.run())
    try:
        yield loop
        assert not task.done(), "nothing may end the loop"
    finally:
        await end_tasks([task])


async def test_a_mail_that_is_greylisted_arrives_later(post: Post) -> None:
    server = await MailServer(answers={CFO: "450 4.7.1 come again"}).start()
    sender = SmtpSender(Server("127.0.0.1", server.port, "none", 5.0), sender="alerts@example.com")
    async with delivering(post, sender):
        run = await post.tell(mail(OPS, CFO))
        ops, cfo = await post.until(run, lambda item: item.tries == 1)
        assert (ops.state, cfo.state) == (DELIVERED, QUEUED)
        assert cfo.next_try_at is not None
        server.answers = {}
        post.clock.advance(30)
        ops, cfo = await post.until(run, lambda item: item.state is DELIVERED)
        assert (ops.tries, cfo.tries) == (1, 2)
    assert [taken.recipients for taken in server.taken] == [[OPS], [CFO]]
    await server.stop()


async def test_a_crash_between_the_servers_yes_and_the_record_of_it_sends_the_same_mail_again(post: Post) -> None:
    server = await MailServer(cut_at="ANSWER").start()
    sender = SmtpSender(Server("127.0.0.1", server.port, "none", 5.0), sender="alerts@example.com")
    async with delivering(post, sender):
        run = await post.tell(mail())
        await post.until(run, lambda item: item.tries == 1)
        server.cut_at = ""
        post.clock.advance(60)
        await post.until(run, lambda item: item.state is DELIVERED)
    first, second = server.taken
    assert first.data == second.data
    await server.stop()


async def test_a_tarpit_holds_up_neither_slack_nor_itself(post: Post) -> None:
    pit = await tarpit()
    port = pit.sockets[0].getsockname()[1]
    slow = SmtpSender(Server("127.0.0.1", port, "none", 0.5), sender="alerts@example.com")
    async with delivering(post, slow):
        mails = [await post.tell(mail()) for _ in range(20)]
        message = await post.tell(slack())
        await post.until(message, lambda item: item.state is DELIVERED)
        for run in mails:
            [item] = await post.until(run, lambda item: item.tries == 1)
            assert (item.state, item.note != "") == (QUEUED, True)
    pit.close()


async def test_mails_that_hang_have_no_place_of_slacks(post: Post) -> None:
    hanging = Recorder(hold=asyncio.Event())
    async with delivering(post, hanging):
        for number in range(20):
            await post.tell(mail(), f"tenant_{number % 4}")
        async with asyncio.timeout(10):
            while hanging.now.total() < 16:
                await asyncio.sleep(0)
        message = await post.tell(slack(), "tenant_0")
        await post.until(message, lambda item: item.state is DELIVERED)
        assert hanging.hold is not None
        hanging.hold.set()
    assert hanging.most.total() == 16


async def test_no_tenant_has_all_places(post: Post) -> None:
    busy = Recorder(hold=asyncio.Event())
    async with delivering(post, busy):
        for _ in range(10):
            await post.tell(mail())
        run = await post.tell(mail(), "other_tenant")
        async with asyncio.timeout(10):
            while "other_tenant" not in busy.most:
                await asyncio.sleep(0)
        assert busy.hold is not None
        busy.hold.set()
        await post.until(run, lambda item: item.state is DELIVERED)
    assert busy.most["acme_corp"] == 6


async def test_a_sender_that_fails_loses_nothing(post: Post) -> None:
    def explode(dispatch: Dispatch) -> Outcomes:
        raise RuntimeError("password=hunter2")

    broken = Recorder(explode)
    async with delivering(post, broken):
        run = await post.tell(mail())
        [item] = await post.until(run, lambda item: item.tries == 1)
        assert item.state is QUEUED
        assert "hunter2" not in item.note
        broken.answer = lambda dispatch: for_all(dispatch, delivered())
        post.clock.advance(30)
        await post.until(run, lambda item: item.state is DELIVERED)


async def test_one_that_never_arrives_is_tried_for_a_day(post: Post) -> None:
    never = Recorder(lambda dispatch: for_all(dispatch, later("no route")))
    pauses = []
    async with delivering(post, never):
        run = await post.tell(mail())
        while True:
            [item] = await post.until(run, lambda item: item.tries == len(never.asked) > len(pauses))
            if item.next_try_at is None:
                break
            pauses.append((item.next_try_at - post.clock.now).total_seconds())
            post.clock.now = item.next_try_at
    assert item.state is FAILED
    assert item.note == "given up after 24 hours: no route"
    assert 24 <= len(never.asked) <= 60
    assert pauses[0] <= 30 < max(pauses) <= 3_600
    assert sum(pauses) == pytest.approx(GIVE_UP_SECONDS)


async def test_what_a_newer_version_stored_waits_for_it(post: Post) -> None:
    run = await post.tell(mail())
    await post.store._db.write(lambda tx: tx.execute("UPDATE deliveries SET content = ?", ('{"channel": "PIGEON"}',)))
    async with delivering(post, Recorder()):
        [item] = await post.until(run, lambda item: item.tries == 1)
        assert (item.state, item.note) == (QUEUED, "this version of the worker cannot read the message")


async def test_the_last_messages_of_a_worker_that_ends_are_tried(post: Post) -> None:
    recorder = Recorder()
    loop = DeliveryLoop("w1", post.store, {Channel.EMAIL: recorder, Channel.SLACK: recorder})
    runs = [await post.tell(mail()) for _ in range(20)]
    await loop.finish()
    assert [(await post.deliveries(run))[0].state for run in runs] == [DELIVERED] * 20


async def test_what_is_broken_off_is_the_next_workers_at_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.delivery.loop._FINISH_SECONDS", 0.1)
    hanging = Recorder(hold=asyncio.Event())
    loop = DeliveryLoop("w1", post.store, {Channel.EMAIL: hanging})
    run = await post.tell(mail())
    working = asyncio.create_task(loop.run())
    async with asyncio.timeout(10):
        while not hanging.asked:
            await asyncio.sleep(0)
    await end_tasks([working])
    await loop.finish()
    assert len(hanging.asked) == 1
    claim = await post.store.claim_delivery("w2", Channel.EMAIL, skip=(), lease_seconds=60)
    assert claim is not None
    assert claim.pipeline_logging_id == run


async def test_a_try_under_way_is_not_broken_off_at_once(post: Post) -> None:
    recorder = Recorder(hold=asyncio.Event())
    loop = asyncio.create_task(DeliveryLoop("w1", post.store, {Channel.EMAIL: recorder}).run())
    run = await post.tell(mail())
    async with asyncio.timeout(10):
        while not recorder.asked:
            await asyncio.sleep(0)
    loop.cancel()
    await asyncio.sleep(0)
    assert recorder.hold is not None
    recorder.hold.set()
    with suppress(asyncio.CancelledError):
        await loop
    assert (await post.deliveries(run))[0].state is DELIVERED


@pytest.mark.parametrize(
    ("tries", "outcomes", "least", "most"),
    [
        (1, [later("x")], 15, 30),
        (4, [later("x")], 120, 240),
        (20, [later("x")], 1_800, 3_600),
        (1, [later("x"), later("y", at_least=77)], 77, 77),
        (1, [misconfigured("x")], SLOW_SECONDS, SLOW_SECONDS),
    ],
)
def test_pauses(tries: int, outcomes: list[Outcome], least: float, most: float) -> None:
    assert pause_after(tries, outcomes, 1.0) == least
    assert pause_after(tries, outcomes, 0.0) == most
