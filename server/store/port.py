"""The ControlStore port: tenants, keys, runs, leases, events and the outbox, each method one transaction.

Shaped for SQLite and PostgreSQL alike. All times are the store's own clock, so that machines need not agree on theirs.
A worker's writes carry its lease; a lease that another worker has taken over raises LeaseLost and changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from server.domain.pipeline import PipelineName, RunSnapshot
from server.domain.plan import Plan
from server.domain.run import Effect, LogEntry, Run, RunEvent, RunKind, RunStatus, RunTrigger, StepRun
from server.domain.tenant import ApiKey, Tenant, TenantState

MAX_LEASES_LOST = 3
"""A run whose worker vanished this often is poison, and fails."""


class LeaseLost(Exception):
    """Another worker owns the run now."""


class StoreBusy(Exception):
    """The store could not be reached or written in time; the request may be repeated."""


class RequestConflict(Exception):
    """A request id came again with another content."""


class TenantConflict(Exception):
    """The tenant id is taken."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes a repeated request the same: the caller's id, and a digest of the content."""

    tenant_id: str
    method: str
    request_id: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that passed every check."""

    pipeline_logging_id: str
    tenant_id: str
    pipeline_id: str
    name: PipelineName
    trigger: RunTrigger
    date: str
    variables: dict[str, str]
    config_hash: str
    snapshot: RunSnapshot
    created_by: str = ""
    request: RequestKey | None = None
    kind: RunKind = RunKind.EXECUTE


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list; empty means any. Newest first."""

    tenant_id: str | None = None
    pipeline_id: str = ""
    provider: str = ""
    domain: str = ""
    template_name: str = ""
    statuses: tuple[RunStatus, ...] = ()
    created_after: datetime | None = None
    """At this time or later."""
    created_before: datetime | None = None
    """Before this time."""
    kind: RunKind = RunKind.EXECUTE


@dataclass(frozen=True, slots=True)
class RunPosition:
    """Where a page of runs ended: the key of its last run."""

    created_at: datetime
    pipeline_logging_id: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's claim on a run. `epoch` grows with each claim and fences the earlier ones off."""

    pipeline_logging_id: str
    worker_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A run to execute, and what an earlier worker already did of it."""

    lease: Lease
    run: Run
    snapshot: RunSnapshot
    allowed_sources: tuple[str, ...] = ()
    """The tenant's, at the time of the claim."""
    maximum_bytes_billed: int | None = None
    """The tenant's limit for one statement, at the time of the claim."""


