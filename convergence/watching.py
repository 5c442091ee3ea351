"""Following a run or a backfill over connections that come and go."""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import grpc
import grpc.aio

from convergence.errors import ConvergenceError, Unavailable, translate
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.pipeline_service_pb2 import GetRunStatusRequest, WatchBackfillRequest
from convergence.v1.run_pb2 import Run, RunEvent

_Request = TypeVar("_Request")
_Message = TypeVar("_Message")

ENDED = frozenset({Run.SUCCESS, Run.FAILED, Run.CANCELLED, Run.TIMED_OUT})
"""The statuses of a run that has ended; they never change."""
BACKFILL_ENDED = frozenset({Backfill.FINISHED, Backfill.CANCELLED})
"""The states of a backfill that has ended."""

BackfillCall = grpc.aio.UnaryStreamCall[WatchBackfillRequest, Backfill]
EventCall = grpc.aio.UnaryStreamCall[GetRunStatusRequest, RunEvent]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a watch bears with a server; all in seconds."""

    silence: float = 45
    """Without any message for this long, the connection counts as lost; a server sends a heartbeat every 15."""
    give_up: float = 60
    """After a loss, how long to go on trying without receiving anything."""
    first_pause: float = 0.2
    """Before the first new try; it doubles with each further one."""
    longest_pause: float = 5

    def pause(self, losses: int) -> float:
        """How long to wait after so many losses in a row, spread so that a thousand watchers do not come at once."""
        longest = min(self.longest_pause, self.first_pause * 2.0 ** min(losses - 1, 16))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - nothing secret about it


def ends_run(event: RunEvent) -> bool:
    """Whether it is the last event of its run."""
    return event.WhichOneof("event") == "run" and event.run.status in ENDED


class _Following(ABC, Generic[_Request, _Message]):
    """The messages of a stream to its last one, whatever happens to the connection."""

    _what: ClassVar[str]

    def __init__(self, patience: Patience, on_connection_loss: Callable[[], None] | None) -> None:
        self._patience = patience
        self._on_connection_loss = on_connection_loss
        self._losses = 0
        self._lost_at = 0.0

    async def messages(self) -> AsyncGenerator[_Message, None]:
        """What is new, until the last message.

        Raises:
            ConvergenceError: the service refused the request.
            Unavailable: the connection was lost and could not be made again in time.
        """
        while True:
            try:
                async with aclosing(self._received()) as received:
                    async for message in received:
                        yield message
                        if self._is_last(message):
                            return
                if self._is_at_end():
                    return
                loss: ConvergenceError = _lost(f"the server ended the stream before the {self._what} had ended")
            except ConvergenceError as error:
                if not error.is_connection_loss:
                    raise
                loss = error
            await self._wait_after(loss)

    @abstractmethod
    def _received(self) -> AsyncGenerator[_Message, None]:
        """What is new in one connection; ends with it."""

    @abstractmethod
    def _is_last(self, message: _Message) -> bool:
        """Whether nothing comes after it."""

    def _is_at_end(self) -> bool:
        """Whether a stream that ended without a last message had nothing more to say."""
        return False

    async def _next(self, call: grpc.aio.UnaryStreamCall[_Request, _Message], kind: type[_Message]) -> _Message | None:
        """The next message, or None at the end of the stream."""
        try:
            async with asyncio.timeout(self._patience.silence):
                message = await call.read()
        except TimeoutError:
            raise _lost(f"no sign of life for {self._patience.silence:g} seconds") from None
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
        return message if isinstance(message, kind) else None

    async def _wait_after(self, loss: ConvergenceError) -> None:
        now = time.monotonic()
        self._losses += 1
        if self._losses == 1:
            self._lost_at = now
            if self._on_connection_loss:
                self._on_connection_loss()
        elif now - self._lost_at > self._patience.give_up:
            message = f"lost the connection to the {self._what}: {loss.message}"
            raise Unavailable(grpc.StatusCode.UNAVAILABLE, message) from loss
        await asyncio.sleep(self._patience.pause(self._losses))


class Watch(_Following[GetRunStatusRequest, RunEvent]):
    """The events of one run, each once and in order."""

    _what = "run"

    def __init__(
        self,
        open_stream: Callable[[int], EventCall],
        after_sequence: int,
        patience: Patience,
        on_connection_loss: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(patience, on_connection_loss)
        self._open_stream = open_stream
        self._start = self._after = after_sequence

    def _is_last(self, message: RunEvent) -> bool:
        return ends_run(message)

    def _is_at_end(self) -> bool:
        """There never was an event after the first position: whoever asked had seen the last one already."""
        return self._after == self._start > 0

    async def _received(self) -> AsyncGenerator[RunEvent, None]:
        """New events of one connection; ends with it, and where an event is missing."""
        call = self._open_stream(self._after)
        try:
            while (event := await self._next(call, RunEvent)) is not None:
                if event.sequence > self._after + 1 and not event.earlier_removed:
                    raise _lost(f"event {self._after + 1} is missing before event {event.sequence}")
                self._losses = 0
                if event.sequence > self._after:
                    self._after = event.sequence
                    yield event
        finally:
            call.cancel()


class BackfillWatch(_Following[WatchBackfillRequest, Backfill]):
    """The states of one backfill, each that differs from the one before."""

    _what = "backfill"

    def __init__(
        self,
        open_stream: Callable[[], BackfillCall],
        patience: Patience,
        on_connection_loss: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(patience, on_connection_loss)
        self._open_stream = open_stream
        self._latest: Backfill | None = None

    def _is_last(self, message: Backfill) -> bool:
        return message.state in BACKFILL_ENDED

    async def _received(self) -> AsyncGenerator[Backfill, None]:
        call, count = self._open_stream(), 0
        try:
            while (state := await self._next(call, Backfill)) is not None:
                count += 1
                # Every connection begins with the present state: that alone is no sign that this one lasts.
                if state != self._latest or count > 1:
                    self._losses = 0
                if state != self._latest:
                    self._latest = state
                    yield state
        finally:
            call.cancel()


def _lost(why: str) -> Unavailable:
    return Unavailable(grpc.StatusCode.UNAVAILABLE, why)
