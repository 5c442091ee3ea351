"""The command line as a process of its own: exit codes, JSON, what it prints, Ctrl-C."""

import asyncio
import json
import os
import pty
import signal
import sys
from dataclasses import dataclass

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from convergence.v1.pipeline_service_pb2 import (
    ListPipelinesResponse,
    Pipeline,
    PipelineStep,
    PipelineSummary,
    VariableDeclaration,
)
from convergence.v1.run_pb2 import Fault, LogEntry, Run, RunEvent, StepRun
from convergence.v1.system_service_pb2 import SystemInfo
from convergence.v1.tenant_service_pb2 import ListTenantsResponse, Tenant

from .peer import (
    RUN_ID,
    TENANT,
    a_run,
    all_events,
    drop,
    events_of,
    hang,
    listed_runs,
    onboarded,
    refuse,
    some_events,
)

RUN = ["run", "gcp/cost/cost_billing", "--tenant", TENANT]
SHOW = ["runs", "show", RUN_ID, "--tenant", TENANT]
WATCH = ["runs", "watch", RUN_ID, "--tenant", TENANT]


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def documents(self):
        return [json.loads(line) for line in self.out.splitlines()]


class CommandLine:
    """Starts `python -m convergence` against the peer."""

    def __init__(self, target):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
        self.environment = kept | {"CONVERGENCE_TARGET": target, "CONVERGENCE_API_KEY": "cvg_k1_secret"}

    async def start(self, *arguments, **streams):
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE} | streams
        command = (sys.executable, "-m", "convergence", *arguments)
        return await asyncio.create_subprocess_exec(*command, env=self.environment, **pipes)

    async def __call__(self, *arguments):
        process = await self.start(*arguments)
        out, err = await process.communicate()
        return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
def cli(address):
    return CommandLine(address.target)


def refusing(code, message, *details):
    async def handler(_request, context):
        await refuse(context, code, message, *details)

    return handler


@pytest.mark.parametrize(
    ("status", "code"),
    [(Run.SUCCESS, 0), (Run.FAILED, 1), (Run.CANCELLED, 1), (Run.TIMED_OUT, 1)],
    ids=["success", "failed", "cancelled", "timed-out"],
)
async def test_a_watched_run_decides_the_exit_code(cli, peer, status, code):
    peer.answers["RunPipeline"] = a_run()
    peer.streams = [all_events(events_of(status))]

    ended = await cli(*RUN, "--watch")

    assert (ended.code, ended.err) == (code, "")
    assert Run.Status.Name(status) in ended.out.splitlines()[-1]
    assert "load_billing INFO writing (rows=1200)\n" in ended.out


async def test_a_run_is_asked_for_as_the_command_line_says(cli, peer):
    peer.answers["RunPipeline"] = a_run()

    ended = await cli(*RUN, "--date", "18.11.2025", "--var", "a=b=c", "--var", "empty=", "--request-id", "mine")

    assert (ended.code, ended.err) == (0, "")
    assert RUN_ID in ended.out
    (request,) = peer.requests["RunPipeline"]
    assert (request.tenant_id, request.provider, request.domain, request.template_name) == (
        TENANT,
        "gcp",
        "cost",
        "cost_billing",
    )
    assert dict(request.variables) == {"a": "b=c", "empty": ""}
    assert (request.date, request.request_id) == ("18.11.2025", "mine")


async def test_a_pipeline_without_domain(cli, peer):
    peer.answers["RunPipeline"] = a_run()

    await cli("run", "setup/bootstrap_system", "--tenant", "tenants")

    (request,) = peer.requests["RunPipeline"]
    assert (request.provider, request.domain, request.template_name) == ("setup", "", "bootstrap_system")


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 2),
        (grpc.StatusCode.NOT_FOUND, 2),
        (grpc.StatusCode.ALREADY_EXISTS, 2),
        (grpc.StatusCode.FAILED_PRECONDITION, 2),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 2),
        (grpc.StatusCode.UNIMPLEMENTED, 2),
        (grpc.StatusCode.UNAUTHENTICATED, 3),
        (grpc.StatusCode.PERMISSION_DENIED, 3),
        (grpc.StatusCode.UNAVAILABLE, 4),
        (grpc.StatusCode.INTERNAL, 4),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_a_refusal_decides_the_exit_code(cli, peer, code, exit_code):
    peer.answers["GetRun"] = refusing(code, "Because.", ErrorInfo(reason="A_REASON"))

    ended = await cli(*SHOW)

    assert (ended.code, ended.out, ended.err) == (exit_code, "", "Error: Because. (A_REASON)\n")


