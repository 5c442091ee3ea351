"""The mirror on a real store and a real warehouse."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from server.care import Care
from server.domain.quotas import Quotas
from server.domain.run import RunStatus, RunTrigger
from server.domain.schedule import NewSchedule, Overlap, ScheduleSettings, TickOutcome
from server.domain.schema import DatasetRef, TableSpec
from server.domain.tenant import SYSTEM_TENANT, TenantState
from server.mirror import Mirror
from server.retention import Retention
from server.store.port import RunEnd
from server.store.schedule_port import Settlement, TickToFire, TickToRecord
from server.store.sqlite import open_sqlite
from server.warehouse.bigquery import BigQueryWarehouse
from server.warehouse.port import Warehouse
from tests.bigquery import faults
from tests.bigquery.proxy import Exchange, Proxy, pass_through
from tests.store.records import BY, PLANS, api_key, new_run, tenant
from tests.unit.mirroring import Place, tables
from tests.unit.workshop import PROJECT
from tests.warehouse.tables import effect

# Tables, and how many rows two runs of two steps and of one step have there, with one key.
FILLED = {"x_meta_pipeline_runs": 2, "x_meta_pipeline_queue": 2, "x_meta_step_logs": 3, "x_meta_api_keys": 1}
mostly_embedded = pytest.mark.parametrize(
    "place", ["embedded", pytest.param("bigquery", marks=pytest.mark.long)], indirect=True
)
"""On BigQuery it takes long, and shows no more than others do there."""


async def test_one_row_a_run_and_a_step_with_the_latest_state(place: Place) -> None:
    await place.dataset()
    await place.store.accept_run(new_run(steps=("extract", "load")), PLANS)
    await place.mirror.finish()
    assert await place.rows("SELECT status, COUNT(*) AS n FROM x_meta_pipeline_runs GROUP BY 1") == [
        {"status": "PENDING", "n": 1}
    ]
    claim = await place.store.claim("w1", lease_seconds=60, plans=PLANS)
    assert claim is not None
    await place.mirror.finish()
    assert await place.rows("SELECT status, worker_id FROM x_meta_pipeline_queue") == [
        {"status": "CLAIMED", "worker_id": "w1"}
    ]
    await place.store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, rows_processed=3))
    await place.mirror.finish()
    assert await place.rows("SELECT status, rows_processed FROM x_meta_pipeline_runs") == [
        {"status": "SUCCESS", "rows_processed": 3}
    ]
    assert await place.rows("SELECT COUNT(*) AS n FROM x_meta_step_logs") == [{"n": 2}]
    assert await place.store.outbox(skip=(), limit=9) == []


async def test_one_row_a_tick_with_the_latest_state(place: Place) -> None:
    await place.dataset()
    settings = ScheduleSettings(name=new_run().name, cron="0 6 * * *", overlap=Overlap.ALLOW)
    new = NewSchedule("acme_corp", "daily", settings)
    schedule = await place.store.create_schedule(new, by=BY, request=None)
    ticks = [datetime(2025, 11, day, 6, tzinfo=UTC) for day in (17, 18)]
    recorded = (TickToRecord(ticks[0], TickOutcome.MISSED, "why"), TickToRecord(ticks[1], TickOutcome.BUFFERED))
    settlement = Settlement(ticks[1], None, None, recorded=recorded)
    assert await place.store.settle(schedule, settlement, PLANS) == ""
    await place.mirror.finish()
    statuses = "SELECT scheduled_for, status, pipeline_logging_id FROM x_meta_scheduled_runs ORDER BY 1"
    assert await place.rows(statuses) == [
        {"scheduled_for": ticks[0], "status": "MISSED", "pipeline_logging_id": None},
        {"scheduled_for": ticks[1], "status": "BUFFERED", "pipeline_logging_id": None},
    ]
    (waiting,) = await place.store.waiting_ticks(skip=(), limit=9)
    run = new_run()
    assert await place.store.start_tick(waiting, TickToFire(ticks[1], run), PLANS)
    await place.mirror.finish()
    rows = await place.rows("SELECT * FROM x_meta_scheduled_runs ORDER BY scheduled_for")
    assert [row["status"] for row in rows] == ["MISSED", "FIRED"]
    assert rows[1]["pipeline_logging_id"] == run.pipeline_logging_id
    assert rows[1]["pipeline_id"] == run.pipeline_id
    assert rows[1]["date"] == date(2025, 11, 18)
    assert (rows[0]["error_message"], rows[1]["error_message"]) == ("why", None)
    assert {(row["schedule_id"], row["tenant_id"], row["template_name"]) for row in rows} == {
        ("daily", "acme_corp", "cost_billing")
    }
    # Copied again it is the same.
    assert await place.store.note_all("acme_corp", by=BY) >= 2
    await place.mirror.finish()
    assert await place.rows("SELECT * FROM x_meta_scheduled_runs ORDER BY scheduled_for") == rows


async def test_the_next_worker_is_shown(place: Place) -> None:
    await place.dataset()
    await place.store.accept_run(new_run(), PLANS)
    await place.store.claim("w1", lease_seconds=60, plans=PLANS)
    await place.mirror.finish()
    await place.store.expire_worker("w1")
    await place.store.claim("w2", lease_seconds=60, plans=PLANS)
    await place.mirror.finish()
    assert await place.rows("SELECT worker_id FROM x_meta_pipeline_queue") == [{"worker_id": "w2"}]


async def test_a_lost_table_is_made_again_and_an_older_one_gets_its_columns(place: Place) -> None:
    dataset = await place.dataset()
    older = tables()["x_meta_pipeline_runs"]
    fields = tuple(field for field in older.fields if field.name != "config_hash")
    await place.warehouse.ensure_table(
        dataset.table("x_meta_pipeline_runs"), older.model_copy(update={"fields": fields})
    )
    await place.store.accept_run(new_run(), PLANS)
    await place.mirror.finish()
    assert await place.rows("SELECT config_hash FROM x_meta_pipeline_runs") == [{"config_hash": "c0ffee"}]
    assert await place.rows("SELECT step_id FROM x_meta_step_logs") == [{"step_id": "load"}]


@mostly_embedded
async def test_rows_that_somebody_has_deleted_are_restored_from_the_control_store(place: Place) -> None:
    dataset = await place.dataset()
    active = tenant().model_copy(update={"state": TenantState.ACTIVE})
    await place.store.onboard_tenant(active, api_key(), new_run(steps=("extract", "load")), PLANS)
    await place.store.accept_run(new_run(), PLANS)
    await place.mirror.finish()
    everything = {table: await place.rows(f"SELECT * FROM {table} ORDER BY 1, 4") for table in FILLED}
    assert {table: len(rows) for table, rows in everything.items()} == FILLED
    for table in FILLED:
        none = f"SELECT * FROM {table} WHERE FALSE"
        await place.warehouse.write(effect(dataset, none, job_id=f"hand-{table}", table=table, mode="overwrite"))
        assert await place.rows(f"SELECT COUNT(*) AS n FROM {table}") == [{"n": 0}]
    care = Care(place.store, Retention(place.store, run_days=None, event_days=None))
    assert await care.rebuild_mirror("acme_corp", BY) == 2 + 3 + 1
    await place.mirror.finish()
    assert {table: await place.rows(f"SELECT * FROM {table} ORDER BY 1, 4") for table in FILLED} == everything


@pytest.mark.parametrize("is_active", [True, False], ids=["deleted", "never set up"])
async def test_of_a_tenant_without_tables_of_its_own_nothing_is_copied_nor_kept(
    place: Place, *, is_active: bool
) -> None:
    """Its dataset is deleted, or has always been somebody else's."""
    dataset = await place.dataset()
    await place.store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    first = await place.store.claim("w1", lease_seconds=60, plans=PLANS)
    assert first is not None
    await place.store.finish_run(first.lease, RunEnd(RunStatus.SUCCESS, activates_tenant=is_active))
    await place.store.offboard_tenant("acme_corp", by=BY, request=None)
    if is_active:
        await place.store.delete_dataset_by(replace(new_run(), trigger=RunTrigger.SYSTEM), PLANS)
        claim = await place.store.claim("w1", lease_seconds=60, plans=PLANS)
        assert claim is not None
        await place.warehouse.delete_dataset(dataset)
        await place.store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, deletes_dataset=True))
    assert await place.store.outbox(skip=(), limit=9)
    await place.mirror.finish()
    assert await place.store.outbox(skip=(SYSTEM_TENANT,), limit=9) == []
    assert await place.warehouse.list_tables(dataset) == []


