"""`convergence schedules`: what is sent, and what is shown."""

import re

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

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
)

from .command_line import NASTY, SHOWN, lines
from .peer import RUN_ID, TENANT

NIGHTLY = ["nightly", "--tenant", TENANT]
CREATE = ["schedules", "create", "gcp/cost/cost_billing", "--tenant", TENANT]
UPDATE = ["schedules", "update", *NIGHTLY]
WHICH = {"tenant_id": TENANT, "schedule_id": "nightly"}
PIPELINE = {"provider": "gcp", "domain": "cost", "template_name": "cost_billing"}
SIX = Timestamp(seconds=1_763_445_600)


def a_schedule(**fields):
    timing = {} if "interval" in fields else {"cron": "0 6 * * *"}
    return Schedule(**(WHICH | PIPELINE | timing | {"state": Schedule.ACTIVE, "time_zone": "UTC"} | fields))


def a_tick(outcome=ScheduledRun.FIRED, **fields):
    return ScheduledRun(**WHICH, nominal_time=SIX, fired_at=SIX, date="2025-11-17", outcome=outcome, **fields)


# Everything that the options can say, but for when it fires.
OPTIONS = [
    *("--time-zone", "Europe/Berlin", "--var", "region=eu", "--var", "empty=", "--overlap", "buffer-one"),
    *("--catch-up", "all", "--catch-up-runs", "5", "--catch-up-window", "2d", "--jitter", "10m"),
    *("--date-offset", "-1", "--refresh-days", "30", "--pause-after", "3"),
    *("--start", "2025-11-18T06:00:00Z", "--end", "2026-11-18T07:00:00+01:00", "--description", "the bills"),
]
SAID = {
    "time_zone": "Europe/Berlin",
    "variables": {"region": "eu", "empty": ""},
    "overlap": Schedule.BUFFER_ONE,
    "catch_up": Schedule.CatchUp(policy=Schedule.CatchUp.ALL, max_runs=5, window=Duration(seconds=172_800)),
    "jitter": Duration(seconds=600),
    "date_offset_days": -1,
    "refresh_window_days": 30,
    "pause_after_failures": 3,
    "start_time": SIX,
    "end_time": Timestamp(seconds=1_763_445_600 + 365 * 86_400),
    "description": "the bills",
}


async def test_a_schedule_is_made_as_the_command_line_says(cli, peer):
    peer.answers["CreateSchedule"] = a_schedule(next_fire_times=[SIX])

    ended = await cli(*CREATE, "--id", "nightly", "--cron", "0 6 * * *", *OPTIONS, "--request-id", "mine")

    assert (ended.code, ended.err) == (0, "")
    assert peer.requests["CreateSchedule"] == [
        CreateScheduleRequest(schedule=Schedule(**WHICH, **PIPELINE, cron="0 6 * * *", **SAID), request_id="mine")
    ]
    assert "schedule nightly" in lines(ended.out)
    assert lines(ended.out)[-2:] == ["FIRES NEXT", "2025-11-18 06:00:00 UTC"]


async def test_what_is_not_said_is_left_to_the_server(cli, peer):
    peer.answers["CreateSchedule"] = a_schedule()

    await cli("schedules", "create", "setup/bootstrap_system", "--tenant", TENANT, "--every", "6h")

    (request,) = peer.requests["CreateSchedule"]
    assert request.schedule == Schedule(
        tenant_id=TENANT, provider="setup", template_name="bootstrap_system", interval=Duration(seconds=21_600)
    )
    assert request.request_id


