"""Tenants, as operators and they themselves ask for them: onboard, read, list, change."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from server.catalog import Catalog
from server.domain.audit import Actor
from server.domain.faults import Fault
from server.domain.pipeline import PipelineName
from server.domain.quotas import QuotaUse
from server.domain.run import Run, RunTrigger
from server.domain.schedule import MAX_SCHEDULES, NewSchedule, schedule_of_file
from server.domain.tenant import (
    CHANGEABLE,
    ApiKey,
    DatasetState,
    NewTenant,
    Scope,
    Tenant,
    TenantState,
    changed_tenant_faults,
    tenant_faults,
)
from server.errors import EtagMismatch, InvalidRequest, RequestIdReused, TenantExists, TenantNotActive, TenantNotFound
from server.keys import new_key
from server.plans import PlansFile, unknown_plan
from server.preparation import RunRequest, TenantFacts
from server.runs import OFFBOARDING, Caller, Runs, request_key, why_inactive
from server.security.api_keys import KeyRing
from server.store.port import ControlStore, RequestConflict, RequestKey, TenantChanged, TenantConflict

logger = logging.getLogger(__name__)

_ONBOARDING = PipelineName("setup", "tenants", "onboarding")
_CANCELLED_AT_ONCE = 50
_FIRST_KEY_SCOPES = (Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.TENANT_ADMIN)


@dataclass(frozen=True, slots=True)
class Onboarded:
    """A tenant, the run that builds its dataset, and its first key."""

    tenant: Tenant
    run: Run
    key: ApiKey
    secret: str
    """The key's text; '' when the request is a repetition, for it is shown once."""


@dataclass(frozen=True, slots=True)
class TenantChange:
    """What is to be changed of a tenant."""

    tenant_id: str
    values: Mapping[str, object]
    """By the names of Tenant's fields."""
    limits: Mapping[str, int | None]
    """Single limits, by the names of Quotas' fields; None leaves one to the plan."""
    etag: str = ""
    """The tenant has to be as it was when it had this etag; '' for however it is."""


class Tenants:
    """The use cases around tenants."""

    def __init__(self, store: ControlStore, runs: Runs, keys: KeyRing, plans: PlansFile, catalog: Catalog) -> None:
        self._store = store
        self._runs = runs
        self._keys = keys
        self._plans = plans
        self._catalog = catalog

    async def onboard(self, new: NewTenant, by: Actor, *, request_id: str = "") -> Onboarded:
        """Store the tenant with its first key and its schedules, and start the run that makes its dataset.

        Raises:
            InvalidRequest: with every fault. TenantExists, RequestIdReused.
        """
        key = request_key(new.tenant_id, "OnboardTenant", request_id, _content(new))
        try:
            # First, so that a repetition gets its answer whatever has become of the pipeline's file or of the rules.
            if key is not None and (earlier := await self._store.find_request(key)):
                return await self._answer(earlier, "")
            return await self._onboard(new, Caller(new.tenant_id, by, RunTrigger.SYSTEM), key)
        except TenantConflict:
            raise TenantExists from None
        except RequestConflict:
            raise RequestIdReused from None

    async def _onboard(self, new: NewTenant, caller: Caller, key: RequestKey | None) -> Onboarded:
        plans = self._plans.current()
        if faults := [*tenant_faults(new), *unknown_plan(plans, new.plan)]:
            raise InvalidRequest(faults)
        request = RunRequest(_ONBOARDING, None, {"location": new.location})
        run = await self._runs.prepare(caller, request, TenantFacts(new.tenant_id, new.allowed_sources), key)
        secret = self._keys.make()
        first_key = new_key(secret, new.tenant_id, "first key", _FIRST_KEY_SCOPES)
        schedules = await asyncio.to_thread(self._schedules, new.tenant_id)
        stored = await self._store.onboard_tenant(_tenant(new), first_key, run, plans, schedules=schedules)
        # Another repetition of the request may have been faster.
        is_new = stored.pipeline_logging_id == run.pipeline_logging_id
        return await self._answer(stored, secret.text if is_new else "")

    def _schedules(self, tenant_id: str) -> list[NewSchedule]:
        """Those of the pipelines' files, as many as a tenant may have; what is broken is left out."""
        entries = self._catalog.entries()
        for entry in entries:
            if entry.faults:
                told = "A pipeline file is broken; the schedule that it may have is not given to a new tenant: %s"
                logger.warning(told, entry.faults[0], extra={"tenant_id": tenant_id})
        sources = [entry.source for entry in entries if entry.source is not None]
        wanted = [
            schedule_of_file(source.name, source.pipeline.schedule, tenant_id)
            for source in sources
            if source.pipeline.schedule is not None
        ]
        return wanted[:MAX_SCHEDULES]

    async def _answer(self, run: Run, secret: str) -> Onboarded:
        tenant = await self.get(run.tenant_id)
        keys = await self._store.tenant_keys(run.tenant_id)
        return Onboarded(tenant, run, keys[0], secret)

    async def update(self, change: TenantChange, by: Actor) -> Tenant:
        """Change a tenant's profile, plan, limits or state.

        Raises:
            InvalidRequest: with every fault. TenantNotFound, EtagMismatch.
            TenantNotActive: it is being onboarded or has been offboarded.
        """
        while True:
            was = await self.get(change.tenant_id)
            if change.etag and change.etag != was.etag:
                raise EtagMismatch
            if was.state not in CHANGEABLE:
                raise TenantNotActive(why_inactive(was.state, was.onboarding_run))
            tenant = was.model_copy(update=dict(change.values))
            tenant = tenant.model_copy(update={"quotas": tenant.quotas.model_copy(update=dict(change.limits))})
            if faults := [*changed_tenant_faults(tenant), *unknown_plan(self._plans.current(), tenant.plan)]:
                raise InvalidRequest(faults)
            if tenant == was:
                return was
            with suppress(TenantChanged):
                return await self._store.update_tenant(tenant, was=was, by=by)

    async def offboard(self, tenant_id: str, by: Actor, *, confirmed: str, request_id: str) -> Tenant:
        """End a tenant: its runs, keys and credentials; its dataset too, when `confirmed` is the dataset's name.

        What an interruption left undone, the next call does.

        Raises:
            InvalidRequest: DATASET_NOT_CONFIRMED. TenantNotFound, RequestIdReused.
            TenantNotActive: the dataset was never set up as this tenant's, and is not removed.
        """
        tenant = await self.get(tenant_id)
        if confirmed not in {"", tenant_id}:
            message = f"to delete the tenant's dataset, name it: {tenant_id}; to keep it, leave this out"
            raise InvalidRequest([Fault("DATASET_NOT_CONFIRMED", message, field="confirm_delete_dataset")])
        if confirmed and (tenant.state is TenantState.ONBOARDING or tenant.dataset_state is DatasetState.FOREIGN):
            raise TenantNotActive(
                "The tenant was never set up, so that the dataset of its name may be somebody else's: it can be "
                "offboarded, and its dataset is not deleted."
            )
        request = request_key(tenant_id, "OffboardTenant", request_id, {"confirmed": confirmed})
        try:
            await self._store.offboard_tenant(tenant_id, by=by, request=request)
        except RequestConflict:
            raise RequestIdReused from None
        while await self._store.cancel_runs(tenant_id, by=by, limit=_CANCELLED_AT_ONCE):
            pass
        if confirmed:
            caller = Caller(tenant_id, by, RunTrigger.SYSTEM)
            run = await self._runs.prepare(caller, RunRequest(OFFBOARDING), TenantFacts(tenant_id), None)
            await self._store.delete_dataset_by(run, self._plans.current())
        return await self.get(tenant_id)

    async def get(self, tenant_id: str) -> Tenant:
        """The tenant. Raises TenantNotFound."""
        tenant = await self._store.get_tenant(tenant_id)
        if tenant is None:
            raise TenantNotFound
        return tenant

    async def usage(self, tenant_id: str) -> tuple[str, list[QuotaUse]]:
        """The tenant's plan, and what it has used of each quota. Raises TenantNotFound."""
        (used,) = await self.usages([await self.get(tenant_id)])
        return used

    async def usages(self, tenants: Sequence[Tenant]) -> list[tuple[str, list[QuotaUse]]]:
        """Of each of the tenants its plan, and what it has used of each quota."""
        plans = self._plans.current()
        uses = await self._store.usage([tenant.tenant_id for tenant in tenants], plans)
        return [
            (tenant.plan if tenant.plan in plans.plans else plans.default, uses[tenant.tenant_id]) for tenant in tenants
        ]

    async def list(self, *, after: str, limit: int, states: Collection[TenantState]) -> list[Tenant]:
        """Tenants by id, beginning behind `after`, in one of `states` where any are given."""
        return await self._store.list_tenants(after=after, limit=limit, states=states)


def _content(new: NewTenant) -> dict[str, object]:
    return {
        "display_name": new.display_name,
        "location": new.location,
        "contact_emails": new.contact_emails,
        "allowed_sources": new.allowed_sources,
        "plan": new.plan,
        "quotas": new.quotas.model_dump(exclude_none=True),
    }


def _tenant(new: NewTenant) -> Tenant:
    now = datetime.now(UTC)
    return Tenant(
        tenant_id=new.tenant_id,
        display_name=new.display_name or new.tenant_id,
        state=TenantState.ONBOARDING,
        location=new.location,
        contact_emails=new.contact_emails,
        allowed_sources=new.allowed_sources,
        plan=new.plan,
        quotas=new.quotas,
        onboarding_run="",
        created_at=now,
        updated_at=now,
    )