@mostly_embedded
async def test_the_central_dataset_shows_all_tenants_and_keys_as_they_are(place: Place) -> None:
    """Once the first run has made it: until then nothing is lost, and no tenant waits for it."""
    await place.dataset()
    assert await place.store.add_first_operator_key(api_key(None, "operator"))
    await place.store.accept_run(new_run("rival_inc"), PLANS)
    await place.dataset("rival_inc")
    await place.store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    await place.mirror.finish()
    assert await place.rows("SELECT COUNT(*) AS n FROM x_meta_pipeline_runs", "rival_inc") == [{"n": 1}]
    central = await place.dataset(SYSTEM_TENANT)
    await place.mirror.finish()
    states = "SELECT state FROM tenant_profiles"
    assert await place.rows(states, SYSTEM_TENANT) == [{"state": "ONBOARDING"}]
    while claim := await place.store.claim("w1", lease_seconds=60, plans=PLANS):
        await place.store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, activates_tenant=True))
    await place.mirror.finish()
    assert await place.store.outbox(skip=(), limit=9) == []
    (profile,) = await place.rows("SELECT * FROM tenant_profiles", SYSTEM_TENANT)
    (subscription,) = await place.rows("SELECT * FROM tenant_subscriptions", SYSTEM_TENANT)
    assert (profile["state"], subscription["status"], subscription["plan"]) == ("ACTIVE", "ACTIVE", None)
    assert (profile["contact_emails"], profile["location"]) == (["ops@example.com"], "US")
    assert subscription["quotas"] == {"maximum_bytes_billed": 10_000_000_000}
    keys = "SELECT key_id, tenant_id, status FROM tenant_api_keys ORDER BY key_id DESC"
    active = [
        {"key_id": "operator", "tenant_id": None, "status": "ACTIVE"},
        {"key_id": "abc123", "tenant_id": "acme_corp", "status": "ACTIVE"},
    ]
    assert await place.rows(keys, SYSTEM_TENANT) == active

    was = await place.store.get_tenant("acme_corp")
    assert was is not None
    larger = was.model_copy(update={"plan": "large", "quotas": Quotas(), "state": TenantState.SUSPENDED})
    await place.store.update_tenant(larger, was=was, by=BY)
    await place.mirror.finish()
    sql = "SELECT plan, status FROM tenant_subscriptions"
    assert await place.rows(sql, SYSTEM_TENANT) == [{"plan": "large", "status": "SUSPENDED"}]
    await place.store.offboard_tenant("acme_corp", by=BY, request=None)
    await place.mirror.finish()
    assert await place.rows(sql, SYSTEM_TENANT) == [{"plan": "large", "status": "ENDED"}]
    assert await place.rows(states, SYSTEM_TENANT) == [{"state": "OFFBOARDED"}]
    revoked = [active[0], active[1] | {"status": "REVOKED"}]
    assert await place.rows(keys, SYSTEM_TENANT) == revoked

    await place.store.create_api_key(api_key(None, "second"), by=BY, request=None)
    await place.store.revoke_other_operators("second", by=BY)
    await place.mirror.finish()
    revoked = [
        {"key_id": "second", "tenant_id": None, "status": "ACTIVE"},
        revoked[0] | {"status": "REVOKED"},
        revoked[1],
    ]
    assert await place.rows(keys, SYSTEM_TENANT) == revoked

    none = "SELECT * FROM tenant_api_keys WHERE FALSE"
    await place.warehouse.write(effect(central, none, job_id="hand", table="tenant_api_keys", mode="overwrite"))
    care = Care(place.store, Retention(place.store, run_days=None, event_days=None))
    assert await care.rebuild_mirror(SYSTEM_TENANT, BY) == 1 + 3
    await place.mirror.finish()
    assert await place.rows(keys, SYSTEM_TENANT) == revoked


