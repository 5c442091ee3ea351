"""The command line as a process of its own: exit codes, JSON, what it prints, Ctrl-C."""

import asyncio
import json
import re
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from convergence.v1.pipeline_service_pb2 import (
    DataQualityResult,
    ListDataQualityResultsResponse,
    ListPipelinesResponse,
    ListRunsResponse,
    Pipeline,
    PipelineStep,
    PipelineSummary,
    VariableDeclaration,
)
from convergence.v1.run_pb2 import Fault, LogEntry, Plan, PlanStep, ResolvedVariable, Run, RunEvent, StepRun
from convergence.v1.system_service_pb2 import (
    ApplyRetentionRequest,
    ApplyRetentionResponse,
    AuditEvent,
    CheckStoreRequest,
    CheckStoreResponse,
    ListAuditEventsResponse,
    RebuildMirrorRequest,
    RebuildMirrorResponse,
    RescueRunRequest,
    ServiceHealth,
    SystemInfo,
)
from convergence.v1.tenant_service_pb2 import (
    ApiKey,
    CreateApiKeyResponse,
    ListApiKeysResponse,
    ListTenantsResponse,
    RotateApiKeyResponse,
    Tenant,
)

from .command_line import NASTY, SHOWN, in_a_terminal, lines_in_a_terminal, read_until
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
ONBOARD = ["tenants", "onboard", TENANT]


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
        ([*ONBOARD, "--quota", "runs_per_day=1", "--quota", "runs_per_day=2"], "runs_per_day is set twice"),
        ([*ONBOARD, "--quota", "runs_per_day=-1"], "'runs_per_day=-1' sets no limit; write runs_per_day=NUMBER"),
        ([*ONBOARD, "--quota", f"runs_per_day={2**63}"], "runs_per_day is at most 9223372036854775807"),
        ([*ONBOARD, "--quota", f"runs_per_day={'9' * 5000}"], "runs_per_day is at most 9223372036854775807"),
        (["runs", "list", "--status", "DONE"], "'DONE' is no status; write one of PENDING, RUNNING,"),
        (["runs", "show", RUN_ID], "--tenant"),
        (["runs", "list", "--pipeline", "a/b/c/d"], "--pipeline: 'a/b/c/d' names no pipeline"),
        (["--target", "127.0.0.1:99999", "system", "info"], "--target: '127.0.0.1:99999' is not the address"),
        (["--api-key-file", "/nowhere/key", "system", "info"], "cannot read /nowhere/key"),
        (["--tls-ca", "/nowhere/ca", "system", "info"], "cannot read /nowhere/ca"),
        (["system", "info", "--api-key", "cvg_k1_secret"], "No such option"),
    ],
    ids=lambda value: " ".join(value)[:80] if isinstance(value, list) else "",
)
async def test_a_wrong_command_line_is_refused_with_what_is_right(cli, peer, arguments, expected):
    ended = await cli(*arguments)

    assert ended.code == 2
    assert expected in ended.err
    assert peer.requests == {}


async def test_all_faults_of_the_variables_at_once(cli):
    ended = await cli(*RUN, "--var", "x", "--var", "=y", "--var", "z=1", "--var", "z=2")

    assert len([line for line in ended.err.splitlines() if line.startswith("  --var: ")]) == 3


async def test_the_largest_quota(cli, peer):
    peer.answers["OnboardTenant"] = onboarded()

    ended = await cli(*ONBOARD, "--no-wait", "--quota", f"runs_per_day={2**63 - 1}", "--quota", "runs_per_month=0")

    assert (ended.code, ended.err) == (0, "")
    (request,) = peer.requests["OnboardTenant"]
    assert (request.quotas.runs_per_day, request.quotas.runs_per_month) == (2**63 - 1, 0)


