"""Connections, transactions and change detection of the SQLite file.

One writer thread per process, since SQLite has one writer anyway; a few readers, which in WAL mode never wait for it.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from server.store.port import StoreBusy
from server.store.sql.database import Clock, Transaction, to_micros, utc_now

T = TypeVar("T")

_READERS = 2
# Writes that have one commit: those that wait for it wait for each other.
_TOGETHER = 64
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


class _Write:
    """A write that waits for its turn, and then what came of it."""

    def __init__(self, work: Callable[[Transaction], Any]) -> None:
        self.work = work
        self.is_wanted = True
        self.is_done = False
        self._result: Any = None
        self._error: BaseException | None = None

    def end(self, result: Any, error: BaseException | None) -> None:
        """Remember what came of it."""
        self._result, self._error, self.is_done = result, error, True

    def outcome(self) -> Any:
        """The result. Raises what ended it."""
        if self._error is not None:
            raise self._error
        if not self.is_done:
            raise LookupError("a write was neither done nor refused")
        return self._result


class SqliteDatabase:
    """The file: every access goes through `read` or `write`, which run a function in a thread of their own."""

    writes_at_once = _TOGETHER

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        self._path = path
        self._clock = clock
        self._local = threading.local()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._waiting = deque[_Write]()
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

    def _write(self, write: "_Write") -> bool:
        """See to it that `write` is done, with all that wait behind it. Answers whether that changed anything.

        Each has a savepoint of its own, and all have one commit, which is what takes the time: it waits for the disk.
        """
        if write.is_done:
            return False
        together = self._take_waiting()
        try:
            return self._write_together(self._connection(), together)
        except BaseException as error:  # noqa: BLE001 - raised where each write is awaited
            for one in together:
                one.end(None, error)
            return False

    def _take_waiting(self) -> "list[_Write]":
        """The writes that have waited longest, without those that nobody waits for any more."""
        together = list[_Write]()
        while self._waiting and len(together) < _TOGETHER:
            if (one := self._waiting.popleft()).is_wanted:
                together.append(one)
        return together

    def _write_together(self, connection: sqlite3.Connection, together: "list[_Write]") -> bool:
        """Do writes in one transaction, and answer whether it changed anything. Raises what undoes all of them."""
        before = connection.total_changes
        connection.execute("BEGIN IMMEDIATE")
        try:
            for one in together:
                self._write_one(connection, one)
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back(connection)
            raise
        return connection.total_changes != before

    def _write_one(self, connection: sqlite3.Connection, write: "_Write") -> None:
        """Do one of several writes; an exception undoes it and no other."""
        connection.execute("SAVEPOINT one")
        try:
            write.end(write.work(SqliteTransaction(connection, self._now())), None)
        except BaseException as error:  # noqa: BLE001 - raised where the write is awaited
            write.end(None, error)
            connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")

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
        write = _Write(work)
        self._waiting.append(write)
        try:
            changed = await asyncio.get_running_loop().run_in_executor(self._writer, self._write, write)
        finally:
            # Whoever has stopped waiting does not want what has not begun.
            write.is_wanted = False
        if changed:
            await self._announce()
        with _no_answer():
            result: T = write.outcome()
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent state. Raises StoreBusy when SQLite cannot."""
        return await _look_in(self._readers, self._look, work)

    async def scan(self, work: Callable[[Transaction], T]) -> T:
        """As `read`, for what may look at many rows: such reads wait for each other and for nobody else."""
        return await _look_in(self._scanner, self._look, work)

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


async def _look_in(
    pool: ThreadPoolExecutor, look: Callable[[Callable[[Transaction], T]], T], work: Callable[[Transaction], T]
) -> T:
    with _no_answer():
        return await asyncio.get_running_loop().run_in_executor(pool, look, work)


@contextmanager
def _no_answer() -> Iterator[None]:
    """Raises StoreBusy for what SQLite raises."""
    try:
        yield
    except sqlite3.Error as error:
        logger.exception("The control store did not answer")
        raise StoreBusy(str(error)) from error
