"""Whoever listens hears that another process has committed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from server.store.sqlite.bell import Bell

RING = "import sys, pathlib; from server.store.sqlite.bell import Bell; Bell(pathlib.Path(sys.argv[1])).ring()"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "bell"
    path.touch()
    return path


@pytest.fixture
async def listen(path: Path) -> AsyncIterator[Callable[[Callable[[], None]], bool]]:
    bell = Bell(path)
    yield bell.listen
    bell.close()


Listen = Callable[[Callable[[], None]], bool]


async def test_another_process_is_heard(path: Path, listen: Listen) -> None:
    heard = asyncio.Event()
    assert listen(heard.set)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", RING, str(path))
    assert await process.wait() == 0
    async with asyncio.timeout(10):
        await heard.wait()


async def test_nothing_is_heard_of_what_only_looks(path: Path, listen: Listen) -> None:
    heard = list[str]()
    assert listen(lambda: heard.append("looked"))
    path.read_bytes()
    path.stat()
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, done.set)
    await done.wait()
    assert heard == []


async def test_many_rings_are_heard_a_few_times_and_once_after_the_last(path: Path, listen: Listen) -> None:
    bell, rung, heard = Bell(path), 0, list[int]()
    was_last = asyncio.Event()

    def note() -> None:
        heard.append(rung)
        if rung == 500:
            was_last.set()

    assert listen(note)
    for _ in range(500):
        bell.ring()
        rung += 1
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await was_last.wait()
    assert len(heard) < 500


async def test_who_cannot_listen_is_told(tmp_path: Path) -> None:
    assert not Bell(tmp_path / "missing").listen(lambda: None)


async def test_a_ring_that_nothing_takes_is_no_failure(tmp_path: Path) -> None:
    Bell(tmp_path / "no such folder" / "bell").ring()
