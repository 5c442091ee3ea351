"""Connections, transactions and change detection of the SQLite file.

One writer thread per process, since SQLite has one writer anyway; a few readers, which in WAL mode never wait for it.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from server.store.port import StoreBusy
from server.store.sql.database import Clock, Transaction, to_micros, utc_now

T = TypeVar("T")
U = TypeVar("U")

_READERS = 2
_BUSY_SECONDS = 10
# How soon another process's commit is noticed; the probe reads shared memory and costs a few microseconds.
_PROBE_SECONDS = 0.02

logger = logging.getLogger(__name__)


class SqliteTransaction:
    """A connection inside a transaction. SQLite has one writer at a time, so that nothing needs to be locked."""

    for_update = ""
    skip_locked = ""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.now = now

    def take_turns(self, subject: str) -> None:
        """Writers take turns anyway."""


class SqliteDatabase:
    """The file: every access goes through `read` or `write`, which run a function in a thread of their own."""

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        self._path = path
        self._clock = clock
        self._local = threading.local()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        self._scanner = ThreadPoolExecutor(1, thread_name_prefix="store-scanner")
        self._connections: list[sqlite3.Connection] = []
        self._probe_connection = self._connect()
        self._data_version = self._probe()
        # From now on it probes on the event loop, which must not wait for another process.
        self._probe_connection.execute("PRAGMA busy_timeout = 0")
        self._changed = asyncio.Condition()
        self._prober: asyncio.Task[None] | None = None
        self.version = 0

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1_000}")
        _use_wal(connection)
        # An accepted run survives a power cut: the log is on the disk before the reply.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        self._connections.append(connection)
        return connection

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _now(self) -> int:
        return to_micros(self._clock())

    def _transact(self, work: Callable[[Transaction], T]) -> tuple[T, bool]:
        """Run `work` in one write transaction; an exception rolls it back. Answers whether it changed anything."""
        connection = self._connection()
        before = connection.total_changes
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(SqliteTransaction(connection, self._now()))
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back(connection)
            raise
        return result, connection.total_changes != before

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Leave the transaction, or the connection: a later transaction must not begin inside this one."""
        try:
            # SQLite may have rolled back by itself, on a full disk for one.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            logger.exception("A transaction could not be rolled back; its connection is closed")
            del self._local.connection
            self._connections.remove(connection)
            connection.close()

    def _look(self, work: Callable[[Transaction], T]) -> T:
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            return work(SqliteTransaction(connection, self._now()))
        finally:
            connection.execute("COMMIT")

    async def write(self, work: Callable[[Transaction], T], *, urgent: bool = False) -> T:
        """Run `work` in a write transaction; all of them take turns. Raises StoreBusy when SQLite cannot."""
        result, changed = await _in_thread(self._writer, self._transact, work)
        if changed:
            await self._announce()
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent state. Raises StoreBusy when SQLite cannot."""
        return await _in_thread(self._readers, self._look, work)

    async def scan(self, work: Callable[[Transaction], T]) -> T:
        """As `read`, for what may look at many rows: such reads wait for each other and for nobody else."""
        return await _in_thread(self._scanner, self._look, work)

    async def _announce(self) -> None:
        async with self._changed:
            self.version += 1
            self._changed.notify_all()

    async def wait_for_change(self, seen: int, timeout: float) -> int:  # noqa: ASYNC109 - the port's word
        """Wait until `version` differs from `seen`, at most `timeout` seconds."""
        if self._prober is None:
            self._prober = asyncio.create_task(self._keep_probing())
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self.version != seen)
        return self.version

    async def _keep_probing(self) -> None:
        """Notice the commits of other processes."""
        while True:
            await asyncio.sleep(_PROBE_SECONDS)
            try:
                current = self._probe()
            except sqlite3.Error:
                # Whoever reads or writes next hears of it; the next look may succeed.
                logger.debug("The control store could not be probed", exc_info=True)
                continue
            if current != self._data_version:
                self._data_version = current
                await self._announce()

    def _probe(self) -> int:
        version: int = self._probe_connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    async def close(self) -> None:
        """Wait for what is under way and close every connection."""
        if self._prober is not None:
            self._prober.cancel()
            await asyncio.wait([self._prober])
        for pool in (self._writer, self._readers, self._scanner):
            await asyncio.to_thread(pool.shutdown)
        for connection in self._connections:
            connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log. While another process does that to a new file, SQLite refuses without waiting."""
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(_PROBE_SECONDS)
        else:
            return


async def _in_thread(
    pool: ThreadPoolExecutor, run: Callable[[Callable[[Transaction], T]], U], work: Callable[[Transaction], T]
) -> U:
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, run, work)
    except sqlite3.Error as error:
        logger.exception("The control store did not answer")
        raise StoreBusy(str(error)) from error
