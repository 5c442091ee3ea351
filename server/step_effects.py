"""The writes of one attempt of one step: what it may write, how its effects are named, and that each happens once."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, get_args

from pydantic import ValidationError

from server.domain.faults import Refused, refuse
from server.domain.load import Load
from server.domain.run import EffectState
from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.effects import EffectJournal
from server.warehouse.port import JobOutcome, Settled, Warehouse, WarehouseError, WriteEffect, WriteMode

METADATA_PREFIX = "x_meta_"


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
    step_id: str = ""
    planning: bool = False
    """Nothing may be changed."""
    to_come: Mapping[TableRef, str] = field(default_factory=dict)
    """In a plan, the tables that earlier steps write, with their step_id."""


class StepEffects:
    """What the parts of a step's context share that lead to the warehouse."""

    def __init__(self, access: StepAccess, journal: EffectJournal | None) -> None:
        """`journal`: None in a plan."""
        self.access = access
        self.journal = journal
        self.planned: list[TableRef] = []
        """Destinations of the writes that were planned."""
        self._numbers = Counter[str]()
        self._closed = False

    def close(self) -> None:
        """Nothing can be read or written through this any more: the attempt that it belonged to is over."""
        self._closed = True

    def require_open(self) -> None:
        """Raises WarehouseError when the attempt is over."""
        if self._closed:
            raise WarehouseError("ATTEMPT_ENDED", "the attempt that this warehouse belonged to has ended")

    def require_writable(self) -> None:
        """Raises WarehouseError when the attempt is over, or only plans."""
        self.require_open()
        if self.access.planning:
            raise WarehouseError("PLANNING", "a plan changes nothing")

    def own_table(self, name: str) -> TableRef:
        """A table that the step may write. Raises Refused."""
        own = self.access.own
        table = TableRef.parse(name, own)
        if table.in_dataset != own:
            raise refuse("TABLE_NOT_ALLOWED", f"{table} is outside the tenant's dataset {own}")
        if table.table.lower().startswith(METADATA_PREFIX) and not self.access.builds_metadata:
            raise refuse("METADATA_NOT_ALLOWED", f"{table.table}: tables named {METADATA_PREFIX}* belong to the system")
        return table

    def partition(self, given: str | None) -> date:
        """The day whose partition is replaced, the run's where none is given. Raises Refused."""
        try:
            return date.fromisoformat(given) if given else self.access.run_day
        except ValueError:
            raise refuse("INVALID_DATE", f"partition_date is a day, YYYY-MM-DD, not {given!r}") from None

    def byte_limit(self, of_step: int | None) -> tuple[str, int | None]:
        """The smallest limit, and who set it."""
        limits = {**self.access.byte_limits, **({"step": of_step} if of_step is not None else {})}
        return min(limits.items(), key=lambda limit: limit[1], default=("", None))

    def job_id(self, table: str, write_mode: str, content: str = "") -> str:
        """The name of an effect: the step, the table, the mode, and which of its writes to that table it is.

        A second attempt may write its tables in another order, and still finds what the first one did. Writes of
        another `content` are others.
        """
        parts = (table, write_mode, *([content] if content else []))
        target = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        self._numbers[target] += 1
        name, prefix = f"{target}-{self._numbers[target]}", self.access.job_prefix
        return self.journal.effect_id(prefix, name) if self.journal else f"{prefix}-{name}"

    async def carry_out(
        self, effect: WriteEffect, warehouse: Warehouse, *, limit_of: str, load: Load | None = None
    ) -> JobOutcome:
        """Record the effect, and carry it out. Raises WarehouseError, Refused, LeaseLost, LoadConflict, StoreBusy."""
        if self.journal is None:
            raise WarehouseError("PLANNING", "a plan changes nothing")
        while True:
            self.require_open()
            await self.journal.begin(effect, load)
            # Whoever has ended the attempt in the meantime has settled what was recorded until now.
            self.require_open()
            try:
                outcome = await warehouse.write(effect)
            except WarehouseError as error:
                if error.reason == "EFFECT_SEALED":
                    # By an earlier attempt, or by a worker that has the run now: then the lease is lost.
                    effect = replace(effect, seals=effect.seals + 1)
                    continue
                if error.left_nothing:
                    self.journal.end(effect.job_id, Settled(EffectState.STOPPED))
                if error.reason == "JOB_ID_REUSED" and self.journal.is_inherited(effect.job_id):
                    raise _contradicts(effect) from None
                raise with_limit(error, limit_of) from None
            except Refused:
                self.journal.end(effect.job_id, Settled(EffectState.STOPPED))
                raise
            self.journal.end(effect.job_id, Settled(EffectState.COMMITTED, outcome))
            return outcome


def _contradicts(effect: WriteEffect) -> WarehouseError:
    return WarehouseError(
        "JOB_ID_REUSED",
        f"the retried run has written to {effect.destination} with another query, and that was committed; "
        "run the pipeline anew instead",
    )


def with_limit(error: WarehouseError, limit_of: str) -> WarehouseError:
    """The error, with whose limit of bytes was exceeded where one was."""
    if error.reason != "BYTES_BILLED_LIMIT":
        return error
    told = WarehouseError(error.reason, f"{error.message}; the limit is the {limit_of}'s maximum_bytes_billed")
    told.left_nothing = error.left_nothing
    return told


def require_mode(write_mode: str, merge_keys: Sequence[str]) -> WriteMode:
    """The write mode. Raises Refused for one that there is not, or that does not fit the keys."""
    modes: dict[str, WriteMode] = {mode: mode for mode in get_args(WriteMode)}
    if write_mode not in modes:
        raise refuse("INVALID_WRITE_MODE", f"write_mode is one of {', '.join(modes)}")
    if (write_mode == "merge") != bool(merge_keys):
        raise refuse("INVALID_WRITE_MODE", "write_mode merge needs merge_keys, and no other mode has them")
    return modes[write_mode]


def table_spec(
    schema: Sequence[Mapping[str, Any]], description: str = "", table_config: Mapping[str, Any] | None = None
) -> TableSpec:
    """What a processor says of a table. Raises Refused."""
    try:
        return TableSpec.model_validate(
            {"fields": list(schema), "description": description, **(dict(table_config) if table_config else {})}
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise refuse("INVALID_SCHEMA", f"{place}: {first['msg']}") from None


def told_outcome(effect: WriteEffect, outcome: JobOutcome) -> dict[str, Any]:
    """What a processor is told of a write."""
    return {
        "job_id": outcome.job_id,
        "table": str(effect.destination),
        "rows_written": outcome.rows_written,
        "table_created": outcome.table_created,
        "added_columns": list(outcome.added_columns),
        "adopted": outcome.adopted,
        "bytes_processed": outcome.bytes_processed,
        "bytes_billed": outcome.bytes_billed,
        "slot_milliseconds": outcome.slot_milliseconds,
    }
