"""The list of schedules, and what they fire in the coming days."""

from fastapi import Request
from nicegui import ui

from admin_ui.components.calendar import FIRES, Calendar
from admin_ui.components.filter_form import PageLinks, choices, filter_field, filter_form, kept, state_choices
from admin_ui.components.parts import Awaited, card
from admin_ui.components.schedule_table import ScheduleTable
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import CALENDAR, SCHEDULE_STATES, SchedulesAddress
from admin_ui.schedule_actions import pause_or_resume
from admin_ui.telling import keep_showing, telling
from convergence.client import ScheduleFilter
from convergence.v1.schedule_service_pb2 import ListSchedulesResponse, Schedule

_PAGE_SIZE = 100
_SECONDS = 5.0
_CALENDAR_SECONDS = 15.0


@ui.page("/schedules", response_timeout=PAGE_SECONDS)
async def schedules_page(request: Request) -> None:
    """Every schedule that holds the filters in the address, updated while the page is open."""
    address = SchedulesAddress.read(request.query_params)
    with frame("Schedules", path="/schedules") as page:
        if page.session.may("runs:write"):
            with page.head:
                ui.button("New schedule", icon="add").props(
                    'href="/schedules/new" no-caps unelevated dense color=primary'
                ).classes("px-3")
        _filters(page, address)
        if address.view == CALENDAR:
            _Calendar(page, address)
        else:
            _List(page, address)


def _filters(page: Frame, address: SchedulesAddress) -> None:
    with ui.row().classes("w-full items-center gap-4"):
        views = {"List": (address.url(view=""), not address.view)}
        views["Calendar"] = (address.url(view=CALENDAR, state=""), address.view == CALENDAR)
        choices("Views", views)
        if not address.view:
            state_choices(SCHEDULE_STATES, address.state, lambda name: address.url(state=name))
    with filter_form("/schedules"):
        kept([("view", address.view), ("state", address.state)])
        if page.session.is_operator:
            filter_field("tenant", "Tenant", address.tenant)
        filter_field("pipeline", "Pipeline", address.pipeline, hint="gcp/cost/cost_billing")


class _List:
    def __init__(self, page: Frame, address: SchedulesAddress) -> None:
        self._page = page
        self._address = address
        self._found = Awaited("No schedules here.", "Make one, or take a filter away.")
        with self._found.box, card():
            act = self._act if page.session.may("runs:write") else None
            self._table = ScheduleTable(with_tenant=page.session.is_operator, act=act)
        self._pages = PageLinks(address.url() if address.token else "")
        keep_showing(page, self._refresh, seconds=_SECONDS)

    async def _refresh(self) -> None:
        found = await _found(self._page, self._address, self._address.filters())
        self._found.show(is_any=bool(found.schedules))
        self._table.show(found.schedules)
        token = found.next_page_token
        self._pages.show(self._address.url(token=token) if token else "")

    async def _act(self, schedule: Schedule) -> None:
        await pause_or_resume(self._page, schedule)
        async with telling():
            await self._refresh()


class _Calendar:
    def __init__(self, page: Frame, address: SchedulesAddress) -> None:
        self._page = page
        self._address = address
        self._found = Awaited("Nothing fires in the coming seven days.", "Make a schedule, or resume one.")
        with self._found.box:
            self._calendar = Calendar(with_tenant=page.session.is_operator)
        self._pages = PageLinks(address.url() if address.token else "")
        keep_showing(page, self._refresh, seconds=_CALENDAR_SECONDS)

    async def _refresh(self) -> None:
        wanted = self._address.filters()
        wanted["fire_times"], wanted["states"] = FIRES, [Schedule.ACTIVE]
        found = await _found(self._page, self._address, wanted)
        self._found.show(is_any=self._calendar.show(found.schedules))
        token = found.next_page_token
        self._pages.show(self._address.url(token=token) if token else "")


async def _found(page: Frame, address: SchedulesAddress, wanted: ScheduleFilter) -> ListSchedulesResponse:
    wanted["page_size"] = _PAGE_SIZE
    return await page.session.client.list_schedules(address.tenant, page_token=address.token, **wanted)
