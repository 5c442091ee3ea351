"""What a step gets of the warehouse: its tenant's dataset, through the SQL guard, each effect once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from processors.base import QueryError
from server.domain.faults import Fault, Refused, refuse
from server.domain.schema import TableRef
from server.domain.tenant import DatasetState
from server.step_credentials import StepCredentials
from server.step_effects import StepEffects, require_mode, table_spec, told_outcome, with_limit
from server.store.port import ControlStore
from server.threads import in_own_thread
from server.warehouse.port import MayRead, Warehouse, WarehouseError, WriteEffect, WritePlan
from server.warehouse.sql_guard import CheckedQuery, GuardPolicy, covers, judge, judge_table, read_query

_OF_THE_QUERY = {"INVALID_QUERY", "UNSUPPORTED_SQL", "TABLE_NOT_FOUND", "DATASET_NOT_FOUND", "ACCESS_DENIED"}


class _UnanswerableQuery(WarehouseError, QueryError):
    """A query that cannot be answered: a processor may know what to do about it, and otherwise its step fails."""


class _UnreadableQuery(Refused, QueryError):
    """A text that is no query, of which the same is true."""


@dataclass(frozen=True, slots=True)
class _Write:
    """A write that passed the guard: the effect, and whose limit of bytes it has."""

    query: CheckedQuery
    effect: WriteEffect
    limit_of: str
    warehouse: Warehouse
    """As the account sees it that carries it out."""


class TenantWarehouse:
    """The `StepWarehouse` that a processor finds in its context."""

    def __init__(
        self,
        warehouse: Warehouse,
        credentials: StepCredentials,
        store: ControlStore,
        effects: StepEffects,
    ) -> None:
        self._warehouse = warehouse
        self._credentials = credentials
        self._store = store
        self._effects = effects
        self._access = effects.access
        self.project = effects.access.own.project
        self.dataset = effects.access.own.dataset

    async def write_query(self, sql: str, table: str, **options: Any) -> dict[str, Any]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError, LeaseLost, StoreBusy."""
        # Before anything is awaited: which call this is must not depend on whose query is checked faster.
        job_id = self._effects.job_id(table, options.get("write_mode", "append"))
        self._effects.require_writable()
        write = await self._checked(sql, table, job_id, **options)
        outcome = await self._effects.carry_out(write.effect, write.warehouse, limit_of=write.limit_of)
        return told_outcome(write.effect, outcome)

    async def plan_query(self, sql: str, table: str, **options: Any) -> dict[str, Any]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        self._effects.require_open()
        write = await self._checked(
            sql, table, self._effects.job_id(table, options.get("write_mode", "append")), **options
        )
        self._effects.planned.append(write.effect.destination)
        try:
            plan = await write.warehouse.plan_write(write.effect)
        except WarehouseError as error:
            if not (awaited := await self._awaited(write, error)):
                raise with_limit(error, write.limit_of) from None
            return {**_told_write(write), "warnings": [self._not_yet(table) for table in awaited]}
        return _told_plan(write, plan)

    async def _awaited(self, write: _Write, error: WarehouseError) -> list[TableRef]:
        """The missing tables that earlier steps would create, when the plan of a query failed of nothing else.

        Raises:
            Refused: TABLE_NOT_FOUND for each missing table that no step creates.
        """
        expected = self._access.to_come.keys() & set(write.query.tables)
        if error.reason != "TABLE_NOT_FOUND" or not expected:
            return []
        missing = [table for table in write.query.tables if await _is_missing(write.warehouse, table)]
        if missing and (others := [table for table in missing if table not in expected]):
            raise Refused([Fault("TABLE_NOT_FOUND", f"table {table} was not found") for table in others])
        return missing

    def _not_yet(self, table: TableRef) -> str:
        step_id = self._access.to_come[table]
        return f"reads {table}, which step {step_id} writes: what it reads is not known before that"

    async def _checked(
        self,
        sql: str,
        table: str,
        job_id: str,
        *,
        write_mode: str = "append",
        schema: Sequence[Mapping[str, Any]] = (),
        table_config: Mapping[str, Any] | None = None,
        partition_date: str | None = None,
        merge_keys: Sequence[str] = (),
        allow_field_addition: bool = False,
        maximum_bytes_billed: int | None = None,
        credential: str | None = None,
    ) -> _Write:
        mode = require_mode(write_mode, merge_keys)
        limit_of, limit = self._effects.byte_limit(maximum_bytes_billed)
        query, may_read = await self._guarded(sql)
        effect = WriteEffect(
            job_id=job_id,
            sql=query.sql,
            destination=self._effects.own_table(table),
            mode=mode,
            spec=table_spec(schema, table_config=table_config),
            default_dataset=self._access.own,
            partition=self._effects.partition(partition_date) if mode == "overwrite_partition" else None,
            merge_keys=tuple(merge_keys),
            add_columns=allow_field_addition,
            labels=self._access.labels,
            maximum_bytes_billed=limit,
            may_read=may_read,
        )
        return _Write(query, effect, limit_of, await self._seen_by(credential))

    async def _seen_by(self, credential: str | None) -> Warehouse:
        """The warehouse, as the account of the tenant's credential sees it where one is named. Raises Refused."""
        return self._warehouse if credential is None else await self._credentials.warehouse(credential)

    async def query(self, sql: str, *, max_rows: int = 1_000, credential: str | None = None) -> list[dict[str, Any]]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError, QueryError."""
        query, may_read = await self._guarded(sql)
        limit_of, limit = self._effects.byte_limit(None)
        warehouse = await self._seen_by(credential)
        try:
            rows = await warehouse.query(
                query.sql,
                default_dataset=self._access.own,
                max_rows=max_rows,
                labels=self._access.labels,
                maximum_bytes_billed=limit,
                may_read=may_read,
            )
        except WarehouseError as error:
            if error.reason in _OF_THE_QUERY:
                raise _UnanswerableQuery(error.reason, error.message) from None
            raise with_limit(error, limit_of) from None
        if self._effects.journal:
            self._effects.journal.usage.add(rows)
        return rows.as_dicts()

    async def dry_run(self, sql: str) -> dict[str, Any]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        query, may_read = await self._guarded(sql)
        found = await self._warehouse.dry_run(query.sql, default_dataset=self._access.own, may_read=may_read)
        return {
            "sql": query.sql,
            "tables_read": [str(table) for table in sorted(found.reads)],
            "estimated_bytes": found.bytes_processed,
        }

    async def table_fields(self, table: str) -> list[dict[str, Any]] | None:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        self._effects.require_open()
        ref = TableRef.parse(table, self._access.own)
        if ref.in_dataset != self._access.own:
            raise refuse("TABLE_NOT_ALLOWED", f"{ref} is outside the tenant's dataset {self._access.own}")
        spec = await self._warehouse.get_table(ref)
        return None if spec is None else [field.model_dump(mode="json") for field in spec.fields]

    async def list_tables(self) -> list[str]:
        """See `processors.base.StepWarehouse`. Raises WarehouseError."""
        self._effects.require_open()
        return await self._warehouse.list_tables(self._access.own)

    async def ensure_dataset(self, *, location: str, description: str = "") -> bool:
        """See `processors.base.StepWarehouse`. Raises WarehouseError."""
        self._effects.require_writable()
        return await self._warehouse.ensure_dataset(self._access.own, location=location, description=description)

    async def delete_dataset(self) -> bool:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        self._effects.require_writable()
        tenant = await self._store.get_tenant(self.dataset)
        is_asked_for = tenant is not None and tenant.offboarding_run == self._access.run_id
        if tenant is None or not is_asked_for or tenant.dataset_state is not DatasetState.KEPT:
            raise refuse("DATASET_NOT_ALLOWED", "only the run that OffboardTenant starts removes a tenant's dataset")
        return await self._warehouse.delete_dataset(self._access.own)

    async def ensure_table(
        self,
        table: str,
        schema: Sequence[Mapping[str, Any]],
        *,
        description: str = "",
        table_config: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        self._effects.require_writable()
        spec = table_spec(schema, description, table_config)
        change = await self._warehouse.ensure_table(self._effects.own_table(table), spec)
        return {"created": change.created, "added_columns": list(change.added_columns)}

    async def _guarded(self, sql: str) -> tuple[CheckedQuery, MayRead]:
        """The query, checked against what the step may read at this moment."""
        # Parsing a long query takes seconds, and the worker's other runs need the event loop.
        try:
            query = await in_own_thread(read_query, sql, default=self._access.own)
        except Refused as refused:
            raise _UnreadableQuery(refused.faults) from None
        named = {table.dataset for table in query.tables} - {self.dataset}
        policy = GuardPolicy(
            own=self._access.own,
            named_by_file=self._access.named_by_file,
            allowed_sources=self._access.allowed_sources,
            foreign_datasets=await self._store.tenants_among(named),
        )
        if faults := judge(query, policy):
            raise Refused(faults)
        self._effects.require_open()
        return query, _permission(query, policy)


async def _is_missing(warehouse: Warehouse, table: TableRef) -> bool:
    """Whether there is surely no such table: those that may not be looked at, and those by pattern, may exist."""
    name = table.table.partition("$")[0]
    if "*" in name or "." in name or name.startswith("__"):
        return False
    try:
        return await warehouse.get_table(replace(table, table=name)) is None
    except WarehouseError:
        return False


def _permission(query: CheckedQuery, policy: GuardPolicy) -> Callable[[frozenset[TableRef]], None]:
    """Holds what the warehouse finds that the query reads against what the guard found.

    A view brings tables that its query does not name. They must be tables that the tenant may read as well.
    """

    def may_read(tables: frozenset[TableRef]) -> None:
        others = [table for table in sorted(tables) if not covers(query, table)]
        if faults := [fault for table in others if (fault := judge_table(table, policy))]:
            raise Refused(faults)

    return may_read


def _told_write(write: _Write) -> dict[str, Any]:
    return {
        "sql": write.query.sql,
        "tables_read": [str(table) for table in write.query.tables],
        "table_written": str(write.effect.destination),
        "write_mode": write.effect.mode,
    }


def _told_plan(write: _Write, plan: WritePlan) -> dict[str, Any]:
    destination = str(write.effect.destination)
    changes = [f"{destination} is created"] if plan.table.created else []
    changes += [f"{destination} gets the column {column}" for column in plan.table.added_columns]
    return {
        **_told_write(write),
        "tables_read": [str(table) for table in sorted(plan.dry_run.reads)],
        "schema_changes": changes,
        "estimated_bytes": plan.dry_run.bytes_processed,
        "warnings": list(plan.warnings),
    }
