"""What a run has written, and what its checks have found."""

from collections.abc import Sequence

from nicegui import ui

from admin_ui.components.parts import card
from admin_ui.components.values import chip, count_text
from convergence.v1.pipeline_service_pb2 import DataQualityResult
from convergence.v1.run_pb2 import Effect, StepRun


class RunResults:
    """A card of checks and one of writes, as far as there are any."""

    def __init__(self) -> None:
        self._checks = ui.element("div").classes("w-full")
        self._writes = ui.element("div").classes("w-full")
        self._checks.visible = self._writes.visible = False

    def show_checks(self, results: Sequence[DataQualityResult], *, is_all: bool) -> None:
        """Show these instead; `is_all` says whether there are no more."""
        self._checks.clear()
        self._checks.visible = bool(results)
        if not results:
            return
        with self._checks, card("Data quality"):
            for result in results:
                _check(result)
            if not is_all:
                ui.label(f"Only the first {len(results)} checks are shown.").classes("dim small")

    def show_writes(self, steps: Sequence[StepRun]) -> None:
        """Show what these steps have written instead."""
        effects = [(step, effect) for step in steps for effect in step.effects]
        self._writes.clear()
        self._writes.visible = bool(effects)
        if not effects:
            return
        with self._writes, card("Writes"):
            for step, effect in effects:
                with ui.row().classes("w-full items-center gap-3"):
                    chip(Effect.State.Name(effect.state))
                    ui.label(effect.table).classes("mono wrap-any")
                    told = f"{effect.write_mode}, {count_text(effect.rows_written, 'row')}, step {step.step_id}"
                    ui.label(told).classes("dim")


def _check(result: DataQualityResult) -> None:
    with ui.row().classes("w-full items-center gap-3"):
        chip(DataQualityResult.Status.Name(result.status))
        ui.label(result.check_name).classes("text-weight-medium wrap-any")
        ui.label(f"{result.table_name} {result.column_name}").classes("mono dim wrap-any")
        ui.label(f"{result.failing_count:,} of {result.row_count:,} rows fail").classes("dim num")
        if result.error_message:
            ui.label(result.error_message).classes("problem")
