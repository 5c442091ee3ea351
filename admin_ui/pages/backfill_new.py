"""Starting a backfill."""

from fastapi import Request
from nicegui import ui

from admin_ui.components.backfill_form import BackfillForm
from admin_ui.components.choices import pipeline_choices
from admin_ui.frame import PAGE_SECONDS, frame
from admin_ui.telling import showing


@ui.page("/backfills/new", response_timeout=PAGE_SECONDS)
async def new_backfill_page(request: Request) -> None:
    """The form of a backfill; the address may name its pipeline and its tenant."""
    query = request.query_params
    with frame("New backfill", path="/backfills") as page, showing(page):
        if not page.session.may("runs:write"):
            ui.label("This API key may look at backfills, and not start them.").classes("problem")
            return
        pipelines = await pipeline_choices(page.session)
        BackfillForm(page, pipelines=pipelines, pipeline=query.get("pipeline", ""), tenant=query.get("tenant", ""))
