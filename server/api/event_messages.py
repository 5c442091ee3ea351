"""The messages of a run's events."""

import weakref

from convergence.v1 import run_pb2
from server.api import convert
from server.domain.run import RunEvent


class EventMessages:
    """Makes each message once: all who keep up with a run are given the same event."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[weakref.ref[RunEvent], run_pb2.RunEvent]] = {}
        """By the identity of the event, for as long as that lives: equality would compare whole runs."""

    def of(self, event: RunEvent | None) -> run_pb2.RunEvent:
        """The message, which nobody may change; of None it is a heartbeat."""
        if event is None:
            return convert.event(None)
        key = id(event)
        if key not in self._made:
            self._made[key] = (weakref.ref(event, lambda _: self._made.pop(key)), convert.event(event))
        return self._made[key][1]
