"""What the command line prints: tables for people, JSON for machines, errors for both."""

import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TextIO

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Fault, Run, StepRun

# One line a row: what reads it breaks lines itself, if it wants to.
_WIDTH_OF_A_FILE = 100_000
_STYLES = {
    "PENDING": "dim",
    "RUNNING": "cyan",
    "CANCELLING": "yellow",
    "SUCCESS": "green",
    "FAILED": "bold red",
    "PASSED": "green",
    "ERROR": "bold red",
    "SKIPPED": "dim yellow",
    "CANCELLED": "yellow",
    "TIMED_OUT": "bold red",
    "ONBOARDING": "cyan",
    "ACTIVE": "green",
    "SUSPENDED": "yellow",
    "OFFBOARDED": "dim",
    "QUEUED": "cyan",
    "DELIVERED": "green",
    "PAUSED": "yellow",
    "ENDED": "dim",
    "FIRED": "green",
    "BUFFERED": "cyan",
    "MISSED": "yellow",
    "REFUSED": "bold red",
    "PLANNED": "dim",
    "FINISHED": "bold",
}


class OutputLost(Exception):
    """Standard output cannot be written; the message is for people."""

    def __init__(self, cause: OSError) -> None:
        self.nobody_reads = isinstance(cause, BrokenPipeError)
        super().__init__(f"cannot write to standard output: {cause.strerror}")


class _GuardedOutput(io.TextIOWrapper):
    """Says that it was the output that failed: Rich and Typer would exit in ways of their own at a broken pipe."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise OutputLost(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise OutputLost(error) from error


def guard_output() -> None:
    """From now on a failure of standard output is raised as OutputLost."""
    plain = sys.stdout
    if isinstance(plain, io.TextIOWrapper):
        encoding, errors, line_buffering = plain.encoding, plain.errors, plain.line_buffering
        sys.stdout = _GuardedOutput(plain.detach(), encoding=encoding, errors=errors, line_buffering=line_buffering)


def abandon(stream: TextIO) -> None:
    """Forget a stream that failed: what is still buffered would fail once more when Python ends.

    Source: the note on SIGPIPE in Python's documentation of `signal`.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())


def tell(text: str) -> None:
    """Write to standard error; when that is closed or full, nobody can be told."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        abandon(sys.stderr)


def console() -> Console:
    """Standard output for people. Names come from other people: no markup and no emoji codes in them."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
    return Console(markup=False, highlight=False, emoji=False, width=width)


def clean(text: str) -> str:
    """The text on one line and without control characters, so that a name cannot drive the terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))


def clean_line(line: str) -> str:
    """A line of a file with its indentation, and without control characters."""
    indentation = len(line) - len(line.lstrip(" "))
    return " " * indentation + "".join(c if c.isprintable() else "\ufffd" for c in line[indentation:])


def status_text(name: str) -> Text:
    """A status in its colour."""
    return Text(name, style=_STYLES.get(name, ""))


def table(
    *columns: str,
    rows: Iterable[Sequence[str | Text]],
    numbers: Sequence[str] = (),
    whole: Sequence[str] = (),
    shortened: bool = False,
) -> Table:
    """A table of cells that are shown as they are.

    Columns in `numbers` are aligned to the right, those in `whole` stay on one line; the others are folded where the
    width is not enough, or `shortened`.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold", no_wrap=name in whole)
    for row in rows:
        cells = [cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row]
        for cell in cells if shortened else ():
            cell.no_wrap, cell.overflow = True, "ellipsis"
        made.add_row(*cells)
    return made


