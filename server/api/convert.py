"""Records to messages."""

from collections.abc import Mapping
from datetime import datetime

from google.protobuf import struct_pb2, timestamp_pb2
from google.protobuf.json_format import ParseDict

from convergence.v1 import pipeline_service_pb2, run_pb2, system_service_pb2, tenant_service_pb2
from server.catalog import Entry, Source
from server.domain.audit import AuditEvent
from server.domain.credential import Credential
from server.domain.data_quality import CheckStatus, DataQualityResult
from server.domain.delivery import Delivery
from server.domain.faults import Fault
from server.domain.pipeline import Step, Variable
from server.domain.plan import Plan, PlanStep
from server.domain.quotas import QuotaUse
from server.domain.run import Effect, LogEntry, Run, RunEvent, RunStatus, StepRun
from server.domain.tenant import ApiKey, DatasetState, Tenant
from server.plain import plain_mapping
from server.store.port import RunStatistics

_ORIGINS = {
    "context": run_pb2.ResolvedVariable.CONTEXT,
    "pipeline": run_pb2.ResolvedVariable.PIPELINE,
    "request date": run_pb2.ResolvedVariable.REQUEST_DATE,
    "step": run_pb2.ResolvedVariable.STEP,
    "request": run_pb2.ResolvedVariable.REQUEST,
}


def timestamp(moment: datetime | None) -> timestamp_pb2.Timestamp | None:
    """A time that may be missing."""
    if moment is None:
        return None
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(moment)
    return message


def struct(values: dict[str, object]) -> struct_pb2.Struct:
    """What a processor told of its work; what a Struct cannot hold becomes text, so that no value hides the run."""
    return ParseDict(plain_mapping(values), struct_pb2.Struct())


def run(record: Run) -> run_pb2.Run:
    """A run as clients see it."""
    return run_pb2.Run(
        pipeline_logging_id=record.pipeline_logging_id,
        tenant_id=record.tenant_id,
        pipeline_id=record.pipeline_id,
        provider=record.name.provider,
        domain=record.name.domain,
        template_name=record.name.template_name,
        status=run_pb2.Run.Status.Value(record.status.value),
        date=record.date,
        variables=record.variables,
        created_at=timestamp(record.created_at),
        started_at=timestamp(record.started_at),
        finished_at=timestamp(record.finished_at),
        cancel_requested_at=timestamp(record.cancel_requested_at),
        error_message=record.error_message,
        failed_step=record.failed_step,
        steps=[_step_of(record, step) for step in record.steps],
        trigger=run_pb2.Run.Trigger.Value(record.trigger.value),
        kind=run_pb2.Run.Kind.Value(record.kind.value),
        plan=_plan(record.plan) if record.plan else None,
        rows_processed=record.rows_processed,
        config_hash=record.config_hash,
        created_by=record.created_by,
        retry_of=record.retry_of,
        schedule_id=record.schedule_id,
        backfill_id=record.backfill_id,
        wait_reason=record.wait_reason or "",
        queue_position=record.queue_position,
    )


def _plan(record: Plan) -> run_pb2.Plan:
    return run_pb2.Plan(
        steps=[plan_step(step) for step in record.steps],
        faults=[fault(item) for item in record.faults],
        estimated_bytes=record.estimated_bytes,
        estimated_cost_usd=record.estimated_cost_usd,
    )


def plan_step(record: PlanStep) -> run_pb2.PlanStep:
    """What a step would do, or was given."""
    return run_pb2.PlanStep(
        step_id=record.step_id,
        ps_type=record.ps_type,
        settings=struct(record.settings),
        variables=[
            run_pb2.ResolvedVariable(name=item.name, value=item.value, origin=_ORIGINS[item.origin])
            for item in record.variables
        ],
        sql=record.sql,
        tables_read=record.tables_read,
        table_written=record.table_written,
        write_mode=record.write_mode,
        schema_changes=record.schema_changes,
        estimated_bytes=record.estimated_bytes,
        estimated_cost_usd=record.estimated_cost_usd,
        warnings=record.warnings,
    )


def counted(runs_by_status: Mapping[RunStatus, int]) -> dict[str, int]:
    """How many runs are in each status, by its name."""
    return {status.value: count for status, count in runs_by_status.items()}


