"""One DuckDB file, opened for BigQuery's sake: closed to the outside, never blocking the event loop."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet, WeakValueDictionary

import duckdb

from server.warehouse.embedded.functions import Functions
from server.warehouse.embedded.session import Session
from server.warehouse.port import WarehouseError

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)

_EXPLAINED: dict[type[duckdb.Error], tuple[str, str]] = {
    duckdb.OutOfMemoryException: (
        "WAREHOUSE_FAILED",
        "the query needs more memory than the embedded warehouse may use",
    ),
    duckdb.InterruptException: ("WAREHOUSE_FAILED", "the query was interrupted"),
    duckdb.TransactionException: (
        "WAREHOUSE_BUSY",
        "other writes changed the same data at the same time; try again later",
    ),
}
# Queries of one worker that run at a time; each uses DuckDB's own threads besides. Short writes have threads of their
# own, so that long queries never hold them up.
_QUERIES = 8
_UPKEEP = 2
# Between tries of a transaction that another one got in the way of, in seconds.
_PAUSES = (0.01, 0.05, 0.25)
_INTERRUPT_EVERY = 0.02
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    # On BigQuery a table's rows have no order either; keeping one would have the writers of large tables wait in line.
    "preserve_insertion_order": "false",
    # Server, worker and everything else share the machine.
    "memory_limit": "50%",
}


class Connection:
    """Runs work on the file in threads.

    Transactions see one state of the file and run side by side; writers of one name, a table's or a dataset's, run one
    after the other, as DuckDB refuses the second of two that change the same rows.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck
        self._functions = Functions(duck)
        self._queries = ThreadPoolExecutor(_QUERIES, thread_name_prefix="warehouse-query")
        self._upkeep = ThreadPoolExecutor(_UPKEEP, thread_name_prefix="warehouse-upkeep")
        self._locks = WeakValueDictionary[str, asyncio.Lock]()
        self._running: set[asyncio.Future[Any]] = set()
        self._answered = WeakSet[asyncio.Task[Any]]()
        """Tasks that were given an outcome in the place of their cancellation."""
        self._closed = False

    async def read(self, work: Callable[[Session], _T]) -> _T:
        """Run `work` in a read-only transaction."""
        return await self._run(work, self._queries, "BEGIN TRANSACTION READ ONLY")

    async def write(self, work: Callable[[Session], _T], *names: str) -> _T:
        """Run short work in a transaction that is committed when it returns, and leaves nothing when it raises.

        `work` may run several times, each in a transaction of its own. Whoever takes a dataset's name and a table's
        takes the dataset's first.
        """
        async with self._locked(names):
            return await self._run(work, self._upkeep, "BEGIN TRANSACTION")

    async def effect(self, work: Callable[[Session], _T], *names: str) -> _T:
        """Like `write` for work of any length; cancelled after its commit it returns what `work` returned.

        The cancellation is not lost then: the next call of the same task raises it.
        """
        async with self._locked(names):
            return await self._run(work, self._queries, "BEGIN TRANSACTION", keep_outcome=True)

    async def close(self) -> None:
        """Wait for what runs, then close the file."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
        await asyncio.get_running_loop().run_in_executor(self._upkeep, self._duck.close)
        self._queries.shutdown(wait=False)
        self._upkeep.shutdown(wait=False)

    @asynccontextmanager
    async def _locked(self, names: Sequence[str]) -> AsyncIterator[None]:
        """Hold the locks of the names; DuckDB's names have no case."""
        self._deliver_cancellation()
        async with AsyncExitStack() as held:
            for name in names:
                await held.enter_async_context(self._locks.setdefault(name.lower(), asyncio.Lock()))
            yield

    def _deliver_cancellation(self) -> None:
        """Raise the cancellation that an outcome was given in the place of, unless it was taken back (`uncancel`)."""
        task = asyncio.current_task()
        if task and task in self._answered:
            self._answered.discard(task)
            if task.cancelling():
                raise asyncio.CancelledError

    async def _run(
        self, work: Callable[[Session], _T], pool: ThreadPoolExecutor, begin: str, *, keep_outcome: bool = False
    ) -> _T:
        self._deliver_cancellation()
        if self._closed:
            raise WarehouseError("WAREHOUSE_FAILED", "the warehouse is closed")
        session = Session(self._duck.cursor())
        job = pool.submit(_transact, session, work, begin, self._functions)
        future = asyncio.wrap_future(job)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if job.cancel():
                session.close()
                raise
            await _stop(session, future)
            if not keep_outcome or future.exception():
                raise
        if task := asyncio.current_task():
            self._answered.add(task)
        return future.result()


