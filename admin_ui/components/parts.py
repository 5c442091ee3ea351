"""Small parts of pages: cards, facts, empty states, questions."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from nicegui import ui


@contextmanager
def card(title: str = "") -> Iterator[ui.element]:
    """A framed part of the page."""
    with ui.element("section").classes("card") as box:
        if title:
            with ui.element("h2"):
                ui.label(title)
        yield box


def facts(values: Mapping[str, str]) -> None:
    """Names and values below each other, without those that are empty."""
    with ui.element("dl").classes("facts"):
        for name, value in values.items():
            if value:
                with ui.element("dt"):
                    ui.label(name)
                with ui.element("dd"):
                    ui.label(value)


def empty(what: str, hint: str = "") -> ui.element:
    """What stands where there is nothing, and what to do about that."""
    with ui.element("div").classes("empty") as box:
        ui.label(what).classes("text-weight-bold")
        if hint:
            ui.label(hint)
    return box


def skeleton(lines: int = 3) -> ui.element:
    """What stands where something is still being asked for."""
    with (
        ui.element("div")
        .classes("w-full")
        .props('role=status aria-busy=true aria-label="Loading"')
        .style("display: grid; gap: 12px") as box
    ):
        for number in range(lines):
            ui.element("div").classes("skeleton").style(f"width: {95 - 13 * (number % 4)}%")
    return box


class Awaited:
    """A place for what is asked for: a skeleton at first, then `box`, or what to do where there is nothing."""

    def __init__(self, nothing: str, hint: str = "", *, lines: int = 6) -> None:
        self._loading = skeleton(lines)
        self._nothing = empty(nothing, hint)
        self.box = ui.element("div").classes("w-full stack")
        self._nothing.visible = self.box.visible = False

    def show(self, *, is_any: bool) -> None:
        """The answer is there; `is_any` says whether there is anything in it."""
        self._loading.visible = False
        self._nothing.visible = not is_any
        self.box.visible = is_any


@contextmanager
def titled_dialog(title: str, *, is_persistent: bool = False, is_wide: bool = False) -> Iterator[ui.dialog]:
    """A dialog, shown once it is awaited or opened; one that is persistent is closed by its own buttons only."""
    with ui.dialog() as dialog, ui.card().classes("dialog-card dialog-wide" if is_wide else "dialog-card"):
        dialog.props["aria-label"] = title
        if is_persistent:
            dialog.props("persistent")
        ui.label(title).classes("section wrap-any")
        yield dialog


async def ask(question: str, *, answer: str, hint: str = "", is_dangerous: bool = True) -> bool:
    """Whether somebody really wants that."""
    with titled_dialog(question) as dialog:
        if hint:
            ui.label(hint).classes("dim wrap-any")
        with ui.row().classes("w-full justify-end"):
            ui.button("Leave it", on_click=lambda: dialog.submit(False)).props("flat no-caps autofocus")
            color = "negative" if is_dangerous else "primary"
            ui.button(answer, on_click=lambda: dialog.submit(True)).props(f"unelevated no-caps color={color}")
    answered = bool(await dialog)
    dialog.delete()
    return answered


def action(name: str, work: Callable[[], Awaitable[None]], *, icon: str = "", is_main: bool = False) -> ui.button:
    """A button that cannot be pressed again before what it does is done."""

    async def act() -> None:
        button.disable()
        try:
            await work()
        finally:
            if not button.is_deleted:
                button.enable()

    button = ui.button(name, icon=icon or None, on_click=act)
    button.props("no-caps unelevated color=primary" if is_main else "no-caps outline color=primary").props("dense")
    button.classes("px-3")
    return button
