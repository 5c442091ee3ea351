"""Backfills, as clients ask for them: plan, start, read, watch, pause, cancel."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from time import monotonic
from uuid import uuid4

from server.domain.backfill import (
    MAX_RUNS,
    Backfill,
    BackfillOrder,
    BackfillSettings,
    BackfillState,
    Reprocess,
    backfill_faults,
    day_of,
    days_to_run,
    range_faults,
)
from server.domain.faults import Fault
from server.domain.pipeline import PipelineName
from server.domain.quotas import without_half
from server.domain.run import RunTrigger
from server.domain.tenant import Tenant, TenantState
from server.errors import (
    BackfillFinished,
    BackfillNotFound,
    InvalidRequest,
    RequestIdReused,
    TenantNotActive,
    TenantNotFound,
)
from server.estimates import Estimates
from server.exact_writes import backfill_warnings
from server.following import Following
from server.plans import PlansFile
from server.preparation import RunRequest
from server.runs import Caller, Runs, request_key, require_runnable, why_inactive
from server.schedules import require_reason
from server.store.port import NewRun, RequestConflict
from server.store.schedule_port import (
    BackfillEnded,
    BackfillFilter,
    BackfillPosition,
    BackfillStore,
    NewBackfill,
)

_TENANTS_CHECKED = 20
"""Of very many tenants, those for which the first run is checked beforehand."""
_MAX_NAMED = 10_000
_MOST_TOLD = 20
_HEARTBEAT_SECONDS = 15.0
# Between two looks, however much is committed meanwhile; and where nothing is.
_LEAST_SECONDS = 0.2
_IDLE_SECONDS = 1.0
_LEAST_LOOKS = 10
_PAGE = 500


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What somebody asks for."""

    name: PipelineName
    start_date: str
    end_date: str
    """The day after the last one, as the first written YYYY-MM-DD."""
    tenant_ids: tuple[str, ...] = ()
    all_tenants: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    order: BackfillOrder = BackfillOrder.OLDEST_FIRST
    reprocess: Reprocess = Reprocess.NONE
    max_active_runs: int = 1