@pytest.mark.parametrize(
    ("arguments", "asked", "answer", "has_deadline"),
    [
        (["store", "check"], CheckStoreRequest(), CheckStoreResponse(), False),
        (["store", "check", "--repair"], CheckStoreRequest(repair=True), CheckStoreResponse(), False),
        (["mirror", "rebuild", TENANT], RebuildMirrorRequest(tenant_id=TENANT), RebuildMirrorResponse(records=3), True),
        (
            ["rescue", RUN_ID, "--tenant", TENANT],
            RescueRunRequest(tenant_id=TENANT, pipeline_logging_id=RUN_ID),
            a_run(Run.RUNNING),
            True,
        ),
        (["retention", "now"], ApplyRetentionRequest(), ApplyRetentionResponse(runs=2), False),
    ],
    ids=["check", "repair", "mirror", "rescue", "retention"],
)
async def test_only_a_walk_over_the_whole_store_has_no_deadline(cli, peer, arguments, asked, answer, has_deadline):
    method, left = type(asked).__name__.removesuffix("Request"), []

    async def noting(_request, context):
        left.append(context.time_remaining())
        return answer

    peer.answers[method] = noting

    assert (await cli("admin", *arguments)).code == 0
    assert [seconds is not None for seconds in left] == [has_deadline]
    assert peer.requests[method] == [asked]


async def test_everything_that_somebody_has_to_look_after_is_told(cli, peer):
    problems = [
        ServiceHealth.Problem(reason="WAREHOUSE_FAULT", message=f"The warehouse fails worker {worker}.")
        for worker in ("w1", "w2")
    ]
    peer.answers["GetServiceHealth"] = ServiceHealth(problems=problems)
    done = await cli("admin", "health")
    assert done.code == 1
    assert "WAREHOUSE_FAULT The warehouse fails worker w1. The warehouse fails worker w2." in " ".join(done.out.split())


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

    assert ended.code == 0
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


async def test_a_tenant_is_changed_where_the_options_say(cli, peer):
    peer.answers["UpdateTenant"] = Tenant(tenant_id=TENANT, state=Tenant.ACTIVE)

    ended = await cli(
        *["tenants", "update", TENANT, "--display-name", "", "--email", "a@acme.example.com", "--plan", "large"],
        *["--quota", "runs_per_day=0", "--no-quota", "runs_per_month"],
    )

    assert (ended.code, ended.err) == (0, "")
    (request,) = peer.requests["UpdateTenant"]
    assert list(request.update_mask.paths) == [
        *("display_name", "contact_emails", "plan", "quotas.runs_per_day", "quotas.runs_per_month")
    ]
    expected = Tenant(tenant_id=TENANT, plan="large", contact_emails=["a@acme.example.com"])
    expected.quotas.runs_per_day = 0
    assert request.tenant == expected


async def test_a_tenant_is_not_changed_without_a_word_of_what(cli, peer):
    ended = await cli("tenants", "update", TENANT)
    shown = await cli("tenants", "update", "--help")

    assert ended.code == 2
    assert "UpdateTenant" not in peer.requests
    (options,) = re.findall("give one of (.+)", ended.err)
    assert set(options.split(", ")) == set(re.findall(r"--[a-z-]+", shown.out)) - {"--help"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--quota", "runs_per_day=1", "--no-quota", "runs_per_day"], "runs_per_day is set by --quota, too"),
        (["--no-quota", "runs"], "'runs' is no quota; write one of max_concurrent_runs"),
        (["--no-quota", "runs", "--no-quota", "walks"], "'walks' is no quota"),
        (["--quota", "runs_per_day=many"], "sets no limit; write runs_per_day=NUMBER"),
    ],
)
async def test_limits_that_cannot_be_set(cli, peer, options, says):
    ended = await cli("tenants", "update", TENANT, *options)

    assert ended.code == 2
    assert says in ended.err
    assert "UpdateTenant" not in peer.requests


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tls-ca", "text"], "text holds no certificates in PEM"),
        (["--tls-cert", "cert.pem"], "--tls-ca"),
        (["--tls-ca", "cert.pem", "--tls-cert", "cert.pem"], "--tls-key"),
        (["--tls-ca", "cert.pem", "--tls-cert", "cert.pem", "--tls-key", "text"], "text is not the key of"),
    ],
)
async def test_certificates_that_cannot_be_used_are_told_as_such(cli, tmp_path, certificate_files, options, says):
    (tmp_path / "text").write_text("no certificate\n")
    ended = await cli(*(str(tmp_path / o) if not o.startswith("--") else o for o in options), "system", "info")

    assert ended.code == 2
    assert says in ended.err
    assert "no server answers" not in ended.err


