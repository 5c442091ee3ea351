"""The mirror on a real store and a real warehouse."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.catalog import Catalog
from server.domain.run import RunStatus
from server.domain.schema import DatasetRef, TableSpec
from server.mirror import Mirror
from server.settings import Settings
from server.store.port import RunEnd
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite
from server.warehouse.bigquery import BigQueryWarehouse
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import Warehouse
from tests.bigquery import faults
from tests.bigquery.proxy import Exchange, Proxy, pass_through
from tests.store.records import PLANS, api_key, new_run, tenant

PROJECT = "gac-prod-471220"


def tables() -> dict[str, TableSpec]:
    settings = Settings()
    template = Catalog(settings.configs_dir, settings.ps_templates_dir).ps_template("setup.tenants.onboarding")
    return {name: TableSpec.model_validate(table) for name, table in template.schemas.items()}


class Place:
    def __init__(self, store: SqlStore, warehouse: Warehouse) -> None:
        self.store = store
        self.warehouse = warehouse
        self.mirror = self.mirror_every(0)

    def mirror_every(self, seconds: float) -> Mirror:
        return Mirror("w1", self.store, self.warehouse, project=PROJECT, tables=tables(), tenant_interval=seconds)

    async def rows(self, sql: str, tenant: str = "acme_corp") -> list[dict[str, Any]]:
        return (await self.warehouse.query(sql, default_dataset=DatasetRef(PROJECT, tenant))).as_dicts()

    async def dataset(self, tenant: str = "acme_corp") -> DatasetRef:
        dataset = DatasetRef(PROJECT, tenant)
        await self.warehouse.ensure_dataset(dataset, location="US")
        return dataset


@pytest.fixture(params=["embedded", "bigquery"])
async def place(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    store = await open_sqlite(tmp_path / "control.sqlite3")
    warehouse: Warehouse
    if request.param == "embedded":
        warehouse = await EmbeddedWarehouse.open(tmp_path / "warehouse.duckdb", project=PROJECT)
    else:
        endpoint = request.getfixturevalue("bigquery").endpoint
        warehouse = await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=endpoint)
    yield Place(store, warehouse)
    await warehouse.close()
    await store.close()


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


async def test_an_outage_is_caught_up_with_one_statement_a_table(proxy: Proxy, tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "control.sqlite3")
    warehouse = await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=proxy.endpoint)
    place = Place(store, warehouse)
    await place.dataset()
    outage = asyncio.Event()

    async def refused(exchange: Exchange) -> None:
        await (pass_through(exchange) if outage.is_set() else faults.answer(403, "accessDenied", "no")(exchange))

    proxy.fail("POST .*/jobs$", refused, times=1_000_000)
    for _ in range(5):
        await store.accept_run(new_run(), PLANS)
        await place.mirror.finish()
    outage.set()
    assert len(await store.outbox(skip=(), limit=99)) == 10, "nothing was lost"
    for _ in range(95):
        await store.accept_run(new_run(), PLANS)
    proxy.requests.clear()
    await place.mirror.finish()
    assert await store.outbox(skip=(), limit=99) == []
    statements = [sent.body["configuration"]["query"]["query"] for sent in proxy.sent("POST .*/jobs$")]
    merges = [statement for statement in statements if statement.startswith("MERGE")]
    assert sorted(merge.split("`")[1].rpartition(".")[2] for merge in merges) == [
        "x_meta_pipeline_queue",
        "x_meta_pipeline_runs",
        "x_meta_step_logs",
    ]
    assert await place.rows("SELECT COUNT(*) AS n FROM x_meta_pipeline_runs") == [{"n": 100}]
    await warehouse.close()
    await store.close()


async def test_an_older_row_never_overtakes_a_newer_one(proxy: Proxy, tmp_path: Path) -> None:
    """The first worker stands still with its statement on the way, and another one takes the tables over."""
    store = await open_sqlite(tmp_path / "control.sqlite3")
    warehouse = await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=proxy.endpoint)
    place = Place(store, warehouse)
    await place.dataset()
    await store.accept_run(new_run(), PLANS)
    await place.mirror.finish()
    held = faults.Hold()

    async def hold_runs(exchange: Exchange) -> None:
        statement = exchange.request.body["configuration"]["query"]["query"]
        first = "x_meta_pipeline_runs" in statement and not held.reached.is_set()
        await (held(exchange) if first else pass_through(exchange))

    proxy.fail("POST .*/jobs$", hold_runs, times=1_000_000)
    claim = await store.claim("w1", lease_seconds=60, plans=PLANS)
    assert claim is not None
    late = asyncio.create_task(place.mirror.flush())
    await held.reached.wait()
    await store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, rows_processed=3))
    await store.expire_worker("w1")
    other = Mirror("w2", store, warehouse, project=PROJECT, tables=tables())
    await other.finish()
    assert await place.rows("SELECT status FROM x_meta_pipeline_runs") == [{"status": "SUCCESS"}]
    held.go_on.set()
    await late
    assert await place.rows("SELECT status FROM x_meta_pipeline_runs") == [{"status": "SUCCESS"}]
    await other.finish()
    await place.mirror.finish()
    assert await store.outbox(skip=(), limit=9) == []
    await warehouse.close()
    await store.close()


async def test_only_the_days_of_the_rows_are_looked_at(proxy: Proxy, tmp_path: Path) -> None:
    """BigQuery bills a MERGE for what it looks at, and the tables grow for ever."""
    store = await open_sqlite(tmp_path / "control.sqlite3")
    warehouse = await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=proxy.endpoint)
    place = Place(store, warehouse)
    await place.dataset()
    run = await store.accept_run(new_run(), PLANS)
    await place.mirror.finish()
    statements = [sent.body["configuration"]["query"]["query"] for sent in proxy.sent("POST .*/jobs$")]
    merges = [statement for statement in statements if statement.startswith("MERGE")]
    assert len(merges) == 3
    assert all(f"T.`created_at` >= TIMESTAMP '{run.created_at:%Y-%m-%d}'" in merge for merge in merges)
    await warehouse.close()
    await store.close()


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