@mostly_embedded
async def test_a_tenant_without_a_dataset_waits_and_delays_nobody(place: Place) -> None:
    await place.store.accept_run(new_run("late_corp"), PLANS)
    await place.store.accept_run(new_run(), PLANS)
    await place.dataset()
    await place.mirror.finish()
    assert await place.rows("SELECT tenant_id FROM x_meta_pipeline_runs") == [{"tenant_id": "acme_corp"}]
    assert {entry.tenant_id for entry in await place.store.outbox(skip=(), limit=9)} == {"late_corp"}
    await place.dataset("late_corp")
    await place.mirror.finish()
    assert await place.rows("SELECT tenant_id FROM x_meta_pipeline_runs", "late_corp") == [{"tenant_id": "late_corp"}]
    assert await place.store.outbox(skip=(), limit=9) == []


async def test_nothing_is_written_before_a_tenant_is_active(place: Place) -> None:
    dataset = await place.dataset()
    run = await place.store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    await place.mirror.finish()
    assert await place.warehouse.list_tables(dataset) == []
    claim = await place.store.claim("w1", lease_seconds=60, plans=PLANS)
    assert claim is not None
    await place.store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, activates_tenant=True))
    await place.mirror.finish()
    assert await place.rows("SELECT pipeline_logging_id, status FROM x_meta_pipeline_runs") == [
        {"pipeline_logging_id": run.pipeline_logging_id, "status": "SUCCESS"}
    ]
    assert await place.rows("SELECT key_id, status FROM x_meta_api_keys") == [{"key_id": "abc123", "status": "ACTIVE"}]


