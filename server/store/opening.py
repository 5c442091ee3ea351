"""The control store that the settings name."""

from pathlib import Path

from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite


async def open_store(*, database_url: str | None, path: Path) -> SqlStore:
    """PostgreSQL at the URL; without one, SQLite in the file.

    Raises:
        CannotStart: the store does not answer, or a newer version has used it.
    """
    if database_url is None:
        return await open_sqlite(path)
    # Only those who use PostgreSQL wait for its driver to be imported.
    from server.store.postgres import open_postgres  # noqa: PLC0415

    return await open_postgres(database_url)
