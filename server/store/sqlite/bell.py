"""Tells the processes that share a file of each other's commits, so that nobody has to look for them all the time.

Linux tells whoever watches a file that somebody has closed it who could have written: see inotify(7). Whoever commits
opens and closes one of no content, which writes nothing to the disk.
"""

import asyncio
import ctypes
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_CLOSED_BY_WRITER = 0x00000008
# How soon the next call may follow: what was committed in between is found with one look.
_REST_SECONDS = 0.001
_READ_BYTES = 65_536

logger = logging.getLogger(__name__)


class Bell:
    """Rung after a commit; heard by every process that listens, this one too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._watch: int | None = None
        self._next_at = 0.0
        self._later: asyncio.TimerHandle | None = None

    def ring(self) -> None:
        """Be heard. Who cannot hear looks by itself after a while."""
        with suppress(OSError):
            os.close(os.open(self._path, os.O_WRONLY | os.O_CLOEXEC))

    def listen(self, heard: Callable[[], None]) -> bool:
        """Have `heard` called on the event loop; False where the system tells of no file, or of no further one."""
        try:
            watch = _watch(self._path)
        except (OSError, AttributeError) as error:
            logger.debug("Commits are looked for: %s", error)
            return False
        try:
            asyncio.get_running_loop().add_reader(watch, self._rung, watch, heard)
        except (OSError, NotImplementedError) as error:
            os.close(watch)
            logger.debug("Commits are looked for: %s", error)
            return False
        self._watch = watch
        return True

    def _rung(self, watch: int, heard: Callable[[], None]) -> None:
        with suppress(BlockingIOError):
            os.read(watch, _READ_BYTES)
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_at:
            self._call(heard)
        elif self._later is None:
            self._later = loop.call_at(self._next_at, self._call, heard)

    def _call(self, heard: Callable[[], None]) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._next_at = asyncio.get_running_loop().time() + _REST_SECONDS
        heard()

    def close(self) -> None:
        """Listen no more."""
        if self._later is not None:
            self._later.cancel()
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)


def _watch(path: Path) -> int:
    """A descriptor from which can be read as often as somebody closes the file.

    Raises:
        OSError: the system has none left.
        AttributeError: it has no such call.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    watch: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch < 0:
        raise OSError(ctypes.get_errno(), "no file can be watched")
    if libc.inotify_add_watch(watch, os.fsencode(path), _CLOSED_BY_WRITER) < 0:
        error = OSError(ctypes.get_errno(), "the file cannot be watched")
        os.close(watch)
        raise error
    return watch
