"""Tasks that belong together: none of them may end unnoticed."""

import asyncio
from collections.abc import Iterable


async def first_ended(tasks: "Iterable[asyncio.Task[None]]") -> None:
    """Wait until one of the tasks ends, and raise what ended it."""
    done, _ = await asyncio.wait(list(tasks), return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def end_tasks(tasks: "Iterable[asyncio.Task[None]]") -> None:
    """Cancel tasks and wait for them."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.wait(ending)
