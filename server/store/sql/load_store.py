"""The part of the store that knows what tables were loaded from."""

from collections.abc import Sequence

from server.domain.load import LoadRecord
from server.store.port import Lease
from server.store.sql import leases, loads
from server.store.sql.credential_store import SqlCredentialStore


class SqlLoadStore(SqlCredentialStore):
    """What the ControlStore tells of loads."""

    async def loads(
        self, tenant_id: str, table: str, partition: str | None = None, *, uris: Sequence[str] | None = None
    ) -> list[LoadRecord]:
        """See the port."""
        return await self._db.read(lambda tx: loads.loads(tx, tenant_id, table, partition, uris))

    async def begun_loads(self, tenant_id: str, table: str) -> list[LoadRecord]:
        """See the port."""
        return await self._db.read(lambda tx: loads.begun(tx, tenant_id, table))

    async def end_load(self, lease: Lease, effect_id: str, *, is_committed: bool) -> None:
        """See the port."""
        await self._db.write(lambda tx: leases.end_load(tx, lease, effect_id, is_committed=is_committed))
