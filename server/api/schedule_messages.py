"""Schedules and their ticks to messages, and what requests say of schedules."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from convergence.v1 import schedule_service_pb2 as pb
from server.api.convert import timestamp
from server.api.requests import gathering, known_names, moments, pipeline_name
from server.domain.faults import Fault
from server.domain.schedule import (
    CatchUp,
    CatchUpPolicy,
    NewSchedule,
    Overlap,
    Schedule,
    ScheduleSettings,
    ScheduleState,
    Tick,
)
from server.domain.ticks import fire_times
from server.errors import InvalidRequest
from server.schedules import ScheduleChange

SHOWN_FIRES = 10
_NAME = ("provider", "domain", "template_name")
_TIMING = ("cron", "interval")
_PLAIN = ("description", "cron", "date_offset_days", "refresh_window_days", "pause_after_failures")
_SETTINGS = (*_PLAIN, "interval", "variables", "time_zone", "overlap", "jitter", "start_time", "end_time")
_CATCH_UP = ("policy", "max_runs", "window")
_SETTABLE = (*_NAME, *_SETTINGS, "catch_up", *(f"catch_up.{name}" for name in _CATCH_UP))
# Many more than there are fields; each one that is wrong is told.
_MAX_PATHS = 100


async def schedule(record: Schedule) -> pb.Schedule:
    """A schedule as clients see it, with its next times."""
    # Those of a rare day take a while to find.
    fires = await asyncio.to_thread(fire_times, record, SHOWN_FIRES)
    return _schedule(record, fires)


async def listed_schedules(records: Sequence[Schedule], count: int) -> list[pb.Schedule]:
    """Schedules with so many of their next times."""
    if count == 1:
        return [_schedule(record, [record.due_at] if record.due_at else []) for record in records]
    return await asyncio.to_thread(lambda: [_schedule(record, fire_times(record, count)) for record in records])


def _schedule(record: Schedule, fires: Sequence[datetime]) -> pb.Schedule:
    settings = record.settings
    message = pb.Schedule(
        schedule_id=record.schedule_id,
        tenant_id=record.tenant_id,
        description=settings.description,
        provider=settings.name.provider,
        domain=settings.name.domain,
        template_name=settings.name.template_name,
        variables=settings.variables,
        time_zone=settings.time_zone,
        overlap=pb.Schedule.Overlap.Value(settings.overlap.value),
        catch_up=_catch_up(settings.catch_up),
        jitter=_duration(settings.jitter),
        date_offset_days=settings.date_offset_days,
        refresh_window_days=settings.refresh_window_days,
        pause_after_failures=settings.pause_after_failures,
        start_time=timestamp(settings.start_time),
        end_time=timestamp(settings.end_time),
        state=pb.Schedule.State.Value(record.state.value),
        pause_reason=record.pause_reason,
        next_fire_times=_stamps(fires) if record.state is ScheduleState.ACTIVE else (),
        missed_ticks=record.missed_ticks,
        consecutive_failures=record.consecutive_failures,
        last_run=record.last_run,
        created_at=timestamp(record.created_at),
        updated_at=timestamp(record.updated_at),
        etag=record.etag,
    )
    if settings.interval is not None:
        message.interval.FromTimedelta(settings.interval)
    else:
        message.cron = settings.cron
    return message


def _catch_up(record: CatchUp) -> pb.Schedule.CatchUp:
    policy = pb.Schedule.CatchUp.Policy.Value(record.policy.value)
    return pb.Schedule.CatchUp(policy=policy, max_runs=record.max_runs, window=_duration(record.window))


def _duration(length: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(length)
    return message


def _stamps(moments: Iterable[datetime]) -> list[Timestamp]:
    return [stamp for moment in moments if (stamp := timestamp(moment))]


def scheduled_run(record: Tick) -> pb.ScheduledRun:
    """A tick as clients see it."""
    return pb.ScheduledRun(
        tenant_id=record.tenant_id,
        schedule_id=record.schedule_id,
        nominal_time=timestamp(record.nominal_time),
        fired_at=timestamp(record.fired_at),
        date=record.date,
        outcome=pb.ScheduledRun.Outcome.Value(record.outcome.value),
        pipeline_logging_id=record.pipeline_logging_id,
        message=record.message,
    )


def new_schedule(message: pb.Schedule, tenant_id: str) -> NewSchedule:
    """The schedule that a request asks for. Raises InvalidRequest, for all that cannot be read."""
    faults = list[Fault]()
    values = _read(message, _SETTINGS, faults)
    catch_up = _read(message.catch_up, _CATCH_UP, faults, "catch_up.")
    name = _read(message, ["name"], faults)
    if faults:
        raise InvalidRequest(faults)
    settings = ScheduleSettings.model_validate({**name, **values, "catch_up": CatchUp.model_validate(catch_up)})
    return NewSchedule(tenant_id, message.schedule_id, settings)


def schedule_change(request: pb.UpdateScheduleRequest) -> ScheduleChange:
    """What a request changes.

    Raises:
        InvalidRequest: INVALID_UPDATE_MASK for what cannot be set, and faults of the values.
    """
    paths = list(dict.fromkeys(request.update_mask.paths))
    _require_settable(paths)
    message, faults = request.schedule, list[Fault]()
    values = _read(message, [path for path in paths if path in _SETTINGS], faults)
    if len(values.keys() & set(_TIMING)) == 1:
        # Of the two ways to say the times, the other one is over.
        values = {"cron": "", "interval": None, **values}
    parts = _CATCH_UP if "catch_up" in paths else [part for part in _CATCH_UP if f"catch_up.{part}" in paths]
    catch_up = _read(message.catch_up, parts, faults, "catch_up.")
    if faults:
        raise InvalidRequest(faults)
    name = {path: str(getattr(message, path)) for path in paths if path in _NAME}
    return ScheduleChange(message.schedule_id, values, name, catch_up, message.etag)


def _require_settable(paths: Sequence[str]) -> None:
    if len(paths) > _MAX_PATHS:
        told = [f"the fields to set are at most {_MAX_PATHS}, not {len(paths):,}"]
    else:
        right = f"write {', '.join(_SETTABLE)}"
        told = [f"{path[:80]!r} cannot be set; {right}" for path in paths if path not in _SETTABLE]
        told += [] if paths else [f"name the fields to set: {right}"]
    if told:
        raise InvalidRequest(Fault("INVALID_UPDATE_MASK", message, field="update_mask") for message in told)


def _read(message: Message, names: Iterable[str], faults: list[Fault], prefix: str = "") -> dict[str, object]:
    """The values of fields; what cannot be read is added to the faults."""
    values = dict[str, object]()
    for name in names:
        with gathering(faults):
            values[name] = _value(message, name, f"{prefix}{name}")
    return values


def _value(message: Any, name: str, field: str) -> object:
    """What a field says; of one that says nothing, what holds then. Raises InvalidRequest."""
    if name == "name":
        return pipeline_name(message)
    if name in _ENUMS:
        kind, names, default = _ENUMS[name]
        return known_names(kind, names.Name, [getattr(message, name) or names.Value(default)], field)[0]
    if name in {"start_time", "end_time"}:
        return moments(message, name)[0]
    value: object = getattr(message, name)
    if isinstance(value, Duration):
        length = _length(value, field) if message.HasField(name) else None
        return _DEFAULTS.get(name) if length is None else length
    if name == "variables":
        return dict(message.variables)
    return value or _DEFAULTS.get(name, value)


_ENUMS: dict[str, tuple[type[StrEnum], Any, str]] = {
    "overlap": (Overlap, pb.Schedule.Overlap, "SKIP"),
    "policy": (CatchUpPolicy, pb.Schedule.CatchUp.Policy, "LATEST"),
}
_DEFAULTS: dict[str, object] = {
    "time_zone": "UTC",
    "jitter": timedelta(),
    "max_runs": CatchUp().max_runs,
    "window": CatchUp().window,
}


def _length(message: Duration, field: str) -> timedelta:
    try:
        # What is less than a microsecond is nothing to anybody here, but not to the rules of a Duration.
        message.ToJsonString()
        return message.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidRequest([Fault("INVALID_FIELD", "it is no length of time", field=field)]) from None
