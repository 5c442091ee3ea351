"""The rows of the x_meta_ tables."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from server.domain.credential import Credential
from server.domain.data_quality import DataQualityResult
from server.domain.run import Run, RunStatus, StepRun
from server.domain.schedule import Tick
from server.domain.tenant import ApiKey, Tenant, TenantState
from server.store.port import QueueState

Row = dict[str, Any]


def run_row(run: Run) -> Row:
    """A row of x_meta_pipeline_runs."""
    return {
        "pipeline_logging_id": run.pipeline_logging_id,
        "tenant_id": run.tenant_id,
        "pipeline_id": run.pipeline_id,
        "provider": run.name.provider,
        "domain": run.name.domain,
        "template_name": run.name.template_name,
        "status": run.status.value,
        "trigger": run.trigger.value,
        "date": run.date,
        "variables": run.variables,
        "created_at": _iso(run.created_at),
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.finished_at),
        "duration_seconds": _seconds(run.started_at, run.finished_at),
        "error_message": run.error_message or None,
        "rows_processed": run.rows_processed,
        "config_hash": run.config_hash,
    }


def step_row(run: Run, step: StepRun) -> Row:
    """A row of x_meta_step_logs."""
    return {
        "pipeline_logging_id": run.pipeline_logging_id,
        "tenant_id": run.tenant_id,
        "pipeline_id": run.pipeline_id,
        "step_id": step.step_id,
        "step_name": step.name or None,
        "ps_type": step.ps_type,
        "status": step.status.value,
        "attempt": step.attempt,
        "rows_processed": step.rows_processed,
        "created_at": _iso(run.created_at),
        "started_at": _iso(step.started_at),
        "finished_at": _iso(step.finished_at),
        "duration_seconds": _seconds(step.started_at, step.finished_at),
        "error_message": step.error_message or None,
        "details": step.details,
        "bytes_processed": step.bytes_processed,
        "bytes_billed": step.bytes_billed,
        "slot_milliseconds": step.slot_milliseconds,
    }


def check_row(result: DataQualityResult) -> Row:
    """A row of x_meta_dq_results."""
    return {
        "pipeline_logging_id": result.pipeline_logging_id,
        "tenant_id": result.tenant_id,
        "pipeline_id": result.pipeline_id,
        "step_id": result.step_id,
        "check_id": result.check_id,
        "table_name": result.table_name or None,
        "check_name": result.check_name or None,
        "column_name": result.column_name or None,
        "status": result.status.value,
        "severity": result.severity.value,
        "row_count": result.row_count,
        "failing_count": result.failing_count,
        "observed_value": result.observed_value,
        "expected": result.expected,
        "failing_sample": list(result.failing_sample),
        "error_message": result.error_message or None,
        "created_at": _iso(result.run_created_at),
        "checked_at": _iso(result.checked_at),
    }


def queue_row(state: QueueState) -> Row:
    """A row of x_meta_pipeline_queue."""
    run = state.run
    return {
        "pipeline_logging_id": run.pipeline_logging_id,
        "tenant_id": run.tenant_id,
        "pipeline_id": run.pipeline_id,
        "status": "DONE" if run.status.is_terminal else "WAITING" if run.status is RunStatus.PENDING else "CLAIMED",
        "created_at": _iso(run.created_at),
        "claimed_at": _iso(run.started_at),
        "worker_id": state.worker_id or None,
        "finished_at": _iso(run.finished_at),
    }


def tick_row(tick: Tick) -> Row:
    """A row of x_meta_scheduled_runs."""
    return {
        "schedule_id": tick.schedule_id,
        "scheduled_for": _iso(tick.nominal_time),
        "tenant_id": tick.tenant_id,
        "pipeline_logging_id": tick.pipeline_logging_id or None,
        "pipeline_id": tick.pipeline_id or None,
        "provider": tick.name.provider,
        "domain": tick.name.domain,
        "template_name": tick.name.template_name,
        "date": tick.date,
        "status": tick.outcome.value,
        "error_message": tick.message or None,
        "created_at": _iso(tick.fired_at),
    }


def profile_row(tenant: Tenant) -> Row:
    """A row of tenant_profiles."""
    shown = {"tenant_id", "display_name", "state", "location", "contact_emails", "allowed_sources", "onboarding_run"}
    return {
        **tenant.model_dump(mode="json", include=shown),
        "created_at": _iso(tenant.created_at),
        "updated_at": _iso(tenant.updated_at),
    }


def subscription_row(tenant: Tenant) -> Row:
    """A row of tenant_subscriptions."""
    status = {TenantState.SUSPENDED: "SUSPENDED", TenantState.OFFBOARDED: "ENDED"}.get(tenant.state, "ACTIVE")
    return {
        "tenant_id": tenant.tenant_id,
        "plan": tenant.plan or None,
        "status": status,
        "quotas": tenant.quotas.model_dump(exclude_none=True),
        "started_at": _iso(tenant.created_at),
        "updated_at": _iso(tenant.updated_at),
    }


def key_row(key: ApiKey) -> Row:
    """A row of x_meta_api_keys or tenant_api_keys: nothing from which the secret could be guessed."""
    row: Mapping[str, Any] = key.model_dump(mode="json", exclude={"digest"})
    return {**row, "prefix": f"cvg_{key.key_id}", "status": "REVOKED" if key.revoked_at else "ACTIVE"}


def credential_row(credential: Credential) -> Row:
    """A row of x_meta_cloud_credentials: the record as it is encrypted, which nobody opens without the master key."""
    sealed = credential.sealed
    return {
        "tenant_id": credential.tenant_id,
        "name": credential.name,
        "provider": credential.kind.provider,
        "kind": credential.kind.value,
        "version": credential.version,
        "fingerprint": credential.fingerprint,
        "key_id": sealed.key_id if sealed else None,
        "wrapped_key": _base64(sealed.wrapped_key) if sealed else None,
        "ciphertext": _base64(sealed.ciphertext) if sealed else None,
        "status": "DELETED" if credential.deleted_at else "ACTIVE",
        "created_at": _iso(credential.created_at),
        "updated_at": _iso(credential.deleted_at or credential.created_at),
        "checked_at": _iso(credential.checked_at),
        "check_status": credential.check_status or None,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()
