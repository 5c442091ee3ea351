"""Numbered migrations: `migrations/0001_initial.sql` beside a driver, each applied once and whole.

A migration that older versions can live with says so in its first line: `-- works with: 4` lets versions that know
migration 4, and not this one, go on using the store. So servers may be brought up to date one after the other.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.domain.faults import CannotStart
from server.store.sql.database import Row, Transaction

_WORKS_WITH = re.compile(r"-- works with: ([0-9]+)\n")
_TABLE = "CREATE TABLE migrations (version INTEGER PRIMARY KEY, applied_at BIGINT NOT NULL, works_with INTEGER)"


class StoreTooNew(CannotStart):
    """The store was written by a newer version of the server; this one would misread it."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from an older schema to a newer one."""

    version: int
    statements: tuple[str, ...]
    works_with: int | None
    """The oldest version that can use the store after it; None: only versions that know it."""


def read_migrations(folder: Path, split: Callable[[str], Sequence[str]]) -> list[Migration]:
    """The migrations in a folder, in order; `split` parts a script into statements."""
    found = []
    for path in sorted(folder.glob("[0-9]*.sql")):
        script = path.read_text()
        works_with = _WORKS_WITH.match(script)
        number = int(works_with.group(1)) if works_with else None
        found.append(Migration(int(path.name[:4]), tuple(split(script)), number))
    return found


def pending(tx: Transaction, migrations: Sequence[Migration], *, has_table: bool) -> list[Migration]:
    """What has to be applied; none when the store is as this version knows it, or newer and fit for it.

    Raises:
        StoreTooNew: the store has a migration that this version does not know and cannot live with.
    """
    if not has_table:
        tx.execute(_TABLE)
    done = tx.execute("SELECT * FROM migrations ORDER BY version").fetchall()
    newest = migrations[-1].version
    for row in done:
        if row["version"] > newest and not _fits(row, newest):
            raise StoreTooNew(
                f"the control store has migration {row['version']}, this version knows {newest}: "
                "start the newer version"
            )
    applied = {row["version"] for row in done}
    return [migration for migration in migrations if migration.version not in applied]


def _fits(row: Row, newest: int) -> bool:
    """Whether a version that knows migrations up to `newest` can use a store with this one."""
    works_with = row["works_with"]
    return works_with is not None and works_with <= newest


def apply(tx: Transaction, migration: Migration) -> None:
    """Bring the store from one version to the next, in the caller's transaction."""
    for statement in migration.statements:
        tx.execute(statement)
    tx.execute("INSERT INTO migrations (version, applied_at) VALUES (?, ?)", (migration.version, tx.now))
    if migration.works_with is not None:
        tx.execute("UPDATE migrations SET works_with = ? WHERE version = ?", (migration.works_with, migration.version))
