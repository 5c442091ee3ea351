"""The port of the store that keeps credentials: it never sees a secret, only what is sealed.

The control store fills it too; what executes runs has no need of it.
"""

from typing import Protocol

from server.domain.audit import Actor
from server.domain.credential import Credential, Sealed
from server.store.port import RequestKey

MASTER_KEY_FACT = "master key"
"""The fact (see `ControlStore.fact`) that names the master key which everybody wraps with."""


class VersionTaken(Exception):
    """Somebody else has stored that version in the meantime, or all have agreed on another master key."""


class TooManyNames(Exception):
    """The tenant has as many credentials as it may."""


class CredentialStore(Protocol):
    """Credentials by tenant, name and version. Each method may raise StoreBusy."""

    async def add_credential(
        self, credential: Credential, *, by: Actor, request: RequestKey | None, most_names: int
    ) -> Credential:
        """Store the next version; the same request again answers what it has made.

        Raises:
            VersionTaken, RequestConflict, TenantGone.
            TooManyNames: it would be the tenant's first under a name beyond `most_names`.
        """
        ...

    async def find_credential_request(self, request: RequestKey) -> Credential | None:
        """What an earlier, equal request made, or None. Raises RequestConflict."""
        ...

    async def last_credential(self, tenant_id: str, name: str) -> Credential | None:
        """The latest version of that name, which may be deleted, or None."""
        ...

    async def find_credential(self, tenant_id: str, name: str, version: int) -> Credential | None:
        """One version, or None."""
        ...

    async def list_credentials(self, tenant_id: str, *, after: str, limit: int) -> list[Credential]:
        """The latest versions by name, beginning behind `after`; without those that are deleted."""
        ...

    async def delete_credential(self, tenant_id: str, name: str, *, by: Actor) -> bool:
        """Destroy every version of that name; False when there was none."""
        ...

    async def note_credential_check(self, credential: Credential, status: str, *, by: Actor) -> Credential:
        """Remember what a check came to, now."""
        ...

    async def note_credential_use(self, credential: Credential) -> None:
        """Remember that the credential was used now."""
        ...

    async def credentials_to_rewrap(self, key_id: str, *, limit: int) -> list[Credential]:
        """Credentials, also old versions, whose keys are wrapped by another master key than that."""
        ...

    async def replace_sealed(self, credential: Credential, sealed: Sealed) -> bool:
        """Store the secret as it is sealed now, unless it has changed or gone; True when it was stored."""
        ...

    async def master_key_uses(self) -> dict[str, int]:
        """How many secrets are under each master key."""
        ...

    async def replace_fact(self, name: str, value: str) -> None:
        """Have all servers agree on another fact; see `ControlStore.agree`."""
        ...