@pytest.mark.parametrize(("command", "state"), [("suspend", Tenant.SUSPENDED), ("resume", Tenant.ACTIVE)])
async def test_a_tenant_is_suspended_and_resumed(cli, peer, command, state):
    peer.answers["UpdateTenant"] = Tenant(tenant_id=TENANT, state=state)

    ended = await cli("tenants", command, TENANT)

    assert Tenant.State.Name(state) in ended.out
    (request,) = peer.requests["UpdateTenant"]
    assert (list(request.update_mask.paths), request.tenant.state) == (["state"], state)


def a_key(**fields):
    return ApiKey(key_id="k2", tenant_id=TENANT, name="nightly", scopes=["runs:read"], prefix="cvg_k2", **fields)


@pytest.mark.parametrize("command", ["create", "rotate"])
async def test_a_new_key_is_printed_once(cli, peer, command):
    peer.answers["CreateApiKey"] = CreateApiKeyResponse(api_key=a_key(), api_key_secret="cvg_k2_the_secret")
    peer.answers["RotateApiKey"] = RotateApiKeyResponse(api_key=a_key(), api_key_secret="cvg_k2_the_secret")
    arguments = {
        "create": ["nightly", "--scope", "runs:read", "--scope", "runs:write", "--expires-in-days", "90"],
        "rotate": ["k1", "--overlap-hours", "1.5"],
    }

    ended = await cli("keys", command, *arguments[command], "--tenant", TENANT, "--request-id", "once")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == "cvg_k2_the_secret"
    (request,) = peer.requests["CreateApiKey" if command == "create" else "RotateApiKey"]
    assert (request.tenant_id, request.request_id) == (TENANT, "once")
    if command == "create":
        assert (request.name, list(request.scopes)) == ("nightly", ["runs:read", "runs:write"])
        life = request.expires_at.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
        assert timedelta(days=89, hours=23) < life <= timedelta(days=90)
    else:
        assert (request.key_id, request.overlap_seconds) == ("k1", 5_400)


async def test_a_key_that_was_shown_before_is_not_shown(cli, peer):
    peer.answers["CreateApiKey"] = CreateApiKeyResponse(api_key=a_key())

    ended = await cli("keys", "create", "nightly", "--scope", "runs:read", "--request-id", "once")

    assert "was shown in the first answer to this request only" in ended.out


async def test_keys_are_listed_and_revoked(cli, peer):
    peer.answers["ListApiKeys"] = ListApiKeysResponse(api_keys=[a_key(), a_key(revoked_at=Timestamp(seconds=1))])
    peer.answers["RevokeApiKey"] = a_key(revoked_at=Timestamp(seconds=1_763_458_200))

    listed = await cli("keys", "list")
    revoked = await cli("keys", "revoke", "k2", "--tenant", TENANT)

    assert [line.split()[:3] for line in listed.out.splitlines()] == [
        ["KEY", "NAME", "SCOPES"],
        *[["k2", "nightly", "runs:read"]] * 2,
    ]
    assert "1970-01-01 00:00:01 UTC" in listed.out.splitlines()[2]
    assert "2025-11-18 09:30:00 UTC" in revoked.out
    assert [request.tenant_id for request in peer.requests["ListApiKeys"]] == [""]
    assert [(request.key_id, request.tenant_id) for request in peer.requests["RevokeApiKey"]] == [("k2", TENANT)]