class Backfills:
    """The use cases around backfills. One that is not the caller's tenant's alone is not found by it."""

    def __init__(
        self, store: BackfillStore, runs: Runs, plans: PlansFile, estimates: Estimates, following: Following
    ) -> None:
        self._store = store
        self._runs = runs
        self._plans = plans
        self._estimates = estimates
        self._following = following

    async def start(self, caller: Caller, request: BackfillRequest, *, request_id: str = "") -> Backfill:
        """Store a backfill, whose runs begin by and by.

        Raises:
            InvalidRequest: with every fault. PermissionDenied, PipelineMissing, TenantNotFound, TenantNotActive: as for
                a run. RequestIdReused.
        """
        key = request_key(caller.tenant_id, "BackfillPipeline", request_id, _content(request))
        try:
            if key is not None and (earlier := await self._store.find_backfill_request(key)):
                return earlier
            new = await self._checked(caller, request)
            return await self._store.create_backfill(new, by=caller.by, request=key)
        except RequestConflict:
            raise RequestIdReused from None

    async def plan(self, caller: Caller, request: BackfillRequest) -> Backfill:
        """What `start` would do, with an estimate of what its runs would read. Raises as that."""
        new = await self._checked(caller, request)
        estimate = await self._estimates.of(caller, new)
        return Backfill(
            backfill_id="",
            tenant_ids=new.tenant_ids,
            settings=new.settings,
            state=BackfillState.PLANNED,
            total_runs=len(new.days),
            skipped_days=new.skipped_days,
            waiting_runs=len(new.days),
            created_by=caller.by.key_id,
            warnings=(*new.warnings, *estimate.warnings),
            estimated_bytes=estimate.bytes_processed,
            created_at=datetime.now(UTC),
        )

    async def _checked(self, caller: Caller, request: BackfillRequest) -> NewBackfill:
        start, end = day_of(request.start_date), day_of(request.end_date)
        faults = [
            *range_faults(request.start_date, request.end_date),
            *backfill_faults(request.variables, request.max_active_runs),
            *(misnamed := _tenant_faults(request)),
        ]
        tenants = list[Tenant]()
        try:
            tenants = [] if misnamed else await self._tenants(request)
        except (TenantNotFound, TenantNotActive) as error:
            if not faults:
                raise
            faults.append(Fault(error.reason, error.message, field="tenant_ids"))
        tenant_ids = [tenant.tenant_id for tenant in tenants]
        first = await self._first_runs(caller, request, tenant_ids, start, faults)
        if faults or start is None or end is None:
            raise InvalidRequest(dict.fromkeys(faults))
        settings = BackfillSettings(
            name=request.name,
            start_date=start,
            end_date=end,
            variables=dict(request.variables),
            order=request.order,
            reprocess=request.reprocess,
            max_active_runs=request.max_active_runs,
        )
        if (count := (end - start).days * len(tenant_ids)) > MAX_RUNS:
            message = f"a backfill has at most {MAX_RUNS:,} days, each tenant's counted, not {count:,}"
            raise InvalidRequest([Fault("TOO_MANY_RUNS", message, field="end_date")])
        latest = await self._store.latest_statuses(request.name, tenant_ids, start, end)
        days, skipped = days_to_run(settings, tenant_ids, latest)
        warnings = [*(backfill_warnings(first[0].snapshot) if first else ()), *self._held_back(tenants)]
        return NewBackfill(str(uuid4()), tuple(tenant_ids), settings, tuple(days), skipped, tuple(warnings))

    def _held_back(self, tenants: Sequence[Tenant]) -> list[str]:
        """The first of the tenants of which no run could begin, with why."""
        plans = self._plans.current()
        reasons = ((one.tenant_id, without_half(plans.quotas(one.plan, one.quotas))) for one in tenants)
        told = (f"no run of {tenant_id} can begin: {reason}" for tenant_id, reason in reasons if reason)
        return list(islice(told, _MOST_TOLD))

    async def _tenants(self, request: BackfillRequest) -> list[Tenant]:
        """The tenants that are meant. Raises TenantNotFound, TenantNotActive."""
        if request.all_tenants:
            if not (active := await self._active_tenants()):
                raise TenantNotFound("No tenant is active.")
            return active
        named = list(dict.fromkeys(request.tenant_ids))
        found = {tenant.tenant_id: tenant for tenant in await self._store.tenants_with(named)}
        if unknown := [tenant_id for tenant_id in named if tenant_id not in found]:
            raise TenantNotFound(f"There is no such tenant: {', '.join(unknown[:_MOST_TOLD])}.")
        inactive = [tenant for tenant in found.values() if tenant.state is not TenantState.ACTIVE]
        if told := [f"{one.tenant_id}: {why_inactive(one.state, one.onboarding_run)}" for one in inactive]:
            raise TenantNotActive(" ".join(told[:_MOST_TOLD]))
        return [found[tenant_id] for tenant_id in named]

    async def _active_tenants(self) -> list[Tenant]:
        found, after = list[Tenant](), ""
        while page := await self._store.list_tenants(after=after, limit=_PAGE, states=[TenantState.ACTIVE]):
            found += page
            after = found[-1].tenant_id
        return found

    async def _first_runs(
        self, caller: Caller, request: BackfillRequest, tenant_ids: Sequence[str], day: date | None, faults: list[Fault]
    ) -> list[NewRun]:
        """The first runs of the tenants, checked; what is wrong with them is added to the faults."""
        variables = {name: value for name, value in request.variables.items() if name != "date"}
        run = RunRequest(request.name, day.isoformat() if day else None, variables)
        callers = [
            Caller(tenant_id, caller.by, RunTrigger.BACKFILL, caller.is_admin)
            for tenant_id in tenant_ids[:_TENANTS_CHECKED]
        ]
        examined = [await self._runs.examined(one, run, faults) for one in callers]
        return [new for new in examined if new is not None]

    async def get(self, caller: Caller, backfill_id: str) -> Backfill:
        """The backfill. Raises BackfillNotFound."""
        found = await self._store.get_backfill(backfill_id)
        if found is None or not (caller.is_admin or found.tenant_ids == (caller.tenant_id,)):
            raise BackfillNotFound
        return found

    async def list(self, wanted: BackfillFilter, *, after: BackfillPosition | None, limit: int) -> "list[Backfill]":
        """Backfills, newest first. Raises TenantNotFound."""
        found = await self._store.list_backfills(wanted, after=after, limit=limit)
        if not found:
            await self._runs.require_tenant(wanted.tenant_id)
        return found

    async def change(self, caller: Caller, backfill_id: str, state: BackfillState, reason: str = "") -> Backfill:
        """Let a backfill be ACTIVE, PAUSED or CANCELLING; repeating it is harmless.

        Raises:
            InvalidRequest, BackfillNotFound, BackfillFinished.
            PermissionDenied: the caller may not run its pipeline.
        """
        require_reason(reason)
        require_runnable(caller, (await self.get(caller, backfill_id)).settings.name)
        try:
            changed = await self._store.change_backfill(backfill_id, state, reason, by=caller.by)
        except BackfillEnded:
            state = (await self.get(caller, backfill_id)).state
            raise BackfillFinished(f"The backfill is {state} already.") from None
        if changed is None:
            raise BackfillNotFound
        return changed

    async def watch(self, caller: Caller, backfill_id: str) -> AsyncGenerator[Backfill, None]:
        """The backfill as it is now and at each change, to the terminal one; the same again after 15 s of silence.

        Raises:
            BackfillNotFound. TooManyStreams: the caller's key, or the server, follows too much.
        """
        shown, shown_at = await self.get(caller, backfill_id), monotonic()
        with self._following.place(caller.by.key_id):
            yield shown
            while not shown.state.is_terminal:
                seen, asked_at = self._store.version, monotonic()
                current = await self.get(caller, backfill_id)
                if current != shown or monotonic() - shown_at >= _HEARTBEAT_SECONDS:
                    shown, shown_at = current, monotonic()
                    yield shown
                # To count very many runs takes a while.
                await asyncio.sleep(max(_LEAST_SECONDS, _LEAST_LOOKS * (monotonic() - asked_at)))
                await self._store.wait_for_change(seen, _IDLE_SECONDS)


def _tenant_faults(request: BackfillRequest) -> list[Fault]:
    """What is wrong with how the tenants are named, whoever they are."""
    if request.all_tenants == bool(request.tenant_ids):
        message = "name tenants, or set all_tenants: one of the two"
        return [Fault("MISSING_FIELD", message, field="tenant_ids")]
    if (count := len(set(request.tenant_ids))) > _MAX_NAMED:
        message = f"the tenants are at most {_MAX_NAMED:,}, not {count:,}; all of them are all_tenants"
        return [Fault("TOO_MANY_RUNS", message, field="tenant_ids")]
    return []


def _content(request: BackfillRequest) -> dict[str, object]:
    return {**asdict(request), "name": str(request.name)}
