"""How runs, pipelines and the server look to people."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from rich.console import RenderableType
from rich.text import Text

from convergence.fitting import FittingTable
from convergence.output import clean_line, duration, facts, fault_lines, moment, status_text, table
from convergence.v1.pipeline_service_pb2 import DataQualityResult, Pipeline, PipelineSummary, VariableDeclaration
from convergence.v1.run_pb2 import Delivery, Fault, Run, StepRun
from convergence.v1.system_service_pb2 import AuditEvent, SystemInfo


class OfPipeline(Protocol):
    """Names a pipeline."""

    provider: str
    domain: str
    template_name: str


def pipeline_path(item: OfPipeline) -> str:
    """`provider/domain/name`, or `provider/name`."""
    return "/".join(part for part in (item.provider, item.domain, item.template_name) if part)


def runs_table(runs: Sequence[Run]) -> RenderableType:
    """One line a run."""
    if not runs:
        return "No runs."
    return FittingTable(
        [_run_cells(run) for run in runs],
        expendable=("ROWS", "TIME", "CREATED", "DATE", "TENANT", "PIPELINE", "STATUS"),
        numbers=("ROWS", "TIME"),
        whole=("STATUS", "RUN"),
    )


def _run_cells(run: Run) -> dict[str, str | Text]:
    return {
        "CREATED": moment(run.created_at),
        "STATUS": status_text(Run.Status.Name(run.status)),
        "TENANT": run.tenant_id,
        "PIPELINE": pipeline_path(run),
        "DATE": run.date,
        "ROWS": f"{run.rows_processed:,}" if run.rows_processed else "",
        "TIME": duration(run),
        "RUN": run.pipeline_logging_id,
    }


def run_facts(run: Run) -> RenderableType:
    """Everything about a run but its steps."""
    return facts(
        {
            "run": run.pipeline_logging_id,
            "status": status_text(Run.Status.Name(run.status)),
            "waits for": f"{run.wait_reason}, place {run.queue_position}" if run.wait_reason else "",
            "error": run.error_message,
            "failed step": run.failed_step,
            "tenant": run.tenant_id,
            "pipeline": f"{pipeline_path(run)} ({run.pipeline_id})",
            "date": run.date,
            "variables": ", ".join(f"{name}={value}" for name, value in sorted(run.variables.items())),
            "trigger": Run.Trigger.Name(run.trigger),
            "schedule": run.schedule_id,
            "backfill": run.backfill_id,
            "retry of": run.retry_of,
            "created": moment(run.created_at),
            "started": moment(run.started_at),
            "cancel asked": moment(run.cancel_requested_at),
            "finished": moment(run.finished_at),
            "took": duration(run),
            "rows": f"{run.rows_processed:,}",
            "config": run.config_hash,
        }
    )


def deliveries_parts(steps: Iterable[StepRun]) -> list[RenderableType]:
    """What became of the messages of the steps, one line a recipient; nothing when there are none."""
    rows = [
        (
            step.step_id,
            Delivery.Channel.Name(item.channel),
            item.recipient,
            status_text(Delivery.State.Name(item.state)),
            str(item.tries) if item.tries else "",
            moment(item.next_try_at),
            item.note,
        )
        for step in steps
        for item in step.deliveries
    ]
    columns = ("STEP", "CHANNEL", "RECIPIENT", "STATE", "TRIES", "NEXT TRY", "NOTE")
    return ["", table(*columns, rows=rows, numbers=("TRIES",))] if rows else []


def pipelines_parts(pipelines: Sequence[PipelineSummary]) -> list[RenderableType]:
    """One line a pipeline, then what is wrong with the broken ones."""
    if not pipelines:
        return ["No pipelines."]
    rows = [(pipeline_path(item), str(item.step_count), _validity(item), item.description) for item in pipelines]
    faults = [fault for item in pipelines for fault in item.faults]
    return [table("PIPELINE", "STEPS", "VALID", "DESCRIPTION", rows=rows, numbers=("STEPS",)), *_faults(faults)]


def pipeline_parts(pipeline: Pipeline) -> list[RenderableType]:
    """A pipeline's variables, steps, faults and text."""
    about = facts(
        {
            "pipeline": pipeline_path(pipeline),
            "valid": _validity(pipeline),
            "pipeline_id": pipeline.pipeline_id,
            "description": pipeline.description,
            "config": pipeline.config_hash,
        }
    )
    variables = [(item.name, item.type, _default(item), _rules(item)) for item in pipeline.variables]
    steps = [
        (step.step_id, step.ps_type, step.trigger, f"{step.timeout_minutes:g} min", str(step.max_attempts))
        for step in pipeline.steps
    ]
    parts: list[RenderableType] = [about]
    if variables:
        parts += ["", table("VARIABLE", "TYPE", "DEFAULT", "", rows=variables)]
    if steps:
        columns = ("STEP", "PS_TYPE", "TRIGGER", "TIMEOUT", "ATTEMPTS")
        parts += ["", table(*columns, rows=steps, numbers=("TIMEOUT", "ATTEMPTS"))]
    text = "\n".join(clean_line(line) for line in pipeline.yaml.splitlines())
    return [*parts, *_faults(pipeline.faults), "", Text(text)]


