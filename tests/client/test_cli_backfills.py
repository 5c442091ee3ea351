"""`convergence backfill` and `convergence backfills`: what is sent, what is shown, and exit codes."""

import asyncio
import json
import re
import signal

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.pipeline_service_pb2 import (
    BackfillPipelineRequest,
    CancelBackfillRequest,
    GetBackfillRequest,
    ListBackfillsRequest,
    ListBackfillsResponse,
    ListRunsResponse,
    PauseBackfillRequest,
    ResumeBackfillRequest,
)
from convergence.v1.run_pb2 import Run

from .backfills import BACKFILL_ID, DAYS, a_backfill, sent_states, states_of
from .command_line import NASTY, SHOWN, in_a_terminal, lines, lines_in_a_terminal, read_until
from .peer import RUN_ID, TENANT, a_run, drop, hang, refuse

RANGE = ["backfill", "gcp/cost/cost_billing", "--from", "2025-11-01", "--to", "2025-11-04"]
BACKFILL = [*RANGE, "--tenant", TENANT]
WATCH = ["backfills", "watch", BACKFILL_ID]
PIPELINE = {"provider": "gcp", "domain": "cost", "template_name": "cost_billing"}
LEAST = {**PIPELINE, **DAYS, "order": Backfill.OLDEST_FIRST, "reprocess": Backfill.NONE, "max_active_runs": 1}


async def test_a_backfill_is_asked_for_as_the_command_line_says(cli, peer):
    peer.answers["BackfillPipeline"] = a_backfill(warnings=["load appends rows"])

    ended = await cli(
        *BACKFILL,
        *("--tenant", "globex", "--newest-first", "--reprocess", "failed", "--max-active", "4"),
        *("--var", "region=eu", "--var", "empty=", "--request-id", "mine"),
    )

    assert (ended.code, ended.err) == (0, "")
    assert peer.requests["BackfillPipeline"] == [
        BackfillPipelineRequest(
            tenant_ids=[TENANT, "globex"],
            **PIPELINE,
            **DAYS,
            variables={"region": "eu", "empty": ""},
            order=Backfill.NEWEST_FIRST,
            reprocess=Backfill.ONLY_FAILED,
            max_active_runs=4,
            request_id="mine",
        )
    ]
    assert ended.out.splitlines() == [
        f"ACTIVE  gcp/cost/cost_billing  2025-11-01 to 2025-11-04  {BACKFILL_ID}  0 of 3 runs ended",
        "warning: load appends rows",
        f"Watch it: convergence backfills watch {BACKFILL_ID}",
    ]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["--tenant", TENANT], {"tenant_ids": [TENANT]}),
        (["--all-tenants", "--reprocess", "ALL"], {"all_tenants": True, "reprocess": Backfill.ALL}),
        (["--tenant", TENANT, "--plan"], {"tenant_ids": [TENANT], "plan_only": True}),
    ],
    ids=["least", "all", "plan"],
)
async def test_what_is_not_said_is_left_out(cli, peer, arguments, asked):
    peer.answers["BackfillPipeline"] = a_backfill()

    assert (await cli(*RANGE, *arguments)).code == 0

    (request,) = peer.requests["BackfillPipeline"]
    assert request.request_id
    assert request == BackfillPipelineRequest(**(LEAST | asked), request_id=request.request_id)


async def test_all_that_is_wrong_is_told_at_once(cli, peer):
    ended = await cli(
        *("backfill", "gcp", "--from", "a", "--to", "b", "--tenant", TENANT, "--all-tenants"),
        *("--reprocess", "some", "--var", "x", "--plan", "--watch", "--max-active", "many"),
    )

    assert ended.code == 2
    assert [line.partition(";")[0] for line in ended.err.splitlines()] == [
        "Error: INVALID_OPTION",
        "  PIPELINE: 'gcp' names no pipeline",
        "  --var: 'x' sets no variable",
        "  --reprocess: 'some' is no reprocess",
        "  --max-active: 'many' is no whole number",
        "  --all-tenants: --tenant is given, too",
        "  --watch: --plan is given, too, and starts nothing to watch",
    ]
    assert peer.requests == {}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (RANGE, "--tenant: is missing: name the tenants, or write --all-tenants"),
        ([*BACKFILL, "--max-active", "2147483648"], "--max-active: 2147483648 is out of range"),
        (BACKFILL[:-4], "--to"),
        (["backfills", "list", "--state", "DONE", "--state", "PLANNED"], "'PLANNED' is no state; write one of ACTIVE,"),
    ],
    ids=["no tenant", "too many", "no end", "state"],
)
async def test_a_wrong_command_line_is_refused_with_what_is_right(cli, peer, arguments, expected):
    ended = await cli(*arguments)

    assert ended.code == 2
    assert expected in ended.err
    assert peer.requests == {}


