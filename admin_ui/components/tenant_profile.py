"""What is known of a tenant, and changing it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from nicegui import ui

from admin_ui.components.form import Form, split_lines
from admin_ui.components.parts import action, titled_dialog
from admin_ui.components.quotas import QUOTAS, QuotaFields, amount
from admin_ui.components.values import NOTHING, TimeText
from admin_ui.frame import Frame
from admin_ui.telling import telling
from convergence.errors import Aborted
from convergence.v1.tenant_service_pb2 import Tenant


class TenantChanges(TypedDict, total=False):
    """What is said differently; what is missing stays as it is."""

    display_name: str
    contact_emails: Sequence[str]
    allowed_sources: Sequence[str]
    plan: str
    limits: Mapping[str, int | None]


class TenantFacts:
    """The profile, to read."""

    def __init__(self) -> None:
        self._box = ui.element("div").classes("w-full")
        self._shown: Tenant | None = None

    def show(self, tenant: Tenant) -> None:
        """Show the tenant as it is now."""
        if tenant == self._shown:
            return
        self._shown = tenant
        self._box.clear()
        with self._box, ui.element("dl").classes("facts"):
            _fact("Display name", tenant.display_name)
            _fact("Dataset", f"{tenant.dataset} in {tenant.location}" if tenant.dataset else "deleted")
            _fact("Contact emails", *tenant.contact_emails)
            _fact("Allowed sources", *tenant.allowed_sources)
            _fact("Plan", tenant.plan or "default")
            _fact("Own limits", *_own_limits(tenant))
            with ui.element("dt"):
                ui.label("Created")
            with ui.element("dd"):
                TimeText(tenant.created_at)
            for name, run_id in (
                ("Onboarding run", tenant.onboarding_run),
                ("Offboarding run", tenant.offboarding_run),
            ):
                if run_id:
                    with ui.element("dt"):
                        ui.label(name)
                    with ui.element("dd"):
                        ui.link(run_id, f"/runs/{tenant.tenant_id}/{run_id}").classes("mono")


def _own_limits(tenant: Tenant) -> list[str]:
    return [f"{QUOTAS[field.name]}: {amount(field.name, value)}" for field, value in tenant.quotas.ListFields()]


def _fact(name: str, *values: str) -> None:
    with ui.element("dt"):
        ui.label(name)
    with ui.element("dd"):
        for value in values or (NOTHING,):
            ui.label(value)


class ProfileEditor:
    """The fields of a tenant that whoever is signed in may change, in a dialog."""

    def __init__(self, page: Frame, tenant: Tenant, saved: Callable[[Tenant], None]) -> None:
        self._page = page
        self._tenant = tenant
        self._saved = saved
        self._is_operator = page.session.is_operator
        with titled_dialog(f"Edit {tenant.tenant_id}", is_persistent=True, is_wide=True) as self._dialog:
            self._form = form = Form()
            self._name = form.line("display_name", "Display name", hint="Empty: the tenant id")
            self._emails = form.lines("contact_emails", "Contact emails", hint="One per line")
            if self._is_operator:
                self._sources = form.lines("allowed_sources", "Allowed sources", hint="One per line")
                self._plan = form.line("plan", "Plan", hint="Empty: the default plan")
                ui.label("Limits that differ from the plan's").classes("section")
                self._quotas = QuotaFields(form, tenant.quotas)
            form.rest()
            self._again = action("Load it anew", self._load, icon="refresh")
            self._again.visible = False
            with ui.row().classes("w-full justify-end items-center"):
                ui.button("Leave it", on_click=self._dialog.close).props("flat no-caps")
                action("Save", self._save, is_main=True)
        self._fill(tenant)
        self._dialog.on("hide", self._dialog.delete)
        self._dialog.open()

    def _fill(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._name.value = tenant.display_name
        self._emails.value = "\n".join(tenant.contact_emails)
        if self._is_operator:
            self._sources.value = "\n".join(tenant.allowed_sources)
            self._plan.value = tenant.plan
            self._quotas.show(tenant.quotas)

    async def _load(self) -> None:
        async with telling():
            self._fill(await self._page.session.client.get_tenant(self._tenant.tenant_id))
            self._form.clear_faults()
            self._again.visible = False

    async def _save(self) -> None:
        saved = await self._form.send(lambda _: self._send())
        self._again.visible = isinstance(self._form.refused, Aborted)
        if saved is not None:
            self._saved(saved)
            self._dialog.close()

    async def _send(self) -> Tenant:
        tenant, changes = self._tenant, self._changes()
        client = self._page.session.client
        return await client.update_tenant(tenant.tenant_id, etag=tenant.etag, **changes) if changes else tenant

    def _changes(self) -> TenantChanges:
        """What the fields say differently. Raises InvalidArgument for limits that are no numbers."""
        changes = TenantChanges()
        if (name := (self._name.value or "").strip()) != self._tenant.display_name:
            changes["display_name"] = name
        if (emails := split_lines(self._emails.value)) != list(self._tenant.contact_emails):
            changes["contact_emails"] = emails
        return self._add_operators(changes) if self._is_operator else changes

    def _add_operators(self, changes: TenantChanges) -> TenantChanges:
        limits = self._quotas.read()
        had = {field.name: value for field, value in self._tenant.quotas.ListFields()}
        if changed := {name: limit for name, limit in limits.items() if limit != had.get(name)}:
            changes["limits"] = changed
        if (sources := split_lines(self._sources.value)) != list(self._tenant.allowed_sources):
            changes["allowed_sources"] = sources
        if (plan := (self._plan.value or "").strip()) != self._tenant.plan:
            changes["plan"] = plan
        return changes
