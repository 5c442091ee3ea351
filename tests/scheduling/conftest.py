from pathlib import Path

import pytest

from server.store.sql.store import SqlStore
from tests.scheduling.office import Office
from tests.store.conftest import Clock, Opener, clock, opener, second, store

__all__ = ["clock", "opener", "second", "store"]


@pytest.fixture
async def office(store: SqlStore, clock: Clock, tmp_path: Path) -> Office:
    """A server's use cases on the store, with an active tenant acme_corp."""
    made = Office(store, clock, tmp_path)
    await made.onboard("acme_corp")
    return made


@pytest.fixture
async def other(office: Office, opener: Opener, clock: Clock) -> Office:
    """The same as another server has it."""
    return Office(await opener(), clock, office.folder)
