"""What a watcher gets while nothing happens to its run."""

import asyncio
from pathlib import Path

from server.catalog import Catalog
from server.following import Following
from server.plans import PlansFile
from server.preparation import Preparation
from server.registry import Registry
from server.runs import Caller, Runs
from server.settings import Settings
from server.store.sqlite import open_sqlite
from tests.store.records import BY, PLANS, new_run
from tests.unit.test_following import Counting


async def test_heartbeats_come_while_other_runs_keep_the_store_busy(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "control.sqlite3")
    settings = Settings()
    plans = PlansFile(settings.plans_file, base=settings.base_quotas)
    following = Following(store, max_streams=9, max_streams_per_key=9)
    preparation = Preparation(Catalog(settings.configs_dir, settings.ps_templates_dir), Registry(), settings.project)
    runs = Runs(store, preparation, plans, following, heartbeat_seconds=0.2)
    watched = await store.accept_run(new_run(), PLANS)

    async def keep_busy() -> None:
        while True:
            await store.accept_run(new_run("other_tenant"), PLANS)
            await asyncio.sleep(0.01)

    busy = asyncio.create_task(keep_busy())
    try:
        async with asyncio.timeout(20):
            events = runs.follow(Caller("acme_corp", BY), watched.pipeline_logging_id, after=0)
            first = await anext(events)
            assert first is not None
            assert first.sequence == 1
            assert await anext(events) is None
            assert await anext(events) is None
            await store.request_cancel(watched.pipeline_logging_id, by=BY)
            rest = [event async for event in events]
            assert [event.is_last for event in rest if event] == [False, True]
    finally:
        busy.cancel()
        await asyncio.wait([busy])
        await store.close()


async def test_nothing_is_awaited_behind_the_end(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "control.sqlite3")
    settings = Settings()
    plans = PlansFile(settings.plans_file, base=settings.base_quotas)
    following = Following(store, max_streams=9, max_streams_per_key=9)
    preparation = Preparation(Catalog(settings.configs_dir, settings.ps_templates_dir), Registry(), settings.project)
    runs = Runs(store, preparation, plans, following, heartbeat_seconds=0.05)
    try:
        run = await store.accept_run(new_run(), PLANS)
        async with asyncio.timeout(20):
            events = runs.follow(Caller("acme_corp", BY), run.pipeline_logging_id, after=1000)
            assert await anext(events) is None
            await store.request_cancel(run.pipeline_logging_id, by=BY)
            assert {event async for event in events} <= {None}
    finally:
        await store.close()


async def test_whoever_only_follows_or_cancels_is_told_no_place_in_the_queue(tmp_path: Path) -> None:
    """To find it costs a look at all that waits, and there may be thousands of watchers."""
    store = await open_sqlite(tmp_path / "control.sqlite3")
    counting, settings = Counting(store), Settings()
    plans = PlansFile(settings.plans_file, base=settings.base_quotas)
    following = Following(store, max_streams=9, max_streams_per_key=9)
    preparation = Preparation(Catalog(settings.configs_dir, settings.ps_templates_dir), Registry(), settings.project)
    runs = Runs(counting, preparation, plans, following, heartbeat_seconds=0.05)  # type: ignore[arg-type]
    try:
        run = await store.accept_run(new_run(), PLANS)
        async with asyncio.timeout(20):
            events = runs.follow(Caller("acme_corp", BY), run.pipeline_logging_id, after=0)
            assert await anext(events) is not None
            for _ in range(2):
                assert await anext(events) is None
            await runs.cancel("acme_corp", run.pipeline_logging_id, BY)
            async for _ in events:
                pass
        assert counting.calls["get_run"] >= 3
        assert counting.calls["explain_run"] == 0
    finally:
        await store.close()
