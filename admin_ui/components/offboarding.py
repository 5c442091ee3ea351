"""The question before a tenant is ended for good."""

from nicegui import ui

from admin_ui.components.form import Form
from admin_ui.components.parts import action, titled_dialog
from admin_ui.frame import Frame
from convergence.v1.tenant_service_pb2 import Tenant

_WARNING = (
    "This ends the tenant for good: its keys are revoked, its credentials destroyed, its runs cancelled. "
    "The id is not free again."
)


async def offboard(page: Frame, tenant: Tenant) -> Tenant | None:
    """Ask for the names of what is to end, until it is ended; None when nobody wants that."""
    with titled_dialog(f"Offboard {tenant.tenant_id}?", is_persistent=True) as dialog:
        ui.label(_WARNING).classes("problem")
        form = Form()
        typed = form.line("tenant_id", f"Type the tenant's id: {tenant.tenant_id}")
        deletes = ui.checkbox("Delete its dataset with all its data, too", value=tenant.state == Tenant.OFFBOARDED)
        dataset = form.line("confirm_delete_dataset", f"Type the dataset's name: {tenant.dataset}")
        dataset.bind_visibility_from(deletes, "value")
        deletes.visible = bool(tenant.dataset)

        async def end() -> None:
            named = (dataset.value or "").strip() if deletes.value else ""
            ended = await form.send(
                lambda request_id: page.session.client.offboard_tenant(
                    tenant.tenant_id, confirm_delete_dataset=named, request_id=request_id
                )
            )
            if ended is not None:
                dialog.submit(ended)

        form.rest()
        with ui.row().classes("w-full justify-end items-center"):
            ui.button("Leave it", on_click=lambda: dialog.submit(None)).props("flat no-caps autofocus")
            button = action("Offboard", end, is_main=True).props("color=negative")

        def judge() -> None:
            is_named = (dataset.value or "").strip() == tenant.dataset
            button.set_enabled((typed.value or "").strip() == tenant.tenant_id and (is_named or not deletes.value))

        deletes.on_value_change(form.changed)
        for field in (typed, deletes, dataset):
            field.on_value_change(judge)
        judge()
    ended: Tenant | None = await dialog
    dialog.delete()
    return ended
