"""One attempt of one step: settings rendered, processor called, its answer read."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any, Protocol

from processors.base import ProcessorError
from server.brevity import Brevity
from server.checks import InvalidChecks, read_checks
from server.domain.data_quality import Check
from server.domain.delivery import Mail, SlackMessage
from server.domain.faults import Refused
from server.domain.pipeline import PsTemplateSnapshot, StepSnapshot
from server.domain.run import Effect, EffectState, Run, StepRun, StepStatus
from server.domain.schema import DatasetRef, TableRef
from server.effects import EffectJournal, Usage, settle, told
from server.handover import Handover
from server.logs import run_fields
from server.plain import plain_mapping, plain_text, row_count
from server.registry import Engine, Registry, config_of
from server.rendering import settings_of_file, step_config, validation_context
from server.scratch import Room, Scratch
from server.step_credentials import CredentialReader, StepCredentials
from server.step_effects import StepAccess, StepEffects
from server.step_loads import TenantLoads
from server.step_warehouse import TenantWarehouse
from server.store.port import Claim, ControlStore, LeaseLost, StoreBusy
from server.threads import in_own_thread
from server.warehouse.port import Warehouse, WarehouseError

_ANSWERS = {"SUCCESS": StepStatus.SUCCESS, "FAILED": StepStatus.FAILED, "SKIPPED": StepStatus.SKIPPED}
_TRANSIENT = {"WAREHOUSE_BUSY", "WAREHOUSE_FAILED", "LOAD_CONFLICT"}
_LABEL = re.compile(r"[^a-z0-9_-]")

logger = logging.getLogger(__name__)


class Logs(Protocol):
    """Takes what a step tells."""

    def add(self, step_id: str, message: str, fields: dict[str, Any]) -> None:
        """Keep one line."""
        ...


@dataclass(frozen=True, slots=True)
class StepResult:
    """How an attempt ended."""

    status: StepStatus
    rows_processed: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    warning: bool = False
    permanent: bool = False
    """Another attempt would fail the same way."""
    checks: tuple[Check, ...] = ()
    """What it found out about the quality of data."""
    effects: tuple[Effect, ...] | None = None
    """The step's writes; None: those that are recorded."""
    usage: Usage | None = None
    """What they and its queries read, of all attempts; None: what is recorded."""
    message: Mail | SlackMessage | None = None
    """What the step tells people."""


@dataclass(frozen=True, slots=True)
class StepCall:
    """What an attempt is about."""

    claim: Claim
    snapshot: StepSnapshot
    step: StepRun
    late: Mapping[str, str]
    """The variables that are known only now."""


class _StepLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the step's fields to what the processor gives; `merge_extra` does it from Python 3.13 on."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**(self.extra or {}), **(kwargs.get("extra") or {})}}


