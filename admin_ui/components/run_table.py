"""Lists of runs that are updated in place."""

from collections.abc import Iterable, Sequence
from typing import Any

from nicegui import ui

from admin_ui.components.values import iso, length_text, pipeline_path, seconds_between
from convergence.v1.run_pb2 import Run

Row = dict[str, Any]

_COLUMNS = (
    ("status", "Status", "left"),
    ("pipeline", "Run", "left"),
    ("tenant", "Tenant", "left"),
    ("date", "Date", "left"),
    ("trigger", "Trigger", "left"),
    ("created", "Accepted", "left"),
    ("took", "Duration", "left"),
    ("rows", "Rows", "right"),
)
_SLOTS = {
    "status": """<q-td :props="props"><span class="chip" :class="'s-' + props.value">{{ props.row.shown }}</span>
    </q-td>""",
    "pipeline": '<q-td :props="props"><a :href="props.row.href">{{ props.value }}</a>'
    '<div class="mono dim">{{ props.row.id }}</div></q-td>',
    "created": '<q-td :props="props"><time class="num" :datetime="props.value"></time></q-td>',
    "took": '<q-td :props="props"><div class="num">{{ props.value }}</div><div v-if="props.row.share" class="bar"'
    " :class=\"'b-' + props.row.status\"><i :style=\"{ width: props.row.share + '%' }\"></i></div></q-td>",
    "rows": '<q-td :props="props" class="num">{{ props.value }}</q-td>',
}


class RunTable:
    """Runs, newest first, each with a link to its page."""

    def __init__(self, *, with_tenant: bool, is_selectable: bool = False) -> None:
        columns = [
            {"name": name, "label": label, "field": name, "align": align}
            for name, label, align in _COLUMNS
            if with_tenant or name != "tenant"
        ]
        self._table = ui.table(
            columns=columns, rows=[], row_key="id", selection="multiple" if is_selectable else None
        ).classes("w-full stack-table")
        self._table.props('flat wrap-cells aria-label="Runs"')
        for name, slot in _SLOTS.items():
            self._table.add_slot(f"body-cell-{name}", slot)
        self._shown: list[Row] = []

    def show(self, runs: Sequence[Run]) -> None:
        """Show these runs instead; nothing is sent to the browser when nothing has changed."""
        rows = _rows(runs)
        if rows != self._shown:
            self._shown = rows
            self._table.rows = rows

    @property
    def selected(self) -> list[tuple[str, str]]:
        """Tenant and id of those that are chosen."""
        return [(row["tenant"], row["id"]) for row in self._table.selected]

    def clear_selection(self) -> None:
        """Choose none."""
        self._table.selected = []


def _rows(runs: Iterable[Run]) -> list[Row]:
    taken = [(run, seconds_between(run.started_at, run.finished_at)) for run in runs]
    longest = max((seconds for _, seconds in taken), default=0)
    return [
        {
            "id": run.pipeline_logging_id,
            "status": Run.Status.Name(run.status),
            "shown": Run.Status.Name(run.status).replace("_", " "),
            "pipeline": run.pipeline_id or pipeline_path(run),
            "href": run_path(run),
            "tenant": run.tenant_id,
            "date": run.date,
            "trigger": Run.Trigger.Name(run.trigger).capitalize(),
            "created": iso(run.created_at),
            "took": length_text(seconds),
            "share": round(100 * seconds / longest) if longest else 0,
            "rows": f"{run.rows_processed:,}" if run.rows_processed else "",
        }
        for run, seconds in taken
    ]


def run_path(run: Run) -> str:
    """The page of a run."""
    return f"/runs/{run.tenant_id}/{run.pipeline_logging_id}"
