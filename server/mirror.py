"""The projection of the control store into the tenants' x_meta_ tables, kept complete by the outbox.

What concerns all tenants goes into the tables of the central dataset in the same way, as if that were one tenant more.

An outbox entry says that a record changed. The mirror reads the record as it is now and replaces its row, so that an
entry processed twice, late or together with newer ones gives the same row.

A tenant's tables have one writer at a time. That is more than a lease: a write of an earlier flush that may still be
under way, here or in a worker that was lost, is settled before the next one begins, so that no older row can overtake a
newer one.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from server.catalog import Catalog
from server.domain.run import EffectState
from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.domain.tenant import SYSTEM_TENANT, DatasetState, TenantState
from server.mirror_pace import Pace
from server.mirror_rows import (
    Row,
    check_row,
    credential_row,
    key_row,
    profile_row,
    queue_row,
    run_row,
    step_row,
    subscription_row,
    tick_row,
)
from server.store.port import ControlStore, Flush, OutboxEntry, OutboxKind, StoreBusy
from server.tasks import end_tasks
from server.warehouse.port import Warehouse, WarehouseError

_BATCH = 1_000
# Tenants whose tables are written at a time.
_TENANTS_AT_ONCE = 32
# Bytes of rows in the request for one statement; BigQuery takes 10 MB for everything.
_STATEMENT_BYTES = 4_000_000
# Longer than their JSON they are there at most, which is a text in a text: each time a quote or backslash becomes two.
_TIMES_LONGER = 4
# How long a worker has the tables of a tenant to itself; it is renewed while it writes them.
_LEASE_SECONDS = 30.0
_FINISH_SECONDS = 10.0
_IDLE_SECONDS = 1.0
# What is committed meanwhile is found with one look.
_REST_SECONDS = 0.1
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
# What is the matter with more than one tenant's tables, as far as that can be told.
_OF_THE_WAREHOUSE = {"WAREHOUSE_BUSY", "WAREHOUSE_FAILED", "ACCESS_DENIED", "NOT_SETTLED"}
_REPAIRABLE = {"TABLE_NOT_FOUND", "SCHEMA_MISMATCH", "INVALID_ROWS"}
_KEYS = {
    "x_meta_pipeline_runs": ("pipeline_logging_id",),
    "x_meta_pipeline_queue": ("pipeline_logging_id",),
    "x_meta_step_logs": ("pipeline_logging_id", "step_id"),
    "x_meta_dq_results": ("pipeline_logging_id", "step_id", "check_id"),
    "x_meta_scheduled_runs": ("schedule_id", "scheduled_for"),
    "x_meta_api_keys": ("key_id",),
    "x_meta_cloud_credentials": ("tenant_id", "name"),
}
_CENTRAL_KEYS = {
    "tenant_profiles": ("tenant_id",),
    "tenant_subscriptions": ("tenant_id",),
    "tenant_api_keys": ("key_id",),
}

logger = logging.getLogger(__name__)

Tables = Mapping[str, list[Row]]
"""Rows by the table that they belong to."""


class _Postpone(Exception):
    """A tenant's tables cannot be written now."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Postponed:
    """A tenant whose tables could not be written."""

    until: float
    """When to try again, on the event loop's clock."""
    pause: float
    reason: str


