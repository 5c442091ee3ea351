"""Rows about pages, masks, times and numbers; about very much of something; and about letters."""

import base64
import json
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from convergence.v1.pipeline_service_pb2 import (
    DataQualityResult,
    GetRunStatusRequest,
    ListBackfillsRequest,
    ListDataQualityResultsRequest,
    ListPipelinesRequest,
    ListRunsRequest,
    RunPipelineRequest,
)
from convergence.v1.run_pb2 import Run
from convergence.v1.schedule_service_pb2 import ListScheduledRunsRequest, ListSchedulesRequest
from convergence.v1.system_service_pb2 import ListAuditEventsRequest
from convergence.v1.tenant_service_pb2 import (
    CreateApiKeyRequest,
    ListApiKeysRequest,
    ListCredentialsRequest,
    ListTenantsRequest,
    OnboardTenantRequest,
    RotateApiKeyRequest,
    Tenant,
    UpdateTenantRequest,
)
from server.api.pages import ListRequest, page_token
from tests.e2e.hostile.records import change
from tests.e2e.hostile.rows import MEGABYTE, PIPELINES, SCHEDULES, SYSTEM, TENANTS, Row, run

RUN_ID = "00000000-0000-4000-8000-000000000000"
SURROGATE = "\ud800"
WRONG, NO_PAGE, NO_SIZE, NO_MASK = "INVALID_FIELD", "INVALID_PAGE_TOKEN", "INVALID_PAGE_SIZE", "INVALID_UPDATE_MASK"
_SERVICES = {
    ListRunsRequest: PIPELINES,
    ListBackfillsRequest: PIPELINES,
    ListSchedulesRequest: SCHEDULES,
    ListScheduledRunsRequest: SCHEDULES,
    ListPipelinesRequest: PIPELINES,
    ListDataQualityResultsRequest: PIPELINES,
    ListTenantsRequest: TENANTS,
    ListApiKeysRequest: TENANTS,
    ListCredentialsRequest: TENANTS,
    ListAuditEventsRequest: SYSTEM,
}
RESULTS = ListDataQualityResultsRequest()
RUNS, CATALOG, CUSTOMERS, KEYS = ListRunsRequest(), ListPipelinesRequest(), ListTenantsRequest(), ListApiKeysRequest()


def listing(name: str, reason: str, request: ListRequest, says: str = "") -> Row:
    kind = type(request)
    return Row(name, _SERVICES[kind] + kind.__name__.removesuffix("Request"), request, reason, key="admin", says=says)


def page(name: str, request: ListRequest, *key: str) -> Row:
    """A token for those filters, as only the server should make one."""
    return listing(name, NO_PAGE, type(request)(page_token=page_token(request, *key)), "page_token")


def token(name: str, request: ListRequest, text: str) -> Row:
    return listing(name, NO_PAGE, type(request)(page_token=text), "page_token")


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def time(name: str, seconds: int, nanos: int = 0, field: str = "created_after") -> Row:
    return listing(name, WRONG, ListRunsRequest(**{field: Timestamp(seconds=seconds, nanos=nanos)}), field)


def expiry(name: str, reason: str, seconds: int) -> Row:
    request = CreateApiKeyRequest(name="x", scopes=["runs:read"], expires_at=Timestamp(seconds=seconds))
    return Row(name, TENANTS + "CreateApiKey", request, reason, says="expires_at")


def overlap(name: str, seconds: int) -> Row:
    return Row(
        name,
        TENANTS + "RotateApiKey",
        lambda world: RotateApiKeyRequest(key_id=world.key_id("reader"), overlap_seconds=seconds),
        WRONG,
        says="0 to 604800",
    )


def mask(name: str, *paths: str) -> Row:
    return change(name, NO_MASK, Tenant(display_name="x"), *paths)


