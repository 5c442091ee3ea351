"""Runs, as a client asks for them: start, read, list, cancel, follow."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from server import tracing
from server.brevity import Brevity
from server.catalog import PipelineNotFound
from server.domain.audit import Actor
from server.domain.data_quality import DataQualityResult
from server.domain.faults import Fault, Refused
from server.domain.pipeline import PipelineName
from server.domain.run import Run, RunEvent, RunKind, RunStatus, RunTrigger
from server.domain.tenant import SYSTEM_TENANT, Scope, TenantState
from server.errors import (
    InvalidRequest,
    PermissionDenied,
    PipelineMissing,
    QuotaExhausted,
    RequestIdReused,
    RunFinished,
    RunNotFound,
    RunNotRetryable,
    TenantNotActive,
    TenantNotFound,
)
from server.following import Following
from server.metrics import count_accepted
from server.plans import PlansFile
from server.preparation import Preparation, PreparedRun, RunRequest, TenantFacts, judge_foreign
from server.retries import require_retryable, require_steps, same_request, same_snapshot
from server.store.port import (
    AlreadyRetried,
    ControlStore,
    DataQualityFilter,
    DataQualityPosition,
    NewRun,
    OriginGone,
    QuotaExceeded,
    RequestConflict,
    RequestKey,
    RunFilter,
    RunPosition,
    TenantGone,
)

_HEARTBEAT_SECONDS = 15.0
_METHODS = {RunKind.EXECUTE: "RunPipeline", RunKind.PLAN: "PlanPipeline"}
_EVENT_BATCH = 500
# Its pipelines build infrastructure: operators run them, and also for tenants that are not active.
_SETUP_PROVIDER = "setup"
OFFBOARDING = PipelineName("setup", "tenants", "offboarding")
"""It removes a dataset: only OffboardTenant starts it."""

Events = AsyncGenerator[RunEvent | None, None]
"""What a watcher gets; None is a heartbeat."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a run is for and who asked for it."""

    tenant_id: str
    by: Actor
    trigger: RunTrigger = RunTrigger.API
    is_admin: bool = False
    """Whether it is an operator, or the product itself."""