async def test_the_server_judges_and_people_are_told_the_options(cli, peer):
    fields = {"start_date": "--from", "end_date": "--to", "max_active_runs": "--max-active", "tenant_ids": "tenant_ids"}

    async def refuse_fields(_request, context):
        bad = BadRequest(field_violations=[BadRequest.FieldViolation(field=name, description="no") for name in fields])
        await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "no", ErrorInfo(reason="INVALID_FIELD"), bad)

    peer.answers["BackfillPipeline"] = refuse_fields

    ended = await cli(*BACKFILL, "--max-active", "-101")
    as_json = await cli(*BACKFILL, "--json")

    assert ended.code == 2
    assert ended.err.splitlines() == ["Error: INVALID_FIELD", *(f"  {option}: no" for option in fields.values())]
    assert [item["field"] for item in json.loads(as_json.err)["error"]["violations"]] == list(fields)
    assert peer.requests["BackfillPipeline"][0].max_active_runs == -101


@pytest.mark.parametrize(
    ("state", "runs", "total", "code"),
    [
        (Backfill.FINISHED, {"SUCCESS": 3}, 3, 0),
        (Backfill.FINISHED, {"SUCCESS": 2, "FAILED": 1}, 3, 1),
        (Backfill.FINISHED, {"SUCCESS": 2, "TIMED_OUT": 1}, 3, 1),
        (Backfill.FINISHED, {}, 0, 0),
        (Backfill.CANCELLED, {"SUCCESS": 3}, 3, 1),
    ],
    ids=["success", "failed", "timed-out", "no-runs", "cancelled"],
)
async def test_a_watched_backfill_decides_the_exit_code(cli, peer, state, runs, total, code):
    last = a_backfill(state, runs_by_status=runs)
    last.total_runs = total
    peer.answers["BackfillPipeline"] = a_backfill()
    peer.backfill_streams = [sent_states([a_backfill(), last])]

    ended = await cli(*BACKFILL, "--watch")

    assert (ended.code, ended.err) == (code, "")
    assert ended.out.splitlines()[-1].startswith(f"{Backfill.State.Name(state)}  gcp/cost/cost_billing  ")


async def test_without_a_terminal_each_state_is_a_line(cli, peer):
    peer.answers["GetBackfill"] = a_backfill(warnings=["load appends rows"])
    peer.backfill_streams = [sent_states(states_of(SUCCESS=2, FAILED=1))]

    ended = await cli(*WATCH)

    whole = f"FINISHED  gcp/cost/cost_billing  2025-11-01 to 2025-11-04  {BACKFILL_ID}"
    assert ended.code == 1
    assert peer.requests["GetBackfill"] == [GetBackfillRequest(backfill_id=BACKFILL_ID)]
    assert [re.sub(r"^\d\d:\d\d:\d\d", "TIME", line) for line in ended.out.splitlines()] == [
        "warning: load appends rows",
        "Times are UTC.",
        "TIME ACTIVE 0 of 3 runs ended: waiting 3",
        "TIME ACTIVE 0 of 3 runs ended: RUNNING 1, waiting 2",
        "TIME ACTIVE 1 of 3 runs ended: RUNNING 1, SUCCESS 1, waiting 1",
        "TIME FINISHED 3 of 3 runs ended: SUCCESS 2, FAILED 1",
        f"{whole}  3 of 3 runs ended: SUCCESS 2, FAILED 1",
    ]


