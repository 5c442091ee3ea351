"""Room for the files that steps work with: gone with the attempt that made them, and with the worker at the latest."""

import fcntl
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "lock"

logger = logging.getLogger(__name__)


class Scratch:
    """A worker's folder. What workers left that were killed is removed by the next one that starts here."""

    def __init__(self, root: Path) -> None:
        """Make the folder, with access for this user only. Raises OSError."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = root / uuid.uuid4().hex
        # One after the other: a folder that nobody has locked yet looks like one whose worker is gone.
        with _alone(root):
            self.folder.mkdir(mode=0o700)
            # Held as long as this process lives.
            self._lock = _locked(self.folder)
            others = [(other, _locked(other)) for other in root.iterdir() if other != self.folder]
        for other, lock in others:
            if lock is not None:
                _remove(other)
                os.close(lock)

    def room(self) -> "Room":
        """A folder for one attempt."""
        return Room(self.folder / uuid.uuid4().hex)

    def close(self) -> None:
        """Remove everything."""
        _remove(self.folder)
        if self._lock is not None:
            os.close(self._lock)


class Room:
    """An attempt's folder, made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_made = False
        self._is_over = False

    def __call__(self) -> Path:
        """The folder. Raises RuntimeError when the attempt is over."""
        if self._is_over:
            raise RuntimeError("the attempt that this folder belonged to has ended")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._is_made = True
        return self._folder

    def close(self) -> bool:
        """The attempt is over; tells whether there is something to remove."""
        self._is_over = True
        return self._is_made

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        _remove(self._folder)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Holds off whoever starts here at the same time."""
    turn = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
    finally:
        os.close(turn)


def _locked(folder: Path) -> int | None:
    """The lock of a worker's folder; None while its worker is alive."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    os.close(lock)
    return None


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        logger.warning("The folder %s could not be removed", folder)