class Runs:
    """The use cases around runs."""

    def __init__(
        self,
        store: ControlStore,
        preparation: Preparation,
        plans: PlansFile,
        following: Following,
        *,
        heartbeat_seconds: float = _HEARTBEAT_SECONDS,
    ) -> None:
        self._store = store
        self._plans = plans
        self._following = following
        self._preparation = preparation
        self._heartbeat_seconds = heartbeat_seconds
        self._brevity = Brevity()

    async def start(
        self, caller: Caller, request: RunRequest, *, request_id: str = "", kind: RunKind = RunKind.EXECUTE
    ) -> Run:
        """Check everything, then accept the run; nothing is recorded of a refused one.

        Raises:
            PermissionDenied: the provider's pipelines are an operator's to run.
            InvalidRequest: with every fault. PipelineMissing, TenantNotFound, TenantNotActive, RequestIdReused.
        """
        require_runnable(caller, request.name)
        key = request_key(caller.tenant_id, _METHODS[kind], request_id, _content(request))
        try:
            try:
                return await self.accept(replace(await self.checked(caller, request, key), kind=kind))
            except RequestConflict:
                raise
            except Exception:
                # A repeated request has its answer also when it would be refused by now, whatever for.
                if key is not None and (earlier := await self._store.find_request(key)):
                    return earlier
                raise
        except RequestConflict:
            raise RequestIdReused from None

    async def checked(self, caller: Caller, request: RunRequest, key: RequestKey | None = None) -> NewRun:
        """The run that a request asks for, after every check but that of the quotas; nothing is recorded.

        Raises:
            PermissionDenied: the provider's pipelines are an operator's to run.
            InvalidRequest: with every fault. PipelineMissing, TenantNotFound, TenantNotActive.
        """
        require_runnable(caller, request.name)
        tenant = await self._tenant_facts(caller.tenant_id, request.name)
        return await self.prepare(caller, request, tenant, key)

    async def examined(self, caller: Caller, request: RunRequest, faults: list[Fault]) -> NewRun | None:
        """As `checked`, for those who find faults of their own: what is wrong with the request is added to theirs.

        Raises:
            PermissionDenied, TenantNotFound, TenantNotActive.
            PipelineMissing: when nothing else is wrong.
        """
        try:
            return await self.checked(caller, request)
        except InvalidRequest as refused:
            faults += refused.faults
        except PipelineMissing as missing:
            if not faults:
                raise
            faults.append(Fault(missing.reason, missing.message, field="template_name"))
        return None

    async def accept(self, new: NewRun) -> Run:
        """Store a run that passed every check. Raises RequestConflict, QuotaExhausted, TenantNotActive."""
        try:
            run = await self._store.accept_run(new, self._plans.current())
        except TenantGone:
            raise TenantNotActive(why_inactive(TenantState.OFFBOARDED, "")) from None
        except QuotaExceeded as exceeded:
            raise QuotaExhausted(exceeded) from None
        if run.pipeline_logging_id == new.pipeline_logging_id:
            # And not one that the same request has made before.
            count_accepted(run.name, run.trigger)
        return run

    async def retry(
        self,
        caller: Caller,
        pipeline_logging_id: str,
        *,
        use_present_file: bool,
        request_id: str = "",
    ) -> Run:
        """Go on with a run that ended without success, as a new run in which what succeeded is done.

        A repeated request has its answer before any check, whatever has become of the old run.

        Raises:
            RunNotFound: also for another tenant's run.
            PermissionDenied: the provider's pipelines are an operator's to run.
            RunNotRetryable: it has not ended, has succeeded, or has been retried.
            InvalidRequest, PipelineMissing, TenantNotActive, QuotaExhausted, RequestIdReused: as for a new run.
        """
        content = {"pipeline_logging_id": pipeline_logging_id, "use_present_file": use_present_file}
        key = request_key(caller.tenant_id, "RetryRun", request_id, content)
        try:
            if key is not None and (earlier := await self._store.find_request(key)):
                return earlier
            old = await self.owned(caller.tenant_id, pipeline_logging_id)
            require_runnable(caller, old.name)
            require_retryable(old)
            tenant = await self._tenant_facts(caller.tenant_id, old.name)
            return await self.accept(await self._continued(caller, old, tenant, key, use_present_file=use_present_file))
        except AlreadyRetried:
            raise RunNotRetryable("The run has been retried already.") from None
        except OriginGone:
            raise RunNotFound from None
        except RequestConflict:
            raise RequestIdReused from None

    async def _continued(
        self, caller: Caller, old: Run, tenant: TenantFacts, key: RequestKey | None, *, use_present_file: bool
    ) -> NewRun:
        """The run that goes on with an old one."""
        snapshot = await self._store.run_snapshot(old.pipeline_logging_id)
        if snapshot is None:
            raise RunNotFound
        if use_present_file:
            new = await self.prepare(caller, same_request(old, snapshot), tenant, key)
            require_steps(old, new.snapshot)
            return replace(new, retry_of=old.pipeline_logging_id, schedule_id=_schedule_of(old))
        run_id = str(uuid.uuid4())
        return NewRun(
            pipeline_logging_id=run_id,
            tenant_id=old.tenant_id,
            pipeline_id=old.pipeline_id,
            name=old.name,
            trigger=caller.trigger,
            date=old.date,
            variables=old.variables,
            config_hash=old.config_hash,
            snapshot=same_snapshot(snapshot, run_id),
            by=caller.by,
            request=key,
            retry_of=old.pipeline_logging_id,
            schedule_id=_schedule_of(old),
            traceparent=tracing.traceparent(),
        )

    async def prepare(self, caller: Caller, request: RunRequest, tenant: TenantFacts, key: RequestKey | None) -> NewRun:
        """Check a request and make the run to store of it. Raises InvalidRequest, PipelineMissing."""
        run_id = str(uuid.uuid4())
        ids = {"convergence.tenant_id": caller.tenant_id, "convergence.pipeline_logging_id": run_id}
        # The trace of a run that no call asks for begins here.
        with tracing.span("prepare run", ids, refusals=(InvalidRequest, PipelineMissing)):
            prepared = await self._checked(request, tenant, run_id)
            traceparent = tracing.traceparent()
        return NewRun(
            pipeline_logging_id=run_id,
            tenant_id=caller.tenant_id,
            pipeline_id=prepared.pipeline_id,
            name=request.name,
            trigger=caller.trigger,
            date=prepared.date,
            variables=dict(prepared.variables),
            config_hash=prepared.config_hash,
            snapshot=prepared.snapshot,
            by=caller.by,
            request=key,
            traceparent=traceparent,
        )

    async def _checked(self, request: RunRequest, tenant: TenantFacts, run_id: str) -> PreparedRun:
        now = datetime.now(UTC)
        try:
            prepared = await self._prepared(request, tenant, now, run_id)
            if named := prepared.datasets_read - {tenant.tenant_id}:
                judge_foreign(prepared, await self._store.tenants_among(named))
        except PipelineNotFound as missing:
            raise PipelineMissing(str(missing)) from None
        except Refused as refused:
            raise InvalidRequest(refused.faults) from None
        return prepared

    async def _prepared(self, request: RunRequest, tenant: TenantFacts, now: datetime, run_id: str) -> PreparedRun:
        """Preparation reads files, imports processors and parses SQL, which may be too long for the event loop."""
        prepare = partial(self._preparation.prepare, request, tenant=tenant, now=now, pipeline_logging_id=run_id)
        return await self._brevity.do(request.name, prepare, asyncio.to_thread, given=request.variables.values())

    async def _tenant_facts(self, tenant_id: str, name: PipelineName) -> TenantFacts:
        if tenant_id == SYSTEM_TENANT:
            return TenantFacts(SYSTEM_TENANT)
        found = await self._store.tenant_and_credentials(tenant_id)
        if found is None:
            raise TenantNotFound
        tenant, credentials = found
        repairs = name.provider == _SETUP_PROVIDER and tenant.state is TenantState.ONBOARDING
        if tenant.state is not TenantState.ACTIVE and not repairs:
            raise TenantNotActive(why_inactive(tenant.state, tenant.onboarding_run))
        return TenantFacts(tenant_id, tenant.allowed_sources, credentials)

    async def get(self, tenant_id: str, pipeline_logging_id: str) -> Run:
        """The run with its steps, a waiting one explained. Raises RunNotFound, also for another tenant's run."""
        return owned(await self._store.explain_run(pipeline_logging_id, self._plans.current()), tenant_id)

    async def owned(self, tenant_id: str, pipeline_logging_id: str) -> Run:
        """As `get`, for those who need not know what the run waits for."""
        return owned(await self._store.get_run(pipeline_logging_id), tenant_id)

    async def list(self, wanted: RunFilter, *, after: RunPosition | None, limit: int) -> list[Run]:
        """Runs without their steps, newest first. Raises TenantNotFound."""
        found = await self._store.list_runs(wanted, after=after, limit=limit, plans=self._plans.current())
        if not found:
            await self.require_tenant(wanted.tenant_id)
        return found

    async def require_tenant(self, tenant_id: str | None) -> None:
        """Whether nothing was found because there is nothing. None is all tenants. Raises TenantNotFound."""
        if tenant_id and tenant_id != SYSTEM_TENANT and await self._store.get_tenant(tenant_id) is None:
            raise TenantNotFound

    async def data_quality_results(
        self, wanted: DataQualityFilter, *, after: DataQualityPosition | None, limit: int
    ) -> Sequence[DataQualityResult]:
        """What checks of a tenant's data found, newest first. Raises RunNotFound, also for another tenant's run."""
        if wanted.pipeline_logging_id:
            await self.owned(wanted.tenant_id, wanted.pipeline_logging_id)
        return await self._store.list_data_quality_results(wanted, after=after, limit=limit)

    async def cancel(self, tenant_id: str, pipeline_logging_id: str, by: Actor) -> Run:
        """Ask for a run's end; repeating it is harmless.

        Raises:
            RunNotFound: also for another tenant's run.
            RunFinished: it ended otherwise before.
        """
        await self.owned(tenant_id, pipeline_logging_id)
        run = await self._store.request_cancel(pipeline_logging_id, by=by)
        if run is None:
            raise RunNotFound
        if run.status not in {RunStatus.CANCELLING, RunStatus.CANCELLED}:
            raise RunFinished(f"The run has ended already: {run.status}.")
        return run

    async def follow(self, caller: Caller, pipeline_logging_id: str, *, after: int) -> Events:
        """The run's events above `after`, then what follows, to the terminal one; None is a heartbeat.

        Raises:
            RunNotFound: also for another tenant's run.
            TooManyStreams: the caller's key, or the server, follows too many runs.
        """
        run = await self.owned(caller.tenant_id, pipeline_logging_id)
        with self._following.place(caller.by.key_id):
            if not run.status.is_terminal:
                async with aclosing(self._live(run, after)) as events:
                    async for event in events:
                        yield event
                        after = event.sequence if event else after
            # Whoever asks for events after the last one gets none, and must hear that none will come.
            while batch := await self._store.events(pipeline_logging_id, after=after, limit=_EVENT_BATCH):
                first = batch[0].sequence
                for event in batch:
                    is_behind_gap = event.sequence == first > after + 1
                    yield event.model_copy(update={"earlier_removed": True}) if is_behind_gap else event
                after = batch[-1].sequence

    async def _live(self, run: Run, after: int) -> Events:
        """The events of a run as they come, with heartbeats, until it has ended."""
        pieces = self._following.pieces(run.pipeline_logging_id, after=after, silence=self._heartbeat_seconds)
        async with aclosing(pieces):
            async for piece in pieces:
                for event in piece:
                    yield event
                    if event.is_last:
                        return
                if not piece:
                    yield None
                    if (await self.owned(run.tenant_id, run.pipeline_logging_id)).status.is_terminal:
                        return


