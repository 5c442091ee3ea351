"""The client's calls about schedules."""

import uuid
from collections.abc import AsyncIterator, Collection
from typing import TypedDict, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from convergence.calls import Calls, pages
from convergence.v1.schedule_service_pb2 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    GetScheduleRequest,
    ListScheduledRunsRequest,
    ListScheduledRunsResponse,
    ListSchedulesRequest,
    ListSchedulesResponse,
    PauseScheduleRequest,
    ResumeScheduleRequest,
    Schedule,
    ScheduledRun,
    UpdateScheduleRequest,
)


class ScheduleFilter(TypedDict, total=False):
    """Which schedules to list; what is left out holds for all."""

    provider: str
    domain: str
    template_name: str
    states: Collection[Schedule.State.ValueType]
    """Any of these."""
    fire_times: int
    """How many of the next times of each, at most 10; one by default."""
    soonest_first: bool
    """Those that fire at all, by when they do next, instead of all by id."""
    page_size: int
    """Schedules a page, at most 500."""


class ScheduledRunFilter(TypedDict, total=False):
    """Which ticks of a tenant's schedules to list; what is left out holds for all."""

    schedule_id: str
    """Those of one schedule."""
    outcomes: Collection[ScheduledRun.Outcome.ValueType]
    """Any of these."""
    page_size: int
    """Ticks a page, at most 500."""


class ScheduleCalls(Calls):
    """Makes, changes, pauses and deletes schedules, and lists what they did."""

    async def create_schedule(self, schedule: Schedule, *, request_id: str = "") -> Schedule:
        """Make a schedule, ACTIVE at once, and return it with the times it fires next.

        Without a `request_id` it makes one, so that repeating the call after a lost connection makes nothing twice.
        """
        request = CreateScheduleRequest(schedule=schedule, request_id=request_id or str(uuid.uuid4()))
        return await self._call(self.schedules.CreateSchedule, request)

    async def preview_schedule(self, schedule: Schedule) -> Schedule:
        """Check a schedule, and return it as it would be made now, with the times it would fire next."""
        return await self._call(
            self.schedules.CreateSchedule, CreateScheduleRequest(schedule=schedule, validate_only=True)
        )

    async def get_schedule(self, tenant_id: str, schedule_id: str) -> Schedule:
        """One schedule, with the times it fires next."""
        request = GetScheduleRequest(tenant_id=tenant_id, schedule_id=schedule_id)
        return await self._call(self.schedules.GetSchedule, request)

    async def list_schedules(
        self, tenant_id: str = "", *, page_token: str = "", **wanted: Unpack[ScheduleFilter]
    ) -> ListSchedulesResponse:
        """One page of schedules by id; only an operator may leave out `tenant_id`."""
        request = ListSchedulesRequest(tenant_id=tenant_id, page_token=page_token, **wanted)
        return await self._call(self.schedules.ListSchedules, request)

    async def iter_schedules(self, tenant_id: str = "", **wanted: Unpack[ScheduleFilter]) -> AsyncIterator[Schedule]:
        """All schedules that `list_schedules` would list, page by page as they are needed."""
        async for page in pages(lambda token: self.list_schedules(tenant_id, page_token=token, **wanted)):
            for schedule in page.schedules:
                yield schedule

    async def update_schedule(self, schedule: Schedule, paths: Collection[str]) -> Schedule:
        """Set those fields of the schedule that has its ids, such as `cron` or `catch_up.max_runs`.

        A field that is named and not set in `schedule` is cleared. When `schedule` has an `etag`, the schedule must not
        have been changed since it had that.
        """
        request = UpdateScheduleRequest(schedule=schedule, update_mask=FieldMask(paths=paths))
        return await self._call(self.schedules.UpdateSchedule, request)

    async def delete_schedule(self, tenant_id: str, schedule_id: str, *, etag: str = "") -> None:
        """Delete a schedule; its runs stay. With an `etag` it must not have been changed since it had that."""
        request = DeleteScheduleRequest(tenant_id=tenant_id, schedule_id=schedule_id, etag=etag)
        await self._call(self.schedules.DeleteSchedule, request)

    async def pause_schedule(self, tenant_id: str, schedule_id: str, *, reason: str = "") -> Schedule:
        """Stop a schedule from firing; its runs go on. The reason is for people."""
        request = PauseScheduleRequest(tenant_id=tenant_id, schedule_id=schedule_id, reason=reason)
        return await self._call(self.schedules.PauseSchedule, request)

    async def resume_schedule(self, tenant_id: str, schedule_id: str) -> Schedule:
        """Let a schedule fire again, with its failures forgotten."""
        request = ResumeScheduleRequest(tenant_id=tenant_id, schedule_id=schedule_id)
        return await self._call(self.schedules.ResumeSchedule, request)

    async def list_scheduled_runs(
        self, tenant_id: str, *, page_token: str = "", **wanted: Unpack[ScheduledRunFilter]
    ) -> ListScheduledRunsResponse:
        """One page of the ticks of a tenant's schedules, newest first, with the runs they started."""
        request = ListScheduledRunsRequest(tenant_id=tenant_id, page_token=page_token, **wanted)
        return await self._call(self.schedules.ListScheduledRuns, request)

    async def iter_scheduled_runs(
        self, tenant_id: str, **wanted: Unpack[ScheduledRunFilter]
    ) -> AsyncIterator[ScheduledRun]:
        """All ticks that `list_scheduled_runs` would list, page by page as they are needed."""
        async for page in pages(lambda token: self.list_scheduled_runs(tenant_id, page_token=token, **wanted)):
            for tick in page.scheduled_runs:
                yield tick
