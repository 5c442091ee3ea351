"""Opening the database, and bringing it up to this version."""

import re
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege, InvalidSchemaName

from server.domain.faults import CannotStart
from server.store.port import StoreBusy
from server.store.postgres.database import PostgresDatabase
from server.store.sql.database import Clock, Transaction
from server.store.sql.migrations import Migration, apply, pending, read_migrations
from server.store.sql.store import SqlStore

_MIGRATIONS = Path(__file__).parent / "migrations"
_TABLE_EXISTS = "SELECT 1 FROM pg_class WHERE relname = 'migrations' AND relnamespace = current_schema()::regnamespace"
# PostgreSQL ends user and password at the first @ of a URL. A further one before the ? was meant as a part of the
# password, whose rest would be taken, and told, as host, port or database.
_MISREAD = re.compile(r"[^/]*//(?:[^@/]*@)?+[^?]*@")


async def open_postgres(url: str, *, clock: Clock | None = None, migrations: Path = _MIGRATIONS) -> SqlStore:
    """A ControlStore in the database of that `postgresql://` URL; `clock` is for tests, otherwise it is the database's.

    Raises:
        StoreTooNew: a newer version has used it.
        CannotStart: it is no such URL, the database does not answer, or its user may not make tables.
    """
    if _MISREAD.match(url) or not _is_known(url):
        # What PostgreSQL says of it may have a part of the password.
        raise CannotStart(
            "CONVERGENCE_DATABASE_URL is not a URL that PostgreSQL knows; write special characters of the password "
            "as %.., for example %40 for @"
        )
    database = PostgresDatabase(url, clock=clock)
    try:
        await database.start()
        scripts = read_migrations(migrations, _statements)
        # Each is a transaction of its own: what was done before an interruption is done.
        while await database.write(lambda tx: _migrate_one(tx, scripts)):
            pass
    except StoreBusy as busy:
        await database.close()
        raise CannotStart(f"the control store of CONVERGENCE_DATABASE_URL does not answer: {busy}") from None
    except (InsufficientPrivilege, InvalidSchemaName) as denied:
        await database.close()
        raise CannotStart(
            f"the user of CONVERGENCE_DATABASE_URL cannot make its tables: {denied.diag.message_primary}; "
            "it has to own the database or its schema"
        ) from None
    except BaseException:
        await database.close()
        raise
    return SqlStore(database)


def _is_known(url: str) -> bool:
    try:
        conninfo_to_dict(url)
    except psycopg.Error:
        return False
    return True


def _migrate_one(tx: Transaction, migrations: list[Migration]) -> bool:
    """Apply the next migration; False when there is none. Servers that start at once wait for each other here."""
    # The limits of everyday work are none of a migration, nor of those who wait for it.
    tx.execute("SET LOCAL lock_timeout = 0")
    tx.execute("SET LOCAL statement_timeout = 0")
    tx.take_turns("migrations")
    has_table = tx.execute(_TABLE_EXISTS).fetchone() is not None
    missing = pending(tx, migrations, has_table=has_table)
    if missing:
        apply(tx, missing[0])
    return bool(missing)


def _statements(script: str) -> list[str]:
    """The whole script at once: PostgreSQL parts it, inside the transaction."""
    return [script]