def owned(run: Run | None, tenant_id: str) -> Run:
    """The run of that tenant. Raises RunNotFound, also for another tenant's run."""
    if run is None or run.tenant_id != tenant_id:
        raise RunNotFound
    return run


def require_runnable(caller: Caller, name: PipelineName) -> None:
    """Whether the caller may run the pipeline. Raises PermissionDenied."""
    if name.provider == _SETUP_PROVIDER and not caller.is_admin:
        raise PermissionDenied(f"Pipelines of the provider {_SETUP_PROVIDER} need the scope {Scope.ADMIN}.")
    if name == OFFBOARDING:
        raise PermissionDenied(f"{name} is started by OffboardTenant only.")


def request_key(tenant_id: str, method: str, request_id: str, content: Mapping[str, object]) -> RequestKey | None:
    """The key under which a request is remembered, or None when the caller gave no id."""
    if not request_id:
        return None
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return RequestKey(tenant_id, method, request_id, digest)


def _schedule_of(old: Run) -> str:
    """The schedule that a retry belongs to; the day of a refresh window is no run of the schedule's ticks."""
    return "" if old.backfill_id else old.schedule_id


def _content(request: RunRequest) -> dict[str, object]:
    return {"name": str(request.name), "date": request.date, "variables": dict(request.variables)}


def why_inactive(state: TenantState, onboarding_run: str) -> str:
    """What keeps a tenant from being worked for."""
    if state is TenantState.ONBOARDING:
        return f"The tenant is being onboarded: its run {onboarding_run} has not succeeded yet."
    return f"The tenant is {state.lower()}; its pipelines do not run."
