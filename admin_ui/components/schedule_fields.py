"""What a schedule is made of, as fields: from a schedule, and back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from nicegui import ui

from admin_ui.components.cron_words import cron_words
from admin_ui.components.form import Form
from admin_ui.components.parts import card
from admin_ui.components.values import pipeline_path
from admin_ui.components.variable_fields import VariableFields
from admin_ui.list_addresses import pipeline_parts
from convergence.arguments import Reading, parse_number
from convergence.times import parse_span, span_text
from convergence.v1.schedule_service_pb2 import Schedule

_OVERLAPS = {
    Schedule.SKIP: "Skip: leave the tick out",
    Schedule.BUFFER_ONE: "Buffer one: run the first such tick afterwards",
    Schedule.ALLOW: "Allow: run beside it",
}
_POLICIES = {
    Schedule.CatchUp.SKIP: "Skip: none of them",
    Schedule.CatchUp.LATEST: "Latest: the latest of them",
    Schedule.CatchUp.ALL: "All: each of them, oldest first",
}
_CRON, _INTERVAL = "cron", "interval"
_NUMBERS = ("date_offset_days", "refresh_window_days", "pause_after_failures", "catch_up.max_runs")
_TIMES = ("start_time", "end_time")
_NO_WORDS = "Five fields: minute, hour, day of month, month, day of week. The times it fires are told beside."


class ScheduleFields:
    """The fields of a schedule.

    Args:
        given: what they show at first; with an etag it is one that exists, whose ids stay.
        tenants: to choose from when writing one; None where there is only one's own.
        pipelines: paths of those that can be chosen, and what is shown of each.
        on_change: called whenever a value changes.
    """

    def __init__(
        self,
        given: Schedule,
        *,
        tenants: Sequence[str] | None,
        pipelines: Mapping[str, str],
        on_change: Callable[[], None],
    ) -> None:
        self._given = given
        self.form = Form(on_change)
        self._inputs: dict[str, Any] = {}
        with card("What"):
            self._what(tenants, pipelines)
        with card("When"):
            self._when()
        with card("Which day"), ui.element("div").classes("form-grid"):
            self._which_day()
        with card("When something is in its way"), ui.element("div").classes("form-grid"):
            self._trouble()
        with card("Variables"):
            self.variables = VariableFields(self.form, given.variables)

    @property
    def pipeline(self) -> str:
        """The path of the chosen pipeline; '' for none."""
        return str(self._inputs["pipeline"].value or "")

    @property
    def is_begun(self) -> bool:
        """Whether there is enough to ask the service about it."""
        names = ["pipeline", self._inputs["timing"].value, *(["tenant_id"] if "tenant_id" in self._inputs else [])]
        return all(str(self._inputs[name].value or "").strip() for name in names)

    def on_pipeline(self, call: Callable[[], Any]) -> None:
        """Have it called when another pipeline is chosen."""
        self._inputs["pipeline"].on_value_change(call)

    def _line(self, name: str, label: str, value: str = "", *, hint: str = "", kind: str = "text") -> ui.input:
        self._inputs[name] = field = self.form.line(name, label, value, hint=hint, kind=kind)
        return field

    def _choice(self, name: str, label: str, options: Mapping[Any, str], value: object, *, typed: bool = False) -> None:
        self._inputs[name] = self.form.choice(name, label, options, value, typed=typed)

    def _what(self, tenants: Sequence[str] | None, pipelines: Mapping[str, str]) -> None:
        given, is_new = self._given, not self._given.etag
        path = pipeline_path(given)
        with ui.element("div").classes("form-grid"):
            if is_new and tenants is not None:
                self._line("tenant_id", "Tenant", given.tenant_id).set_autocomplete(list(tenants))
            options = {**({path: path} if path else {}), **pipelines}
            self._choice("pipeline", "Pipeline", options, path or None, typed=True)
            if is_new:
                hint = "Lower-case letters, digits, _ and -; made for you when empty"
                self._line("schedule_id", "Id", given.schedule_id, hint=hint)
            self._line("description", "Description", given.description)

    def _when(self) -> None:
        given = self._given
        timing = _INTERVAL if given.HasField("interval") else _CRON
        toggle = ui.toggle({_CRON: "Cron", _INTERVAL: "Every so often"}, value=timing)
        toggle.props('dense no-caps unelevated padding="3px 12px" aria-label="Kind of times"').classes("self-start")
        self._inputs["timing"] = toggle
        with ui.element("div").classes("form-grid"):
            cron = self._line(_CRON, "Cron", given.cron, hint=cron_words(given.cron) or _NO_WORDS)
            cron.props("input-class=mono spellcheck=false autocomplete=off")
            every = self._line(_INTERVAL, "Every", span_text(given.interval), hint="Such as 90m, 6h or 7d")
            zones = {zone: zone for zone in sorted(available_timezones() | {given.time_zone or "UTC"})}
            self._choice("time_zone", "Time zone", zones, given.time_zone or "UTC", typed=True)
            for name, label in zip(_TIMES, ("Not before", "Not at or after"), strict=True):
                text = _clock_text(getattr(given, name), given.time_zone)
                field = self._line(name, label, text, kind="datetime-local", hint="By the clocks of the time zone")
                field.props("step=1")
            hint = "Fire up to so much later, such as 10m"
            self._line("jitter", "Jitter", span_text(given.jitter), hint=hint)
        cron.on_value_change(lambda: cron.props.update(hint=cron_words(cron.value or "") or _NO_WORDS))

        def choose() -> None:
            cron.visible, every.visible = toggle.value == _CRON, toggle.value == _INTERVAL
            self.form.changed()

        toggle.on_value_change(choose)
        cron.visible, every.visible = timing == _CRON, timing == _INTERVAL

    def _which_day(self) -> None:
        given = self._given
        hint = "Added to the tick's day to get the run's date; -1 is yesterday"
        self._number("date_offset_days", "Date offset, days", given.date_offset_days, hint)
        hint = "Also run so many days before that date again"
        self._number("refresh_window_days", "Refresh window, days", given.refresh_window_days, hint)

    def _trouble(self) -> None:
        given, catch_up = self._given, self._given.catch_up
        overlap = given.overlap or Schedule.SKIP
        label = "While an earlier run has not ended"
        self._choice("overlap", label, _OVERLAPS, overlap)
        hint = "Failures in a row; 0 is never"
        self._number("pause_after_failures", "Pause after", given.pause_after_failures, hint)
        policy = catch_up.policy or Schedule.CatchUp.LATEST
        self._choice("catch_up.policy", "Ticks that passed while no server was up", _POLICIES, policy)
        runs = self._number("catch_up.max_runs", "Catch up at most, runs", catch_up.max_runs or 10, "Of all of them")
        runs.bind_enabled_from(self._inputs["catch_up.policy"], "value", lambda value: value == Schedule.CatchUp.ALL)
        window = span_text(catch_up.window) or "7d"
        self._line("catch_up.window", "Only those of the last", window, hint="Such as 12h or 7d")

    def _number(self, name: str, label: str, value: int, hint: str) -> ui.input:
        return self._line(name, label, str(value), hint=hint).props("inputmode=numeric")

    def read(self) -> Schedule:
        """The schedule as it is written.

        Raises:
            InvalidArgument: listing everything that cannot be read.
        """
        reading = Reading()
        text = {name: str(field.value or "").strip() for name, field in self._inputs.items()}
        numbers = {name: reading.read(parse_number, text[name] or "0", name) or 0 for name in _NUMBERS}
        given = self._given
        jitter = _span(reading, text["jitter"], "jitter", given.jitter)
        window = _span(reading, text["catch_up.window"], "catch_up.window", given.catch_up.window)
        times = {name: self._time(reading, text[name], text["time_zone"], name) for name in _TIMES}
        interval = self._interval(reading, text[_INTERVAL]) if text["timing"] == _INTERVAL else None
        if not text["pipeline"]:
            reading.refuse("pipeline", "choose one")
        reading.end()
        provider, domain, template_name = pipeline_parts(text["pipeline"])
        schedule = Schedule(
            tenant_id=text.get("tenant_id", given.tenant_id),
            schedule_id=text.get("schedule_id", given.schedule_id),
            etag=given.etag,
            provider=provider,
            domain=domain,
            template_name=template_name,
            description=text["description"],
            variables=self.variables.values(),
            interval=interval,
            time_zone=text["time_zone"],
            overlap=self._inputs["overlap"].value,
            catch_up=Schedule.CatchUp(
                policy=self._inputs["catch_up.policy"].value, max_runs=numbers.pop("catch_up.max_runs"), window=window
            ),
            jitter=jitter,
            start_time=times["start_time"],
            end_time=times["end_time"],
        )
        for name, number in numbers.items():
            setattr(schedule, name, number)
        if text["timing"] == _CRON:
            schedule.cron = text[_CRON]
        return schedule

    def _interval(self, reading: Reading, text: str) -> Duration | None:
        if not text:
            reading.refuse(_INTERVAL, "is missing: write a length of time, such as 6h")
        return _span(reading, text, _INTERVAL, self._given.interval)

    def _time(self, reading: Reading, text: str, time_zone: str, name: str) -> Timestamp | None:
        if not text:
            return None
        given: Timestamp = getattr(self._given, name)
        if text == _clock_text(given, time_zone) and time_zone == self._given.time_zone:
            # What was not touched stays to the fraction of the second.
            return given
        stamp = Timestamp()
        try:
            stamp.FromDatetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(time_zone)))
        except (KeyError, ValueError, OverflowError, OSError):
            reading.refuse(name, "is no time of the calendar, or the time zone is unknown here")
            return None
        return stamp


def _span(reading: Reading, text: str, name: str, given: Duration) -> Duration | None:
    """The length of time; what was not touched stays to the fraction of the second."""
    if text == span_text(given):
        return given if text else None
    return reading.read(parse_span, text, name) if text else None


def _clock_text(stamp: Timestamp, time_zone: str) -> str:
    """The time as the zone's clocks have it, as a browser's field wants it."""
    if not stamp.seconds:
        return ""
    try:
        return f"{stamp.ToDatetime(ZoneInfo(time_zone or 'UTC')):%Y-%m-%dT%H:%M:%S}"
    except (KeyError, ValueError, OSError):
        return ""


_SETTABLE = (
    "provider",
    "domain",
    "template_name",
    "description",
    "variables",
    "cron",
    "interval",
    "time_zone",
    "overlap",
    "catch_up",
    "jitter",
    "date_offset_days",
    "refresh_window_days",
    "pause_after_failures",
    "start_time",
    "end_time",
)


def changed_paths(before: Schedule, after: Schedule) -> list[str]:
    """The fields of an update mask that lead from one to the other."""
    paths = [path for path in _SETTABLE if getattr(before, path) != getattr(after, path)]
    if {"cron", "interval"} <= set(paths):
        # Setting the one unsets the other.
        paths.remove("interval" if after.cron else "cron")
    return paths
