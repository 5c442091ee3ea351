"""A run's log as a file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from nicegui import app

from admin_ui.components.run_log import told
from admin_ui.components.values import iso
from admin_ui.sessions import TOKEN, Session, sessions
from admin_ui.telling import told as told_error
from convergence.errors import ConvergenceError, NotFound, Unauthenticated
from convergence.v1.run_pb2 import Run, RunEvent
from convergence.watching import ENDED

# Of a run that goes on, what has happened so far is there at once.
_SILENCE_SECONDS = 2.0


@app.get("/runs/{tenant_id}/{run_id}/log", include_in_schema=False)
async def run_text(request: Request, tenant_id: str, run_id: str) -> Response:
    """What has happened to a run so far, one line an event."""
    session = sessions().find(request.session.get(TOKEN))
    if session is None:
        return PlainTextResponse("Sign in first.", status_code=401)
    try:
        run = await session.client.get_run(tenant_id, run_id)
    except ConvergenceError as error:
        code = 404 if isinstance(error, NotFound) else 401 if isinstance(error, Unauthenticated) else 503
        return PlainTextResponse(told_error(error), status_code=code)
    return StreamingResponse(
        _lines(session, run),
        media_type="text/plain; charset=utf-8",
        headers={
            "content-disposition": f'attachment; filename="{run.pipeline_logging_id}.log"',
            "cache-control": "no-store",
        },
    )


async def _lines(session: Session, run: Run) -> AsyncIterator[str]:
    """The events that there are; the last line says so when there may be more."""
    async with aclosing(session.client.watch(run.tenant_id, run.pipeline_logging_id)) as events:
        try:
            while (event := await _next(events, is_live=run.status not in ENDED)) is not None:
                step, level, text = told(event)
                yield f"{iso(event.time)} {level:7} {step or '-'} {text}\n"
        except TimeoutError:
            yield "-- the run goes on\n"
        except ConvergenceError as error:
            yield f"-- cut off: {told_error(error)}\n"


async def _next(events: AsyncIterator[RunEvent], *, is_live: bool) -> RunEvent | None:
    async with asyncio.timeout(_SILENCE_SECONDS if is_live else None):
        return await anext(events, None)
