"""The list of tenants."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi.responses import RedirectResponse
from nicegui import ui

from admin_ui.components.addresses import tenant_path, with_query
from admin_ui.components.parts import card, empty, skeleton
from admin_ui.components.quotas import share_class, used_share, used_text
from admin_ui.components.values import iso
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.sessions import current_session
from admin_ui.telling import keep_showing
from convergence.errors import NotFound
from convergence.v1.tenant_service_pb2 import Tenant, Usage

_PAGE_SIZE = 50
_AT_A_TIME = 8
_SECONDS = 30.0
_STATES = tuple(name for name, number in Tenant.State.items() if number)
_USED = {"runs": "runs_per_day", "bytes": "bytes_billed_per_day"}
_COLUMNS = (
    ("tenant", "Tenant"),
    ("state", "State"),
    ("plan", "Plan"),
    ("created", "Created"),
    ("runs", "Runs today"),
    ("bytes", "Billed today"),
)
_USE = """<q-td :props="props" :data-label="props.value ? '%s' : null"><div v-if="props.value" class="use">
<div class="small num">{{ props.value.text }}</div>
<div v-if="props.value.share !== null" class="bar" :class="props.value.bar">
<i v-if="props.value.share" :style="{ width: props.value.share + '%%' }"></i></div></div></q-td>"""
_SLOTS = {
    "tenant": '<q-td :props="props"><a :href="props.row.href">{{ props.value }}</a>'
    '<div class="dim small wrap-any">{{ props.row.name }}</div></q-td>',
    "state": '<q-td :props="props"><span class="chip" :class="\'s-\' + props.value">{{ props.value }}</span></q-td>',
    "created": '<q-td :props="props" data-label="created"><time class="num" :datetime="props.value"></time></q-td>',
    "runs": _USE % "runs today",
    "bytes": _USE % "billed today",
}


@ui.page("/tenants", response_timeout=PAGE_SECONDS)
async def tenants_page(state: str = "", token: str = "", go: str = "") -> RedirectResponse | None:
    """All tenants; whoever is one of them is sent on to their own page."""
    session = current_session()
    wanted = go.strip() if session.is_operator else session.tenant_id
    if wanted:
        return RedirectResponse(tenant_path(wanted), status_code=303)
    with frame("Tenants", path="/tenants") as page:
        _Tenants(page, state if state in _STATES else "", token)
    return None


class _Tenants:
    def __init__(self, page: Frame, state: str, token: str) -> None:
        self._page = page
        self._state = state
        self._token = token
        self._rows: list[dict[str, Any]] = []
        with page.head:
            ui.button("Onboard a tenant", icon="add").props(
                "href=/tenants/new no-caps unelevated dense color=primary"
            ).classes("px-3")
        _states(state)
        _go_to()
        self._loading = skeleton(6)
        self._nothing = empty("No tenants here.", "Onboard one, or take the filter away.")
        self._nothing.visible = False
        with card() as self._card:
            self._table = _make_table()
        self._card.visible = False
        with ui.row().classes("w-full justify-between"):
            ui.link("First", with_query("/tenants", state=state)).classes("" if token else "invisible")
            self._next = ui.link("Next", "#")
            self._next.visible = False
        keep_showing(page, self._refresh, seconds=_SECONDS)

    async def _refresh(self) -> None:
        states = [Tenant.State.Value(self._state)] if self._state else []
        try:
            found = await self._page.session.client.list_tenants(
                states=states, page_size=_PAGE_SIZE, page_token=self._token
            )
        finally:
            self._loading.visible = False
        self._nothing.visible = not found.tenants
        self._card.visible = bool(found.tenants)
        self._next.visible = bool(found.next_page_token)
        self._next.props["href"] = with_query("/tenants", state=self._state, token=found.next_page_token)
        known = {row["tenant"]: row for row in self._rows}
        self._show([_row(tenant, known.get(tenant.tenant_id, {})) for tenant in found.tenants])
        usages = await self._usages([one.tenant_id for one in found.tenants if one.state != Tenant.OFFBOARDED])
        self._show([{**row, **_used(usages.get(row["tenant"]))} for row in self._rows])

    async def _usages(self, tenant_ids: Sequence[str]) -> dict[str, Usage]:
        """What each of them has used, asked for a few at a time."""
        client, places = self._page.session.client, asyncio.Semaphore(_AT_A_TIME)

        async def usage(tenant_id: str) -> Usage | None:
            async with places:
                try:
                    return await client.get_usage(tenant_id)
                except NotFound:
                    return None

        found = await asyncio.gather(*map(usage, tenant_ids))
        return {one.tenant_id: one for one in found if one is not None}

    def _show(self, rows: list[dict[str, Any]]) -> None:
        if rows != self._rows:
            self._rows = rows
            self._table.rows = rows


def _make_table() -> ui.table:
    columns = [{"name": name, "label": label, "field": name, "align": "left"} for name, label in _COLUMNS]
    table = ui.table(columns=columns, rows=[], row_key="tenant").classes("w-full stack-table")
    table.props('flat wrap-cells aria-label="Tenants"')
    for name, slot in _SLOTS.items():
        table.add_slot(f"body-cell-{name}", slot)
    return table


def _row(tenant: Tenant, before: dict[str, Any]) -> dict[str, Any]:
    """The row, with the usage that it had before until that has been asked for again."""
    return {
        "tenant": tenant.tenant_id,
        "href": tenant_path(tenant.tenant_id),
        "name": tenant.display_name if tenant.display_name != tenant.tenant_id else "",
        "state": Tenant.State.Name(tenant.state),
        "plan": tenant.plan or before.get("plan", ""),
        "created": iso(tenant.created_at),
        **{name: before.get(name) for name in _USED},
    }


def _used(usage: Usage | None) -> dict[str, Any]:
    found = {item.quota: item for item in usage.quotas} if usage is not None else {}
    shown: dict[str, Any] = dict.fromkeys(_USED)
    for name, quota in _USED.items():
        if item := found.get(quota):
            share = used_share(item)
            shown[name] = {"text": used_text(item), "share": share, "bar": share_class(share or 0)}
    if usage is not None:
        shown["plan"] = usage.plan
    return shown


def _states(chosen: str) -> None:
    with ui.element("nav").classes("counts").props('aria-label="States"'):
        for name in ("", *_STATES):
            link = ui.link(name.capitalize() or "All", with_query("/tenants", state=name))
            if name == chosen:
                link.props("aria-current=true")


def _go_to() -> None:
    with ui.element("form").props("method=get action=/tenants").classes("w-full flex flex-wrap gap-2 items-end"):
        with ui.element("label").classes("field"):
            ui.label("Tenant").classes("small dim")
            ui.element("input").props("name=go maxlength=63 required placeholder=acme_corp")
        ui.button("Open").props("type=submit no-caps outline dense color=primary").classes("px-3")
