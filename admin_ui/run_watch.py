"""Follows one run for a page."""

from collections.abc import Callable
from contextlib import aclosing

from nicegui import ui

from admin_ui.following import keep_following, lost
from admin_ui.frame import Frame
from convergence.v1.run_pb2 import RunEvent
from convergence.watching import ends_run


def follow(page: Frame, tenant_id: str, run_id: str, on_event: Callable[[RunEvent], None]) -> None:
    """Have `on_event` called with each event of the run, from the first one on, while the page exists."""
    client = ui.context.client
    last = 0

    async def events() -> None:
        nonlocal last
        source = page.session.client.watch(
            tenant_id, run_id, after_sequence=last, on_connection_loss=lambda: page.lost(lost("run"))
        )
        async with aclosing(source) as stream:
            async for event in stream:
                last = event.sequence
                page.found()
                with client:
                    on_event(event)
                if ends_run(event):
                    return

    keep_following(page, events, noun="run")
