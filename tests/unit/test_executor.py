"""One run through the real executor, store and registry, with processors that do what processors should not."""

import asyncio
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from processors.base import ProcessorError
from server.domain.delivery import Channel, Mail, message_of
from server.domain.run import Effect, EffectState, RunStatus, StepStatus
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite
from server.warehouse.port import WarehouseError
from tests.unit.workshop import OWN, Execute, Workshop


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no text")


def endless() -> dict[str, Any]:
    details: dict[str, Any] = {}
    details["self"] = details
    return details


ANSWERS: dict[str, Any] = {
    "nothing": None,
    "a status that is no text": {"status": []},
    "an unknown status": {"status": "DONE"},
    "a mapping inside itself": {"status": "SUCCESS", "details": endless()},
    "a value without text": {"status": "SUCCESS", "details": {"x": Unprintable()}},
    "half a character": {"status": "SUCCESS", "details": {"\ud800": "\ud800"}},
    "more rows than there can be": {"status": "SUCCESS", "rows_processed": 2**70},
    "rows that are no number": {"status": "SUCCESS", "rows_processed": "many"},
    "a huge number": {"status": "SUCCESS", "details": {"n": 10**400}},
    "no number": {"status": "SUCCESS", "details": {"n": float("nan"), "m": float("inf")}},
    "very much": {"status": "SUCCESS", "details": {str(n): "x" * 100_000 for n in range(5_000)}},
    "details that are no mapping": {"status": "SUCCESS", "details": [1, 2]},
    "a failure that cannot be told": {"status": "FAILED", "details": {"error": Unprintable()}},
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_any_answer_is_kept_so_that_it_can_be_read(workshop: Workshop, answer: Any) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        return answer

    run = await workshop.run(execute)
    ok = isinstance(answer, dict) and answer["status"] == "SUCCESS"
    assert run.status is (RunStatus.SUCCESS if ok else RunStatus.FAILED)
    stored = await workshop.store.get_run(run.pipeline_logging_id)
    assert stored is not None
    assert stored.steps[0].attempt == 1
    kept = json.dumps(stored.steps[0].details, allow_nan=False)
    assert len(kept) < 100_000
    assert 0 <= stored.rows_processed < 2**63


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
async def test_whatever_a_processor_raises_fails_its_step_only(workshop: Workshop, error: type[BaseException]) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        raise error("the-password-is-hunter2")

    run = await workshop.run(execute)
    assert run.status is RunStatus.FAILED
    assert run.failed_step == "act"
    assert "hunter2" not in run.model_dump_json()


async def test_a_processors_own_words_are_told(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        raise ProcessorError("no file for 2025-11-18")

    assert (await workshop.run(execute, attempts=2)).error_message == "step act: no file for 2025-11-18"


async def test_a_step_that_swallows_its_cancellation_times_out_and_reaches_the_warehouse_no_more(
    workshop: Workshop,
) -> None:
    let_go, late = asyncio.Event(), asyncio.Event()
    raised: list[str] = []

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        try:
            await context["warehouse"].write_query("SELECT 1 AS n", "late_rows")
        except Exception as error:  # noqa: BLE001
            raised.append(str(error))
        late.set()

    run = await workshop.run(execute, seconds=0.1)
    assert run.status is RunStatus.TIMED_OUT
    let_go.set()
    await late.wait()
    assert raised == ["the attempt that this warehouse belonged to has ended"]


async def test_what_was_done_while_it_was_being_stopped_is_done(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return {"status": "SUCCESS", "rows_processed": 7}

    run = await workshop.run(execute, seconds=0.1)
    assert (run.status, run.rows_processed) == (RunStatus.SUCCESS, 7)


async def test_a_cancel_before_the_step_began_holds_and_always_steps_run(workshop: Workshop) -> None:
    ran: list[str] = []

    def recorder(name: str) -> Execute:
        async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
            ran.append(name)
            return {"status": "SUCCESS"}

        return execute

    for name in ("first", "second", "tidy_up"):
        workshop.processor(name, recorder(name))
    execution = workshop.execution(await workshop.claim("first", "second", "tidy_up", always="tidy_up"))
    execution.cancel()
    run = await execution.run()
    assert ran == ["tidy_up"]
    assert run.status is RunStatus.CANCELLED
    assert [step.status for step in run.steps] == [StepStatus.CANCELLED, StepStatus.CANCELLED, StepStatus.SUCCESS]


async def test_a_cancel_at_any_moment_of_a_step_ends_it(workshop: Workshop) -> None:
    """Also while the store records that the step begins."""

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        await asyncio.Event().wait()

    workshop.processor("act", execute)
    for turns in range(12):
        execution = workshop.execution(await workshop.claim("act"))
        task = asyncio.create_task(execution.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        execution.cancel()
        async with asyncio.timeout(20):
            assert (await task).status is RunStatus.CANCELLED


async def test_effects_keep_their_names_whichever_query_is_checked_first(workshop: Workshop) -> None:
    """Two writes at once, one slow to check; a second attempt finds both, each under its own name."""
    slow = f"SELECT COUNT(*) AS n FROM UNNEST([{', '.join(['1'] * 3_000)}]) AS item"
    adopted: list[Any] = []

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        warehouse = context["warehouse"]
        results = await asyncio.gather(
            warehouse.write_query(slow, "slow_rows"), warehouse.write_query("SELECT 2 AS n", "fast_rows")
        )
        adopted.append([result["adopted"] for result in results])
        return {"status": "FAILED" if context["attempt"] < 3 else "SUCCESS", "details": {"error": "again"}}

    run = await workshop.run(execute, attempts=3)
    assert run.status is RunStatus.SUCCESS
    assert adopted == [[False, False], [True, True], [True, True]]
    assert await workshop.rows("slow_rows") == [(3_000,)]
    assert await workshop.rows("fast_rows") == [(2,)]


async def test_threads_that_never_end_do_not_stop_other_steps(workshop: Workshop) -> None:
    hold = threading.Event()

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        if context["attempt"] == 1:
            for _ in range(64):
                asyncio.get_running_loop().run_in_executor(None, hold.wait)
        await context["warehouse"].write_query("SELECT 1 AS n", "rows_beside")
        return {"status": "SUCCESS"}

    try:
        assert (await workshop.run(execute, seconds=30)).status is RunStatus.SUCCESS
    finally:
        hold.set()


async def test_secrets_in_details_errors_and_logs_are_redacted(workshop: Workshop) -> None:
    secret = "cvg_0123456789ab_" + "s" * 43

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        context["progress"](f"using {secret}", key=secret, nested={"key": [secret]})
        return {"status": "FAILED", "details": {"error": f"bad {secret}", "list": [secret], secret: 1}}

    run = await workshop.run(execute)
    events = await workshop.store.events(run.pipeline_logging_id, after=0, limit=99)
    told = run.model_dump_json() + "".join(event.model_dump_json() for event in events)
    assert "sssss" not in told
    assert "cvg_0123456789ab_[redacted]" in told


async def test_a_notification_that_fails_is_recorded_and_changes_nothing_else(workshop: Workshop) -> None:
    async def works(config: dict[str, Any], context: dict[str, Any]) -> Any:
        return {"status": "SUCCESS", "rows_processed": 3}

    async def fails(config: dict[str, Any], context: dict[str, Any]) -> Any:
        raise ProcessorError("the mail server said no")

    for name, execute in (("load", works), ("tell", fails), ("report", works)):
        workshop.processor(name, execute)
    run = await workshop.execution(await workshop.claim("load", "tell", "report")).run()
    assert run.status is RunStatus.SUCCESS
    assert run.error_message == ""
    assert [step.status for step in run.steps] == [StepStatus.SUCCESS, StepStatus.FAILED, StepStatus.SUCCESS]
    assert run.steps[1].error_message == "the mail server said no"


async def test_every_attempt_has_its_end_in_the_events(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        failed = context["attempt"] == 1
        return {"status": "FAILED" if failed else "SUCCESS", "details": {"error": "not yet"} if failed else {}}

    run = await workshop.run(execute, attempts=2)
    events = await workshop.store.events(run.pipeline_logging_id, after=0, limit=99)
    told = [
        f"{event.step.status} {event.step.attempt}" if event.step else event.log.level if event.log else "run"
        for event in events
    ]
    assert told == ["run", "run", "RUNNING 1", "FAILED 1", "WARNING", "RUNNING 2", "SUCCESS 2", "run"]


ENDLESS = """
SELECT SUM(MOD(a * b, 7)) AS n
FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, UNNEST(GENERATE_ARRAY(1, 1000000)) AS b
"""


async def test_a_write_is_on_the_step_before_it_begins_and_when_it_has_ended(workshop: Workshop) -> None:
    begun: tuple[Effect, ...] = ()

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        nonlocal begun
        writing = asyncio.create_task(context["warehouse"].write_query(ENDLESS, "rows_of_act"))
        while not begun:
            await asyncio.sleep(0.01)
            stored = await workshop.store.get_run(context["pipeline_logging_id"])
            begun = stored.steps[0].effects if stored else ()
        writing.cancel()
        await asyncio.wait([writing])
        await context["warehouse"].write_query("SELECT 1 AS n UNION ALL SELECT 2", "other_rows")
        return {"status": "SUCCESS"}

    run = await workshop.run(execute)
    assert run.status is RunStatus.SUCCESS, run.error_message
    (first,) = begun
    assert (first.state, first.table, first.job_id) == (EffectState.UNKNOWN, f"{OWN}.rows_of_act", "")
    stopped, committed = run.steps[0].effects
    assert (stopped.effect_id, stopped.state) == (first.effect_id, EffectState.STOPPED)
    assert (committed.state, committed.rows_written) == (EffectState.COMMITTED, 2)
    assert committed.job_id.startswith(committed.effect_id)


async def test_a_step_out_of_time_says_what_it_had_written(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        await context["warehouse"].write_query("SELECT 1 AS n", "done_rows")
        await context["warehouse"].write_query(ENDLESS, "endless_rows")

    run = await workshop.run(execute, seconds=1)
    assert run.status is RunStatus.TIMED_OUT
    assert [effect.state for effect in run.steps[0].effects] == [EffectState.COMMITTED, EffectState.STOPPED]
    assert f"the write to {OWN}.done_rows was committed" in run.steps[0].error_message
    assert "endless_rows" not in run.steps[0].error_message
    assert await workshop.warehouse.list_tables(OWN) == ["done_rows"]


async def test_a_write_whose_id_was_another_ones_is_not_forgotten(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        await context["warehouse"].write_query(f"SELECT {context['attempt']} AS n", "rows_of_act")
        raise ProcessorError("not yet")

    run = await workshop.run(execute, attempts=2)
    assert run.status is RunStatus.FAILED
    assert "stands for one effect" in run.error_message
    assert [(effect.state, effect.rows_written) for effect in run.steps[0].effects] == [(EffectState.COMMITTED, 1)]
    assert await workshop.rows("rows_of_act") == [(1,)]


async def test_a_write_that_the_processor_leaves_behind_does_not_happen(workshop: Workshop) -> None:
    """The store is slow in recording it, so that the attempt has ended when it would begin."""
    writing: asyncio.Task[Any] | None = None
    slow = SlowStore(workshop.store)

    async def execute(config: dict[str, Any], context: dict[str, Any]) -> Any:
        nonlocal writing
        writing = asyncio.create_task(context["warehouse"].write_query("SELECT 1 AS n", "rows_of_act"))
        await slow.recording.wait()
        raise ProcessorError("something else failed")

    workshop.processor("act", execute)
    claim = await workshop.claim("act")
    workshop.store, store = slow, workshop.store  # type: ignore[assignment]
    run = await workshop.execution(claim).run()
    workshop.store = store
    assert run.steps[0].status is StepStatus.FAILED
    assert [effect.state for effect in run.steps[0].effects] == [EffectState.STOPPED]
    slow.go_on.set()
    assert writing is not None
    await asyncio.wait([writing])
    assert isinstance(writing.exception(), WarehouseError)
    assert await workshop.warehouse.list_tables(OWN) == []


class SlowStore:
    """The store, with one method that takes its time."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.recording = asyncio.Event()
        self.go_on = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def record_effects(self, *arguments: Any) -> None:
        await self._store.record_effects(*arguments)
        self.recording.set()
        await self.go_on.wait()


async def test_every_attempt_is_told_the_same_of_the_steps_before(workshop: Workshop) -> None:
    """How long they took is by the store's clock, which is not this machine's."""
    now, told = datetime(2001, 1, 1, tzinfo=UTC), list[str]()

    async def load(config: dict[str, Any], context: dict[str, Any]) -> Any:
        nonlocal now
        now += timedelta(seconds=90)
        return {"status": "SUCCESS"}

    async def report(config: dict[str, Any], context: dict[str, Any]) -> Any:
        nonlocal now
        now += timedelta(seconds=30)
        told.append(config["query"])
        raise ProcessorError("not yet")

    workshop.processor("load", load)
    workshop.processor("report", report)
    workshop.store = await open_sqlite(workshop.folder / "another.sqlite3", clock=lambda: now)
    claim = await workshop.claim("load", "report", attempts=3)
    first, second = claim.snapshot.steps
    asking = second.model_copy(update={"settings": {"query": "SELECT {duration_seconds} AS seconds"}})
    snapshot = claim.snapshot.model_copy(update={"steps": (first, asking)})
    await workshop.execution(replace(claim, snapshot=snapshot)).run()
    await workshop.store.close()
    assert told == ["SELECT 90.0 AS seconds"] * 3


async def test_what_a_step_tells_is_queued_once_and_only_with_its_success(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        told = f"attempt {context['attempt']}"
        context["notifications"].mail(to=["ops@example.com"], subject="s", text=told)
        if context["attempt"] == 1:
            raise ProcessorError("not yet")
        return {"status": "FAILED" if context["attempt"] == 2 else "SUCCESS"}

    run = await workshop.run(execute, attempts=3)
    assert run.status is RunStatus.SUCCESS
    claim = await workshop.store.claim_delivery("w1", Channel.EMAIL, skip=[], lease_seconds=60)
    assert claim is not None
    assert (claim.pipeline_logging_id, claim.step_id) == (run.pipeline_logging_id, "act")
    message = message_of(claim.content)
    assert isinstance(message, Mail)
    assert message.text == "attempt 3"
    assert await workshop.store.claim_delivery("w1", Channel.EMAIL, skip=[], lease_seconds=60) is None


async def test_a_step_that_fails_tells_nothing(workshop: Workshop) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        context["notifications"].slack({"text": "done"})
        return {"status": "FAILED"}

    assert (await workshop.run(execute)).status is RunStatus.FAILED
    assert await workshop.store.claim_delivery("w1", Channel.SLACK, skip=[], lease_seconds=60) is None


@pytest.mark.parametrize(
    "tell",
    [
        lambda told: told.mail(to=["ops@example.com, cfo@example.com"], subject="s", text="t"),
        lambda told: [told.slack({"text": "one"}), told.slack({"text": "two"})],
        lambda told: told.slack({"text": "x" * 300_000}),
    ],
)
async def test_a_message_that_cannot_be_sent_fails_its_step_in_a_sentence(workshop: Workshop, tell: Any) -> None:
    async def execute(config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        tell(context["notifications"])
        return {"status": "SUCCESS"}

    run = await workshop.run(execute, attempts=3)
    assert run.status is RunStatus.FAILED
    assert run.steps[0].attempt == 1, "another attempt would tell the same"
    assert "INVALID_MESSAGE" not in run.error_message
    assert any(words in run.error_message for words in ("no mail address", "one message", "at most"))
