"""The latest runs of a pipeline as bars: how long each took, and how it ended."""

from collections.abc import Sequence

from nicegui import ui

from admin_ui.components.run_table import run_path
from admin_ui.components.values import length_text, seconds_between
from convergence.v1.run_pb2 import Run

_LEAST_PERCENT = 6


class RunHistory:
    """Bars from the oldest run to the newest, each a link to its run."""

    def __init__(self) -> None:
        self._box = ui.element("div").classes("history")
        self._shown: list[tuple[str, Run.Status.ValueType]] = []

    def show(self, runs: Sequence[Run]) -> None:
        """Show these runs, newest first, instead; nothing is sent to the browser when none has changed its status."""
        states = [(run.pipeline_logging_id, run.status) for run in runs]
        if states == self._shown:
            return
        self._shown = states
        taken = [(run, seconds_between(run.started_at, run.finished_at)) for run in reversed(runs)]
        longest = max((seconds for _, seconds in taken), default=0) or 1
        self._box.clear()
        with self._box:
            for run, seconds in taken:
                _bar(run, seconds, max(_LEAST_PERCENT, 100 * seconds / longest))


def _bar(run: Run, seconds: float, percent: float) -> None:
    status = Run.Status.Name(run.status)
    words = [status.replace("_", " "), run.date, length_text(seconds), run.tenant_id, run.error_message[:200]]
    with ui.link(target=run_path(run)) as link:
        link.props["title"] = link.props["aria-label"] = ", ".join(word for word in words if word)
        ui.element("i").classes(f"b-{status}").style(f"height: {percent:.1f}%")
