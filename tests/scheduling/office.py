"""A server's use cases around schedules and backfills, on a store whose clock is moved by hand; no worker."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from server.backfill_runner import BackfillRunner
from server.backfills import BackfillRequest, Backfills
from server.catalog import Catalog
from server.domain.backfill import Backfill
from server.domain.pipeline import PipelineName
from server.domain.quotas import Quotas
from server.domain.run import Run, RunStatus
from server.domain.schedule import NewSchedule, Schedule, ScheduleSettings, Tick
from server.domain.tenant import TenantState
from server.estimates import Estimates
from server.following import Following
from server.plans import PlansFile
from server.preparation import Preparation
from server.registry import Registry
from server.runs import Caller, Runs
from server.scheduler import Scheduler
from server.schedules import Schedules
from server.settings import Settings
from server.store.port import RunEnd, RunFilter
from server.store.schedule_port import TickFilter
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import BY, PLANS, api_key, new_run, tenant

DAILY = PipelineName("gcp", "trial", "daily")
PROJECT = "gac-prod-471220"
_PIPELINE = """
pipeline_id: "{{tenant_id}}-daily"
variables:
  region: {{default: "eu", pattern: "[a-z]+"}}
steps:
  - step_id: "load"
    ps_type: "gcp.bq_etl"
    source:
      query: "SELECT DATE '{{date}}' AS day, '{{region}}' AS region"
    destination:
      table: "days"
      write_mode: "{write_mode}"
      table_config: {{time_partitioning: {{field: "day", type: "DAY"}}}}
"""


class Office:
    """Everything but a network and a worker."""

    def __init__(self, store: SqlStore, clock: Clock, folder: Path) -> None:
        self.store = store
        self.clock = clock
        self.folder = folder
        settings = Settings()
        self.write_pipeline()
        (folder / "plans.yml").write_text(
            "default: all\n"
            "plans: {all: {}, one: {runs_per_day: 1}, few: {runs_per_day: 2}, some: {runs_per_day: 5},"
            " short: {max_pending_runs: 3}}\n"
        )
        plans = PlansFile(folder / "plans.yml", base=Quotas())
        preparation = Preparation(Catalog(folder / "configs", settings.ps_templates_dir), Registry(), PROJECT)
        self.plans = plans
        following = Following(store, max_streams=9, max_streams_per_key=9)
        self.runs = Runs(store, preparation, plans, following)
        self.schedules = Schedules(store, self.runs)
        self.scheduler = Scheduler(store, self.runs, plans)
        self.backfills = Backfills(store, self.runs, plans, Estimates(store, self.runs), following)
        self.runner = BackfillRunner(store, self.runs, plans)

    def write_pipeline(self, write_mode: str = "overwrite_partition", *, text: str | None = None) -> None:
        file = self.folder / "configs" / f"{DAILY}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text if text is not None else _PIPELINE.format(write_mode=write_mode))

    async def onboard(self, tenant_id: str, *, plan: str = "") -> None:
        run = new_run(tenant_id)
        made = tenant(tenant_id).model_copy(update={"plan": plan, "quotas": Quotas()})
        await self.store.onboard_tenant(made, api_key(tenant_id, f"key_{tenant_id}"), run, PLANS)
        claim = await self.store.claim("setup", lease_seconds=30, plans=PLANS)
        assert claim is not None
        await self.store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, activates_tenant=True))

    async def set_state(self, state: TenantState, tenant_id: str = "acme_corp") -> None:
        was = await self.store.get_tenant(tenant_id)
        assert was is not None
        await self.store.update_tenant(was.model_copy(update={"state": state}), was=was, by=BY)

    # -- schedules -----------------------------------------------------------------------------------------------

    async def schedule(self, schedule_id: str = "daily", tenant_id: str = "acme_corp", **settings: Any) -> Schedule:
        wanted = {"cron": "0 6 * * *"} if "interval" not in settings else {}
        new = NewSchedule(tenant_id, schedule_id, ScheduleSettings(name=DAILY, **{**wanted, **settings}))
        return await self.schedules.create(Caller(tenant_id, BY), new)

    async def get(self, schedule_id: str = "daily") -> Schedule:
        return await self.schedules.get("acme_corp", schedule_id)

    async def at(self, moment: str | datetime) -> None:
        """The clock shows that time, and the servers look until there is nothing more to do."""
        self.clock.now = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        await self.look()

    async def after(self, **length: float) -> None:
        await self.at(self.clock.now + timedelta(**length))

    async def look(self) -> None:
        while await self.scheduler.round() or await self.runner.round():
            pass

    async def ticks(self, schedule_id: str = "") -> list[Tick]:
        """The oldest first."""
        return (await self.store.list_ticks(TickFilter("acme_corp", schedule_id), after=None, limit=5_000))[::-1]

    async def outcomes(self, schedule_id: str = "") -> list[tuple[str, str]]:
        return [(f"{tick.nominal_time:%d %H:%M}", tick.outcome.value) for tick in await self.ticks(schedule_id)]

    # -- runs ----------------------------------------------------------------------------------------------------

    async def made(self, tenant_id: str = "acme_corp") -> list[Run]:
        """The runs of the pipeline, in the order in which they were accepted."""
        wanted = RunFilter(tenant_id=tenant_id, template_name=DAILY.template_name)
        found = await self.store.list_runs(wanted, after=None, limit=5_000)
        return sorted(found, key=lambda run: (run.created_at, run.date))

    async def dates(self, tenant_id: str = "acme_corp") -> list[str]:
        return [run.date for run in await self.made(tenant_id)]

    async def end(self, status: RunStatus = RunStatus.SUCCESS, *, count: int = 1) -> list[str]:
        """A worker takes the next runs and ends them; answers their dates."""
        dates = []
        for _ in range(count):
            claim = await self.store.claim("worker", lease_seconds=30, plans=PLANS)
            if claim is None:
                break
            await self.store.finish_run(claim.lease, RunEnd(status))
            dates.append(claim.run.date)
        return dates

    # -- backfills -----------------------------------------------------------------------------------------------

    async def backfill(self, start: str = "2025-11-01", end: str = "2025-11-04", **wanted: Any) -> Backfill:
        wanted = {"tenant_ids": ("acme_corp",), **wanted}
        request = BackfillRequest(DAILY, start, end, **wanted)
        return await self.backfills.start(Caller("", BY, is_admin=True), request)

    async def state_of(self, backfill: Backfill) -> Backfill:
        found = await self.store.get_backfill(backfill.backfill_id)
        assert found is not None
        return found


def counted(outcomes: list[tuple[str, str]]) -> Mapping[str, int]:
    return {outcome: sum(other == outcome for _, other in outcomes) for _, outcome in outcomes}