class Mirror:
    """Copies changes to the warehouse until it is cancelled."""

    def __init__(
        self,
        worker_id: str,
        store: ControlStore,
        warehouse: Warehouse,
        *,
        project: str,
        tables: Mapping[str, TableSpec],
        longest_rest: float = 0.0,
    ) -> None:
        """`longest_rest`: of a tenant's tables between two writes, in seconds; see `Pace`. It gathers what happens."""
        self._worker_id = worker_id
        self._store = store
        self._warehouse = warehouse
        self._project_id = project
        self._specs = tables
        """What the tables look like: a lost table is made again, and an older one gets its new columns."""
        self.warehouse_fault = ""
        """Why the warehouse does not do what it is asked at present; '' while it does, and before it was asked."""
        self._postponed: dict[str, _Postponed] = {}
        self._pace = Pace(longest_rest)
        self._places = asyncio.Semaphore(_TENANTS_AT_ONCE)
        self._flushing: dict[str, asyncio.Task[None]] = {}
        """The tenants whose tables are being written, or wait for a place."""
        self._unused: dict[str, int] = {}
        """The number of a tenant's last flush, if that ended before it wrote anything."""

    async def run(self) -> None:
        """Follow the outbox. A tenant whose tables cannot be written waits, and delays no other."""
        try:
            while True:
                seen = self._store.version
                try:
                    begun = await self._begin(last=False)
                except StoreBusy:
                    logger.warning("The control store did not answer; the mirror tries again")
                    begun = []
                if not begun:
                    await self._store.wait_for_change(seen, _IDLE_SECONDS)
                    await asyncio.sleep(_REST_SECONDS)
        finally:
            if self._flushing:
                await end_tasks(list(self._flushing.values()))

    async def finish(self) -> None:
        """Project all that is left, also what was postponed, as far as it can be written now.

        What cannot be written in 10 seconds stays in the outbox for the next worker.
        """
        self._postponed.clear()
        with suppress(StoreBusy, TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                while await self.flush(last=True):
                    pass
        with suppress(StoreBusy):
            await self._store.release_mirrors(self._worker_id)

    async def flush(self, *, last: bool = False) -> bool:
        """Project one batch; False when nothing was there to do. The `last` one waits for no interval and no retry."""
        begun = await self._begin(last=last)
        try:
            if begun:
                await asyncio.wait(begun)
        finally:
            if any(not task.done() for task in begun):
                await end_tasks(begun)
        return bool(begun)

    async def _begin(self, *, last: bool) -> "list[asyncio.Task[None]]":
        """Begin to write the tables of the tenants that the oldest entries are about."""
        now = asyncio.get_running_loop().time()
        waiting = [tenant for tenant, postponed in self._postponed.items() if last or now < postponed.until]
        resting = () if last else self._pace.resting(now)
        entries = await self._store.outbox(skip=[*waiting, *resting, *self._flushing], limit=_BATCH)
        by_tenant = defaultdict[str, list[OutboxEntry]](list)
        for entry in entries:
            by_tenant[entry.tenant_id].append(entry)
        if not entries and not waiting and not self._flushing:
            # Another worker may have written what this one could not.
            self.warehouse_fault = ""
        for tenant_id, own in by_tenant.items():
            self._flushing[tenant_id] = asyncio.create_task(self._flush_tenant(tenant_id, own))
        return [self._flushing[tenant_id] for tenant_id in by_tenant]

    async def _flush_tenant(self, tenant_id: str, entries: Sequence[OutboxEntry]) -> None:
        try:
            async with self._places:
                await self._write_tenant(tenant_id, entries)
            self.warehouse_fault = ""
            self._postponed.pop(tenant_id, None)
            self._pace.wrote(tenant_id, asyncio.get_running_loop().time())
        except _Postpone as error:
            self._postpone(tenant_id, error.reason, error.message)
        except StoreBusy:
            self._postpone(tenant_id, "STORE_BUSY", "the control store did not answer")
        except WarehouseError as error:
            self._postpone(tenant_id, error.reason, error.message)
        except Exception as error:
            # One tenant's record must not end the mirror of all.
            logger.exception("The mirror failed on a tenant's record", extra={"tenant_id": tenant_id})
            self._postpone(tenant_id, type(error).__name__, "see the traceback before")
        finally:
            del self._flushing[tenant_id]

    async def _write_tenant(self, tenant_id: str, entries: Sequence[OutboxEntry]) -> None:
        tenant = await self._store.get_tenant(tenant_id)
        has_tables = tenant is None or tenant.dataset_state not in {DatasetState.DELETED, DatasetState.FOREIGN}
        if tenant is not None and tenant.state is TenantState.ONBOARDING:
            # Its dataset may yet turn out to be somebody else's.
            raise _Postpone("ONBOARDING", "it is being onboarded")
        flush = await self._store.begin_flush(
            tenant_id, self._worker_id, lease_seconds=_LEASE_SECONDS, unused=self._unused.pop(tenant_id, 0)
        )
        if flush is None:
            raise _Postpone("LEASED", "another worker writes its tables")
        keeping = asyncio.create_task(self._keep(flush))
        try:
            await self._copy(flush, entries, has_tables=has_tables)
        finally:
            await end_tasks([keeping])

    async def _keep(self, flush: Flush) -> None:
        """Keep the tables while they are written. Whoever takes them all the same settles what is under way."""
        while True:
            await asyncio.sleep(_LEASE_SECONDS / 3)
            with suppress(StoreBusy):
                await self._store.keep_flush(flush, lease_seconds=_LEASE_SECONDS)

    async def _copy(self, flush: Flush, entries: Sequence[OutboxEntry], *, has_tables: bool) -> None:
        """Write the rows that the entries are about, and remove the entries whose rows are written."""
        tables = await self._tables(flush.tenant_id, entries) if has_tables else {}
        if tables:
            await self._settle_earlier(flush)
        failures = {}
        written = await asyncio.gather(
            *(self._write(flush, table, rows) for group in tables.values() for table, rows in group.items()),
            return_exceptions=True,
        )
        names = [(kind, table) for kind, group in tables.items() for table in group]
        for (kind, _), failure in zip(names, written, strict=True):
            if isinstance(failure, BaseException):
                failures[kind] = failure
        done = [entry.number for entry in entries if entry.kind not in failures]
        # What came before this flush has ended; of itself that is known when all went well.
        await self._store.acknowledge(flush, done, settled=flush.number - bool(failures))
        for failure in failures.values():
            raise failure

    async def _settle_earlier(self, flush: Flush) -> None:
        """See to it that nothing of earlier flushes is under way. Raises _Postpone when that is not known."""
        own = DatasetRef(self._project_id, flush.tenant_id)
        for number in range(flush.settled + 1, flush.number):
            for table in _keys(flush.tenant_id):
                part = 0
                while True:
                    settled = await self._warehouse.settle(_job_id(flush.tenant_id, table, number, part), own)
                    if settled.state is EffectState.UNKNOWN:
                        self._unused[flush.tenant_id] = flush.number
                        raise _Postpone("NOT_SETTLED", "an earlier write of its tables has not ended")
                    if settled.state is EffectState.STOPPED:
                        # Whoever was at it begins none of the parts behind it.
                        break
                    part += 1

    async def _write(self, flush: Flush, table: str, rows: Sequence[Row]) -> None:
        """One statement after the other: a table has one writer."""
        ref = DatasetRef(self._project_id, flush.tenant_id).table(table)
        for number, part in enumerate(_parts(rows)):
            await self._upsert(ref, part, _job_id(flush.tenant_id, table, flush.number, number))

    async def _upsert(self, table: TableRef, rows: Sequence[Row], job_id: str) -> None:
        partitioning = self._specs[table.table].time_partitioning
        # When the run of a row was accepted, or a tick was due: never changes.
        fixed = partitioning.field if partitioning else None
        key = _keys(table.dataset)[table.table]
        try:
            await self._warehouse.upsert(table, key, rows, job_id=job_id, fixed=fixed)
        except WarehouseError as error:
            if error.reason not in _REPAIRABLE:
                raise
            await self._warehouse.ensure_table(table, self._specs[table.table])
            await self._warehouse.upsert(table, key, rows, job_id=job_id, fixed=fixed)

    def _postpone(self, tenant_id: str, reason: str, message: str) -> None:
        if reason in _OF_THE_WAREHOUSE:
            self.warehouse_fault = reason
        earlier = self._postponed.get(tenant_id)
        pause = min(earlier.pause * 2, _LONGEST_PAUSE) if earlier else _FIRST_PAUSE
        if earlier is None or earlier.reason != reason:
            # The central dataset is made by the first run that there is.
            is_usual = reason in {"ONBOARDING", "LEASED"} or (tenant_id, reason) == (SYSTEM_TENANT, "DATASET_NOT_FOUND")
            level = logging.DEBUG if is_usual else logging.WARNING
            logger.log(level, "The mirror postpones a tenant: %s", message, extra={"tenant_id": tenant_id})
        self._postponed[tenant_id] = _Postponed(asyncio.get_running_loop().time() + pause, pause, reason)

    async def _tables(self, tenant_id: str, entries: Iterable[OutboxEntry]) -> dict[OutboxKind, Tables]:
        """The rows by the kind of the entries that are about them; nothing for records that are gone."""
        keys = defaultdict[OutboxKind, set[str]](set)
        for entry in entries:
            keys[entry.kind].add(entry.key)
        api_keys = [key_row(key) for key in await self._store.keys_with(keys["api_key"])]
        if tenant_id == SYSTEM_TENANT:
            # Its runs are shown nowhere; the control store alone has them.
            tenants = await self._store.tenants_with(keys["tenant"])
            central: dict[OutboxKind, Tables] = {
                "tenant": {
                    "tenant_profiles": [profile_row(tenant) for tenant in tenants],
                    "tenant_subscriptions": [subscription_row(tenant) for tenant in tenants],
                },
                "api_key": {"tenant_api_keys": api_keys},
            }
            return _not_empty(central)
        step_keys = {_parted(key) for key in keys["step"]}
        states = await self._store.queue_states(keys["run"] | {run_id for run_id, _ in step_keys})
        runs = [state for state in states if state.run.pipeline_logging_id in keys["run"]]
        steps = [
            step_row(state.run, step)
            for state in states
            for step in state.run.steps
            if (state.run.pipeline_logging_id, step.step_id) in step_keys
        ]
        checked = [_parted(key) for key in keys["dq"]]
        checks = [check_row(result) for result in await self._store.data_quality_results_of(checked)]
        dues = [(schedule_id, int(micros)) for schedule_id, micros in map(_parted, keys["tick"])]
        ticks = [tick_row(tick) for tick in await self._store.ticks_of(tenant_id, dues)]
        names = keys["credential"]
        credentials = [credential_row(item) for item in await self._store.tenant_credentials(tenant_id, names)]
        found: dict[OutboxKind, Tables] = {
            "run": {
                "x_meta_pipeline_runs": [run_row(state.run) for state in runs],
                "x_meta_pipeline_queue": [queue_row(state) for state in runs],
            },
            "step": {"x_meta_step_logs": steps},
            "dq": {"x_meta_dq_results": checks},
            "tick": {"x_meta_scheduled_runs": ticks},
            "api_key": {"x_meta_api_keys": api_keys},
            "credential": {"x_meta_cloud_credentials": credentials},
        }
        return _not_empty(found)


def mirrored_tables(catalog: Catalog) -> dict[str, TableSpec]:
    """What the tables look like, by their names: the ps_templates that set them up say so."""
    types = ("setup.tenants.onboarding", "setup.initial.onetime_bootstrap_processor")
    schemas = [catalog.ps_template(ps_type).schemas for ps_type in types]
    return {name: TableSpec.model_validate(table) for tables in schemas for name, table in tables.items()}


def _keys(dataset: str) -> Mapping[str, Sequence[str]]:
    """The tables of a tenant's dataset, or of the central one, and by which columns their rows are told apart."""
    return _CENTRAL_KEYS if dataset == SYSTEM_TENANT else _KEYS


def _parted(key: str) -> tuple[str, str]:
    whose, _, which = key.partition("/")
    return whose, which


def _not_empty(found: Mapping[OutboxKind, Tables]) -> dict[OutboxKind, Tables]:
    return {kind: tables for kind, tables in found.items() if any(tables.values())}


def _job_id(tenant_id: str, table: str, flush: int, part: int) -> str:
    return f"convergence-mirror-{tenant_id}-{table}-{flush}-{part}"


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in as few statements as their size allows."""
    if rows and _TIMES_LONGER * len(json.dumps(rows)) < _STATEMENT_BYTES:
        yield rows
        return
    part: list[Row] = []
    size = 0
    for row in rows:
        length = _length(row)
        if part and size + length > _STATEMENT_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


def _length(row: Row) -> int:
    """The bytes of a row in a request: a text of JSON in JSON, its objects texts again; each time quotes get longer."""
    texts = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()}
    return len(json.dumps(json.dumps(texts)))