def results_table(results: Sequence[DataQualityResult]) -> RenderableType:
    """One line a check; what failed, or why it could not be evaluated, in the last column."""
    if not results:
        return "No results."
    rows = [
        (
            moment(result.checked_at),
            status_text(DataQualityResult.Status.Name(result.status).removeprefix("STATUS_")),
            DataQualityResult.Severity.Name(result.severity).lower(),
            result.table_name,
            result.check_name,
            result.column_name,
            f"{result.row_count:,}",
            f"{result.failing_count:,}" if result.failing_count else "",
            result.error_message or ", ".join(result.failing_sample[:5]),
        )
        for result in results
    ]
    columns = ("CHECKED", "STATUS", "SEVERITY", "TABLE", "CHECK", "COLUMN", "ROWS", "FAILING", "SUCH AS")
    return table(*columns, rows=rows, numbers=("ROWS", "FAILING"), whole=("STATUS", "CHECK"))


def audit_table(events: Sequence[AuditEvent]) -> RenderableType:
    """One line a change."""
    if not events:
        return "No events."
    rows = [
        (
            moment(event.time),
            event.action,
            event.subject,
            event.tenant_id,
            event.key_id,
            event.peer,
            ", ".join(f"{name}={value}" for name, value in sorted(event.details.items())),
        )
        for event in events
    ]
    return table(
        "TIME", "ACTION", "SUBJECT", "TENANT", "KEY", "FROM", "DETAILS", rows=rows, whole=("ACTION", "SUBJECT")
    )


def system_facts(info: SystemInfo) -> RenderableType:
    """The server, and what the key may do."""
    return facts(
        {
            "version": info.version,
            "contract": info.contract,
            "control store": info.control_store,
            "warehouse": info.warehouse,
            "project": info.project,
            "started": moment(info.started_at),
            "tenants": str(info.tenant_count) if info.tenant_count else "",
            "your tenant": info.tenant_id,
            "your scopes": ", ".join(info.scopes),
        }
    )


def _validity(item: PipelineSummary | Pipeline) -> Text:
    return Text("yes", style="green") if item.valid else Text("no", style="bold red")


def _default(variable: VariableDeclaration) -> str:
    return variable.default_value if variable.HasField("default_value") else ""


def _rules(variable: VariableDeclaration) -> str:
    parts = [
        "required" if variable.required else "",
        f"one of {', '.join(variable.allowed_values)}" if variable.allowed_values else "",
        f"matches {variable.pattern}" if variable.pattern else "",
        variable.description,
    ]
    return "; ".join(part for part in parts if part)


def _faults(faults: Sequence[Fault]) -> list[RenderableType]:
    return ["", *(Text(line, style="red") for line in fault_lines(faults))] if faults else []
