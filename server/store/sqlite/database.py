"""Connections, transactions and change detection of the SQLite file.

Readers never wait for writers in WAL mode. Short reads are done on the event loop, as short writes are: see `Writer`.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from server.store.port import StoreBusy
from server.store.sql.database import Clock, Transaction, to_micros, utc_now
from server.store.sqlite.bell import Bell
from server.store.sqlite.writer import BUSY_SECONDS, Writer

T = TypeVar("T")

# Writes that a caller may have under way at a time: those that wait for a commit wait for each other.
_TOGETHER = 64
# How soon another process's commit is noticed where nothing tells of it; the look reads shared memory and costs a few
# microseconds. Where the bell does, it is looked for all the same, should that ever be missed.
_LOOK_SECONDS = 0.01
_LOOK_WITH_BELL_SECONDS = 0.2

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
    """The file: every access is a function that `read`, `scan` or `write` runs in a transaction."""

    writes_at_once = _TOGETHER

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        self._path = path
        self._clock = clock
        self._reader = self._connect()
        self._scanner = self._connect()
        self._scanning = ThreadPoolExecutor(1, thread_name_prefix="store-scanner")
        self._probe_connection = self._connect()
        self._data_version = self._probe()
        # What is done on the event loop must not wait for another process there.
        for connection in (self._reader, self._probe_connection):
            connection.execute("PRAGMA busy_timeout = 0")
        queue = path.with_name(f"{path.name}-queue")
        self._bell = Bell(queue)
        self._writer = Writer(self._connect, self._transaction, self._tell, queue)
        self._changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._pause = _LOOK_SECONDS
        self.version = 0

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1_000:.0f}")
        _use_wal(connection)
        # An accepted run survives a power cut: the log is on the disk before the reply.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _transaction(self, connection: sqlite3.Connection) -> Transaction:
        return SqliteTransaction(connection, to_micros(self._clock()))

    def _look(self, connection: sqlite3.Connection, work: Callable[[Transaction], T]) -> T:
        connection.execute("BEGIN")
        try:
            return work(self._transaction(connection))
        finally:
            connection.execute("COMMIT")

    async def write(self, work: Callable[[Transaction], T], *, urgent: bool = False, is_long: bool = False) -> T:
        """Run `work` in a write transaction; all of them take turns. Raises StoreBusy when SQLite cannot."""
        with _no_answer():
            return await self._writer.run(work, is_long=is_long)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent state, here and now. Raises StoreBusy when SQLite cannot."""
        with _no_answer():
            try:
                return self._look(self._reader, work)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
        # Another process mends the file, say; a thread may wait for that.
        return await self.scan(work)

    async def scan(self, work: Callable[[Transaction], T]) -> T:
        """As `read`, for what may look at many rows: such reads wait for each other and for nobody else."""
        with _no_answer():
            return await asyncio.get_running_loop().run_in_executor(self._scanning, self._look, self._scanner, work)

    def _tell(self) -> None:
        """Tell everybody of a commit of this process."""
        self._bell.ring()
        # Whoever reads or writes next hears of what keeps it from being probed.
        with suppress(sqlite3.Error):
            self._data_version = self._probe()
        self._announce()

    def _announce(self) -> None:
        self.version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for_change(self, seen: int, timeout: float) -> int:  # noqa: ASYNC109 - the port's word
        """Wait until `version` differs from `seen`, at most `timeout` seconds."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._keep_looking())
        if self.version == seen:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
        return self.version

    async def _keep_looking(self) -> None:
        if self._bell.listen(self._hear):
            self._pause = _LOOK_WITH_BELL_SECONDS
        while True:
            if self._look_for_commits():
                # The bell may be a dead one: its file was replaced, or lies where the system tells of none.
                self._pause = _LOOK_SECONDS
            await asyncio.sleep(self._pause)

    def _hear(self) -> None:
        self._pause = _LOOK_WITH_BELL_SECONDS
        self._look_for_commits()

    def _look_for_commits(self) -> bool:
        """Notice those of other processes; False when there is none."""
        try:
            current = self._probe()
        except sqlite3.Error:
            # Whoever reads or writes next hears of it; the next look may succeed.
            logger.debug("The control store could not be probed", exc_info=True)
            return False
        if current == self._data_version:
            return False
        self._data_version = current
        self._announce()
        return True

    def _probe(self) -> int:
        version: int = self._probe_connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    async def close(self) -> None:
        """Wait for what is under way and close every connection."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._writer.close()
        self._bell.close()
        await asyncio.to_thread(self._scanning.shutdown)
        for connection in (self._reader, self._scanner, self._probe_connection):
            connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log. While another process does that to a new file, SQLite refuses without waiting."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


@contextmanager
def _no_answer() -> Iterator[None]:
    """Raises StoreBusy for what SQLite raises."""
    try:
        yield
    except sqlite3.Error as error:
        logger.exception("The control store did not answer")
        raise StoreBusy(str(error)) from error
