"""Who asks all the time is told what was found out a moment ago."""

import asyncio

import pytest

from server.gateway import recent
from server.gateway.recent import Recent


async def test_many_who_ask_at_once_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_FRESH_SECONDS", 0.2)
    asked = 0

    async def ask() -> int:
        nonlocal asked
        await asyncio.sleep(0)
        asked += 1
        return asked

    answer = Recent(ask)
    assert await asyncio.gather(*(answer() for _ in range(50))) == [1] * 50
    async with asyncio.timeout(10):
        while await answer() == 1:
            await asyncio.sleep(0.01)
    assert asked == 2


async def test_a_failure_is_asked_for_again() -> None:
    answers = iter([None, 7])

    async def ask() -> int:
        if (found := next(answers)) is None:
            raise LookupError("not now")
        return found

    answer = Recent(ask)
    with pytest.raises(LookupError, match="not now"):
        await answer()
    assert await answer() == 7
