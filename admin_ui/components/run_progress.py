"""A run as it goes on, on a page that is about something else."""

from nicegui import ui

from admin_ui.components.run_table import run_path
from admin_ui.components.timeline import Timeline
from admin_ui.components.values import chip, set_chip
from admin_ui.frame import Frame
from admin_ui.run_watch import follow
from convergence.v1.run_pb2 import Run, RunEvent
from convergence.watching import ENDED

_DRAW_SECONDS = 0.5


class RunProgress:
    """The status of a run and the bars of its steps, live to its end."""

    def __init__(self, page: Frame, run: Run) -> None:
        with ui.row().classes("w-full items-center gap-3"):
            self._chip = chip(Run.Status.Name(run.status))
            ui.link(run.pipeline_logging_id, run_path(run)).classes("mono wrap-any")
        self._problem = ui.label().classes("problem w-full").props("role=alert")
        self._problem.visible = False
        self._timeline = Timeline(run)
        self._drawing = ui.timer(_DRAW_SECONDS, self._timeline.draw)
        follow(page, run.tenant_id, run.pipeline_logging_id, self._on_event)

    def _on_event(self, event: RunEvent) -> None:
        kind = event.WhichOneof("event")
        if kind == "step":
            self._timeline.update_step(event.step)
        elif kind == "run":
            self._timeline.update_run(event.run)
            self._show(event.run)

    def _show(self, run: Run) -> None:
        set_chip(self._chip, Run.Status.Name(run.status))
        self._problem.visible = bool(run.error_message)
        self._problem.text = run.error_message
        if run.status in ENDED:
            self._timeline.draw()
            self._drawing.deactivate()
