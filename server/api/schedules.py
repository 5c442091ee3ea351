"""ScheduleService."""

from collections.abc import Sequence
from typing import Any

import grpc

from convergence.v1 import schedule_service_pb2 as pb
from convergence.v1.schedule_service_pb2_grpc import ScheduleServiceServicer
from server.api import schedule_messages as messages
from server.api.authorization import current_actor, current_principal
from server.api.pages import page_key, page_moment, page_size, page_token
from server.api.requests import OfTenant, all_or_own, checked_request_id, known_names, own_tenant
from server.domain.faults import Fault
from server.domain.schedule import Schedule, ScheduleState, Tick, TickOutcome
from server.errors import InvalidRequest
from server.runs import Caller
from server.schedules import Schedules
from server.store.schedule_port import ScheduleFilter, SchedulePosition, TickFilter, TickPosition

Context = grpc.aio.ServicerContext[Any, Any]


class ScheduleServicer(ScheduleServiceServicer):
    """Translates; the use cases decide."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    async def CreateSchedule(self, request: pb.CreateScheduleRequest, context: Context) -> pb.Schedule:
        """See the proto."""
        caller = _caller(request.schedule)
        new = messages.new_schedule(request.schedule, caller.tenant_id)
        if request.validate_only:
            return await messages.schedule(await self._schedules.preview(caller, new))
        made = await self._schedules.create(caller, new, request_id=checked_request_id(request))
        return await messages.schedule(made)

    async def GetSchedule(self, request: pb.GetScheduleRequest, context: Context) -> pb.Schedule:
        """See the proto."""
        return await messages.schedule(await self._schedules.get(own_tenant(request), request.schedule_id))

    async def ListSchedules(self, request: pb.ListSchedulesRequest, context: Context) -> pb.ListSchedulesResponse:
        """See the proto."""
        size, key = page_size(request.page_size), page_key(request, parts=3)
        wanted = ScheduleFilter(
            tenant_id=all_or_own(request),
            provider=request.provider,
            domain=request.domain,
            template_name=request.template_name,
            states=known_names(ScheduleState, pb.Schedule.State.Name, request.states, "states"),
            soonest_first=request.soonest_first,
        )
        after = _position(key) if key else None
        if not 0 <= request.fire_times <= messages.SHOWN_FIRES:
            message = f"is 1 to {messages.SHOWN_FIRES}, or 0 for one"
            raise InvalidRequest([Fault("INVALID_FIELD", message, field="fire_times")])
        found = await self._schedules.list(wanted, after=after, limit=size + 1)
        return pb.ListSchedulesResponse(
            schedules=await messages.listed_schedules(found[:size], request.fire_times or 1),
            next_page_token=_token_behind(request, found[size - 1]) if len(found) > size else "",
        )

    async def UpdateSchedule(self, request: pb.UpdateScheduleRequest, context: Context) -> pb.Schedule:
        """See the proto."""
        change = messages.schedule_change(request)
        return await messages.schedule(await self._schedules.update(_caller(request.schedule), change))

    async def DeleteSchedule(self, request: pb.DeleteScheduleRequest, context: Context) -> pb.DeleteScheduleResponse:
        """See the proto."""
        await self._schedules.delete(_caller(request), request.schedule_id, etag=request.etag)
        return pb.DeleteScheduleResponse()

    async def PauseSchedule(self, request: pb.PauseScheduleRequest, context: Context) -> pb.Schedule:
        """See the proto."""
        return await messages.schedule(
            await self._schedules.pause(_caller(request), request.schedule_id, request.reason)
        )

    async def ResumeSchedule(self, request: pb.ResumeScheduleRequest, context: Context) -> pb.Schedule:
        """See the proto."""
        return await messages.schedule(await self._schedules.resume(_caller(request), request.schedule_id))

    async def ListScheduledRuns(
        self, request: pb.ListScheduledRunsRequest, context: Context
    ) -> pb.ListScheduledRunsResponse:
        """See the proto."""
        size, key = page_size(request.page_size), page_key(request, parts=2)
        wanted = TickFilter(
            own_tenant(request),
            request.schedule_id,
            known_names(TickOutcome, pb.ScheduledRun.Outcome.Name, request.outcomes, "outcomes"),
        )
        after = TickPosition(page_moment(key[0]), key[1]) if key else None
        found = await self._schedules.ticks(wanted, after=after, limit=size + 1)
        return pb.ListScheduledRunsResponse(
            scheduled_runs=map(messages.scheduled_run, found[:size]),
            next_page_token=_token_behind_tick(request, found[size - 1]) if len(found) > size else "",
        )


def _caller(request: OfTenant) -> Caller:
    """Whom a request is for, and who asks. Raises InvalidRequest."""
    return Caller(own_tenant(request), current_actor.get(), is_admin=current_principal.get().is_admin)


def _token_behind(request: pb.ListSchedulesRequest, schedule: Schedule) -> str:
    fires_at = schedule.due_at.isoformat() if request.soonest_first and schedule.due_at else ""
    return page_token(request, schedule.tenant_id, schedule.schedule_id, fires_at)


def _position(key: Sequence[str]) -> SchedulePosition:
    tenant_id, schedule_id, fires_at = key
    return SchedulePosition(tenant_id, schedule_id, page_moment(fires_at) if fires_at else None)


def _token_behind_tick(request: pb.ListScheduledRunsRequest, tick: Tick) -> str:
    return page_token(request, tick.nominal_time.isoformat(), tick.schedule_id)
