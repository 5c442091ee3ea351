"""What goes on in the background of a page: over restarts of the service, until the page is gone or there is an end."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio
from nicegui import background_tasks, ui

from admin_ui.frame import Frame
from admin_ui.telling import leave, told
from convergence.errors import ConvergenceError, Unauthenticated, Unavailable

_PAUSE_SECONDS = 2.0


def lost(noun: str) -> str:
    """What a page says while the service does not answer."""
    return f"The service does not answer. The {noun} may go on meanwhile; trying again \u2026"


def keep_following(page: Frame, work: Callable[[], Awaitable[None]], *, noun: str) -> None:
    """Do the work that follows a `noun` to its end, and again where the service was lost; not longer than the page."""
    client = ui.context.client

    async def follow() -> None:
        while True:
            try:
                await work()
            except Unauthenticated:
                with client:
                    leave()
            except grpc.aio.UsageError:
                # The connection was closed with the session.
                return
            except Unavailable:
                page.lost(lost(noun))
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            except ConvergenceError as error:
                if not page.session.is_over:
                    page.lost(told(error))
            return

    task = background_tasks.create(follow(), name=f"follow a {noun}")
    client.on_delete(task.cancel)
