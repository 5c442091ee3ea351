"""How runs, pipelines, tenants and the server look to people."""

from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from convergence.output import clean, clean_line, duration, facts, fault_lines, moment, status_text, table
from convergence.v1.pipeline_service_pb2 import DataQualityResult, Pipeline, PipelineSummary, VariableDeclaration
from convergence.v1.run_pb2 import Delivery, Fault, Run, StepRun
from convergence.v1.system_service_pb2 import AuditEvent, SystemInfo
from convergence.v1.tenant_service_pb2 import (
    ApiKey,
    CheckCredentialResponse,
    CreateApiKeyResponse,
    Credential,
    OnboardTenantResponse,
    RotateApiKeyResponse,
    Tenant,
    Usage,
)

_GAP = 2


def runs_table(runs: Sequence[Run]) -> RenderableType:
    """One line a run."""
    if not runs:
        return "No runs."
    return _RunsTable(runs)


class _RunsTable:
    """Leaves columns out, and at last shortens the pipeline, until a run fits into a line of the terminal."""

    _EXPENDABLE = ("ROWS", "TIME", "CREATED", "DATE", "TENANT")
    _PIPELINE_WIDTH = 8

    def __init__(self, runs: Sequence[Run]) -> None:
        self._rows = [_run_cells(run) for run in runs]
        names = list(self._rows[0])
        self._widths = {name: max(len(name), *(row[name].cell_len for row in self._rows)) for name in names}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = self._fitting(options.max_width) if console.is_terminal else list(self._widths)
        rows = [[row[name] for name in names] for row in self._rows]
        yield table(*names, rows=rows, numbers=("ROWS", "TIME"), whole=("STATUS", "RUN"), shortened=console.is_terminal)

    def _fitting(self, width: int) -> list[str]:
        names, widths = list(self._widths), dict(self._widths)
        for name in (*self._EXPENDABLE, "PIPELINE", "STATUS"):
            if name == "PIPELINE":
                widths[name] = min(widths[name], self._PIPELINE_WIDTH)
            if sum(widths[kept] + _GAP for kept in names) - _GAP <= width:
                break
            names.remove(name)
        return names


def _run_cells(run: Run) -> dict[str, Text]:
    cells: dict[str, str | Text] = {
        "CREATED": moment(run.created_at),
        "STATUS": status_text(Run.Status.Name(run.status)),
        "TENANT": run.tenant_id,
        "PIPELINE": _path(run),
        "DATE": run.date,
        "ROWS": f"{run.rows_processed:,}" if run.rows_processed else "",
        "TIME": duration(run),
        "RUN": run.pipeline_logging_id,
    }
    return {name: cell if isinstance(cell, Text) else Text(clean(cell)) for name, cell in cells.items()}


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
            "pipeline": f"{_path(run)} ({run.pipeline_id})",
            "date": run.date,
            "variables": ", ".join(f"{name}={value}" for name, value in sorted(run.variables.items())),
            "trigger": Run.Trigger.Name(run.trigger),
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
    rows = [(_path(item), str(item.step_count), _validity(item), item.description) for item in pipelines]
    faults = [fault for item in pipelines for fault in item.faults]
    return [table("PIPELINE", "STEPS", "VALID", "DESCRIPTION", rows=rows, numbers=("STEPS",)), *_faults(faults)]


