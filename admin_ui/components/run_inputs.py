"""What the steps of a run were given."""

from collections.abc import Sequence

from nicegui import ui

from admin_ui.components.code_text import CodeText
from admin_ui.components.parts import card, skeleton
from admin_ui.components.values import origin_text
from convergence.v1.run_pb2 import PlanStep


class RunInputs:
    """Of each step the variables, with where each value comes from, and the SQL."""

    def __init__(self) -> None:
        with card("Inputs"):
            self._box = ui.element("div").classes("w-full")
        self._shown: Sequence[PlanStep] = ()
        with self._box:
            skeleton()

    def show(self, steps: Sequence[PlanStep]) -> None:
        """Show these instead; what somebody has opened stays open when nothing has changed."""
        if steps == self._shown:
            return
        self._shown = steps
        self._box.clear()
        with self._box:
            for step in steps:
                with ui.expansion(f"{step.step_id} · {step.ps_type}").classes("w-full").props("dense"):
                    _step(step)


def _step(step: PlanStep) -> None:
    if not (step.variables or step.sql):
        ui.label("It was given no variables.").classes("dim")
    if step.variables:
        with ui.element("dl").classes("facts"):
            for item in step.variables:
                with ui.element("dt"):
                    ui.label(item.name).classes("mono")
                with ui.element("dd"):
                    ui.label(item.value).classes("mono inline")
                    ui.label(f" from {origin_text(item)}").classes("dim small inline")
    if step.sql:
        CodeText(step.sql, language="sql", name=f"SQL of {step.step_id}")
