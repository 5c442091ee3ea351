"""Followers of runs: one poller reads new events, whatever the number of runs and of watchers.

A watcher that keeps up gets the events that the poller has just read; one that is late or slow reads what it lacks from
the store, in pieces. So nobody's pace costs the server memory, and nobody misses anything.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context

from server.domain.run import RunEvent
from server.errors import TooManyStreams
from server.metrics import STREAMS
from server.store.port import EVENT_CHARACTERS, ControlStore, StoreBusy

_PIECE = 500
# Events of a followed run that are kept for those who keep up, and their characters of JSON.
_KEPT = 256
_KEPT_CHARACTERS = 2 * EVENT_CHARACTERS
_POLL_SECONDS = 1.0
# How soon the next look may follow: what happens in between is read at once.
_REST_SECONDS = 0.001


logger = logging.getLogger(__name__)

Pieces = AsyncGenerator[list[RunEvent], None]


class Followed:
    """A run that somebody follows."""

    def __init__(self, last: int) -> None:
        self.last = last
        """The sequence of its latest event that is known here."""
        self.watchers = 0
        self._recent = deque[RunEvent]()
        self._sizes = deque[int]()
        self._size = 0
        self._waiting: dict[asyncio.Future[None], int] = {}
        """Who waits, and for an event above which one."""

    def recent(self, after: int) -> list[RunEvent] | None:
        """The events above `after`; None where only the store has all of them."""
        if after >= self.last:
            return []
        if not self._recent or self._recent[0].sequence > after + 1:
            return None
        if self._recent[0].sequence + len(self._recent) - 1 != self.last:
            # Some are missing in between, such as those that could not be read.
            return None
        # Mostly it is one of many.
        return [self._recent[number] for number in range(after - self.last, 0)]

    def add(self, events: list[RunEvent]) -> None:
        """Take the events that follow on `last`, and wake the watchers."""
        for event in events:
            self._keep(event)
        self.last = events[-1].sequence
        for waiter, after in self._waiting.items():
            if self.last > after:
                _wake(waiter)

    def _keep(self, event: RunEvent) -> None:
        self._recent.append(event)
        self._sizes.append(len(event.model_dump_json()))
        self._size += self._sizes[-1]
        while len(self._recent) > _KEPT or self._size > _KEPT_CHARACTERS:
            self._recent.popleft()
            self._size -= self._sizes.popleft()

    async def wait(self, after: int, seconds: float) -> None:
        """Until there is an event above `after`, at most so long."""
        if self.last > after:
            return
        # With a thousand watchers this is done a thousand times an event: a lock or a timeout would take twice as long.
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting[waiter] = after
        timer = loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            del self._waiting[waiter]


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


class Following:
    """Everything that this server's watchers follow."""

    def __init__(self, store: ControlStore, *, max_streams: int, max_streams_per_key: int) -> None:
        self._store = store
        self._max_streams = max_streams
        self._max_streams_per_key = max_streams_per_key
        self._streams = Counter[str]()
        self._runs: dict[str, Followed] = {}
        self._poller: asyncio.Task[None] | None = None

    @contextmanager
    def place(self, key_id: str) -> Iterator[None]:
        """A stream's place among those of its key and of all. Raises TooManyStreams."""
        if self._streams[key_id] >= self._max_streams_per_key:
            raise TooManyStreams(
                "max_streams_per_key", f"This API key follows {self._max_streams_per_key:,} runs already."
            )
        if self._streams.total() >= self._max_streams:
            raise TooManyStreams("max_streams", f"This server follows {self._max_streams:,} runs already.")
        self._streams[key_id] += 1
        STREAMS.inc()
        try:
            yield
        finally:
            STREAMS.dec()
            self._streams[key_id] -= 1
            if not self._streams[key_id]:
                del self._streams[key_id]

    async def pieces(self, pipeline_logging_id: str, *, after: int, silence: float) -> Pieces:
        """The run's events above `after`, piece by piece, without end; an empty piece after `silence` seconds.

        Raises:
            StoreBusy: the store does not answer.
        """
        followed = await self._join(pipeline_logging_id)
        try:
            while True:
                await followed.wait(after, silence)
                last, piece = followed.last, followed.recent(after)
                if piece is None:
                    piece = await self._store.events(pipeline_logging_id, after=after, limit=_PIECE)
                    # What the store does not have any more will not come.
                    after = after if piece else max(after, last)
                # Before it is handed over: more may come while somebody looks at it.
                after = piece[-1].sequence if piece else after
                yield piece
        finally:
            followed.watchers -= 1
            if not followed.watchers:
                self._runs.pop(pipeline_logging_id, None)

    async def _join(self, pipeline_logging_id: str) -> Followed:
        if pipeline_logging_id not in self._runs:
            last = await self._store.last_sequences([pipeline_logging_id])
            # Somebody else may have joined in the meantime.
            self._runs.setdefault(pipeline_logging_id, Followed(last.get(pipeline_logging_id, 0)))
        followed = self._runs[pipeline_logging_id]
        followed.watchers += 1
        if self._poller is None or self._poller.done():
            # It is no part of the call that happens to be the first, nor of that one's trace.
            self._poller = asyncio.create_task(self._poll(), context=Context())
        return followed

    async def _poll(self) -> None:
        """Read what is new of the followed runs, as long as there are any."""
        while self._runs:
            seen = self._store.version
            # The next round finds what a busy store did not tell.
            with suppress(StoreBusy):
                for run_id, last in (await self._store.last_sequences(list(self._runs))).items():
                    await self._take_new(run_id, last)
            await asyncio.sleep(_REST_SECONDS)
            await self._store.wait_for_change(seen, _POLL_SECONDS)

    async def _take_new(self, run_id: str, last: int) -> None:
        """Read a run's events up to the `last`; a record that cannot be read must not end the reading of all others."""
        followed = self._runs.get(run_id)
        try:
            while followed is not None and followed.last < last:
                events = await self._store.events(run_id, after=followed.last, limit=_PIECE)
                if not events:
                    break
                followed.add(events)
        except StoreBusy:
            raise
        except Exception:
            logger.exception("Events of a run cannot be read", extra={"pipeline_logging_id": run_id})

    async def close(self) -> None:
        """End the poller."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])
