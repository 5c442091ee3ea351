"""API keys, as tenants and operators ask for them: make, list, rotate, revoke."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
from server.security.api_keys import KeyRing
from server.store.port import CallerKeyEnded, ControlStore, KeyNotActive, KeyPosition, RequestConflict

MAX_OVERLAP_SECONDS = 604_800
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


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
        """
        content = {"name": new.name, "scopes": new.scopes, "expires_at": str(new.expires_at)}
        request = request_key(new.tenant_id or "", "CreateApiKey", request_id, content)
        try:
            if request is not None and (earlier := await self._store.find_key_request(request)):
                return Made(earlier, "")
            now = datetime.now(UTC)
            if faults := key_faults(new, now):
                raise InvalidRequest(faults)
            scopes = tuple(dict.fromkeys(map(Scope, new.scopes)))
            _require_held(caller, scopes)
            await self._require_tenant(new.tenant_id)
            key, secret = self._fresh(new.tenant_id, new.name, scopes, now, new.expires_at)
            return _made(await self._store.create_api_key(key, by=by, request=request), key, secret)
        except CallerKeyEnded:
            raise Unauthenticated from None
        except RequestConflict:
            raise RequestIdReused from None

    async def rotate(
        self, owner: str | None, key_id: str, caller: Principal, by: Actor, *, overlap_seconds: int, request_id: str
    ) -> Made:
        """Make the successor of a key: with its name and scopes, and as long a life, if it has an end.

        Raises:
            InvalidRequest, ApiKeyNotFound, ApiKeyNotActive, ScopeNotHeld, RequestIdReused.
        """
        content = {"key_id": key_id, "overlap_seconds": overlap_seconds}
        request = request_key(owner or "", "RotateApiKey", request_id, content)
        try:
            if request is not None and (earlier := await self._store.find_key_request(request)):
                return Made(earlier, "")
            if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
                message = f"overlap_seconds is 0 to {MAX_OVERLAP_SECONDS}"
                raise InvalidRequest([Fault("INVALID_FIELD", message, field="overlap_seconds")])
            old, now = await self._owned(owner, key_id), datetime.now(UTC)
            # Whoever rotates a key holds its successor.
            _require_held(caller, old.scopes)
            expires_at = _later(now, old.expires_at - old.created_at) if old.expires_at else None
            key, secret = self._fresh(owner, old.name, old.scopes, now, expires_at)
            stored = await self._store.rotate_api_key(
                key_id, key, overlap_seconds=overlap_seconds, by=by, request=request
            )
            return _made(stored, key, secret)
        except CallerKeyEnded:
            raise Unauthenticated from None
        except KeyNotActive:
            raise ApiKeyNotActive from None
        except RequestConflict:
            raise RequestIdReused from None

    async def revoke(self, owner: str | None, key_id: str, by: Actor) -> ApiKey:
        """End a key. Raises ApiKeyNotFound."""
        return await self._store.revoke_api_key(await self._owned(owner, key_id), by=by)

    async def list(self, owner: str | None, *, after: KeyPosition | None, limit: int) -> list[ApiKey]:
        """Keys, newest first, behind `after`. Raises TenantNotFound."""
        if owner is not None and await self._store.get_tenant(owner) is None:
            raise TenantNotFound
        return await self._store.list_api_keys(owner, after=after, limit=limit)

    def _fresh(
        self, owner: str | None, name: str, scopes: tuple[Scope, ...], now: datetime, expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        secret = self._ring.make()
        key = ApiKey(
            key_id=secret.key_id,
            tenant_id=owner,
            name=name,
            scopes=scopes,
            digest=secret.digest,
            created_at=now,
            expires_at=expires_at,
        )
        return key, secret.text

    async def _owned(self, owner: str | None, key_id: str) -> ApiKey:
        key = await self._store.find_api_key(key_id)
        if key is None or key.tenant_id != owner:
            raise ApiKeyNotFound
        return key

    async def _require_tenant(self, owner: str | None) -> None:
        tenant = await self._store.get_tenant(owner) if owner is not None else None
        if owner is not None and tenant is None:
            raise TenantNotFound
        if tenant is not None and tenant.state is TenantState.OFFBOARDED:
            raise TenantNotActive("The tenant has been offboarded.")


def _later(now: datetime, life: timedelta) -> datetime:
    """When a life that begins now is over; it may have been meant to last for ever."""
    return now + min(life, _LAST - now)


def _made(stored: ApiKey, key: ApiKey, secret: str) -> Made:
    """Another repetition of the request may have been faster."""
    return Made(stored, secret if stored.key_id == key.key_id else "")


def _require_held(caller: Principal, scopes: Iterable[Scope]) -> None:
    if missing := [scope for scope in scopes if not caller.may(scope)]:
        raise ScopeNotHeld(f"This API key lacks the scope {' and '.join(missing)}, which the new one would have.")
