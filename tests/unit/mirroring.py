"""A mirror with a store and a warehouse of its own."""

from typing import Any

from server.catalog import Catalog
from server.domain.schema import DatasetRef, TableSpec
from server.mirror import Mirror, mirrored_tables
from server.settings import Settings
from server.store.sql.store import SqlStore
from server.warehouse.port import Warehouse
from tests.unit.workshop import PROJECT


def tables() -> dict[str, TableSpec]:
    settings = Settings()
    return mirrored_tables(Catalog(settings.configs_dir, settings.ps_templates_dir))


class Place:
    def __init__(self, store: SqlStore, warehouse: Warehouse) -> None:
        self.store = store
        self.warehouse = warehouse
        self.mirror = self.mirror_every(0)

    def mirror_every(self, seconds: float) -> Mirror:
        return Mirror("w1", self.store, self.warehouse, project=PROJECT, tables=tables(), longest_rest=seconds)

    async def rows(self, sql: str, tenant: str = "acme_corp") -> list[dict[str, Any]]:
        return (await self.warehouse.query(sql, default_dataset=DatasetRef(PROJECT, tenant))).as_dicts()

    async def dataset(self, tenant: str = "acme_corp") -> DatasetRef:
        dataset = DatasetRef(PROJECT, tenant)
        await self.warehouse.ensure_dataset(dataset, location="US")
        return dataset
