"""Who is calling: the API key of a call, looked up and remembered for a moment."""

import asyncio
import logging
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from time import monotonic
from urllib.parse import unquote

from server.domain.tenant import ApiKey, Principal
from server.errors import Unauthenticated, WrongKey
from server.security.api_keys import KeyRing, key_id_of
from server.store.port import ControlStore

# Revocation holds everywhere within five seconds; the rest is for the read.
_FRESH_SECONDS = 3.0
_MOST_KEYS = 10_000
# Keys that are looked up at a time and that this server has not seen.
_STRANGERS = 2
_NOTE_SECONDS = 30.0
# Wrong keys that cost an address nothing; one is forgotten each second.
_FREE_MISTAKES = 10
_PENALTY_SECONDS = 0.2
_LONGEST_PENALTY = 5.0
_MOST_ADDRESSES = 10_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    key: ApiKey
    fresh_until: float


class Authenticator:
    """Finds out who is calling, and when each key was used last."""

    def __init__(self, store: ControlStore, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reading: dict[str, asyncio.Task[ApiKey | None]] = {}
        self._used: dict[str, datetime] = {}
        self._strangers = asyncio.Semaphore(_STRANGERS)

    async def principal(self, metadata: tuple[tuple[str, str | bytes], ...]) -> Principal:
        """The holder of the one `x-api-key`. Raises Unauthenticated, the same for every cause; StoreBusy."""
        values = [value for name, value in metadata or () if name == "x-api-key"]
        if len(values) != 1 or not isinstance(values[0], str):
            raise Unauthenticated
        key_id = key_id_of(values[0])
        if key_id is None:
            raise Unauthenticated
        stored = await self._key(key_id)
        if stored is None or not self._ring.matches(values[0], stored.digest):
            raise WrongKey
        if not _is_valid(stored):
            raise Unauthenticated
        self._used[stored.key_id] = datetime.now(UTC)
        return Principal(key_id=stored.key_id, tenant_id=stored.tenant_id, scopes=frozenset(stored.scopes))

    async def require_valid(self, principal: Principal) -> None:
        """Whether a key that let somebody in is still good. Raises Unauthenticated, StoreBusy."""
        stored = await self._key(principal.key_id)
        if stored is None or not _is_valid(stored):
            raise Unauthenticated

    async def keep_noting(self) -> None:
        """Write to the store, now and then, when keys were used last; at the end for the last time."""
        try:
            while True:
                await asyncio.sleep(_NOTE_SECONDS)
                await self._note()
        finally:
            await self._note()

    async def _note(self) -> None:
        uses, self._used = self._used, {}
        try:
            if uses:
                await self._store.note_key_uses(uses)
        except Exception:
            # Of what kind it is does not matter: the next time may do better, and ending would end the noting.
            logger.exception("The last uses of keys could not be written")
            self._used = {**uses, **self._used}

    async def _key(self, key_id: str) -> ApiKey | None:
        known = self._known.get(key_id)
        if known is not None and monotonic() < known.fresh_until:
            return known.key
        # Calls that come at the same moment read it once.
        if key_id not in self._reading:
            self._reading[key_id] = asyncio.create_task(self._read(key_id))
        return await asyncio.shield(self._reading[key_id])

    async def _read(self, key_id: str) -> ApiKey | None:
        try:
            # Whoever makes ids up must not keep the store from everybody else.
            async with nullcontext() if key_id in self._known else self._strangers:
                fresh_until = monotonic() + _FRESH_SECONDS
                key = await self._store.find_api_key(key_id)
        finally:
            del self._reading[key_id]
        self._known.pop(key_id, None)
        # Ids that nobody has are not remembered: there is no end of them.
        if key is not None:
            self._known[key_id] = _Known(key, fresh_until)
            if len(self._known) > _MOST_KEYS:
                self._known.popitem(last=False)
        return key


def _is_valid(key: ApiKey) -> bool:
    return key.is_valid(datetime.now(UTC))


class Mistakes:
    """Slows down an address that guesses keys, and nobody there who has a right one."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By address: how many, when."""

    def penalty(self, peer: str) -> float:
        """Seconds that the refusal of a wrong key from there has to wait; counts it."""
        address, now = _address(peer), monotonic()
        number, since = self._made.pop(address, (0.0, now))
        number = max(0.0, number - (now - since)) + 1
        self._made[address] = (number, now)
        if len(self._made) > _MOST_ADDRESSES:
            self._made.popitem(last=False)
        return min(max(0.0, number - _FREE_MISTAKES) * _PENALTY_SECONDS, _LONGEST_PENALTY)


def _address(peer: str) -> str:
    """What counts as one place: an IPv4 address, the network of an IPv6 one. Of `ipv6:%5B2001:db8::1%5D:51234`."""
    host = unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return peer
    # A customer of a provider has a /64, with more addresses than anybody could count.
    return str(address) if address.version == 4 else str(int(address) >> 64)
