"""Work that is done on the event loop as long as it is short there."""

from collections.abc import Awaitable, Callable, Hashable, Iterable
from time import monotonic, thread_time
from typing import TypeVar

T = TypeVar("T")
InThread = Callable[[Callable[[], T]], Awaitable[T]]

# Of the processor's time.
_SHORT_SECONDS = 0.003
# What is not short for a wait: other processes have the processor for some milliseconds at a time.
_LONG_WAIT_SECONDS = 0.01
_SPARED_SECONDS = 1.0
# Characters.
_SMALL = 1_000


class Brevity:
    """Does on the event loop what was short the last time: a way to a thread and back is longer then.

    On the loop a wait counts as well, for a slow disk say, after which the loop is spared for a second. In a thread it
    does not: there it waits for the event loop, and would never come back to it.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._brief = set[Hashable]()
        self._spared_until = dict[Hashable, float]()

    def is_brief(self, what: Hashable) -> bool:
        """Whether it may be done on the loop; not before it was done for the first time."""
        return what in self._brief

    def note(self, what: Hashable, worked: float, took: float, *, on_loop: bool) -> None:
        """Take in how many seconds of the processor it took, and how many there were from its beginning to its end."""
        now = self._clock()
        if on_loop and took >= _LONG_WAIT_SECONDS:
            self._brief.discard(what)
            self._spared_until[what] = now + _SPARED_SECONDS
        elif worked >= _SHORT_SECONDS:
            self._brief.discard(what)
        elif now >= self._spared_until.get(what, now):
            self._brief.add(what)

    async def do(self, what: Hashable, work: Callable[[], T], in_thread: InThread[T], *, given: Iterable[str]) -> T:
        """Do it on the loop or in a thread; raises what it raises.

        `given`: texts that are others each time. With long ones it may be long, too, and is done in a thread.
        """
        on_loop = self.is_brief(what) and sum(map(len, given)) <= _SMALL

        def timed() -> T:
            began, worked = monotonic(), thread_time()
            try:
                return work()
            finally:
                self.note(what, thread_time() - worked, monotonic() - began, on_loop=on_loop)

        return timed() if on_loop else await in_thread(timed)