async def test_all_that_is_wrong_with_a_new_schedule_is_told_at_once(cli, peer):
    ended = await cli(
        *("schedules", "create", "gcp", "--tenant", TENANT, "--cron", "0 6 * * *", "--every", "often"),
        *("--var", "x", "--var", "=y", "--overlap", "twice", "--catch-up", "most", "--catch-up-window", "1w"),
        *("--jitter", "-1m", "--start", "2025-11-18T06:00:00", "--end", "never"),
    )

    assert ended.code == 2
    assert [line.partition(";")[0] for line in ended.err.splitlines()] == [
        "Error: INVALID_OPTION",
        "  PIPELINE: 'gcp' names no pipeline",
        "  --every: --cron is given, too",
        "  --every: 'often' is no length of time",
        "  --var: 'x' sets no variable",
        "  --var: '=y' sets no variable",
        "  --overlap: 'twice' is no overlap",
        "  --catch-up: 'most' is no catch-up",
        "  --catch-up-window: '1w' is no length of time",
        "  --jitter: '-1m' is no length of time",
        "  --start: '2025-11-18T06:00:00' is no time with a zone",
        "  --end: 'never' is no time with a zone",
    ]
    assert peer.requests == {}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (CREATE, "--cron: is missing: a schedule needs it, such as --cron '0 6 * * *', or --every"),
        ([*CREATE, "--overlap", "twice"], "'twice' is no overlap; write one of skip, buffer-one, allow"),
        ([*CREATE, "--catch-up", "most"], "'most' is no catch-up; write one of skip, latest, all"),
        ([*CREATE, "--date-offset", "-367"], "--date-offset"),
        ([*CREATE, "--refresh-days", "99999999999"], "--refresh-days"),
        (["schedules", "create", "gcp/a", "--cron", "0 6 * * *"], "--tenant"),
        (["schedules", "list", "--state", "DONE"], "'DONE' is no state; write one of ACTIVE, PAUSED, ENDED"),
        (["schedules", "ticks", "--tenant", TENANT, "--outcome", "X"], "'X' is no outcome; write one of FIRED,"),
    ],
    ids=lambda value: " ".join(value)[:80] if isinstance(value, list) else "",
)
async def test_a_wrong_command_line_is_refused_with_what_is_right(cli, peer, arguments, expected):
    ended = await cli(*arguments)

    assert ended.code == 2
    assert expected in ended.err
    assert peer.requests == {}


UPDATES = {
    "cron": (["--cron", "0 7 * * *"], {"cron": "0 7 * * *"}, ["cron"]),
    "every": (["--every", "90m"], {"interval": Duration(seconds=5_400)}, ["interval"]),
    "pipeline": (["--pipeline", "setup/a"], {"provider": "setup", "template_name": "a"}, list(PIPELINE)),
    "to nothing": (
        ["--pause-after", "0", "--description", "", "--jitter", "0s"],
        {"jitter": Duration()},
        ["jitter", "pause_after_failures", "description"],
    ),
    "part of catch-up": (
        ["--catch-up-runs", "5"],
        {"catch_up": Schedule.CatchUp(max_runs=5)},
        ["catch_up.max_runs"],
    ),
    "no start": (["--no-start"], {}, ["start_time"]),
    "no end": (["--no-end"], {}, ["end_time"]),
    "unset": (["--no-vars", "--no-start", "--no-end"], {}, ["start_time", "end_time", "variables"]),
    "everything": (
        OPTIONS,
        SAID,
        [
            *("time_zone", "variables", "overlap", "catch_up.policy", "catch_up.max_runs", "catch_up.window", "jitter"),
            *("date_offset_days", "refresh_window_days", "pause_after_failures", "start_time", "end_time"),
            "description",
        ],
    ),
}


@pytest.mark.parametrize("change", UPDATES)
async def test_a_schedule_is_changed_where_the_options_say(cli, peer, change):
    options, fields, paths = UPDATES[change]
    peer.answers["UpdateSchedule"] = a_schedule()

    ended = await cli(*UPDATE, *options)

    assert (ended.code, ended.err) == (0, "")
    (request,) = peer.requests["UpdateSchedule"]
    assert request.schedule == Schedule(**WHICH, **fields)
    assert list(request.update_mask.paths) == paths


