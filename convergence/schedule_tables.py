"""How schedules and their ticks look to people."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from rich.console import RenderableType
from rich.text import Text

from convergence.fitting import FittingTable
from convergence.output import clean, facts, moment, status_text, table
from convergence.tables import pipeline_path
from convergence.times import span_text
from convergence.v1.schedule_service_pb2 import Schedule, ScheduledRun


def schedules_table(schedules: Sequence[Schedule], *, all_tenants: bool) -> RenderableType:
    """One line a schedule; an id of `all_tenants` says nothing without its tenant."""
    if not schedules:
        return "No schedules."
    failures = any(item.consecutive_failures for item in schedules)
    tenant = () if all_tenants else ("TENANT",)
    return FittingTable(
        [_cells(item, failures=failures) for item in schedules],
        expendable=(*tenant, "TIME ZONE", "NEXT", "WHEN", "FAILURES", "PIPELINE", "STATE"),
        numbers=("FAILURES",),
        whole=("STATE", "TENANT", "SCHEDULE"),
    )


def _cells(schedule: Schedule, *, failures: bool) -> dict[str, str | Text]:
    return {
        "STATE": status_text(Schedule.State.Name(schedule.state)),
        **({"FAILURES": f"{schedule.consecutive_failures or ''}"} if failures else {}),
        "TENANT": schedule.tenant_id,
        "PIPELINE": pipeline_path(schedule),
        "WHEN": _timing(schedule),
        "TIME ZONE": schedule.time_zone,
        "NEXT": moment(schedule.next_fire_times[0]) if schedule.next_fire_times else "",
        "SCHEDULE": schedule.schedule_id,
    }


def schedule_parts(schedule: Schedule, ticks: Sequence[ScheduledRun] = ()) -> list[RenderableType]:
    """A schedule, the times it fires next, and its latest ticks."""
    parts: list[RenderableType] = [_schedule_facts(schedule)]
    if schedule.next_fire_times:
        parts += ["", _next_table(schedule)]
    return [*parts, "", ticks_table(ticks)] if ticks else parts


def _next_table(schedule: Schedule) -> RenderableType:
    """When it fires next, also by the clocks of its zone."""
    times = [moment(time) for time in schedule.next_fire_times]
    there = _local_times(schedule)
    if there in ([], times):
        return table("FIRES NEXT", rows=[(time,) for time in times])
    return table("FIRES NEXT", clean(schedule.time_zone), rows=zip(times, there, strict=True))


def _local_times(schedule: Schedule) -> list[str]:
    """The times it fires next in its zone; none when this machine does not know that."""
    try:
        zone = ZoneInfo(schedule.time_zone)
    except (KeyError, ValueError, OSError):
        return []
    return [f"{time.ToDatetime(zone):%Y-%m-%d %H:%M:%S %Z}" for time in schedule.next_fire_times]


def _schedule_facts(schedule: Schedule) -> RenderableType:
    offset, refreshed = schedule.date_offset_days, schedule.refresh_window_days
    most_failures = schedule.pause_after_failures
    return facts(
        {
            "schedule": schedule.schedule_id,
            "state": status_text(Schedule.State.Name(schedule.state)),
            "paused because": schedule.pause_reason,
            "description": schedule.description,
            "tenant": schedule.tenant_id,
            "pipeline": pipeline_path(schedule),
            "variables": ", ".join(f"{name}={value}" for name, value in sorted(schedule.variables.items())),
            "when": _timing(schedule),
            "time zone": schedule.time_zone,
            "date": f"{offset:+,} days" if offset else "",
            "runs again": f"{refreshed:,} days before that date" if refreshed else "",
            "overlap": Schedule.Overlap.Name(schedule.overlap) if schedule.overlap else "",
            "catch up": _catch_up(schedule.catch_up),
            "jitter": span_text(schedule.jitter),
            "pauses after": f"{most_failures:,} failures in a row" if most_failures else "",
            "starts": moment(schedule.start_time),
            "ends": moment(schedule.end_time),
            "missed ticks": f"{schedule.missed_ticks:,}" if schedule.missed_ticks else "",
            "failures": f"{schedule.consecutive_failures:,} in a row" if schedule.consecutive_failures else "",
            "last run": schedule.last_run,
            "created": moment(schedule.created_at),
            "updated": moment(schedule.updated_at),
        }
    )


def ticks_table(ticks: Sequence[ScheduledRun]) -> RenderableType:
    """One line a tick; why it has no run in the last column."""
    if not ticks:
        return "No ticks."
    return FittingTable(
        [_tick_cells(tick) for tick in ticks],
        expendable=("NOTE", "DEALT WITH", "DATE", "RUN"),
        numbers=(),
        whole=("TICK", "SCHEDULE", "OUTCOME", "RUN"),
        below=("RUN", "NOTE"),
    )


def _tick_cells(tick: ScheduledRun) -> dict[str, str | Text]:
    return {
        "TICK": moment(tick.nominal_time),
        "SCHEDULE": tick.schedule_id,
        "OUTCOME": status_text(ScheduledRun.Outcome.Name(tick.outcome)),
        "DATE": tick.date,
        "DEALT WITH": moment(tick.fired_at),
        "RUN": tick.pipeline_logging_id,
        "NOTE": tick.message,
    }


def _timing(schedule: Schedule) -> str:
    return schedule.cron or f"every {span_text(schedule.interval)}"


def _catch_up(catch_up: Schedule.CatchUp) -> str:
    parts = [
        Schedule.CatchUp.Policy.Name(catch_up.policy) if catch_up.policy else "",
        f"at most {catch_up.max_runs:,}" if catch_up.policy == Schedule.CatchUp.ALL else "",
        f"of the last {span_text(catch_up.window)}" if catch_up.HasField("window") else "",
    ]
    return ", ".join(part for part in parts if part)
