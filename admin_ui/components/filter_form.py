"""The filters above a list: a plain form, which leads to the address of what it says."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from admin_ui.components.values import name_text
from admin_ui.list_addresses import LONGEST


@contextmanager
def filter_form(path: str, *, button: str = "Filter") -> Iterator[None]:
    """A form whose button leads to `path` with what its fields say."""
    with ui.element("form").props(f"method=get action={path}").classes("w-full flex flex-wrap gap-2 items-end"):
        yield
        ui.button(button).props("type=submit no-caps outline dense color=primary").classes("px-3")


def filter_field(name: str, label: str, value: str, *, hint: str = "", kind: str = "text") -> None:
    """A line of text, or a day where `kind` is `date`."""
    with ui.element("label").classes("field"):
        ui.label(label).classes("small dim")
        box = ui.element("input").props(f"name={name} type={kind} maxlength={LONGEST}")
        box.props["value"], box.props["placeholder"] = value, hint


def filter_choice(name: str, label: str, value: str, known: Sequence[str]) -> None:
    """One of several, or any."""
    with ui.element("label").classes("field"):
        ui.label(label).classes("small dim")
        with ui.element("select").props(f"name={name}"):
            for one in ("", *known):
                option = TextElement(tag="option", text=name_text(one) or "Any")
                option.props["value"] = one
                if one == value:
                    option.props("selected")


def kept(values: Iterable[tuple[str, str]]) -> None:
    """What of the address stays as it is: names and values."""
    for name, value in values:
        if value:
            box = ui.element("input").props(f"type=hidden name={name}")
            box.props["value"] = value


def choices(label: str, links: Mapping[str, tuple[str, bool]]) -> None:
    """Links of which some hold at present, by their words: where each leads, and whether it is on."""
    with ui.element("nav").classes("counts") as box:
        box.props["aria-label"] = label
        choice_links(links)


def state_choices(names: Iterable[str], chosen: str, url: Callable[[str], str]) -> None:
    """One of the states, or all ('')."""
    words = {name_text(name) or "All": name for name in ("", *names)}
    choices("States", {word: (url(name), name == chosen) for word, name in words.items()})


def choice_links(links: Mapping[str, tuple[str, bool]]) -> None:
    """The links of `choices`, into what is there already."""
    for words, (url, is_on) in links.items():
        link = TextElement(tag="a", text=words)
        link.props["href"] = url
        if is_on:
            link.props("aria-current=true")


def removable(label: str, url: str) -> None:
    """A filter that is set, and the address without it."""
    with ui.link(target=url).classes("filter on") as link:
        link.props["aria-label"] = f"Remove the filter {label}"
        ui.label(label).classes("wrap-any")
        ui.icon("close", size="14px")


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