async def test_the_audit_log_is_shown(cli, peer):
    event = AuditEvent(number=7, tenant_id=TENANT, key_id="k1", peer="ipv4:10.0.0.7:1", action="api_key.create")
    event.details["name"] = "nightly"
    event.time.seconds = 1_763_458_200
    peer.answers["ListAuditEvents"] = ListAuditEventsResponse(events=[event] * 3)

    ended = await cli("system", "audit", "--tenant", TENANT, "--limit", "2")

    assert len(ended.out.splitlines()) == 3
    for part in ("2025-11-18 09:30:00 UTC", "api_key.create", "k1", "ipv4:10.0.0.7:1", "name=nightly"):
        assert part in ended.out
    (request,) = peer.requests["ListAuditEvents"]
    assert request.tenant_id == TENANT


async def test_results_of_checks_are_shown(cli, peer):
    result = DataQualityResult(
        step_id="check",
        table_name="costs",
        check_name="expect_column_values_to_be_in_set",
        column_name="currency",
        status=DataQualityResult.FAILED,
        severity=DataQualityResult.WARN,
        row_count=1200,
        failing_count=3,
        failing_sample=["GBP", "\x1b[31m"],
    )
    wrong = DataQualityResult(status=DataQualityResult.STATUS_ERROR, error_message="table costs has no column currency")
    peer.answers["ListDataQualityResults"] = ListDataQualityResultsResponse(results=[result, wrong, result])

    options = ("--run", RUN_ID, "--table", "costs", "--status", "failed", "--status", "ERROR", "--limit", "2")
    ended = await cli("dq", "list", "--tenant", TENANT, *options)

    assert ended.code == 0
    for part in ("FAILED", "warn", "expect_column_values_to_be_in_set", "currency", "1,200", "3", "GBP", "ERROR"):
        assert part in ended.out
    assert "\x1b" not in ended.out
    (request,) = peer.requests["ListDataQualityResults"]
    assert (request.tenant_id, request.pipeline_logging_id, request.table_name) == (TENANT, RUN_ID, "costs")
    assert list(request.statuses) == [DataQualityResult.FAILED, DataQualityResult.STATUS_ERROR]
    assert (await cli("dq", "list", "--tenant", TENANT, "--status", "broken")).code == 2


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
    events = events_of(Run.FAILED)
    events[2].step.MergeFrom(StepRun(step_id=NASTY, name=NASTY, ps_type=NASTY, error_message=NASTY))
    events[3].log.MergeFrom(LogEntry(step_id=NASTY, message=NASTY))
    events[3].log.fields["[bold]"] = NASTY
    events[6].run.MergeFrom(Run(pipeline_id=NASTY, error_message=NASTY, wait_reason=NASTY))
    return events


async def test_names_with_markup_are_shown_as_they_are(cli, peer):
    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [all_events(hostile_events())]

    ended = await cli(*WATCH)

    assert ended.code == 1
    step, log, run, outcome = ended.out.splitlines()[3:5] + ended.out.splitlines()[-2:]
    assert [line.count(SHOWN) for line in (step, log, run, outcome)] == [2, 3, 1, 2]
    assert "[bold]=" in log
    assert not set("\x1b\x9b\r\u202e") & set(ended.out)


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
    (notice,) = err.splitlines()
    assert "trying to reconnect" in json.loads(notice)["notice"]


async def test_ctrl_c_is_told_to_machines_as_a_notice(cli, peer):
    peer.answers["RunPipeline"] = a_run()
    peer.streams = [some_events(events_of(), 2, hang)]

    process = await cli.start(*RUN, "--watch", "--json")
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()

    assert process.returncode == 130
    (line,) = err.decode().splitlines()
    assert json.loads(line)["notice"].startswith("Stopped watching; the run goes on.")
    assert f"convergence runs cancel {RUN_ID} --tenant {TENANT}" in json.loads(line)["notice"]


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


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["for people", "for machines"])
async def test_a_reader_that_goes_away_ends_it_quietly(cli, peer, option):
    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [all_events([RunEvent(sequence=n + 1, log=LogEntry(message="x" * 500)) for n in range(2000)])]

    process = await cli.start(*WATCH, *option)
    await process.stdout.readline()
    process.stdout._transport.close()

    assert await process.stderr.read() == b""
    assert await process.wait() == 141