async def test_texts_of_every_kind_arrive(place: Place) -> None:
    hostile = """it's "quoted" \\ back`ticked`\nand {braced} ☃"""
    await place.dataset()
    await place.store.accept_run(replace(new_run(), variables={"note": hostile}), PLANS)
    await place.mirror.finish()
    (row,) = await place.rows("SELECT variables FROM x_meta_pipeline_runs")
    assert row["variables"] == {"note": hostile}


async def test_a_tenants_tables_rest_between_two_writes(place: Place) -> None:
    await place.dataset()
    mirror = place.mirror_every(3_600)
    await place.store.accept_run(new_run(), PLANS)
    assert await mirror.flush()
    await place.store.accept_run(new_run(), PLANS)
    assert not await mirror.flush(), "the tenant's tables were written a moment ago"
    assert await place.rows("SELECT COUNT(*) AS n FROM x_meta_pipeline_runs") == [{"n": 1}]
    await mirror.finish()
    assert await place.rows("SELECT COUNT(*) AS n FROM x_meta_pipeline_runs") == [{"n": 2}]


@mostly_embedded
async def test_a_tenant_without_a_calm_is_written_less_and_less_often(place: Place) -> None:
    await place.dataset()
    mirror, loop = place.mirror_every(1.0), asyncio.get_running_loop()
    written = list[float]()
    while len(written) < 4:
        await place.store.accept_run(new_run(), PLANS)
        if await mirror.flush():
            written.append(loop.time())
        await asyncio.sleep(0.01)
    pauses = [after - before for before, after in pairwise(written)]
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.2, 0.8), strict=True))


