"""The address of a run by its id alone, as messages have it."""

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from nicegui import app

from admin_ui.components.run_table import run_path
from admin_ui.frame import SIGN_IN
from admin_ui.list_addresses import RunsAddress
from admin_ui.sessions import TOKEN, sessions
from convergence.errors import ConvergenceError


@app.get("/runs/{run_id}", include_in_schema=False)
async def run_link(request: Request, run_id: str) -> Response:
    """Leads to the run's page; where there is no such run, to the list that does not have it."""
    session = sessions().find(request.session.get(TOKEN))
    if session is None:
        return RedirectResponse(SIGN_IN, status_code=303)
    nowhere = RunsAddress(text=run_id[:200]).url()
    try:
        found = await session.client.list_runs(session.tenant_id, text=run_id[:200], page_size=1)
    except ConvergenceError:
        return RedirectResponse(nowhere, status_code=303)
    runs = [run for run in found.runs if run.pipeline_logging_id == run_id]
    return RedirectResponse(run_path(runs[0]) if runs else nowhere, status_code=303)
