"""API keys, as tenants and operators ask for them: make, list, rotate, revoke."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from server.domain.audit import Actor
from server.domain.faults import Fault
from server.domain.tenant import ApiKey, NewKey, Principal, Scope, TenantState, key_faults
from server.errors import (
    ApiKeyNotActive,
    ApiKeyNotFound,
    InvalidRequest,
    RequestIdReused,
    ScopeNotHeld,
    TenantNotActive,
    TenantNotFound,
    Unauthenticated,
)
from server.runs import request_key
from server.security.api_keys import KeyRing, NewSecret
from server.store.port import (
    CallerKeyEnded,
    ControlStore,
    KeyNotActive,
    KeyPosition,
    RequestConflict,
    RequestKey,
    TenantGone,
)

MAX_OVERLAP_SECONDS = 604_800
_OFFBOARDED = "The tenant has been offboarded."


@dataclass(frozen=True, slots=True)
class Made:
    """A new key."""

    key: ApiKey
    secret: str
    """The key's text; '' when the request is a repetition, for it is shown once."""


class ApiKeys:
    """The use cases around keys. An owner is a tenant's id, or None for the operators."""

    def __init__(self, store: ControlStore, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring

    async def create(self, new: NewKey, caller: Principal, by: Actor, *, request_id: str) -> Made:
        """Make a key.

        Raises:
            InvalidRequest: with every fault. TenantNotFound, TenantNotActive, ScopeNotHeld, RequestIdReused.
            Unauthenticated: the caller's own key has ended in the meantime.
        """
        content = {"name": new.name, "scopes": new.scopes, "expires_at": str(new.expires_at)}
        request = request_key(new.tenant_id or "", "CreateApiKey", request_id, content)
        if earlier := await self._earlier(request):
            return earlier
        if faults := key_faults(new, datetime.now(UTC)):
            raise InvalidRequest(faults)
        scopes = tuple(dict.fromkeys(map(Scope, new.scopes)))
        _require_held(caller, scopes)
        await self._require_tenant(new.tenant_id)
        secret = self._ring.make()
        key = new_key(secret, new.tenant_id, new.name, scopes, expires_at=new.expires_at)
        return await _made(self._store.create_api_key(key, by=by, request=request), secret)

    async def rotate(
        self, owner: str | None, key_id: str, caller: Principal, by: Actor, *, overlap_seconds: int, request_id: str
    ) -> Made:
        """Make the successor of a key: with its name and scopes, and as long a life, if it has an end.

        Raises:
            InvalidRequest, ApiKeyNotFound, ApiKeyNotActive, ScopeNotHeld, RequestIdReused.
            Unauthenticated: the caller's own key has ended in the meantime.
        """
        content = {"key_id": key_id, "overlap_seconds": overlap_seconds}
        request = request_key(owner or "", "RotateApiKey", request_id, content)
        if earlier := await self._earlier(request):
            return earlier
        if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
            message = f"overlap_seconds is 0 to {MAX_OVERLAP_SECONDS}"
            raise InvalidRequest([Fault("INVALID_FIELD", message, field="overlap_seconds")])
        old = await self._owned(owner, key_id)
        # Whoever rotates a key holds its successor.
        _require_held(caller, old.scopes)
        secret = self._ring.make()
        key = new_key(secret, owner, old.name, old.scopes)
        storing = self._store.rotate_api_key(key_id, key, overlap_seconds=overlap_seconds, by=by, request=request)
        return await _made(storing, secret)

    async def revoke(self, owner: str | None, key_id: str, by: Actor) -> ApiKey:
        """End a key. Raises ApiKeyNotFound."""
        return await self._store.revoke_api_key(await self._owned(owner, key_id), by=by)

    async def list(self, owner: str | None, *, after: KeyPosition | None, limit: int) -> list[ApiKey]:
        """Keys, newest first, behind `after`. Raises TenantNotFound."""
        if owner is not None and await self._store.get_tenant(owner) is None:
            raise TenantNotFound
        return await self._store.list_api_keys(owner, after=after, limit=limit)

    async def _earlier(self, request: RequestKey | None) -> Made | None:
        """What the same request has made before. Raises RequestIdReused."""
        try:
            earlier = await self._store.find_key_request(request) if request is not None else None
        except RequestConflict:
            raise RequestIdReused from None
        return Made(earlier, "") if earlier else None

    async def _owned(self, owner: str | None, key_id: str) -> ApiKey:
        key = await self._store.find_api_key(key_id)
        if key is None or key.tenant_id != owner:
            raise ApiKeyNotFound
        return key

    async def _require_tenant(self, owner: str | None) -> None:
        if owner is None:
            return
        tenant = await self._store.get_tenant(owner)
        if tenant is None:
            raise TenantNotFound
        if tenant.state is TenantState.OFFBOARDED:
            raise TenantNotActive(_OFFBOARDED)


def new_key(
    secret: NewSecret,
    owner: str | None,
    name: str,
    scopes: tuple[Scope, ...],
    *,
    expires_at: datetime | None = None,
) -> ApiKey:
    """The record of a key that is about to be stored."""
    return ApiKey(
        key_id=secret.key_id,
        tenant_id=owner,
        name=name,
        scopes=scopes,
        digest=secret.digest,
        created_at=datetime.now(UTC),
        expires_at=expires_at,
    )


async def _made(storing: Awaitable[ApiKey], secret: NewSecret) -> Made:
    """The key that is stored, and its text unless another repetition of the request was faster."""
    try:
        stored = await storing
    except CallerKeyEnded:
        raise Unauthenticated from None
    except KeyNotActive:
        raise ApiKeyNotActive from None
    except TenantGone:
        raise TenantNotActive(_OFFBOARDED) from None
    except RequestConflict:
        raise RequestIdReused from None
    return Made(stored, secret.text if stored.key_id == secret.key_id else "")


def _require_held(caller: Principal, scopes: Iterable[Scope]) -> None:
    if missing := [scope for scope in scopes if not caller.may(scope)]:
        raise ScopeNotHeld(f"This API key lacks the scope {' and '.join(missing)}, which the new one would have.")
