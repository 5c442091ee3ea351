"""The part of the store by which workers tell how they are."""

from server.store.health_port import Health, WorkerReport
from server.store.sql import health
from server.store.sql.database import Database


class SqlHealthStore:
    """A HealthStore in an SQL database."""

    _db: Database

    async def report_worker(self, report: WorkerReport) -> None:
        """See the port."""
        await self._db.write(lambda tx: health.report(tx, report))

    async def forget_worker(self, worker_id: str) -> None:
        """See the port."""
        await self._db.write(lambda tx: health.forget(tx, worker_id))

    async def health(self) -> Health:
        """See the port."""
        return await self._db.read(health.health)