JOBS = "POST .*/jobs$"


def merges(proxy: Proxy) -> dict[str, list[Any]]:
    """The jobs that were started so far to write an x_meta_ table, by table."""
    found = defaultdict[str, list[Any]](list)
    for sent in proxy.sent(JOBS):
        job = sent.body["configuration"]["query"]
        if job["query"].startswith("MERGE"):
            found[job["query"].split("`")[1].rpartition(".")[2]].append(job)
    return found


@pytest.fixture
async def far(proxy: Proxy, tmp_path: Path) -> AsyncIterator[Place]:
    """A place whose warehouse is behind the proxy."""
    store = await open_sqlite(tmp_path / "control.sqlite3")
    warehouse = await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=proxy.endpoint)
    opened = Place(store, warehouse)
    await opened.dataset()
    yield opened
    await warehouse.close()
    await store.close()


async def test_a_refusal_is_caught_up_with_one_statement_a_table(far: Place, proxy: Proxy) -> None:
    proxy.fail(JOBS, faults.answer(403, "accessDenied", "no"), times=1_000_000)
    for _ in range(5):
        await far.store.accept_run(new_run(), PLANS)
        await far.mirror.finish()
    proxy.mend()
    assert len(await far.store.outbox(skip=(), limit=99)) == 10, "nothing was lost"
    for _ in range(95):
        await far.store.accept_run(new_run(), PLANS)
    proxy.requests.clear()
    await far.mirror.finish()
    assert await far.store.outbox(skip=(), limit=99) == []
    written = {"x_meta_pipeline_queue": 1, "x_meta_pipeline_runs": 1, "x_meta_step_logs": 1}
    assert {table: len(jobs) for table, jobs in merges(proxy).items()} == written
    assert await far.rows("SELECT COUNT(*) AS n FROM x_meta_pipeline_runs") == [{"n": 100}]


async def test_a_fault_is_over_when_another_worker_has_written_what_was_left(far: Place, proxy: Proxy) -> None:
    proxy.fail(JOBS, faults.answer(403, "accessDenied", "no"), times=1_000_000)
    await far.store.accept_run(new_run(), PLANS)
    await far.mirror.finish()
    assert far.mirror.warehouse_fault == "ACCESS_DENIED"
    proxy.mend()
    await Mirror("w2", far.store, far.warehouse, project=PROJECT, tables=tables()).finish()
    assert await far.store.outbox(skip=(), limit=1) == []
    async with asyncio.timeout(30):
        while far.mirror.warehouse_fault:
            assert not await far.mirror.flush()
            await asyncio.sleep(0.05)


async def test_an_outage_is_outlasted_also_when_the_worker_is_not(far: Place, proxy: Proxy) -> None:
    """The first worker's statements are carried out, and BigQuery is gone before it says so; then the worker is."""
    asked, is_back = asyncio.Event(), asyncio.Event()

    async def gone(exchange: Exchange) -> None:
        asked.set()
        is_odd = len(proxy.requests) % 2
        await (faults.close if is_odd else faults.answer(503, "backendError"))(exchange)

    async def last_words(exchange: Exchange) -> None:
        await faults.drop_reply(exchange)
        if not is_back.is_set():
            proxy.mend()
            proxy.fail("", gone, times=1_000_000)

    proxy.fail(JOBS, last_words, times=3)
    for _ in range(5):
        await far.store.accept_run(new_run(steps=("extract", "load")), PLANS)
    first = asyncio.create_task(far.mirror.run())
    await asked.wait()
    for _ in range(5):
        await far.store.accept_run(new_run(steps=("extract", "load")), PLANS)
    first.cancel()
    await asyncio.wait([first])
    await far.store.expire_worker("w1")
    asked.clear()
    mirror = Mirror("w2", far.store, far.warehouse, project=PROJECT, tables=tables())
    second = asyncio.create_task(mirror.run())
    await asked.wait()
    assert len(await far.store.outbox(skip=(), limit=99)) == 30, "nothing was lost"
    async with asyncio.timeout(60):
        while mirror.warehouse_fault not in {"WAREHOUSE_FAILED", "NOT_SETTLED"}:
            await asyncio.sleep(0.05)
    is_back.set()
    proxy.mend()
    async with asyncio.timeout(60):
        while await far.store.outbox(skip=(), limit=1):
            await far.store.wait_for_change(far.store.version, 0.1)
        while mirror.warehouse_fault:
            await asyncio.sleep(0.05)
    second.cancel()
    await asyncio.wait([second])
    for table, key, count in (
        ("x_meta_pipeline_runs", "pipeline_logging_id", 10),
        ("x_meta_pipeline_queue", "pipeline_logging_id", 10),
        ("x_meta_step_logs", "CONCAT(pipeline_logging_id, step_id)", 20),
    ):
        (found,) = await far.rows(f"SELECT COUNT(*) AS n, COUNT(DISTINCT {key}) AS keys FROM {table}")
        assert found == {"n": count, "keys": count}


