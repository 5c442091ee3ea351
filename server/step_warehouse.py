"""What a step gets of the warehouse: its tenant's dataset, through the SQL guard, each effect once."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from pydantic import ValidationError

from server.domain.faults import Refused, refuse
from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.store.port import ControlStore
from server.threads import in_own_thread
from server.warehouse.port import Warehouse, WarehouseError, WriteEffect, WriteMode
from server.warehouse.sql_guard import CheckedQuery, GuardPolicy, judge, read_query

METADATA_PREFIX = "x_meta_"


@dataclass(frozen=True, slots=True)
class StepAccess:
    """What one step may touch, and how its effects are named."""

    own: DatasetRef
    named_by_file: frozenset[str]
    allowed_sources: tuple[str, ...]
    job_prefix: str
    """Derived from run and step alone, so that a second try of the step finds the effects of the first."""
    labels: Mapping[str, str]
    builds_metadata: bool = False
    """The step is part of the setup and may make the x_meta_ tables."""


class TenantWarehouse:
    """The `StepWarehouse` that a processor finds in its context."""

    def __init__(self, warehouse: Warehouse, store: ControlStore, access: StepAccess) -> None:
        self._warehouse = warehouse
        self._store = store
        self._access = access
        self._effects = Counter[str]()
        self._closed = False
        self.project = access.own.project
        self.dataset = access.own.dataset

    async def write_query(
        self,
        sql: str,
        table: str,
        *,
        write_mode: str = "append",
        schema: Sequence[Mapping[str, Any]] = (),
        table_config: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        # Before anything is awaited: which call this is must not depend on whose query is checked faster.
        job_id = self._job_id(table, write_mode)
        if write_mode not in get_args(WriteMode):
            raise refuse("INVALID_WRITE_MODE", f"write_mode is one of {', '.join(get_args(WriteMode))}")
        query = await self._guarded(sql)
        effect = WriteEffect(
            job_id=job_id,
            sql=query.sql,
            destination=self._own_table(table),
            mode=cast("WriteMode", write_mode),
            spec=_spec(schema, "", table_config),
            default_dataset=self._access.own,
            labels=self._access.labels,
        )
        outcome = await self._warehouse.write(effect)
        return {
            "job_id": outcome.job_id,
            "table": str(effect.destination),
            "rows_written": outcome.rows_written,
            "table_created": outcome.table_created,
            "adopted": outcome.adopted,
        }

    async def query(self, sql: str, *, max_rows: int = 1_000) -> list[dict[str, Any]]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        query = await self._guarded(sql)
        rows = await self._warehouse.query(query.sql, default_dataset=self._access.own, max_rows=max_rows)
        return rows.as_dicts()

    async def list_tables(self) -> list[str]:
        """See `processors.base.StepWarehouse`. Raises WarehouseError."""
        self._require_open()
        return await self._warehouse.list_tables(self._access.own)

    async def ensure_dataset(self, *, location: str, description: str = "") -> bool:
        """See `processors.base.StepWarehouse`. Raises WarehouseError."""
        self._require_open()
        return await self._warehouse.ensure_dataset(self._access.own, location=location, description=description)

    async def ensure_table(
        self,
        table: str,
        schema: Sequence[Mapping[str, Any]],
        *,
        description: str = "",
        table_config: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        self._require_open()
        spec = _spec(schema, description, table_config)
        change = await self._warehouse.ensure_table(self._own_table(table), spec)
        return {"created": change.created, "added_columns": list(change.added_columns)}

    async def _guarded(self, sql: str) -> CheckedQuery:
        """The query, checked against what the step may read at this moment."""
        # Parsing a long query takes seconds, and the worker's other runs need the event loop.
        query = await in_own_thread(read_query, sql, default=self._access.own)
        named = {table.dataset for table in query.tables} - {self.dataset}
        policy = GuardPolicy(
            own=self._access.own,
            named_by_file=self._access.named_by_file,
            allowed_sources=self._access.allowed_sources,
            foreign_datasets=await self._store.tenants_among(named),
        )
        if faults := judge(query, policy):
            raise Refused(faults)
        self._require_open()
        return query

    def close(self) -> None:
        """Nothing can be read or written through this any more: the attempt that it belonged to is over."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise WarehouseError("ATTEMPT_ENDED", "the attempt that this warehouse belonged to has ended")

    def _job_id(self, table: str, write_mode: str) -> str:
        """The name of an effect: the step, the table, the mode, and which of its writes to that table it is.

        A second attempt may write its tables in another order, and still finds what the first one did.
        """
        target = hashlib.sha256(f"{table}\0{write_mode}".encode()).hexdigest()[:16]
        self._effects[target] += 1
        return f"{self._access.job_prefix}-{target}-{self._effects[target]}"

    def _own_table(self, name: str) -> TableRef:
        """A table that the step may write."""
        table = TableRef.parse(name, self._access.own)
        if table.in_dataset != self._access.own:
            raise refuse("TABLE_NOT_ALLOWED", f"{table} is outside the tenant's dataset {self._access.own}")
        if table.table.lower().startswith(METADATA_PREFIX) and not self._access.builds_metadata:
            raise refuse("METADATA_NOT_ALLOWED", f"{table.table}: tables named {METADATA_PREFIX}* belong to the system")
        return table


def _spec(schema: Sequence[Mapping[str, Any]], description: str, table_config: Mapping[str, Any] | None) -> TableSpec:
    try:
        return TableSpec.model_validate(
            {"fields": list(schema), "description": description, **(dict(table_config) if table_config else {})}
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise refuse("INVALID_SCHEMA", f"{place}: {first['msg']}") from None
