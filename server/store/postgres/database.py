"""Connections, transactions and change detection on PostgreSQL."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import Any, TypeVar, cast
from zlib import crc32

import psycopg
from psycopg import AsyncConnection, Connection, InterfaceError, IsolationLevel, OperationalError
from psycopg.errors import (
    DeadlockDetected,
    FeatureNotSupported,
    IdleInTransactionSessionTimeout,
    ReadOnlySqlTransaction,
    SerializationFailure,
)
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from server.store.port import StoreBusy
from server.store.sql.database import Clock, Result, Transaction, to_micros

T = TypeVar("T")

_CHANNEL = "convergence"
# For writes, which may wait for locks; for reads and leases, which must not wait behind those; for long reads.
_WRITERS = 8
_READERS = 6
_SCANNERS = 2
_POOL_SECONDS = 10.0
_TRIES = 5
# While notifications do not come, the store is looked at this often.
_POLL_SECONDS = 1.0
# Commits of a moment are told to the others with one notification.
_NOTIFY_SECONDS = 0.01
_TAKE_TURNS_SPACE = 0x434F4E56
# A lost peer must not hold a lock or a caller for ever.
_OPTIONS = (
    "-c timezone=UTC -c lock_timeout=5s -c statement_timeout=60s -c idle_in_transaction_session_timeout=5s"
    " -c synchronous_commit=on -c default_transaction_isolation=read\\ committed"
)
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}

# The last two are a stall of ours and a server that has become a standby; psycopg counts them as InternalError.
_BUSY = (OperationalError, InterfaceError, IdleInTransactionSessionTimeout, ReadOnlySqlTransaction)
# What another try mends: others were in the way, or an upgrade beside this process has added a column to a table of a
# statement that the connection keeps prepared ("cached plan must not change result type"). psycopg forgets those with
# the rollback.
_PASSING = (DeadlockDetected, SerializationFailure, FeatureNotSupported)

_Pool = ConnectionPool[Connection[DictRow]]

logger = logging.getLogger(__name__)


class PostgresTransaction:
    """A connection inside a transaction."""

    for_update = " FOR UPDATE"
    skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: "Connection[DictRow]", clock: Clock | None) -> None:
        self._connection = connection
        self._clock = clock
        self.has_changed = False

    @cached_property
    def now(self) -> int:
        """The database's clock, so that machines need not agree on theirs."""
        if self._clock is not None:
            return to_micros(self._clock())
        row = self.execute("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint AS now").fetchone()
        return int(cast("dict[str, Any]", row)["now"])

    def take_turns(self, subject: str) -> None:
        """Until the transaction ends, others that are about the same subject wait."""
        self.execute("SELECT pg_advisory_xact_lock(?, ?)", (_TAKE_TURNS_SPACE, crc32(subject.encode()) - 2**31))

    def execute(self, sql: str, values: Sequence[object] = (), /) -> Result:
        """Run one statement, with a value for each `?`."""
        # The statements are the store's own; values never become part of them.
        cursor = self._connection.execute(_numbered(sql), [_storable(value) for value in values] or None)
        self.has_changed |= cursor.rowcount > 0 and not sql.lstrip().startswith("SELECT")
        return cast("Result", cursor)

    def executemany(self, sql: str, values: Sequence[Sequence[object]], /) -> object:
        """Run one statement for each row of values."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_numbered(sql), values)
            self.has_changed |= cursor.rowcount > 0
        return None


def _storable(value: object) -> object:
    """No text of PostgreSQL has a NUL character: one that is asked for is not found, as in any other store."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


@lru_cache(maxsize=1_000)
def _numbered(sql: str) -> bytes:
    """The statement with psycopg's placeholders."""
    return sql.replace("%", "%%").replace("?", "%s").encode() if "?" in sql else sql.encode()


class _Lane:
    """Threads with as many connections, which wait for each other and for nobody else."""

    def __init__(self, url: str, size: int, name: str) -> None:
        self.pool = _pool(url, size)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread. Raises StoreBusy for what another try may mend; a bug is one, and says so."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except _BUSY as error:
            logger.exception("The control store did not answer")
            raise StoreBusy(str(error)) from error

    def close(self) -> None:
        """Wait for what is under way and close the connections."""
        self._threads.shutdown()
        self.pool.close()


