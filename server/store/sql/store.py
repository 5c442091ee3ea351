"""The ControlStore port: each method is one function in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from server.domain.audit import Actor, AuditAction, AuditEvent
from server.domain.data_quality import DataQualityResult
from server.domain.load import Load
from server.domain.pipeline import RunSnapshot
from server.domain.quotas import Plans, QuotaUse
from server.domain.run import LogEntry, Run, RunEvent, RunStatus, StepRun
from server.domain.schedule import NewSchedule, Tick
from server.domain.tenant import ApiKey, Tenant, TenantState
from server.store.port import (
    Claim,
    DataQualityFilter,
    DataQualityPosition,
    EndPosition,
    Finding,
    Flush,
    KeyPosition,
    Lease,
    NewRun,
    OutboxEntry,
    QueueState,
    RemovedEvents,
    RequestKey,
    RunEnd,
    RunFilter,
    RunPosition,
    RunStatistics,
    StepEnd,
    TakenRequests,
)
from server.store.sql import (
    audit,
    backfills,
    checking,
    data_quality,
    deliveries,
    keys,
    leases,
    offboarding,
    outbox,
    queues,
    retention,
    run_lists,
    runs,
    tenants,
    ticks,
    waiting,
)
from server.store.sql.database import Transaction, ago
from server.store.sql.delivery_store import SqlDeliveryStore
from server.store.sql.health_store import SqlHealthStore
from server.store.sql.load_store import SqlLoadStore
from server.store.sql.schedule_store import SqlScheduleStore


def _micros(seconds: float) -> int:
    return int(seconds * 1_000_000)


class SqlStore(SqlLoadStore, SqlDeliveryStore, SqlScheduleStore, SqlHealthStore):
    """A ControlStore in an SQL database, which several processes may use at once."""

    @property
    def version(self) -> int:
        """Grows with every commit that this process has seen."""
        return self._db.version

    async def wait_for_change(self, seen: int, timeout: float) -> int:  # noqa: ASYNC109
        """See the port."""
        return await self._db.wait_for_change(seen, timeout)

    async def onboard_tenant(
        self, tenant: Tenant, key: ApiKey, run: NewRun, plans: Plans, *, schedules: Sequence[NewSchedule] = ()
    ) -> Run:
        """See the port."""
        return await self._db.write(lambda tx: tenants.onboard(tx, tenant, key, run, plans, own_schedules=schedules))

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        """See the port."""
        return await self._db.read(lambda tx: tenants.find_tenant(tx, tenant_id))

    async def update_tenant(self, tenant: Tenant, *, was: Tenant, by: Actor) -> Tenant:
        """See the port."""
        return await self._db.write(lambda tx: tenants.update(tx, tenant, was, by))

    async def offboard_tenant(self, tenant_id: str, *, by: Actor, request: RequestKey | None) -> None:
        """See the port."""
        await self._db.write(lambda tx: offboarding.offboard(tx, tenant_id, by, request), is_long=True)

    async def cancel_runs(self, tenant_id: str, *, by: Actor, limit: int) -> int:
        """See the port."""
        return await self._db.write(lambda tx: offboarding.cancel_runs(tx, tenant_id, by, limit), is_long=True)

    async def delete_dataset_by(self, run: NewRun, plans: Plans) -> None:
        """See the port."""
        await self._db.write(lambda tx: offboarding.delete_dataset_by(tx, run, plans))

    async def list_tenants(self, *, after: str, limit: int, states: Collection[TenantState] = ()) -> list[Tenant]:
        """See the port."""
        return await self._db.read(lambda tx: tenants.list_tenants(tx, after, limit, list(states)))

    async def count_tenants(self) -> int:
        """See the port."""
        return await self._db.read(tenants.count_tenants)

    async def tenants_with(self, tenant_ids: Collection[str]) -> list[Tenant]:
        """See the port."""
        return await self._db.read(lambda tx: tenants.tenants_with(tx, list(tenant_ids)))

    async def tenants_among(self, names: Collection[str]) -> frozenset[str]:
        """See the port."""
        return await self._db.read(lambda tx: tenants.tenants_among(tx, list(names)))

    async def agree(self, name: str, value: str) -> str:
        """See the port."""
        return await self._db.write(lambda tx: tenants.agree(tx, name, value))

    async def fact(self, name: str) -> str | None:
        """See the port."""
        return await self._db.read(lambda tx: tenants.fact(tx, name))

    async def has_operator_key(self) -> bool:
        """See the port."""
        return await self._db.read(keys.has_operator_key)

    async def add_first_operator_key(self, key: ApiKey) -> bool:
        """See the port."""
        return await self._db.write(lambda tx: keys.add_first_key(tx, key))

    async def create_api_key(self, key: ApiKey, *, by: Actor, request: RequestKey | None) -> ApiKey:
        """See the port."""
        return await self._db.write(lambda tx: keys.create(tx, key, by, request))

    async def rotate_api_key(
        self, old_id: str, key: ApiKey, *, overlap_seconds: float, by: Actor, request: RequestKey | None
    ) -> ApiKey:
        """See the port."""
        overlap = _micros(overlap_seconds)
        return await self._db.write(
            lambda tx: keys.rotate(tx, old_id, key, overlap_micros=overlap, by=by, request=request)
        )

    async def revoke_api_key(self, key: ApiKey, *, by: Actor) -> ApiKey:
        """See the port."""
        return await self._db.write(lambda tx: keys.revoke(tx, key, by))

    async def revoke_other_operators(self, kept: str, *, by: Actor) -> None:
        """See the port."""
        await self._db.write(lambda tx: keys.revoke_other_operators(tx, kept, by))

    async def find_key_request(self, request: RequestKey) -> ApiKey | None:
        """See the port."""
        return await self._db.read(lambda tx: keys.find_request(tx, request))

    async def list_api_keys(self, tenant_id: str | None, *, after: KeyPosition | None, limit: int) -> list[ApiKey]:
        """See the port."""
        return await self._db.read(lambda tx: keys.list_keys(tx, tenant_id, after, limit))

    async def note_key_uses(self, uses: Mapping[str, datetime]) -> None:
        """See the port."""
        await self._db.write(lambda tx: keys.note_uses(tx, uses))

    async def audit_events(self, tenant_id: str | None, *, before: int | None, limit: int) -> list[AuditEvent]:
        """See the port."""
        return await self._db.read(lambda tx: audit.events(tx, tenant_id, before, limit))

    async def find_api_key(self, key_id: str) -> ApiKey | None:
        """See the port."""
        return await self._db.read(lambda tx: keys.find_key(tx, key_id))

    async def tenant_keys(self, tenant_id: str) -> list[ApiKey]:
        """See the port."""
        return await self._db.read(lambda tx: keys.tenant_keys(tx, tenant_id))

    async def keys_with(self, key_ids: Collection[str]) -> list[ApiKey]:
        """See the port."""
        return await self._db.read(lambda tx: keys.keys_with(tx, list(key_ids)))

    async def find_request(self, request: RequestKey) -> Run | None:
        """See the port."""
        return await self._db.read(lambda tx: runs.find_request(tx, request))

    async def accept_run(self, new: NewRun, plans: Plans) -> Run:
        """See the port."""
        return await self._db.write(lambda tx: runs.accept(tx, new, plans))

    async def get_run(self, pipeline_logging_id: str) -> Run | None:
        """See the port."""
        return await self._db.read(lambda tx: runs.find_run(tx, pipeline_logging_id))

    async def explain_run(self, pipeline_logging_id: str, plans: Plans) -> Run | None:
        """See the port."""

        def explain(tx: Transaction) -> Run | None:
            run = runs.find_run(tx, pipeline_logging_id)
            if run is None:
                return None
            return deliveries.with_deliveries(tx, waiting.placed(tx, waiting.explained(tx, plans, [run])[0]))

        return await self._db.read(explain)

    async def run_snapshot(self, pipeline_logging_id: str) -> RunSnapshot | None:
        """See the port."""
        return await self._db.read(lambda tx: runs.find_snapshot(tx, pipeline_logging_id))

    async def list_runs(
        self, wanted: RunFilter, *, after: RunPosition | None, limit: int, plans: Plans | None = None
    ) -> list[Run]:
        """See the port."""

        def page(tx: Transaction) -> list[Run]:
            found = run_lists.list_runs(tx, wanted, after, limit)
            return waiting.explained(tx, plans, found) if plans else found

        return await self._db.scan(page)

    async def count_runs(self, wanted: RunFilter) -> Mapping[RunStatus, int]:
        """See the port."""
        return await self._db.scan(lambda tx: run_lists.count_runs(tx, wanted))

    async def run_statistics(
        self, tenant_id: str | None, since: datetime, until: datetime, buckets: int
    ) -> RunStatistics:
        """See the port."""
        return await self._db.scan(lambda tx: run_lists.statistics(tx, tenant_id, since, until, buckets))

    async def list_data_quality_results(
        self, wanted: DataQualityFilter, *, after: DataQualityPosition | None, limit: int
    ) -> list[DataQualityResult]:
        """See the port."""
        return await self._db.scan(lambda tx: data_quality.list_results(tx, wanted, after, limit))

    async def request_cancel(self, pipeline_logging_id: str, *, by: Actor) -> Run | None:
        """See the port."""
        return await self._db.write(lambda tx: runs.request_cancel(tx, pipeline_logging_id, by))

    async def events(self, pipeline_logging_id: str, *, after: int, limit: int) -> list[RunEvent]:
        """See the port."""
        return await self._db.read(lambda tx: runs.events(tx, pipeline_logging_id, after, limit))

    async def last_sequences(self, pipeline_logging_ids: Collection[str]) -> dict[str, int]:
        """See the port."""
        return await self._db.read(lambda tx: runs.last_sequences(tx, list(pipeline_logging_ids)))

    async def usage(self, tenant_ids: Collection[str], plans: Plans) -> Mapping[str, list[QuotaUse]]:
        """See the port."""
        return await self._db.read(lambda tx: queues.usage(tx, list(tenant_ids), plans))

    async def take_requests(self, tenant_id: str, wanted: int, plans: Plans) -> TakenRequests | None:
        """See the port."""
        return await self._db.write(lambda tx: queues.take_requests(tx, tenant_id, wanted, plans))

    async def claim(
        self, worker_id: str, *, lease_seconds: float, plans: Plans, suspects: bool = True, backfills: bool = True
    ) -> Claim | None:
        """See the port."""
        # A look costs a reader's time; asking for the write lock at every commit of anyone would cost every writer's.
        if not await self._db.read(lambda tx: leases.has_work(tx, plans, suspects=suspects, backfills=backfills)):
            return None
        lease = _micros(lease_seconds)
        return await self._db.write(
            lambda tx: leases.claim(tx, worker_id, lease, plans, suspects=suspects, backfills=backfills)
        )

    async def renew(self, held: Collection[Lease], *, lease_seconds: float) -> frozenset[Lease]:
        """See the port."""
        return await self._db.write(lambda tx: leases.renew(tx, held, _micros(lease_seconds)), urgent=True)

    async def hand_back(self, lease: Lease) -> None:
        """See the port."""
        await self._db.write(lambda tx: leases.hand_back(tx, lease))

    async def expire_worker(self, worker_id: str) -> int:
        """See the port."""
        return await self._db.write(lambda tx: leases.expire_worker(tx, worker_id))

    async def cancelling(self, held: Collection[Lease]) -> frozenset[Lease]:
        """See the port."""
        return await self._db.read(lambda tx: leases.cancelling(tx, held))

    async def start_step(self, lease: Lease, step: StepRun) -> StepRun:
        """See the port."""
        return await self._db.write(lambda tx: leases.start_step(tx, lease, step))

    async def record_effects(self, lease: Lease, step: StepRun, load: Load | None = None) -> None:
        """See the port."""
        await self._db.write(lambda tx: leases.record_effects(tx, lease, step, load))

    async def finish_step(self, lease: Lease, end: StepEnd) -> StepRun:
        """See the port."""
        return await self._db.write(lambda tx: leases.finish_step(tx, lease, end))

    async def add_logs(self, lease: Lease, logs: Sequence[LogEntry]) -> None:
        """See the port."""
        await self._db.write(lambda tx: leases.add_logs(tx, lease, logs))

    async def finish_run(self, lease: Lease, end: RunEnd) -> Run:
        """See the port."""
        return await self._db.write(lambda tx: leases.finish_run(tx, lease, end))

    async def outbox(self, *, skip: Collection[str], limit: int) -> list[OutboxEntry]:
        """See the port."""
        return await self._db.read(lambda tx: outbox.outbox(tx, list(skip), limit))

    async def begin_flush(
        self, tenant_id: str, worker_id: str, *, lease_seconds: float, unused: int = 0
    ) -> Flush | None:
        """See the port."""
        lease = _micros(lease_seconds)
        return await self._db.write(lambda tx: outbox.begin_flush(tx, tenant_id, worker_id, lease, unused))

    async def keep_flush(self, flush: Flush, *, lease_seconds: float) -> bool:
        """See the port."""
        return await self._db.write(lambda tx: outbox.keep_flush(tx, flush, _micros(lease_seconds)))

    async def release_mirrors(self, worker_id: str) -> None:
        """See the port."""
        await self._db.write(lambda tx: outbox.release(tx, worker_id))

    async def acknowledge(self, flush: Flush, numbers: Collection[int], *, settled: int) -> None:
        """See the port."""
        await self._db.write(lambda tx: outbox.acknowledge(tx, flush, list(numbers), settled=settled))

    async def queue_states(self, pipeline_logging_ids: Collection[str]) -> list[QueueState]:
        """See the port."""
        return await self._db.read(lambda tx: runs.queue_states(tx, list(pipeline_logging_ids)))

    async def data_quality_results_of(self, steps: Collection[tuple[str, str]]) -> list[DataQualityResult]:
        """See the port."""
        return await self._db.read(lambda tx: data_quality.results_of(tx, steps))

    async def ticks_of(self, tenant_id: str, wanted: Collection[tuple[str, int]]) -> list[Tick]:
        """See the port."""
        return await self._db.read(lambda tx: ticks.ticks_of(tx, tenant_id, wanted))

    async def remove_runs(self, *, older_than_days: float, limit: int) -> int:
        """See the port."""
        return await self._db.write(lambda tx: retention.remove_runs(tx, ago(tx, older_than_days), limit), is_long=True)

    async def remove_ticks(self, *, older_than_days: float, limit: int) -> int:
        """See the port."""
        return await self._db.write(lambda tx: ticks.remove(tx, ago(tx, older_than_days), limit), is_long=True)

    async def remove_backfills(self, *, older_than_days: float, limit: int) -> int:
        """See the port."""
        return await self._db.write(lambda tx: backfills.remove(tx, ago(tx, older_than_days), limit), is_long=True)

    async def remove_events(self, *, older_than_days: float, after: EndPosition, limit: int) -> RemovedEvents:
        """See the port."""
        return await self._db.write(
            lambda tx: retention.remove_events(tx, ago(tx, older_than_days), after, limit), is_long=True
        )

    async def remove_usage(self) -> None:
        """See the port."""
        await self._db.write(retention.remove_usage, is_long=True)

    async def check(self, *, repair_by: Actor | None = None) -> list[Finding]:
        """See the port."""
        found = await self._db.scan(checking.findings)
        if repair_by is not None and any(finding.is_repairable for finding in found):
            await self._db.write(lambda tx: checking.mend(tx, found, repair_by), is_long=True)
        return found

    async def note_all(self, tenant_id: str, *, by: Actor) -> int:
        """See the port."""
        return await self._db.write(lambda tx: outbox.note_all(tx, tenant_id, by), is_long=True)

    async def note_retention(self, *, by: Actor) -> None:
        """See the port."""
        await self._db.write(lambda tx: audit.record(tx, by, AuditAction.RETENTION_APPLY, "", tenant_id=None))

    async def expire_run(self, pipeline_logging_id: str, *, by: Actor) -> bool:
        """See the port."""
        return await self._db.write(lambda tx: leases.expire_run(tx, pipeline_logging_id, by))

    async def close(self) -> None:
        """See the port."""
        await self._db.close()
