"""Rows about schedules and backfills."""

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.pipeline_service_pb2 import (
    BackfillPipelineRequest,
    CancelBackfillRequest,
    GetBackfillRequest,
    ListBackfillsRequest,
    PauseBackfillRequest,
    ResumeBackfillRequest,
    WatchBackfillRequest,
)
from convergence.v1.schedule_service_pb2 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    GetScheduleRequest,
    ListScheduledRunsRequest,
    ListSchedulesRequest,
    PauseScheduleRequest,
    ResumeScheduleRequest,
    Schedule,
    ScheduledRun,
    UpdateScheduleRequest,
)
from tests.e2e.hostile.rows import DENIED, INVALID, MISSING, PIPELINES, PRECONDITION, SCHEDULES, FromWorld, Request, Row

DRYRUN: Any = {"provider": "gcp", "domain": "example", "template_name": "dryrun"}
WRONG, NO_MASK = "INVALID_FIELD", "INVALID_UPDATE_MASK"
NO_SCHEDULE, NO_BACKFILL, NO_TENANT = "SCHEDULE_NOT_FOUND", "BACKFILL_NOT_FOUND", "TENANT_NOT_FOUND"
FOREVER = Duration(seconds=315_576_000_000)


def create(name: str, reason: str, *, code: str = INVALID, key: str = "acme", says: str = "", **wrong: Any) -> Row:
    fields = {**DRYRUN, "cron": "0 6 * * *", **wrong}
    if "interval" in fields:
        del fields["cron"]
    return Row(
        name, SCHEDULES + "CreateSchedule", CreateScheduleRequest(schedule=Schedule(**fields)), reason, code, key, says
    )


def update(name: str, reason: str, *paths: str, code: str = INVALID, says: str = "", **fields: Any) -> Row:
    request = UpdateScheduleRequest(
        schedule=Schedule(**{"schedule_id": "far", **fields}), update_mask=FieldMask(paths=paths)
    )
    return Row(name, SCHEDULES + "UpdateSchedule", request, reason, code, says=says)


def missing(name: str, method: str, request: Request | FromWorld, reason: str = NO_SCHEDULE) -> Row:
    return Row(name, method, request, reason, MISSING)


