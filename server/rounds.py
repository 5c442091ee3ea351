"""Loops of the server that look for work in the store."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import Protocol

from server.store.port import StoreBusy

_IDLE_SECONDS = 1.0
# Between two looks, however much is committed meanwhile; and in looks that found nothing, where these take long.
_LEAST_SECONDS = 0.1
_LEAST_LOOKS = 4
# Of what rests, as much as fits into one statement of any store.
_MOST = 5_000

logger = logging.getLogger(__name__)


class _Changing(Protocol):
    @property
    def version(self) -> int: ...

    async def wait_for_change(self, seen: int, timeout: float) -> int: ...  # noqa: ASYNC109


async def keep_looking(store: _Changing, work: Callable[[], Awaitable[bool]], name: str) -> None:
    """Call `work` until cancelled: again at once when it has found some, otherwise when the store changes.

    A look that fails ends nothing: what there is to do is still there at the next one.
    """
    while True:
        seen, began = store.version, monotonic()
        try:
            found = await work()
        except StoreBusy:
            logger.warning("The control store did not answer; %s look again", name)
            found = False
        except Exception:
            logger.exception("A look failed; %s look again", name)
            found = False
        await asyncio.sleep(0 if found else max(_LEAST_SECONDS, _LEAST_LOOKS * (monotonic() - began)))
        if not found:
            await store.wait_for_change(seen, _IDLE_SECONDS)


async def all_of(work: Iterable[Awaitable[None]]) -> None:
    """Wait for all of it, and then raise the first exception that there was."""
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


class Rests:
    """What is left alone for a while, because trying it now would come to nothing."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def add(self, key: tuple[str, str], seconds: float) -> None:
        """Leave it alone for so long."""
        self._until[key] = monotonic() + seconds

    def end(self, key: tuple[str, str]) -> None:
        """Do not leave it alone any longer."""
        self._until.pop(key, None)

    def current(self) -> list[tuple[str, str]]:
        """What is to be left alone at this moment, as far as one question to the store holds it."""
        now = monotonic()
        self._until = {key: until for key, until in self._until.items() if until > now}
        return list(self._until)[:_MOST]