async def _stop(session: Session, future: "asyncio.Future[_T]") -> None:
    """Interrupt until the thread has ended: an interrupt between two statements is lost."""
    while not future.done():
        session.interrupt()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({future}, timeout=_INTERRUPT_EVERY)
    future.exception()


def _transact(session: Session, work: Callable[[Session], _T], begin: str, functions: Functions) -> _T:
    try:
        for pause in _PAUSES:
            try:
                return _informed(session, work, begin, functions)
            except duckdb.Error as error:
                if not _is_conflict(error):
                    raise
            session.pause(pause)
        return _informed(session, work, begin, functions)
    except duckdb.Error as error:
        raise explain(error) from error
    finally:
        session.close()


def _informed(session: Session, work: Callable[[Session], _T], begin: str, functions: Functions) -> _T:
    try:
        return _attempt(session, work, begin)
    except duckdb.CatalogException as error:
        if not functions.make_known(error):
            raise
    return _attempt(session, work, begin)


def _attempt(session: Session, work: Callable[[Session], _T], begin: str) -> _T:
    session.run(begin)
    try:
        result = work(session)
        session.commit()
    except BaseException:
        session.rollback()
        raise
    return result


def _is_conflict(error: duckdb.Error) -> bool:
    """True when another transaction came first: nothing was committed, and another try sees what it did.

    A key that the other has committed meanwhile shows as a duplicate; the bookkeeping alone has keys.
    """
    return isinstance(error, duckdb.TransactionException) or str(error).startswith("Constraint Error: Duplicate key")


def open_file(path: Path, *, loads_from: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open or create the file. Of other files, those below `loads_from` can be read, by statements of our own.

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
    if loads_from is not None:
        duck.execute("SET allowed_directories = [?]", [f"{loads_from.resolve()}/"])
    duck.execute("SET enable_external_access = false")
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
    if explained := _EXPLAINED.get(type(error)):
        return WarehouseError(*explained)
    if str(error).startswith("Constraint Error: NOT NULL"):
        return WarehouseError("REQUIRED_FIELD_IS_NULL", "a REQUIRED column was given NULL")
    if isinstance(error, duckdb.CatalogException | duckdb.ParserException | duckdb.NotImplementedException):
        _LOG.warning("a translated query was not understood by DuckDB", exc_info=error)
        problem = "the embedded warehouse cannot run this query, at a place that DuckDB does not tell"
        return WarehouseError("UNSUPPORTED_SQL", f"{problem}: {_sentence(error)}")
    if isinstance(
        error, duckdb.DataError | duckdb.BinderException | duckdb.InvalidInputException | duckdb.SyntaxException
    ):
        return WarehouseError("INVALID_QUERY", _sentence(error))
    _LOG.error("the embedded warehouse failed", exc_info=error)
    return WarehouseError("WAREHOUSE_FAILED", "the embedded warehouse failed; the log says why")


def _sentence(error: duckdb.Error) -> str:
    """The first line, without DuckDB's prefix, its advice on settings, and the names the translation gave."""
    line = str(error).split("\n", 1)[0]
    line = re.sub(r"^[A-Za-z ]+ Error: (?:Python exception occurred while executing the UDF: [A-Za-z]+: )?", "", line)
    line = re.split(r" (?:Use TRY|You might need|Use SET|Did you mean)", line)[0]
    return re.sub(r'"?\b[sc]\d+"?\."?(\w+)"?', r"\1", line)
