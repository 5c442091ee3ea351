"""The times a schedule fires next."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from admin_ui.components.values import TimeText
from convergence.v1.schedule_service_pb2 import Schedule


def by_clocks_of(time_zone: str, time: datetime, form: str) -> str:
    """A time as that zone's clocks have it; '' for UTC, and for a zone that this machine does not know."""
    if time_zone in {"", "UTC"}:
        return ""
    try:
        return f"{time.astimezone(ZoneInfo(time_zone)):{form}}"
    except (KeyError, ValueError, OSError):
        return ""


class NextTimes:
    """A table of times: by UTC, by the clocks of the schedule's zone, and how far away."""

    def __init__(self) -> None:
        self._box = ui.element("div").classes("w-full")
        self._shown: Schedule | None = None

    def show(self, schedule: Schedule | None, nothing: str = "") -> None:
        """Show those of this schedule instead; without any, say why."""
        about = Schedule(time_zone=schedule.time_zone, next_fire_times=schedule.next_fire_times) if schedule else None
        if about is not None and about == self._shown:
            return
        self._shown = about
        self._box.clear()
        with self._box:
            if about is None or not about.next_fire_times:
                ui.label(nothing or "It does not fire.").classes("dim")
            else:
                _table(about)


def _table(schedule: Schedule) -> None:
    times = [stamp.ToDatetime(UTC) for stamp in schedule.next_fire_times]
    # Only intervals and jitter have seconds.
    clock = "%a %Y-%m-%d %H:%M" if all(time.second == 0 for time in times) else "%a %Y-%m-%d %H:%M:%S"
    there = [by_clocks_of(schedule.time_zone, time, f"{clock} %Z") for time in times]
    has_zone = any(there)
    with ui.element("table").classes("times num"):
        with ui.element("tr"):
            for name in ("UTC", *([schedule.time_zone] if has_zone else []), "From now"):
                TextElement(tag="th", text=name).classes("small dim").props("scope=col")
        for time, local, stamp in zip(times, there, schedule.next_fire_times, strict=True):
            with ui.element("tr"):
                TextElement(tag="td", text=f"{time:{clock}}")
                if has_zone:
                    TextElement(tag="td", text=local)
                with ui.element("td").classes("dim small"):
                    TimeText(stamp)
