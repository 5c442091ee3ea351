"""The ControlStore port: tenants, keys, runs, leases, events and the outbox, each method one transaction.

Shaped for SQLite and PostgreSQL alike. All times are the store's own clock, so that machines need not agree on theirs.
A worker's writes carry its lease; a lease that another worker has taken over raises LeaseLost and changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from server.domain.audit import Actor, AuditEvent
from server.domain.credential import Credential, CredentialKind
from server.domain.data_quality import Check, CheckStatus, DataQualityResult
from server.domain.delivery import Mail, SlackMessage
from server.domain.load import Load, LoadRecord
from server.domain.pipeline import PipelineName, RunSnapshot
from server.domain.plan import Plan
from server.domain.quotas import Plans, QuotaUse
from server.domain.run import LogEntry, Run, RunEvent, RunKind, RunStatus, RunTrigger, StepRun
from server.domain.schedule import NewSchedule, Tick
from server.domain.tenant import ApiKey, Tenant, TenantState

EVENT_CHARACTERS = 256 * 1_024
"""Beyond it a piece of a run's events ends: somebody may read them slowly, and many may."""
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


class KeyNotActive(Exception):
    """The API key is revoked, has expired or has a successor."""


class CallerKeyEnded(Exception):
    """The API key that asks has ended in the meantime."""


class TenantChanged(Exception):
    """Somebody else has changed the tenant in the meantime."""


class TenantGone(Exception):
    """The tenant has been offboarded."""


class RunHeld(Exception):
    """The run's tenant is suspended: its next step waits for the tenant's return."""


class AlreadyRetried(Exception):
    """Another run goes on with that one already."""


class OriginGone(Exception):
    """The run to go on with has been removed."""


class LoadConflict(Exception):
    """Another run loads the same objects into the same table, or has done it in the meantime."""

    def __init__(self, pipeline_logging_id: str) -> None:
        self.pipeline_logging_id = pipeline_logging_id
        """The other run."""
        super().__init__(pipeline_logging_id)


class QuotaExceeded(Exception):
    """A new run is more than its tenant may."""

    def __init__(self, uses: Sequence[QuotaUse], now: datetime) -> None:
        self.uses = uses
        """The quotas that it would exceed."""
        self.now = now
        """The store's time."""
        super().__init__(", ".join(use.quota for use in uses))


@dataclass(frozen=True, slots=True)
class TakenRequests:
    """Calls taken from what a tenant may make in a minute."""

    given: int
    """How many there were."""
    limit: int
    """How many the minute has in all."""
    seconds_left: float
    """Until the minute ends."""


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
    by: Actor
    request: RequestKey | None = None
    kind: RunKind = RunKind.EXECUTE
    retry_of: str = ""
    """The run that this one goes on with: steps that succeeded there are taken over as they are."""
    schedule_id: str = ""
    """The schedule that it belongs to, or ''."""
    backfill_id: str = ""
    """The backfill that it belongs to, or ''."""
    traceparent: str = ""
    """Where it belongs in a trace, as W3C's header says it; '' while nothing is traced."""


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
    schedule_id: str = ""
    backfill_id: str = ""
    kind: RunKind = RunKind.EXECUTE
    triggers: tuple[RunTrigger, ...] = ()
    text: str = ""
    """Stands in one of the ids or the error message, in capitals or not."""
    is_oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class PipelineStatistics:
    """How the runs of one pipeline went."""

    name: PipelineName
    runs_by_status: Mapping[RunStatus, int]
    mean_seconds: float
    """Of the runs that were begun and have ended; 0 when there is none."""
    longest_seconds: float


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """How the runs of a period went, and what waits now."""

    buckets: Sequence[Mapping[RunStatus, int]]
    """Of each piece of the period, how many runs there are by their status now."""
    pipelines: Sequence[PipelineStatistics]
    """The one with most runs first."""
    pending: int
    active: int
    oldest_pending: datetime | None