LISTS = [
    page("a page without time zone", RUNS, "2025-11-18T10:00:00", RUN_ID),
    page("a page of the year 1", RUNS, "0001-01-01T00:00:00+00:00", RUN_ID),
    page("a page of the year 1 elsewhere", RUNS, "0001-01-01T00:00:00+14:00", RUN_ID),
    page("a page of a day", RUNS, "2025-11-18", RUN_ID),
    page("a page of no time", RUNS, "yesterday", RUN_ID),
    page("a page of half a character", RUNS, "2025-11-18T10:00:00+00:00", SURROGATE),
    page("a page with a part missing", RUNS, "2025-11-18T10:00:00+00:00"),
    page("a page with a part too many", KEYS, "2025-11-18T10:00:00+00:00", "x", "more"),
    page("a page behind a path", CATALOG, "../../etc/passwd"),
    page("a page behind nothing", CATALOG, ""),
    page("a page behind half a pipeline", CATALOG, SURROGATE),
    page("a page behind half a tenant", CUSTOMERS, SURROGATE),
    page("a page behind no number", ListAuditEventsRequest(), "1e3"),
    page("a page behind a number of a hundred digits", ListAuditEventsRequest(), "9" * 100),
    page("a page behind a negative number", ListAuditEventsRequest(), "-1"),
    page("a page behind no check", RESULTS, "2025-11-18T10:00:00+00:00", RUN_ID, "check", "first"),
    page("a page of results without a step", RESULTS, "2025-11-18T10:00:00+00:00", RUN_ID),
    page("a page of backfills behind no time", ListBackfillsRequest(), "yesterday", RUN_ID),
    page("a page of schedules without a tenant", ListSchedulesRequest(), "far"),
    page("a page of ticks behind no time", ListScheduledRunsRequest(tenant_id="acme_corp"), "x", "far"),
    token("a page of deep lists", CUSTOMERS, base64.urlsafe_b64encode(b"[" * 100_000).decode()),
    token("a page of numbers", CUSTOMERS, encoded([1, 2])),
    token("a page of another list", RUNS, page_token(CUSTOMERS, "2025-11-18T10:00:00+00:00", RUN_ID)),
    token(
        "a page of other filters",
        RUNS,
        page_token(ListRunsRequest(provider="gcp"), "2025-11-18T10:00:00+00:00", RUN_ID),
    ),
    token("a page in other letters", KEYS, "ü"),
    token("a page of one character", KEYS, "A"),
    token("a page of null", CATALOG, "\0"),
    token("a page of a megabyte", CUSTOMERS, "a" * MEGABYTE),
    listing("a page of less than nothing", NO_SIZE, ListRunsRequest(page_size=-1)),
    listing("a page of the smallest size of all", NO_SIZE, ListPipelinesRequest(page_size=-(2**31))),
    listing("a status that there is not", WRONG, ListRunsRequest(statuses=[Run.SUCCESS, 99]), "statuses"),
    listing(
        "the status of no check",
        WRONG,
        ListDataQualityResultsRequest(tenant_id="acme_corp", statuses=[DataQualityResult.STATUS_UNSPECIFIED]),
        "PASSED, FAILED, ERROR",
    ),
    listing("the status of none", WRONG, ListRunsRequest(statuses=[Run.STATUS_UNSPECIFIED]), "statuses"),
    listing("a state that there is not", WRONG, ListTenantsRequest(states=[-1]), "states"),
    listing("a kind of run that there is not", WRONG, ListRunsRequest(kind=99), "kind"),
    time("a far future", 10**15),
    time("a far past", -(10**15), field="created_before"),
    time("the last second of all", 2**63 - 1),
    time("the second before the year 1", -62135596801, field="created_before"),
    time("the second after the year 9999", 253402300800),
    time("less than no nanosecond", 0, -1),
    time("a second of nanoseconds", 0, 10**9, field="created_before"),
    expiry("a key that ends in another age", WRONG, 2**62),
    expiry("a key that ended with the year 1", "INVALID_EXPIRY", -62135596800),
    overlap("an overlap of less than nothing", -1),
    overlap("an overlap of a week and a second", 604_801),
    overlap("an overlap for ever", 2**31 - 1),
    Row(
        "events from before the beginning",
        PIPELINES + "GetRunStatus",
        lambda world: GetRunStatusRequest(pipeline_logging_id=world.runs["acme"], after_sequence=-1),
        WRONG,
        says="after_sequence",
    ),
    mask("a mask of everything", "*"),
    mask("a mask of nothing"),
    mask("a mask of an empty name", ""),
    mask("a mask of the id", "tenant_id"),
    mask("a mask of the etag", "display_name", "etag"),
    mask("a mask of the dataset's place", "location"),
    mask("a mask of a limit that there is not", "quotas.runs_per_second"),
    mask("a mask of a limit's inside", "quotas.runs_per_day.value"),
    mask("a mask of an attribute of Python", "__class__"),
    mask("a mask in capitals", "displayName"),
    change("a state that cannot be set", WRONG, Tenant(state=Tenant.OFFBOARDED), "state"),
    change("a state on the way", WRONG, Tenant(state=Tenant.ONBOARDING), "state"),
    change("another state that there is not", WRONG, Tenant(state=99), "state"),
    change("an etag of nobody", "ETAG_MISMATCH", Tenant(display_name="x", etag="x"), "display_name", code="ABORTED"),
    change(
        "an etag of a megabyte",
        "ETAG_MISMATCH",
        Tenant(display_name="x", etag="x" * MEGABYTE),
        "display_name",
        code="ABORTED",
    ),
    Row(
        "an etag of another tenant",
        TENANTS + "UpdateTenant",
        lambda world: UpdateTenantRequest(
            tenant=Tenant(tenant_id="acme_corp", display_name="x", etag=world.etags["rival_corp"]),
            update_mask=FieldMask(paths=["display_name"]),
        ),
        "ETAG_MISMATCH",
        "ABORTED",
        "admin",
    ),
]


