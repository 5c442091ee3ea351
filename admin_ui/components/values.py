"""How single values look: statuses, times, lengths of time, amounts."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from convergence.v1.run_pb2 import ResolvedVariable

NOTHING = "\u2013"
"""Stands where there is no value."""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def chip(name: str) -> ui.label:
    """A status, in its colour and in words."""
    return ui.label(name.removeprefix("STATUS_").replace("_", " ")).classes(f"chip s-{name}")


def set_chip(label: ui.label, name: str) -> None:
    """Show another status in the same place."""
    label.text = name.removeprefix("STATUS_").replace("_", " ")
    label.classes(replace=f"chip s-{name}")


def name_text(name: str) -> str:
    """The name of a status, a trigger or the like as people write it: `Timed out`."""
    return name if name == "API" else name.replace("_", " ").capitalize()


def iso(stamp: Timestamp) -> str:
    """A time as `<time datetime>` has it; '' when it is not set."""
    return stamp.ToDatetime(UTC).isoformat() if stamp.seconds or stamp.nanos else ""


class TimeText(TextElement):
    """A time, which the browser shows as its reader wants it."""

    def __init__(self, stamp: Timestamp) -> None:
        text = iso(stamp)
        super().__init__(tag="time", text=text or NOTHING)
        self.classes("num").props(f'datetime="{text}"')

    def show(self, stamp: Timestamp) -> None:
        """Show another time in the same place."""
        text = iso(stamp)
        if self.props.get("datetime") != text:
            self.text = text or NOTHING
            self.props(f'datetime="{text}"')


def seconds_between(start: Timestamp, end: Timestamp | None) -> float:
    """How long it took, or has taken until now when `end` is not set; 0 when it has not started."""
    if not start.seconds:
        return 0
    until = end.ToDatetime(UTC) if end is not None and end.seconds else datetime.now(UTC)
    # Two machines' clocks may differ by more than a step takes.
    return max(0.0, (until - start.ToDatetime(UTC)).total_seconds())


def length_text(seconds: float) -> str:
    """`400 ms`, `3.2 s`, `12 s`, `3:05`, `2:10:00`."""
    if seconds <= 0:
        return ""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    text = str(timedelta(seconds=int(seconds)))
    return text.removeprefix("0:")


def count_text(number: int, noun: str) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def bytes_text(count: float) -> str:
    """`1.5 GiB`."""
    for unit in _UNITS:
        if abs(count) < 1024 or unit == _UNITS[-1]:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1024
    raise AssertionError


def pipeline_path(message: object) -> str:
    """`gcp/cost/cost_billing`, of anything that names a pipeline."""
    parts = (getattr(message, "provider", ""), getattr(message, "domain", ""), getattr(message, "template_name", ""))
    return "/".join(part for part in parts if part)


def origin_text(item: ResolvedVariable) -> str:
    """Where the value of a variable comes from: `pipeline default`."""
    return ResolvedVariable.Origin.Name(item.origin).lower().replace("_", " ")
