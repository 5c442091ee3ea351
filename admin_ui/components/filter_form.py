"""The filters above a list: a plain form, which leads to the address of what it says."""

from collections.abc import Mapping

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement


def filter_field(name: str, label: str, value: str, *, hint: str = "") -> None:
    """A line of text."""
    with ui.element("label").classes("field"):
        ui.label(label).classes("small dim")
        box = ui.element("input").props(f"name={name} maxlength=200")
        box.props["value"], box.props["placeholder"] = value, hint


def filter_button() -> None:
    """Go there."""
    ui.button("Filter").props("type=submit no-caps outline dense color=primary").classes("px-3")


def kept(values: Mapping[str, str]) -> None:
    """What of the address stays as it is."""
    for name, value in values.items():
        if value:
            box = ui.element("input").props(f"type=hidden name={name}")
            box.props["value"] = value


def choices(label: str, links: Mapping[str, tuple[str, bool]]) -> None:
    """Links of which some hold at present, by their words: where each leads, and whether it is on."""
    with ui.element("nav").classes("counts") as box:
        box.props["aria-label"] = label
        for words, (url, is_on) in links.items():
            link = TextElement(tag="a", text=words)
            link.props["href"] = url
            if is_on:
                link.props("aria-current=true")


class PageLinks:
    """Links to the first page of a list and to the one after what is shown.

    Args:
        first: address of the first page; '' when it is the one that is shown.
    """

    def __init__(self, first: str, *, names: tuple[str, str] = ("First", "Next")) -> None:
        self._is_first = not first
        with ui.row().classes("w-full justify-between") as self._row:
            ui.link(names[0], first).classes("invisible" if self._is_first else "")
            self._link = ui.link(names[1], "#")
        self.show("")

    def show(self, following: str) -> None:
        """Where the next page is; '' when there is none."""
        self._link.visible = bool(following)
        self._link.props["href"] = following
        self._row.visible = bool(following) or not self._is_first


NEWEST_FIRST = ("Newest", "Older")
"""What the links are called in a list of what has happened."""
