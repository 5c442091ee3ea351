"""Works backfills off: starts the runs of their days, as many at a time as each may have, and ends them.

Every server does it; the store's transactions see to it that no day begins twice.
"""

import logging
from contextlib import suppress
from dataclasses import replace

from server.domain.audit import PRODUCT, Actor
from server.domain.backfill import BackfillState
from server.domain.run import RunTrigger
from server.domain.tenant import TenantState
from server.errors import QuotaExhausted, ServiceError, TenantNotActive
from server.metrics import count_accepted
from server.plans import PlansFile
from server.preparation import RunRequest
from server.rounds import Rests, keep_looking
from server.runs import Caller, Runs
from server.store.port import QuotaExceeded, StoreBusy, TenantGone
from server.store.schedule_port import BackfillEnded, BackfillStore, WaitingDay

_AT_A_TIME = 50
_REST_SECONDS = 30.0
# A quota may be raised at any time.
_LONGEST_REST_SECONDS = 60.0
# It takes somebody who mends what is wrong.
_REFUSED_REST_SECONDS = 300.0
_MAX_REASON = 1_000

logger = logging.getLogger(__name__)


class BackfillRunner:
    """Works until it is cancelled. Several may be at it at once."""

    def __init__(self, store: BackfillStore, runs: Runs, plans: PlansFile) -> None:
        self._store = store
        self._runs = runs
        self._plans = plans
        self._rests = Rests()
        """Tenants of backfills, whose days cannot begin now."""
        self._refused = Rests()
        """Those of them whose days are refused, and would be again unless somebody mends what is wrong."""

    async def run(self) -> None:
        """Follow the store."""
        await keep_looking(self._store, self.round, "backfills")

    async def round(self) -> bool:
        """Do what there is to do; False when there was nothing. Raises StoreBusy."""
        work = await self._store.backfill_work(skip=self._rests.current(), limit=_AT_A_TIME)
        for pipeline_logging_id in work.to_cancel:
            await self._store.request_cancel(pipeline_logging_id, by=PRODUCT)
        for backfill_id in work.to_end:
            await self._store.end_backfill(backfill_id)
        for waiting in work.days:
            await self._careful(waiting)
        return bool(work.days or work.to_end or work.to_cancel)

    async def _careful(self, waiting: WaitingDay) -> None:
        """One backfill that fails keeps no other waiting."""
        try:
            await self._start(waiting)
        except StoreBusy:
            raise
        except Exception:
            self._rest(waiting, _REST_SECONDS)
            logger.exception("A day of a backfill could not begin; it is tried again", extra=_fields(waiting))

    async def _start(self, waiting: WaitingDay) -> None:
        """Start the run of a day. Whatever keeps it from starting, the day is not lost."""
        try:
            run = await self._runs.checked(_caller(waiting), _request(waiting))
            backfill = waiting.backfill
            run = replace(run, backfill_id=backfill.backfill_id, schedule_id=backfill.schedule_id)
            if await self._store.start_day(waiting, run, self._plans.current()):
                count_accepted(run.name, run.trigger)
            self._refused.end(_key(waiting))
        except QuotaExceeded as exceeded:
            self._rest(waiting, min(QuotaExhausted(exceeded).retry_after, _LONGEST_REST_SECONDS))
        except (TenantNotActive, TenantGone):
            await self._hold_back(waiting)
        except ServiceError as error:
            await self._stop(waiting, f"{waiting.tenant_id}, {waiting.day}: {error.message}"[:_MAX_REASON])

    async def _hold_back(self, waiting: WaitingDay) -> None:
        """The days of a tenant that may come back wait; those of one that is gone are dropped."""
        tenant = await self._store.get_tenant(waiting.tenant_id)
        if tenant is None or tenant.state is TenantState.OFFBOARDED:
            await self._store.drop_days(waiting.backfill.backfill_id, waiting.tenant_id)
        else:
            self._rest(waiting, _REST_SECONDS)

    async def _stop(self, waiting: WaitingDay, reason: str) -> None:
        """A day is refused: somebody has to look, or, of a refresh window, the next tick tries again.

        As long as other tenants' days can begin, the backfill goes on with those.
        """
        logger.warning("A day of a backfill is refused: %s", reason, extra=_fields(waiting))
        backfill_id = waiting.backfill.backfill_id
        self._rest(waiting, _REFUSED_REST_SECONDS)
        self._refused.add(_key(waiting), _REFUSED_REST_SECONDS)
        refused = {key for key in self._refused.current() if key[0] == backfill_id}
        if not refused.issuperset((backfill_id, one) for one in await self._store.waiting_tenants(backfill_id)):
            return
        for key in refused:
            self._rests.end(key)
            self._refused.end(key)
        state = BackfillState.CANCELLING if waiting.backfill.schedule_id else BackfillState.PAUSED
        with suppress(BackfillEnded):
            await self._store.change_backfill(backfill_id, state, reason, by=PRODUCT)

    def _rest(self, waiting: WaitingDay, seconds: float) -> None:
        self._rests.add(_key(waiting), seconds)


def _key(waiting: WaitingDay) -> tuple[str, str]:
    return waiting.backfill.backfill_id, waiting.tenant_id


def _caller(waiting: WaitingDay) -> Caller:
    """Whoever asked for the backfill was allowed to."""
    backfill = waiting.backfill
    trigger = RunTrigger.SCHEDULE if backfill.schedule_id else RunTrigger.BACKFILL
    return Caller(waiting.tenant_id, Actor(backfill.created_by), trigger, is_admin=True)


def _request(waiting: WaitingDay) -> RunRequest:
    settings = waiting.backfill.settings
    return RunRequest(settings.name, waiting.day.isoformat(), settings.variables)


def _fields(waiting: WaitingDay) -> dict[str, str]:
    return {"tenant_id": waiting.tenant_id, "backfill_id": waiting.backfill.backfill_id}
