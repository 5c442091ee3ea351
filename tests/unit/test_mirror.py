"""The mirror on a real store and a real warehouse."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.catalog import Catalog
from server.domain.run import RunStatus
from server.domain.schema import DatasetRef, TableSpec
from server.mirror import Mirror
from server.settings import Settings
from server.store.port import RunEnd
from server.store.sqlite import SqliteStore
from server.warehouse.embedded import EmbeddedWarehouse
from tests.store.records import api_key, new_run, tenant

PROJECT = "gac-prod-471220"


def tables() -> dict[str, TableSpec]:
    settings = Settings()
    template = Catalog(settings.configs_dir, settings.ps_templates_dir).ps_template("setup.tenants.onboarding")
    return {name: TableSpec.model_validate(table) for name, table in template.schemas.items()}


class Place:
    def __init__(self, store: SqliteStore, warehouse: EmbeddedWarehouse) -> None:
        self.store = store
        self.warehouse = warehouse
        self.mirror = Mirror(store, warehouse, project=PROJECT, tables=tables())

    async def rows(self, sql: str, tenant: str = "acme_corp") -> list[dict[str, Any]]:
        return (await self.warehouse.query(sql, default_dataset=DatasetRef(PROJECT, tenant))).as_dicts()

    async def dataset(self, tenant: str = "acme_corp") -> DatasetRef:
        dataset = DatasetRef(PROJECT, tenant)
        await self.warehouse.ensure_dataset(dataset, location="US")
        return dataset


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    store = await SqliteStore.open(tmp_path / "control.sqlite3")
    warehouse = await EmbeddedWarehouse.open(tmp_path / "warehouse.duckdb", project=PROJECT)
    yield Place(store, warehouse)
    await warehouse.close()
    await store.close()


async def test_one_row_a_run_and_a_step_with_the_latest_state(place: Place) -> None:
    await place.dataset()
    await place.store.accept_run(new_run(steps=("extract", "load")))
    await place.mirror.finish()
    assert await place.rows("SELECT status, COUNT(*) AS n FROM x_meta_pipeline_runs GROUP BY 1") == [
        {"status": "PENDING", "n": 1}
    ]
    claim = await place.store.claim("w1", lease_seconds=60, max_concurrent_runs=4)
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
    await place.store.accept_run(new_run())
    await place.store.claim("w1", lease_seconds=60, max_concurrent_runs=4)
    await place.mirror.finish()
    await place.store.expire_worker("w1")
    await place.store.claim("w2", lease_seconds=60, max_concurrent_runs=4)
    await place.mirror.finish()
    assert await place.rows("SELECT worker_id FROM x_meta_pipeline_queue") == [{"worker_id": "w2"}]


async def test_a_lost_table_is_made_again_and_an_older_one_gets_its_columns(place: Place) -> None:
    dataset = await place.dataset()
    older = tables()["x_meta_pipeline_runs"]
    fields = tuple(field for field in older.fields if field.name != "config_hash")
    await place.warehouse.ensure_table(
        dataset.table("x_meta_pipeline_runs"), older.model_copy(update={"fields": fields})
    )
    await place.store.accept_run(new_run())
    await place.mirror.finish()
    assert await place.rows("SELECT config_hash FROM x_meta_pipeline_runs") == [{"config_hash": "c0ffee"}]
    assert await place.rows("SELECT step_id FROM x_meta_step_logs") == [{"step_id": "load"}]


async def test_a_tenant_without_a_dataset_waits_and_delays_nobody(place: Place) -> None:
    await place.store.accept_run(new_run("late_corp"))
    await place.store.accept_run(new_run())
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
    run = await place.store.onboard_tenant(tenant(), api_key(), new_run())
    await place.mirror.finish()
    assert await place.warehouse.list_tables(dataset) == []
    claim = await place.store.claim("w1", lease_seconds=60, max_concurrent_runs=4)
    assert claim is not None
    await place.store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS, activates_tenant=True))
    await place.mirror.finish()
    assert await place.rows("SELECT pipeline_logging_id, status FROM x_meta_pipeline_runs") == [
        {"pipeline_logging_id": run.pipeline_logging_id, "status": "SUCCESS"}
    ]
    assert await place.rows("SELECT key_id, status FROM x_meta_api_keys") == [{"key_id": "abc123", "status": "ACTIVE"}]
