"""Answers that are good for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Answer = TypeVar("_Answer")
_FRESH_SECONDS = 1.0


class Recent(Generic[_Answer]):
    """What was found out within the last second: whoever may ask without a key cannot make others wait by asking."""

    def __init__(self, ask: Callable[[], Awaitable[_Answer]]) -> None:
        self._ask = ask
        self._turn = asyncio.Lock()
        self._answer: _Answer | None = None
        self._until = 0.0

    async def __call__(self) -> _Answer:
        """The answer. Raises what `ask` raises."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            if self._answer is None or loop.time() >= self._until:
                self._answer = await self._ask()
                self._until = loop.time() + _FRESH_SECONDS
            return self._answer
