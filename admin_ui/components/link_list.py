"""Short lists of links, each with something to say at its right."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp
from nicegui import ui

from admin_ui.components.parts import Awaited
from admin_ui.components.values import TimeText


@dataclass(frozen=True, slots=True)
class LinkLine:
    """One line of a list."""

    name: str
    url: str
    value: str | Timestamp


class LinkList:
    """Lines below each other, redrawn when they change.

    Args:
        nothing: what stands there when there are none.
        hint: what to do about that.
    """

    def __init__(self, nothing: str, hint: str = "") -> None:
        self._found = Awaited(nothing, hint, lines=3)
        with self._found.box:
            self._box = ui.element("div").classes("w-full")
        self._shown: Sequence[LinkLine] | None = None

    def show(self, lines: Sequence[LinkLine]) -> None:
        """Show these instead."""
        if lines == self._shown:
            return
        self._shown = lines
        self._found.show(is_any=bool(lines))
        self._box.clear()
        with self._box:
            for line in lines:
                with ui.row().classes("w-full justify-between items-center no-wrap"):
                    ui.link(line.name, line.url).classes("wrap-any")
                    if isinstance(line.value, str):
                        ui.label(line.value).classes("num dim")
                    else:
                        TimeText(line.value)
