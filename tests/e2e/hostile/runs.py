"""Rows about what to run, and which run."""

from typing import Any

from convergence.v1.pipeline_service_pb2 import (
    CancelRunRequest,
    GetPipelineRequest,
    GetRunRequest,
    GetRunStatusRequest,
    PlanPipelineRequest,
    RetryRunRequest,
    RunPipelineRequest,
)
from convergence.v1.system_service_pb2 import RebuildMirrorRequest, RescueRunRequest
from convergence.v1.tenant_service_pb2 import (
    CreateApiKeyRequest,
    Credential,
    GetTenantRequest,
    OffboardTenantRequest,
    OnboardTenantRequest,
    PutCredentialRequest,
    RotateApiKeyRequest,
)
from tests.e2e.hostile.rows import MEGABYTE, MISSING, PIPELINES, SYSTEM, TENANTS, Row, run, yaml
from tests.e2e.hostile.world import ACCESS_KEY, OUTSIDE

NO_NAME, NO_PIPELINE, NO_RUN, NO_TENANT = (
    "INVALID_PIPELINE_NAME",
    "PIPELINE_NOT_FOUND",
    "RUN_NOT_FOUND",
    "TENANT_NOT_FOUND",
)
RUN_ID = "00000000-0000-4000-8000-000000000000"


def get_run(name: str, run_id: str) -> Row:
    return Row(name, PIPELINES + "GetRun", GetRunRequest(pipeline_logging_id=run_id), NO_RUN, MISSING)


def cancel(name: str, run_id: str) -> Row:
    return Row(name, PIPELINES + "CancelRun", CancelRunRequest(pipeline_logging_id=run_id), NO_RUN, MISSING)


def watch(name: str, run_id: str) -> Row:
    return Row(name, PIPELINES + "GetRunStatus", GetRunStatusRequest(pipeline_logging_id=run_id), NO_RUN, MISSING)


def tenant(name: str, tenant_id: str) -> Row:
    return Row(name, TENANTS + "GetTenant", GetTenantRequest(tenant_id=tenant_id), NO_TENANT, MISSING, "admin")


def onboarding(name: str, tenant_id: str) -> Row:
    request = OnboardTenantRequest(tenant_id=tenant_id)
    return Row(name, TENANTS + "OnboardTenant", request, "INVALID_TENANT_ID", key="admin", says="3 to 63")


def missing_file(name: str, template_name: str) -> Row:
    return run(name, NO_PIPELINE, ("hostile", "", template_name), code=MISSING, hidden=OUTSIDE)


