from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.store.sqlite import SqliteStore


class Clock:
    """The store's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2025, 11, 18, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "control.sqlite3", clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
async def second(store: SqliteStore, tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    """The same store, opened again as another process would."""
    opened = await SqliteStore.open(tmp_path / "control.sqlite3", clock=clock)
    yield opened
    await opened.close()
