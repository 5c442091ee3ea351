"""What a step gets to load files: a record of what its tables were loaded from, and the load itself, once."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from server.domain.load import Load, LoadedObject, LoadRecord
from server.domain.run import EffectState
from server.domain.schema import TableRef, TableSpec
from server.step_effects import StepEffects, require_mode, table_spec, told_outcome
from server.store.port import ControlStore, LoadConflict
from server.warehouse.partitions import partition_range
from server.warehouse.port import RowFile, Warehouse, WarehouseError, WriteEffect


class TenantLoads:
    """The `Loads` that a processor finds in its context."""

    def __init__(self, warehouse: Warehouse, store: ControlStore, effects: StepEffects) -> None:
        self._warehouse = warehouse
        self._store = store
        self._effects = effects

    async def loaded_objects(
        self,
        table: str,
        *,
        uris: Sequence[str] | None = None,
        write_mode: str = "append",
        partition_date: str | None = None,
    ) -> dict[str, dict[str, Any]]:
        """See `processors.base.Loads`. Raises Refused, WarehouseError."""
        self._effects.require_open()
        spec = await self._warehouse.get_table(self._effects.own_table(table))
        if spec is None:
            return {}
        partition = _partition_start(spec, write_mode, self._effects.partition(partition_date))
        await self._require_ended(table, partition)
        # A load of the whole table replaces the partitions of others too.
        within = None if write_mode == "overwrite" else partition
        return {
            loaded.uri: {**loaded.model_dump(exclude={"uri"}), "by_this_step": self._is_own(record)}
            for record in await self._store.loads(self._effects.access.own.dataset, table, within, uris=uris)
            for loaded in record.objects
        }

    async def load_file(
        self,
        file: Path,
        table: str,
        *,
        fields: Sequence[Mapping[str, Any]],
        objects: Sequence[Mapping[str, Any]],
        again: bool = False,
        write_mode: str = "append",
        schema: Sequence[Mapping[str, Any]] = (),
        table_config: Mapping[str, Any] | None = None,
        partition_date: str | None = None,
        merge_keys: Sequence[str] = (),
        allow_field_addition: bool = False,
    ) -> dict[str, Any]:
        """See `processors.base.Loads`. Raises Refused, WarehouseError, LeaseLost, StoreBusy."""
        self._effects.require_writable()
        mode, day = require_mode(write_mode, merge_keys), self._effects.partition(partition_date)
        limit_of, limit = self._effects.byte_limit(None)
        loaded = tuple(LoadedObject.model_validate(dict(one)) for one in objects)
        digest = _digest(loaded)
        effect = WriteEffect(
            job_id=self._effects.job_id(table, mode, digest),
            sql="",
            destination=self._effects.own_table(table),
            mode=mode,
            spec=table_spec(schema, table_config=table_config),
            default_dataset=self._effects.access.own,
            partition=day if mode == "overwrite_partition" else None,
            merge_keys=tuple(merge_keys),
            add_columns=allow_field_addition,
            labels=self._effects.access.labels,
            maximum_bytes_billed=limit,
            file=RowFile(file, table_spec(fields).fields, digest),
        )
        have, gone = await self._found(effect.destination)
        load = Load(
            effect_id=effect.job_id,
            table=table,
            partition=_partition_start(have or effect.spec, mode, day),
            write_mode=mode,
            objects=loaded,
            again=again,
            gone=gone,
        )
        await self._find_out(await self._begun(table, load.partition))
        return await self._carry_out(effect, limit_of, load)

    def plan_load(self, table: str) -> str:
        """See `processors.base.Loads`. Raises Refused."""
        destination = self._effects.own_table(table)
        self._effects.planned.append(destination)
        return str(destination)

    async def _found(self, table: TableRef) -> tuple[TableSpec | None, tuple[str, ...]]:
        """The table, and, when there is none, the effects that wrote to an earlier one of its name."""
        have = await self._warehouse.get_table(table)
        if have is not None:
            return have, ()
        records = await self._store.loads(table.dataset, table.table)
        # Another run may have made and filled it since; what was recorded before this look is gone.
        have = await self._warehouse.get_table(table)
        return have, () if have else tuple(record.effect_id for record in records)

    async def _carry_out(self, effect: WriteEffect, limit_of: str, load: Load) -> dict[str, Any]:
        try:
            outcome = await self._effects.carry_out(effect, self._warehouse, limit_of=limit_of, load=load)
        except LoadConflict as conflict:
            raise _conflict(conflict.pipeline_logging_id) from None
        except WarehouseError as error:
            if error.left_nothing:
                await self._end(effect.job_id, is_committed=False)
            raise
        await self._end(effect.job_id, is_committed=True)
        return told_outcome(effect, outcome)

    async def _end(self, effect_id: str, *, is_committed: bool) -> None:
        if self._effects.journal:
            await self._effects.journal.end_load(effect_id, is_committed=is_committed)

    async def _require_ended(self, table: str, partition: str) -> None:
        """Raises WarehouseError while a run loads there. Of loads whose worker was lost, the warehouse is asked."""
        if not self._effects.access.planning:
            for at_work in await self._find_out(await self._begun(table, partition)):
                raise _conflict(at_work.pipeline_logging_id)

    async def _begun(self, table: str, partition: str) -> list[LoadRecord]:
        """The loads there of which it is not known whether they were committed."""
        records = await self._store.begun_loads(self._effects.access.own.dataset, table)
        return [record for record in records if record.meets(partition)]

    async def _find_out(self, begun: Sequence[LoadRecord]) -> list[LoadRecord]:
        """Record what became of loads; answers those that another run is at, of which nothing can be said."""
        at_work = [record for record in begun if await self._is_at_work(record)]
        for record in begun:
            if record not in at_work:
                await self._settle(record)
        return at_work

    async def _is_at_work(self, record: LoadRecord) -> bool:
        if record.pipeline_logging_id == self._effects.access.run_id:
            return False
        run = await self._store.get_run(record.pipeline_logging_id)
        return run is not None and not run.status.is_terminal

    async def _settle(self, record: LoadRecord) -> None:
        settled = await self._warehouse.settle(record.effect_id, self._effects.access.own)
        if settled.state is EffectState.UNKNOWN:
            raise WarehouseError(
                "WAREHOUSE_FAILED",
                f"the warehouse does not say now whether run {record.pipeline_logging_id} has loaded its objects",
            )
        if self._effects.journal:
            self._effects.journal.learn(record.effect_id, settled)
        await self._end(record.effect_id, is_committed=settled.state is EffectState.COMMITTED)

    def _is_own(self, record: LoadRecord) -> bool:
        access, journal = self._effects.access, self._effects.journal
        is_inherited = journal is not None and journal.is_inherited(record.effect_id)
        return is_inherited or (record.pipeline_logging_id, record.step_id) == (access.run_id, access.step_id)


def _conflict(pipeline_logging_id: str) -> WarehouseError:
    return WarehouseError(
        "LOAD_CONFLICT",
        f"run {pipeline_logging_id} loads, or has just loaded, the same objects into the table; another try finds out "
        "what is left to do",
    )


def _digest(objects: Sequence[LoadedObject]) -> str:
    """Tells sets of objects apart, whatever their order."""
    lines = sorted(f"{loaded.uri}\0{loaded.etag}\0{loaded.size}" for loaded in objects)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _partition_start(spec: TableSpec, write_mode: str, day: date) -> str:
    """The first day of the partition that a load replaces; '' when it replaces none."""
    if write_mode != "overwrite_partition" or spec.time_partitioning is None:
        return ""
    return partition_range(spec.time_partitioning, day)[0].isoformat()