def pipeline_parts(pipeline: Pipeline) -> list[RenderableType]:
    """A pipeline's variables, steps, faults and text."""
    about = facts(
        {
            "pipeline": _path(pipeline),
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


def tenants_table(tenants: Sequence[Tenant]) -> RenderableType:
    """One line a tenant."""
    if not tenants:
        return "No tenants. Make one: convergence tenants onboard TENANT"
    rows = [
        (
            tenant.tenant_id,
            status_text(Tenant.State.Name(tenant.state)),
            tenant.display_name,
            tenant.location,
            moment(tenant.created_at),
        )
        for tenant in tenants
    ]
    return table("TENANT", "STATE", "NAME", "LOCATION", "CREATED", rows=rows)


def tenant_facts(tenant: Tenant) -> RenderableType:
    """Everything about a tenant."""
    return facts(
        {
            "tenant": tenant.tenant_id,
            "name": tenant.display_name,
            "state": status_text(Tenant.State.Name(tenant.state)),
            "dataset": f"{tenant.dataset} in {tenant.location}" if tenant.dataset else "deleted",
            "contacts": ", ".join(tenant.contact_emails),
            "allowed sources": ", ".join(tenant.allowed_sources),
            "plan": tenant.plan,
            "own quotas": ", ".join(f"{field.name}={value:,}" for field, value in tenant.quotas.ListFields()),
            "created": moment(tenant.created_at),
            "updated": moment(tenant.updated_at),
            "onboarding run": tenant.onboarding_run,
            "offboarding run": tenant.offboarding_run,
        }
    )


def usage_parts(usage: Usage) -> list[RenderableType]:
    """One line a quota."""
    rows = [
        (
            item.quota,
            f"{item.used:,}",
            f"{item.limit:,}" if item.HasField("limit") else "",
            moment(item.resets_at) if item.HasField("resets_at") else "",
        )
        for item in usage.quotas
    ]
    about = facts({"tenant": usage.tenant_id, "plan": usage.plan})
    return [about, "", table("QUOTA", "USED", "LIMIT", "STARTS ANEW", rows=rows, numbers=("USED", "LIMIT"))]


def onboarded_parts(made: OnboardTenantResponse) -> list[RenderableType]:
    """A new tenant and its first key, which is shown this once, on a line of its own."""
    about = facts(
        {
            "tenant": made.tenant.tenant_id,
            "scopes": ", ".join(made.api_key.scopes),
            "onboarding run": made.run.pipeline_logging_id,
        }
    )
    return [about, *_secret_parts(made.api_key_secret)]


def new_key_parts(made: CreateApiKeyResponse | RotateApiKeyResponse) -> list[RenderableType]:
    """A new key, which is shown this once, on a line of its own."""
    key = made.api_key
    about = facts(
        {
            "key": key.key_id,
            "name": key.name,
            "tenant": key.tenant_id,
            "scopes": ", ".join(key.scopes),
            "expires": moment(key.expires_at),
        }
    )
    return [about, *_secret_parts(made.api_key_secret)]


def _secret_parts(secret: str) -> list[RenderableType]:
    if not secret:
        return ["The API key was shown in the first answer to this request only."]
    return ["API key, to be kept now, since it cannot be shown again:", secret]


def keys_table(keys: Sequence[ApiKey]) -> RenderableType:
    """One line a key."""
    if not keys:
        return "No keys."
    rows = [
        (
            key.key_id,
            key.name,
            ", ".join(key.scopes),
            moment(key.created_at),
            moment(key.expires_at) or "never",
            moment(key.last_used_at) or "never",
            moment(key.revoked_at),
        )
        for key in keys
    ]
    columns = ("KEY", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "REVOKED")
    return table(*columns, rows=rows, whole=("KEY",))


def credentials_table(credentials: Sequence[Credential]) -> RenderableType:
    """One line a credential."""
    if not credentials:
        return "No credentials."
    rows = [
        (
            credential.name,
            Credential.Kind.Name(credential.kind),
            str(credential.version),
            credential.fingerprint,
            moment(credential.created_at),
            moment(credential.last_used_at) or "never",
            f"{credential.check_status} {moment(credential.checked_at)}" if credential.check_status else "never",
        )
        for credential in credentials
    ]
    columns = ("NAME", "KIND", "VERSION", "FINGERPRINT", "STORED", "LAST USED", "CHECKED")
    return table(*columns, rows=rows, whole=("NAME",))


def checked_facts(name: str, found: CheckCredentialResponse) -> RenderableType:
    """What the provider said of a credential."""
    return facts(
        {
            "credential": name,
            "accepted": "yes" if found.accepted else "no",
            "principal": found.principal,
            "reason": found.message,
            "checked": moment(found.checked_at),
        }
    )


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


def _path(item: Run | PipelineSummary | Pipeline) -> str:
    return "/".join(part for part in (item.provider, item.domain, item.template_name) if part)


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
