"""API keys of the operators, or of one tenant."""

from nicegui import ui

from admin_ui.components.addresses import tenant_path
from admin_ui.components.api_keys import ApiKeys
from admin_ui.components.filter_form import filter_field, filter_form
from admin_ui.components.parts import card, empty
from admin_ui.frame import PAGE_SECONDS, frame
from admin_ui.telling import keep_showing

_SECONDS = 15.0


@ui.page("/api-keys", response_timeout=PAGE_SECONDS)
async def api_keys_page(tenant: str = "") -> None:
    """The keys that whoever is signed in may make and revoke."""
    with frame("API keys", path="/api-keys") as page:
        session = page.session
        if not session.may("tenant:admin"):
            empty("Your key may not see API keys.", "That takes the scope tenant:admin.")
            return
        owner = tenant.strip() if session.is_operator else session.tenant_id
        if session.is_operator:
            _whose(owner)
        with card():
            keys = ApiKeys(page, owner)

        async def refresh() -> None:
            if not keys.is_busy:
                await keys.refresh()

        keep_showing(page, refresh, seconds=_SECONDS)


def _whose(tenant_id: str) -> None:
    with filter_form("/api-keys", button="Show"):
        filter_field("tenant", "Tenant", tenant_id, hint="empty: the operators'")
    with ui.row().classes("w-full gap-2 items-center"):
        if tenant_id:
            ui.label("Keys of the tenant").classes("dim")
            ui.link(tenant_id, tenant_path(tenant_id)).classes("wrap-any")
            ui.link("Show the operators' keys", "/api-keys").classes("ml-auto")
        else:
            ui.label("Keys of the operators: each of them may do everything, for every tenant.").classes("dim")
