"""A run and what happens to it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from server.domain.delivery import Delivery
from server.domain.pipeline import PipelineName
from server.domain.plan import Plan
from server.domain.record import Record


class RunStatus(StrEnum):
    """Where a run stands. The last four are terminal and never change."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self in {RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT}


class StepStatus(StrEnum):
    """Where a step of a run stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def is_terminal(self) -> bool:
        """Whether the step has ended."""
        return self not in {StepStatus.PENDING, StepStatus.RUNNING}


class RunKind(StrEnum):
    """What a run is for."""

    EXECUTE = "EXECUTE"
    PLAN = "PLAN"
    """It executes nothing, and finds out what the steps would do."""


class RunTrigger(StrEnum):
    """What started a run."""

    API = "API"
    SCHEDULE = "SCHEDULE"
    BACKFILL = "BACKFILL"
    RETRY = "RETRY"
    SYSTEM = "SYSTEM"


class WaitReason(StrEnum):
    """What a PENDING run waits for."""

    QUEUED = "QUEUED"
    """A free place in a worker."""
    MAX_CONCURRENT_RUNS = "MAX_CONCURRENT_RUNS"
    """The end of one of its tenant's runs."""
    BYTES_BILLED_PER_DAY = "BYTES_BILLED_PER_DAY"
    """The next day, since its tenant has used up this day's bytes."""
    TENANT_SUSPENDED = "TENANT_SUSPENDED"
    """Its tenant's return."""


class EffectState(StrEnum):
    """What became of a write that was begun."""

    COMMITTED = "committed"
    STOPPED = "stopped"
    """It failed or was cancelled, left nothing, and is not running any more."""
    UNKNOWN = "unknown"
    """It has not been heard of yet, or the warehouse did not say."""


class Effect(Record):
    """One write of a step, recorded before it begins."""

    effect_id: str
    """What the ids of its jobs begin with; the same in every attempt."""
    job_id: str = ""
    """The warehouse's job that committed it; '' before that."""
    table: str
    """`project.dataset.table` of the destination."""
    write_mode: str
    state: EffectState = EffectState.UNKNOWN
    rows_written: int = 0
    bytes_processed: int = 0
    bytes_billed: int = 0
    slot_milliseconds: int = 0


class StepRun(Record):
    """One step of one run: its latest attempt."""

    step_id: str
    name: str = ""
    ps_type: str
    status: StepStatus = StepStatus.PENDING
    attempt: int = 0
    """1 for the first attempt; 0 before it."""
    failures: int = 0
    """Attempts that ended as FAILED; those that a worker did not get to the end of are none."""
    rows_processed: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lost_at: datetime | None = None
    """When the lease of the worker that its latest attempt was lost with ended; None while it is not lost."""
    error_message: str = ""
    details: dict[str, Any] = Field(default_factory=dict)
    """What the processor reports of its work: job_id, table, ..."""
    warning: bool = False
    """The step succeeded and has something to warn of."""
    effects: tuple[Effect, ...] = ()
    """Its writes, of all attempts."""
    late_variables: dict[str, str] = Field(default_factory=dict)
    """What its settings use of the steps before it, as they were at its first attempt: each attempt says the same."""
    inherited: tuple[Effect, ...] = ()
    """In a run that retries another one: the writes of this step there, which must not be repeated."""
    bytes_processed: int = 0
    """What its queries and writes read, in bytes; of all attempts."""
    bytes_billed: int = 0
    slot_milliseconds: int = 0
    """Time of BigQuery's slots that they took."""


class Run(Record):
    """One execution of a pipeline for a tenant."""

    pipeline_logging_id: str
    tenant_id: str
    pipeline_id: str
    name: PipelineName
    status: RunStatus
    trigger: RunTrigger
    date: str
    """The day the run is about, YYYY-MM-DD."""
    variables: dict[str, str]
    config_hash: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    error_message: str = ""
    failed_step: str = ""
    """step_id of the step that decided a FAILED or TIMED_OUT run."""
    rows_processed: int = 0
    created_by: str = ""
    """key_id of the API key that asked for the run; '' for the system's own."""
    steps: tuple[StepRun, ...] = ()
    kind: RunKind = RunKind.EXECUTE
    retry_of: str = ""
    """The run that this one goes on with."""
    schedule_id: str = ""
    """The schedule that started it, or the run that it retries; '' without one."""
    backfill_id: str = ""
    """The backfill that it belongs to; '' without one. Such runs yield to others."""
    plan: Plan | None = None
    """Of a run of the kind PLAN, once it has ended."""
    wait_reason: WaitReason | None = None
    """Why a PENDING run has not started; only where a run was asked for, not in events."""
    queue_position: int = 0
    """Its place among its tenant's PENDING runs, 1 for the next; 0 where that was not asked for."""
    deliveries: tuple[Delivery, ...] = Field(default=(), exclude=True)
    """What its steps have told people, by recipient; only where a run was asked for, and not stored with it."""


class LogEntry(Record):
    """One line a step told the watchers."""

    step_id: str = ""
    level: str = "INFO"
    message: str
    fields: dict[str, Any] = Field(default_factory=dict)


class RunEvent(Record):
    """One thing that happened to a run; exactly one of run, step and log is set."""

    sequence: int
    """1..n within the run, without gap."""
    time: datetime
    run: Run | None = None
    step: StepRun | None = None
    log: LogEntry | None = None
    earlier_removed: bool = False
    """Whoever asked for the events before it does not get them: they are gone."""

    @property
    def is_last(self) -> bool:
        """Whether nothing will follow."""
        return self.run is not None and self.run.status.is_terminal
