from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.store.postgres import open_postgres
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite
from tests.store.postgres import Postgres


class Clock:
    """The store's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2025, 11, 18, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


Opener = Callable[[], Awaitable[SqlStore]]
"""Opens one and the same store, as another process would."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
async def opener(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Opener]:
    """The driver under test, on a store of the test's own."""
    url = request.getfixturevalue("running_postgres").new_database() if request.param == "postgres" else ""
    async with AsyncExitStack() as stack:

        async def open_store() -> SqlStore:
            path = tmp_path / "control.sqlite3"
            opened = await (open_postgres(url, clock=clock) if url else open_sqlite(path, clock=clock))
            stack.push_async_callback(opened.close)
            return opened

        yield open_store


@pytest.fixture
async def store(opener: Opener) -> SqlStore:
    return await opener()


@pytest.fixture
async def second(store: SqlStore, opener: Opener) -> SqlStore:
    """The same store, opened again as another process would."""
    return await opener()


@pytest.fixture
def postgres(running_postgres: Postgres) -> str:
    """The URL of an empty PostgreSQL database."""
    return running_postgres.new_database()
