"""Messages to people, and what becomes of them after the step that wrote them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from server.domain.pipeline import Retry
from server.domain.record import Record

GIVE_UP_SECONDS = 86_400.0
"""How long a message is tried: a day, so that neither a night nor a failed host between two shifts loses it."""
SLOW_SECONDS = 900.0
"""Between two tries of what somebody has to mend first, such as a wrong password."""
# 30 s, 1, 2, 4 ... minutes, then every hour.
_RETRY = Retry(max_attempts=10, backoff_seconds=30)

Severity = Literal["INFO", "WARNING", "ERROR"]


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "EMAIL"
    SLACK = "SLACK"


class DeliveryState(StrEnum):
    """Where a message stands for one recipient. The last two never change."""

    QUEUED = "QUEUED"
    """It is to be tried, for the first time or again."""
    DELIVERED = "DELIVERED"
    """The recipient's server has taken it."""
    FAILED = "FAILED"
    """It was refused for good, or a day of tries was for nothing."""


class Mail(Record):
    """A mail, without what only the sending of it adds."""

    channel: Literal[Channel.EMAIL] = Channel.EMAIL
    severity: Severity
    to: tuple[str, ...]
    subject: str
    text: str
    html: str = ""
    """The same for readers who show HTML; '' for text alone."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses, each once."""
        return tuple(dict.fromkeys(self.to))


class SlackMessage(Record):
    """What is posted to an incoming webhook of Slack's."""

    channel: Literal[Channel.SLACK] = Channel.SLACK
    severity: Severity
    credential: str = ""
    """The tenant's credential that has the webhook's address, which is a secret; '' for the installation's own."""
    payload: dict[str, Any]

    @property
    def recipients(self) -> tuple[str, ...]:
        """The webhook, by its name."""
        return (self.credential or "the installation's webhook",)


Message = Annotated[Mail | SlackMessage, Field(discriminator="channel")]
_MESSAGE: TypeAdapter[Mail | SlackMessage] = TypeAdapter(Message)


def message_of(text: str) -> Mail | SlackMessage:
    """A stored message. Raises ValueError for one of a version that knows other forms."""
    return _MESSAGE.validate_json(text)


def message_id(pipeline_logging_id: str, step_id: str) -> str:
    """The Message-ID of a step's message: the same however often the step or the message is tried (RFC 5322, 3.6.4)."""
    return f"<{pipeline_logging_id}.{step_id}@convergence>"


class Delivery(Record):
    """What has become of a step's message for one recipient."""

    step_id: str
    message_id: str
    channel: Channel
    severity: Severity
    recipient: str
    """A mail address, or which webhook."""
    state: DeliveryState = DeliveryState.QUEUED
    tries: int = 0
    note: str = ""
    """Why it was not delivered so far, or where it was left, in a sentence without secrets."""
    queued_at: datetime
    tried_at: datetime | None = None
    next_try_at: datetime | None = None
    """When it is tried next, at the latest; only while it is QUEUED."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try came to for one recipient."""

    state: DeliveryState
    note: str = ""
    at_least: float = 0.0
    """Seconds until another try makes sense; the server said so, or somebody has to mend something."""
    needs_operator: bool = False
    """The installation's own settings or accounts are what is wrong."""


def delivered(note: str = "") -> Outcome:
    """It has arrived."""
    return Outcome(DeliveryState.DELIVERED, note)


def refused(note: str) -> Outcome:
    """It will never arrive."""
    return Outcome(DeliveryState.FAILED, note)


def later(note: str, *, at_least: float = 0.0) -> Outcome:
    """It may arrive another time."""
    return Outcome(DeliveryState.QUEUED, note, at_least)


def misconfigured(note: str) -> Outcome:
    """It may arrive once an operator has mended something."""
    return Outcome(DeliveryState.QUEUED, note, SLOW_SECONDS, needs_operator=True)


def pause_after(tries: int, outcomes: Iterable[Outcome], chance: float) -> float:
    """Seconds until the next try, after so many; `chance`, 0 to 1, keeps those that failed together apart."""
    return max([_RETRY.pause(tries, chance), *(outcome.at_least for outcome in outcomes)])