IDS_AND_PATHS = [
    run("a folder of Windows", NO_NAME, ("..\\..", "", "cost_billing")),
    run("a slash in the provider", NO_NAME, ("gcp/cost", "", "cost_billing")),
    run("a slash as domain", NO_NAME, ("gcp", "/", "cost_billing")),
    run("the folder itself", NO_NAME, ("gcp", ".", "cost_billing")),
    run("a suffix", NO_NAME, ("gcp", "cost", "cost_billing.yml")),
    run("a null before the suffix", NO_NAME, ("gcp", "cost", "cost_billing\0.png")),
    run("a blank at the end", NO_NAME, ("gcp", "cost", "cost_billing ")),
    run("a URL", NO_NAME, ("file:", "", "//etc/passwd")),
    run("a home folder", NO_NAME, ("~root", "", "x")),
    run("a pattern", NO_NAME, ("gcp", "*", "*")),
    run("a variable as provider", NO_NAME, ("{tenant_id}", "", "x")),
    run("a hidden file", NO_NAME, ("hostile", "", ".hidden")),
    run("an option", NO_NAME, ("gcp", "cost", "--help")),
    run("a device of Windows", NO_PIPELINE, ("gcp", "cost", "con"), code=MISSING),
    run("a link to a file elsewhere", "FILE_OUTSIDE_FOLDER", ("hostile", "", "linked"), hidden=OUTSIDE),
    run("a link to a folder elsewhere", "FILE_OUTSIDE_FOLDER", ("hostile", "folder", "private"), hidden=OUTSIDE),
    missing_file("a link to itself", "circle"),
    missing_file("a device without end", "device"),
    missing_file("a pipe that nobody writes to", "pipe"),
    missing_file("a folder like a file", "directory"),
    run("two files of one name", "AMBIGUOUS_PIPELINE_FILE", ("hostile", "", "twice")),
    Row(
        "a path to be shown",
        PIPELINES + "GetPipeline",
        GetPipelineRequest(provider="gcp", domain="..", template_name="passwd"),
        NO_NAME,
    ),
    Row(
        "settings in place of a pipeline",
        PIPELINES + "GetPipeline",
        GetPipelineRequest(provider="metadata", domain="schemas", template_name="x"),
        NO_PIPELINE,
        MISSING,
    ),
    Row(
        "a plan of a megabyte's name",
        PIPELINES + "PlanPipeline",
        PlanPipelineRequest(provider="gcp", template_name="a" * MEGABYTE),
        NO_NAME,
    ),
    get_run("a run that is null", "\0"),
    cancel("a run that ends in null", f"{RUN_ID}\0"),
    watch("a run without id", ""),
    get_run("a run of a megabyte", "x" * MEGABYTE),
    watch("a run that turns the text around", "\x7f\u202e"),
    cancel("a run with SQL in it", "' OR 1=1 --"),
    cancel("any run", "%"),
    watch("a run with a path in it", "../../../etc/passwd"),
    Row(
        "a retry of many lines",
        PIPELINES + "RetryRun",
        RetryRunRequest(pipeline_logging_id=f"{RUN_ID}\r\n{RUN_ID}"),
        NO_RUN,
        MISSING,
    ),
    Row(
        "a run in capitals",
        PIPELINES + "GetRun",
        lambda world: GetRunRequest(pipeline_logging_id=world.runs["acme"].upper()),
        NO_RUN,
        MISSING,
    ),
    Row(
        "a run in braces",
        PIPELINES + "CancelRun",
        lambda world: CancelRunRequest(pipeline_logging_id=f"{{{world.runs['acme']}}}"),
        NO_RUN,
        MISSING,
    ),
    Row(
        "a rescue of a run that has ended",
        SYSTEM + "RescueRun",
        lambda world: RescueRunRequest(tenant_id="acme_corp", pipeline_logging_id=world.runs["acme"]),
        "RUN_NOT_ACTIVE",
        "FAILED_PRECONDITION",
        "admin",
    ),
    Row(
        "a rescue under another tenant's name",
        SYSTEM + "RescueRun",
        lambda world: RescueRunRequest(tenant_id="rival_corp", pipeline_logging_id=world.runs["acme"]),
        NO_RUN,
        MISSING,
        "admin",
    ),
    Row(
        "a retry of what succeeded",
        PIPELINES + "RetryRun",
        lambda world: RetryRunRequest(pipeline_logging_id=world.runs["acme"]),
        "RUN_NOT_RETRYABLE",
        "FAILED_PRECONDITION",
    ),
    Row(
        "to cancel what succeeded",
        PIPELINES + "CancelRun",
        lambda world: CancelRunRequest(pipeline_logging_id=world.runs["acme"]),
        "RUN_FINISHED",
        "FAILED_PRECONDITION",
    ),
    tenant("a tenant that is null", "\0"),
    tenant("a tenant that ends in null", "acme_corp\0"),
    tenant("a tenant of a megabyte", "x" * MEGABYTE),
    tenant("a tenant in capitals", "ACME_CORP"),
    tenant("a tenant with a blank", "acme_corp "),
    tenant("any tenant", "%"),
    tenant("the central dataset as tenant", "tenants"),
    Row(
        "no tenant at all",
        TENANTS + "GetTenant",
        GetTenantRequest(),
        "MISSING_FIELD",
        key="admin",
        says="name one",
    ),
    Row(
        "the tables of nobody",
        SYSTEM + "RebuildMirror",
        RebuildMirrorRequest(tenant_id="nobody_corp"),
        NO_TENANT,
        MISSING,
        "admin",
    ),
    onboarding("a new tenant with SQL in it", "acme`;DROP TABLE x"),
    onboarding("a new tenant with a path in it", "../tenants"),
    onboarding("a new tenant with a dot", "acme.corp"),
    onboarding("a new tenant that is a wildcard", "acme_*"),
    onboarding("a new tenant in wide letters", "ａｃｍｅ"),
    onboarding("a new tenant with a number first", "1corp"),
    onboarding("a new tenant of a megabyte", "a" * MEGABYTE),
    onboarding("a new tenant like the tables of all", "x_meta_api_keys"),
]

