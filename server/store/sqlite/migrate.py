"""Numbered migrations: `migrations/0001_initial.sql`, each applied once and whole."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from server.domain.faults import CannotStart
from server.store.sqlite.database import Transaction

_FOLDER = Path(__file__).parent / "migrations"


class StoreTooNew(CannotStart):
    """The store was written by a newer version of the server; this one would misread it."""


def migrate(tx: Transaction) -> None:
    """Bring the store to this version, inside the caller's transaction: two servers starting at once apply it once.

    Raises:
        StoreTooNew: the store has a migration that this version does not know.
    """
    tx.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)")
    done = {row["version"] for row in tx.execute("SELECT version FROM migrations")}
    scripts = {int(path.name[:4]): path for path in sorted(_FOLDER.glob("[0-9]*.sql"))}
    if unknown := sorted(done - scripts.keys()):
        raise StoreTooNew(
            f"the control store has migration {unknown[-1]}, this version knows {max(scripts)}: start the newer version"
        )
    for version in sorted(scripts.keys() - done):
        for statement in _statements(scripts[version].read_text()):
            tx.execute(statement)
        tx.execute("INSERT INTO migrations VALUES (?, ?)", (version, tx.now))


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit before it starts."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