def run_statistics(record: RunStatistics, since: datetime, until: datetime) -> pipeline_service_pb2.RunStatistics:
    """How the runs of that period went."""
    pb = pipeline_service_pb2.RunStatistics
    length = (until - since) / len(record.buckets)
    buckets = (
        pb.Bucket(start=timestamp(since + number * length), runs_by_status=counted(bucket))
        for number, bucket in enumerate(record.buckets)
    )
    pipelines = (
        pipeline_service_pb2.PipelineStatistics(
            provider=one.name.provider,
            domain=one.name.domain,
            template_name=one.name.template_name,
            runs_by_status=counted(one.runs_by_status),
            mean_seconds=one.mean_seconds,
            longest_seconds=one.longest_seconds,
        )
        for one in record.pipelines
    )
    return pb(
        since=timestamp(since),
        until=timestamp(until),
        buckets=buckets,
        pipelines=pipelines,
        pending_runs=record.pending,
        active_runs=record.active,
        oldest_pending=timestamp(record.oldest_pending),
    )


def step_run(record: StepRun) -> run_pb2.StepRun:
    """A step of a run."""
    return run_pb2.StepRun(
        step_id=record.step_id,
        name=record.name,
        ps_type=record.ps_type,
        status=run_pb2.StepRun.Status.Value(record.status.value),
        attempt=record.attempt,
        rows_processed=record.rows_processed,
        started_at=timestamp(record.started_at),
        finished_at=timestamp(record.finished_at),
        error_message=record.error_message,
        details=struct(record.details),
        effects=[_effect(effect) for effect in record.effects],
        bytes_processed=record.bytes_processed,
        bytes_billed=record.bytes_billed,
        slot_milliseconds=record.slot_milliseconds,
    )


def _step_of(record: Run, step: StepRun) -> run_pb2.StepRun:
    """A step with what became of its message, where the run was asked for with that."""
    message = step_run(step)
    message.deliveries.extend(_delivery(item) for item in record.deliveries if item.step_id == step.step_id)
    return message


def _delivery(record: Delivery) -> run_pb2.Delivery:
    return run_pb2.Delivery(
        message_id=record.message_id,
        channel=run_pb2.Delivery.Channel.Value(record.channel.value),
        recipient=record.recipient,
        severity=record.severity,
        state=run_pb2.Delivery.State.Value(record.state.value),
        tries=record.tries,
        note=record.note,
        queued_at=timestamp(record.queued_at),
        tried_at=timestamp(record.tried_at),
        next_try_at=timestamp(record.next_try_at),
    )


def _effect(record: Effect) -> run_pb2.Effect:
    return run_pb2.Effect(
        effect_id=record.effect_id,
        job_id=record.job_id,
        table=record.table,
        write_mode=record.write_mode,
        state=run_pb2.Effect.State.Value(record.state.name),
        rows_written=record.rows_written,
        bytes_processed=record.bytes_processed,
        bytes_billed=record.bytes_billed,
        slot_milliseconds=record.slot_milliseconds,
    )


def data_quality_result(record: DataQualityResult) -> pipeline_service_pb2.DataQualityResult:
    """What a check found."""
    message = pipeline_service_pb2.DataQualityResult
    status = "STATUS_ERROR" if record.status is CheckStatus.ERROR else record.status.value
    return message(
        pipeline_logging_id=record.pipeline_logging_id,
        pipeline_id=record.pipeline_id,
        step_id=record.step_id,
        check_id=record.check_id,
        table_name=record.table_name,
        check_name=record.check_name,
        column_name=record.column_name,
        status=message.Status.Value(status),
        severity=message.Severity.Value(record.severity.name),
        row_count=record.row_count,
        failing_count=record.failing_count,
        observed_value=ParseDict(record.observed_value, struct_pb2.Value()),
        expected=struct(record.expected),
        failing_sample=record.failing_sample,
        error_message=record.error_message,
        checked_at=timestamp(record.checked_at),
    )


def event(record: RunEvent | None) -> run_pb2.RunEvent:
    """An event; None is a heartbeat."""
    if record is None:
        return run_pb2.RunEvent(heartbeat=run_pb2.Heartbeat())
    message = run_pb2.RunEvent(
        sequence=record.sequence, time=timestamp(record.time), earlier_removed=record.earlier_removed
    )
    if record.run is not None:
        message.run.CopyFrom(run(record.run))
    elif record.step is not None:
        message.step.CopyFrom(step_run(record.step))
    elif record.log is not None:
        message.log.CopyFrom(_log(record.log))
    return message


def _log(record: LogEntry) -> run_pb2.LogEntry:
    return run_pb2.LogEntry(
        step_id=record.step_id,
        level=run_pb2.LogEntry.Level.Value(record.level),
        message=record.message,
        fields=struct(record.fields),
    )


def fault(record: Fault) -> run_pb2.Fault:
    """A fault with its place."""
    return run_pb2.Fault(
        reason=record.reason,
        message=record.message,
        field=record.field,
        file=record.file,
        line=record.line,
        column=record.column,
        step_id=record.step,
    )


