"""The list of runs."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from nicegui import ui

from admin_ui.components.filter_form import (
    NEWEST_FIRST,
    PageLinks,
    choice_links,
    filter_choice,
    filter_field,
    filter_form,
    kept,
    removable,
)
from admin_ui.components.parts import Awaited, action, ask, card
from admin_ui.components.run_table import RunTable
from admin_ui.components.values import name_text
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import TRIGGERS, RunsAddress
from admin_ui.telling import keep_showing, telling, told
from convergence.errors import ConvergenceError, Unauthenticated, Unavailable

_PAGE_SIZE = 50
_SECONDS = 3.0


@ui.page("/runs", response_timeout=PAGE_SECONDS)
async def runs_page(request: Request) -> None:
    """Every run that holds the filters in the address, updated while the page is open."""
    address = RunsAddress.read(request.query_params)
    with frame("Runs", path="/runs") as page:
        _Runs(page, address)


class _Runs:
    def __init__(self, page: Frame, address: RunsAddress) -> None:
        self._page = page
        self._address = address
        may_write = page.session.may("runs:write")
        page.head.visible = may_write
        with page.head:
            action("Cancel", self._cancel, icon="block")
            action("Retry", self._retry, icon="replay")
        self._counts = ui.element("nav").classes("counts").props('aria-label="Statuses"')
        self._filters()
        self._found = Awaited("No runs here.", "Start one from the page of a pipeline, or take a filter away.")
        with self._found.box, card():
            self._table = RunTable(with_tenant=page.session.is_operator, is_selectable=may_write)
        self._pages = PageLinks(address.url() if address.token else "", names=NEWEST_FIRST)
        self._counted: dict[str, int] | None = None
        keep_showing(page, self._refresh, seconds=_SECONDS)

    def _filters(self) -> None:
        address = self._address
        with filter_form("/runs"):
            kept(("status", name) for name in address.status)
            if self._page.session.is_operator:
                filter_field("tenant", "Tenant", address.tenant)
            filter_field("pipeline", "Pipeline", address.pipeline, hint="gcp/cost/cost_billing")
            filter_choice("trigger", "Trigger", address.trigger, TRIGGERS)
            filter_field("since", "From", address.since, kind="date")
            filter_field("until", "To", address.until, kind="date")
            filter_field("text", "Text", address.text)
        with ui.element("div").classes("flex flex-wrap gap-2"):
            for name, label in address.told().items():
                removable(label, address.url(**{name: ""}))

    async def _refresh(self) -> None:
        address = self._address
        wanted = address.filters()
        wanted["page_size"], wanted["count"] = _PAGE_SIZE, True
        found = await self._page.session.client.list_runs(address.tenant, page_token=address.token, **wanted)
        self._found.show(is_any=bool(found.runs))
        self._table.show(found.runs)
        self._pages.show(address.url(token=found.next_page_token) if found.next_page_token else "")
        self._show_counts(dict(sorted(found.runs_by_status.items())))

    def _show_counts(self, counted: dict[str, int]) -> None:
        if counted == self._counted:
            return
        self._counted = counted
        self._counts.clear()
        chosen = self._address.status
        links = {f"All {sum(counted.values()):,}": (self._address.url(status=()), not chosen)}
        for name in {**counted, **dict.fromkeys(chosen, 0)}:
            others = tuple(other for other in chosen if other != name)
            words = f"{name_text(name)} {counted.get(name, 0):,}"
            is_on = name in chosen
            links[words] = (self._address.url(status=others if is_on else (*chosen, name)), is_on)
        with self._counts:
            choice_links(links)

    async def _cancel(self) -> None:
        client, chosen = self._page.session.client, self._table.selected
        if not chosen:
            ui.notify("Choose runs first.")
        elif await ask(f"Cancel {_runs(len(chosen))}?", answer="Cancel them"):
            await self._each(client.cancel_run, chosen, "cancelled")

    async def _retry(self) -> None:
        client, chosen = self._page.session.client, self._table.selected
        if not chosen:
            ui.notify("Choose runs first.")
        elif await ask(f"Retry {_runs(len(chosen))} from where they failed?", answer="Retry them", is_dangerous=False):
            await self._each(client.retry_run, chosen, "started again")

    async def _each(
        self, call: Callable[[str, str], Awaitable[object]], chosen: list[tuple[str, str]], done: str
    ) -> None:
        """Call it for each; what is refused is told together."""
        refused, count = list[str](), 0
        async with telling():
            for tenant_id, run_id in chosen:
                try:
                    await call(tenant_id, run_id)
                except (Unauthenticated, Unavailable):
                    raise
                except ConvergenceError as error:
                    refused.append(f"{run_id[:8]}: {told(error)}")
                else:
                    count += 1
        self._table.clear_selection()
        if count:
            ui.notify(f"{_runs(count)} {done}", type="positive")
        if refused:
            ui.notify("\n".join(refused[:10]), type="negative", multi_line=True, close_button="Close", timeout=0)
        async with telling():
            await self._refresh()


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