def profile(name: str, reason: str, says: str = "", **fields: Any) -> Row:
    request = OnboardTenantRequest(tenant_id="new_corp", **fields)
    return Row(name, TENANTS + "OnboardTenant", request, reason, key="admin", says=says)


def new_key(name: str, reason: str, called: str, *scopes: str) -> Row:
    request = CreateApiKeyRequest(name=called, scopes=scopes or ["runs:read"])
    return Row(name, TENANTS + "CreateApiKey", request, reason)


SIZES = [
    profile("a million addresses", "INVALID_EMAIL", "at most 50", contact_emails=["x"] * 1_000_000),
    profile("a million sources", "INVALID_SOURCE", "at most 100", allowed_sources=["x"] * 1_000_000),
    profile("an address of a megabyte", "INVALID_EMAIL", contact_emails=["x" * MEGABYTE + "@example.com"]),
    profile("a name of a megabyte", "INVALID_DISPLAY_NAME", display_name="x" * MEGABYTE),
    profile("a place of a megabyte", "INVALID_LOCATION", location="europe-" * 150_000 + "1"),
    new_key("a key's name of a megabyte", "INVALID_NAME", "x" * MEGABYTE),
    new_key("a million scopes", "UNKNOWN_SCOPE", "x", *["x"] * 1_000_000),
    mask("a mask of 300,000 names", *[f"x{n}" for n in range(300_000)]),
    listing("a million statuses", WRONG, ListRunsRequest(statuses=[99] * 1_000_000)),
    Row(
        "100,000 variables",
        PIPELINES + "RunPipeline",
        RunPipelineRequest(
            provider="gcp", domain="example", template_name="dryrun", variables={f"v{n}": "x" for n in range(100_000)}
        ),
        "TOO_MANY_VARIABLES",
    ),
    run("a value of three megabytes", "INVALID_VARIABLE_VALUE", variables={"greeting": "x" * 3 * MEGABYTE}),
    run("a date of three megabytes", "INVALID_VARIABLE_VALUE", date="2" * 3 * MEGABYTE),
]

UNICODE = [
    profile("a name that turns the text around", "INVALID_DISPLAY_NAME", display_name="Acme\u202eproC"),
    profile("a name with a null", "INVALID_DISPLAY_NAME", display_name="Acme\0"),
    profile("a name with an escape sequence", "INVALID_DISPLAY_NAME", display_name="\x1b]0;x\a"),
    profile("a name of no character", "INVALID_DISPLAY_NAME", display_name="\u200b"),
    profile("a name of private letters", "INVALID_DISPLAY_NAME", display_name="\ue000"),
    profile("an address with a line more", "INVALID_EMAIL", contact_emails=["a@example.com\r\nBcc: b@example.com"]),
    profile("an address that parts lines", "INVALID_EMAIL", contact_emails=["a@exam\u2028ple.com"]),
    profile("an address that turns the text around", "INVALID_EMAIL", contact_emails=["a@\u202eelpmaxe.com"]),
    profile("a source in other letters", "INVALID_SOURCE", allowed_sources=["some-project.costs.tаble"]),
    profile("a place in other letters", "INVALID_LOCATION", location="ＥＵ"),
    new_key("a key's name that parts lines", "INVALID_NAME", "night\u2028ly"),
    new_key("a key's name of blanks", "INVALID_NAME", "\u00a0\u2003"),
    new_key("a scope in other letters", "UNKNOWN_SCOPE", "x", "runs:reаd"),
    run("a provider in wide letters", "INVALID_PIPELINE_NAME", ("ｇｃｐ", "example", "dryrun")),
    run("a provider in other letters", "INVALID_PIPELINE_NAME", ("gсp", "example", "dryrun")),
    run("a domain with an accent apart", "INVALID_PIPELINE_NAME", ("gcp", "exa\u0301mple", "dryrun")),
    run("a pipeline of a letter without its dot", "INVALID_PIPELINE_NAME", ("gcp", "example", "dryrın")),
    run("a pipeline that turns the text around", "INVALID_PIPELINE_NAME", ("gcp", "example", "\u202enurydr")),
    run("a date in wide digits", "INVALID_DATE", date="２０２５-11-18"),
    run("a variable of two letters that look like one", "UNKNOWN_VARIABLE", variables={"grееting": "x"}),
]
