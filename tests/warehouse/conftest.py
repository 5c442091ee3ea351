from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.domain.schema import DatasetRef
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import Warehouse
from tests.warehouse.tables import PROJECT


@pytest_asyncio.fixture(params=["embedded"])
async def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Warehouse]:
    """An empty warehouse; one parameter an adapter."""
    opened = await EmbeddedWarehouse.open(tmp_path / "warehouse.duckdb", project=PROJECT)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def dataset(warehouse: Warehouse) -> DatasetRef:
    ref = DatasetRef(PROJECT, "acme_corp")
    await warehouse.ensure_dataset(ref, location="US", description="Acme's own")
    return ref