CREATE = [
    create("a schedule of nothing", "INVALID_PIPELINE_NAME", template_name=""),
    create("a schedule of no pipeline", "PIPELINE_NOT_FOUND", code=MISSING, template_name="nothing"),
    create("a schedule of a path", "INVALID_PIPELINE_NAME", template_name="../../plans"),
    create("a schedule without times", "MISSING_FIELD", cron="", says="interval"),
    create("a cron of six fields", "INVALID_CRON", cron="0 0 6 * * *", says="five fields"),
    create("a cron of chance", "INVALID_CRON", cron="R 6 * * *"),
    create("a cron of words", "INVALID_CRON", cron="@reboot"),
    create("a cron of a day that never comes", "INVALID_CRON", cron="0 0 31 2 *"),
    create("a cron of another line", "INVALID_CRON", cron="0 6 * *\n* * *"),
    create("a cron of a megabyte", "INVALID_CRON", cron="1," * 500_000),
    create("a cron of deep lists", "INVALID_CRON", cron=f"{','.join(['*/1'] * 60)} x * * *"),
    create("a cron in other digits", "INVALID_CRON", cron="٠ ٦ * * *"),
    create("a zone that is a path", "INVALID_TIME_ZONE", time_zone="../../../../etc/passwd"),
    create("a zone that is a file", "INVALID_TIME_ZONE", time_zone="tzdata.zi"),
    create("a zone of nobody", "INVALID_TIME_ZONE", time_zone="Europe/Berln", says="Europe/Berlin"),
    create("an interval of nothing", WRONG, interval=Duration(), says="interval"),
    create("an interval of less than nothing", WRONG, interval=Duration(seconds=-60)),
    create("an interval of a moment", WRONG, interval=Duration(nanos=1)),
    create("an interval for ever", WRONG, interval=FOREVER),
    create("an interval of both signs", WRONG, interval=Duration(seconds=60, nanos=-5)),
    create("an interval beyond all numbers", WRONG, interval=Duration(seconds=2**63 - 1)),
    create("a jitter for ever", WRONG, jitter=FOREVER, says="jitter"),
    create("a jitter backwards", WRONG, jitter=Duration(seconds=-1), says="jitter"),
    create("to catch up on everything", WRONG, catch_up=Schedule.CatchUp(max_runs=2**31 - 1), says="catch_up.max_runs"),
    create("to catch up backwards", WRONG, catch_up=Schedule.CatchUp(max_runs=-1), says="catch_up.max_runs"),
    create("a window for ever", WRONG, catch_up=Schedule.CatchUp(window=FOREVER), says="catch_up.window"),
    create("a policy that there is not", WRONG, catch_up=Schedule.CatchUp(policy=99), says="catch_up.policy"),
    create("an overlap that there is not", WRONG, overlap=99, says="overlap"),
    create("a date in another age", WRONG, date_offset_days=-(2**31), says="date_offset_days"),
    create("a refresh of everything", WRONG, refresh_window_days=10_000, says="refresh_window_days"),
    create("a refresh that doubles rows", "REFRESH_NOT_EXACT", refresh_window_days=1, says="overwrite_partition"),
    create("a start in another age", WRONG, start_time=Timestamp(seconds=32503680000), says="start_time"),
    create("a start with the year 1", WRONG, start_time=Timestamp(seconds=-62135596800), says="1970"),
    create("a start before time", WRONG, start_time=Timestamp(seconds=-(2**62)), says="start_time"),
    create("an end before the start", WRONG, start_time=Timestamp(seconds=10**9), end_time=Timestamp(seconds=1)),
    create("a schedule that is a path", "INVALID_SCHEDULE_ID", schedule_id="../far"),
    create("a schedule that is an option", "INVALID_SCHEDULE_ID", schedule_id="--help"),
    create("a schedule of a long name", "INVALID_SCHEDULE_ID", schedule_id="x" * 64),
    create("a schedule that is there", "SCHEDULE_EXISTS", code="ALREADY_EXISTS", schedule_id="far"),
    create("a description of lines", WRONG, description="a\x1b[2J\nb", says="description"),
    create("a schedule's variable that there is not", "UNKNOWN_VARIABLE", variables={"greting": "x"}, says="greeting"),
    create("a schedule of one day", "INVALID_VARIABLE_VALUE", variables={"date": "2025-11-18"}, says="date"),
    create(
        "a schedule of the setup",
        "PERMISSION_DENIED",
        code=DENIED,
        provider="setup",
        domain="tenants",
        template_name="onboarding",
    ),
    create("a reader's schedule", "PERMISSION_DENIED", code=DENIED, key="reader", says="runs:write"),
    create("another tenant's schedule", NO_TENANT, code=MISSING, tenant_id="rival_corp"),
    create(
        "a suspended tenant's schedule", "TENANT_NOT_ACTIVE", code=PRECONDITION, key="admin", tenant_id="suspended_corp"
    ),
    create("an operator's schedule of nobody", "MISSING_FIELD", key="admin", says="tenant"),
    update("a change of nothing", NO_MASK),
    update("a change of the id", NO_MASK, "schedule_id"),
    update("a change of the tenant", NO_MASK, "tenant_id"),
    update("a change of the state", NO_MASK, "state"),
    update("a change of what is counted", NO_MASK, "missed_ticks"),
    update("a change of an inside", NO_MASK, "catch_up.policy.value"),
    update("a change to no times", "MISSING_FIELD", "cron"),
    update("a change to a wrong cron", "INVALID_CRON", "cron", cron="x"),
    update(
        "a change of what was changed", "ETAG_MISMATCH", "description", code="ABORTED", description="x", etag="0" * 16
    ),
    update("a change of what is not there", NO_SCHEDULE, "description", code=MISSING, schedule_id="nothing"),
    update("a change for another tenant", NO_TENANT, "description", code=MISSING, tenant_id="rival_corp"),
    update("a change of very much", NO_MASK, *["description"] * 3, *[f"x{number}" for number in range(200)]),
]

READ = [
    missing("a schedule that is not there", SCHEDULES + "GetSchedule", GetScheduleRequest(schedule_id="nothing")),
    missing("a schedule without a name", SCHEDULES + "GetSchedule", GetScheduleRequest()),
    missing("a schedule of NUL", SCHEDULES + "GetSchedule", GetScheduleRequest(schedule_id="far\0")),
    missing("another's schedule is read", SCHEDULES + "GetSchedule", GetScheduleRequest(schedule_id="rivals")),
    missing("another's schedule is paused", SCHEDULES + "PauseSchedule", PauseScheduleRequest(schedule_id="rivals")),
    missing("another's schedule is resumed", SCHEDULES + "ResumeSchedule", ResumeScheduleRequest(schedule_id="rivals")),
    missing("another's schedule is deleted", SCHEDULES + "DeleteSchedule", DeleteScheduleRequest(schedule_id="rivals")),
    missing(
        "another tenant's ticks",
        SCHEDULES + "ListScheduledRuns",
        ListScheduledRunsRequest(tenant_id="rival_corp"),
        NO_TENANT,
    ),
    Row("ticks of nobody", SCHEDULES + "ListScheduledRuns", ListScheduledRunsRequest(), "MISSING_FIELD", key="admin"),
    Row(
        "an outcome that there is not",
        SCHEDULES + "ListScheduledRuns",
        ListScheduledRunsRequest(outcomes=[ScheduledRun.FIRED, 99]),
        WRONG,
        says="outcomes",
    ),
    Row("a state of no schedule", SCHEDULES + "ListSchedules", ListSchedulesRequest(states=[0]), WRONG, says="states"),
    Row(
        "a pause of lines",
        SCHEDULES + "PauseSchedule",
        PauseScheduleRequest(schedule_id="far", reason="a\nb"),
        WRONG,
        says="reason",
    ),
    Row(
        "a deletion of what was changed",
        SCHEDULES + "DeleteSchedule",
        DeleteScheduleRequest(schedule_id="far", etag="x"),
        "ETAG_MISMATCH",
        "ABORTED",
    ),
]