@dataclass(frozen=True, slots=True)
class StepEnd:
    """The end of a step's attempt, with the log lines that came before it."""

    step: StepRun
    logs: tuple[LogEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a run."""

    status: RunStatus
    error_message: str = ""
    failed_step: str = ""
    rows_processed: int = 0
    plan: Plan | None = None
    activates_tenant: bool = False
    """The run made the tenant's dataset: an ONBOARDING tenant becomes ACTIVE with it."""
    logs: tuple[LogEntry, ...] = ()


OutboxKind = Literal["run", "step", "api_key"]


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A record whose projection into the warehouse is out of date."""

    number: int
    tenant_id: str
    kind: OutboxKind
    key: str
    """pipeline_logging_id or key_id; for a step `pipeline_logging_id/step_id`."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """A run with its steps, and who has it."""

    run: Run
    worker_id: str
    """The worker that has it, or had it last; '' before the first claim and when it was handed back."""


class ControlStore(Protocol):
    """Everything the system decides by. Each method may raise StoreBusy."""

    # -- changes -------------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """Grows with every commit that this process has seen, its own or another's."""
        ...

    async def wait_for_change(self, seen: int, timeout: float) -> int:  # noqa: ASYNC109
        """Wait until `version` differs from `seen`, at most `timeout` seconds; answers the version."""
        ...

    # -- tenants and keys ----------------------------------------------------------------------------------------

    async def onboard_tenant(self, tenant: Tenant, key: ApiKey, run: NewRun) -> Run:
        """Store a tenant, its first key and its onboarding run together.

        Repeating the same request answers the same run and stores nothing.

        Raises:
            TenantConflict: another request made the tenant.
            RequestConflict: the request id was used for something else.
        """
        ...

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant, or None."""
        ...

    async def list_tenants(self, *, after: str, limit: int, states: Collection[TenantState] = ()) -> list[Tenant]:
        """Tenants in order of their ids, beginning behind `after`, in one of `states` where any are given."""
        ...

    async def count_tenants(self) -> int:
        """How many tenants there are that are not OFFBOARDED."""
        ...

    async def tenants_among(self, names: Collection[str]) -> frozenset[str]:
        """Those of `names` that are tenant ids."""
        ...

    async def has_operator_key(self) -> bool:
        """Whether any key belongs to an operator."""
        ...

    async def add_first_operator_key(self, key: ApiKey) -> bool:
        """Store an operator's key unless there is one already; True when it was stored."""
        ...

    async def find_api_key(self, key_id: str) -> ApiKey | None:
        """The key with that id, or None."""
        ...

    async def tenant_keys(self, tenant_id: str) -> list[ApiKey]:
        """All keys of a tenant, oldest first."""
        ...

    # -- runs ----------------------------------------------------------------------------------------------------

    async def find_request(self, request: RequestKey) -> Run | None:
        """The run that an earlier, equal request made, or None. Raises RequestConflict."""
        ...

    async def accept_run(self, new: NewRun) -> Run:
        """Store run, snapshot, first event, request id and outbox entries. Repeatable. Raises RequestConflict.

        A run of the kind PLAN leaves no outbox entries, now and later: the x_meta_ tables tell of what was executed.
        """
        ...

    async def get_run(self, pipeline_logging_id: str) -> Run | None:
        """The run with its steps, or None."""
        ...

    async def list_runs(self, wanted: RunFilter, *, after: RunPosition | None, limit: int) -> list[Run]:
        """Runs without their steps, newest first, beginning behind `after`."""
        ...

    async def request_cancel(self, pipeline_logging_id: str) -> Run | None:
        """Cancel a waiting run at once, mark a running one CANCELLING; a terminal run stays. None: no such run."""
        ...

    async def events(self, pipeline_logging_id: str, *, after: int, limit: int) -> list[RunEvent]:
        """Events with a sequence above `after`, in order."""
        ...

    # -- the worker's side ---------------------------------------------------------------------------------------

    async def claim(self, worker_id: str, *, lease_seconds: float, max_concurrent_runs: int) -> Claim | None:
        """Take over a run whose lease has ended, or claim the next waiting one.

        The next is the oldest run of the tenant with the fewest running ones, among tenants with fewer than
        `max_concurrent_runs`. A run that lost MAX_LEASES_LOST leases is failed instead of being claimed again.
        """
        ...

    async def renew(self, held: Collection[Lease], *, lease_seconds: float) -> frozenset[Lease]:
        """Extend the leases that still hold; answers those."""
        ...

    async def hand_back(self, lease: Lease) -> None:
        """Give a run back to the queue's front, unfinished and without counting a lost lease."""
        ...

    async def expire_worker(self, worker_id: str) -> int:
        """End the leases of a worker that is known to be dead; answers how many."""
        ...

    async def cancelling(self, held: Collection[Lease]) -> frozenset[Lease]:
        """Those of the leases whose runs are to be cancelled."""
        ...

    async def start_step(self, lease: Lease, step: StepRun) -> StepRun:
        """Record that an attempt begins. Raises LeaseLost."""
        ...

    async def record_effects(self, lease: Lease, step_id: str, effects: Sequence[Effect]) -> None:
        """Record which writes the step has begun, before they begin. Raises LeaseLost."""
        ...

    async def finish_step(self, lease: Lease, end: StepEnd) -> StepRun:
        """Record an attempt's outcome. Raises LeaseLost."""
        ...

    async def add_logs(self, lease: Lease, logs: Sequence[LogEntry]) -> None:
        """Append log lines to the run's events. Raises LeaseLost."""
        ...

    async def finish_run(self, lease: Lease, end: RunEnd) -> Run:
        """Record the run's terminal status. Raises LeaseLost."""
        ...

    # -- the mirror ----------------------------------------------------------------------------------------------

    async def outbox(self, *, skip: Collection[str], limit: int) -> list[OutboxEntry]:
        """The oldest entries, without those of the tenants in `skip`."""
        ...

    async def acknowledge(self, numbers: Collection[int]) -> None:
        """Remove entries whose projection is done."""
        ...

    async def queue_states(self, pipeline_logging_ids: Collection[str]) -> list[QueueState]:
        """The runs with those ids, with their steps and what the queue knows of them."""
        ...

    async def close(self) -> None:
        """Finish what is under way and release everything."""
        ...
