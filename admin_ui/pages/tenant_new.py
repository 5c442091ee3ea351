"""Onboarding a tenant."""

from nicegui import ui

from admin_ui.components.addresses import tenant_path
from admin_ui.components.form import Form, split_lines
from admin_ui.components.parts import action, card, empty
from admin_ui.components.quotas import QuotaFields
from admin_ui.components.run_progress import RunProgress
from admin_ui.components.secret_once import secret_once
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from convergence.v1.tenant_service_pb2 import OnboardTenantResponse, TenantQuotas


@ui.page("/tenants/new", response_timeout=PAGE_SECONDS)
async def tenant_new_page() -> None:
    """Asks whom to onboard, and shows how that goes."""
    with frame("Onboard a tenant", path="/tenants") as page:
        if page.session.is_operator:
            _Onboarding(page)
        else:
            empty("Only operators onboard tenants.")


class _Onboarding:
    def __init__(self, page: Frame) -> None:
        self._page = page
        with card() as self._card:
            self._card.classes("form-card")
            self._form = form = Form()
            with ui.element("div").classes("field-grid"):
                self._id = form.line(
                    "tenant_id", "Tenant id", hint="3 to 63 of a-z, 0-9 and _, a letter first; for good"
                )
                self._name = form.line("display_name", "Display name", hint="Empty: the tenant id")
                self._location = form.line("location", "Location", hint="Of the dataset, such as US, EU, europe-west3")
                self._location.value = "US"
                self._plan = form.line("plan", "Plan", hint="Empty: the default plan")
            with ui.element("div").classes("field-grid"):
                self._emails = form.lines("contact_emails", "Contact emails", hint="One per line")
                self._sources = form.lines(
                    "allowed_sources",
                    "Allowed sources",
                    hint="One per line: project.dataset.table, project.dataset.prefix_* or s3://bucket/prefix*",
                )
            with ui.element("h2").classes("section"):
                ui.label("Limits that differ from the plan's")
            self._quotas = QuotaFields(form, TenantQuotas())
            form.rest()
            with ui.row().classes("w-full justify-end"):
                action("Onboard", self._onboard, is_main=True)
        self._progress = ui.element("div").classes("w-full page-parts")

    async def _onboard(self) -> None:
        made = await self._form.send(self._send)
        if made is not None:
            self._card.delete()
            with self._progress:
                _show_made(self._page, made)

    async def _send(self, request_id: str) -> OnboardTenantResponse:
        return await self._page.session.client.onboard_tenant(
            (self._id.value or "").strip(),
            display_name=(self._name.value or "").strip(),
            contact_emails=split_lines(self._emails.value),
            location=(self._location.value or "").strip(),
            allowed_sources=split_lines(self._sources.value),
            plan=(self._plan.value or "").strip(),
            quotas=TenantQuotas(**self._quotas.read()),
            request_id=request_id,
        )


def _show_made(page: Frame, made: OnboardTenantResponse) -> None:
    tenant_id = made.tenant.tenant_id
    with card(f"The first key of {tenant_id}") as box:
        ui.label("With every scope but admin. Give it to the tenant.").classes("dim")
        secret_once(made.api_key_secret, box.delete)
    with card("Onboarding"):
        RunProgress(page, made.run)
        with ui.row().classes("w-full justify-end"):
            ui.link(f"To the tenant {tenant_id}", tenant_path(tenant_id)).classes("wrap-any")
