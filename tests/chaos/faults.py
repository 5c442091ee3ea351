"""What happens to a process that has reached a point."""

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.chaos.service import LEASE_SECONDS, Service

STALL_SECONDS = LEASE_SECONDS + 2
_FULL_SECONDS = 3.0
_DISK_BYTES = 64 * 2**20

Fault = Callable[[Service, int], Awaitable[None]]


async def kill(_: Service, pid: int) -> None:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)


async def fail(service: Service, _: int) -> None:
    """An exception that nobody has thought of."""
    service.go_on("an injected failure")


async def stall(service: Service, _: int) -> None:
    """The process stands still, whatever it holds, until its leases have ended, and goes on then."""
    await asyncio.sleep(STALL_SECONDS)
    service.go_on()


async def fill_disk(service: Service, _: int) -> None:
    """Nothing more can be written for a while: neither to the state folder nor to the database."""
    with _no_room(service), _read_only(service.place.database_url):
        service.go_on()
        await asyncio.sleep(_FULL_SECONDS)


FAULTS: dict[str, Fault] = {"kill -9": kill, "exception": fail, "stall": stall, "disk full": fill_disk}


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own at the folder, for those who may mount one; the others get by with `_file_limit`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() != 0:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES},mode=700", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def _no_room(service: Service) -> Iterator[None]:
    with _ballast(service.place.state_dir) if service.place.state_dir.is_mount() else _file_limit(service):
        yield


@contextmanager
def _ballast(folder: Path) -> Iterator[None]:
    """Take all the room that is left (ENOSPC)."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(2**16)):
                pass
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def _file_limit(service: Service) -> Iterator[None]:
    """No process of the service can make a file longer (EFBIG)."""
    pids = service.pids
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in {*pids, *service.pids}:
            _lift_limit(pid)


def _lift_limit(pid: int) -> None:
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def _read_only(database_url: str) -> Iterator[None]:
    """What PostgreSQL does with a full disk as far as its clients see: every write fails, and connections end.

    A tablespace of the tests' own that runs full would stop the whole server and all that is in it.
    """
    if not database_url:
        yield
        return
    name = conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(database_url, autocommit=True) as connection:
        setting = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
        _set(connection, setting.format(sql.Identifier(str(name)), sql.Literal("on")))
        try:
            yield
        finally:
            connection.execute("SET default_transaction_read_only = off")
            _set(connection, setting.format(sql.Identifier(str(name)), sql.Literal("off")))


def _set(connection: "psycopg.Connection[tuple[object, ...]]", setting: sql.Composed) -> None:
    """Change a setting of the database; its other connections end, since it holds for new ones."""
    connection.execute(setting)
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid != pg_backend_pid()"
    )
