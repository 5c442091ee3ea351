"""One tenant."""

from nicegui import ui

# Its path would otherwise be taken for that of a tenant.
import admin_ui.pages.tenant_new  # noqa: F401
from admin_ui.components.addresses import with_query
from admin_ui.components.api_keys import ApiKeys
from admin_ui.components.credentials import Credentials
from admin_ui.components.offboarding import offboard
from admin_ui.components.parts import action, ask, card
from admin_ui.components.quotas import UsageBars
from admin_ui.components.run_table import RunTable
from admin_ui.components.tenant_profile import ProfileEditor, TenantFacts
from admin_ui.components.values import chip, set_chip
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import RunsAddress
from admin_ui.telling import keep_showing, showing, telling
from convergence.v1.tenant_service_pb2 import Tenant

_SECONDS = 10.0
# Calls count in the tenant's own quota, and of these there is little new.
_SELDOM_SECONDS = 60.0
_LATEST_RUNS = 10


@ui.page("/tenants/{tenant_id}", response_timeout=PAGE_SECONDS)
async def tenant_page(tenant_id: str) -> None:
    """Everything about a tenant that whoever is signed in may see."""
    with frame(tenant_id, path="/tenants") as page, showing(page):
        tenant = await page.session.client.get_tenant(tenant_id)
        _TenantPage(page, tenant)


class _TenantPage:
    def __init__(self, page: Frame, tenant: Tenant) -> None:
        self._page = page
        self._tenant = tenant
        self._is_keeper = page.session.may("tenant:admin")
        self._head()
        with ui.element("div").classes("grid-2 align-start"):
            with card():
                self._profile()
            with card("Usage"):
                self._usage = UsageBars()
        with card("Latest runs"):
            self._runs = RunTable(with_tenant=False)
            ui.link("All its runs", RunsAddress(tenant=self._in_address()).url())
        if self._is_keeper:
            with card():
                self._credentials = Credentials(page, tenant.tenant_id)
            with card():
                self._keys = ApiKeys(page, tenant.tenant_id)
        self._show(tenant)
        keep_showing(page, self._refresh, seconds=_SECONDS)
        if self._is_keeper:
            keep_showing(page, self._refresh_secrets, seconds=_SELDOM_SECONDS)

    def _in_address(self) -> str:
        return self._tenant.tenant_id if self._page.session.is_operator else ""

    def _head(self) -> None:
        with ui.row().classes("w-full items-center gap-4"):
            self._chip = chip(Tenant.State.Name(self._tenant.state))
            self._name = ui.label().classes("text-weight-medium wrap-any")
            with ui.row().classes("ml-auto gap-4"):
                ui.link("Schedules", with_query("/schedules", tenant=self._in_address()))
                if self._is_keeper:
                    ui.link("Audit log", with_query("/audit", tenant=self._in_address()))
        if self._page.session.is_operator:
            with self._page.head:
                self._suspend_button = action("Suspend", self._suspend, icon="pause")
                self._resume_button = action("Resume", self._resume, icon="play_arrow")
                self._offboard_button = action("Offboard", self._offboard, icon="delete_forever")

    def _profile(self) -> None:
        with ui.row().classes("w-full items-center justify-between"):
            with ui.element("h2").classes("section"):
                ui.label("Profile")
            self._edit_button = action("Edit", self._edit, icon="edit")
        self._facts = TenantFacts()

    def _show(self, tenant: Tenant) -> None:
        """What of the page depends on how the tenant stands."""
        self._tenant = tenant
        set_chip(self._chip, Tenant.State.Name(tenant.state))
        self._name.text = tenant.display_name
        self._facts.show(tenant)
        is_over = tenant.state == Tenant.OFFBOARDED
        self._edit_button.visible = self._is_keeper and tenant.state in {Tenant.ACTIVE, Tenant.SUSPENDED}
        if self._is_keeper:
            self._keys.create_button.visible = not is_over
            self._credentials.put_button.visible = not is_over
        if self._page.session.is_operator:
            self._suspend_button.visible = tenant.state == Tenant.ACTIVE
            self._resume_button.visible = tenant.state == Tenant.SUSPENDED
            # Its dataset may be deleted later.
            self._offboard_button.visible = not is_over or bool(tenant.dataset and not tenant.offboarding_run)

    async def _refresh(self) -> None:
        if self._is_keeper and self._keys.is_busy:
            return
        client, tenant_id = self._page.session.client, self._tenant.tenant_id
        self._show(await client.get_tenant(tenant_id))
        self._usage.show((await client.get_usage(tenant_id)).quotas)
        self._runs.show((await client.list_runs(tenant_id, page_size=_LATEST_RUNS)).runs)

    async def _refresh_secrets(self) -> None:
        if not self._keys.is_busy:
            await self._credentials.refresh()
            await self._keys.refresh()

    async def _edit(self) -> None:
        ProfileEditor(self._page, self._tenant, self._show)

    async def _suspend(self) -> None:
        hint = "Running steps finish; everything else waits until it is resumed. New runs are refused."
        if await ask(f"Suspend {self._tenant.tenant_id}?", answer="Suspend it", hint=hint):
            await self._set(Tenant.SUSPENDED)

    async def _resume(self) -> None:
        hint = "What waits goes on."
        if await ask(f"Resume {self._tenant.tenant_id}?", answer="Resume it", hint=hint, is_dangerous=False):
            await self._set(Tenant.ACTIVE)

    async def _set(self, state: Tenant.State.ValueType) -> None:
        async with telling():
            self._show(await self._page.session.client.update_tenant(self._tenant.tenant_id, state=state))

    async def _offboard(self) -> None:
        ended = await offboard(self._page, self._tenant)
        if ended is not None:
            self._show(ended)
            ui.notify(f"{ended.tenant_id} is offboarded", type="positive")
            async with telling():
                await self._refresh_secrets()
