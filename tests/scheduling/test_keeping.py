"""What is kept of schedules: for how long, and for which tenants to begin with."""

import shutil
from datetime import timedelta

import pytest

from server.catalog import Catalog
from server.domain.backfill import Reprocess
from server.domain.pipeline import PipelineName
from server.domain.quotas import Quotas
from server.domain.schedule import Overlap, ScheduleState
from server.domain.tenant import NewTenant
from server.following import Following
from server.plans import PlansFile
from server.preparation import Preparation
from server.registry import Registry
from server.retention import Retention
from server.runs import Runs
from server.security.api_keys import KeyRing
from server.settings import Settings
from server.store.schedule_port import BackfillFilter, ScheduleFilter
from server.tenants import Tenants
from tests.scheduling.office import PROJECT, Office
from tests.store.records import BY


async def test_old_ticks_and_backfills_are_removed(office: Office) -> None:
    await office.schedule(cron="0 6 * * *", overlap=Overlap.BUFFER_ONE)
    old = await office.backfill(end="2025-11-02", reprocess=Reprocess.ALL)
    await office.look()
    await office.end()
    # The second of these waits for the first, for days.
    for day in (19, 20):
        await office.at(f"2025-11-{day}T06:00:00+00:00")
    await office.after(days=10)
    kept = await office.backfill(start="2025-11-02", reprocess=Reprocess.ALL)
    await Retention(office.store, run_days=5, event_days=None).round()
    assert [outcome for _, outcome in await office.outcomes()][:1] == ["BUFFERED"]
    assert all(tick.fired_at > office.clock.now - timedelta(days=5) for tick in (await office.ticks())[1:])
    found = await office.store.list_backfills(BackfillFilter(), after=None, limit=9)
    assert [one.backfill_id for one in found] == [kept.backfill_id]
    assert old.backfill_id != kept.backfill_id


@pytest.fixture
def tenants(office: Office) -> Tenants:
    """On the files that are shipped, and the office's."""
    settings = Settings()
    configs = office.folder / "configs"
    shutil.copytree(settings.configs_dir / "setup", configs / "setup")
    catalog = Catalog(configs, settings.ps_templates_dir)
    plans = PlansFile(office.folder / "plans.yml", base=Quotas())
    runs = Runs(
        office.store,
        Preparation(catalog, Registry(), PROJECT),
        plans,
        Following(office.store, max_streams=9, max_streams_per_key=9),
    )
    return Tenants(office.store, runs, KeyRing.from_file(office.folder / "pepper", may_create=True), plans, catalog)


def newcomer() -> NewTenant:
    return NewTenant("new_corp", "", "US", (), (), "", Quotas())


async def test_a_tenant_begins_with_the_schedules_of_the_files(office: Office, tenants: Tenants) -> None:
    text = (office.folder / "configs/gcp/trial/daily.yml").read_text()
    schedule = """
schedule:
  cron: "0 6 * * *"
  time_zone: "Europe/Berlin"
  variables: {region: us}
  overlap: buffer_one
  catch_up: {policy: all, max_runs: 3, window_days: 2}
  jitter_minutes: 5
  date_offset_days: -1
  refresh_window_days: 7
  pause_after_failures: 4
"""
    office.write_pipeline(text=text + schedule)
    waiting = office.folder / "configs/gcp/trial/waiting.yml"
    waiting.write_text(text + "schedule: {interval_minutes: 90, paused: true}\n")
    (office.folder / "configs/gcp/trial/broken.yml").write_text(text + "schedule: {cron: x}\n")
    await tenants.onboard(newcomer(), BY)
    found = await office.store.list_schedules(ScheduleFilter(tenant_id="new_corp"), after=None, limit=99)
    by_id = {one.schedule_id: one for one in found if one.settings.name.domain == "trial"}
    assert by_id.keys() == {"gcp-trial-daily", "gcp-trial-waiting"}
    daily = by_id["gcp-trial-daily"]
    assert daily.state is ScheduleState.ACTIVE
    assert daily.settings.model_dump(exclude_defaults=True, mode="json") == {
        "name": {"provider": "gcp", "domain": "trial", "template_name": "daily"},
        "variables": {"region": "us"},
        "cron": "0 6 * * *",
        "time_zone": "Europe/Berlin",
        "overlap": "BUFFER_ONE",
        "catch_up": {"policy": "ALL", "max_runs": 3, "window": "P2D"},
        "jitter": "PT5M",
        "date_offset_days": -1,
        "refresh_window_days": 7,
        "pause_after_failures": 4,
    }
    paused = by_id["gcp-trial-waiting"]
    assert (paused.state, paused.next_tick) == (ScheduleState.PAUSED, None)
    assert paused.settings.interval == timedelta(minutes=90)
    assert "resume" in paused.pause_reason


async def test_while_it_is_onboarded_ticks_are_skipped(office: Office, tenants: Tenants) -> None:
    text = (office.folder / "configs/gcp/trial/daily.yml").read_text()
    office.write_pipeline(text=text + "schedule: {interval_minutes: 1}\n")
    await tenants.onboard(newcomer(), BY)
    await office.after(minutes=1)
    (schedule,) = await office.store.list_schedules(
        ScheduleFilter(tenant_id="new_corp", domain="trial"), after=None, limit=9
    )
    assert not schedule.last_run
    assert schedule.consecutive_failures == 0


async def test_a_long_name_is_shortened_and_stays_its_own(office: Office, tenants: Tenants) -> None:
    text = (office.folder / "configs/gcp/trial/daily.yml").read_text()
    for end in "ab":
        name = PipelineName("gcp", "trial", "x" * 62 + end)
        (office.folder / f"configs/{name}.yml").write_text(text + "schedule: {interval_minutes: 1, paused: true}\n")
    await tenants.onboard(newcomer(), BY)
    found = await office.store.list_schedules(ScheduleFilter(tenant_id="new_corp", domain="trial"), after=None, limit=9)
    assert len({one.schedule_id for one in found}) == 2
    assert all(len(one.schedule_id) == 63 for one in found)
