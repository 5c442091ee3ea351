"""Schedules, as clients ask for them: make, read, change, pause; and their ticks."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from secrets import token_hex

from server.domain.faults import Fault, Refused
from server.domain.pipeline import PipelineName
from server.domain.run import RunTrigger
from server.domain.schedule import (
    NewSchedule,
    Schedule,
    ScheduleSettings,
    ScheduleState,
    Tick,
    schedule_id_faults,
    settings_faults,
)
from server.domain.tenant import TenantState
from server.domain.ticks import fire_time, first_tick
from server.errors import (
    EtagMismatch,
    InvalidRequest,
    RequestIdReused,
    ScheduleEnded,
    ScheduleExists,
    ScheduleLimitReached,
    ScheduleNotFound,
    TenantNotActive,
)
from server.exact_writes import inexact_writes
from server.preparation import RunRequest
from server.runs import Caller, Runs, request_key, require_runnable, why_inactive
from server.store.port import RequestConflict, TenantGone
from server.store.schedule_port import (
    MadeAndGone,
    NeverFires,
    ScheduleChanged,
    ScheduleConflict,
    ScheduleFilter,
    SchedulePosition,
    ScheduleStore,
    TickFilter,
    TickPosition,
    TooManySchedules,
)

_MAX_REASON = 1_000


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """What is to be changed of a schedule."""

    schedule_id: str
    values: Mapping[str, object]
    """By the names of ScheduleSettings' fields."""
    name: Mapping[str, str] = field(default_factory=dict)
    """Of the pipeline, by the names of PipelineName's fields."""
    catch_up: Mapping[str, object] = field(default_factory=dict)
    """By the names of CatchUp's fields."""
    etag: str = ""
    """The schedule has to be as it was when it had this etag; '' for however it is."""


