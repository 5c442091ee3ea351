"""Shows a run while it happens: a table that changes in place, plain lines, or JSON events."""

import asyncio
import json
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from convergence.output import as_dict, clean, duration, print_json, status_text, steps_table
from convergence.v1.run_pb2 import LogEntry, Run, RunEvent, StepRun

_LOG_LINES = 6
_REFRESH_SECONDS = 0.25
_LEVEL_STYLES = {"WARNING": "yellow", "ERROR": "red", "DEBUG": "dim"}


class View(Protocol):
    """Takes the events of a run, one by one."""

    def show(self, event: RunEvent) -> None:
        """Show what happened."""
        ...


async def follow(run: Run, events: AsyncIterator[RunEvent], output: Console, *, as_json: bool) -> Run:
    """Show a run's events to their end; answers with the run as it ended.

    Args:
        run: as it is known already; its steps are shown before they start.
        events: of that run, from the first one.
        output: a terminal gets the table, anything else plain lines.
    """
    if as_json:
        return await _feed(run, events, JsonEvents())
    if not output.is_terminal:
        return await _feed(run, events, PlainLines(output))
    board = Board(run)
    async with drawn(board, output):
        return await _feed(run, events, board)


async def _feed(run: Run, events: AsyncIterator[RunEvent], view: View) -> Run:
    async for event in events:
        if event.WhichOneof("event") == "run":
            run = event.run
        view.show(event)
    return run


@asynccontextmanager
async def drawn(board: RenderableType, output: Console) -> AsyncIterator[None]:
    """Within, the board is on the terminal as it is at each moment; its last state stays there."""
    # What goes to standard error is moved above the board, unless it goes somewhere else.
    with Live(board, console=output, auto_refresh=False, redirect_stderr=sys.stderr.isatty()) as live:
        refreshing = asyncio.create_task(_refresh(live))
        try:
            yield
        finally:
            refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await refreshing
            live.refresh()


async def _refresh(live: Live) -> None:
    """Redraw in the event loop, where no event can come in between, and also when only time passes."""
    while True:
        live.refresh()
        await asyncio.sleep(_REFRESH_SECONDS)


class JsonEvents:
    """One JSON document for each event, on a line of its own."""

    def show(self, event: RunEvent) -> None:
        """Print the event."""
        print_json(as_dict(event))


class PlainLines:
    """One line for each event: for files, pipes and dumb terminals."""

    def __init__(self, output: Console) -> None:
        self._output = output
        output.print("Times are UTC.")

    def show(self, event: RunEvent) -> None:
        """Print the event."""
        self._output.print(f"{event.time.ToDatetime():%H:%M:%S} {_line(event)}", soft_wrap=True)


def _line(event: RunEvent) -> str:
    match event.WhichOneof("event"):
        case "run":
            return f"run {Run.Status.Name(event.run.status)}{_why(event.run)}"
        case "step":
            return _step_line(event.step)
        case _:
            return log_line(event.log)


def _step_line(step: StepRun) -> str:
    attempt = f" attempt {step.attempt}" if step.attempt > 1 else ""
    rows = f" {step.rows_processed:,} rows" if step.rows_processed else ""
    took = f" in {took}" if (took := duration(step)) else ""
    return f"{clean(step.step_id)} {StepRun.Status.Name(step.status)}{attempt}{rows}{took}{_why(step)}"


def _why(item: Run | StepRun) -> str:
    return f": {clean(item.error_message)}" if item.error_message else ""


def log_line(entry: LogEntry) -> str:
    """`load_billing INFO wrote 12 rows (rows=12)`."""
    fields = ", ".join(f"{name}={_compact(entry, name)}" for name in sorted(entry.fields.fields))
    parts = [entry.step_id, LogEntry.Level.Name(entry.level), entry.message, f"({fields})" if fields else ""]
    return clean(" ".join(part for part in parts if part))


def _compact(entry: LogEntry, name: str) -> str:
    value = MessageToDict(entry.fields.fields[name])
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a Struct has floats only, and "rows=1200.0" is not how people write numbers
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Board:
    """The run's state as a table, with the last lines that its steps wrote."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._steps = {step.step_id: step for step in run.steps}
        self._logs: deque[Text] = deque(maxlen=_LOG_LINES)

    def show(self, event: RunEvent) -> None:
        """Take the event in; the next drawing has it."""
        match event.WhichOneof("event"):
            case "run":
                self._run = event.run
            case "step":
                self._steps[event.step.step_id] = event.step
            case "log":
                style = _LEVEL_STYLES.get(LogEntry.Level.Name(event.log.level), "")
                self._logs.append(Text(log_line(event.log), style=style, no_wrap=True, overflow="ellipsis"))

    def __rich__(self) -> RenderableType:
        now = Timestamp()
        now.GetCurrentTime()
        parts: list[RenderableType] = [self._headline(now), Text(), steps_table(self._steps.values(), now)]
        if self._logs:
            parts += [Text(), *self._logs]
        if self._run.error_message:
            parts += [Text(), Text(clean(self._run.error_message), style="red")]
        return Group(*parts)

    def _headline(self, now: Timestamp) -> Text:
        run = self._run
        about = [clean(run.pipeline_id), run.date, run.pipeline_logging_id, duration(run, now), clean(run.wait_reason)]
        headline = status_text(Run.Status.Name(run.status))
        return headline.append("  " + "  ".join(part for part in about if part), style="default not bold not dim")
