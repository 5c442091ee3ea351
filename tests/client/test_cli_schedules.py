"""`convergence schedules`: what is sent, and what is shown."""

import json
import re

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

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

from .command_line import NASTY, SHOWN, lines, lines_in_a_terminal
from .peer import RUN_ID, TENANT, refuse

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
        *("--date-offset", "yesterday", "--refresh-days", "2147483648", "--pause-after", "1.5"),
        *("--catch-up-runs", "-2147483649"),
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
        "  --catch-up-runs: -2147483649 is out of range",
        "  --catch-up-window: '1w' is no length of time",
        "  --jitter: '-1m' is no length of time",
        "  --date-offset: 'yesterday' is no whole number",
        "  --refresh-days: 2147483648 is out of range",
        "  --pause-after: '1.5' is no whole number",
        "  --start: '2025-11-18T06:00:00' is no time with a zone, or none of the calendar",
        "  --end: 'never' is no time with a zone, or none of the calendar",
    ]
    assert peer.requests == {}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (CREATE, "--cron: is missing: a schedule needs it, such as --cron '0 6 * * *', or --every"),
        ([*CREATE, "--overlap", "twice"], "'twice' is no overlap; write one of skip, buffer-one, allow"),
        ([*CREATE, "--catch-up", "most"], "'most' is no catch-up; write one of skip, latest, all"),
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


FIELDS = {
    "schedule_id": "--id",
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
    "variables.region": "variables.region",
}


async def refuse_fields(_request, context):
    bad = BadRequest(field_violations=[BadRequest.FieldViolation(field=name, description="no") for name in FIELDS])
    await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "no", ErrorInfo(reason="INVALID_FIELD"), bad)


async def test_the_server_judges_and_people_are_told_the_options(cli, peer):
    peer.answers["CreateSchedule"] = peer.answers["UpdateSchedule"] = refuse_fields
    numbers = ("--date-offset", "-400", "--refresh-days", "999", "--pause-after", "-1", "--catch-up-runs", "2147483647")

    made = await cli(*CREATE, "--cron", "61 6 * * *", *numbers)
    changed = await cli(*UPDATE, *numbers)

    assert made.code == changed.code == 2
    assert made.err.splitlines() == ["Error: INVALID_FIELD", *(f"  {option}: no" for option in FIELDS.values())]
    assert changed.err.splitlines()[1:3] == ["  schedule_id: no", "  --cron: no"], "the id is no option there"
    sent = peer.requests["CreateSchedule"][0].schedule
    assert (sent.date_offset_days, sent.refresh_window_days, sent.pause_after_failures) == (-400, 999, -1)
    assert sent.catch_up.max_runs == 2**31 - 1


@pytest.mark.parametrize("command", [[*CREATE, "--every", "6h"], [*UPDATE, "--every", "6h"]], ids=["create", "update"])
async def test_machines_are_told_the_fields(cli, peer, command):
    peer.answers["CreateSchedule"] = peer.answers["UpdateSchedule"] = refuse_fields

    ended = await cli(*command, "--json")

    assert [item["field"] for item in json.loads(ended.err)["error"]["violations"]] == list(FIELDS)


async def test_other_commands_tell_the_fields(cli, peer):
    peer.answers["GetSchedule"] = refuse_fields

    ended = await cli("schedules", "show", *NIGHTLY)

    assert [line.strip() for line in ended.err.splitlines()[1:]] == [f"{field}: no" for field in FIELDS]


