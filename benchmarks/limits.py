"""What this machine can do at most."""

import asyncio
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc

from benchmarks.figures import ROUNDS

_COMMITS = 300
_MESSAGE = b"x" * 200


def sqlite_commits(folder: Path) -> float:
    """One-row commits a second of one connection, in WAL mode, each of them on the disk."""
    with closing(sqlite3.connect(folder / "raw.sqlite3", isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (n INTEGER)")
        rates = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for number in range(_COMMITS):
                connection.execute("INSERT INTO t VALUES (?)", (number,))
            rates.append(_COMMITS / (time.perf_counter() - began))
    return statistics.median(rates)


async def timed(call: Callable[[], Awaitable[Any]], *, calls: int, in_flight: int) -> tuple[float, list[float]]:
    """Calls a second with so many in flight, and each call's milliseconds."""
    milliseconds: list[float] = []
    left = calls

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            began = time.perf_counter()
            await call()
            milliseconds.append(1_000 * (time.perf_counter() - began))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return len(milliseconds) / (time.perf_counter() - began), milliseconds


async def echoes(*, calls: int, in_flight: int) -> float:
    """Calls a second of a grpc.aio server, in a process of its own, that answers with what it got."""
    async with raw_server() as target, grpc.aio.insecure_channel(target) as channel:
        call: Any = channel.unary_unary("/raw.Raw/Echo")
        await timed(lambda: call(_MESSAGE), calls=calls // 4, in_flight=in_flight)
        rates = [(await timed(lambda: call(_MESSAGE), calls=calls, in_flight=in_flight))[0] for _ in range(ROUNDS)]
    return statistics.median(rates)


@asynccontextmanager
async def raw_server() -> AsyncIterator[str]:
    """The address of a grpc.aio server that does nothing: see `raw_server.py`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.raw_server", stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()
