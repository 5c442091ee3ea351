"""One DuckDB file, opened for BigQuery's sake: closed to the outside, never blocking the event loop."""

import asyncio
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import duckdb

from server.warehouse.embedded.session import Session
from server.warehouse.port import WarehouseError

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)

# Queries of one worker that run at a time; each uses DuckDB's own threads besides.
_THREADS = 8
_INTERRUPT_EVERY = 0.02
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    # Server, worker and everything else share the machine.
    "memory_limit": "50%",
}


class Connection:
    """Runs work on the file in threads: readers side by side, writers one after the other."""

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="warehouse")
        self._writing = asyncio.Lock()
        self._running: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def read(self, work: Callable[[Session], _T]) -> _T:
        """Run `work` in a read-only transaction."""
        return await self._run(work, "BEGIN TRANSACTION READ ONLY")

    async def write(self, work: Callable[[Session], _T]) -> _T:
        """Run `work` in a transaction that is committed when it returns, and leaves nothing when it raises."""
        async with self._writing:
            return await self._run(work, "BEGIN TRANSACTION")

    async def close(self) -> None:
        """Wait for what runs, then close the file."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
        await asyncio.get_running_loop().run_in_executor(self._pool, self._duck.close)
        self._pool.shutdown(wait=False)

    async def _run(self, work: Callable[[Session], _T], begin: str) -> _T:
        if self._closed:
            raise WarehouseError("WAREHOUSE_FAILED", "the warehouse is closed")
        cursor, cancelled = self._duck.cursor(), Event()
        future = asyncio.get_running_loop().run_in_executor(self._pool, _transact, cursor, cancelled, work, begin)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await _stop(cursor, cancelled, future)
            raise


async def _stop(cursor: duckdb.DuckDBPyConnection, cancelled: Event, future: "asyncio.Future[_T]") -> None:
    """Interrupt until the thread has ended: an interrupt between two statements is lost."""
    cancelled.set()
    while not future.done():
        with suppress(duckdb.Error):
            cursor.interrupt()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({future}, timeout=_INTERRUPT_EVERY)
    if not future.cancelled():
        future.exception()


def _transact(cursor: duckdb.DuckDBPyConnection, cancelled: Event, work: Callable[[Session], _T], begin: str) -> _T:
    try:
        cursor.execute(begin)
        try:
            session = Session(cursor, cancelled)
            result = work(session)
            session.run("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):
                cursor.execute("ROLLBACK")
            raise
    except duckdb.Error as error:
        raise explain(error) from error
    finally:
        cursor.close()
    return result


def open_file(path: Path) -> duckdb.DuckDBPyConnection:
    """Open or create the file.

    Raises:
        WarehouseError: WAREHOUSE_BUSY while another process has it open; WAREHOUSE_FAILED when it is not a warehouse.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        duck = duckdb.connect(path, config=_CONFIG)
    except OSError as error:
        raise WarehouseError("WAREHOUSE_FAILED", f"the warehouse's folder cannot be used: {error.strerror}") from error
    except duckdb.Error as error:
        raise _cannot_open(str(error)) from error
    # In the connect config this setting would be read before the time zones are loaded.
    duck.execute("SET GLOBAL TimeZone = 'UTC'")
    return duck


def _cannot_open(text: str) -> WarehouseError:
    if "Could not set lock" in text:
        pid = re.search(r"PID (\d+)", text)
        by = f"process {pid[1]}" if pid else "another process"
        return WarehouseError(
            "WAREHOUSE_BUSY",
            f"the warehouse file is in use by {by}: one process at a time may open it; "
            "stop that process (a worker, or another of these commands), or ask the running service instead",
        )
    if "not a valid DuckDB" in text:
        return WarehouseError("WAREHOUSE_FAILED", "the warehouse file is not a DuckDB file; give another path")
    return WarehouseError("WAREHOUSE_FAILED", "the warehouse file cannot be opened; the log says why")


def explain(error: duckdb.Error) -> WarehouseError:
    """DuckDB's error in words that a tenant may read: without paths, and without the SQL it was given."""
    _LOG.debug("DuckDB refused a statement", exc_info=error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return WarehouseError("WAREHOUSE_FAILED", "the query needs more memory than the embedded warehouse may use")
    if isinstance(error, duckdb.InterruptException):
        return WarehouseError("WAREHOUSE_FAILED", "the query was interrupted")
    if isinstance(error, duckdb.ConstraintException):
        return WarehouseError("REQUIRED_FIELD_IS_NULL", "a REQUIRED column was given NULL")
    if isinstance(error, duckdb.CatalogException | duckdb.ParserException | duckdb.NotImplementedException):
        _LOG.warning("a translated query was not understood by DuckDB", exc_info=error)
        return WarehouseError("UNSUPPORTED_SQL", f"the embedded warehouse cannot run this query: {_sentence(error)}")
    if isinstance(error, duckdb.DataError | duckdb.BinderException | duckdb.InvalidInputException):
        return WarehouseError("INVALID_QUERY", _sentence(error))
    _LOG.error("the embedded warehouse failed", exc_info=error)
    return WarehouseError("WAREHOUSE_FAILED", "the embedded warehouse failed; the log says why")


def _sentence(error: duckdb.Error) -> str:
    """The first line, without DuckDB's prefix, its advice on settings, and the names the translation gave."""
    line = str(error).split("\n", 1)[0]
    line = re.sub(r"^[A-Za-z ]+ Error: ", "", line)
    line = re.split(r" (?:Use TRY|You might need|Use SET|Did you mean)", line)[0]
    return re.sub(r'"?\b[sc]\d+"?\."?(\w+)"?', r"\1", line)
