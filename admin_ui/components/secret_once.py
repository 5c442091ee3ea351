"""An API key's secret, which is shown once."""

from collections.abc import Callable

from nicegui import ui

from admin_ui.components.parts import titled_dialog

# The clipboard is there on secure pages only; elsewhere the old way still works. Either needs the click itself.
_COPY = """() => {
  const box = document.getElementById("%s");
  getSelection().selectAllChildren(box);
  if (navigator.clipboard) navigator.clipboard.writeText(box.textContent);
  else document.execCommand("copy");
}"""


def secret_once(secret: str, kept: Callable[[], None]) -> None:
    """Show it until somebody says that it is kept; then it is taken out of the page, and `kept` is called."""
    with ui.element("div").classes("secret-once") as box:
        if secret:
            _shown(secret)
        else:
            ui.label(
                "The key was shown in the first answer to this request only. Rotate it to get one that you can see."
            )

        def keep() -> None:
            box.delete()
            kept()

        ui.button("I have kept it" if secret else "Close", on_click=keep).props("no-caps unelevated color=primary")


def _shown(secret: str) -> None:
    ui.label("Keep this key now. It cannot be shown again.").classes("text-weight-medium")
    with ui.element("div").classes("secret-line"):
        text = ui.label(secret).classes("mono wrap-any").props('aria-label="API key"')
        copy = ui.button("Copy", icon="content_copy").props("no-caps outline dense color=primary").classes("px-3")
        copy.on("click", js_handler=_COPY % text.html_id)
        copy.on_click(lambda: copy.set_text("Copied"))


async def tell_secret(title: str, secret: str) -> None:
    """Show it in a dialog that nothing closes but the word that it is kept."""
    with titled_dialog(title, is_persistent=True) as dialog:
        secret_once(secret, lambda: dialog.submit(True))
    await dialog
    dialog.delete()