def facts(values: Mapping[str, str | Text]) -> Table:
    """Names and values below each other, without those that are empty."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in values.items():
        if value:
            made.add_row(name, value if isinstance(value, Text) else Text(clean(value)))
    return made


def steps_table(steps: Iterable[StepRun], now: Timestamp | None = None) -> Table:
    """The steps of a run; a running one is shown as long as it has run by `now`."""
    rows = [
        (
            step.name or step.step_id,
            step.ps_type,
            status_text(StepRun.Status.Name(step.status)),
            str(step.attempt) if step.attempt else "",
            f"{step.rows_processed:,}" if step.rows_processed else "",
            duration(step, now),
        )
        for step in steps
    ]
    return table("STEP", "PS_TYPE", "STATUS", "ATTEMPT", "ROWS", "TIME", rows=rows, numbers=("ATTEMPT", "ROWS", "TIME"))


def duration(item: Run | StepRun, now: Timestamp | None = None) -> str:
    """How long it took, or has taken by `now`; '' when it has not started."""
    if not item.HasField("started_at"):
        return ""
    end = item.finished_at if item.HasField("finished_at") else now
    if end is None:
        return ""
    # Two machines' clocks may differ by more than a step takes.
    took = max(timedelta(), end.ToDatetime() - item.started_at.ToDatetime())
    if took < timedelta(minutes=1):
        return f"{took.total_seconds():.1f} s"
    return str(timedelta(seconds=int(took.total_seconds())))


def moment(stamp: Timestamp) -> str:
    """A time as `2025-11-18 09:30:00 UTC`, or '' when it is not set."""
    return f"{stamp.ToDatetime():%Y-%m-%d %H:%M:%S} UTC" if stamp.seconds else ""


def fault_lines(faults: Iterable[Fault]) -> list[str]:
    """`configs/a.yml:12, step load: what is wrong`, one line a fault."""
    return [
        f"{place}: {clean(fault.message)}" if (place := _place(fault)) else clean(fault.message) for fault in faults
    ]


def _place(fault: Fault) -> str:
    file = f"{fault.file}:{fault.line}" if fault.line else fault.file
    step = f"step {fault.step_id}" if fault.step_id else ""
    return clean(", ".join(part for part in (file, step, fault.field) if part))


def as_dict(message: Message) -> dict[str, object]:
    """The message in proto3's JSON form, with the protos' field names; fields without a value are there too.

    64-bit integers are strings in that form: JSON's numbers cannot hold all of them.
    """
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def print_json(value: Mapping[str, object]) -> None:
    """One JSON document on a line of its own, sent at once: whoever reads follows a run."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_error(
    error: ConvergenceError, *, as_json: bool, hint: str = "", places: Mapping[str, str] | None = None
) -> None:
    """An error on standard error, with everything that is wrong on a line of its own, and what to do next.

    People are told the options in `places` instead of the fields.
    """
    if as_json:
        told = _error_dict(error) | ({"hint": hint} if hint else {})
        tell(json.dumps({"error": told}, ensure_ascii=False) + "\n")
    else:
        tell("\n".join([*_error_lines(error, places or {}), *([hint] if hint else [])]) + "\n")


def print_notice(text: str, *, as_json: bool) -> None:
    """Something to know while the command goes on, on standard error."""
    tell((json.dumps({"notice": text}, ensure_ascii=False) if as_json else text) + "\n")


def _error_dict(error: ConvergenceError) -> dict[str, object]:
    return {
        "code": error.code.name,
        "reason": error.reason,
        "message": error.message,
        "violations": [{"field": v.field, "description": v.description} for v in error.violations],
        "retry_after_seconds": error.retry_after,
    }


def _error_lines(error: ConvergenceError, places: Mapping[str, str]) -> list[str]:
    lines = [f"Error: {clean(error.message)} ({clean(error.reason)})"]
    if error.violations:  # the message repeats them in one line
        lines = [f"Error: {clean(error.reason)}"]
        found = [(places.get(v.field, v.field), v.description) for v in error.violations]
        lines += [f"  {clean(f'{place}: {why}' if place else why)}" for place, why in found]
    if error.retry_after is not None:
        lines.append(f"  Try again in {error.retry_after:g} seconds.")
    return lines
