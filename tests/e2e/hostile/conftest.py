from collections.abc import AsyncIterator

import pytest

from tests.e2e.hostile.table import ROWS
from tests.e2e.hostile.world import World, make_strange_files
from tests.e2e.service import Service, make_checkout


@pytest.fixture(scope="package")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A service of these tests alone, in which nothing happens that they do not do."""
    folder = tmp_path_factory.mktemp("hostile")
    checkout = make_checkout(folder / "checkout")
    configs = checkout / "configs" / "hostile"
    configs.mkdir()
    make_strange_files(configs, folder / "elsewhere")
    for row in ROWS:
        if row.file:
            (configs / f"{row.file_name}.yml").write_bytes(row.file)
    started = await Service.start(checkout)
    world = World(started)
    await world.build()
    yield world
    await started.stop()