TYPED = """
pipeline_id: typed
variables:
  whole: {default: "1", type: integer}
  real: {default: "1", type: number}
  yes: {default: "true", type: boolean}
  day: {default: "2025-11-18", type: date}
  code: {default: "aa", pattern: "(a+)+b?"}
  one_of: {default: "red", allowed_values: [red, green]}
  text: {default: ""}
steps:
  - step_id: load
    ps_type: gcp.bq_etl
    source:
      query: SELECT {whole} AS a, {real} AS b, {yes} AS c, '{day}{code}{one_of}{text}' AS d
    destination: {table: typed_rows}
"""


def typed(name: str, says: str = "", **variables: str) -> Row:
    return yaml(name, "INVALID_VARIABLE_VALUE", TYPED, says=says, **variables)


VARIABLES = [
    run("a variable without name", "UNKNOWN_VARIABLE", variables={"": "x"}),
    run("a variable of Python's", "UNKNOWN_VARIABLE", variables={"__class__": "x"}),
    run("a variable that is a template", "UNKNOWN_VARIABLE", variables={"{greeting}": "x"}),
    run("a variable of a megabyte's name", "UNKNOWN_VARIABLE", variables={"a" * MEGABYTE: "x"}),
    run("a variable in capitals", "UNKNOWN_VARIABLE", variables={"GREETING": "x"}),
    run("a variable with a null in it", "UNKNOWN_VARIABLE", variables={"greeting\0": "x"}),
    run("another run's id", "PROTECTED_VARIABLE", variables={"pipeline_logging_id": RUN_ID}),
    run("another pipeline's id", "PROTECTED_VARIABLE", variables={"pipeline_id": "x"}),
    run("another time of the run", "PROTECTED_VARIABLE", variables={"run_date": "1970-01-01"}),
    run("the outcome of the run", "PROTECTED_VARIABLE", variables={"pipeline_status": "SUCCESS"}),
    run("a date among the variables", "INVALID_DATE", variables={"date": "'; SELECT 1"}),
    run("two dates of which one is wrong", "INVALID_DATE", date="tomorrow", variables={"date": "2025-11-18"}),
    run("a week", "INVALID_DATE", date="2025-W47-2"),
    run("a date without dashes", "INVALID_DATE", date="20251118"),
    run("a date with its time", "INVALID_DATE", date="2025-11-18T00:00:00Z"),
    run("the year zero", "INVALID_DATE", date="0000-01-01"),
    run("a year of six digits", "INVALID_DATE", date="+12025-11-18"),
    run("a null as value", "INVALID_VARIABLE_VALUE", says="U+0000", variables={"greeting": "a\0b"}),
    run("an escape sequence as value", "INVALID_VARIABLE_VALUE", says="U+001B", variables={"greeting": "\x1b[2J"}),
    run("a value of 10,001 characters", "INVALID_VARIABLE_VALUE", says="10,001", variables={"greeting": "x" * 10_001}),
    run("a hundred wrong values", "UNKNOWN_VARIABLE", variables={f"v{n}": "\0" * 10_000 for n in range(100)}),
    typed("an integer beyond 64 bits", "64 bits", whole=str(2**63)),
    typed("an integer of a thousand digits", "64 bits", whole="9" * 1000),
    typed("an integer in other digits", whole="٣"),
    typed("an integer in hexadecimal", whole="0x10"),
    typed("an integer with a blank", whole=" 1"),
    typed("an integer that is SQL", whole="1 OR TRUE"),
    typed("infinity", "not a number", real="inf"),
    typed("not a number", "not a number", real="NaN"),
    typed("a boolean of YAML", "true or false", yes="yes"),
    typed("a boolean in capitals", "true or false", yes="TRUE"),
    typed("a leap day that is none", "not a day", day="2025-02-29"),
    typed("a text that takes a bad pattern for ever", "does not match", code="a" * 5_000 + "!"),
    typed("a text with a newline behind the pattern", "does not match", code="aab\n"),
    typed("a value that is not allowed", "red", one_of="Red"),
]

