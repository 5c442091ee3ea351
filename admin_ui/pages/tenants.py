"""The list of tenants."""

from fastapi.responses import RedirectResponse
from nicegui import ui

from admin_ui.components.addresses import tenant_path, with_query
from admin_ui.components.filter_form import PageLinks, filter_field, filter_form, state_choices
from admin_ui.components.parts import Awaited, card
from admin_ui.components.quotas import share_class, used_share, used_text
from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.values import iso
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.sessions import current_session
from admin_ui.telling import keep_showing
from convergence.v1.tenant_service_pb2 import QuotaUsage, Tenant, Usage

_PAGE_SIZE = 50
_SECONDS = 30.0
_STATES = tuple(name for name, number in Tenant.State.items() if number)
_USED = {"runs": "runs_per_day", "bytes": "bytes_billed_per_day"}
_COLUMNS = {
    "tenant": "Tenant",
    "state": "State",
    "plan": "Plan",
    "created": "Created",
    "runs": "Runs today",
    "bytes": "Billed today",
}
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
        with page.head:
            ui.button("Onboard a tenant", icon="add").props(
                "href=/tenants/new no-caps unelevated dense color=primary"
            ).classes("px-3")
        state_choices(_STATES, state, lambda name: with_query("/tenants", state=name))
        with filter_form("/tenants", button="Open"):
            filter_field("go", "Tenant", "", hint="acme_corp")
        self._found = Awaited("No tenants here.", "Onboard one, or take the filter away.")
        with self._found.box, card():
            self._table = RowTable("Tenants", _COLUMNS, _SLOTS, key="tenant")
        self._pages = PageLinks(with_query("/tenants", state=state) if token else "")
        keep_showing(page, self._refresh, seconds=_SECONDS)

    async def _refresh(self) -> None:
        states = [Tenant.State.Value(self._state)] if self._state else []
        found = await self._page.session.client.list_tenants(
            states=states, with_usage=True, page_size=_PAGE_SIZE, page_token=self._token
        )
        self._found.show(is_any=bool(found.tenants))
        following = found.next_page_token
        self._pages.show(with_query("/tenants", state=self._state, token=following) if following else "")
        self._table.show(list(map(_row, found.tenants, found.usages)))


def _row(tenant: Tenant, usage: Usage) -> Row:
    used, is_over = {item.quota: item for item in usage.quotas}, tenant.state == Tenant.OFFBOARDED
    return {
        "tenant": tenant.tenant_id,
        "href": tenant_path(tenant.tenant_id),
        "name": tenant.display_name if tenant.display_name != tenant.tenant_id else "",
        "state": Tenant.State.Name(tenant.state),
        "plan": usage.plan,
        "created": iso(tenant.created_at),
        **{name: None if is_over else _used(used[quota]) for name, quota in _USED.items()},
    }


def _used(item: QuotaUsage) -> Row:
    share = used_share(item)
    return {"text": used_text(item), "share": share, "bar": share_class(share or 0)}
