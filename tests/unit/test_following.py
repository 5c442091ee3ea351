"""Many watchers of a run, and slow ones: one reader of the store serves them all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.domain.run import LogEntry, RunEvent, RunStatus
from server.errors import TooManyStreams
from server.following import Following
from server.store.port import EVENT_CHARACTERS, Claim, RunEnd
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite
from tests.store.records import PLANS, new_run

SILENCE = 30.0


class Counting:
    """The store, and how often each of its methods is called."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.calls = Counter[str]()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._store, name)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Counting]:
    opened = await open_sqlite(tmp_path / "control.sqlite3")
    yield Counting(opened)
    await opened.close()


@pytest.fixture
async def following(store: Counting) -> AsyncIterator[Following]:
    made = Following(store, max_streams=10_000, max_streams_per_key=9_000)  # type: ignore[arg-type]
    yield made
    await made.close()


async def running(store: Counting) -> Claim:
    await store.accept_run(new_run(), PLANS)
    claim: Claim | None = await store.claim("w1", lease_seconds=300, plans=PLANS)
    assert claim is not None
    return claim


async def events(following: Following, run_id: str, after: int = 0) -> list[RunEvent]:
    """All events above `after`, to the last."""
    found: list[RunEvent] = []
    pieces = following.pieces(run_id, after=after, silence=SILENCE)
    async for piece in pieces:
        found += piece
        if found and found[-1].is_last:
            break
    await pieces.aclose()
    return found


async def test_a_thousand_watchers_are_served_by_one_reader(store: Counting, following: Following) -> None:
    claim = await running(store)
    run_id = claim.lease.pipeline_logging_id
    watching = [asyncio.create_task(events(following, run_id)) for _ in range(1_000)]
    while len(following._runs) == 0 or following._runs[run_id].watchers < 1_000:
        await asyncio.sleep(0.01)
    store.calls.clear()
    for number in range(20):
        await store.add_logs(claim.lease, [LogEntry(message=str(number))])
    await store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS))
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*watching)
    assert {tuple(event.sequence for event in found) for found in seen} == {tuple(range(1, 24))}
    # What came before they joined, each reads for itself; what comes, one reads for all.
    assert store.calls["events"] <= 1_000 + 40
    assert store.calls["last_sequences"] <= 100


async def test_a_watcher_that_reads_slowly_misses_nothing(store: Counting, following: Following) -> None:
    """More happens between two of its reads than is kept for those who keep up."""
    claim = await running(store)
    run_id = claim.lease.pipeline_logging_id
    pieces = following.pieces(run_id, after=0, silence=SILENCE)
    found = list(await anext(pieces))
    fast = asyncio.create_task(events(following, run_id))
    for start in range(0, 2_000, 100):
        await store.add_logs(claim.lease, [LogEntry(message=str(number)) for number in range(start, start + 100)])
    await store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS))
    async with asyncio.timeout(60):
        everything = await fast
        assert len(following._runs[run_id]._recent) <= 256
        while not found[-1].is_last:
            piece = await anext(pieces)
            assert len(piece) <= 500
            found += piece
    await pieces.aclose()
    assert [event.sequence for event in found] == [event.sequence for event in everything] == list(range(1, 2_004))


async def test_what_is_kept_for_those_who_keep_up_is_bounded_however_large_it_is(
    store: Counting, following: Following
) -> None:
    claim = await running(store)
    run_id = claim.lease.pipeline_logging_id
    pieces = following.pieces(run_id, after=0, silence=SILENCE)
    found = list(await anext(pieces))
    watching = [asyncio.create_task(events(following, run_id)) for _ in range(5)]
    kept = []
    for length in (*[EVENT_CHARACTERS // 4] * 20, 3 * EVENT_CHARACTERS, *[EVENT_CHARACTERS] * 5, 10):
        await store.add_logs(claim.lease, [LogEntry(message="x" * length)])
        last = (await store.last_sequences([run_id]))[run_id]
        async with asyncio.timeout(60):
            while following._runs[run_id].last < last:
                await store.wait_for_change(store.version, 0.01)
        kept.append(sum(len(event.model_dump_json()) for event in following._runs[run_id]._recent))
    assert max(kept) <= 2 * EVENT_CHARACTERS
    assert kept[0] > 0
    assert kept[-1] > 0, "it goes on after one that is too large"
    await store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS))
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*watching)
        while not found[-1].is_last:
            found += await anext(pieces)
    await pieces.aclose()
    for one in (found, *seen):
        assert [event.sequence for event in one] == list(range(1, 31))


async def test_nothing_is_kept_of_a_run_that_nobody_follows(store: Counting, following: Following) -> None:
    claim = await running(store)
    pieces = following.pieces(claim.lease.pipeline_logging_id, after=0, silence=SILENCE)
    await anext(pieces)
    assert len(following._runs) == 1
    await pieces.aclose()
    assert not following._runs


async def test_silence_is_told(store: Counting, following: Following) -> None:
    claim = await running(store)
    pieces = following.pieces(claim.lease.pipeline_logging_id, after=2, silence=0.05)
    assert await anext(pieces) == []
    coming = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    (followed,) = following._runs.values()
    assert len(followed._waiting) == 1
    coming.cancel()
    await asyncio.wait([coming])
    assert not followed._waiting, "nothing is left of those who wait no more"
    await pieces.aclose()


async def test_what_comes_while_a_heartbeat_is_looked_at_is_not_missed(store: Counting, following: Following) -> None:
    claim = await running(store)
    run_id = claim.lease.pipeline_logging_id
    pieces = following.pieces(run_id, after=2, silence=0.05)
    assert await anext(pieces) == []
    await store.add_logs(claim.lease, [LogEntry(message="meanwhile")])
    while following._runs[run_id].last < 3:
        await asyncio.sleep(0.01)
    found = []
    while not found:
        found = await anext(pieces)
    assert [event.sequence for event in found] == [3]
    await pieces.aclose()


def test_places_are_given_back(store: Counting) -> None:
    made = Following(store, max_streams=3, max_streams_per_key=2)  # type: ignore[arg-type]
    for _ in range(5):
        with made.place("key"), made.place("key"), made.place("other"):
            with pytest.raises(TooManyStreams, match="This API key follows 2 runs"), made.place("key"):
                pass
            with pytest.raises(TooManyStreams, match="This server follows 3 runs"), made.place("third"):
                pass
