from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.scratch import Scratch
from server.store.sqlite import open_sqlite
from server.warehouse.embedded import EmbeddedWarehouse
from tests.aws import Aws
from tests.s3.place import OWN, PROJECT, Place


@pytest.fixture
async def place(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """A place on the embedded warehouse, whose installation has an identity at AWS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    store = await open_sqlite(tmp_path / "control.sqlite3")
    scratch = Scratch(tmp_path / "scratch")
    warehouse = await EmbeddedWarehouse.open(tmp_path / "warehouse.duckdb", project=PROJECT, loads_from=scratch.folder)
    await warehouse.ensure_dataset(OWN, location="US")
    yield Place(store, warehouse, aws, tmp_path, scratch)
    await warehouse.close()
    await store.close()
    scratch.close()
