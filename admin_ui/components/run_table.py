"""Lists of runs that are updated in place."""

from collections.abc import Iterable, Sequence

from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.values import iso, length_text, name_text, pipeline_path, seconds_between
from convergence.v1.run_pb2 import Run

_COLUMNS = {
    "status": "Status",
    "pipeline": "Run",
    "tenant": "Tenant",
    "date": "Date",
    "trigger": "Trigger",
    "created": "Accepted",
    "took": "Duration",
    "rows": "Rows",
}
_SLOTS = {
    "status": """<q-td :props="props"><span class="chip" :class="'s-' + props.value">{{ props.row.shown }}</span>
    </q-td>""",
    "pipeline": '<q-td :props="props"><a :href="props.row.href">{{ props.value }}</a>'
    '<div class="mono dim">{{ props.row.id }}</div></q-td>',
    "created": '<q-td :props="props"><time class="num" :datetime="props.value"></time></q-td>',
    "took": '<q-td :props="props"><div class="num">{{ props.value }}</div><div v-if="props.row.share" class="bar"'
    " :class=\"'b-' + props.row.status\"><i :style=\"{ width: props.row.share + '%' }\"></i></div></q-td>",
    "rows": '<q-td :props="props" class="num" :data-label="props.value ? \'rows\' : null">{{ props.value }}</q-td>',
}


class RunTable:
    """Runs, newest first, each with a link to its page."""

    def __init__(self, *, with_tenant: bool, is_selectable: bool = False) -> None:
        without = () if with_tenant else ("tenant",)
        self._table = RowTable(
            "Runs", _COLUMNS, _SLOTS, key="id", right=("rows",), without=without, is_selectable=is_selectable
        )

    def show(self, runs: Sequence[Run]) -> None:
        """Show these runs instead; nothing is sent to the browser when nothing has changed."""
        self._table.show(_rows(runs))

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
            "trigger": name_text(Run.Trigger.Name(run.trigger)),
            "created": iso(run.created_at),
            "took": length_text(seconds),
            "share": max(1, round(100 * seconds / longest)) if seconds else 0,
            "rows": f"{run.rows_processed:,}" if run.rows_processed else "",
        }
        for run, seconds in taken
    ]


def run_path(run: Run) -> str:
    """The page of a run."""
    return f"/runs/{run.tenant_id}/{run.pipeline_logging_id}"