async def test_a_watch_for_machines_is_one_state_a_line(cli, peer):
    states = states_of()
    peer.answers["BackfillPipeline"] = a_backfill()
    peer.backfill_streams = [sent_states(states[:2], drop), sent_states(states[1:])]

    ended = await cli(*BACKFILL, "--watch", "--json")

    assert ended.code == 0
    assert [document["state"] for document in ended.documents] == ["ACTIVE", "ACTIVE", "ACTIVE", "FINISHED"]
    assert [document["runs_by_status"] for document in ended.documents] == [
        {},
        {"RUNNING": 1},
        {"RUNNING": 1, "SUCCESS": 1},
        {"SUCCESS": 3},
    ]
    assert "The backfill may go on meanwhile." in json.loads(ended.err)["notice"]


async def test_a_terminal_gets_a_bar_that_grows_in_place(cli, peer):
    states = [*states_of()[:3], a_backfill(Backfill.PAUSED, reason=NASTY, warnings=[NASTY])]
    peer.answers["GetBackfill"] = a_backfill()
    peer.backfill_streams = [sent_states(states, hang)]

    process, terminal = await in_a_terminal(cli, *WATCH)
    screen = await asyncio.to_thread(read_until, terminal, b"PAUSED")
    process.send_signal(signal.SIGINT)
    screen += await asyncio.to_thread(read_until, terminal)

    assert await process.wait() == 130
    for shown in ("gcp/cost/cost_billing", BACKFILL_ID, "0 of 3 runs ended", "\u2501" * 60, f"warning: {SHOWN[:12]}"):
        assert shown in screen
    assert "\x1b[2J" not in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("PAUSED"), "the cursor is back"


@pytest.mark.parametrize("columns", [140, 50])
async def test_a_terminal_gets_what_became_of_it(cli, peer, columns):
    peer.answers["BackfillPipeline"] = a_backfill()
    peer.backfill_streams = [sent_states(states_of(SUCCESS=2, FAILED=1))]

    shown = await lines_in_a_terminal(cli, *BACKFILL, "--watch", columns=columns, code=1)

    told = "3 of 3 runs ended: SUCCESS 2, FAILED 1"
    assert shown[shown.index(told) - 1] == "\u2501" * min(columns, 60)
    assert shown[-1].endswith(f"FINISHED  gcp/cost/cost_billing  2025-11-01 to 2025-11-04  {BACKFILL_ID}  {told}")


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (160, "CREATED STATE TENANTS PIPELINE FROM TO ENDED BACKFILL"),
        (100, "STATE PIPELINE FROM TO ENDED BACKFILL"),
        (60, "STATE PIPELINE BACKFILL"),
        (40, "BACKFILL"),
    ],
    ids=str,
)
async def test_a_backfill_has_one_line_and_a_whole_id_in_any_terminal(cli, peer, columns, shown):
    made = a_backfill(created_at=Timestamp(seconds=1_763_458_200))
    peer.answers["ListBackfills"] = ListBackfillsResponse(backfills=[made, made])

    head, *rows = await lines_in_a_terminal(cli, "backfills", "list", columns=columns)

    assert head.split() == shown.split()
    assert len(rows) == 2
    assert all(row.endswith(BACKFILL_ID) and len(row) <= columns for row in rows)


async def test_ctrl_c_stops_watching_and_says_how_to_go_on(cli, peer):
    peer.answers["BackfillPipeline"] = a_backfill()
    peer.backfill_streams = [sent_states(states_of()[:1], hang)]

    process = await cli.start(*BACKFILL, "--watch")
    for _ in range(2):
        await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()

    assert process.returncode == 130
    assert err.decode() == (
        "Stopped watching; the backfill goes on. To watch it again or to cancel it:\n"
        f"  convergence backfills watch {BACKFILL_ID}\n  convergence backfills cancel {BACKFILL_ID}\n"
    )
    assert "CancelBackfill" not in peer.requests


async def test_ctrl_c_is_told_to_machines_as_a_notice(cli, peer):
    peer.answers["GetBackfill"] = a_backfill()
    peer.backfill_streams = [sent_states(states_of()[:1], hang)]

    process = await cli.start(*WATCH, "--json")
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()

    assert process.returncode == 130
    (line,) = err.decode().splitlines()
    assert json.loads(line)["notice"].startswith("Stopped watching; the backfill goes on.")


NOTHING = {
    0: "nothing to run",
    1: "nothing to run: 1 day left out, which has a run; see --reprocess",
    3: "nothing to run: 3 days left out, which have runs; see --reprocess",
}


