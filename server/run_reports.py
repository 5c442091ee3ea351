"""What is told about runs besides the runs themselves: what they were given, and how those of a period went."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from server.domain.faults import Fault
from server.domain.plan import PlanStep
from server.domain.run import RunStatus
from server.errors import InvalidRequest, RunNotFound
from server.runs import Runs
from server.step_inputs import step_inputs
from server.store.port import ControlStore, RunFilter, RunStatistics

_MAX_BUCKETS = 500


class RunReports:
    """Reads, and changes nothing."""

    def __init__(self, store: ControlStore, runs: Runs) -> None:
        self._store = store
        self._runs = runs

    async def count(self, wanted: RunFilter) -> Mapping[RunStatus, int]:
        """How many of the latest 10,000 runs are in which status, whichever the filter wants."""
        return await self._store.count_runs(wanted)

    async def inputs(self, tenant_id: str, pipeline_logging_id: str) -> Sequence[PlanStep]:
        """What each step of the run was accepted with. Raises RunNotFound, also for another tenant's run."""
        await self._runs.owned(tenant_id, pipeline_logging_id)
        snapshot = await self._store.run_snapshot(pipeline_logging_id)
        if snapshot is None:
            raise RunNotFound
        return await asyncio.to_thread(lambda: [step_inputs(step) for step in snapshot.steps])

    async def statistics(self, tenant_id: str | None, since: datetime, until: datetime, buckets: int) -> RunStatistics:
        """How the runs of a period went, cut into so many pieces; None is all tenants.

        Raises:
            InvalidRequest, TenantNotFound.
        """
        faults = list[Fault]()
        if since >= until:
            faults.append(Fault("INVALID_FIELD", "is not before until", field="since"))
        if not 1 <= buckets <= _MAX_BUCKETS:
            faults.append(Fault("INVALID_FIELD", f"is 1 to {_MAX_BUCKETS}, or 0 for 24", field="buckets"))
        if faults:
            raise InvalidRequest(faults)
        found = await self._store.run_statistics(tenant_id, since, until, buckets)
        if not found.pipelines:
            await self._runs.require_tenant(tenant_id)
        return found
