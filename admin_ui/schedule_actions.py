"""What somebody may do to a schedule, wherever a page shows one."""

from nicegui import ui

from admin_ui.components.reasons import ask_reason
from admin_ui.frame import Frame
from admin_ui.telling import telling
from convergence.v1.schedule_service_pb2 import Schedule


async def pause_or_resume(page: Frame, schedule: Schedule) -> None:
    """Pause the schedule when it is active, else let it go on."""
    if schedule.state == Schedule.ACTIVE:
        await pause(page, schedule)
    else:
        await resume(page, schedule)


async def pause(page: Frame, schedule: Schedule) -> None:
    """Ask why, then stop it from firing."""
    reason = await ask_reason(
        f"Pause {schedule.schedule_id}?",
        answer="Pause it",
        hint="Its runs go on; what passes until it is resumed is not made up for.",
    )
    if reason is None:
        return
    async with telling():
        await page.session.client.pause_schedule(schedule.tenant_id, schedule.schedule_id, reason=reason)
        ui.notify(f"{schedule.schedule_id} is paused", type="positive")


async def resume(page: Frame, schedule: Schedule) -> None:
    """Let it fire again."""
    async with telling():
        await page.session.client.resume_schedule(schedule.tenant_id, schedule.schedule_id)
        ui.notify(f"{schedule.schedule_id} goes on", type="positive")