def backfill(name: str, reason: str, *, code: str = INVALID, key: str = "acme", says: str = "", **wrong: Any) -> Row:
    fields = {**DRYRUN, "start_date": "2020-01-01", "end_date": "2020-01-03", **wrong}
    return Row(name, PIPELINES + "BackfillPipeline", BackfillPipelineRequest(**fields), reason, code, key, says)


BACKFILLS = [
    backfill("days of all tenants", "PERMISSION_DENIED", code=DENIED, all_tenants=True, says="admin"),
    backfill("days of another tenant", NO_TENANT, code=MISSING, tenant_ids=["acme_corp", "rival_corp"]),
    backfill("days of nobody", "MISSING_FIELD", key="admin", says="tenant_ids"),
    backfill("days of a tenant that is not there", NO_TENANT, code=MISSING, key="admin", tenant_ids=["nobody_corp"]),
    backfill("days of one and of all", "MISSING_FIELD", key="admin", tenant_ids=["acme_corp"], all_tenants=True),
    backfill(
        "days of a suspended tenant", "TENANT_NOT_ACTIVE", code=PRECONDITION, key="admin", tenant_ids=["suspended_corp"]
    ),
    backfill("no days", "INVALID_DATE_RANGE", end_date="2020-01-01"),
    backfill("days backwards", "INVALID_DATE_RANGE", start_date="2020-02-01"),
    backfill("three thousand years of days", "INVALID_DATE_RANGE", start_date="0001-01-01", end_date="9999-12-31"),
    backfill(
        "days that are none", "INVALID_DATE_RANGE", start_date="2020-02-30", end_date="yesterday", says="2025-11-18"
    ),
    backfill("days in other digits", "INVALID_DATE_RANGE", start_date="٢٠٢٠-٠١-٠١"),
    backfill("days of a week", "INVALID_DATE_RANGE", start_date="2020-W01-1"),
    backfill("very many days at a time", WRONG, max_active_runs=101, says="max_active_runs"),
    backfill("less than no day at a time", WRONG, max_active_runs=-1),
    backfill("an order that there is not", WRONG, order=99, says="order"),
    backfill("days to be run again somehow", WRONG, reprocess=99, says="reprocess"),
    backfill("days that are all one", "INVALID_VARIABLE_VALUE", variables={"date": "2020-01-01"}),
    backfill(
        "a backfill of the setup",
        "PERMISSION_DENIED",
        code=DENIED,
        provider="setup",
        domain="tenants",
        template_name="onboarding",
    ),
    backfill("a reader's backfill", "PERMISSION_DENIED", code=DENIED, key="reader"),
    backfill("a plan of wrong days", "INVALID_DATE_RANGE", start_date="x", plan_only=True),
    missing(
        "another's backfill is read",
        PIPELINES + "GetBackfill",
        lambda world: GetBackfillRequest(backfill_id=world.backfills["rival"]),
        NO_BACKFILL,
    ),
    missing(
        "another's backfill is watched",
        PIPELINES + "WatchBackfill",
        lambda world: WatchBackfillRequest(backfill_id=world.backfills["rival"]),
        NO_BACKFILL,
    ),
    missing(
        "another's backfill is paused",
        PIPELINES + "PauseBackfill",
        lambda world: PauseBackfillRequest(backfill_id=world.backfills["rival"]),
        NO_BACKFILL,
    ),
    missing(
        "another's backfill goes on",
        PIPELINES + "ResumeBackfill",
        lambda world: ResumeBackfillRequest(backfill_id=world.backfills["rival"]),
        NO_BACKFILL,
    ),
    missing(
        "another's backfill is cancelled",
        PIPELINES + "CancelBackfill",
        lambda world: CancelBackfillRequest(backfill_id=world.backfills["rival"]),
        NO_BACKFILL,
    ),
    missing("a backfill without an id", PIPELINES + "GetBackfill", GetBackfillRequest(), NO_BACKFILL),
    Row(
        "a backfill that is over is paused",
        PIPELINES + "PauseBackfill",
        lambda world: PauseBackfillRequest(backfill_id=world.backfills["acme"]),
        "BACKFILL_FINISHED",
        PRECONDITION,
    ),
    missing(
        "another tenant's backfills",
        PIPELINES + "ListBackfills",
        ListBackfillsRequest(tenant_id="rival_corp"),
        NO_TENANT,
    ),
    Row(
        "a state of no backfill",
        PIPELINES + "ListBackfills",
        ListBackfillsRequest(states=[Backfill.STATE_UNSPECIFIED]),
        WRONG,
        says="states",
    ),
]
