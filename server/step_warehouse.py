"""What a step gets of the warehouse: its tenant's dataset, through the SQL guard, each effect once."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, cast, get_args

from pydantic import ValidationError

from processors.base import QueryError
from server.domain.faults import Fault, Refused, refuse
from server.domain.run import EffectState
from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.domain.tenant import DatasetState
from server.effects import EffectJournal
from server.step_credentials import StepCredentials
from server.store.port import ControlStore
from server.threads import in_own_thread
from server.warehouse.port import (
    JobOutcome,
    MayRead,
    Settled,
    Warehouse,
    WarehouseError,
    WriteEffect,
    WriteMode,
    WritePlan,
)
from server.warehouse.sql_guard import CheckedQuery, GuardPolicy, covers, judge, judge_table, read_query

METADATA_PREFIX = "x_meta_"
_OF_THE_QUERY = {"INVALID_QUERY", "UNSUPPORTED_SQL", "TABLE_NOT_FOUND", "DATASET_NOT_FOUND", "ACCESS_DENIED"}


class _UnanswerableQuery(WarehouseError, QueryError):
    """A query that cannot be answered: a processor may know what to do about it, and otherwise its step fails."""


@dataclass(frozen=True, slots=True)
class StepAccess:
    """What one step may touch, and how its effects are named."""

    own: DatasetRef
    named_by_file: frozenset[str]
    allowed_sources: tuple[str, ...]
    run_day: date
    """The day that the run is about."""
    job_prefix: str
    """Derived from run and step alone, so that a second try of the step finds the effects of the first."""
    labels: Mapping[str, str]
    byte_limits: Mapping[str, int] = field(default_factory=dict)
    """Most bytes that one statement may bill, by who says so: `server`, `tenant`."""
    builds_metadata: bool = False
    """The step is part of the setup and may make the x_meta_ tables."""
    run_id: str = ""
    """pipeline_logging_id of the step's run."""
    planning: bool = False
    """Nothing may be changed."""
    to_come: Mapping[TableRef, str] = field(default_factory=dict)
    """In a plan, the tables that earlier steps write, with their step_id."""


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
        access: StepAccess,
        journal: EffectJournal | None = None,
    ) -> None:
        self._warehouse = warehouse
        self._credentials = credentials
        self._store = store
        self._access = access
        self._journal = journal
        self._numbers = Counter[str]()
        self._closed = False
        self.planned: list[TableRef] = []
        """Destinations of the writes that were planned."""
        self.project = access.own.project
        self.dataset = access.own.dataset

    async def write_query(self, sql: str, table: str, **options: Any) -> dict[str, Any]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError, LeaseLost, StoreBusy."""
        # Before anything is awaited: which call this is must not depend on whose query is checked faster.
        job_id = self._job_id(table, options.get("write_mode", "append"))
        self._require_writable()
        write = await self._checked(sql, table, job_id, **options)
        outcome = await self._carry_out(write)
        return {
            "job_id": outcome.job_id,
            "table": str(write.effect.destination),
            "rows_written": outcome.rows_written,
            "table_created": outcome.table_created,
            "added_columns": list(outcome.added_columns),
            "adopted": outcome.adopted,
            "bytes_processed": outcome.bytes_processed,
            "bytes_billed": outcome.bytes_billed,
            "slot_milliseconds": outcome.slot_milliseconds,
        }

    async def plan_query(self, sql: str, table: str, **options: Any) -> dict[str, Any]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        self._require_open()
        write = await self._checked(sql, table, self._job_id(table, options.get("write_mode", "append")), **options)
        self.planned.append(write.effect.destination)
        try:
            plan = await write.warehouse.plan_write(write.effect)
        except WarehouseError as error:
            if not (awaited := await self._awaited(write, error)):
                raise _with_limit(error, write.limit_of) from None
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
        if write_mode not in get_args(WriteMode):
            raise refuse("INVALID_WRITE_MODE", f"write_mode is one of {', '.join(get_args(WriteMode))}")
        if (write_mode == "merge") != bool(merge_keys):
            raise refuse("INVALID_WRITE_MODE", "write_mode merge needs merge_keys, and no other mode has them")
        limit_of, limit = self._byte_limit(maximum_bytes_billed)
        query, may_read = await self._guarded(sql)
        effect = WriteEffect(
            job_id=job_id,
            sql=query.sql,
            destination=self._own_table(table),
            mode=cast("WriteMode", write_mode),
            spec=_spec(schema, "", table_config),
            default_dataset=self._access.own,
            partition=self._partition(partition_date) if write_mode == "overwrite_partition" else None,
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

    async def _carry_out(self, write: _Write) -> JobOutcome:
        if self._journal is None:
            raise WarehouseError("PLANNING", "a plan changes nothing")
        effect = write.effect
        while True:
            self._require_open()
            await self._journal.begin(effect)
            # Whoever has ended the attempt in the meantime has settled what was recorded until now.
            self._require_open()
            try:
                outcome = await write.warehouse.write(effect)
            except WarehouseError as error:
                if error.reason == "EFFECT_SEALED":
                    # By an earlier attempt, or by a worker that has the run now: then the lease is lost.
                    effect = replace(effect, seals=effect.seals + 1)
                    continue
                if error.left_nothing:
                    self._journal.end(effect.job_id, Settled(EffectState.STOPPED))
                if error.reason == "JOB_ID_REUSED" and self._journal.is_inherited(effect.job_id):
                    raise _contradicts(effect) from None
                raise _with_limit(error, write.limit_of) from None
            except Refused:
                self._journal.end(effect.job_id, Settled(EffectState.STOPPED))
                raise
            self._journal.end(effect.job_id, Settled(EffectState.COMMITTED, outcome))
            return outcome

    async def query(self, sql: str, *, max_rows: int = 1_000, credential: str | None = None) -> list[dict[str, Any]]:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        query, may_read = await self._guarded(sql)
        limit_of, limit = self._byte_limit(None)
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
            raise _with_limit(error, limit_of) from None
        if self._journal:
            self._journal.usage.add(rows)
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
        self._require_open()
        ref = TableRef.parse(table, self._access.own)
        if ref.in_dataset != self._access.own:
            raise refuse("TABLE_NOT_ALLOWED", f"{ref} is outside the tenant's dataset {self._access.own}")
        spec = await self._warehouse.get_table(ref)
        return None if spec is None else [field.model_dump(mode="json") for field in spec.fields]

    async def list_tables(self) -> list[str]:
        """See `processors.base.StepWarehouse`. Raises WarehouseError."""
        self._require_open()
        return await self._warehouse.list_tables(self._access.own)

    async def ensure_dataset(self, *, location: str, description: str = "") -> bool:
        """See `processors.base.StepWarehouse`. Raises WarehouseError."""
        self._require_writable()
        return await self._warehouse.ensure_dataset(self._access.own, location=location, description=description)

    async def delete_dataset(self) -> bool:
        """See `processors.base.StepWarehouse`. Raises Refused, WarehouseError."""
        self._require_writable()
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
        self._require_writable()
        spec = _spec(schema, description, table_config)
        change = await self._warehouse.ensure_table(self._own_table(table), spec)
        return {"created": change.created, "added_columns": list(change.added_columns)}

    async def _guarded(self, sql: str) -> tuple[CheckedQuery, MayRead]:
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
        return query, _permission(query, policy)

    def close(self) -> None:
        """Nothing can be read or written through this any more: the attempt that it belonged to is over."""
        self._closed = True
        self._credentials.close()

    def _require_open(self) -> None:
        if self._closed:
            raise WarehouseError("ATTEMPT_ENDED", "the attempt that this warehouse belonged to has ended")

    def _require_writable(self) -> None:
        self._require_open()
        if self._access.planning:
            raise WarehouseError("PLANNING", "a plan changes nothing")

    def _job_id(self, table: str, write_mode: str) -> str:
        """The name of an effect: the step, the table, the mode, and which of its writes to that table it is.

        A second attempt may write its tables in another order, and still finds what the first one did.
        """
        target = hashlib.sha256(f"{table}\0{write_mode}".encode()).hexdigest()[:16]
        self._numbers[target] += 1
        name, prefix = f"{target}-{self._numbers[target]}", self._access.job_prefix
        return self._journal.effect_id(prefix, name) if self._journal else f"{prefix}-{name}"

    def _partition(self, given: str | None) -> date:
        try:
            return date.fromisoformat(given) if given else self._access.run_day
        except ValueError:
            raise refuse("INVALID_DATE", f"partition_date is a day, YYYY-MM-DD, not {given!r}") from None

    def _byte_limit(self, of_step: int | None) -> tuple[str, int | None]:
        """The smallest limit, and who set it."""
        limits = {**self._access.byte_limits, **({"step": of_step} if of_step is not None else {})}
        return min(limits.items(), key=lambda limit: limit[1], default=("", None))

    def _own_table(self, name: str) -> TableRef:
        """A table that the step may write."""
        table = TableRef.parse(name, self._access.own)
        if table.in_dataset != self._access.own:
            raise refuse("TABLE_NOT_ALLOWED", f"{table} is outside the tenant's dataset {self._access.own}")
        if table.table.lower().startswith(METADATA_PREFIX) and not self._access.builds_metadata:
            raise refuse("METADATA_NOT_ALLOWED", f"{table.table}: tables named {METADATA_PREFIX}* belong to the system")
        return table


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


def _contradicts(effect: WriteEffect) -> WarehouseError:
    return WarehouseError(
        "JOB_ID_REUSED",
        f"the retried run has written to {effect.destination} with another query, and that was committed; "
        "run the pipeline anew instead",
    )


def _with_limit(error: WarehouseError, limit_of: str) -> WarehouseError:
    if error.reason != "BYTES_BILLED_LIMIT":
        return error
    return WarehouseError(error.reason, f"{error.message}; the limit is the {limit_of}'s maximum_bytes_billed")


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


def _spec(schema: Sequence[Mapping[str, Any]], description: str, table_config: Mapping[str, Any] | None) -> TableSpec:
    try:
        return TableSpec.model_validate(
            {"fields": list(schema), "description": description, **(dict(table_config) if table_config else {})}
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise refuse("INVALID_SCHEMA", f"{place}: {first['msg']}") from None
