"""Asks why."""

from nicegui import ui

from admin_ui.components.parts import titled_dialog


async def ask_reason(question: str, *, answer: str, hint: str = "") -> str | None:
    """Why somebody wants that, '' when they do not say; None when they leave it."""
    with titled_dialog(question) as dialog:
        if hint:
            ui.label(hint).classes("dim wrap-any")
        reason = ui.input("Reason, for other people").props("outlined dense maxlength=500 autofocus").classes("w-full")
        reason.on("keydown.enter", lambda: dialog.submit(reason.value))
        with ui.row().classes("w-full justify-end"):
            ui.button("Leave it", on_click=dialog.close).props("flat no-caps")
            ui.button(answer, on_click=lambda: dialog.submit(reason.value)).props("unelevated no-caps color=primary")
    answered = await dialog
    dialog.delete()
    return None if answered is None else str(answered).strip()
