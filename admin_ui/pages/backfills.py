"""The list of backfills."""

from fastapi import Request
from nicegui import ui

from admin_ui.components.backfill_table import BackfillTable
from admin_ui.components.filter_form import NEWEST_FIRST, PageLinks, filter_field, filter_form, kept, state_choices
from admin_ui.components.parts import Awaited, card
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import BACKFILL_STATES, BackfillsAddress
from admin_ui.telling import keep_showing

_PAGE_SIZE = 50
_SECONDS = 3.0


@ui.page("/backfills", response_timeout=PAGE_SECONDS)
async def backfills_page(request: Request) -> None:
    """Every backfill that holds the filters in the address, updated while the page is open."""
    address = BackfillsAddress.read(request.query_params)
    with frame("Backfills", path="/backfills") as page:
        if page.session.may("runs:write"):
            with page.head:
                ui.button("New backfill", icon="add").props(
                    'href="/backfills/new" no-caps unelevated dense color=primary'
                ).classes("px-3")
        _filters(page, address)
        _Backfills(page, address)


def _filters(page: Frame, address: BackfillsAddress) -> None:
    state_choices(BACKFILL_STATES, address.state, lambda name: address.url(state=name))
    with filter_form("/backfills"):
        kept([("state", address.state)])
        if page.session.is_operator:
            filter_field("tenant", "Tenant", address.tenant)
        filter_field("schedule", "Schedule", address.schedule)


class _Backfills:
    def __init__(self, page: Frame, address: BackfillsAddress) -> None:
        self._page = page
        self._address = address
        self._found = Awaited("No backfills here.", "Start one, or take a filter away.")
        with self._found.box, card():
            self._table = BackfillTable(with_tenants=page.session.is_operator)
        self._pages = PageLinks(address.url() if address.token else "", names=NEWEST_FIRST)
        keep_showing(page, self._refresh, seconds=_SECONDS)

    async def _refresh(self) -> None:
        address = self._address
        wanted = address.filters()
        wanted["page_size"] = _PAGE_SIZE
        found = await self._page.session.client.list_backfills(address.tenant, page_token=address.token, **wanted)
        self._found.show(is_any=bool(found.backfills))
        self._table.show(found.backfills)
        token = found.next_page_token
        self._pages.show(address.url(token=token) if token else "")
