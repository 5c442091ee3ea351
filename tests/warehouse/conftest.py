from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.domain.schema import DatasetRef
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import Warehouse
from tests.warehouse.tables import PROJECT

OF_EVERY_ADAPTER = ("test_contract", "test_write_modes", "test_loads")
"""The modules that test what every adapter has to do; the others are about the embedded one."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One parameter an adapter."""
    if "warehouse" in metafunc.fixturenames:
        contract = metafunc.module.__name__.endswith(OF_EVERY_ADAPTER)
        metafunc.parametrize("warehouse", ["embedded", "bigquery"] if contract else ["embedded"], indirect=True)


@pytest_asyncio.fixture
async def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Warehouse]:
    """An empty warehouse."""
    opened: Warehouse
    if request.param == "embedded":
        opened = await EmbeddedWarehouse.open(
            tmp_path / "warehouse.duckdb", project=PROJECT, loads_from=tmp_path / "scratch"
        )
    else:
        from server.warehouse.bigquery import BigQueryWarehouse  # noqa: PLC0415

        server = request.getfixturevalue("bigquery")
        opened = await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=server.endpoint)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def dataset(warehouse: Warehouse) -> DatasetRef:
    ref = DatasetRef(PROJECT, "acme_corp")
    await warehouse.ensure_dataset(ref, location="US", description="Acme's own")
    return ref
