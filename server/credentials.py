"""Credentials, as tenants ask for them: put, list, check, delete. Nothing here ever answers with a secret."""

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from server.credential_forms import Secret, hide, opened, read_secret
from server.domain.audit import Actor
from server.domain.credential import Credential, CredentialKind, is_credential_name
from server.domain.faults import Fault
from server.domain.tenant import TenantState
from server.domain.webhook import WebhookHosts
from server.errors import (
    CredentialNotFound,
    CredentialUnreadable,
    InvalidRequest,
    MasterKeyUnavailable,
    RequestIdReused,
    TenantNotActive,
    TenantNotFound,
    TooManyCredentials,
)
from server.master_key import MasterKey
from server.providers import Providers, Verdict
from server.runs import request_key
from server.security.api_keys import KeyRing
from server.security.envelope import DoesNotOpen, MasterKeyMissing, Vault
from server.store.credential_port import CredentialStore, TooManyNames, VersionTaken
from server.store.port import ControlStore, RequestConflict, TenantGone

MOST_NAMES = 100
"""Credentials that a tenant may have."""
_OFFBOARDED = "The tenant has been offboarded."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What somebody says of a credential that is to be stored."""

    tenant_id: str
    name: str
    kind: CredentialKind
    secret: str


class Credentials:
    """The use cases around credentials."""

    def __init__(
        self,
        tenants: ControlStore,
        store: CredentialStore,
        master: MasterKey,
        ring: KeyRing,
        providers: Providers,
        *,
        webhook_hosts: WebhookHosts,
    ) -> None:
        self._tenants = tenants
        self._store = store
        self._master = master
        self._vault = Vault(master.keys)
        self._ring = ring
        self._providers = providers
        self._webhook_hosts = webhook_hosts

    async def put(self, new: NewCredential, by: Actor, *, request_id: str) -> Credential:
        """Store a secret as the next version under its name.

        Raises:
            InvalidRequest: with every fault. TenantNotFound, TenantNotActive, RequestIdReused, TooManyCredentials,
                MasterKeyUnavailable.
        """
        secret = self._read(new)
        await self._require_tenant(new.tenant_id)
        hide(secret)
        plain = secret.model_dump_json().encode()
        fingerprint = self._ring.fingerprint_of(json.dumps([new.tenant_id, new.kind]).encode() + plain)
        content = {"name": new.name, "kind": new.kind, "fingerprint": fingerprint}
        request = request_key(new.tenant_id, "PutCredential", request_id, content)
        try:
            while True:
                if request is not None and (earlier := await self._store.find_credential_request(request)):
                    return earlier
                credential = await self._sealed(new, plain, fingerprint)
                with suppress(VersionTaken):
                    return await self._store.add_credential(credential, by=by, request=request, most_names=MOST_NAMES)
        except RequestConflict:
            raise RequestIdReused from None
        except TenantGone:
            raise TenantNotActive(_OFFBOARDED) from None
        except TooManyNames:
            raise TooManyCredentials(f"A tenant has at most {MOST_NAMES} credentials. Delete one first.") from None
        except MasterKeyMissing as missing:
            logger.critical("A credential cannot be stored: %s", missing)
            raise MasterKeyUnavailable from None

    def _read(self, new: NewCredential) -> Secret:
        """What is to be stored. Raises InvalidRequest with what is wrong with its name and with its fields."""
        message = "a credential's name is 1 to 63 lower-case letters, digits and _, and starts with a letter"
        faults = [] if is_credential_name(new.name) else [Fault("INVALID_NAME", message, field="name")]
        try:
            secret = read_secret(new.kind, new.secret, hosts=self._webhook_hosts)
        except InvalidRequest as refused:
            raise InvalidRequest([*faults, *refused.faults]) from None
        if faults:
            raise InvalidRequest(faults)
        return secret

    async def _sealed(self, new: NewCredential, plain: bytes, fingerprint: str) -> Credential:
        """The secret as the version that is the next one now. Raises MasterKeyMissing."""
        await self._master.ensure()
        last = await self._store.last_credential(new.tenant_id, new.name)
        credential = Credential(
            tenant_id=new.tenant_id,
            name=new.name,
            version=last.version + 1 if last else 1,
            kind=new.kind,
            fingerprint=fingerprint,
            sealed=None,
            created_at=datetime.now(UTC),
        )
        return credential.model_copy(update={"sealed": await self._vault.seal(plain, credential)})

    async def list(self, tenant_id: str, *, after: str, limit: int) -> list[Credential]:
        """The latest versions by name, beginning behind `after`. Raises TenantNotFound."""
        if await self._tenants.get_tenant(tenant_id) is None:
            raise TenantNotFound
        return await self._store.list_credentials(tenant_id, after=after, limit=limit)

    async def check(self, tenant_id: str, name: str, by: Actor) -> tuple[Credential, Verdict]:
        """Try a credential against its provider.

        Raises:
            CredentialNotFound, CredentialUnreadable, MasterKeyUnavailable, ProviderUnavailable.
        """
        credential = await self._store.last_credential(tenant_id, name)
        if credential is None or credential.deleted_at is not None:
            raise CredentialNotFound
        try:
            secret = opened(credential.kind, await self._vault.open(credential))
        except MasterKeyMissing as missing:
            logger.critical("A credential cannot be opened: %s", missing)
            raise MasterKeyUnavailable from None
        except DoesNotOpen:
            logger.critical("Credential %s of %s, version %s, does not open", name, tenant_id, credential.version)
            raise CredentialUnreadable from None
        verdict = await self._providers.check(tenant_id, secret)
        return await self._store.note_credential_check(credential, verdict.status, by=by), verdict

    async def delete(self, tenant_id: str, name: str, by: Actor) -> None:
        """Destroy every version. Raises CredentialNotFound."""
        if not await self._store.delete_credential(tenant_id, name, by=by):
            raise CredentialNotFound

    async def _require_tenant(self, tenant_id: str) -> None:
        tenant = await self._tenants.get_tenant(tenant_id)
        if tenant is None:
            raise TenantNotFound
        if tenant.state is TenantState.OFFBOARDED:
            raise TenantNotActive(_OFFBOARDED)