@pytest.mark.parametrize(("skipped", "told"), NOTHING.items(), ids=str)
async def test_a_backfill_of_nothing_says_why(cli, peer, skipped, told):
    nothing = a_backfill(Backfill.FINISHED, skipped_days=skipped)
    nothing.total_runs = 0
    peer.answers["GetBackfill"] = nothing
    peer.answers["BackfillPipeline"] = nothing
    peer.backfill_streams = [sent_states([nothing])]

    shown = await cli("backfills", "show", BACKFILL_ID)
    started = await cli(*BACKFILL)
    watched = await cli(*WATCH)
    terminal = await lines_in_a_terminal(cli, *WATCH, columns=140)

    assert shown.out.splitlines()[-1] == told
    assert started.out.splitlines()[0].endswith(f"  {told}")
    assert [line.endswith(f"FINISHED {told}") for line in watched.out.splitlines()] == [False, True, False]
    assert watched.out.splitlines()[-1].endswith(f"{BACKFILL_ID}  {told}")
    assert told in terminal


async def test_days_that_are_left_out_are_always_told(cli, peer):
    peer.answers["GetBackfill"] = a_backfill(skipped_days=2)
    peer.backfill_streams = [
        sent_states([a_backfill(Backfill.FINISHED, skipped_days=2, runs_by_status={"SUCCESS": 3})])
    ]

    shown = await cli("backfills", "show", BACKFILL_ID)
    watched = await cli(*WATCH)

    assert "days left out 2" in lines(shown.out)
    assert "nothing" not in shown.out
    assert all("3 of 3 runs ended, 2 days left out: SUCCESS 3" in line for line in watched.out.splitlines()[1:])


async def test_a_plan_of_nothing_reads_nothing(cli, peer):
    planned = a_backfill(Backfill.PLANNED, skipped_days=3)
    planned.total_runs = 0
    peer.answers["BackfillPipeline"] = planned

    shown = lines((await cli(*BACKFILL, "--plan")).out)

    assert shown[-4:] == ["runs 0", "days left out 3", "would read nothing", NOTHING[3]]


async def test_a_watch_that_fails_says_how_to_go_on(cli, peer):
    async def broken(context):
        await refuse(context, grpc.StatusCode.INTERNAL, "Something failed.", ErrorInfo(reason="INTERNAL"))
        yield

    peer.answers["GetBackfill"] = a_backfill()
    peer.backfill_streams = [broken]

    ended = await cli(*WATCH)

    assert ended.code == 4
    assert ended.err.splitlines() == [
        "Error: Something failed. (INTERNAL)",
        f"The backfill may go on. To watch it again: convergence backfills watch {BACKFILL_ID}",
    ]


@pytest.mark.parametrize(("estimated", "told"), [(3 * 2**30, "3.0 GiB"), (0, "unknown")])
async def test_a_plan_is_shown(cli, peer, estimated, told):
    planned = a_backfill(
        Backfill.PLANNED, skipped_days=1_200, estimated_bytes=estimated, warnings=[f"load appends {NASTY}"]
    )
    planned.ClearField("backfill_id")
    peer.answers["BackfillPipeline"] = planned

    ended = await cli(*BACKFILL, "--plan")
    as_json = await cli(*BACKFILL, "--plan", "--json")

    assert (ended.code, ended.err) == (0, "")
    assert lines(ended.out) == [
        "state PLANNED",
        "pipeline gcp/cost/cost_billing",
        f"tenants {TENANT}",
        "from 2025-11-01",
        "to 2025-11-04, without that day",
        "runs 3",
        "days left out 1,200",
        f"would read {told}",
        f"warning: load appends {SHOWN}",
    ]
    (document,) = as_json.documents
    assert (document["state"], document["estimated_bytes"]) == ("PLANNED", str(estimated))


