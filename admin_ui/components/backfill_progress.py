"""How far backfills are: bars of what became of their runs."""

from typing import Any

from nicegui import ui

from convergence.v1.backfill_pb2 import Backfill

_ENDED = ("SUCCESS", "CANCELLED", "TIMED_OUT", "FAILED")

Part = dict[str, Any]


def ended_runs(backfill: Backfill) -> int:
    """How many of its runs have ended, in whatever way."""
    return sum(backfill.runs_by_status.get(name, 0) for name in _ENDED)


def parts(backfill: Backfill) -> list[Part]:
    """Of the bar, from the left: the status, where it begins and how wide it is, in percent."""
    found, left = list[Part](), 0.0
    for name in _ENDED:
        width = 100 * backfill.runs_by_status.get(name, 0) / max(1, backfill.total_runs)
        if width:
            found.append({"status": name, "left": f"{left:.2f}%", "width": f"{width:.2f}%"})
        left += width
    return found


def progress_text(backfill: Backfill) -> str:
    """`7 of 31 ended: 6 success, 1 failed`."""
    counts = [
        f"{count:,} {name.lower().replace('_', ' ')}"
        for name in _ENDED
        if (count := backfill.runs_by_status.get(name, 0))
    ]
    ended = f"{ended_runs(backfill):,} of {backfill.total_runs:,} ended"
    return f"{ended}: {', '.join(counts)}" if counts else ended


class ProgressBar:
    """The bar of one backfill, updated in place."""

    def __init__(self) -> None:
        self._bar = ui.element("div").classes("bar in-parts w-full").props("role=img")
        self._shown: list[Part] | None = None

    def show(self, backfill: Backfill) -> None:
        """Show how far it is now."""
        shown = parts(backfill)
        if shown == self._shown:
            return
        self._shown = shown
        self._bar.props["aria-label"] = progress_text(backfill)
        self._bar.clear()
        with self._bar:
            for part in shown:
                piece = ui.element("i").classes(f"b-{part['status']}")
                piece.style(f"left: {part['left']}; width: {part['width']}")