def pipeline_summary(entry: Entry) -> pipeline_service_pb2.PipelineSummary:
    """A line of the catalogue; a broken file has faults in place of what it should say."""
    summary = pipeline_service_pb2.PipelineSummary(
        provider=entry.name.provider,
        domain=entry.name.domain,
        template_name=entry.name.template_name,
        valid=entry.source is not None,
        faults=[fault(record) for record in entry.faults],
    )
    if entry.source is not None:
        summary.description = entry.source.pipeline.description
        summary.pipeline_id = entry.source.pipeline.pipeline_id
        summary.step_count = len(entry.source.pipeline.steps)
    return summary


def pipeline(source: Source) -> pipeline_service_pb2.Pipeline:
    """A pipeline with everything a form needs."""
    return pipeline_service_pb2.Pipeline(
        provider=source.name.provider,
        domain=source.name.domain,
        template_name=source.name.template_name,
        description=source.pipeline.description,
        pipeline_id=source.pipeline.pipeline_id,
        variables=[_variable(name, variable) for name, variable in source.pipeline.variables.items()],
        steps=[_pipeline_step(step) for step in source.pipeline.steps],
        yaml=source.text,
        config_hash=source.config_hash,
        valid=True,
    )


def _variable(name: str, variable: Variable) -> pipeline_service_pb2.VariableDeclaration:
    return pipeline_service_pb2.VariableDeclaration(
        name=name,
        default_value=variable.default,
        type=variable.type,
        description=variable.description,
        pattern=variable.pattern or "",
        allowed_values=variable.allowed_values,
        required=variable.required,
    )


def _pipeline_step(step: Step) -> pipeline_service_pb2.PipelineStep:
    return pipeline_service_pb2.PipelineStep(
        step_id=step.step_id,
        name=step.name,
        ps_type=step.ps_type,
        trigger=step.trigger or "",
        timeout_minutes=step.timeout_minutes,
        max_attempts=step.retry.max_attempts,
    )


def tenant(record: Tenant) -> tenant_service_pb2.Tenant:
    """A tenant as clients see it."""
    return tenant_service_pb2.Tenant(
        tenant_id=record.tenant_id,
        display_name=record.display_name,
        state=tenant_service_pb2.Tenant.State.Value(record.state.value),
        dataset="" if record.dataset_state is DatasetState.DELETED else record.tenant_id,
        location=record.location,
        contact_emails=record.contact_emails,
        allowed_sources=record.allowed_sources,
        created_at=timestamp(record.created_at),
        updated_at=timestamp(record.updated_at),
        etag=record.etag,
        onboarding_run=record.onboarding_run,
        offboarding_run=record.offboarding_run,
        plan=record.plan,
        quotas=tenant_service_pb2.TenantQuotas(**record.quotas.model_dump(exclude_none=True)),
    )


def api_key(record: ApiKey) -> tenant_service_pb2.ApiKey:
    """A key without its secret."""
    return tenant_service_pb2.ApiKey(
        key_id=record.key_id,
        tenant_id=record.tenant_id or "",
        name=record.name,
        scopes=[scope.value for scope in record.scopes],
        created_at=timestamp(record.created_at),
        expires_at=timestamp(record.expires_at),
        last_used_at=timestamp(record.last_used_at),
        revoked_at=timestamp(record.revoked_at),
        prefix=f"cvg_{record.key_id}",
    )


def credential(record: Credential) -> tenant_service_pb2.Credential:
    """A credential without its secret, also without the sealed one."""
    return tenant_service_pb2.Credential(
        tenant_id=record.tenant_id,
        name=record.name,
        kind=tenant_service_pb2.Credential.Kind.Value(record.kind.value),
        version=record.version,
        fingerprint=record.fingerprint,
        created_at=timestamp(record.created_at),
        last_used_at=timestamp(record.last_used_at),
        checked_at=timestamp(record.checked_at),
        check_status=record.check_status,
    )


def quota_use(record: QuotaUse) -> tenant_service_pb2.QuotaUsage:
    """A quota and what is used of it."""
    return tenant_service_pb2.QuotaUsage(
        quota=record.quota.value, used=record.used, limit=record.limit, resets_at=timestamp(record.resets_at)
    )


def audit_event(record: AuditEvent) -> system_service_pb2.AuditEvent:
    """A change, and who made it."""
    return system_service_pb2.AuditEvent(
        number=record.number,
        time=timestamp(record.time),
        tenant_id=record.tenant_id or "",
        key_id=record.key_id,
        peer=record.peer,
        action=record.action,
        subject=record.subject,
        details=record.details,
    )
