"""Lists of backfills that are updated in place."""

from collections.abc import Sequence

from admin_ui.components.backfill_progress import parts, progress_text
from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.values import iso, pipeline_path
from admin_ui.days import last_day
from convergence.v1.backfill_pb2 import Backfill

_MOST_NAMED = 3
_COLUMNS = {
    "state": "State",
    "pipeline": "Backfill",
    "tenants": "Tenants",
    "days": "Days",
    "progress": "Progress",
    "created": "Started",
}
_SLOTS = {
    "state": """<q-td :props="props"><span class="chip" :class="'s-' + props.value">{{ props.value }}</span></q-td>""",
    "pipeline": '<q-td :props="props"><a :href="props.row.href">{{ props.value }}</a>'
    '<div class="mono dim">{{ props.row.key }}</div><div v-if="props.row.schedule" class="dim small">'
    "refresh window of {{ props.row.schedule }}</div></q-td>",
    "days": '<q-td :props="props" class="num">{{ props.value }}</q-td>',
    "progress": """<q-td :props="props" class="progress-cell"><div class="bar in-parts">
        <i v-for="part in props.row.parts"
        :class="'b-' + part.status" :style="{ left: part.left, width: part.width }"></i></div>
        <div class="small dim num mt-1">{{ props.value }}</div>
        <div v-if="props.row.reason" class="small dim wrap-any">{{ props.row.reason }}</div></q-td>""",
    "created": '<q-td :props="props"><time class="num" :datetime="props.value"></time></q-td>',
}


class BackfillTable:
    """Backfills, newest first, each with a link to its page."""

    def __init__(self, *, with_tenants: bool) -> None:
        without = () if with_tenants else ("tenants",)
        self._table = RowTable("Backfills", _COLUMNS, _SLOTS, key="key", without=without)

    def show(self, backfills: Sequence[Backfill]) -> None:
        """Show these instead; nothing is sent to the browser when nothing has changed."""
        self._table.show([_row(one) for one in backfills])


def backfill_path(backfill: Backfill) -> str:
    """The page of a backfill."""
    return f"/backfills/{backfill.backfill_id}"


def tenants_text(tenant_ids: Sequence[str]) -> str:
    """`acme_corp, globex`, or how many there are beside the first."""
    named = ", ".join(tenant_ids[:_MOST_NAMED])
    more = len(tenant_ids) - _MOST_NAMED
    return f"{named} and {more:,} more" if more > 0 else named


def _row(backfill: Backfill) -> Row:
    return {
        "key": backfill.backfill_id,
        "href": backfill_path(backfill),
        "state": Backfill.State.Name(backfill.state),
        "pipeline": pipeline_path(backfill),
        "schedule": backfill.schedule_id,
        "tenants": tenants_text(backfill.tenant_ids),
        "days": f"{backfill.start_date} to {last_day(backfill)}",
        "parts": parts(backfill),
        "progress": progress_text(backfill),
        "reason": backfill.reason,
        "created": iso(backfill.created_at),
    }
