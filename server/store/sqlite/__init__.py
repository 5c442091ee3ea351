"""The embedded control store: one SQLite file, shared by the processes of one machine."""

from server.store.sqlite.opening import open_sqlite

__all__ = ["open_sqlite"]
