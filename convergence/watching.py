"""Following a run over connections that come and go."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import grpc
import grpc.aio

from convergence.errors import ConvergenceError, Unavailable, translate
from convergence.v1.pipeline_service_pb2 import GetRunStatusRequest
from convergence.v1.run_pb2 import Run, RunEvent

ENDED = frozenset({Run.SUCCESS, Run.FAILED, Run.CANCELLED, Run.TIMED_OUT})
"""The statuses of a run that has ended; they never change."""

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


class Watch:
    """The events of one run, each once and in order, whatever happens to the connection."""

    def __init__(
        self,
        open_stream: Callable[[int], EventCall],
        after_sequence: int,
        patience: Patience,
        on_connection_loss: Callable[[], None] | None = None,
    ) -> None:
        self._open_stream = open_stream
        self._on_connection_loss = on_connection_loss
        self._start = self._after = after_sequence
        self._patience = patience
        self._losses = 0
        self._lost_at = 0.0

    async def events(self) -> AsyncGenerator[RunEvent, None]:
        """Events until the run ends.

        Raises:
            ConvergenceError: the service refused the request.
            Unavailable: the connection was lost and could not be made again in time.
        """
        while True:
            try:
                async with aclosing(self._received()) as received:
                    async for event in received:
                        yield event
                        if ends_run(event):
                            return
                if self._is_at_end():
                    return
                loss: ConvergenceError = _lost("the server ended the stream before the run had ended")
            except ConvergenceError as error:
                if not error.is_connection_loss:
                    raise
                loss = error
            await self._wait_after(loss)

    def _is_at_end(self) -> bool:
        """There never was an event after the first position: whoever asked had seen the last one already."""
        return self._after == self._start > 0

    async def _received(self) -> AsyncGenerator[RunEvent, None]:
        """New events of one connection; ends with it, and where an event is missing."""
        call = self._open_stream(self._after)
        try:
            while (event := await self._next(call)) is not None:
                if event.sequence > self._after + 1 and not event.earlier_removed:
                    raise _lost(f"event {self._after + 1} is missing before event {event.sequence}")
                self._losses = 0
                if event.sequence > self._after:
                    self._after = event.sequence
                    yield event
        finally:
            call.cancel()

    async def _next(self, call: EventCall) -> RunEvent | None:
        """The next message, or None at the end of the stream."""
        try:
            async with asyncio.timeout(self._patience.silence):
                event = await call.read()
        except TimeoutError:
            raise _lost(f"no sign of life for {self._patience.silence:g} seconds") from None
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
        return event if isinstance(event, RunEvent) else None

    async def _wait_after(self, loss: ConvergenceError) -> None:
        now = time.monotonic()
        self._losses += 1
        if self._losses == 1:
            self._lost_at = now
            if self._on_connection_loss:
                self._on_connection_loss()
        elif now - self._lost_at > self._patience.give_up:
            raise Unavailable(grpc.StatusCode.UNAVAILABLE, f"lost the connection to the run: {loss.message}") from loss
        await asyncio.sleep(self._patience.pause(self._losses))


def _lost(why: str) -> Unavailable:
    return Unavailable(grpc.StatusCode.UNAVAILABLE, why)
