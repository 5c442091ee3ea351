"""Which pipelines are prepared on the event loop."""

from collections.abc import Callable
from time import monotonic

from server.domain.pipeline import PipelineName

_SHORT_SECONDS = 0.003
_SPARED_SECONDS = 1.0


class Brevity:
    """Knows the pipelines whose preparation was short the last time: a way to a thread and back is longer then.

    On the loop all of its time counts; after a long one the loop is spared for a second. In a thread only its work
    counts: it waits there for the event loop, and would never come back to it.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._brief = set[PipelineName]()
        self._spared_until = dict[PipelineName, float]()

    def is_brief(self, name: PipelineName) -> bool:
        """Whether it may be prepared on the loop; not before it was prepared for the first time."""
        return name in self._brief

    def note(self, name: PipelineName, seconds: float, *, on_loop: bool) -> None:
        """Take in how long it took: on the loop from beginning to end, in a thread the time of the processor."""
        now = self._clock()
        if seconds >= _SHORT_SECONDS:
            self._brief.discard(name)
            if on_loop:
                self._spared_until[name] = now + _SPARED_SECONDS
        elif on_loop or now >= self._spared_until.get(name, now):
            self._brief.add(name)