LONG, LINES, TURNED = "x" * 129, "first\nsecond", "abc\u202edef"


def repeated(name: str, method: str, request: Any, *, key: str = "acme") -> Row:
    return Row(name, method, request, "REQUEST_ID_REUSED", key=key, says="another content")


def no_request_id(name: str, method: str, request: Any, *, key: str = "acme") -> Row:
    return Row(name, method, request, "INVALID_FIELD", key=key, says="128 printable")


REQUEST_IDS = [
    no_request_id(
        "a long request_id",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(provider="gcp", domain="example", template_name="dryrun", request_id=LONG),
    ),
    no_request_id(
        "a request_id of lines",
        PIPELINES + "PlanPipeline",
        PlanPipelineRequest(provider="gcp", domain="example", template_name="dryrun", request_id=LINES),
    ),
    no_request_id(
        "a request_id that turns the text around",
        PIPELINES + "RetryRun",
        lambda world: RetryRunRequest(pipeline_logging_id=world.runs["acme"], request_id=TURNED),
    ),
    no_request_id(
        "a request_id of null",
        TENANTS + "OnboardTenant",
        OnboardTenantRequest(tenant_id="new_corp", request_id="\0"),
        key="admin",
    ),
    no_request_id(
        "a request_id of a megabyte",
        TENANTS + "CreateApiKey",
        CreateApiKeyRequest(name="x", scopes=["runs:read"], request_id="x" * MEGABYTE),
    ),
    no_request_id(
        "a request_id with a bell",
        TENANTS + "RotateApiKey",
        lambda world: RotateApiKeyRequest(key_id=world.key_id("reader"), request_id="\a"),
    ),
    no_request_id(
        "a request_id of no character",
        TENANTS + "PutCredential",
        PutCredentialRequest(name="x", kind=Credential.AWS_ACCESS_KEY, secret=ACCESS_KEY, request_id="\u200b"),
    ),
    no_request_id(
        "a request_id that parts lines",
        TENANTS + "OffboardTenant",
        OffboardTenantRequest(tenant_id="acme_corp", request_id="\u2028"),
        key="admin",
    ),
    repeated(
        "the request_id of another run",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(
            provider="gcp", domain="example", template_name="dryrun", date="2024-02-29", request_id="used"
        ),
    ),
    repeated(
        "the request_id of another plan",
        PIPELINES + "PlanPipeline",
        PlanPipelineRequest(provider="gcp", domain="cost", template_name="cost_billing", request_id="used"),
    ),
    repeated(
        "the request_id of another key",
        TENANTS + "CreateApiKey",
        CreateApiKeyRequest(name="used", scopes=["runs:read", "runs:write"], request_id="used"),
    ),
    repeated(
        "the request_id of another credential",
        TENANTS + "PutCredential",
        PutCredentialRequest(name="bucket2", kind=Credential.AWS_ACCESS_KEY, secret=ACCESS_KEY, request_id="used"),
    ),
    repeated(
        "the request_id of an offboarding that kept the data",
        TENANTS + "OffboardTenant",
        OffboardTenantRequest(tenant_id="offboarded_corp", confirm_delete_dataset="offboarded_corp", request_id="used"),
        key="admin",
    ),
]
