"""The part of the store that keeps messages to people."""

from collections.abc import Collection, Mapping

from server.domain.delivery import Channel, Delivery, Outcome
from server.store.delivery_port import DeliveryClaim
from server.store.sql import deliveries
from server.store.sql.database import Database


class SqlDeliveryStore:
    """A DeliveryStore in an SQL database."""

    _db: Database

    async def claim_delivery(
        self, worker_id: str, channel: Channel, *, skip: Collection[str], lease_seconds: float
    ) -> DeliveryClaim | None:
        """See the port."""
        others, lease = list(skip), int(lease_seconds * 1_000_000)
        # As for runs: a look keeps nobody from writing.
        if not await self._db.read(lambda tx: deliveries.is_due(tx, channel, others)):
            return None
        return await self._db.write(lambda tx: deliveries.claim(tx, worker_id, channel, others, lease))

    async def record_delivery(
        self, claim: DeliveryClaim, outcomes: Mapping[str, Outcome], *, pause_seconds: float
    ) -> list[Delivery]:
        """See the port."""
        pause = int(pause_seconds * 1_000_000)
        return await self._db.write(lambda tx: deliveries.record(tx, claim, outcomes, pause))

    async def release_deliveries(self, worker_id: str) -> None:
        """See the port."""
        await self._db.write(lambda tx: deliveries.release(tx, worker_id))
