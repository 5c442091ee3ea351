"""Claims, leases, cancellation, draining: which runs this worker has, and for how long."""

import asyncio
import logging
from contextlib import suppress

from server.domain.run import RunKind
from server.executor import STOP_SECONDS, RunExecution
from server.metrics import CLAIMS, LEASES_LOST
from server.planning import PlanExecution
from server.plans import PlansFile
from server.run_spans import note_status, run_span
from server.settings import Settings
from server.step_runner import StepRunner
from server.store.port import Claim, ControlStore, Lease, LeaseLost, RunHeld, StoreBusy
from server.tasks import end_tasks, first_ended
from server.tracing import Span

_POLL_SECONDS = 1.0
_REST_SECONDS = 0.1
# The part of a lease after which a worker that could not renew it stops: what is left is for stopping.
_FENCED_AFTER = 2 / 3
_QUICK_TRIES = 5

logger = logging.getLogger(__name__)


class Worker:
    """Claims and executes runs until it is told to drain."""

    def __init__(
        self, worker_id: str, store: ControlStore, runner: StepRunner, settings: Settings, plans: PlansFile
    ) -> None:
        self.worker_id = worker_id
        self._plans = plans
        self._store = store
        self._runner = runner
        self._settings = settings
        self._running: dict[Lease, tuple[RunExecution | PlanExecution, asyncio.Task[None]]] = {}
        self._abandoned: set[Lease] = set()
        self._draining = asyncio.Event()
        self._slot_freed = asyncio.Event()
        self._renewed_at = asyncio.get_running_loop().time()

    @property
    def running(self) -> int:
        """How many runs it has."""
        return len(self._running)

    def drain(self) -> None:
        """Claim no more; finish what is running within `drain_seconds`, hand the rest back."""
        self._draining.set()

    async def run(self) -> None:
        """Work until drained. Raises what ended one of its loops: without them a worker must not go on."""
        keepers = [
            asyncio.create_task(keeper()) for keeper in (self._keep_leases, self._keep_fence, self._watch_cancels)
        ]
        claiming = asyncio.create_task(self._claim_until_drained())
        try:
            await first_ended([claiming, *keepers])
            await self._finish_or_hand_back()
        finally:
            await end_tasks([claiming, *keepers])

    async def _claim_until_drained(self) -> None:
        at_once = 1
        while not self._draining.is_set():
            seen = self._store.version
            self._slot_freed.clear()
            claims = await self._claims(at_once)
            for claim in claims:
                self._start(claim)
            if len(claims) < at_once:
                at_once = 1
                await self._wait_for_work(seen)
            else:
                # A claim waits for its commit, and those that are asked for together have one.
                at_once = min(2 * at_once, self._store.writes_at_once)

    async def _claims(self, at_once: int) -> list[Claim]:
        """As many claims as are free places and work, and not more than are asked for."""
        places = min(at_once, self._settings.worker_concurrency - len(self._running))
        if places <= 0 or self._is_fenced():
            return []
        is_suspect = any(execution.is_suspect for execution, _ in self._running.values())
        for_backfills = self._places_for_backfills()
        asked = (
            # One suspect at a time, and it is not known before which claim finds one.
            self._claim(suspects=not is_suspect and number == 0, backfills=number < for_backfills)
            for number in range(places)
        )
        return [claim for claim in await asyncio.gather(*asked) if claim is not None]

    async def _claim(self, *, suspects: bool, backfills: bool) -> Claim | None:
        try:
            return await self._store.claim(
                self.worker_id,
                lease_seconds=self._settings.lease_seconds,
                plans=self._plans.current(),
                suspects=suspects,
                backfills=backfills,
            )
        except StoreBusy:
            return None

    def _places_for_backfills(self) -> int:
        """How many runs of backfills may begin, so that a place is left to those that somebody may wait for."""
        count = sum(execution.is_backfill for execution, _ in self._running.values())
        return max(1, self._settings.worker_concurrency - 1) - count

    async def _wait_for_work(self, seen: int) -> None:
        """Until something is committed, a run of this worker ends, draining begins, or it is time to look again."""
        waiting = [
            asyncio.create_task(self._store.wait_for_change(seen, _POLL_SECONDS)),
            asyncio.create_task(self._slot_freed.wait()),
            asyncio.create_task(self._draining.wait()),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    def _start(self, claim: Claim) -> None:
        execution = self._execution(claim)
        task = asyncio.create_task(self._execute_traced(claim, execution))
        CLAIMS.inc()
        self._running[claim.lease] = (execution, task)
        # A task that is cancelled before it begins ends without a line of its own.
        task.add_done_callback(lambda _: self._ended(claim.lease))

    def _ended(self, lease: Lease) -> None:
        """The worker has the run no more, and a place for another one."""
        self._running.pop(lease, None)
        self._abandoned.discard(lease)
        self._slot_freed.set()

    def _execution(self, claim: Claim) -> RunExecution | PlanExecution:
        if claim.run.kind is RunKind.PLAN:
            return PlanExecution(claim, self._store, self._runner, price_per_tib=self._settings.bigquery_price_per_tib)
        return RunExecution(claim, self._store, self._runner)

    async def _execute_traced(self, claim: Claim, execution: RunExecution | PlanExecution) -> None:
        with run_span(claim) as span:
            await self._execute(claim.lease, execution, span)

    async def _execute(self, lease: Lease, execution: RunExecution | PlanExecution, span: Span) -> None:
        try:
            note_status(span, (await execution.run()).status)
        except LeaseLost:
            if lease not in self._abandoned:
                LEASES_LOST.inc()
            logger.warning("Another worker took the run over", extra=_lease_fields(lease))
        except RunHeld:
            logger.info("The tenant is suspended; its run is handed back", extra=_lease_fields(lease))
            await self._hand_back(lease)
        except StoreBusy:
            # Nothing was recorded of what comes next; whoever claims the run goes on from what was.
            logger.warning("The control store failed under a run; it is handed back", extra=_lease_fields(lease))
            await self._hand_back(lease)
        except Exception:
            logger.exception("The executor failed", extra=_lease_fields(lease))

    async def _keep_leases(self) -> None:
        """Renew three times within a lease, and sooner again when that fails."""
        loop = asyncio.get_running_loop()
        third = self._settings.lease_seconds / 3
        pause = third
        while True:
            await asyncio.sleep(pause)
            pause = third / _QUICK_TRIES
            leases, asked_at = list(self._running), loop.time()
            with suppress(StoreBusy, TimeoutError):
                async with asyncio.timeout(third):
                    held = await self._store.renew(leases, lease_seconds=self._settings.lease_seconds)
                self._renewed_at, pause = asked_at, third
                for lease in set(leases) - held:
                    self._abandon(lease)

    async def _keep_fence(self) -> None:
        """Stop working on every run before its lease can have ended, whatever the renewal is waiting for."""
        loop = asyncio.get_running_loop()
        while True:
            left = self._renewed_at + self._settings.lease_seconds * _FENCED_AFTER - loop.time()
            if left <= 0:
                for lease in list(self._running):
                    self._abandon(lease)
            await asyncio.sleep(max(left, self._settings.lease_seconds / 3 / _QUICK_TRIES))

    def _is_fenced(self) -> bool:
        """Whether leases may have ended without this worker knowing: it can neither go on nor begin."""
        age = asyncio.get_running_loop().time() - self._renewed_at
        return age >= self._settings.lease_seconds * _FENCED_AFTER

    def _abandon(self, lease: Lease) -> None:
        # Once: a second cancellation would break off the first one's tidying up.
        if lease in self._running and lease not in self._abandoned:
            logger.warning("A lease was lost; its run is abandoned", extra=_lease_fields(lease))
            self._abandoned.add(lease)
            LEASES_LOST.inc()
            self._running[lease][1].cancel()

    async def _watch_cancels(self) -> None:
        while True:
            seen = self._store.version
            with suppress(StoreBusy):
                for lease in await self._store.cancelling(list(self._running)):
                    if lease in self._running:
                        self._running[lease][0].cancel()
            await self._store.wait_for_change(seen, _POLL_SECONDS)
            # What is committed meanwhile is found with one look.
            await asyncio.sleep(_REST_SECONDS)

    async def _finish_or_hand_back(self) -> None:
        tasks = {task: lease for lease, (_, task) in self._running.items()}
        if not tasks:
            return
        logger.info("Draining: %d runs have %g s to finish", len(tasks), self._settings.drain_seconds)
        _, late = await asyncio.wait(tasks, timeout=self._settings.drain_seconds)
        for task in late:
            self._abandoned.add(tasks[task])
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=2 * STOP_SECONDS)
        for task in late:
            await self._hand_back(tasks[task])

    async def _hand_back(self, lease: Lease) -> None:
        with suppress(StoreBusy):
            await self._store.hand_back(lease)


def _lease_fields(lease: Lease) -> dict[str, str]:
    return {"pipeline_logging_id": lease.pipeline_logging_id, "worker_id": lease.worker_id}