async def test_a_backfill_is_shown(cli, peer):
    stamp = Timestamp(seconds=1_763_458_200)
    peer.answers["GetBackfill"] = a_backfill(
        Backfill.PAUSED,
        runs_by_status={"SUCCESS": 1, "FAILED": 1},
        waiting_runs=1,
        variables={"region": NASTY},
        order=Backfill.NEWEST_FIRST,
        reprocess=Backfill.ONLY_FAILED,
        max_active_runs=2,
        reason="too dear",
        schedule_id="nightly",
        created_by="k1",
        created_at=stamp,
        warnings=["load appends rows"],
    )

    ended = await cli("backfills", "show", BACKFILL_ID)

    assert ended.code == 0
    assert lines(ended.out) == [
        f"backfill {BACKFILL_ID}",
        "state PAUSED",
        "reason too dear",
        "pipeline gcp/cost/cost_billing",
        f"tenants {TENANT}",
        "from 2025-11-01",
        "to 2025-11-04, without that day",
        f"variables region={SHOWN}",
        "order NEWEST_FIRST",
        "reprocess ONLY_FAILED",
        "at a time 2",
        "runs 3",
        "of them SUCCESS 1, FAILED 1, waiting 1",
        "schedule nightly",
        "asked for by k1",
        "created 2025-11-18 09:30:00 UTC",
        "warning: load appends rows",
    ]


async def test_backfills_are_listed(cli, peer):
    several = a_backfill(runs_by_status={"FAILED": 1})
    several.tenant_ids.extend(["globex", "initech", "umbrella"])
    peer.answers["ListBackfills"] = ListBackfillsResponse(backfills=[a_backfill(), several, a_backfill()])

    options = ("--schedule", "nightly", "--state", "active", "--state", "PAUSED", "--limit", "2")
    listed = await cli("backfills", "list", "--tenant", TENANT, *options)
    as_json = await cli("backfills", "list", "--json")

    assert lines(listed.out) == [
        "CREATED STATE TENANTS PIPELINE FROM TO ENDED BACKFILL",
        f"ACTIVE {TENANT} gcp/cost/cost_billing 2025-11-01 2025-11-04 0 of 3 {BACKFILL_ID}",
        f"ACTIVE 4 tenants gcp/cost/cost_billing 2025-11-01 2025-11-04 1 of 3 {BACKFILL_ID}",
    ]
    assert [len(document["backfills"]) for document in as_json.documents] == [3]
    assert peer.requests["ListBackfills"] == [
        ListBackfillsRequest(
            tenant_id=TENANT, schedule_id="nightly", states=[Backfill.ACTIVE, Backfill.PAUSED], page_size=2
        ),
        ListBackfillsRequest(page_size=20),
    ]


async def test_no_backfills(cli, peer):
    peer.answers["ListBackfills"] = ListBackfillsResponse()

    assert (await cli("backfills", "list")).out == "No backfills.\n"


STEERING = {
    "pause": (["--reason", "too dear"], PauseBackfillRequest(backfill_id=BACKFILL_ID, reason="too dear")),
    "resume": ([], ResumeBackfillRequest(backfill_id=BACKFILL_ID)),
    "cancel": ([], CancelBackfillRequest(backfill_id=BACKFILL_ID)),
}


@pytest.mark.parametrize("command", STEERING)
async def test_a_backfill_is_steered(cli, peer, command):
    options, asked = STEERING[command]
    method = type(asked).__name__.removesuffix("Request")
    peer.answers[method] = a_backfill(Backfill.PAUSED, reason="too dear", waiting_runs=3)

    ended = await cli("backfills", command, BACKFILL_ID, *options)
    as_json = await cli("backfills", command, BACKFILL_ID, "--json")

    assert ended.out == (
        f"PAUSED  gcp/cost/cost_billing  2025-11-01 to 2025-11-04  {BACKFILL_ID}"
        "  0 of 3 runs ended: waiting 3  too dear\n"
    )
    assert peer.requests[method][0] == asked
    assert [document["state"] for document in as_json.documents] == ["PAUSED"]


async def test_the_runs_of_a_backfill_and_of_a_schedule(cli, peer):
    peer.answers["ListRuns"] = ListRunsResponse()
    peer.answers["GetRun"] = a_run(Run.SUCCESS, schedule_id="nightly", backfill_id=BACKFILL_ID)

    await cli("runs", "list", "--backfill", BACKFILL_ID, "--schedule", "nightly")
    shown = lines((await cli("runs", "show", RUN_ID, "--tenant", TENANT)).out)

    (request,) = peer.requests["ListRuns"]
    assert (request.backfill_id, request.schedule_id) == (BACKFILL_ID, "nightly")
    assert "schedule nightly" in shown
    assert f"backfill {BACKFILL_ID}" in shown
