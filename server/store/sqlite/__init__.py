"""The embedded control store: one SQLite file, shared by the processes of one machine."""

from server.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
