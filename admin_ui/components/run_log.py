"""The lines of a run's log, as they come. The browser keeps them, and the console does not."""

import json

from nicegui import ui

from admin_ui.components.values import iso
from convergence.v1.run_pb2 import LogEntry, Run, RunEvent, StepRun

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_ID = "run-log"


class RunLog:
    """A box of lines with a choice of levels."""

    def __init__(self, download: str) -> None:
        with ui.row().classes("w-full items-center gap-3"):
            with ui.element("h2").classes("section"):
                ui.label("Log")
            levels = ui.toggle(list(_LEVELS), value="DEBUG").props('dense no-caps unelevated padding="2px 10px"')
            levels.on_value_change(lambda event: ui.run_javascript(f"filterLines('{_ID}', '{event.value}')"))
            ui.link("Download", download).classes("ml-auto").props("download")
        ui.element("div").classes("log").props(f'id={_ID} role=log aria-label="Log of the run" tabindex=0')
        self._waiting: list[dict[str, object]] = []

    def add(self, event: RunEvent) -> None:
        """One more event; it is shown with the next `send`."""
        step, level, text = told(event)
        at = iso(event.time)
        line = {"sequence": event.sequence, "time": at[11:19], "at": at, "step": step, "level": level, "text": text}
        self._waiting.append(line)

    def send(self) -> None:
        """Show what has come since."""
        if self._waiting:
            lines, self._waiting = self._waiting, []
            # `<` could end the script that carries it.
            ui.run_javascript(f"addLines('{_ID}', {json.dumps(lines)})".replace("<", "\\u003c"))


def _plain(value: object) -> object:
    """Numbers come as floats, whatever they count."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def told(event: RunEvent) -> tuple[str, str, str]:
    """Of an event the step, the level and what happened."""
    match event.WhichOneof("event"):
        case "log":
            fields = " ".join(f"{name}={_plain(value)}" for name, value in event.log.fields.items())
            level = LogEntry.Level.Name(event.log.level)
            return event.log.step_id, level, f"{event.log.message} ({fields})" if fields else event.log.message
        case "step":
            step = event.step
            status = StepRun.Status.Name(step.status)
            level = "ERROR" if step.status in {StepRun.FAILED, StepRun.TIMED_OUT} else "INFO"
            attempt = f" (attempt {step.attempt})" if step.attempt > 1 else ""
            why = f": {step.error_message}" if step.error_message else ""
            return step.step_id, level, f"{status}{attempt}{why}"
        case "run":
            status = Run.Status.Name(event.run.status)
            level = "ERROR" if event.run.status in {Run.FAILED, Run.TIMED_OUT} else "INFO"
            why = f": {event.run.error_message}" if event.run.error_message else ""
            return "", level, f"run {status}{why}"
        case _:
            return "", "DEBUG", ""
