"""The writes of one step: recorded before they begin, and accounted for when the step ends."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from server.domain.load import Load
from server.domain.run import Effect, EffectState, StepRun
from server.domain.schema import DatasetRef
from server.store.port import ControlStore, Lease
from server.warehouse.port import JobOutcome, Rows, Settled, Warehouse, WriteEffect


@dataclass(slots=True)
class Usage:
    """What a step has read so far, in bytes, and the time of slots that it took."""

    bytes_processed: int = 0
    bytes_billed: int = 0
    slot_milliseconds: int = 0

    def add(self, job: JobOutcome | Rows) -> None:
        """Count a job."""
        self.bytes_processed += job.bytes_processed
        self.bytes_billed += job.bytes_billed
        self.slot_milliseconds += job.slot_milliseconds


class EffectJournal:
    """Keeps a step's writes in the control store, so that none is ever forgotten: not by a crash, nor by a cancel."""

    def __init__(self, store: ControlStore, lease: Lease, step: StepRun) -> None:
        self._store = store
        self._lease = lease
        self._step = step
        self._effects = {effect.effect_id: effect for effect in step.effects}
        self._inherited = [effect.effect_id for effect in step.inherited]
        self.usage = Usage(step.bytes_processed, step.bytes_billed, step.slot_milliseconds)

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The step's writes, of this attempt and those before."""
        return tuple(self._effects.values())

    def effect_id(self, prefix: str, name: str) -> str:
        """The id of the write of that name, which is the one that it has in the run that this one retries, if any."""
        earlier = (effect_id for effect_id in self._inherited if effect_id.endswith(f"-{name}"))
        return next(earlier, f"{prefix}-{name}")

    def is_inherited(self, effect_id: str) -> bool:
        """Whether the write was committed in the run that this one retries."""
        return effect_id in self._inherited

    async def begin(self, write: WriteEffect, load: Load | None = None) -> None:
        """Record a write that is about to begin. Raises LeaseLost, LoadConflict, StoreBusy; then it must not begin."""
        begun = Effect(effect_id=write.job_id, table=str(write.destination), write_mode=write.mode)
        earlier = self._effects.get(write.job_id)
        if earlier is None or earlier.state is not EffectState.COMMITTED:
            self._effects[write.job_id] = begun
        recorded = {"effects": self.effects, **asdict(self.usage)}
        await self._store.record_effects(self._lease, self._step.model_copy(update=recorded), load)

    async def end_load(self, effect_id: str, *, is_committed: bool) -> None:
        """Record what became of a load. Raises LeaseLost: then whoever has the run now finds that out."""
        await self._store.end_load(self._lease, effect_id, is_committed=is_committed)

    def end(self, effect_id: str, settled: Settled) -> None:
        """What became of a write. The end of the step records it."""
        effect = self._effects[effect_id]
        self._effects[effect_id] = ended(effect, settled)
        # What is recorded as committed, here or by the run that this one retries, is counted already.
        if settled.outcome and effect.state is not EffectState.COMMITTED and not self.is_inherited(effect_id):
            self.usage.add(settled.outcome)

    def learn(self, effect_id: str, settled: Settled) -> None:
        """What became of a write that may be one of this step's, begun by an earlier attempt."""
        if effect_id in self._effects:
            self.end(effect_id, settled)

    async def settle(self, warehouse: Warehouse, own: DatasetRef) -> None:
        """Stop the writes whose end is not known, and ask what became of them."""
        for effect in self.effects:
            if effect.state is EffectState.UNKNOWN:
                self.end(effect.effect_id, await warehouse.settle(effect.effect_id, own))


def ended(effect: Effect, settled: Settled) -> Effect:
    """The effect, with what became of it."""
    outcome = settled.outcome
    if outcome is None:
        return effect.model_copy(update={"state": settled.state})
    return effect.model_copy(
        update={
            "state": settled.state,
            "job_id": outcome.job_id if settled.state is EffectState.COMMITTED else "",
            "rows_written": outcome.rows_written,
            "bytes_processed": outcome.bytes_processed,
            "bytes_billed": outcome.bytes_billed,
            "slot_milliseconds": outcome.slot_milliseconds,
        }
    )


async def settle(warehouse: Warehouse, own: DatasetRef, effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """Stop the writes whose end is not known, and ask what became of them."""
    return tuple([await _settled(warehouse, own, effect) for effect in effects])


async def _settled(warehouse: Warehouse, own: DatasetRef, effect: Effect) -> Effect:
    if effect.state is not EffectState.UNKNOWN:
        return effect
    return ended(effect, await warehouse.settle(effect.effect_id, own))


def told(effects: Iterable[Effect]) -> str:
    """What a person should know of the writes of a step that did not get to its end."""
    words = {
        EffectState.COMMITTED: "was committed",
        EffectState.UNKNOWN: "may have been committed: the warehouse did not say",
    }
    return "; ".join(
        f"the write to {effect.table} {words[effect.state]}" for effect in effects if effect.state in words
    )
