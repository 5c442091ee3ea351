"""Follows one backfill for a page."""

from collections.abc import Callable
from contextlib import aclosing

from nicegui import ui

from admin_ui.following import keep_following, lost
from admin_ui.frame import Frame
from convergence.v1.backfill_pb2 import Backfill


def follow_backfill(page: Frame, backfill_id: str, on_state: Callable[[Backfill], None]) -> None:
    """Have `on_state` called with the present state and each new one, while the page exists."""
    client = ui.context.client

    async def states() -> None:
        source = page.session.client.watch_backfill(backfill_id, on_connection_loss=lambda: page.lost(lost("backfill")))
        async with aclosing(source) as stream:
            async for state in stream:
                page.found()
                with client:
                    on_state(state)

    keep_following(page, states, noun="backfill")
