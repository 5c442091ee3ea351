"""The projection of the control store into the tenants' x_meta_ tables, kept complete by the outbox.

An outbox entry says that a record changed. The mirror reads the record as it is now and replaces its row, so that an
entry processed twice, late or together with newer ones gives the same row.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.domain.run import Run, RunStatus, StepRun
from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.domain.tenant import SYSTEM_TENANT, ApiKey, TenantState
from server.store.port import ControlStore, OutboxEntry, QueueState, StoreBusy
from server.warehouse.port import Warehouse, WarehouseError

_BATCH = 1_000
# Tenants whose tables are written at a time.
_TENANTS_AT_ONCE = 8
# Bytes of rows in one statement; BigQuery takes 10 MB for everything.
_STATEMENT_BYTES = 4_000_000
# How long writing one tenant's tables may take before the others go on without it.
_TENANT_SECONDS = 20.0
# How long a worker has the tables of a tenant to itself; those of one that died are taken over after it.
_LEASE_SECONDS = 35.0
_FINISH_SECONDS = 10.0
_IDLE_SECONDS = 1.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_REPAIRABLE = {"TABLE_NOT_FOUND", "SCHEMA_MISMATCH", "INVALID_ROWS"}

logger = logging.getLogger(__name__)

Row = dict[str, Any]


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
        tenant_interval: float = 0.0,
    ) -> None:
        """`tenant_interval`: seconds between two writes of one tenant's tables, which gather what happens meanwhile."""
        self._worker_id = worker_id
        self._store = store
        self._warehouse = warehouse
        self._project = project
        self._leased: dict[str, float] = {}
        """Until when this worker has the tables of a tenant, at least, on the event loop's clock."""
        self._specs = tables
        """What the x_meta_ tables look like: a lost table is made again, and an older one gets its new columns."""
        self._postponed: dict[str, _Postponed] = {}
        self._tenant_interval = tenant_interval
        self._resting: dict[str, float] = {}
        """Until when the tables of a tenant are left alone, on the event loop's clock."""
        self._places = asyncio.Semaphore(_TENANTS_AT_ONCE)

    async def run(self) -> None:
        """Follow the outbox. A tenant whose tables cannot be written waits, and delays no other."""
        while True:
            seen = self._store.version
            try:
                if await self.flush():
                    continue
            except StoreBusy:
                logger.warning("The control store did not answer; the mirror tries again")
            await self._store.wait_for_change(seen, _IDLE_SECONDS)

    async def finish(self) -> None:
        """Project all that is left, also what was postponed, as far as it can be written now.

        What cannot be written in 10 seconds stays in the outbox for the next worker.
        """
        self._postponed.clear()
        with suppress(StoreBusy, TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                while await self.flush(last=True):
                    pass
        self._leased.clear()
        with suppress(StoreBusy):
            await self._store.release_mirrors(self._worker_id)

    async def flush(self, *, last: bool = False) -> bool:
        """Project one batch; False when nothing was there to do. The `last` one waits for no interval and no retry."""
        now = asyncio.get_running_loop().time()
        waiting = [tenant for tenant, postponed in self._postponed.items() if last or now < postponed.until]
        self._resting = {tenant: until for tenant, until in self._resting.items() if now < until}
        resting = () if last else tuple(self._resting)
        entries = await self._store.outbox(skip=[*waiting, *resting], limit=_BATCH)
        by_tenant = defaultdict[str, list[OutboxEntry]](list)
        for entry in entries:
            by_tenant[entry.tenant_id].append(entry)
        await asyncio.gather(*(self._flush_tenant(tenant_id, own) for tenant_id, own in by_tenant.items()))
        return bool(entries)

    async def _flush_tenant(self, tenant_id: str, entries: Sequence[OutboxEntry]) -> None:
        async with self._places:
            if not await self._lease(tenant_id) or not await self._project_tenant(tenant_id, entries):
                return
            self._postponed.pop(tenant_id, None)
            self._resting[tenant_id] = asyncio.get_running_loop().time() + self._tenant_interval
            try:
                await self._store.acknowledge(self._worker_id, entries)
            except StoreBusy:
                self._postpone(tenant_id, "STORE_BUSY", "the control store did not answer")

    async def _lease(self, tenant_id: str) -> bool:
        """Whether this worker has the tenant's tables to itself for longer than it may take to write them."""
        now = asyncio.get_running_loop().time()
        if self._leased.get(tenant_id, 0.0) >= now + _TENANT_SECONDS:
            return True
        try:
            if await self._store.lease_mirror(tenant_id, self._worker_id, lease_seconds=_LEASE_SECONDS):
                self._leased[tenant_id] = now + _LEASE_SECONDS
                return True
            self._postpone(tenant_id, "LEASED", "another worker writes its tables")
        except StoreBusy:
            self._postpone(tenant_id, "STORE_BUSY", "the control store did not answer")
        return False

    async def _project_tenant(self, tenant_id: str, entries: Sequence[OutboxEntry]) -> bool:
        """Write a tenant's rows; False when its tables cannot be written now."""
        if tenant_id == SYSTEM_TENANT:
            # Runs of the system belong to no tenant's dataset; the control store alone has them.
            return True
        try:
            tenant = await self._store.get_tenant(tenant_id)
            if tenant is not None and tenant.state is TenantState.ONBOARDING:
                # Its dataset may yet turn out to be somebody else's.
                self._postpone(tenant_id, "ONBOARDING", "it is being onboarded")
                return False
            async with asyncio.timeout(_TENANT_SECONDS):
                await self._write_tables(tenant_id, await self._tables(tenant_id, entries))
        except StoreBusy:
            self._postpone(tenant_id, "STORE_BUSY", "the control store did not answer")
        except TimeoutError:
            self._postpone(tenant_id, "WAREHOUSE_SLOW", f"its tables took longer than {_TENANT_SECONDS:g} s")
        except WarehouseError as error:
            self._postpone(tenant_id, error.reason, error.message)
        except Exception as error:
            # One tenant's record must not end the mirror of all.
            logger.exception("The mirror failed on a tenant's record", extra={"tenant_id": tenant_id})
            self._postpone(tenant_id, type(error).__name__, "see the traceback before")
        else:
            return True
        return False

    async def _write_tables(self, tenant_id: str, tables: Iterable[tuple[str, tuple[str, ...], list[Row]]]) -> None:
        """One after the other: the tables of one tenant have one writer."""
        for table, keys, rows in tables:
            for part in _parts(rows):
                await self._upsert(DatasetRef(self._project, tenant_id).table(table), keys, part)

    async def _upsert(self, table: TableRef, keys: Sequence[str], rows: Sequence[Row]) -> None:
        try:
            await self._warehouse.upsert(table, keys, rows)
        except WarehouseError as error:
            if error.reason not in _REPAIRABLE:
                raise
            await self._warehouse.ensure_table(table, self._specs[table.table])
            await self._warehouse.upsert(table, keys, rows)

    def _postpone(self, tenant_id: str, reason: str, message: str) -> None:
        earlier = self._postponed.get(tenant_id)
        pause = min(earlier.pause * 2, _LONGEST_PAUSE) if earlier else _FIRST_PAUSE
        if earlier is None or earlier.reason != reason:
            level = logging.DEBUG if reason in {"ONBOARDING", "LEASED"} else logging.WARNING
            logger.log(level, "The mirror postpones a tenant: %s", message, extra={"tenant_id": tenant_id})
        self._postponed[tenant_id] = _Postponed(asyncio.get_running_loop().time() + pause, pause, reason)

    async def _tables(
        self, tenant_id: str, entries: Iterable[OutboxEntry]
    ) -> list[tuple[str, tuple[str, ...], list[Row]]]:
        keys = defaultdict[str, set[str]](set)
        for entry in entries:
            keys[entry.kind].add(entry.key)
        step_keys = {tuple(key.split("/", 1)) for key in keys["step"]}
        states = await self._store.queue_states(keys["run"] | {run_id for run_id, _ in step_keys})
        runs = [state for state in states if state.run.pipeline_logging_id in keys["run"]]
        steps = [
            step_row(state.run, step)
            for state in states
            for step in state.run.steps
            if (state.run.pipeline_logging_id, step.step_id) in step_keys
        ]
        api_keys = [key_row(key) for key in await self._changed_keys(tenant_id, keys["api_key"])]
        return [
            ("x_meta_pipeline_runs", ("pipeline_logging_id",), [run_row(state.run) for state in runs]),
            ("x_meta_step_logs", ("pipeline_logging_id", "step_id"), steps),
            ("x_meta_pipeline_queue", ("pipeline_logging_id",), [queue_row(state) for state in runs]),
            ("x_meta_api_keys", ("key_id",), api_keys),
        ]

    async def _changed_keys(self, tenant_id: str, key_ids: set[str]) -> list[ApiKey]:
        if not key_ids:
            return []
        return [key for key in await self._store.tenant_keys(tenant_id) if key.key_id in key_ids]


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows in as few statements as their size allows."""
    part: list[Row] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row))
        if part and size + length > _STATEMENT_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


def run_row(run: Run) -> Row:
    """A row of x_meta_pipeline_runs."""
    return {
        "pipeline_logging_id": run.pipeline_logging_id,
        "tenant_id": run.tenant_id,
        "pipeline_id": run.pipeline_id,
        "provider": run.name.provider,
        "domain": run.name.domain,
        "template_name": run.name.template_name,
        "status": run.status.value,
        "trigger": run.trigger.value,
        "date": run.date,
        "variables": run.variables,
        "created_at": _iso(run.created_at),
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.finished_at),
        "duration_seconds": _seconds(run.started_at, run.finished_at),
        "error_message": run.error_message or None,
        "rows_processed": run.rows_processed,
        "config_hash": run.config_hash,
    }


def step_row(run: Run, step: StepRun) -> Row:
    """A row of x_meta_step_logs."""
    return {
        "pipeline_logging_id": run.pipeline_logging_id,
        "tenant_id": run.tenant_id,
        "pipeline_id": run.pipeline_id,
        "step_id": step.step_id,
        "step_name": step.name or None,
        "ps_type": step.ps_type,
        "status": step.status.value,
        "attempt": step.attempt,
        "rows_processed": step.rows_processed,
        "started_at": _iso(step.started_at),
        "finished_at": _iso(step.finished_at),
        "duration_seconds": _seconds(step.started_at, step.finished_at),
        "error_message": step.error_message or None,
        "details": step.details,
        "bytes_processed": step.bytes_processed,
        "bytes_billed": step.bytes_billed,
        "slot_milliseconds": step.slot_milliseconds,
    }


def queue_row(state: QueueState) -> Row:
    """A row of x_meta_pipeline_queue."""
    run = state.run
    return {
        "pipeline_logging_id": run.pipeline_logging_id,
        "tenant_id": run.tenant_id,
        "pipeline_id": run.pipeline_id,
        "status": "DONE" if run.status.is_terminal else "WAITING" if run.status is RunStatus.PENDING else "CLAIMED",
        "created_at": _iso(run.created_at),
        "claimed_at": _iso(run.started_at),
        "worker_id": state.worker_id or None,
        "finished_at": _iso(run.finished_at),
    }


def key_row(key: ApiKey) -> Row:
    """A row of x_meta_api_keys: nothing from which the secret could be guessed."""
    row: Mapping[str, Any] = key.model_dump(mode="json", exclude={"digest"})
    return {**row, "prefix": f"cvg_{key.key_id}", "status": "REVOKED" if key.revoked_at else "ACTIVE"}


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()
