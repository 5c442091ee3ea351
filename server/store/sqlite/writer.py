"""The one connection of a process that writes.

What is short is done on the event loop: a way to a thread and back takes longer than its statements do, and in a thread
each of these would wait anew for the interpreter while the file is locked for everybody. What waits for the disk, which
is every commit, and what may be long has a thread.
"""

import asyncio
import fcntl
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from server.store.sql.database import Transaction

T = TypeVar("T")

BUSY_SECONDS = 10.0
"""How long another process is waited for."""
# How long the event loop may be at it without a pause, about.
_SLICE_SECONDS = 0.003
# How soon the end of another process's write is noticed.
_LOOK_SECONDS = 0.0002
# As long as a transaction had the file to itself, about, it is left to others who wait; those look once a millisecond.
_SHORTEST_TURN = 0.002
_LONGEST_TURN = 0.005

logger = logging.getLogger(__name__)


class _Work:
    """A function that waits for its turn, and then what came of it."""

    def __init__(self, function: Callable[[Transaction], Any], future: "asyncio.Future[Any]", *, is_long: bool) -> None:
        self.function = function
        self.future = future
        """Cancelled when nobody waits any more: what has not begun then never does."""
        self.is_long = is_long
        self.result: Any = None
        self.error: BaseException | None = None

    def tell(self) -> None:
        """Tell whoever waits."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Queue:
    """Tells the process that writes whether others want to, which SQLite does not: it would never let them.

    Those hold a shared lock on a file of no content. Locks end with their process.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb")
        self._is_in = False

    def join(self) -> None:
        """Be seen by `has_others` of other processes."""
        if not self._is_in:
            self._is_in = self._locked(fcntl.LOCK_SH)

    def leave(self) -> None:
        """Be seen no more."""
        if self._is_in:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._is_in = False

    def has_others(self) -> bool:
        """Whether another process waits."""
        if self._is_in or not self._locked(fcntl.LOCK_EX):
            return True
        fcntl.flock(self._file, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Leave for good."""
        self._file.close()

    def _locked(self, how: int) -> bool:
        try:
            fcntl.flock(self._file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Writer:
    """Does works in the order in which they come, those of a moment in one transaction."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        transaction: Callable[[sqlite3.Connection], Transaction],
        changed: Callable[[], None],
        queue: Path,
    ) -> None:
        """`changed` is called on the event loop after each commit that has changed anything; `queue`: see `Queue`."""
        self._connect = connect
        self._transaction = transaction
        self._changed = changed
        self._connection: sqlite3.Connection | None = None
        self._undo_kept: tuple[sqlite3.Connection, bool] | None = None
        """Which connection was told last where to, and whether that is a file."""
        self._waiting = deque[_Work]()
        self._idle = asyncio.Event()
        """No turn is under way, and none will come."""
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._queue = Queue(queue)
        self._began_at = 0.0
        self._next_at = 0.0
        """When the next transaction may begin if somebody else wants to write."""

    async def run(self, function: Callable[[Transaction], T], *, is_long: bool) -> T:
        """Do it in a transaction, with those that come at this moment; an exception undoes it and no other.

        Raises:
            sqlite3.Error: also for what undoes all of them.
        """
        loop = asyncio.get_running_loop()
        work = _Work(function, loop.create_future(), is_long=is_long)
        self._waiting.append(work)
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._turn, loop)
        result: T = await work.future
        return result

    async def close(self) -> None:
        """Do what waits, and close the connection."""
        await self._idle.wait()
        self._thread.shutdown()
        self._queue.close()
        if self._connection is not None:
            self._connection.close()

    def _turn(self, loop: asyncio.AbstractEventLoop, give_up: float = 0.0) -> None:
        """Begin a transaction, now or a moment later, and do in it what waits."""
        while self._waiting and self._waiting[0].future.cancelled():
            self._waiting.popleft()
        if not self._waiting:
            self._idle.set()
            return
        now = time.monotonic()
        if now < self._next_at and self._queue.has_others():
            loop.call_later(self._next_at - now, self._turn, loop)
            return
        give_up = give_up or now + BUSY_SECONDS
        try:
            connection = self._opened()
            self._keep_undo(connection, in_file=self._waiting[0].is_long)
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY and now < give_up:
                # SQLite itself would look after 1, 2, 5, 10 and more milliseconds, while others come and go.
                self._queue.join()
                loop.call_later(_LOOK_SECONDS, self._turn, loop, give_up)
            else:
                self._fail(error, loop)
        except Exception as error:  # noqa: BLE001 - raised where each is awaited
            self._fail(error, loop)
        else:
            self._queue.leave()
            self._begun(connection, loop)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
            self._connection.execute("PRAGMA busy_timeout = 0")
        return self._connection

    def _keep_undo(self, connection: sqlite3.Connection, *, in_file: bool) -> None:
        """Where to keep what a savepoint may have to bring back.

        Of what is short it is little, and would be written to a file all the same from 64 KiB on.
        """
        if self._undo_kept != (connection, in_file):
            connection.execute(f"PRAGMA temp_store = {'FILE' if in_file else 'MEMORY'}")
            self._undo_kept = (connection, in_file)

    def _fail(self, error: Exception, loop: asyncio.AbstractEventLoop) -> None:
        """Tell all who wait that there is no transaction for them."""
        waiting, self._waiting = self._waiting, deque()
        self._queue.leave()
        for work in waiting:
            work.error = error
        self._end(list(waiting), loop, has_changed=False)

    def _begun(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Do in the transaction what fits into it."""
        before, self._began_at = connection.total_changes, time.monotonic()
        until = self._began_at + _SLICE_SECONDS
        if self._waiting[0].is_long:
            self._thread.submit(self._finish, connection, [self._waiting.popleft()], before, loop)
            return
        works = list[_Work]()
        try:
            while self._waiting and not self._waiting[0].is_long and time.monotonic() < until:
                if not (work := self._waiting.popleft()).future.cancelled():
                    works.append(work)
                    self._do(connection, work)
        except sqlite3.Error as error:
            self._undo(connection, works, error)
            self._end(works, loop, has_changed=False)
        else:
            self._thread.submit(self._finish, connection, works, before, loop)

    def _do(self, connection: sqlite3.Connection, work: _Work) -> None:
        """Do one of several works. Raises sqlite3.Error when the transaction is no more: that undoes all of them."""
        connection.execute("SAVEPOINT one")
        try:
            work.result = work.function(self._transaction(connection))
        except BaseException as error:  # noqa: BLE001 - raised where the work is awaited
            work.error = error
            connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")

    def _finish(
        self, connection: sqlite3.Connection, works: Sequence[_Work], before: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        """In the thread: do what is long, and commit."""
        has_changed = False
        try:
            for work in works:
                if work.is_long:
                    self._do(connection, work)
            connection.execute("COMMIT")
            has_changed = connection.total_changes != before
        except BaseException as error:  # noqa: BLE001 - raised where each is awaited
            self._undo(connection, works, error)
        now = time.monotonic()
        self._next_at = now + min(max(now - self._began_at, _SHORTEST_TURN), _LONGEST_TURN)
        # A loop that is closed has nobody who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: self._end(works, loop, has_changed=has_changed))

    def _undo(self, connection: sqlite3.Connection, works: Sequence[_Work], error: BaseException) -> None:
        """Leave the transaction, or the connection: a later transaction must not begin inside this one."""
        for work in works:
            work.error = error
        try:
            # SQLite may have rolled back by itself, on a full disk for one.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            logger.exception("A transaction could not be rolled back; its connection is closed")
            self._connection = None
            connection.close()

    def _end(self, works: Sequence[_Work], loop: asyncio.AbstractEventLoop, *, has_changed: bool) -> None:
        if has_changed:
            self._changed()
        for work in works:
            work.tell()
        # Not at once: those who were told may have something to write, too.
        loop.call_soon(self._turn, loop)
