"""Making a schedule, and changing one."""

from fastapi import Request
from nicegui import ui

from admin_ui.components.choices import pipeline_choices, tenant_choices
from admin_ui.components.schedule_form import ScheduleForm
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import pipeline_parts
from admin_ui.telling import showing
from convergence.v1.schedule_service_pb2 import Schedule


@ui.page("/schedules/new", response_timeout=PAGE_SECONDS)
async def new_schedule_page(request: Request) -> None:
    """The form of a new schedule; the address may name its pipeline and its tenant."""
    query = request.query_params
    provider, domain, template_name = pipeline_parts(query.get("pipeline", ""))
    with frame("New schedule", path="/schedules") as page, showing(page):
        tenant_id = query.get("tenant", "") if page.session.is_operator else page.session.tenant_id
        given = Schedule(tenant_id=tenant_id, provider=provider, domain=domain, template_name=template_name)
        await _show(page, given)


@ui.page("/schedules/{tenant_id}/{schedule_id}/edit", response_timeout=PAGE_SECONDS)
async def edit_schedule_page(tenant_id: str, schedule_id: str) -> None:
    """The form of a schedule that exists."""
    with frame(f"Edit {schedule_id}", path="/schedules") as page, showing(page):
        given = await page.session.client.get_schedule(tenant_id, schedule_id)
        await _show(page, given)


async def _show(page: Frame, given: Schedule) -> None:
    if not page.session.may("runs:write"):
        ui.label("This API key may look at schedules, and not change them.").classes("problem")
        return
    tenants, pipelines = await tenant_choices(page.session), await pipeline_choices(page.session)
    ScheduleForm(page, given, tenants=tenants, pipelines=pipelines)