NO_ROOM = b"Error: cannot write to standard output: No space left on device\n"


@pytest.fixture
def full():
    """A file on a disk that has no room."""
    with Path("/dev/full").open("wb") as opened:
        yield opened


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["for people", "for machines"])
@pytest.mark.parametrize("arguments", [["system", "info"], WATCH, ["--help"]], ids=["answer", "watch", "help"])
async def test_a_full_disk_is_told(cli, peer, full, arguments, option):
    peer.answers |= {"GetSystemInfo": SystemInfo(version="1"), "GetRun": a_run(Run.RUNNING)}
    peer.streams = [all_events(events_of())]

    process = await cli.start(*arguments, *option, stdout=full)
    _, err = await process.communicate()

    assert (process.returncode, err) == (1, NO_ROOM)


async def test_an_error_that_nobody_can_be_told_keeps_its_exit_code(cli, full):
    codes = [await (await cli.start(*arguments, stderr=full)).wait() for arguments in (["run", "x"], ["bogus"])]

    assert codes == [2, 2]


@pytest.mark.parametrize("option", ["--help", "--json"])
async def test_without_standard_output_nothing_is_asked(cli, peer, option):
    peer.answers["RunPipeline"] = a_run()
    script = '"$0" -m convergence "$@" >&-'

    command = ("sh", "-c", script, sys.executable, *RUN, option)
    process = await asyncio.create_subprocess_exec(*command, env=cli.environment, stderr=asyncio.subprocess.PIPE)
    _, err = await process.communicate()

    assert (process.returncode, err) == (1, b"Error: cannot write to standard output: it is closed\n")
    assert peer.requests == {}


# Presses Ctrl-C when the module that is its first argument is about to be imported.
CTRL_C_AT_IMPORT = """
import os, signal, sys
module = sys.argv.pop(1)

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
from convergence.cli import main
main()
"""


@pytest.mark.parametrize(
    "module", ["convergence.app", "grpc", "grpc._cython", "rich.console", "convergence.v1.run_pb2"]
)
async def test_ctrl_c_while_it_starts(cli, module):
    command = (sys.executable, "-c", CTRL_C_AT_IMPORT, module, "system", "info")
    process = await asyncio.create_subprocess_exec(*command, env=cli.environment, stderr=asyncio.subprocess.PIPE)
    _, err = await process.communicate()

    assert (process.returncode, err) == (130, b"Interrupted.\n")


