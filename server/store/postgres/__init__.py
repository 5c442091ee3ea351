"""The control store for production: PostgreSQL, shared by any number of servers and workers."""

from server.store.postgres.opening import open_postgres

__all__ = ["open_postgres"]