async def test_a_schedule_is_not_changed_without_a_word_of_what(cli, peer):
    ended = await cli(*UPDATE)
    shown = await cli("schedules", "update", "--help")

    assert ended.code == 2
    assert peer.requests == {}
    (options,) = re.findall("give one of (.+)", ended.err)
    offered = re.findall(r"^  (--[a-z-]+)", shown.out, re.MULTILINE)
    assert set(options.split(", ")) == set(offered) - {"--help", "--tenant"}


async def test_what_is_set_and_unset_at_once_is_refused(cli, peer):
    ended = await cli(
        *UPDATE,
        *("--pipeline", "gcp", "--var", "a=b", "--no-vars", "--start", "2025-11-18T06:00:00Z", "--no-start"),
        *("--end", "2025-11-18T06:00:00Z", "--no-end"),
    )

    assert ended.code == 2
    assert [line.partition(";")[0] for line in ended.err.splitlines()[1:]] == [
        "  --pipeline: 'gcp' names no pipeline",
        "  --no-start: --start is given, too",
        "  --no-end: --end is given, too",
        "  --no-vars: --var is given, too",
    ]
    assert peer.requests == {}


async def test_schedules_are_listed(cli, peer):
    often = a_schedule(interval=Duration(seconds=21_600), state=Schedule.PAUSED)
    peer.answers["ListSchedules"] = ListSchedulesResponse(schedules=[a_schedule(next_fire_times=[SIX]), often])

    options = ("--pipeline", "gcp/cost/cost_billing", "--state", "active", "--state", "PAUSED")
    listed = await cli("schedules", "list", "--tenant", TENANT, *options)
    as_json = await cli("schedules", "list", "--json")

    assert lines(listed.out) == [
        "STATE TENANT PIPELINE WHEN TIME ZONE NEXT SCHEDULE",
        f"ACTIVE {TENANT} gcp/cost/cost_billing 0 6 * * * UTC 2025-11-18 06:00:00 UTC nightly",
        f"PAUSED {TENANT} gcp/cost/cost_billing every 6h UTC nightly",
    ]
    assert [item["state"] for item in as_json.documents[0]["schedules"]] == ["ACTIVE", "PAUSED"]
    assert peer.requests["ListSchedules"] == [
        ListSchedulesRequest(tenant_id=TENANT, **PIPELINE, states=[Schedule.ACTIVE, Schedule.PAUSED]),
        ListSchedulesRequest(),
    ]


async def test_all_that_is_wrong_with_a_filter_is_told_at_once(cli):
    ended = await cli("schedules", "list", "--pipeline", "gcp", "--state", "a", "--state", "b")

    assert [line.split(":")[0].strip() for line in ended.err.splitlines()[1:]] == ["--pipeline", "--state", "--state"]


async def test_no_schedules_and_no_ticks(cli, peer):
    peer.answers["ListSchedules"] = ListSchedulesResponse()
    peer.answers["ListScheduledRuns"] = ListScheduledRunsResponse()

    assert (await cli("schedules", "list")).out == "No schedules.\n"
    assert (await cli("schedules", "ticks", "--tenant", TENANT)).out == "No ticks.\n"