USAGE = {
    "no such command": (["bogus"], "No such command 'bogus'."),
    "no argument": (["run"], "Missing argument 'PIPELINE'."),
    "value": (["runs", "list", "--limit", "0"], "Invalid value for '--limit'"),
    "no such option": (["system", "info", "--api-key", "cvg_k1_secret"], "No such option"),
    "no command of a group": (["runs"], "A command is missing; see --help."),
    "no value": (["system", "info", "--target"], "requires an argument"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
async def test_a_wrong_command_line_is_told_to_machines(cli, arguments, message):
    ended = await cli("--json", *arguments)

    assert (ended.code, ended.out) == (2, "")
    error = json.loads(ended.err)["error"]
    assert message in error.pop("message")
    assert error == {
        "code": "INVALID_ARGUMENT",
        "reason": "INVALID_OPTION",
        "violations": [],
        "retry_after_seconds": None,
    }


PATHS = {
    "gcp/cost/cost_billing": ("", "gcp", "cost", "cost_billing"),
    "setup/bootstrap_system": ("", "setup", "", "bootstrap_system"),
    "acme_corp-gcp-cost-billing": ("acme_corp-gcp-cost-billing", "", "", ""),
}


@pytest.mark.parametrize(("value", "asked"), PATHS.items(), ids=PATHS)
async def test_runs_of_a_pipeline(cli, peer, value, asked):
    peer.answers["ListRuns"] = listed_runs(1)

    await cli("runs", "list", "--pipeline", value)

    (request,) = peer.requests["ListRuns"]
    assert (request.pipeline, request.provider, request.domain, request.template_name) == asked


async def test_a_fault_of_a_whole_file_has_no_field(cli, peer):
    whole = BadRequest(field_violations=[BadRequest.FieldViolation(description="configs/gcp/a.yml: a step is missing")])
    peer.answers["RunPipeline"] = refusing(
        grpc.StatusCode.INVALID_ARGUMENT, "No.", ErrorInfo(reason="UNKNOWN_FIELD"), whole
    )

    ended = await cli(*RUN)

    assert ended.err == "Error: UNKNOWN_FIELD\n  configs/gcp/a.yml: a step is missing\n"


async def test_a_lost_connection_is_told_once(cli, peer, address):
    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [some_events(events_of(), 2, drop), some_events(events_of(), 4, drop), all_events(events_of())]

    ended = await cli(*WATCH)

    assert ended.code == 0
    told = f"Lost the connection to {address.target}; trying to reconnect for up to 60 seconds."
    assert ended.err == f"{told} The run may go on meanwhile.\n"


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["for people", "for machines"])
async def test_a_watch_that_fails_says_how_to_go_on(cli, peer, option):
    async def broken(_request, context):
        await refuse(context, grpc.StatusCode.INTERNAL, "Something failed.", ErrorInfo(reason="INTERNAL"))
        yield

    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [broken]

    ended = await cli(*WATCH, *option)

    hint = f"The run may go on. To watch it again: convergence runs watch {RUN_ID} --tenant {TENANT}"
    assert ended.code == 4
    if option:
        assert json.loads(ended.err)["error"]["hint"] == hint
    else:
        assert ended.err == f"Error: Something failed. (INTERNAL)\n{hint}\n"


async def test_plain_lines_say_which_time_they_have(cli, peer):
    peer.answers["GetRun"] = a_run(Run.RUNNING)
    peer.streams = [all_events(events_of())]

    first, second, *rest = (await cli(*WATCH)).out.splitlines()

    assert first == "Times are UTC."
    assert second == "09:30:01 run PENDING"
    assert "UTC" not in "".join(rest)


WIDTHS = {
    160: "CREATED STATUS TENANT PIPELINE DATE ROWS TIME RUN",
    120: "CREATED STATUS TENANT PIPELINE DATE RUN",
    100: "STATUS TENANT PIPELINE DATE RUN",
    85: "STATUS TENANT PIPELINE RUN",
    80: "STATUS PIPELINE RUN",
    60: "STATUS PIPELINE RUN",
    50: "STATUS RUN",
    40: "RUN",
}


@pytest.mark.parametrize(("columns", "shown"), WIDTHS.items(), ids=str)
async def test_a_run_has_one_line_and_a_whole_id_in_any_terminal(cli, peer, columns, shown):
    run = a_run(Run.CANCELLING, rows_processed=1_234_567)
    run.created_at.FromSeconds(1_763_458_200)
    peer.answers["ListRuns"] = ListRunsResponse(runs=[run, run])

    head, *runs = await lines_in_a_terminal(cli, "runs", "list", columns=columns)

    assert head.split() == shown.split()
    assert len(runs) == 2
    for line in runs:
        assert line.endswith(RUN_ID)
        assert len(line) <= columns
        assert ("CANCELLING" in line) == ("STATUS" in shown)
        assert ("gcp/cos" in line) == ("PIPELINE" in shown)


async def test_a_file_gets_every_column(cli, peer):
    peer.answers["ListRuns"] = ListRunsResponse(runs=[a_run()])
    cli.environment["COLUMNS"] = "40"

    assert (await cli("runs", "list")).out.split()[:8] == WIDTHS[160].split()


@pytest.mark.parametrize("columns", [20, 60, 120])
async def test_the_key_is_on_a_line_of_its_own(cli, peer, columns):
    made = onboarded()
    made.api_key_secret = "cvg_85a4b165b7da_orLSsX5OruHlxyoJBbuptMxxKz_C27ivjjAQuLi0GUY"
    peer.answers["OnboardTenant"] = made

    lines = await lines_in_a_terminal(cli, "tenants", "onboard", TENANT, "--no-wait", columns=columns)

    assert made.api_key_secret in lines


def a_plan(*faults: Fault) -> Plan:
    step = PlanStep(
        step_id="load",
        ps_type="gcp.bq_etl",
        variables=[ResolvedVariable(name="month", value="2025-11", origin=ResolvedVariable.REQUEST)],
        sql="SELECT cost\n  FROM costs \x1b[31m",
        tables_read=["p.acme_corp.costs"],
        table_written="p.acme_corp.sums",
        write_mode="merge",
        schema_changes=["p.acme_corp.sums is created"],
        estimated_bytes=3 * 2**30,
        estimated_cost_usd=0.02,
        warnings=["the query reads every partition"],
    )
    step.settings.update(
        {
            "source": {"query": "SELECT cost FROM costs", "bq_project_id": None},
            "destination": {
                "merge_keys": ["service", "day"],
                "table_config": {"time_partitioning": {"field": "day", "expiration_days": 730}},
                "allow_field_addition": True,
            },
            "maximum_bytes_billed": 10 * 2**30,
            "to_emails": ["ops@example.com"],
            "subject": "{pipeline_status}\x1b[31m",
            "checks": [{"name": "rows", "minimum": 0.5}],
        }
    )
    return Plan(steps=[step], faults=faults, estimated_bytes=3 * 2**30, estimated_cost_usd=0.02)


@pytest.mark.parametrize(
    ("faults", "code"),
    [([], 0), ([Fault(reason="TABLE_NOT_FOUND", message="no such table", step_id="load", field="steps[0].query")], 1)],
)
async def test_a_plan_is_shown_and_its_faults_decide_the_exit_code(cli, peer, faults, code):
    peer.answers["PlanPipeline"] = a_run()
    peer.streams = [all_events(events_of())]
    peer.answers["GetRun"] = a_run(Run.SUCCESS, kind=Run.PLAN, plan=a_plan(*faults))

    ended = await cli("plan", "gcp/cost/cost_billing", "--tenant", TENANT, "--var", "month=2025-11")

    assert (ended.code, ended.err) == (code, "")
    for words in (
        "load  gcp.bq_etl",
        "p.acme_corp.sums (merge)",
        "3.0 GiB, about $0.02",
        "month     2025-11  REQUEST",
        "    SELECT cost\n      FROM costs \ufffd[31m\n",
        "p.acme_corp.sums is created",
        "warning: the query reads every partition",
    ):
        assert words in ended.out
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    first = lines.index("SETTING VALUE") + 1
    assert lines[first : lines.index("VARIABLE VALUE SET BY")] == [
        "checks[0].minimum 0.5",
        "checks[0].name rows",
        "destination.allow_field_addition true",
        "destination.merge_keys service, day",
        "destination.table_config.time_partitioning.expiration_days 730",
        "destination.table_config.time_partitioning.field day",
        "maximum_bytes_billed 10737418240",
        "subject {pipeline_status}\ufffd[31m",
        "to_emails ops@example.com",
    ]
    assert ("step load, steps[0].query: no such table" in ended.out) is bool(faults)


async def test_a_plan_for_machines(cli, peer):
    peer.answers["PlanPipeline"] = a_run()
    peer.streams = [all_events(events_of())]
    peer.answers["GetRun"] = a_run(Run.SUCCESS, kind=Run.PLAN, plan=a_plan())

    ended = await cli("plan", "gcp/cost/cost_billing", "--tenant", TENANT, "--json")

    (document,) = ended.documents
    assert document["plan"]["steps"][0]["estimated_bytes"] == str(3 * 2**30)
    assert ended.code == 0
