"""How backfills look to people."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from convergence.fitting import FittingTable
from convergence.output import clean, facts, moment, status_text
from convergence.plans import size
from convergence.tables import pipeline_path
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.run_pb2 import Run
from convergence.watching import ENDED

_MOST_NAMED = 3


def all_succeeded(backfill: Backfill) -> bool:
    """Whether it has ended, and every run of it as SUCCESS."""
    return backfill.state == Backfill.FINISHED and _count(backfill, Run.SUCCESS) == backfill.total_runs


def ended_runs(backfill: Backfill) -> int:
    """How many of its runs have ended, in whatever way."""
    return sum(_count(backfill, status) for status in ENDED)


def headline(backfill: Backfill) -> Text:
    """Its state, and which backfill it is."""
    days = f"{backfill.start_date} to {backfill.end_date}"
    about = "".join(f"  {clean(part)}" for part in (pipeline_path(backfill), days, backfill.backfill_id))
    return Text().append_text(status_text(Backfill.State.Name(backfill.state))).append(about)


def run_counts(backfill: Backfill) -> Text:
    """`SUCCESS 28, FAILED 1, waiting 2`, in the order in which a run has these statuses."""
    counts = [
        status_text(name).append(f" {_count(backfill, number):,}")
        for name, number in Run.Status.items()
        if _count(backfill, number)
    ]
    if backfill.waiting_runs:
        counts.append(Text(f"waiting {backfill.waiting_runs:,}"))
    return Text(", ").join(counts)


def progress(backfill: Backfill) -> Text:
    """How far it is, and why it does not go on."""
    line = Text(f"{ended_runs(backfill):,} of {backfill.total_runs:,} runs ended")
    if not backfill.total_runs:
        line = Text(_nothing(backfill))
    elif backfill.skipped_days:
        line.append(f", {_left_out(backfill)}")
    if counts := run_counts(backfill):
        line.append(": ").append_text(counts)
    return line.append(f"  {clean(backfill.reason)}") if backfill.reason else line


def backfill_line(backfill: Backfill) -> Text:
    """All of it on one line."""
    return headline(backfill).append("  ").append_text(progress(backfill))


def backfills_table(backfills: Sequence[Backfill]) -> RenderableType:
    """One line a backfill."""
    if not backfills:
        return "No backfills."
    return FittingTable(
        [_cells(item) for item in backfills],
        expendable=("CREATED", "TENANTS", "ENDED", "FROM", "TO", "PIPELINE", "STATE"),
        numbers=("ENDED",),
        whole=("STATE", "BACKFILL"),
    )


def _cells(backfill: Backfill) -> dict[str, str | Text]:
    return {
        "CREATED": moment(backfill.created_at),
        "STATE": status_text(Backfill.State.Name(backfill.state)),
        "TENANTS": _tenants(backfill, most=_MOST_NAMED),
        "PIPELINE": pipeline_path(backfill),
        "FROM": backfill.start_date,
        "TO": backfill.end_date,
        "ENDED": f"{ended_runs(backfill):,} of {backfill.total_runs:,}",
        "BACKFILL": backfill.backfill_id,
    }


def backfill_parts(backfill: Backfill) -> list[RenderableType]:
    """Everything about a backfill, or about what it would be."""
    nothing = [] if backfill.total_runs else [Text(_nothing(backfill))]
    return [_backfill_facts(backfill), *nothing, *warning_lines(backfill)]


def warning_lines(backfill: Backfill) -> list[Text]:
    """What somebody who runs many days had better know, one line each."""
    return [Text(f"warning: {clean(warning)}", style="yellow") for warning in backfill.warnings]


def _backfill_facts(backfill: Backfill) -> RenderableType:
    is_plan = backfill.state == Backfill.PLANNED
    return facts(
        {
            "backfill": backfill.backfill_id,
            "state": status_text(Backfill.State.Name(backfill.state)),
            "reason": backfill.reason,
            "pipeline": pipeline_path(backfill),
            "tenants": _tenants(backfill),
            "from": backfill.start_date,
            "to": f"{backfill.end_date}, without that day",
            "variables": ", ".join(f"{name}={value}" for name, value in sorted(backfill.variables.items())),
            "order": Backfill.Order.Name(backfill.order) if backfill.order else "",
            "reprocess": Backfill.Reprocess.Name(backfill.reprocess) if backfill.reprocess else "",
            "at a time": f"{backfill.max_active_runs:,}" if backfill.max_active_runs else "",
            "runs": f"{backfill.total_runs:,}",
            "of them": "" if is_plan else run_counts(backfill),
            "days left out": f"{backfill.skipped_days:,}" if backfill.skipped_days else "",
            "would read": _would_read(backfill) if is_plan else "",
            "schedule": backfill.schedule_id,
            "asked for by": backfill.created_by,
            "created": moment(backfill.created_at),
            "finished": moment(backfill.finished_at),
        }
    )


def _would_read(backfill: Backfill) -> str:
    if not backfill.total_runs:
        return "nothing"
    return size(backfill.estimated_bytes) if backfill.estimated_bytes else "unknown"


def _nothing(backfill: Backfill) -> str:
    """Why there are no runs."""
    if not backfill.skipped_days:
        return "nothing to run"
    which = "which has a run" if backfill.skipped_days == 1 else "which have runs"
    return f"nothing to run: {_left_out(backfill)}, {which}; see --reprocess"


def _left_out(backfill: Backfill) -> str:
    return f"{backfill.skipped_days:,} {'day' if backfill.skipped_days == 1 else 'days'} left out"


def _count(backfill: Backfill, status: Run.Status.ValueType) -> int:
    # A map of a message makes what is looked up in brackets.
    return backfill.runs_by_status.get(Run.Status.Name(status), 0)


def _tenants(backfill: Backfill, *, most: int | None = None) -> str:
    """Their ids, or how many they are when they are more than `most`."""
    if most is not None and len(backfill.tenant_ids) > most:
        return f"{len(backfill.tenant_ids):,} tenants"
    return ", ".join(backfill.tenant_ids)