@dataclass(frozen=True, slots=True)
class DataQualityFilter:
    """Which results to list; empty means any. Newest first, those of a step in the order of its checks."""

    tenant_id: str
    pipeline_logging_id: str = ""
    table_name: str = ""
    statuses: tuple[CheckStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class DataQualityPosition:
    """Where a page of results ended: the key of its last one."""

    checked_at: datetime
    pipeline_logging_id: str
    step_id: str
    place: int


@dataclass(frozen=True, slots=True)
class KeyPosition:
    """Where a page of keys ended: the key of its last one."""

    created_at: datetime
    key_id: str


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
    credentials: Mapping[str, int] = field(default_factory=dict)
    """The tenant's credentials by name, with the version that was the latest at the time of the claim."""
    is_suspect: bool = False
    """Its worker was lost as often as it may be: should it happen again, the run is poison."""
    traceparent: str = ""
    """Where the run belongs in a trace, or ''."""


@dataclass(frozen=True, slots=True)
class StepEnd:
    """The end of a step's attempt, with the log lines that came before it."""

    step: StepRun
    logs: tuple[LogEntry, ...] = ()
    checks: tuple[Check, ...] = ()
    """What it found out about the quality of data."""
    message: Mail | SlackMessage | None = None
    """What the step tells people: queued with its end, or not at all."""


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
    deletes_dataset: bool = False
    """The run removed the dataset of an OFFBOARDED tenant."""
    logs: tuple[LogEntry, ...] = ()


OutboxKind = Literal["run", "step", "dq", "tick", "api_key", "credential", "tenant"]


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A record whose projection into the warehouse is out of date."""

    number: int
    tenant_id: str
    kind: OutboxKind
    key: str
    """pipeline_logging_id, key_id, tenant_id or a credential's name; for a step `pipeline_logging_id/step_id`.

    For the checks of a step (dq) that of the step; for a tick `schedule_id/nominal time`, in microseconds.
    """


@dataclass(frozen=True, slots=True)
class Flush:
    """One worker's turn to write the x_meta_ tables of a tenant."""

    tenant_id: str
    number: int
    """1, 2, 3 ... for the tenant, whichever worker it is."""
    settled: int
    """Nothing is under way any more of what the flushes up to this one have written."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """A run with its steps, and who has it."""

    run: Run
    worker_id: str
    """The worker that has it, or had it last; '' before the first claim and when it was handed back."""


@dataclass(frozen=True, slots=True)
class EndPosition:
    """Where a walk over the runs in the order of their ends has come to."""

    finished_at: int
    """Microseconds since 1970 UTC."""
    pipeline_logging_id: str


@dataclass(frozen=True, slots=True)
class RemovedEvents:
    """A piece of such a walk."""

    runs: int
    """Runs of which events were removed."""
    last: EndPosition
    is_end: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the store that is not as it has to be."""

    check: str
    """UPPER_SNAKE."""
    subject: str
    """The tenant or run that it is about."""
    message: str
    is_repairable: bool
    """Whether a repair mends it; the rest needs a person."""


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

    @property
    def writes_at_once(self) -> int:
        """As many writes one caller may have under way without keeping others waiting."""
        ...

    # -- tenants and keys ----------------------------------------------------------------------------------------

    async def onboard_tenant(
        self, tenant: Tenant, key: ApiKey, run: NewRun, plans: Plans, *, schedules: Sequence[NewSchedule] = ()
    ) -> Run:
        """Store a tenant, its first key, its onboarding run and its schedules together.

        Repeating the same request answers the same run and stores nothing.

        Raises:
            TenantConflict: another request made the tenant.
            RequestConflict: the request id was used for something else.
        """
        ...

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant, or None."""
        ...

    async def tenant_and_credentials(self, tenant_id: str) -> tuple[Tenant, Mapping[str, CredentialKind]] | None:
        """The tenant with the names of its credentials and what they are, or None."""
        ...

    async def tenant_credentials(self, tenant_id: str, names: Collection[str]) -> list[Credential]:
        """The latest versions of those of the tenant's credentials, also of those that are deleted."""
        ...

    async def update_tenant(self, tenant: Tenant, *, was: Tenant, by: Actor) -> Tenant:
        """Replace a tenant that is still as it `was`. Raises TenantChanged."""
        ...

    async def offboard_tenant(self, tenant_id: str, *, by: Actor, request: RequestKey | None) -> None:
        """Let a tenant be OFFBOARDED, revoke its keys and destroy its credentials. Repeatable.

        Raises:
            RequestConflict: the request id was used for something else.
        """
        ...

    async def cancel_runs(self, tenant_id: str, *, by: Actor, limit: int) -> int:
        """Cancel runs of an OFFBOARDED tenant, at most `limit`; answers how many, 0 when there are none left.

        The run that removes its dataset is left alone.
        """
        ...

    async def delete_dataset_by(self, run: NewRun, plans: Plans) -> None:
        """Accept the run that removes the dataset of an OFFBOARDED tenant, unless one is at it or has done it."""
        ...

    async def list_tenants(self, *, after: str, limit: int, states: Collection[TenantState] = ()) -> list[Tenant]:
        """Tenants in order of their ids, beginning behind `after`, in one of `states` where any are given."""
        ...

    async def count_tenants(self) -> int:
        """How many tenants there are that are not OFFBOARDED."""
        ...

    async def tenants_with(self, tenant_ids: Collection[str]) -> list[Tenant]:
        """The tenants with those ids."""
        ...

    async def tenants_among(self, names: Collection[str]) -> frozenset[str]:
        """Those of `names` that are tenant ids."""
        ...

    async def agree(self, name: str, value: str) -> str:
        """Say a fact that all servers of the store share: the first that was said, which may be another one."""
        ...

    async def fact(self, name: str) -> str | None:
        """What all servers have agreed on, or None."""
        ...

    async def has_operator_key(self) -> bool:
        """Whether any key belongs to an operator."""
        ...

    async def add_first_operator_key(self, key: ApiKey) -> bool:
        """Store an operator's key unless there is one already; True when it was stored."""
        ...

    async def create_api_key(self, key: ApiKey, *, by: Actor, request: RequestKey | None) -> ApiKey:
        """Store a key; the same request again answers the key that it has made.

        Raises:
            TenantGone, CallerKeyEnded: the key of `by` is revoked or has expired.
            RequestConflict: the request id was used for something else.
        """
        ...

    async def rotate_api_key(
        self, old_id: str, key: ApiKey, *, overlap_seconds: float, by: Actor, request: RequestKey | None
    ) -> ApiKey:
        """Store the successor of a key that expires after the overlap, if not before. Repeatable as `create_api_key`.

        The successor lives as long as the old one was made for, whatever `key` says.

        Raises:
            TenantGone, KeyNotActive: the old one is revoked or expired, or has been rotated.
            CallerKeyEnded, RequestConflict: the request id was used for something else.
        """
        ...

    async def revoke_api_key(self, key: ApiKey, *, by: Actor) -> ApiKey:
        """End a key, once."""
        ...

    async def revoke_other_operators(self, kept: str, *, by: Actor) -> None:
        """End every operator's key but the one with that id."""
        ...

    async def find_key_request(self, request: RequestKey) -> ApiKey | None:
        """The key that an earlier, equal request made, or None. Raises RequestConflict."""
        ...

    async def list_api_keys(self, tenant_id: str | None, *, after: KeyPosition | None, limit: int) -> list[ApiKey]:
        """Keys of a tenant, or with None the operators', newest first, behind `after`."""
        ...

    async def note_key_uses(self, uses: Mapping[str, datetime]) -> None:
        """Remember when keys, by their ids, were used last."""
        ...

    async def audit_events(self, tenant_id: str | None, *, before: int | None, limit: int) -> list[AuditEvent]:
        """The audit log, newest first, below the number `before`; of one tenant, or with None all of it."""
        ...

    async def find_api_key(self, key_id: str) -> ApiKey | None:
        """The key with that id, or None."""
        ...

    async def tenant_keys(self, tenant_id: str) -> list[ApiKey]:
        """All keys of a tenant, oldest first."""
        ...

    async def keys_with(self, key_ids: Collection[str]) -> list[ApiKey]:
        """The keys with those ids."""
        ...

    # -- runs ----------------------------------------------------------------------------------------------------

    async def find_request(self, request: RequestKey) -> Run | None:
        """The run that an earlier, equal request made, or None. Raises RequestConflict."""
        ...

    async def accept_run(self, new: NewRun, plans: Plans) -> Run:
        """Store run, snapshot, first event, request id and outbox entries. Repeatable.

        A run of the kind PLAN leaves no outbox entries, now and later: the x_meta_ tables tell of what was executed.

        Raises:
            RequestConflict: the request id was used for something else.
            TenantGone: its tenant is OFFBOARDED.
            QuotaExceeded: by the limits that `plans` gives the tenant; runs of the system have none.
            AlreadyRetried: `retry_of` has been retried.
            OriginGone: there is no such run any more.
        """
        ...

    async def get_run(self, pipeline_logging_id: str) -> Run | None:
        """The run with its steps, or None."""
        ...

    async def explain_run(self, pipeline_logging_id: str, plans: Plans) -> Run | None:
        """As `get_run`, a waiting run with its reason and its place, and what became of the messages of its steps."""
        ...

    async def count_runs(self, wanted: RunFilter) -> Mapping[RunStatus, int]:
        """How many of the latest 10,000 runs of any status are in which; `statuses` of the filter are not looked at."""
        ...

    async def run_statistics(
        self, tenant_id: str | None, since: datetime, until: datetime, buckets: int
    ) -> RunStatistics:
        """How the latest 100,000 runs of the period went; None is all tenants."""
        ...

    async def run_snapshot(self, pipeline_logging_id: str) -> RunSnapshot | None:
        """What the run was accepted with, or None."""
        ...

    async def list_runs(
        self, wanted: RunFilter, *, after: RunPosition | None, limit: int, plans: Plans | None = None
    ) -> list[Run]:
        """Runs without their steps, newest first, behind `after`; with `plans`, waiting ones with their reason."""
        ...

    async def list_data_quality_results(
        self, wanted: DataQualityFilter, *, after: DataQualityPosition | None, limit: int
    ) -> list[DataQualityResult]:
        """What checks of data found, newest first, behind `after`."""
        ...

    async def request_cancel(self, pipeline_logging_id: str, *, by: Actor) -> Run | None:
        """Cancel a waiting run at once, mark a running one CANCELLING; a terminal run stays. None: no such run."""
        ...

    async def events(self, pipeline_logging_id: str, *, after: int, limit: int) -> list[RunEvent]:
        """Events with a sequence above `after`, in order: at most `limit`, and none behind EVENT_CHARACTERS of JSON.

        So an empty list says that there are no more, and a shorter one says nothing.
        """
        ...

    async def last_sequences(self, pipeline_logging_ids: Collection[str]) -> dict[str, int]:
        """The sequence of the latest event of each of the runs."""
        ...

    # -- quotas --------------------------------------------------------------------------------------------------

    async def usage(self, tenant_ids: Collection[str], plans: Plans) -> Mapping[str, list[QuotaUse]]:
        """What each of the tenants has used of each of its quotas."""
        ...

    async def take_requests(self, tenant_id: str, wanted: int, plans: Plans) -> TakenRequests | None:
        """Take calls from what the tenant may make this minute: as many of `wanted` as are left; None: no limit."""
        ...

    # -- the worker's side ---------------------------------------------------------------------------------------

    async def claim(
        self, worker_id: str, *, lease_seconds: float, plans: Plans, suspects: bool = True, backfills: bool = True
    ) -> Claim | None:
        """Take over a run whose lease has ended, or claim the next waiting one.

        The next is the oldest run of the tenant with the fewest running ones, among the tenants that may run more by
        their quotas and are not suspended; tenants with equally many take turns. A run that lost MAX_LEASES_LOST leases
        is failed instead of being claimed again. Without `suspects`, runs that have one lease left are not taken over:
        a worker takes one at a time, so that the loss of a worker tells which of them is poison.

        Runs of backfills come after all others, those of their tenant and those of other tenants. Without `backfills`
        none of them is begun.
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
        """Record that an attempt begins. Raises LeaseLost; RunHeld, unless the run is to be cancelled."""
        ...

    async def record_effects(self, lease: Lease, step: StepRun, load: Load | None = None) -> None:
        """Record a step's writes before they begin, and its usage so far; of a load, what it loads.

        Raises:
            LeaseLost: also after its attempt.
            LoadConflict: what is to be loaded is being loaded by another run, or was, and not to be loaded again.
        """
        ...

    async def loads(
        self, tenant_id: str, table: str, partition: str | None = None, *, uris: Sequence[str] | None = None
    ) -> list[LoadRecord]:
        """What a table was loaded from: its partition with that first day, or, for '', what is recorded without one.

        With None everything is told. `uris`: only those objects are.
        """
        ...

    async def begun_loads(self, tenant_id: str, table: str) -> list[LoadRecord]:
        """The loads into any part of the table of which it is not known whether they were committed."""
        ...

    async def end_load(self, lease: Lease, effect_id: str, *, is_committed: bool) -> None:
        """What became of an effect that was recorded with a load, by this run or another that has ended.

        Repeatable, and nothing for other effects. Raises LeaseLost.
        """
        ...

    async def finish_step(self, lease: Lease, end: StepEnd) -> StepRun:
        """Record an attempt's outcome, and its checks in the place of those of attempts before. Raises LeaseLost."""
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

    async def begin_flush(
        self, tenant_id: str, worker_id: str, *, lease_seconds: float, unused: int = 0
    ) -> Flush | None:
        """Have the tenant's tables to this worker for a while; None while another worker has them.

        `unused` is the number of a flush of this worker's that has written nothing, and is given again.
        """
        ...

    async def keep_flush(self, flush: Flush, *, lease_seconds: float) -> bool:
        """Have the tables longer; False when another flush has begun."""
        ...

    async def release_mirrors(self, worker_id: str) -> None:
        """Let other workers have the tables that this one has."""
        ...

    async def acknowledge(self, flush: Flush, numbers: Collection[int], *, settled: int) -> None:
        """Remove entries that the flush has projected; none when another flush of the tenant has begun.

        `settled`: nothing is under way any more of what the flushes up to that number wrote.
        """
        ...

    async def queue_states(self, pipeline_logging_ids: Collection[str]) -> list[QueueState]:
        """The runs with those ids, with their steps and what the queue knows of them."""
        ...

    async def data_quality_results_of(self, steps: Collection[tuple[str, str]]) -> list[DataQualityResult]:
        """What the checks of those steps found; a step is its run's pipeline_logging_id and its step_id."""
        ...

    async def ticks_of(self, tenant_id: str, wanted: Collection[tuple[str, int]]) -> list[Tick]:
        """The ticks of a tenant's schedules with those keys: the schedule's id, and microseconds since 1970 UTC."""
        ...

    # -- care ----------------------------------------------------------------------------------------------------

    async def remove_runs(self, *, older_than_days: float, limit: int) -> int:
        """Remove at most `limit` runs that ended so long ago, with all that belongs to them; answers how many."""
        ...

    async def remove_ticks(self, *, older_than_days: float, limit: int) -> int:
        """Remove at most `limit` ticks of schedules that were dealt with so long ago; answers how many."""
        ...

    async def remove_backfills(self, *, older_than_days: float, limit: int) -> int:
        """Remove at most `limit` backfills that ended so long ago; answers how many."""
        ...

    async def remove_events(self, *, older_than_days: float, after: EndPosition, limit: int) -> RemovedEvents:
        """Leave only the last event of runs that ended so long ago: of `limit` runs, beginning behind `after`."""
        ...

    async def destroy_superseded_credentials(self) -> int:
        """Destroy the versions that have a successor and that no run can have been claimed with; answers how many."""
        ...

    async def remove_usage(self) -> None:
        """Forget what was used in periods that no quota counts any more."""
        ...

    async def check(self, *, repair_by: Actor | None = None) -> list[Finding]:
        """What is not as it has to be; with somebody who wants it mended, mend what can be."""
        ...

    async def note_all(self, tenant_id: str, *, by: Actor) -> int:
        """Have everything of a tenant copied into its tables again; answers how many records."""
        ...

    async def note_retention(self, *, by: Actor) -> None:
        """Remember who asks that what is too old be removed now."""
        ...

    async def expire_run(self, pipeline_logging_id: str, *, by: Actor) -> bool:
        """End the lease of an active run, as if its worker were lost; False when it is not active."""
        ...

    async def close(self) -> None:
        """Finish what is under way and release everything."""
        ...
