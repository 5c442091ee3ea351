"""What a step gets of its tenant's credentials: the versions that were the latest when its run was claimed."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping

from server.credential_forms import Secret, ServiceAccountKey, Webhook, opened
from server.domain.credential import Credential
from server.domain.faults import Refused, refuse
from server.security.envelope import DoesNotOpen, MasterKeyMissing, MasterKeys, Vault
from server.store.credential_port import CredentialStore
from server.warehouse.port import Warehouse

_MOST_WAREHOUSES = 32
_NOTE_SECONDS = 30.0

logger = logging.getLogger(__name__)

_Place = tuple[str, str, int]


class CredentialReader:
    """Opens credentials for the steps of one worker."""

    def __init__(
        self, store: CredentialStore, keys: MasterKeys, warehouse: Warehouse, *, google_token_uri: str
    ) -> None:
        self._store = store
        self._vault = Vault(keys)
        self._warehouse = warehouse
        self._google_token_uri = google_token_uri
        self._seen_by = OrderedDict[_Place, Warehouse]()
        """The warehouse as tenants' accounts see it; the one that was used last stands last."""
        self._noted: dict[_Place, float] = {}

    async def secret(self, tenant_id: str, name: str, version: int) -> dict[str, str]:
        """A secret, by the fields of its kind. Raises Refused."""
        credential = await self._credential(tenant_id, name, version)
        secret = await self._opened(credential)
        await self._note_use(credential)
        return {"kind": credential.kind.value, **secret.model_dump()}

    async def webhook(self, tenant_id: str, name: str) -> str:
        """The address in the latest version of a Slack webhook: messages outlive their runs. Raises Refused."""
        last = await self._store.last_credential(tenant_id, name)
        credential = await self._credential(tenant_id, name, last.version if last else 0)
        secret = await self._opened(credential)
        if not isinstance(secret, Webhook):
            raise _refused("CREDENTIAL_NOT_FITTING", name, f"is {credential.kind}, and not a SLACK_WEBHOOK")
        await self._note_use(credential)
        return secret.url

    async def warehouse(self, tenant_id: str, name: str, version: int) -> Warehouse:
        """The warehouse as the service account sees it. Raises Refused."""
        credential = await self._credential(tenant_id, name, version)
        place = (tenant_id, name, version)
        if place not in self._seen_by:
            secret = await self._opened(credential)
            if not isinstance(secret, ServiceAccountKey):
                raise _refused("CREDENTIAL_NOT_FITTING", name, f"is {credential.kind}, and not a GCP_SERVICE_ACCOUNT")
            if place not in self._seen_by:
                key = secret.model_dump()
                self._seen_by[place] = self._warehouse.acting_as(key, token_uri=self._google_token_uri)
        account = self._seen_by[place]
        self._seen_by.move_to_end(place)
        if len(self._seen_by) > _MOST_WAREHOUSES:
            # A step that still uses it gets new connections.
            await self._seen_by.popitem(last=False)[1].close()
        await self._note_use(credential)
        return account

    async def close(self) -> None:
        """Release the connections."""
        while self._seen_by:
            await self._seen_by.popitem(last=False)[1].close()

    async def _credential(self, tenant_id: str, name: str, version: int) -> Credential:
        """The record as it is now: what was destroyed since the claim opens nothing any more."""
        credential = await self._store.find_credential(tenant_id, name, version)
        if credential is None or credential.sealed is None:
            if (account := self._seen_by.pop((tenant_id, name, version), None)) is not None:
                await account.close()
            raise _refused("CREDENTIAL_NOT_FOUND", name, "was deleted or replaced after the run was claimed")
        return credential

    async def _opened(self, credential: Credential) -> Secret:
        try:
            return opened(credential.kind, await self._vault.open(credential))
        except MasterKeyMissing as missing:
            logger.critical("A credential cannot be opened: %s", missing)
            raise _refused(
                "CREDENTIAL_UNREADABLE", credential.name, "cannot be opened by this worker; see its log"
            ) from None
        except DoesNotOpen:
            logger.critical("A credential of %s is damaged", credential.tenant_id)
            raise _refused("CREDENTIAL_UNREADABLE", credential.name, "is damaged; store it again") from None

    async def _note_use(self, credential: Credential) -> None:
        place, now = (credential.tenant_id, credential.name, credential.version), asyncio.get_running_loop().time()
        if now - self._noted.get(place, -_NOTE_SECONDS) >= _NOTE_SECONDS:
            self._noted = {other: time for other, time in self._noted.items() if now - time < _NOTE_SECONDS}
            self._noted[place] = now
            await self._store.note_credential_use(credential)


class StepCredentials:
    """The credentials of one attempt of one step."""

    def __init__(self, reader: CredentialReader, tenant_id: str, versions: Mapping[str, int]) -> None:
        self._reader = reader
        self._tenant_id = tenant_id
        self._versions = versions
        self._closed = False

    async def secret(self, name: str) -> dict[str, str]:
        """See `processors.base.Credentials`. Raises Refused."""
        return await self._reader.secret(self._tenant_id, name, self._version(name))

    async def warehouse(self, name: str) -> Warehouse:
        """The warehouse as that service account sees it. Raises Refused."""
        return await self._reader.warehouse(self._tenant_id, name, self._version(name))

    def close(self) -> None:
        """The attempt is over: nothing is opened any more."""
        self._closed = True

    def _version(self, name: str) -> int:
        if self._closed:
            raise _refused("ATTEMPT_ENDED", name, "was asked for by an attempt that has ended")
        if name not in self._versions:
            raise _refused("CREDENTIAL_NOT_FOUND", name, "was not there when the run was claimed")
        return self._versions[name]


def _refused(reason: str, name: str, message: str) -> Refused:
    return refuse(reason, f"the credential {name!r} {message}", field="credential")
