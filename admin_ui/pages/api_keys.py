"""API keys of the operators, or of one tenant."""

from nicegui import ui

from admin_ui.components.addresses import tenant_path
from admin_ui.components.api_keys import ApiKeys
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
    with ui.element("form").props("method=get action=/api-keys").classes("w-full flex flex-wrap gap-2 items-end"):
        with ui.element("label").classes("field"):
            ui.label("Tenant").classes("small dim")
            box = ui.element("input").props("name=tenant maxlength=63 placeholder='empty: the operators'")
            box.props["value"] = tenant_id
        ui.button("Show").props("type=submit no-caps outline dense color=primary").classes("px-3")
    with ui.row().classes("w-full gap-2 items-center"):
        if tenant_id:
            ui.label("Keys of the tenant").classes("dim")
            ui.link(tenant_id, tenant_path(tenant_id)).classes("wrap-any")
            ui.link("Show the operators' keys", "/api-keys").classes("ml-auto")
        else:
            ui.label("Keys of the operators: each of them may do everything, for every tenant.").classes("dim")