async def test_nothing_is_written_while_the_end_of_an_earlier_write_is_not_known(far: Place, proxy: Proxy) -> None:
    run = await far.store.accept_run(new_run(), PLANS)
    await far.mirror.finish()
    claim = await far.store.claim("w1", lease_seconds=60, plans=PLANS)
    assert claim is not None
    job = "GET .*/jobs/convergence-mirror-acme_corp-x_meta_pipeline_runs-"

    async def carried_out_unseen(exchange: Exchange) -> None:
        if "x_meta_pipeline_runs" not in exchange.request.body["configuration"]["query"]["query"]:
            await pass_through(exchange)
            return
        proxy.fail(job, faults.answer(403, "accessDenied", "not now"), times=1_000_000)
        await faults.drop_reply(exchange)

    proxy.fail(JOBS, carried_out_unseen, times=2)
    await far.mirror.flush()
    assert await far.rows("SELECT status FROM x_meta_pipeline_runs") == [{"status": "RUNNING"}]
    await far.store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, rows_processed=3))
    waiting = await far.store.outbox(skip=(), limit=99)
    proxy.requests.clear()
    for _ in range(2):
        far.mirror._postponed.clear()
        await far.mirror.flush()
        assert far.mirror._postponed[run.tenant_id].reason == "NOT_SETTLED"
    assert len(proxy.sent(job)) == 2
    assert merges(proxy) == {}
    assert await far.store.outbox(skip=(), limit=99) == waiting
    proxy.mend()
    await far.mirror.finish()
    assert await far.store.outbox(skip=(), limit=9) == []
    assert await far.rows("SELECT status, rows_processed FROM x_meta_pipeline_runs") == [
        {"status": "SUCCESS", "rows_processed": 3}
    ]


