"""The part of the store that keeps credentials."""

from collections.abc import Collection, Mapping

from server.domain.audit import Actor
from server.domain.credential import Credential, CredentialKind, Sealed
from server.domain.tenant import Tenant
from server.store.port import RequestKey
from server.store.sql import credentials, tenants
from server.store.sql.database import Database


class SqlCredentialStore:
    """A CredentialStore in an SQL database, and what the ControlStore tells of credentials."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def tenant_and_credentials(self, tenant_id: str) -> tuple[Tenant, Mapping[str, CredentialKind]] | None:
        """See the port."""
        return await self._db.read(lambda tx: credentials.tenant_and_credentials(tx, tenant_id))

    async def tenant_credentials(self, tenant_id: str, names: Collection[str]) -> list[Credential]:
        """See the port."""
        return await self._db.read(lambda tx: credentials.tenant_credentials(tx, tenant_id, sorted(names)))

    async def destroy_superseded_credentials(self) -> int:
        """See the port."""
        return await self._db.write(credentials.destroy_superseded, is_long=True)

    async def add_credential(
        self, credential: Credential, *, by: Actor, request: RequestKey | None, most_names: int
    ) -> Credential:
        """See the port."""
        return await self._db.write(lambda tx: credentials.add(tx, credential, by, request, most_names=most_names))

    async def find_credential_request(self, request: RequestKey) -> Credential | None:
        """See the port."""
        return await self._db.read(lambda tx: credentials.find_request(tx, request))

    async def last_credential(self, tenant_id: str, name: str) -> Credential | None:
        """See the port."""
        return await self._db.read(lambda tx: credentials.last_version(tx, tenant_id, name))

    async def find_credential(self, tenant_id: str, name: str, version: int) -> Credential | None:
        """See the port."""
        return await self._db.read(lambda tx: credentials.find(tx, tenant_id, name, version))

    async def list_credentials(self, tenant_id: str, *, after: str, limit: int) -> list[Credential]:
        """See the port."""
        return await self._db.read(lambda tx: credentials.list_latest(tx, tenant_id, after, limit))

    async def delete_credential(self, tenant_id: str, name: str, *, by: Actor) -> bool:
        """See the port."""
        return await self._db.write(lambda tx: credentials.delete(tx, tenant_id, name, by))

    async def note_credential_check(self, credential: Credential, status: str, *, by: Actor) -> Credential:
        """See the port."""
        return await self._db.write(lambda tx: credentials.note_check(tx, credential, status, by))

    async def note_credential_use(self, credential: Credential) -> None:
        """See the port."""
        await self._db.write(lambda tx: credentials.note_use(tx, credential))

    async def credentials_to_rewrap(self, key_id: str, *, limit: int) -> list[Credential]:
        """See the port."""
        return await self._db.read(lambda tx: credentials.to_rewrap(tx, key_id, limit))

    async def replace_sealed(self, credential: Credential, sealed: Sealed) -> bool:
        """See the port."""
        return await self._db.write(lambda tx: credentials.replace_sealed(tx, credential, sealed))

    async def master_key_uses(self) -> dict[str, int]:
        """See the port."""
        return await self._db.read(credentials.master_key_uses)

    async def replace_fact(self, name: str, value: str) -> None:
        """See the port."""
        await self._db.write(lambda tx: tenants.replace_fact(tx, name, value))
