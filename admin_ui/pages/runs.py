"""The list of runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from admin_ui.components.parts import action, ask, empty, skeleton
from admin_ui.components.run_table import RunTable
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.run_filters import TRIGGERS, RunsAddress
from admin_ui.telling import keep_showing, telling, told
from convergence.errors import ConvergenceError, Unauthenticated, Unavailable
from convergence.v1.pipeline_service_pb2 import ListRunsResponse

_PAGE_SIZE = 50
_SECONDS = 3.0


@ui.page("/runs", response_timeout=PAGE_SECONDS)
async def runs_page(request: Request) -> None:
    """Every run that holds the filters in the address, updated while the page is open."""
    address = RunsAddress.read(request.query_params)
    with frame("Runs", path="/runs") as page:
        _Runs(page, address)


@dataclass(slots=True)
class _Parts:
    counts: ui.element
    loading: ui.element
    nothing: ui.element
    table: RunTable
    older: ui.link


class _Runs:
    def __init__(self, page: Frame, address: RunsAddress) -> None:
        self._page = page
        self._address = address
        may_write = page.session.may("runs:write")
        page.head.visible = may_write
        with page.head:
            action("Cancel", self._cancel, icon="block")
            action("Retry", self._retry, icon="replay")
        counts = ui.element("nav").classes("counts").props('aria-label="Statuses"')
        self._filters()
        loading = skeleton(6)
        nothing = empty("No runs here.", "Start one from the page of a pipeline, or take a filter away.")
        nothing.visible = False
        with ui.element("section").classes("card"):
            table = RunTable(with_tenant=page.session.is_operator, is_selectable=may_write)
        with ui.row().classes("w-full justify-between"):
            ui.link("Newest", address.url()).classes("" if address.token else "invisible")
            older = ui.link("Older", "#")
            older.visible = False
        self._parts = _Parts(counts, loading, nothing, table, older)
        self._counted: dict[str, int] | None = None
        keep_showing(page, self._refresh, seconds=_SECONDS)

    def _filters(self) -> None:
        address = self._address
        with ui.element("form").props("method=get action=/runs").classes("w-full flex flex-wrap gap-2 items-end"):
            for name in address.status:
                ui.element("input").props(f'type=hidden name=status value="{name}"')
            if self._page.session.is_operator:
                _field("tenant", "Tenant", address.tenant)
            _field("pipeline", "Pipeline", address.pipeline, hint="gcp/cost/cost_billing")
            _choice("trigger", "Trigger", address.trigger, TRIGGERS)
            _field("since", "From", address.since, kind="date")
            _field("until", "To", address.until, kind="date")
            _field("text", "Text", address.text)
            ui.button("Filter").props("type=submit no-caps outline dense color=primary").classes("px-3")
        with ui.element("div").classes("flex flex-wrap gap-2"):
            for name, label in address.told().items():
                with ui.link(target=address.url(**{name: ""})).classes("filter on") as link:
                    link.props["aria-label"] = f"Remove the filter {label}"
                    ui.label(label).classes("wrap-any")
                    ui.icon("close", size="14px")

    async def _refresh(self) -> None:
        address, parts = self._address, self._parts
        wanted = address.filters()
        wanted["page_size"], wanted["count"] = _PAGE_SIZE, True
        found = await self._page.session.client.list_runs(address.tenant, page_token=address.token, **wanted)
        parts.loading.visible = False
        parts.nothing.visible = not found.runs
        parts.table.show(found.runs)
        parts.older.visible = bool(found.next_page_token)
        parts.older.props(f'href="{address.url(token=found.next_page_token)}"')
        self._show_counts(found)

    def _show_counts(self, found: ListRunsResponse) -> None:
        counted = dict(sorted(found.runs_by_status.items()))
        if counted == self._counted:
            return
        self._counted = counted
        address = self._address
        self._parts.counts.clear()
        with self._parts.counts:
            _count("All", sum(counted.values()), address.url(status=()), is_on=not address.status)
            for name in {**counted, **dict.fromkeys(address.status, 0)}:
                chosen = tuple(other for other in address.status if other != name)
                is_on = name in address.status
                url = address.url(status=chosen if is_on else (*address.status, name))
                _count(name.replace("_", " ").capitalize(), counted.get(name, 0), url, is_on=is_on)

    async def _cancel(self) -> None:
        client, chosen = self._page.session.client, self._parts.table.selected
        if not chosen:
            ui.notify("Choose runs first.")
        elif await ask(f"Cancel {_runs(len(chosen))}?", answer="Cancel them"):
            await self._each(client.cancel_run, chosen, "cancelled")

    async def _retry(self) -> None:
        client, chosen = self._page.session.client, self._parts.table.selected
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
        self._parts.table.clear_selection()
        if count:
            ui.notify(f"{_runs(count)} {done}", type="positive")
        if refused:
            ui.notify("\n".join(refused[:10]), type="negative", multi_line=True, close_button="Close", timeout=0)
        async with telling():
            await self._refresh()


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _count(name: str, count: int, url: str, *, is_on: bool) -> None:
    link = ui.link(f"{name} {count:,}", url)
    if is_on:
        link.props("aria-current=true")


def _field(name: str, label: str, value: str, *, kind: str = "text", hint: str = "") -> None:
    with ui.element("label").classes("field"):
        ui.label(label).classes("small dim")
        box = ui.element("input").props(f"type={kind} name={name} maxlength=200")
        box.props["value"], box.props["placeholder"] = value, hint


def _choice(name: str, label: str, value: str, known: tuple[str, ...]) -> None:
    with ui.element("label").classes("field"):
        ui.label(label).classes("small dim")
        with ui.element("select").props(f"name={name}"):
            for one in ("", *known):
                option = TextElement(tag="option", text=one.capitalize() or "Any").props(f'value="{one}"')
                if one == value:
                    option.props("selected")
