"""The options that say what a schedule is to be."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from convergence.arguments import Reading, choose_one, parse_count, parse_number, parse_variables, refused, split_path
from convergence.errors import Violation
from convergence.times import parse_span, parse_time
from convergence.v1.schedule_service_pb2 import Schedule

_OVERLAPS = {name.lower().replace("_", "-"): number for name, number in Schedule.Overlap.items() if number}
_POLICIES = {name.lower(): number for name, number in Schedule.CatchUp.Policy.items() if number}
_CATCH_UP = "catch_up."
_CHANGES = (
    "--pipeline, --cron, --every, --time-zone, --var, --no-vars, --overlap, --catch-up, --catch-up-runs, "
    "--catch-up-window, --jitter, --date-offset, --refresh-days, --pause-after, --start, --no-start, --end, --no-end, "
    "--description"
)

CHANGE_PLACES = {
    "cron": "--cron",
    "interval": "--every",
    "time_zone": "--time-zone",
    "date_offset_days": "--date-offset",
    "refresh_window_days": "--refresh-days",
    "pause_after_failures": "--pause-after",
    "catch_up.window": "--catch-up-window",
    "catch_up.max_runs": "--catch-up-runs",
    "jitter": "--jitter",
    "start_time": "--start",
    "end_time": "--end",
}
"""The options for what the server calls by these fields."""
PLACES = CHANGE_PLACES | {"schedule_id": "--id"}
"""The same for a new schedule."""

Cron = Annotated[
    str | None, typer.Option(metavar="EXPRESSION", help="When it fires: five fields, such as '0 6 * * *'.")
]
Every = Annotated[str | None, typer.Option(metavar="TIME", help="How often it fires, such as 90m, 6h or 7d.")]
TimeZone = Annotated[str | None, typer.Option(metavar="ZONE", help="Such as Europe/Berlin; UTC by default.")]
OverlapOption = Annotated[
    str | None, typer.Option(help=f"While an earlier run has not ended: {', '.join(_OVERLAPS)}; skip by default.")
]
CatchUp = Annotated[
    str | None,
    typer.Option(help=f"Of the ticks that no server was up for: {', '.join(_POLICIES)}; latest by default."),
]
CatchUpRuns = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="At most so many, with --catch-up all; 10 by default.")
]
CatchUpWindow = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only those not longer ago than this; 7d by default.")
]
Jitter = Annotated[str | None, typer.Option(metavar="TIME", help="Fire up to this much later, such as 10m.")]
DateOffset = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="The day a run is about: -1 is the day before it fires.")
]
RefreshDays = Annotated[str | None, typer.Option(metavar="NUMBER", help="Run so many days before that day again, too.")]
PauseAfter = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="Pause after so many failures in a row; 0 is never.")
]
Start = Annotated[
    str | None, typer.Option(metavar="ISO", help="Not before this time, with its zone: 2025-11-18T06:00:00Z.")
]
End = Annotated[str | None, typer.Option(metavar="ISO", help="Not at or after this time, with its zone.")]
Description = Annotated[str | None, typer.Option(help="For people.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions:
    """What a command line says of a schedule; None for what it does not say."""

    cron: str | None
    every: str | None
    time_zone: str | None
    var: list[str] | None
    overlap: str | None
    catch_up: str | None
    catch_up_runs: str | None
    catch_up_window: str | None
    jitter: str | None
    date_offset: str | None
    refresh_days: str | None
    pause_after: str | None
    start: str | None
    end: str | None
    description: str | None

    def new(self, tenant_id: str, schedule_id: str, pipeline: str) -> Schedule:
        """The schedule to make.

        Raises:
            InvalidArgument: listing everything that is wrong with the options.
        """
        reading = Reading()
        values = _pipeline(reading, pipeline, "PIPELINE") | self._values(reading)
        if self.cron is None and self.every is None:
            right = "a schedule needs it, such as --cron '0 6 * * *', or --every, such as --every 6h"
            reading.refuse("--cron", f"is missing: {right}")
        reading.end()
        return _schedule(tenant_id, schedule_id, values)

    def changes(
        self, tenant_id: str, schedule_id: str, pipeline: str | None, cleared: Mapping[str, bool]
    ) -> tuple[Schedule, Collection[str]]:
        """The schedule with what is to be set, and the paths of its fields to set.

        `cleared` says of `start`, `end` and `vars` whether an option unsets them.

        Raises:
            InvalidArgument: listing everything that is wrong with the options.
        """
        reading = Reading()
        values = _pipeline(reading, pipeline, "--pipeline") | self._values(reading) | self._cleared(reading, cleared)
        reading.end()
        if not values:
            raise refused(Violation("schedules update", f"names nothing to change; give one of {_CHANGES}"))
        return _schedule(tenant_id, schedule_id, values), values.keys()

    def _values(self, reading: Reading) -> dict[str, Any]:
        """The fields that are given, by their paths in an update mask."""
        if self.cron is not None and self.every is not None:
            reading.refuse("--every", "--cron is given, too; write one of both")
        values = {
            "cron": self.cron,
            "interval": reading.read(parse_span, self.every, "--every"),
            "time_zone": self.time_zone,
            "variables": reading.read(parse_variables, self.var),
            "overlap": reading.read(choose_one, self.overlap, _OVERLAPS, "--overlap"),
            "catch_up.policy": reading.read(choose_one, self.catch_up, _POLICIES, "--catch-up"),
            "catch_up.max_runs": reading.read(parse_count, self.catch_up_runs, "--catch-up-runs"),
            "catch_up.window": reading.read(parse_span, self.catch_up_window, "--catch-up-window"),
            "jitter": reading.read(parse_span, self.jitter, "--jitter"),
            "date_offset_days": reading.read(parse_number, self.date_offset, "--date-offset"),
            "refresh_window_days": reading.read(parse_number, self.refresh_days, "--refresh-days"),
            "pause_after_failures": reading.read(parse_number, self.pause_after, "--pause-after"),
            "start_time": reading.read(parse_time, self.start, "--start"),
            "end_time": reading.read(parse_time, self.end, "--end"),
            "description": self.description,
        }
        return {path: value for path, value in values.items() if value is not None}

    def _cleared(self, reading: Reading, cleared: Mapping[str, bool]) -> dict[str, None]:
        """The fields to unset, by their paths."""
        options = {
            "start": ("start_time", "--start", self.start),
            "end": ("end_time", "--end", self.end),
            "vars": ("variables", "--var", self.var),
        }
        asked = {name: option for name, option in options.items() if cleared[name]}
        for name, (_, other, given) in asked.items():
            if given is not None:
                reading.refuse(f"--no-{name}", f"{other} is given, too; write one of both")
        return {path: None for path, _, _ in asked.values()}


def _pipeline(reading: Reading, path: str | None, place: str) -> dict[str, Any]:
    parts = reading.read(split_path, path, place)
    return dict(zip(("provider", "domain", "template_name"), parts, strict=True)) if parts else {}


def _schedule(tenant_id: str, schedule_id: str, values: Mapping[str, Any]) -> Schedule:
    catch_up = {path.removeprefix(_CATCH_UP): value for path, value in values.items() if path.startswith(_CATCH_UP)}
    plain = {path: value for path, value in values.items() if not path.startswith(_CATCH_UP)}
    return Schedule(
        tenant_id=tenant_id,
        schedule_id=schedule_id,
        catch_up=Schedule.CatchUp(**catch_up) if catch_up else None,
        **plain,
    )