class PostgresDatabase:
    """A database: `read`, `scan` and `write` run a function in a thread, with a connection of its own."""

    writes_at_once = _WRITERS // 2

    def __init__(self, url: str, *, clock: Clock | None) -> None:
        self._url = url
        self._clock = clock
        self._writers = _Lane(url, _WRITERS, "store-writer")
        self._readers = _Lane(url, _READERS, "store-reader")
        self._scanners = _Lane(url, _SCANNERS, "store-scanner")
        self._changed = asyncio.Condition()
        self._to_tell = asyncio.Event()
        self._helpers: list[asyncio.Task[None]] = []
        # Who a notification comes from.
        self._name = uuid.uuid4().hex
        self.version = 0

    async def start(self) -> None:
        """Connect. Raises StoreBusy when the database does not answer."""
        try:
            # A connection of its own says what is wrong; the pool says only that it has none.
            await (await AsyncConnection.connect(self._url, **_connect_options())).close()
        except psycopg.Error as error:
            raise StoreBusy(str(error)) from None
        for lane in self._lanes:
            lane.pool.open()
        self._helpers = [asyncio.create_task(self._keep_listening()), asyncio.create_task(self._keep_telling())]

    @property
    def _lanes(self) -> "tuple[_Lane, ...]":
        return self._writers, self._readers, self._scanners

    async def write(self, work: Callable[[Transaction], T], *, urgent: bool = False, is_long: bool = False) -> T:
        """Run `work` in one transaction, anew when others were in its way or an upgrade was."""
        del is_long  # there are threads for all
        lane = self._readers if urgent else self._writers
        result, changed = await lane.run(lambda: _tried(lambda: self._transact(lane.pool, work)))
        if changed:
            await self._announce()
            self._to_tell.set()
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one moment of the database."""
        return await self._readers.run(lambda: _tried(lambda: self._look(self._readers.pool, work)))

    async def scan(self, work: Callable[[Transaction], T]) -> T:
        """As `read`, with connections that short reads do not need."""
        return await self._scanners.run(lambda: _tried(lambda: self._look(self._scanners.pool, work)))

    def _transact(self, pool: "_Pool", work: Callable[[Transaction], T]) -> tuple[T, bool]:
        with pool.connection(_POOL_SECONDS) as connection, connection.transaction():
            transaction = PostgresTransaction(connection, self._clock)
            return work(transaction), transaction.has_changed

    def _look(self, pool: "_Pool", work: Callable[[Transaction], T]) -> T:
        with pool.connection(_POOL_SECONDS) as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            try:
                with connection.transaction():
                    return work(PostgresTransaction(connection, self._clock))
            finally:
                if not connection.closed:
                    connection.isolation_level = connection.read_only = None

    async def _announce(self) -> None:
        async with self._changed:
            self.version += 1
            self._changed.notify_all()

    async def wait_for_change(self, seen: int, timeout: float) -> int:  # noqa: ASYNC109 - the port's word
        """Wait until `version` differs from `seen`, at most `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self.version != seen)
        return self.version

    async def _keep_telling(self) -> None:
        """Tell other processes of this one's commits, after the commits: NOTIFY inside them would line them all up."""
        while True:
            await self._to_tell.wait()
            await asyncio.sleep(_NOTIFY_SECONDS)
            self._to_tell.clear()
            # One that is lost is made up for by the next, and by whoever looks without being told.
            with suppress(StoreBusy):
                await self._readers.run(self._tell)

    def _tell(self) -> None:
        with self._readers.pool.connection(_POOL_SECONDS) as connection:
            connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, self._name))

    async def _keep_listening(self) -> None:
        """Notice the commits of other processes; without notifications, by looking again and again."""
        while True:
            try:
                await self._listen()
            except psycopg.Error:
                logger.warning("Notifications of the control store do not come; it is polled", exc_info=True)
            await self._announce()
            await asyncio.sleep(_POLL_SECONDS)

    async def _listen(self) -> None:
        async with await AsyncConnection.connect(self._url, autocommit=True, **_connect_options()) as connection:
            await connection.execute(f"LISTEN {_CHANNEL}".encode())
            # What was committed while nobody listened.
            await self._announce()
            while True:
                # A connection that has died without a word is found by asking.
                async for notice in connection.notifies(timeout=_POOL_SECONDS, stop_after=1):
                    if notice.payload != self._name:
                        await self._announce()
                await connection.execute("SELECT 1")

    async def close(self) -> None:
        """Wait for what is under way and close every connection."""
        for helper in self._helpers:
            helper.cancel()
        if self._helpers:
            await asyncio.wait(self._helpers)
        for lane in self._lanes:
            await asyncio.to_thread(lane.close)


def _tried(transact: Callable[[], T]) -> T:
    """What a transaction answers, tried anew for what that mends."""
    for _ in range(_TRIES - 1):
        try:
            return transact()
        except _PASSING:
            logger.info("A transaction is repeated", exc_info=True)
    return transact()


def _pool(url: str, size: int) -> _Pool:
    return ConnectionPool(
        url,
        connection_class=Connection[DictRow],
        kwargs={"row_factory": dict_row, **_connect_options()},
        min_size=1,
        max_size=size,
        open=False,
        check=ConnectionPool.check_connection,
        reconnect_timeout=_POOL_SECONDS,
    )


def _connect_options() -> dict[str, Any]:
    return {"options": _OPTIONS, "application_name": "convergence", "connect_timeout": 5, **_KEEPALIVES}
