"""A warehouse whose calls are counted and timed."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.warehouse.port import (
    DryRun,
    JobOutcome,
    MayRead,
    Rows,
    Settled,
    TableChange,
    Warehouse,
    WarehouseError,
    WriteEffect,
    WritePlan,
    anything,
)

Observe = Callable[[str, str, float], None]
"""Takes the operation, its outcome (`OK`, `CANCELLED`, a WarehouseError's reason, or `FAILED`) and its seconds."""


class MeasuredWarehouse:
    """Another warehouse, and what it is asked told to `observe`."""

    def __init__(self, warehouse: Warehouse, observe: Observe) -> None:
        self._warehouse = warehouse
        self._observe = observe

    @contextmanager
    def _timed(self, operation: str) -> Iterator[None]:
        outcome, began = "FAILED", time.perf_counter()
        try:
            yield
            outcome = "OK"
        except WarehouseError as error:
            outcome = error.reason
            raise
        except asyncio.CancelledError:
            outcome = "CANCELLED"
            raise
        finally:
            self._observe(operation, outcome, time.perf_counter() - began)

    async def ensure_dataset(self, dataset: DatasetRef, *, location: str, description: str = "") -> bool:
        """See the port."""
        with self._timed("ensure_dataset"):
            return await self._warehouse.ensure_dataset(dataset, location=location, description=description)

    async def delete_dataset(self, dataset: DatasetRef) -> bool:
        """See the port."""
        with self._timed("delete_dataset"):
            return await self._warehouse.delete_dataset(dataset)

    async def list_tables(self, dataset: DatasetRef) -> list[str]:
        """See the port."""
        with self._timed("list_tables"):
            return await self._warehouse.list_tables(dataset)

    async def get_table(self, table: TableRef) -> TableSpec | None:
        """See the port."""
        with self._timed("get_table"):
            return await self._warehouse.get_table(table)

    async def ensure_table(self, table: TableRef, spec: TableSpec) -> TableChange:
        """See the port."""
        with self._timed("ensure_table"):
            return await self._warehouse.ensure_table(table, spec)

    async def write(self, effect: WriteEffect) -> JobOutcome:
        """See the port."""
        with self._timed("write"):
            return await self._warehouse.write(effect)

    async def plan_write(self, effect: WriteEffect) -> WritePlan:
        """See the port."""
        with self._timed("plan_write"):
            return await self._warehouse.plan_write(effect)

    async def settle(self, job_id: str, dataset: DatasetRef) -> Settled:
        """See the port."""
        with self._timed("settle"):
            return await self._warehouse.settle(job_id, dataset)

    async def upsert(
        self,
        table: TableRef,
        keys: Sequence[str],
        rows: Sequence[Mapping[str, Any]],
        *,
        job_id: str | None = None,
        fixed: str | None = None,
    ) -> None:
        """See the port."""
        with self._timed("upsert"):
            await self._warehouse.upsert(table, keys, rows, job_id=job_id, fixed=fixed)

    async def query(
        self,
        sql: str,
        *,
        default_dataset: DatasetRef,
        max_rows: int = 1_000,
        labels: Mapping[str, str] = MappingProxyType({}),
        maximum_bytes_billed: int | None = None,
        may_read: MayRead = anything,
    ) -> Rows:
        """See the port."""
        with self._timed("query"):
            return await self._warehouse.query(
                sql,
                default_dataset=default_dataset,
                max_rows=max_rows,
                labels=labels,
                maximum_bytes_billed=maximum_bytes_billed,
                may_read=may_read,
            )

    async def dry_run(self, sql: str, *, default_dataset: DatasetRef, may_read: MayRead = anything) -> DryRun:
        """See the port."""
        with self._timed("dry_run"):
            return await self._warehouse.dry_run(sql, default_dataset=default_dataset, may_read=may_read)

    def acting_as(self, key: Mapping[str, str], *, token_uri: str) -> Warehouse:
        """See the port."""
        return MeasuredWarehouse(self._warehouse.acting_as(key, token_uri=token_uri), self._observe)

    async def close(self) -> None:
        """See the port."""
        await self._warehouse.close()
