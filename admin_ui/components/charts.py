"""Small charts, drawn as elements of the page: no script, and words for whoever cannot see them."""

from collections.abc import Sequence

from nicegui import ui

from admin_ui.components.values import iso
from convergence.v1.pipeline_service_pb2 import RunStatistics

# From the bottom up.
_STACKED = ("SUCCESS", "RUNNING", "CANCELLING", "PENDING", "CANCELLED", "TIMED_OUT", "FAILED")


class StatusBars:
    """How many runs of each status each piece of a period has."""

    def __init__(self) -> None:
        with ui.element("div").classes("bars"):
            self._box = ui.element("div").classes("bars-in").props("role=img")
        with ui.element("div").classes("bars-legend small"):
            for name in ("SUCCESS", "FAILED", "TIMED_OUT", "CANCELLED", "RUNNING", "PENDING"):
                ui.label(name.replace("_", " ").lower()).classes(f"chip s-{name}")
        self._shown: Sequence[dict[str, int]] = ()

    def show(self, found: RunStatistics) -> None:
        """Show these pieces instead."""
        buckets = [dict(bucket.runs_by_status) for bucket in found.buckets]
        if buckets == self._shown:
            return
        self._shown = buckets
        most = max((sum(bucket.values()) for bucket in buckets), default=0) or 1
        self._box.clear()
        total = sum(sum(bucket.values()) for bucket in buckets)
        self._box.props(f'aria-label="{total:,} runs in {len(buckets)} pieces of time"')
        with self._box:
            for bucket, piece in zip(buckets, found.buckets, strict=True):
                words = ", ".join(f"{count:,} {name.lower()}" for name, count in sorted(bucket.items())) or "no runs"
                column = ui.element("div").classes("bars-column")
                column.props["title"] = f"{iso(piece.start)[:16].replace('T', ' ')} UTC: {words}"
                with column:
                    for name in reversed(_STACKED):
                        if count := bucket.get(name, 0):
                            ui.element("i").classes(f"b-{name}").style(f"height: {100 * count / most:.2f}%")
