"""The steps of a run as bars over time, each attempt one, updated in place."""

from datetime import UTC, datetime

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from admin_ui.components.values import chip, length_text, seconds_between, set_chip
from convergence.v1.run_pb2 import Run, StepRun

_LEAST_SECONDS = 0.05


class Timeline:
    """The Gantt chart of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._attempts: dict[str, dict[int, StepRun]] = {}
        self._lanes: dict[str, _Lane] = {}
        with ui.element("div").classes("gantt"):
            for step in run.steps:
                self._lanes[step.step_id] = _Lane(step)
        for step in run.steps:
            self.update_step(step)

    def update_run(self, run: Run) -> None:
        """The run began, or ended."""
        self._run.MergeFrom(Run(started_at=run.started_at, finished_at=run.finished_at))

    def update_step(self, step: StepRun) -> None:
        """A step changed."""
        if step.attempt:
            self._attempts.setdefault(step.step_id, {})[step.attempt] = step
        if lane := self._lanes.get(step.step_id):
            lane.show_status(step)

    def draw(self) -> None:
        """Bring the bars to this moment."""
        start = self._run.started_at.ToDatetime(UTC) if self._run.started_at.seconds else None
        if start is None:
            return
        ended = self._run.finished_at
        end = ended.ToDatetime(UTC) if ended.seconds else datetime.now(UTC)
        whole = max(_LEAST_SECONDS, (end - start).total_seconds())
        for step_id, attempts in self._attempts.items():
            if lane := self._lanes.get(step_id):
                lane.draw(attempts, start, whole)


class _Lane:
    def __init__(self, step: StepRun) -> None:
        with ui.element("div").classes("gantt-row"):
            with ui.element("div").classes("wrap-any") as name:
                name.props["id"] = f"step-{step.step_id}"
                ui.link(step.name or step.step_id, f"#step-{step.step_id}")
                ui.label(step.ps_type).classes("mono dim")
            self._lane = ui.element("div").classes("lane")
            with ui.element("div").classes("gantt-note"):
                self._note = ui.label().classes("small dim num")
                self._chip = chip(StepRun.Status.Name(step.status))
        self._bars: dict[int, TextElement] = {}

    def show_status(self, step: StepRun) -> None:
        set_chip(self._chip, StepRun.Status.Name(step.status))

    def draw(self, attempts: dict[int, StepRun], start: datetime, whole: float) -> None:
        for number, step in attempts.items():
            began = (step.started_at.ToDatetime(UTC) - start).total_seconds() if step.started_at.seconds else 0.0
            took = seconds_between(step.started_at, step.finished_at)
            left, width = min(98.0, max(0.0, 100 * began / whole)), min(100.0, 100 * took / whole)
            status = StepRun.Status.Name(step.status)
            style = f"left: {left:.2f}%; width: {min(width, 100 - left):.2f}%"
            bar = self._bars.get(number)
            if bar is None:
                with self._lane:
                    bar = self._bars[number] = TextElement(tag="i", text="")
            bar.style(replace=style)
            bar.classes(replace=f"b-{status}")
            bar.props(f'title="attempt {number}: {status}, {length_text(took)}"')
        latest = attempts[max(attempts)]
        note = length_text(seconds_between(latest.started_at, latest.finished_at))
        self._note.text = f"{note}, attempt {latest.attempt}" if latest.attempt > 1 else note
