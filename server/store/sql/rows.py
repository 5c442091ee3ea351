"""Rows to records and back."""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from server.domain.pipeline import PipelineName, RunSnapshot
from server.domain.plan import Plan
from server.domain.quotas import Quotas
from server.domain.run import LogEntry, Run, RunEvent, RunKind, RunStatus, RunTrigger, StepRun
from server.domain.tenant import ApiKey, DatasetState, Scope, Tenant, TenantState
from server.store.sql.database import Row, from_micros, to_micros


def moment(micros: int | None) -> datetime | None:
    """A time that may be missing."""
    return None if micros is None else from_micros(micros)


def micros(time: datetime | None) -> int | None:
    """The inverse of `moment`."""
    return None if time is None else to_micros(time)


def run_of(row: Row, steps: Iterable[StepRun] = ()) -> Run:
    """A row of `runs`."""
    return Run(
        pipeline_logging_id=row["pipeline_logging_id"],
        tenant_id=row["tenant_id"],
        pipeline_id=row["pipeline_id"],
        name=PipelineName(row["provider"], row["domain"], row["template_name"]),
        status=RunStatus(row["status"]),
        trigger=RunTrigger(row["trigger_kind"]),
        date=row["run_date"],
        variables=json.loads(row["variables"]),
        config_hash=row["config_hash"],
        created_at=from_micros(row["created_at"]),
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
        cancel_requested_at=moment(row["cancel_requested_at"]),
        error_message=row["error_message"],
        failed_step=row["failed_step"],
        created_by=row["created_by"],
        rows_processed=row["rows_processed"],
        steps=tuple(steps),
        retry_of=row["retry_of"],
        schedule_id=row["schedule_id"],
        backfill_id=row["backfill_id"],
        kind=RunKind(row["kind"]),
        plan=Plan.model_validate_json(row["plan"]) if row["plan"] else None,
    )


def snapshot_of(body: str) -> RunSnapshot:
    """What a run was accepted with; a newer version may have written more than this one knows."""
    return RunSnapshot.model_validate_json(body, extra="ignore")


@lru_cache(maxsize=1_000)
def quotas_of_row(text: str) -> Quotas:
    """A tenant's own limits; a newer version may know more of them."""
    return Quotas.model_validate_json(text, extra="ignore")


def event_of(row: Row) -> RunEvent:
    """A row of `events`."""
    body = json.loads(row["body"])
    return RunEvent.model_validate({"sequence": row["sequence"], "time": from_micros(row["time"]), **body})


def event_body(content: Run | StepRun | LogEntry) -> str:
    """The `body` of an event about `content`."""
    kind = {Run: "run", StepRun: "step", LogEntry: "log"}[type(content)]
    return f'{{"{kind}": {content.model_dump_json()}}}'


def tenant_of(row: Row) -> Tenant:
    """A row of `tenants`."""
    return Tenant(
        tenant_id=row["tenant_id"],
        display_name=row["display_name"],
        state=TenantState(row["state"]),
        location=row["location"],
        contact_emails=json.loads(row["contact_emails"]),
        allowed_sources=json.loads(row["allowed_sources"]),
        plan=row["plan"],
        quotas=quotas_of_row(row["quotas"]),
        onboarding_run=row["onboarding_run"],
        offboarding_run=row["offboarding_run"],
        dataset_state=DatasetState(row["dataset_state"]),
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
    )


def key_of(row: Row) -> ApiKey:
    """A row of `api_keys`."""
    return ApiKey(
        key_id=row["key_id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        scopes=tuple(Scope(scope) for scope in json.loads(row["scopes"])),
        digest=row["digest"],
        created_at=from_micros(row["created_at"]),
        expires_at=moment(row["expires_at"]),
        last_used_at=moment(row["last_used_at"]),
        revoked_at=moment(row["revoked_at"]),
    )
