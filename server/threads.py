"""Threads for the worker's own short work.

Processors share asyncio's default pool and may leave threads in it that never end; what the worker itself needs must
not queue behind those.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_POOL = ThreadPoolExecutor(4, thread_name_prefix="own-work")


async def in_own_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` off the event loop, as a part of what the caller is a part of."""
    here = copy_context()
    return await asyncio.get_running_loop().run_in_executor(_POOL, lambda: here.run(work, *args, **kwargs))
