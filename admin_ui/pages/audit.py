"""The audit log."""

from urllib.parse import quote

from nicegui import ui

from admin_ui.components.addresses import tenant_path, with_query
from admin_ui.components.filter_form import NEWEST_FIRST, PageLinks, filter_field, filter_form, removable
from admin_ui.components.parts import Awaited, card, empty
from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.values import iso
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.telling import keep_showing
from convergence.v1.system_service_pb2 import AuditEvent

_SECONDS = 10.0
_PAGE_SIZE = 50
_COLUMNS = {
    "time": "Time",
    "tenant": "Tenant",
    "action": "Action",
    "subject": "Subject",
    "key": "By key",
    "peer": "From",
    "details": "Details",
}
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
        # A tenant's key needs no tenant in the address: it sees its own.
        self._in_address = tenant_id if page.session.is_operator else ""
        if page.session.is_operator:
            _filter(tenant_id)
        self._found = Awaited("Nothing has been changed.")
        with self._found.box, card():
            without = () if page.session.is_operator else ("tenant",)
            self._table = RowTable("Audit log", _COLUMNS, _SLOTS, key="number", without=without)
        newest = with_query("/audit", tenant=self._in_address) if token else ""
        self._pages = PageLinks(newest, names=NEWEST_FIRST)
        keep_showing(page, self._refresh, seconds=_SECONDS)

    async def _refresh(self) -> None:
        found = await self._page.session.client.list_audit_events(
            tenant_id=self._tenant_id, page_size=_PAGE_SIZE, page_token=self._token
        )
        self._found.show(is_any=bool(found.events))
        self._table.show([_row(event) for event in found.events])
        token = found.next_page_token
        self._pages.show(with_query("/audit", tenant=self._in_address, token=token) if token else "")


def _row(event: AuditEvent) -> Row:
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
    with filter_form("/audit"):
        filter_field("tenant", "Tenant", tenant_id, hint="all")
    if tenant_id:
        with ui.row():
            removable(f"Tenant: {tenant_id}", "/audit")
