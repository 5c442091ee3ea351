import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest

from server.registry import Registry
from server.store.sqlite import open_sqlite
from server.warehouse.bigquery import BigQueryWarehouse
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import Warehouse
from tests.unit.mirroring import Place
from tests.unit.workshop import OWN, PROJECT, Workshop


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    package = f"processors_{uuid.uuid4().hex}"
    for name in (package, f"{package}.trial", f"{package}.notify_systems"):
        module = ModuleType(name)
        module.__path__ = []
        sys.modules[name] = module
    store = await open_sqlite(tmp_path / "control.sqlite3")
    warehouse = await EmbeddedWarehouse.open(tmp_path / "warehouse.duckdb", project=PROJECT)
    await warehouse.ensure_dataset(OWN, location="US")
    yield Workshop(store, warehouse, Registry(package), package, tmp_path)
    await warehouse.close()
    await store.close()
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


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
