"""The client's calls about schedules: what they send, and what they bring back."""

import pytest

from convergence.v1.schedule_service_pb2 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    DeleteScheduleResponse,
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

from .peer import TENANT

NIGHTLY = Schedule(tenant_id=TENANT, schedule_id="nightly", provider="gcp", template_name="a", cron="0 6 * * *")
WHICH = {"tenant_id": TENANT, "schedule_id": "nightly"}
CALLS = {
    "CreateSchedule": (
        lambda client: client.create_schedule(NIGHTLY, request_id="mine"),
        CreateScheduleRequest(schedule=NIGHTLY, request_id="mine"),
    ),
    "GetSchedule": (lambda client: client.get_schedule(TENANT, "nightly"), GetScheduleRequest(**WHICH)),
    "PauseSchedule": (
        lambda client: client.pause_schedule(TENANT, "nightly", reason="holidays"),
        PauseScheduleRequest(**WHICH, reason="holidays"),
    ),
    "ResumeSchedule": (lambda client: client.resume_schedule(TENANT, "nightly"), ResumeScheduleRequest(**WHICH)),
}


@pytest.mark.parametrize("method", CALLS)
async def test_a_call_about_a_schedule(client, peer, method):
    call, asked = CALLS[method]
    peer.answers[method] = NIGHTLY

    assert await call(client) == NIGHTLY
    assert peer.requests[method] == [asked]


async def test_what_is_named_is_set(client, peer):
    peer.answers["UpdateSchedule"] = NIGHTLY
    change = Schedule(**WHICH, cron="0 7 * * *", etag="e1")

    assert await client.update_schedule(change, ["cron", "end_time"]) == NIGHTLY

    expected = UpdateScheduleRequest(schedule=change)
    expected.update_mask.paths[:] = ["cron", "end_time"]
    assert peer.requests["UpdateSchedule"] == [expected]


async def test_a_schedule_is_deleted(client, peer):
    peer.answers["DeleteSchedule"] = DeleteScheduleResponse()

    await client.delete_schedule(TENANT, "nightly", etag="e1")

    assert peer.requests["DeleteSchedule"] == [DeleteScheduleRequest(**WHICH, etag="e1")]


async def test_all_schedules_come_page_by_page(client, peer):
    async def listed(request, _context):
        token = "" if request.page_token else "more"
        return ListSchedulesResponse(schedules=[Schedule(schedule_id=request.page_token)], next_page_token=token)

    peer.answers["ListSchedules"] = listed
    wanted = {"provider": "gcp", "domain": "cost", "template_name": "a", "states": [Schedule.PAUSED], "page_size": 7}

    assert [schedule.schedule_id async for schedule in client.iter_schedules(TENANT, **wanted)] == ["", "more"]
    assert peer.requests["ListSchedules"] == [
        ListSchedulesRequest(tenant_id=TENANT, page_token=token, **wanted) for token in ("", "more")
    ]


async def test_all_ticks_come_page_by_page(client, peer):
    async def listed(request, _context):
        token = "" if request.page_token else "more"
        tick = ScheduledRun(message=request.page_token)
        return ListScheduledRunsResponse(scheduled_runs=[tick], next_page_token=token)

    peer.answers["ListScheduledRuns"] = listed
    wanted = {"schedule_id": "nightly", "outcomes": [ScheduledRun.MISSED, ScheduledRun.REFUSED], "page_size": 7}

    assert [tick.message async for tick in client.iter_scheduled_runs(TENANT, **wanted)] == ["", "more"]
    assert peer.requests["ListScheduledRuns"] == [
        ListScheduledRunsRequest(tenant_id=TENANT, page_token=token, **wanted) for token in ("", "more")
    ]
