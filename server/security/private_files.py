"""Files that only their owner reads, written whole or not at all, and on the disk before anyone relies on them."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.domain.faults import CannotStart


def write_private(path: Path, data: bytes) -> None:
    """Write or replace a file."""
    draft = _draft(path, data)
    draft.replace(path)
    _sync_folder(path.parent)


def create_private(path: Path, data: bytes) -> bool:
    """Write a file unless it exists; False when it does."""
    draft = _draft(path, data)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    _sync_folder(path.parent)
    return True


def require_private(path: Path) -> None:
    """Refuse a secret's file that others may read. Raises CannotStart."""
    if path.stat().st_mode & 0o077:
        raise CannotStart(f"{path} holds a secret and others may read it; run chmod 600 {path}")


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends. Raises CannotStart when another process holds it."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            by = file.read().strip()
            message = (
                f"the state folder {path.parent} is in use by the server with process id {by}; stop that one first"
            )
            raise CannotStart(message) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _draft(path: Path, data: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
