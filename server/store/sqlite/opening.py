"""Opening the file: private, and brought up to this version."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

from server.store.sql.database import Clock, Transaction, utc_now
from server.store.sql.migrations import apply, pending, read_migrations
from server.store.sql.store import SqlStore
from server.store.sqlite.database import SqliteDatabase

_MIGRATIONS = Path(__file__).parent / "migrations"


async def open_sqlite(path: Path, *, clock: Clock = utc_now, migrations: Path = _MIGRATIONS) -> SqlStore:
    """A ControlStore in the file, which is made where it is missing. Raises StoreTooNew."""
    database = await asyncio.to_thread(_open, path, clock)
    try:
        # In one transaction, which waits for that of another server: two that start at once migrate once.
        await database.write(_migrate(migrations), is_long=True)
    except BaseException:
        await database.close()
        raise
    return SqlStore(database)


def _open(path: Path, clock: Clock) -> SqliteDatabase:
    # The folder is private; the file is made private too, for those who move it.
    path.touch(mode=0o600, exist_ok=True)
    return SqliteDatabase(path, clock=clock)


def _migrate(folder: Path) -> Callable[[Transaction], None]:
    def migrate(tx: Transaction) -> None:
        columns = {row["name"] for row in tx.execute("SELECT name FROM pragma_table_info('migrations')")}
        if columns and "works_with" not in columns:
            # Stores of the first version.
            tx.execute("ALTER TABLE migrations ADD COLUMN works_with INTEGER")
        for migration in pending(tx, read_migrations(folder, _statements), has_table=bool(columns)):
            apply(tx, migration)

    return migrate


def _statements(script: str) -> list[str]:
    """The statements of a script one by one: `executescript` would commit before it starts."""
    statements, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements
