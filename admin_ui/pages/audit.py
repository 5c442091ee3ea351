"""The audit log."""

from typing import Any
from urllib.parse import quote

from nicegui import ui

from admin_ui.components.addresses import tenant_path, with_query
from admin_ui.components.parts import card, empty, skeleton
from admin_ui.components.values import iso
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.telling import keep_showing
from convergence.v1.system_service_pb2 import AuditEvent

_SECONDS = 10.0
_PAGE_SIZE = 50
_COLUMNS = (
    ("time", "Time"),
    ("tenant", "Tenant"),
    ("action", "Action"),
    ("subject", "Subject"),
    ("key", "By key"),
    ("peer", "From"),
    ("details", "Details"),
)
_SLOTS = {
    "time": '<q-td :props="props" class="on-one-line"><time class="num" :datetime="props.value"></time></q-td>',
    "tenant": '<q-td :props="props"><a v-if="props.value" :href="props.row.tenant_href">{{ props.value }}</a></q-td>',
    "action": '<q-td :props="props" class="text-weight-medium">{{ props.value }}</q-td>',
    "subject": '<q-td :props="props" class="mono wrap-any subject-cell">'
    '<a v-if="props.row.href" :href="props.row.href">'
    "{{ props.value }}</a><span v-else>{{ props.value }}</span></q-td>",
    "key": '<q-td :props="props" class="mono" :data-label="props.value ? \'by\' : null">{{ props.value }}</q-td>',
    "peer": '<q-td :props="props" class="mono dim on-one-line" :data-label="props.value ? \'from\' : null">'
    "{{ props.value }}</q-td>",
    "details": '<q-td :props="props"><div v-for="one in props.value" class="small wrap-any pair">'
    '<span class="dim">{{ one[0] }}</span><span>{{ one[1] }}</span></div></q-td>',
}


@ui.page("/audit", response_timeout=PAGE_SECONDS)
async def audit_page(tenant: str = "", token: str = "") -> None:
    """Who changed what, newest first."""
    with frame("Audit log", path="/audit") as page:
        if not page.session.may("tenant:admin"):
            empty("Your key may not see the audit log.", "That takes the scope tenant:admin.")
            return
        _Audit(page, tenant.strip() if page.session.is_operator else page.session.tenant_id, token)


class _Audit:
    def __init__(self, page: Frame, tenant_id: str, token: str) -> None:
        self._page = page
        self._tenant_id = tenant_id
        self._token = token
        self._rows: list[dict[str, Any]] = []
        # A tenant's key needs no tenant in the address: it sees its own.
        self._in_address = tenant_id if page.session.is_operator else ""
        if page.session.is_operator:
            _filter(tenant_id)
        self._loading = skeleton(6)
        self._nothing = empty("Nothing has been changed.")
        self._nothing.visible = False
        with card() as self._card:
            self._table = self._make_table()
        self._card.visible = False
        with ui.row().classes("w-full justify-between"):
            newest = with_query("/audit", tenant=self._in_address)
            ui.link("Newest", newest).classes("" if token else "invisible")
            self._older = ui.link("Older", "#")
            self._older.visible = False
        keep_showing(page, self._refresh, seconds=_SECONDS)

    def _make_table(self) -> ui.table:
        columns = [
            {"name": name, "label": label, "field": name, "align": "left"}
            for name, label in _COLUMNS
            if name != "tenant" or self._page.session.is_operator
        ]
        table = ui.table(columns=columns, rows=[], row_key="number").classes("w-full stack-table")
        table.props('flat wrap-cells aria-label="Audit log"')
        for name, slot in _SLOTS.items():
            table.add_slot(f"body-cell-{name}", slot)
        return table

    async def _refresh(self) -> None:
        try:
            found = await self._page.session.client.list_audit_events(
                tenant_id=self._tenant_id, page_size=_PAGE_SIZE, page_token=self._token
            )
        finally:
            self._loading.visible = False
        self._nothing.visible = not found.events
        self._card.visible = bool(found.events)
        rows = [_row(event) for event in found.events]
        if rows != self._rows:
            self._rows = rows
            self._table.rows = rows
        self._older.visible = bool(found.next_page_token)
        self._older.props["href"] = with_query("/audit", tenant=self._in_address, token=found.next_page_token)


def _row(event: AuditEvent) -> dict[str, Any]:
    return {
        "number": event.number,
        "time": iso(event.time),
        "tenant": event.tenant_id,
        "tenant_href": tenant_path(event.tenant_id),
        "action": event.action,
        "subject": event.subject,
        "href": _subject_path(event),
        "key": event.key_id,
        "peer": event.peer,
        "details": sorted(event.details.items()),
    }


def _subject_path(event: AuditEvent) -> str:
    """The page of what was changed; '' where it has none."""
    owned = f"{quote(event.tenant_id, safe='')}/{quote(event.subject, safe='')}"
    match event.action.partition(".")[0]:
        case "tenant":
            return tenant_path(event.subject)
        case "run":
            return f"/runs/{owned}"
        case "schedule" if event.tenant_id and event.action != "schedule.delete":
            return f"/schedules/{owned}"
        case "backfill":
            return f"/backfills/{quote(event.subject, safe='')}"
        case _:
            return ""


def _filter(tenant_id: str) -> None:
    with ui.element("form").props("method=get action=/audit").classes("w-full flex flex-wrap gap-2 items-end"):
        with ui.element("label").classes("field"):
            ui.label("Tenant").classes("small dim")
            box = ui.element("input").props("name=tenant maxlength=63 placeholder=all")
            box.props["value"] = tenant_id
        ui.button("Filter").props("type=submit no-caps outline dense color=primary").classes("px-3")
    if tenant_id:
        with ui.row(), ui.link(target="/audit").classes("filter on") as link:
            link.props["aria-label"] = "Remove the filter by tenant"
            ui.label(f"Tenant: {tenant_id}").classes("wrap-any")
            ui.icon("close", size="14px")