async def test_many_rows_are_written_in_statements_of_bounded_size(
    far: Place, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.mirror._STATEMENT_BYTES", 4_000)
    for number in range(20):
        await far.store.accept_run(replace(new_run(), variables={"note": '"' * 20 * number}), PLANS)
    # `finish` would stop in the middle on a busy machine.
    while await far.mirror.flush(last=True):
        pass
    for table in ("x_meta_pipeline_runs", "x_meta_pipeline_queue", "x_meta_step_logs"):
        texts = [job["queryParameters"][0]["parameterValue"]["value"] for job in merges(proxy)[table]]
        assert len(texts) > 1
        assert max(len(json.dumps(text)) for text in texts) <= 4_000, "as they are sent, in JSON"
        written = [row["pipeline_logging_id"] for text in texts for row in json.loads(text)]
        assert len(written) == len(set(written)) == 20
        assert await far.rows(f"SELECT COUNT(*) AS n FROM {table}") == [{"n": 20}]
    assert await far.store.outbox(skip=(), limit=9) == []


async def test_an_older_row_never_overtakes_a_newer_one(far: Place, proxy: Proxy) -> None:
    """The first worker stands still with its statement on the way, and another one takes the tables over."""
    place, store = far, far.store
    await store.accept_run(new_run(), PLANS)
    await place.mirror.finish()
    held = faults.Hold()

    async def hold_runs(exchange: Exchange) -> None:
        statement = exchange.request.body["configuration"]["query"]["query"]
        first = "x_meta_pipeline_runs" in statement and not held.reached.is_set()
        await (held(exchange) if first else pass_through(exchange))

    proxy.fail(JOBS, hold_runs, times=1_000_000)
    claim = await store.claim("w1", lease_seconds=60, plans=PLANS)
    assert claim is not None
    late = asyncio.create_task(place.mirror.flush())
    await held.reached.wait()
    await store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, rows_processed=3))
    await store.expire_worker("w1")
    other = Mirror("w2", store, place.warehouse, project=PROJECT, tables=tables())
    async with asyncio.timeout(60):
        # It gives up after ten seconds, which a busy machine may need for less.
        while await store.outbox(skip=(), limit=9):
            await other.finish()
    assert await place.rows("SELECT status FROM x_meta_pipeline_runs") == [{"status": "SUCCESS"}]
    held.go_on.set()
    await late
    assert await place.rows("SELECT status FROM x_meta_pipeline_runs") == [{"status": "SUCCESS"}]
    await other.finish()
    await place.mirror.finish()
    assert await store.outbox(skip=(), limit=9) == []


async def test_only_the_days_of_the_rows_are_looked_at(far: Place, proxy: Proxy) -> None:
    """BigQuery bills a MERGE for what it looks at, and the tables grow for ever."""
    run = await far.store.accept_run(new_run(), PLANS)
    await far.mirror.finish()
    statements = [job["query"] for jobs in merges(proxy).values() for job in jobs]
    assert len(statements) == 3
    assert all(f"T.`created_at` >= TIMESTAMP '{run.created_at:%Y-%m-%d} 00:00:00+00'" in sql for sql in statements)


async def test_a_table_that_cannot_be_written_delays_no_other(place: Place) -> None:
    dataset = await place.dataset()
    wrong = TableSpec.model_validate({"fields": [{"name": "pipeline_logging_id", "type": "INT64"}]})
    await place.warehouse.ensure_table(dataset.table("x_meta_pipeline_queue"), wrong)
    await place.store.accept_run(new_run(), PLANS)
    await place.mirror.finish()
    assert await place.rows("SELECT step_id, status FROM x_meta_step_logs") == [
        {"step_id": "load", "status": "PENDING"}
    ]
    assert {entry.kind for entry in await place.store.outbox(skip=(), limit=9)} == {"run"}


class Settling:
    """The warehouse, and how often it is asked to settle."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self.settled: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    async def settle(self, job_id: str, dataset: DatasetRef) -> Any:
        self.settled.append(job_id)
        return await self._warehouse.settle(job_id, dataset)


@mostly_embedded
async def test_a_lasting_refusal_costs_the_same_at_each_flush(place: Place) -> None:
    dataset = await place.dataset()
    wrong = TableSpec.model_validate({"fields": [{"name": "pipeline_logging_id", "type": "INT64"}]})
    await place.warehouse.ensure_table(dataset.table("x_meta_pipeline_queue"), wrong)
    await place.store.accept_run(new_run(), PLANS)
    settling = Settling(place.warehouse)
    mirror = Mirror("w1", place.store, settling, project=PROJECT, tables=tables())  # type: ignore[arg-type]
    asked = []
    for _ in range(6):
        mirror._postponed.clear()
        await mirror.flush()
        asked.append(len(settling.settled))
        settling.settled.clear()
    # Four tables of the flush before, and perhaps the next part of one that was written.
    assert asked[0] == 0
    assert max(asked) <= 8
    assert asked[-1] == asked[-2]