class Schedules:
    """The use cases around schedules. Another tenant's schedule is not found, as one that does not exist."""

    def __init__(self, store: ScheduleStore, runs: Runs) -> None:
        self._store = store
        self._runs = runs

    async def create(self, caller: Caller, new: NewSchedule, *, request_id: str = "") -> Schedule:
        """Make a schedule. Without an id it gets one.

        Raises:
            InvalidRequest: with every fault, also those that its runs would have.
            PermissionDenied, PipelineMissing, TenantNotFound, TenantNotActive: as for a run.
            ScheduleExists, ScheduleLimitReached, RequestIdReused.
        """
        content = {"schedule_id": new.schedule_id, "settings": new.settings.model_dump(mode="json")}
        key = request_key(new.tenant_id, "CreateSchedule", request_id, content)
        try:
            if key is not None and (earlier := await self._store.find_schedule_request(key)):
                return earlier
            faults = schedule_id_faults(new.schedule_id) if new.schedule_id else []
            await self._check(caller, new.settings, faults)
            named = replace(new, schedule_id=new.schedule_id or _made_id(new.settings))
            return await self._store.create_schedule(named, by=caller.by, request=key)
        except RequestConflict:
            raise RequestIdReused from None
        except ScheduleConflict:
            raise ScheduleExists from None
        except TooManySchedules:
            raise ScheduleLimitReached from None
        except NeverFires:
            raise _never_fires() from None
        except MadeAndGone:
            raise ScheduleNotFound("The schedule that this request has made was deleted since.") from None
        except TenantGone:
            raise TenantNotActive(why_inactive(TenantState.OFFBOARDED, "")) from None

    async def preview(self, caller: Caller, new: NewSchedule) -> Schedule:
        """The schedule as it would be, if it were made now. Raises as `create`."""
        faults = schedule_id_faults(new.schedule_id) if new.schedule_id else []
        await self._check(caller, new.settings, faults)
        if new.schedule_id and await self._store.get_schedule(new.tenant_id, new.schedule_id):
            raise ScheduleExists
        now = datetime.now(UTC)
        schedule = Schedule(
            tenant_id=new.tenant_id,
            schedule_id=new.schedule_id,
            settings=new.settings,
            state=ScheduleState.ACTIVE,
            created_at=now,
            updated_at=now,
        )
        tick = first_tick(schedule, now)
        if tick is None:
            raise _never_fires()
        return schedule.model_copy(update={"next_tick": tick, "due_at": fire_time(schedule, tick)})

    async def _check(self, caller: Caller, settings: ScheduleSettings, faults: list[Fault]) -> None:
        """Whether the schedule can be kept, and its runs would be accepted. Raises as `create`."""
        faults = [*faults, *settings_faults(settings)]
        variables = {name: value for name, value in settings.variables.items() if name != "date"}
        request = RunRequest(settings.name, datetime.now(UTC).date().isoformat(), variables)
        run = await self._runs.examined(replace(caller, trigger=RunTrigger.SCHEDULE), request, faults)
        if run is not None and settings.refresh_window_days:
            faults += [Fault("REFRESH_NOT_EXACT", told, "refresh_window_days") for told in inexact_writes(run.snapshot)]
        if faults:
            raise InvalidRequest(faults)

    async def get(self, tenant_id: str, schedule_id: str) -> Schedule:
        """The schedule. Raises ScheduleNotFound."""
        return _found(await self._store.get_schedule(tenant_id, schedule_id))

    async def update(self, caller: Caller, change: ScheduleChange) -> Schedule:
        """Change a schedule.

        Raises:
            ScheduleNotFound, EtagMismatch, and as `create`.
        """
        while True:
            was = await self.get(caller.tenant_id, change.schedule_id)
            _require_etag(was, change.etag)
            catch_up = was.settings.catch_up.model_copy(update=dict(change.catch_up))
            name = _renamed(was.settings.name, change.name)
            settings = was.settings.model_copy(update={"name": name, "catch_up": catch_up, **change.values})
            if settings == was.settings:
                return was
            await self._check(caller, settings, [])
            with suppress(ScheduleChanged):
                return await self._store.update_schedule(was, settings, by=caller.by)

    async def delete(self, caller: Caller, schedule_id: str, *, etag: str = "") -> None:
        """Delete a schedule. Raises ScheduleNotFound, PermissionDenied, EtagMismatch."""
        while True:
            was = await self._changeable(caller, schedule_id)
            _require_etag(was, etag)
            with suppress(ScheduleChanged):
                await self._store.delete_schedule(was, by=caller.by)
                return

    async def pause(self, caller: Caller, schedule_id: str, reason: str) -> Schedule:
        """Stop a schedule. Raises InvalidRequest, ScheduleNotFound, PermissionDenied."""
        require_reason(reason)
        await self._changeable(caller, schedule_id)
        return _found(await self._store.pause_schedule(caller.tenant_id, schedule_id, reason, by=caller.by))

    async def resume(self, caller: Caller, schedule_id: str) -> Schedule:
        """Let a schedule fire again.

        Raises:
            ScheduleNotFound, ScheduleEnded, TenantNotActive: the last when the tenant was offboarded.
            InvalidRequest, PipelineMissing, PermissionDenied: its runs would be refused.
        """
        schedule = await self._changeable(caller, schedule_id)
        if schedule.state is ScheduleState.ENDED:
            raise ScheduleEnded
        # It may be resumed before its tenant is: ticks are skipped until then.
        with suppress(TenantNotActive):
            await self._check(caller, schedule.settings, [])
        try:
            return _found(await self._store.resume_schedule(caller.tenant_id, schedule_id, by=caller.by))
        except TenantGone:
            raise TenantNotActive(why_inactive(TenantState.OFFBOARDED, "")) from None

    async def _changeable(self, caller: Caller, schedule_id: str) -> Schedule:
        """The schedule, of a pipeline that the caller may run. Raises ScheduleNotFound, PermissionDenied."""
        schedule = await self.get(caller.tenant_id, schedule_id)
        require_runnable(caller, schedule.settings.name)
        return schedule

    async def ticks(self, wanted: TickFilter, *, after: TickPosition | None, limit: int) -> list[Tick]:
        """Ticks of a tenant's schedules, newest first. Raises TenantNotFound."""
        found = await self._store.list_ticks(wanted, after=after, limit=limit)
        if not found:
            await self._runs.require_tenant(wanted.tenant_id)
        return found

    async def list(self, wanted: ScheduleFilter, *, after: SchedulePosition | None, limit: int) -> list[Schedule]:
        """Schedules behind `after`. Raises TenantNotFound."""
        found = await self._store.list_schedules(wanted, after=after, limit=limit)
        if not found:
            await self._runs.require_tenant(wanted.tenant_id)
        return found


def _never_fires() -> InvalidRequest:
    return InvalidRequest([Fault("INVALID_FIELD", "no tick comes before it", field="end_time")])


def require_reason(reason: str) -> None:
    """Whether a reason may be kept. Raises InvalidRequest."""
    if len(reason) > _MAX_REASON or not reason.isprintable():
        message = f"a reason is at most {_MAX_REASON:,} printable characters"
        raise InvalidRequest([Fault("INVALID_FIELD", message, field="reason")])


def _renamed(name: PipelineName, parts: Mapping[str, str]) -> PipelineName:
    """Raises InvalidRequest."""
    try:
        return replace(name, **parts)
    except Refused as refused:
        raise InvalidRequest(refused.faults) from None


def _made_id(settings: ScheduleSettings) -> str:
    return f"{settings.name.template_name[:50]}-{token_hex(4)}"


def _found(schedule: Schedule | None) -> Schedule:
    if schedule is None:
        raise ScheduleNotFound
    return schedule


def _require_etag(schedule: Schedule, etag: str) -> None:
    if etag and etag != schedule.etag:
        raise EtagMismatch