@pytest.mark.parametrize("name", ["buffer-one", "buffer_one", "BUFFER_ONE", "Buffer-One"])
async def test_names_are_read_in_any_spelling(cli, peer, name):
    peer.answers["UpdateSchedule"] = a_schedule()

    await cli(*UPDATE, "--overlap", name)

    assert peer.requests["UpdateSchedule"][0].schedule.overlap == Schedule.BUFFER_ONE


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
        state=Schedule.ACTIVE,
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
        "state ACTIVE",
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
        "FIRES NEXT Europe/Berlin",
        "2025-11-18 06:00:00 UTC 2025-11-18 07:00:00 CET",
        "2025-11-19 06:00:00 UTC 2025-11-19 07:00:00 CET",
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


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "Mars/Olympus", "Europe", "../etc/passwd", ""])
async def test_only_utc_is_shown_of_no_other_zone_or_of_one_that_is_not_known(cli, peer, zone):
    peer.answers["CreateSchedule"] = a_schedule(time_zone=zone, next_fire_times=[SIX])

    ended = await cli(*CREATE, "--cron", "0 6 * * *")

    assert (ended.code, lines(ended.out)[-2:]) == (0, ["FIRES NEXT", "2025-11-18 06:00:00 UTC"])


@pytest.mark.parametrize(
    ("options", "columns", "shown"),
    [
        ([], 160, "STATE TENANT PIPELINE WHEN TIME ZONE NEXT SCHEDULE"),
        ([], 50, "STATE TENANT PIPELINE SCHEDULE"),
        ([], 30, "STATE TENANT SCHEDULE"),
        ([], 20, "TENANT SCHEDULE"),
        (["--tenant", TENANT], 160, "STATE TENANT PIPELINE WHEN TIME ZONE NEXT SCHEDULE"),
        (["--tenant", TENANT], 30, "STATE PIPELINE SCHEDULE"),
    ],
)
async def test_a_schedule_has_its_tenant_unless_that_is_known(cli, peer, options, columns, shown):
    peer.answers["ListSchedules"] = ListSchedulesResponse(schedules=[a_schedule(next_fire_times=[SIX])])

    head, row = await lines_in_a_terminal(cli, "schedules", "list", *options, columns=columns)

    assert head.split() == shown.split()
    assert row.endswith("nightly")
    assert (TENANT in row) == ("TENANT" in shown)


async def test_failures_are_listed_when_there_are_any(cli, peer):
    peer.answers["ListSchedules"] = ListSchedulesResponse(schedules=[a_schedule(consecutive_failures=2), a_schedule()])

    head, failing, well = lines((await cli("schedules", "list")).out)

    assert head.startswith("STATE FAILURES TENANT")
    assert failing.startswith(f"ACTIVE 2 {TENANT}")
    assert well.startswith(f"ACTIVE {TENANT}")


TICK_WIDTHS = {
    320: "TICK SCHEDULE OUTCOME DATE DEALT WITH RUN NOTE",
    160: "TICK SCHEDULE OUTCOME DATE DEALT WITH RUN",
    100: "TICK SCHEDULE OUTCOME DATE RUN",
    80: "TICK SCHEDULE OUTCOME RUN",
    50: "TICK SCHEDULE OUTCOME",
}


@pytest.mark.parametrize(("columns", "shown"), TICK_WIDTHS.items(), ids=str)
async def test_a_tick_and_its_run_are_whole_in_any_terminal(cli, peer, columns, shown):
    refused = a_tick(ScheduledRun.REFUSED, message="because of what is in the file " * 5)
    ticks = [a_tick(pipeline_logging_id=RUN_ID), refused, a_tick(pipeline_logging_id=RUN_ID)]
    peer.answers["ListScheduledRuns"] = ListScheduledRunsResponse(scheduled_runs=ticks)

    shown_lines = await lines_in_a_terminal(cli, "schedules", "ticks", "--tenant", TENANT, columns=columns)

    head, *rows = shown_lines
    assert head.split() == shown.split()
    assert all(len(line) <= columns for line in shown_lines)
    told = [" ".join(line.split()) for line in rows if line.startswith("2025")]
    outcomes = ("FIRED", "REFUSED", "FIRED")
    for line, outcome in zip(told, outcomes, strict=True):
        assert line.startswith(f"2025-11-18 06:00:00 UTC nightly {outcome}")
    assert " ".join("".join(f"{line} " for line in rows).split()).count("because of what is in the file") == 5
    assert sum(RUN_ID in line for line in rows) == 2


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
