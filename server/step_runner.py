"""One attempt of one step: settings rendered, processor called, its answer read."""

import logging
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from processors.base import Mail, ProcessorError
from server.domain.faults import Refused
from server.domain.pipeline import PsTemplateSnapshot, StepSnapshot
from server.domain.run import Run, StepRun, StepStatus
from server.domain.schema import DatasetRef
from server.logs import run_fields
from server.registry import Registry
from server.rendering import step_config, validation_context
from server.step_warehouse import StepAccess, TenantWarehouse
from server.store.port import Claim, ControlStore
from server.warehouse.port import Warehouse, WarehouseError

_ANSWERS = {"SUCCESS": StepStatus.SUCCESS, "FAILED": StepStatus.FAILED, "SKIPPED": StepStatus.SKIPPED}
_TRANSIENT = {"WAREHOUSE_BUSY", "WAREHOUSE_FAILED"}
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


class _StepLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the step's fields to what the processor gives; `merge_extra` does it from Python 3.13 on."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**(self.extra or {}), **(kwargs.get("extra") or {})}}


class StepRunner:
    """Calls processors. Whatever they raise becomes a result; only cancellation passes through."""

    def __init__(
        self, registry: Registry, warehouse: Warehouse, store: ControlStore, mail: Mail, *, project: str
    ) -> None:
        self._registry = registry
        self._warehouse = warehouse
        self._store = store
        self._mail = mail
        self._project = project

    async def execute(
        self, claim: Claim, snapshot: StepSnapshot, step: StepRun, late: Mapping[str, str], logs: Logs
    ) -> StepResult:
        """Run one attempt of the step."""
        fields = _fields(claim.run, step.step_id)
        try:
            engine = self._registry.engine(snapshot.ps_type)
            config = self._step_config(claim, snapshot, late)
            answer = await engine.execute(config, self._context(claim, snapshot, step, logs))
        except ProcessorError as error:
            return StepResult(StepStatus.FAILED, error=str(error))
        except WarehouseError as error:
            return StepResult(StepStatus.FAILED, error=error.message, permanent=error.reason not in _TRANSIENT)
        except Refused as refused:
            return StepResult(StepStatus.FAILED, error="; ".join(map(str, refused.faults)), permanent=True)
        except (Exception, SystemExit) as error:
            # Its text may hold anything, so that it goes to the operator's log and not to the tenant.
            logger.exception("Processor %s failed", snapshot.ps_type, extra=fields)
            message = (
                f"{snapshot.ps_type} raised {type(error).__name__}; the worker's log has the traceback of this run"
            )
            return StepResult(StepStatus.FAILED, error=message)
        return _read_answer(snapshot.ps_type, answer)

    def _step_config(self, claim: Claim, snapshot: StepSnapshot, late: Mapping[str, str]) -> dict[str, Any]:
        template = _template(claim, snapshot)
        known = validation_context(template, project=self._project, tenant_id=claim.run.tenant_id)
        return step_config(snapshot, late, self._registry.config_model(snapshot.ps_type), known)

    def _context(self, claim: Claim, snapshot: StepSnapshot, step: StepRun, logs: Logs) -> dict[str, Any]:
        run = claim.run

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
            "ps_template": _template(claim, snapshot).model_dump(mode="json"),
            "warehouse": TenantWarehouse(self._warehouse, self._store, self._access(claim, snapshot)),
            "progress": progress,
            "mail": self._mail,
            "logger": _StepLogger(logging.getLogger(f"processors.{snapshot.ps_type}"), _fields(run, step.step_id)),
        }

    def _access(self, claim: Claim, snapshot: StepSnapshot) -> StepAccess:
        run = claim.run
        return StepAccess(
            own=DatasetRef(self._project, run.tenant_id),
            named_by_file=frozenset(snapshot.tables_named_by_file),
            allowed_sources=claim.allowed_sources,
            job_prefix=f"convergence-{run.pipeline_logging_id}-{snapshot.step_id}",
            labels={
                name: _LABEL.sub("-", value.lower())[:63] for name, value in _fields(run, snapshot.step_id).items()
            },
            builds_metadata=snapshot.ps_type.startswith("setup."),
        )


def _template(claim: Claim, snapshot: StepSnapshot) -> PsTemplateSnapshot:
    return claim.snapshot.ps_templates.get(snapshot.ps_type, PsTemplateSnapshot())


def _fields(run: Run, step_id: str) -> dict[str, str]:
    return run_fields(
        tenant_id=run.tenant_id,
        pipeline_id=run.pipeline_id,
        pipeline_logging_id=run.pipeline_logging_id,
        step_id=step_id,
    )


def _read_answer(ps_type: str, answer: object) -> StepResult:
    """What the contract's dict says; anything else is the processor's fault."""
    if not isinstance(answer, Mapping) or answer.get("status") not in _ANSWERS:
        return StepResult(
            StepStatus.FAILED,
            error=f"{ps_type} did not answer with {{'status': 'SUCCESS' | 'FAILED' | 'SKIPPED', ...}}",
            permanent=True,
        )
    details = answer.get("details") or {}
    error = str(details.get("error") or answer.get("error") or "") if isinstance(details, Mapping) else ""
    status = _ANSWERS[answer["status"]]
    if status is StepStatus.FAILED and not error:
        error = f"{ps_type} answered FAILED without a reason"
    return StepResult(
        status,
        rows_processed=_whole_number(answer.get("rows_processed")),
        details=_plain(details),
        error=error if status is StepStatus.FAILED else "",
        warning=bool(answer.get("warning")),
    )


def _whole_number(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _plain(details: object) -> dict[str, Any]:
    """Details as JSON keeps them."""
    if not isinstance(details, Mapping):
        return {}
    return {str(key): _plain_value(value) for key, value in details.items()}


def _plain_value(value: object) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_value(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
