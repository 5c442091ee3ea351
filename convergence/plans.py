"""How a plan looks to people."""

from collections.abc import Iterator

from google.protobuf.json_format import MessageToDict
from rich.console import RenderableType
from rich.text import Text

from convergence.output import clean, clean_line, facts, fault_lines, status_text, table
from convergence.v1.run_pb2 import PlanStep, ResolvedVariable, Run

_SQL = ("query", "sql")
"""Settings of these names are SQL, whatever the processor."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def plan_parts(run: Run) -> list[RenderableType]:
    """What each step would do, then everything that would make the run fail, then the totals."""
    if run.status != Run.SUCCESS:
        return [status_text(Run.Status.Name(run.status)), clean(run.error_message)]
    plan = run.plan
    parts = [part for step in plan.steps for part in _step_parts(step)]
    if plan.faults:
        parts += [Text("The run would fail:", style="bold red"), *_lines(fault_lines(plan.faults), "red"), ""]
    total = f"{size(plan.estimated_bytes)}, about ${plan.estimated_cost_usd:.2f}"
    return [*parts, facts({"pipeline": run.pipeline_id, "date": run.date, "would read": total})]


def _step_parts(step: PlanStep) -> Iterator[RenderableType]:
    yield Text(f"{clean(step.step_id)}  {clean(step.ps_type)}", style="bold")
    yield facts(
        {
            "reads": ", ".join(step.tables_read),
            "writes": f"{step.table_written} ({step.write_mode})" if step.table_written else "",
            "would read": f"{size(step.estimated_bytes)}, about ${step.estimated_cost_usd:.2f}" if step.sql else "",
        }
    )
    if settings := list(_settings(step)):
        yield table("SETTING", "VALUE", rows=settings)
    if step.variables:
        origins = ResolvedVariable.Origin.Name
        rows = [(item.name, clean(item.value), origins(item.origin)) for item in step.variables]
        yield table("VARIABLE", "VALUE", "SET BY", rows=rows)
    if step.sql:
        yield Text("\n".join(f"    {clean_line(line)}" for line in step.sql.splitlines()))
    yield from _lines(list(map(clean, step.schema_changes)), "cyan")
    yield from _lines([f"warning: {clean(warning)}" for warning in step.warnings], "yellow")
    yield ""


def _settings(step: PlanStep) -> Iterator[tuple[str, str]]:
    """Each setting that says something, by its path; the query stands by itself."""
    for path, value in _flat("", MessageToDict(step.settings)):
        is_sql = path.rpartition(".")[2] in _SQL
        if value and not (is_sql and step.sql):
            yield clean(path), clean(value)


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        # A Struct has no order.
        for name, part in sorted(value.items()):
            yield from _flat(f"{path}.{name}" if path else name, part)
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        for number, part in enumerate(value):
            yield from _flat(f"{path}[{number}]", part)
    else:
        yield path, ", ".join(map(_shown, value)) if isinstance(value, list) else _shown(value)


def _shown(value: object) -> str:
    """A plain value as YAML has it; numbers of a Struct are all fractions."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _lines(lines: list[str], style: str) -> list[RenderableType]:
    return [Text(f"  {line}", style=style) for line in lines]


def size(count: int) -> str:
    """A number of bytes: `512 B`, `1.5 GiB`."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"
