"""The port of the store that keeps messages to people until they have arrived. The control store fills it too."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.domain.delivery import Channel, Delivery, Outcome


@dataclass(frozen=True, slots=True)
class DeliveryClaim:
    """A message that one worker may try now. `number` grows with each claim and fences the earlier ones off."""

    tenant_id: str
    pipeline_logging_id: str
    step_id: str
    channel: Channel
    number: int
    content: str
    """As `server.domain.delivery.message_of` reads it."""
    queued_at: datetime
    waiting: tuple[str, ...]
    """The recipients that it has not reached."""
    tries: int
    """Those before."""


class DeliveryStore(Protocol):
    """Deliveries by run and step. Each method may raise StoreBusy."""

    @property
    def version(self) -> int:
        """See `ControlStore`."""
        ...

    async def wait_for_change(self, seen: int, timeout: float) -> int:  # noqa: ASYNC109
        """See `ControlStore`."""
        ...

    async def claim_delivery(
        self, worker_id: str, channel: Channel, *, skip: Collection[str], lease_seconds: float
    ) -> DeliveryClaim | None:
        """Have the channel's message that is due longest for a while, without those of the tenants in `skip`.

        Unless the try is recorded by then, the message is due again; at once when the worker is known to be dead.
        """
        ...

    async def record_delivery(
        self, claim: DeliveryClaim, outcomes: Mapping[str, Outcome], *, pause_seconds: float
    ) -> list[Delivery]:
        """Record what a try came to by recipient, and when the next one is; answers those recipients as they stand.

        A message that is older than GIVE_UP_SECONDS by then is not tried again. Nothing changes, and the answer is
        empty, when another worker has claimed the message since, or retention has removed it.
        """
        ...

    async def release_deliveries(self, worker_id: str) -> None:
        """The worker ends: what it has claimed is due at once."""
        ...
