"""What the runs of a backfill would read, extrapolated from plans of a few of them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from server.domain.backfill import Day
from server.domain.run import Run, RunKind, RunStatus
from server.errors import QuotaExhausted, RunFinished
from server.preparation import RunRequest
from server.runs import Caller, Runs
from server.store.port import ControlStore
from server.store.schedule_port import NewBackfill

_PLANS = 5
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the runs would read."""

    bytes_processed: int = 0
    """0 when it is not known."""
    warnings: tuple[str, ...] = ()
    """Why it is not, and what would make runs fail."""


class Estimates:
    """Has runs planned by the workers: the server never opens the warehouse."""

    def __init__(self, store: ControlStore, runs: Runs, *, longest_seconds: float = 20.0) -> None:
        self._store = store
        self._runs = runs
        self._longest_seconds = longest_seconds

    async def of(self, caller: Caller, new: NewBackfill) -> Estimate:
        """An estimate for all runs of a backfill, or why there is none in time."""
        if not new.days:
            return Estimate()
        plans = list[Run]()
        try:
            for tenant_id, day in _samples(new.days):
                request = RunRequest(new.settings.name, day.isoformat(), new.settings.variables)
                asking = Caller(tenant_id, caller.by, is_admin=caller.is_admin)
                plans.append(await self._runs.start(asking, request, kind=RunKind.PLAN))
            ended = await self._ended(plans)
        except QuotaExhausted as exhausted:
            return Estimate(warnings=(f"not estimated: {exhausted.message}",))
        except TimeoutError:
            return Estimate(warnings=("not estimated: the plans of the sampled days did not end in time",))
        finally:
            await self._cancel(plans, caller)
        if problems := [f"{run.tenant_id}, {run.date}: {told}" for run in ended for told in _problems(run)]:
            return Estimate(warnings=tuple(dict.fromkeys(problems)))
        read = sum(run.plan.estimated_bytes for run in ended if run.plan)
        return Estimate(read * len(new.days) // len(ended))

    async def _ended(self, plans: Sequence[Run]) -> list[Run]:
        """The runs when they have ended. Raises TimeoutError."""
        async with asyncio.timeout(self._longest_seconds):
            while True:
                seen = self._store.version
                runs = [run for plan in plans if (run := await self._store.get_run(plan.pipeline_logging_id))]
                if all(run.status.is_terminal for run in runs):
                    return runs
                await self._store.wait_for_change(seen, _POLL_SECONDS)

    async def _cancel(self, plans: Sequence[Run], caller: Caller) -> None:
        """Nobody waits for those that have not ended."""
        for plan in plans:
            with suppress(RunFinished):
                await self._runs.cancel(plan.tenant_id, plan.pipeline_logging_id, caller.by)


def _samples(days: Sequence[Day]) -> list[Day]:
    """A few of the days, the first and the last among them."""
    if len(days) <= _PLANS:
        return list(days)
    return [days[round(number * (len(days) - 1) / (_PLANS - 1))] for number in range(_PLANS)]


def _problems(run: Run) -> list[str]:
    if run.status is not RunStatus.SUCCESS or run.plan is None:
        return [f"not estimated: {run.error_message or run.status}"]
    return [str(fault) for fault in run.plan.faults]
