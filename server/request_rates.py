"""Calls per minute of a tenant, on all servers together.

Each server takes some calls at a time from the tenant's allowance in the store, so that not every call is a write
there; what it has left at the end of the minute is lost. The minutes are the store's, since servers need not agree on
the time.
"""

import asyncio
import math
from dataclasses import dataclass
from time import monotonic
from weakref import WeakValueDictionary

from server.errors import RateLimited
from server.plans import PlansFile
from server.store.port import ControlStore

# How many calls a server takes at a time: at most so many, and so small a part of the limit that others have some too.
_AT_A_TIME = 10
_PARTS = 20
# How long a tenant without a limit is not asked about again.
_FREE_SECONDS = 5.0


@dataclass(slots=True)
class _Allowance:
    """What this server has taken for a tenant."""

    ends: float
    """When the minute does, by this process's monotonic clock."""
    limit: int
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
        if monotonic() < self._free.get(tenant_id, 0.0):
            return
        # One at a time: calls that come together must not each take an allowance.
        async with self._locks.setdefault(tenant_id, asyncio.Lock()):
            allowance = await self._allowance(tenant_id)
            if allowance is None:
                return
            if not allowance.left:
                raise RateLimited(allowance.limit, retry_after=max(1, math.ceil(allowance.ends - monotonic())))
            allowance.left -= 1

    async def _allowance(self, tenant_id: str) -> _Allowance | None:
        """What is left of this minute here; None for a tenant without a limit."""
        now, before = monotonic(), self._taken.get(tenant_id)
        if before is not None and now < before.ends and (before.left or before.is_all):
            return before
        # Only the store knows the limit: the first call is taken alone.
        wanted = max(1, min(_AT_A_TIME, before.limit // _PARTS)) if before else 1
        taken = await self._store.take_requests(tenant_id, wanted, self._plans.current())
        if taken is None:
            self._free[tenant_id] = monotonic() + _FREE_SECONDS
            return None
        allowance = _Allowance(now + taken.seconds_left, taken.limit, taken.given, is_all=taken.given < wanted)
        self._taken[tenant_id] = allowance
        return allowance