class StepRunner:
    """Calls processors."""

    def __init__(
        self,
        registry: Registry,
        warehouse: Warehouse,
        store: ControlStore,
        credentials: CredentialReader,
        *,
        scratch: Scratch,
        project: str,
        maximum_bytes_billed: int | None = None,
        console_url: str = "",
    ) -> None:
        """`console_url`: where people look at runs, without a slash at its end; '' when there is no such place."""
        self._registry = registry
        self._warehouse = warehouse
        self._store = store
        self._credentials = credentials
        self._scratch = scratch
        self._project = project
        self._maximum_bytes_billed = maximum_bytes_billed
        self._console_url = console_url
        self._brevity = Brevity()

    def attempt(self, call: StepCall, logs: Logs) -> "Attempt":
        """An attempt that is ready to run."""
        journal = EffectJournal(self._store, call.claim.lease, call.step)
        means = self._means(call.claim, StepEffects(self._access(call.claim, call.snapshot), journal))
        return Attempt(call, self._context(call, means, logs), means, self._loaded, journal)

    async def plan(self, call: StepCall, logs: Logs, to_come: dict[TableRef, str]) -> Mapping[str, Any]:
        """What the processor says that the step would do; nothing when it has no method for that.

        `to_come` has the tables that earlier steps write, by step, and gets those of this one. Raises what the
        processor raises.
        """
        access = replace(self._access(call.claim, call.snapshot), planning=True, to_come=dict(to_come))
        means = self._means(call.claim, StepEffects(access, None))
        try:
            engine, config = await self._loaded(call)
            plan = getattr(engine, "plan", None)
            told = await plan(config, self._context(call, means, logs)) if plan else {}
        finally:
            await means.close()
            to_come.update(dict.fromkeys(means.effects.planned, call.snapshot.step_id))
        return told if isinstance(told, Mapping) else {"sql": None}

    async def conclude(self, attempt: "Attempt", result: StepResult) -> StepResult:
        """The result with the attempt's writes; those whose end is not known are stopped, and asked about."""
        return await self._concluded(attempt.journal, attempt.own, result)

    async def give_up(self, claim: Claim, step: StepRun, result: StepResult) -> StepResult:
        """The result of a step that is not tried again; an earlier worker may have begun a write and been lost."""
        journal = EffectJournal(self._store, claim.lease, step)
        return await self._concluded(journal, self._own(claim.run), result)

    async def _concluded(self, journal: EffectJournal, own: DatasetRef, result: StepResult) -> StepResult:
        await journal.settle(self._warehouse, own)
        error = result.error
        if result.status in {StepStatus.CANCELLED, StepStatus.TIMED_OUT} and (words := told(journal.effects)):
            error = f"{error}; {words}"
        return replace(result, error=error, effects=journal.effects, usage=journal.usage)

    async def inherit(self, claim: Claim, step: StepRun) -> tuple[StepRun, StepResult | None]:
        """The step with those writes of the retried run that were committed; a failure when that cannot be known."""
        effects = await settle(self._warehouse, self._own(claim.run), step.inherited)
        if unknown := [effect for effect in effects if effect.state is EffectState.UNKNOWN]:
            jobs = ", ".join(f"{effect.effect_id} to {effect.table}" for effect in unknown)
            message = f"whether the retried run has committed its writes cannot be found out now: {jobs}"
            return step, StepResult(StepStatus.FAILED, error=message)
        committed = tuple(effect for effect in effects if effect.state is EffectState.COMMITTED)
        return step.model_copy(update={"inherited": committed}), None

    def _own(self, run: Run) -> DatasetRef:
        return DatasetRef(self._project, run.tenant_id)

    async def _loaded(self, call: StepCall) -> tuple[Engine, dict[str, Any]]:
        """The engine and its rendered settings. Imports and parses, which may be too long for the event loop."""
        step = (call.claim.run.name, call.snapshot.step_id)
        given = [*call.snapshot.variables.values(), *call.late.values()]
        return await self._brevity.do(step, partial(self._load, call), in_own_thread, given=given)

    def _load(self, call: StepCall) -> tuple[Engine, dict[str, Any]]:
        ps_type = call.snapshot.ps_type
        own = {name: call.snapshot.variables[name] for name in call.snapshot.names_of_file}
        known = validation_context(
            _template(call),
            project=self._project,
            tenant_id=call.claim.run.tenant_id,
            allowed_sources=call.claim.allowed_sources,
            of_file=settings_of_file(call.snapshot.settings, own),
        )
        engine = self._registry.engine(ps_type)
        return engine, step_config(call.snapshot, call.late, config_of(engine), known)

    def _means(self, claim: Claim, effects: StepEffects) -> "Means":
        credentials = StepCredentials(self._credentials, claim.run.tenant_id, claim.credentials)
        return Means(
            effects,
            credentials,
            TenantWarehouse(self._warehouse, credentials, self._store, effects),
            TenantLoads(self._warehouse, self._store, effects),
            self._scratch.room(),
        )

    def _context(self, call: StepCall, means: "Means", logs: Logs) -> dict[str, Any]:
        run, snapshot, step = call.claim.run, call.snapshot, call.step

        def progress(message: str, **fields: Any) -> None:
            logs.add(step.step_id, message, fields)

        return {
            "tenant_id": run.tenant_id,
            "pipeline_id": run.pipeline_id,
            "pipeline_logging_id": run.pipeline_logging_id,
            "step_id": step.step_id,
            "trigger": snapshot.trigger,
            "attempt": step.attempt,
            "date": snapshot.variables["date"],
            "run_date": snapshot.variables["run_date"],
            "ps_template": _template(call).model_dump(mode="json"),
            "warehouse": means.warehouse,
            "loads": means.loads,
            "credentials": means.credentials,
            "scratch": means.scratch,
            "progress": progress,
            "notifications": Handover(run.pipeline_logging_id, step.step_id),
            "run_url": f"{self._console_url}/runs/{run.pipeline_logging_id}" if self._console_url else "",
            "logger": _StepLogger(logging.getLogger(f"processors.{snapshot.ps_type}"), run_fields(run, step.step_id)),
        }

    def _access(self, claim: Claim, snapshot: StepSnapshot) -> StepAccess:
        run = claim.run
        return StepAccess(
            own=self._own(run),
            run_day=date.fromisoformat(run.date),
            byte_limits=self._byte_limits(claim),
            named_by_file=frozenset(snapshot.tables_named_by_file),
            allowed_sources=claim.allowed_sources,
            job_prefix=f"convergence-{run.pipeline_logging_id}-{snapshot.step_id}",
            labels={
                name: _LABEL.sub("-", value.lower())[:63] for name, value in run_fields(run, snapshot.step_id).items()
            },
            run_id=run.pipeline_logging_id,
            step_id=snapshot.step_id,
            builds_metadata=snapshot.ps_type.startswith("setup."),
        )

    def _byte_limits(self, claim: Claim) -> dict[str, int]:
        limits = {"server": self._maximum_bytes_billed, "tenant": claim.maximum_bytes_billed}
        return {whose: limit for whose, limit in limits.items() if limit is not None}


