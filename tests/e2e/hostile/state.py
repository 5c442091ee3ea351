"""Everything that a refused request must leave as it is."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.e2e.service import Service

State = dict[str, object]

# What the service notes for itself: when a key was used last, calls of this minute, who copies a tenant's tables, which
# workers there are.
_NOTES = {"api_keys": {"last_used_at"}}
_NOTEBOOKS = {"request_rates", "mirrors", "workers"}


async def state_of(service: Service) -> State:
    """Each table, the files, and the processes."""
    async with grpc.aio.insecure_channel(service.target) as channel:
        ask = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        health = (await ask).status == health_pb2.HealthCheckResponse.SERVING
    return {
        "is serving": health,
        "server": (service.process.pid, service.process.returncode),
        "workers": service.worker_pids(),
        "files": sorted(_files(service.checkout)),
        "mails": service.mails,
        **{f"table {name}": rows for name, rows in _tables(service.checkout / "var" / "control.sqlite3")},
    }


def _files(checkout: Path) -> Iterator[tuple[str, int, int]]:
    """Of the checkout and beside it, but not what the server itself writes all the time."""
    for folder, folders, files in os.walk(checkout.parent):
        folders[:] = [name for name in folders if name not in {"__pycache__", "var"}]
        for name in (*files, *folders):
            if name != "server.log":
                found = Path(folder, name).lstat()
                yield str(Path(folder, name)), 0 if name in folders else found.st_size, found.st_mode


def _tables(path: Path) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        for (table,) in named.fetchall():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            told = ", ".join(f'"{column}"' for column in columns if column not in _NOTES.get(table, ()))
            if table not in _NOTEBOOKS:
                yield table, connection.execute(f"SELECT {told} FROM {table} ORDER BY 1, 2").fetchall()
