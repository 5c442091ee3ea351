"""What the loop asks of whoever sends messages of one channel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.domain.delivery import Mail, Outcome, SlackMessage


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One try of one message."""

    tenant_id: str
    message_id: str
    message: Mail | SlackMessage
    waiting: tuple[str, ...]
    """The recipients that it is for this time."""
    queued_at: datetime


Outcomes = dict[str, Outcome]
"""What a try came to, by recipient."""


def for_all(dispatch: Dispatch, outcome: Outcome) -> Outcomes:
    """One outcome for every recipient."""
    return dict.fromkeys(dispatch.waiting, outcome)


class Sender(Protocol):
    """Sends messages of one channel."""

    @property
    def timeout_seconds(self) -> float:
        """How long one try takes at most; what is longer is broken off."""
        ...

    async def send(self, dispatch: Dispatch) -> Outcomes:
        """Try a message, once; an outcome for each recipient that is waiting."""
        ...