async def test_a_schedule_is_shown_with_its_ticks(cli, peer):
    peer.answers["GetSchedule"] = a_schedule(
        **(SAID | {"description": NASTY}),
        state=Schedule.PAUSED,
        pause_reason="holidays",
        next_fire_times=[SIX, Timestamp(seconds=SIX.seconds + 86_400)],
        missed_ticks=1_200,
        consecutive_failures=2,
        last_run=RUN_ID,
        created_at=SIX,
        updated_at=SIX,
    )
    ticks = [a_tick(pipeline_logging_id=RUN_ID), a_tick(ScheduledRun.REFUSED, message=NASTY)]
    peer.answers["ListScheduledRuns"] = ListScheduledRunsResponse(scheduled_runs=ticks)

    ended = await cli("schedules", "show", *NIGHTLY)
    as_json = await cli("schedules", "show", *NIGHTLY, "--json")

    assert (ended.code, ended.err) == (0, "")
    assert lines(ended.out) == [
        "schedule nightly",
        "state PAUSED",
        "paused because holidays",
        f"description {SHOWN}",
        f"tenant {TENANT}",
        "pipeline gcp/cost/cost_billing",
        "variables empty=, region=eu",
        "when 0 6 * * *",
        "time zone Europe/Berlin",
        "date -1 days",
        "runs again 30 days before that date",
        "overlap BUFFER_ONE",
        "catch up ALL, at most 5, of the last 2d",
        "jitter 10m",
        "pauses after 3 failures in a row",
        "starts 2025-11-18 06:00:00 UTC",
        "ends 2026-11-18 06:00:00 UTC",
        "missed ticks 1,200",
        "failures 2 in a row",
        f"last run {RUN_ID}",
        "created 2025-11-18 06:00:00 UTC",
        "updated 2025-11-18 06:00:00 UTC",
        "",
        "FIRES NEXT",
        "2025-11-18 06:00:00 UTC",
        "2025-11-19 06:00:00 UTC",
        "",
        "TICK SCHEDULE OUTCOME DATE DEALT WITH RUN NOTE",
        f"2025-11-18 06:00:00 UTC nightly FIRED 2025-11-17 2025-11-18 06:00:00 UTC {RUN_ID}",
        f"2025-11-18 06:00:00 UTC nightly REFUSED 2025-11-17 2025-11-18 06:00:00 UTC {SHOWN}",
    ]
    (document,) = as_json.documents
    assert (document["schedule_id"], document["overlap"], document["last_run"]) == ("nightly", "BUFFER_ONE", RUN_ID)
    assert [tick["outcome"] for tick in document["scheduled_runs"]] == ["FIRED", "REFUSED"]
    assert peer.requests["GetSchedule"] == [GetScheduleRequest(**WHICH)] * 2
    assert peer.requests["ListScheduledRuns"] == [ListScheduledRunsRequest(**WHICH, page_size=10)] * 2


async def test_ticks_are_listed(cli, peer):
    peer.answers["ListScheduledRuns"] = ListScheduledRunsResponse(scheduled_runs=[a_tick()] * 3)

    options = ("--schedule", "nightly", "--outcome", "fired", "--outcome", "MISSED", "--limit", "2")
    listed = await cli("schedules", "ticks", "--tenant", TENANT, *options)
    as_json = await cli("schedules", "ticks", "--tenant", TENANT, "--json")

    assert len(listed.out.splitlines()) == 3
    assert len(as_json.documents[0]["scheduled_runs"]) == 3
    outcomes = [ScheduledRun.FIRED, ScheduledRun.MISSED]
    assert peer.requests["ListScheduledRuns"] == [
        ListScheduledRunsRequest(**WHICH, outcomes=outcomes, page_size=2),
        ListScheduledRunsRequest(tenant_id=TENANT, page_size=20),
    ]


STEERING = {
    "pause": (["--reason", "holidays"], PauseScheduleRequest(**WHICH, reason="holidays")),
    "resume": ([], ResumeScheduleRequest(**WHICH)),
}


@pytest.mark.parametrize("command", STEERING)
async def test_a_schedule_is_paused_and_resumed(cli, peer, command):
    options, asked = STEERING[command]
    method = type(asked).__name__.removesuffix("Request")
    peer.answers[method] = a_schedule()

    ended = await cli("schedules", command, *NIGHTLY, *options)
    as_json = await cli("schedules", command, *NIGHTLY, "--json")

    assert lines(ended.out)[:2] == ["schedule nightly", "state ACTIVE"]
    assert peer.requests[method][0] == asked
    assert [document["schedule_id"] for document in as_json.documents] == ["nightly"]


async def test_a_schedule_is_deleted(cli, peer):
    peer.answers["DeleteSchedule"] = DeleteScheduleResponse()

    ended = await cli("schedules", "delete", *NIGHTLY)

    assert (ended.code, ended.out) == (0, "The schedule nightly is deleted.\n")
    assert peer.requests["DeleteSchedule"] == [DeleteScheduleRequest(**WHICH)]
