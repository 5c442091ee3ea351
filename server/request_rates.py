"""Calls per minute of a tenant, on all servers together.

Each server takes some calls at a time from the tenant's allowance in the store, so that not every call is a write
there; what it has left at the end of the minute is lost.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from server.errors import RateLimited
from server.plans import PlansFile
from server.store.port import ControlStore

_AT_A_TIME = 10
# How long a tenant without a limit is not asked about again.
_FREE_SECONDS = 5.0


@dataclass(slots=True)
class _Allowance:
    """What this server has taken for a tenant."""

    minute: int
    left: int
    is_all: bool
    """There is no more for this minute, for no server."""


class RequestRates:
    """Admits calls, or refuses them."""

    def __init__(self, store: ControlStore, plans: PlansFile) -> None:
        self._store = store
        self._plans = plans
        self._taken: dict[str, _Allowance] = {}
        self._locks = WeakValueDictionary[str, asyncio.Lock]()
        self._free: dict[str, float] = {}
        """Until when tenants are known to have no limit."""

    async def admit(self, tenant_id: str) -> None:
        """Count one call. Raises RateLimited, StoreBusy."""
        if time.monotonic() < self._free.get(tenant_id, 0.0):
            return
        # One at a time: calls that come together must not each take an allowance.
        async with self._locks.setdefault(tenant_id, asyncio.Lock()):
            allowance = await self._allowance(tenant_id)
            if allowance is None:
                return
            if not allowance.left:
                raise RateLimited(
                    retry_after=60 - datetime.now(UTC).second,
                    violations=[("requests_per_minute", "The tenant's calls of this minute are used up.")],
                )
            allowance.left -= 1

    async def _allowance(self, tenant_id: str) -> _Allowance | None:
        """What is left of this minute here; None for a tenant without a limit."""
        minute = int(time.time()) // 60
        taken = self._taken.get(tenant_id)
        if taken is not None and taken.minute == minute and (taken.left or taken.is_all):
            return taken
        given = await self._store.take_requests(tenant_id, _AT_A_TIME, self._plans.current())
        if given is None:
            self._free[tenant_id] = time.monotonic() + _FREE_SECONDS
            return None
        self._taken[tenant_id] = _Allowance(minute, given, is_all=given < _AT_A_TIME)
        return self._taken[tenant_id]