async def test_no_server(cli, address):
    await address.stop()

    ended = await cli("system", "info")

    assert ended.code == 4
    assert f"no server answers at {address.target}" in ended.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "gcp", "--tenant", "a"], "'gcp' names no pipeline; write provider/domain/name"),
        (["run", "a/b/c/d", "--tenant", "a"], "'a/b/c/d' names no pipeline"),
        ([*RUN, "--var", "x"], "'x' sets no variable; write NAME=VALUE"),
        ([*RUN, "--var", "=x"], "'=x' sets no variable; write NAME=VALUE"),
        ([*RUN, "--var", "x=1", "--var", "x=2"], "x is set twice"),
        (["runs", "list", "--status", "DONE"], "'DONE' is no status; write one of PENDING, RUNNING,"),
        (["runs", "show", RUN_ID], "--tenant"),
        (["--api-key-file", "/nowhere/key", "system", "info"], "cannot read /nowhere/key"),
        (["--tls-ca", "/nowhere/ca", "system", "info"], "cannot read /nowhere/ca"),
        (["system", "info", "--api-key", "cvg_k1_secret"], "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_a_wrong_command_line_is_refused_with_what_is_right(cli, peer, arguments, expected):
    ended = await cli(*arguments)

    assert ended.code == 2
    assert expected in ended.err
    assert peer.requests == {}


async def test_all_faults_of_the_variables_at_once(cli):
    ended = await cli(*RUN, "--var", "x", "--var", "=y", "--var", "z=1", "--var", "z=2")

    assert len([line for line in ended.err.splitlines() if line.startswith("  --var: ")]) == 3


async def test_the_key_comes_from_a_file(cli, peer, tmp_path):
    peer.answers["GetSystemInfo"] = SystemInfo(version="1.2.3")
    (tmp_path / "key").write_text("cvg_k2_other\n")

    assert (await cli("system", "info", "--api-key-file", str(tmp_path / "key"))).code == 0
    assert peer.keys == ["cvg_k2_other"]


async def test_without_a_key_nothing_is_sent(cli, peer):
    del cli.environment["CONVERGENCE_API_KEY"]

    ended = await cli("system", "info")

    assert ended.code == 3
    assert "CONVERGENCE_API_KEY" in ended.err
    assert "--api-key-file" in ended.err
    assert peer.requests == {}


BAD_REQUEST = BadRequest(
    field_violations=[
        BadRequest.FieldViolation(field="date", description="write YYYY-MM-DD"),
        BadRequest.FieldViolation(field="variables.x", description="the pipeline declares\nno \x1b[31mx"),
    ]
)


async def test_each_violation_has_a_line_of_its_own(cli, peer):
    peer.answers["RunPipeline"] = refusing(
        grpc.StatusCode.INVALID_ARGUMENT, "date: ...; variables.x: ...", ErrorInfo(reason="INVALID_DATE"), BAD_REQUEST
    )

    ended = await cli(*RUN)

    assert ended.err.splitlines() == [
        "Error: INVALID_DATE",
        "  date: write YYYY-MM-DD",
        "  variables.x: the pipeline declares no \ufffd[31mx",
    ]


async def test_errors_for_machines(cli, peer):
    retry = RetryInfo()
    retry.retry_delay.FromSeconds(3)
    peer.answers["RunPipeline"] = refusing(
        grpc.StatusCode.INVALID_ARGUMENT, "No.", ErrorInfo(reason="INVALID_DATE"), BAD_REQUEST, retry
    )

    ended = await cli(*RUN, "--json")

    assert (ended.code, ended.out) == (2, "")
    assert json.loads(ended.err) == {
        "error": {
            "code": "INVALID_ARGUMENT",
            "reason": "INVALID_DATE",
            "message": "No.",
            "violations": [
                {"field": "date", "description": "write YYYY-MM-DD"},
                {"field": "variables.x", "description": "the pipeline declares\nno \x1b[31mx"},
            ],
            "retry_after_seconds": 3.0,
        }
    }


async def test_a_watch_for_machines_is_one_event_a_line(cli, peer):
    peer.answers["RunPipeline"] = a_run()
    peer.streams = [some_events(events_of(), 3, drop), all_events(events_of())]

    ended = await cli(*RUN, "--watch", "--json")

    assert (ended.code, ended.err) == (0, "")
    assert [document["sequence"] for document in ended.documents] == ["1", "2", "3", "4", "5", "6", "7"]
    assert ended.documents[-1]["run"]["pipeline_logging_id"] == RUN_ID
    assert ended.documents[-1]["run"]["status"] == "SUCCESS"
    assert ended.documents[2]["step"]["ps_type"] == "gcp.bq_etl"


JSON_ANSWERS = {
    "run": (RUN, "RunPipeline", a_run(), {"status": "PENDING", "rows_processed": "0", "steps": []}),
    "runs show": (SHOW, "GetRun", a_run(Run.RUNNING), {"status": "RUNNING", "tenant_id": TENANT}),
    "runs cancel": (["runs", "cancel", *SHOW[2:]], "CancelRun", a_run(Run.CANCELLING), {"status": "CANCELLING"}),
    "pipelines show": (
        ["pipelines", "show", "gcp/cost/cost_billing"],
        "GetPipeline",
        Pipeline(template_name="cost_billing", yaml="a: 1\n", valid=True),
        {"template_name": "cost_billing", "yaml": "a: 1\n", "valid": True},
    ),
    "tenants onboard": (
        ["tenants", "onboard", TENANT, "--no-wait"],
        "OnboardTenant",
        onboarded(),
        {"api_key_secret": "cvg_k1_the_secret"},
    ),
    "tenants show": (["tenants", "show", TENANT], "GetTenant", Tenant(state=Tenant.ACTIVE), {"state": "ACTIVE"}),
    "system info": (["system", "info"], "GetSystemInfo", SystemInfo(version="1"), {"version": "1"}),
}


@pytest.mark.parametrize(("arguments", "method", "answer", "expected"), JSON_ANSWERS.values(), ids=JSON_ANSWERS)
async def test_one_document_for_machines(cli, peer, arguments, method, answer, expected):
    peer.answers[method] = answer

    ended = await cli("--json", *arguments)

    assert (ended.code, ended.err) == (0, "")
    (document,) = ended.documents
    assert expected.items() <= document.items()


async def test_lists_for_machines_have_all_pages(cli, peer):
    peer.answers["ListRuns"] = listed_runs(5)
    peer.answers["ListPipelines"] = ListPipelinesResponse(pipelines=[PipelineSummary(template_name="a")])
    peer.answers["ListTenants"] = ListTenantsResponse(tenants=[Tenant(tenant_id=TENANT)])

    listed = [await cli(what, "list", "--json") for what in ("runs", "pipelines", "tenants")]

    (runs,), (pipelines,), (tenants,) = (ended.documents for ended in listed)
    assert [run["date"] for run in runs["runs"]] == [f"2025-11-0{day}" for day in range(1, 6)]
    assert [pipeline["template_name"] for pipeline in pipelines["pipelines"]] == ["a"]
    assert [tenant["tenant_id"] for tenant in tenants["tenants"]] == [TENANT]


async def test_a_limit_is_held(cli, peer):
    peer.answers["ListRuns"] = listed_runs(5)

    ended = await cli("runs", "list", "--limit", "3", "--status", "failed", "--json")

    assert len(ended.documents[0]["runs"]) == 3
    assert list(peer.requests["ListRuns"][0].statuses) == [Run.FAILED]
    assert len(peer.requests["ListRuns"]) == 2


async def test_onboarding_prints_the_key_once_and_watches(cli, peer):
    peer.answers["OnboardTenant"] = onboarded()
    peer.streams = [all_events(events_of())]

    ended = await cli(
        *["tenants", "onboard", TENANT, "--email", "a@acme.example.com", "--email", "b@acme.example.com"],
        *["--location", "EU", "--allowed-source", "p-roject.d.t*"],
    )

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("cvg_k1_the_secret") == 1
    assert "SUCCESS" in ended.out.splitlines()[-1]
    (request,) = peer.requests["OnboardTenant"]
    assert list(request.contact_emails) == ["a@acme.example.com", "b@acme.example.com"]
    assert (request.location, list(request.allowed_sources)) == ("EU", ["p-roject.d.t*"])


async def test_onboarding_that_fails_is_told(cli, peer):
    peer.answers["OnboardTenant"] = onboarded()
    peer.streams = [all_events(events_of(Run.FAILED))]

    assert (await cli("tenants", "onboard", TENANT)).code == 1


async def test_broken_pipelines_are_shown_with_their_faults(cli, peer):
    fault = Fault(reason="YAML_SYNTAX", message="a mapping is not closed", file="configs/gcp/a.yml", line=3)
    variable = VariableDeclaration(name="admin_email", type="string", required=True)
    step = PipelineStep(step_id="load", ps_type="gcp.bq_etl", timeout_minutes=20, max_attempts=1)
    summary = PipelineSummary(provider="gcp", template_name="a", valid=False, faults=[fault])
    peer.answers["ListPipelines"] = ListPipelinesResponse(pipelines=[summary])
    peer.answers["GetPipeline"] = Pipeline(
        provider="gcp", template_name="a", variables=[variable], steps=[step], yaml="steps:\n  - x\n", faults=[fault]
    )

    for arguments in (["pipelines", "list"], ["pipelines", "show", "gcp/a"]):
        ended = await cli(*arguments)
        assert ended.code == 0
        assert "configs/gcp/a.yml:3: a mapping is not closed" in ended.out
    assert "admin_email" in ended.out
    assert "20 min" in ended.out
    assert "\n  - x\n" in ended.out


def hostile_events():
    """Names with markup, emoji codes and terminal control in them."""
    nasty = "[red]x[/red] :smile: \x1b[2J\x9b2J\r\n\u202e"
    events = events_of(Run.FAILED)
    events[2].step.MergeFrom(StepRun(step_id=nasty, name=nasty, ps_type=nasty, error_message=nasty))
    events[3].log.MergeFrom(LogEntry(step_id=nasty, message=nasty))
    events[3].log.fields["[bold]"] = nasty
    events[6].run.MergeFrom(Run(pipeline_id=nasty, error_message=nasty, wait_reason=nasty))
    return events


async def test_names_with_markup_are_shown_as_they_are(cli, peer):
    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [all_events(hostile_events())]

    ended = await cli(*WATCH)

    assert ended.code == 1
    step, log, run, outcome = ended.out.splitlines()[2:4] + ended.out.splitlines()[-2:]
    shown = "[red]x[/red] :smile: \ufffd[2J\ufffd2J \ufffd"
    assert [line.count(shown) for line in (step, log, run, outcome)] == [2, 3, 1, 2]
    assert "[bold]=" in log
    assert not set("\x1b\x9b\r\u202e") & set(ended.out)


async def in_a_terminal(cli, *arguments):
    """The process, and the descriptor of what its terminal receives."""
    ours, theirs = pty.openpty()
    cli.environment |= {"TERM": "xterm-256color", "COLUMNS": "140", "LINES": "40"}
    process = await cli.start(*arguments, stdout=theirs)
    os.close(theirs)
    return process, ours


def read_until(descriptor, wanted=b""):
    """What the terminal receives until it has got `wanted`, or until nothing comes any more."""
    received = b""
    try:
        while not wanted or wanted not in received:
            received += os.read(descriptor, 65536)
    except OSError:  # how a terminal says that the other end is gone
        pass
    return received.decode()


async def test_a_terminal_gets_a_table_that_changes_in_place(cli, peer):
    waiting = StepRun(step_id="notify", name="Send mail", ps_type="notify_systems.email_notification")
    peer.answers["RunPipeline"] = a_run(steps=[waiting])
    peer.streams = [all_events(hostile_events())]

    process, terminal = await in_a_terminal(cli, *RUN, "--watch")
    screen = await asyncio.to_thread(read_until, terminal)

    assert await process.wait() == 1
    for shown in ("PS_TYPE", "notify_systems.email_notification", "Send mail", "1,200", "writing", "[red]x[/red]"):
        assert shown in screen
    assert "\x1b[2J" not in screen


async def test_the_table_shows_what_happens_while_it_happens(cli, peer):
    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [some_events(events_of(), 4, hang)]

    process, terminal = await in_a_terminal(cli, *WATCH)
    screen = await asyncio.to_thread(read_until, terminal, b"reading")
    process.send_signal(signal.SIGINT)
    rest = await asyncio.to_thread(read_until, terminal)

    assert await process.wait() == 130
    assert "gcp.bq_etl" in screen
    assert "\x1b[?25h" in rest, "the cursor is back"


async def test_a_restart_of_the_server_does_not_disturb_what_is_shown(cli, peer, address):
    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [some_events(events_of(), 3, hang), all_events(events_of())]

    process = await cli.start(*WATCH, "--json")
    lines = [await process.stdout.readline() for _ in range(3)]
    await address.stop()
    await address.start()
    out, err = await process.communicate()

    assert process.returncode == 0
    assert [json.loads(line)["sequence"] for line in [*lines, *out.splitlines()]] == [str(n) for n in range(1, 8)]
    assert err == b""


async def test_ctrl_c_stops_watching_and_says_how_to_go_on(cli, peer):
    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [some_events(events_of(), 2, hang)]

    process = await cli.start(*WATCH)
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()

    assert process.returncode == 130
    told = err.decode()
    assert "the run goes on" in told
    assert f"convergence runs watch {RUN_ID} --tenant {TENANT}" in told
    assert f"convergence runs cancel {RUN_ID} --tenant {TENANT}" in told
    assert "Traceback" not in told
    assert "CancelRun" not in peer.requests


async def test_a_reader_that_goes_away_is_no_crash(cli, peer):
    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [all_events([RunEvent(sequence=n + 1, log=LogEntry(message="x" * 500)) for n in range(2000)])]

    process = await cli.start(*WATCH, "--json")
    await process.stdout.readline()
    process.stdout._transport.close()
    err = await process.stderr.read()

    assert await process.wait() != 0
    assert b"Traceback" not in err