@dataclass(frozen=True, slots=True)
class Means:
    """What one attempt reaches its tenant's world through."""

    effects: StepEffects
    credentials: StepCredentials
    warehouse: TenantWarehouse
    loads: TenantLoads
    scratch: Room

    async def close(self) -> None:
        """Cut all of it off: the attempt is over."""
        self.effects.close()
        self.credentials.close()
        if self.scratch.close():
            await in_own_thread(self.scratch.remove)


class Attempt:
    """One attempt of one step. Whatever the processor raises becomes a result; only cancellation passes through."""

    def __init__(
        self,
        call: StepCall,
        context: dict[str, Any],
        means: Means,
        load: Callable[[StepCall], Awaitable[tuple[Engine, dict[str, Any]]]],
        journal: EffectJournal,
    ) -> None:
        self.journal = journal
        self._call = call
        self._context = context
        self._means = means
        self._load = load

    async def run(self) -> StepResult:
        """Call the processor and read its answer."""
        ps_type = self._call.snapshot.ps_type
        try:
            engine, config = await self._load(self._call)
            result = _read_answer(ps_type, await engine.execute(config, self._context))
            handed_over: Handover = self._context["notifications"]
            return replace(result, message=handed_over.message) if result.status is StepStatus.SUCCESS else result
        except (asyncio.CancelledError, LeaseLost, StoreBusy):
            raise
        except ProcessorError as error:
            return StepResult(StepStatus.FAILED, error=plain_text(error), permanent=error.permanent)
        except WarehouseError as error:
            return StepResult(StepStatus.FAILED, error=error.message, permanent=error.reason not in _TRANSIENT)
        except Refused as refused:
            return StepResult(StepStatus.FAILED, error="; ".join(map(str, refused.faults)), permanent=True)
        except BaseException as error:
            # Foreign code: not even its KeyboardInterrupt may end the worker. Its text may hold anything, so that it
            # goes to the operator's log and not to the tenant.
            fields = run_fields(self._call.claim.run, self._call.step.step_id)
            logger.exception("Processor %s failed", ps_type, extra=fields)
            message = f"{ps_type} raised {type(error).__name__}; the worker's log has the traceback of this run"
            return StepResult(StepStatus.FAILED, error=message)

    @property
    def own(self) -> DatasetRef:
        """The dataset that the attempt works in."""
        return self._means.effects.access.own

    async def close(self) -> None:
        """The attempt is over, whether or not its processor has noticed: it reaches the warehouse no more."""
        await self._means.close()


def _template(call: StepCall) -> PsTemplateSnapshot:
    return call.claim.snapshot.ps_templates.get(call.snapshot.ps_type, PsTemplateSnapshot())


def _read_answer(ps_type: str, answer: object) -> StepResult:
    """What the contract's dict says; anything else is the processor's fault."""
    name = answer.get("status") if isinstance(answer, Mapping) else None
    if not isinstance(answer, Mapping) or not isinstance(name, str) or name not in _ANSWERS:
        message = f"{ps_type} did not answer with {{'status': 'SUCCESS' | 'FAILED' | 'SKIPPED', ...}}"
        return StepResult(StepStatus.FAILED, error=message, permanent=True)
    try:
        checks = read_checks(answer.get("checks"))
    except InvalidChecks as invalid:
        return StepResult(StepStatus.FAILED, error=f"{ps_type} did not answer as it has to: {invalid}", permanent=True)
    details = plain_mapping(answer.get("details"))
    error = plain_text(details.get("error") or answer.get("error") or f"{ps_type} answered FAILED without a reason")
    status = _ANSWERS[name]
    return StepResult(
        status,
        rows_processed=row_count(answer.get("rows_processed")),
        details=details,
        error=error if status is StepStatus.FAILED else "",
        warning=answer.get("warning") is True,
        permanent=answer.get("permanent") is True,
        checks=checks,
    )
