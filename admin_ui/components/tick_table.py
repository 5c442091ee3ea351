"""The ticks of a schedule, updated in place."""

from collections.abc import Sequence
from datetime import UTC

from admin_ui.components.next_times import by_clocks_of
from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.values import iso
from convergence.v1.schedule_service_pb2 import ScheduledRun

_COLUMNS = {
    "outcome": "Outcome",
    "tick": "Tick",
    "date": "Date",
    "fired": "Dealt with",
    "run": "Run",
    "message": "Note",
}
_SLOTS = {
    "outcome": """<q-td :props="props"><span class="chip" :class="'s-' + props.value">{{ props.value }}</span>
        </q-td>""",
    "tick": '<q-td :props="props"><time class="num" :datetime="props.value"></time>'
    '<div class="small dim num">{{ props.row.clock }}</div></q-td>',
    "date": '<q-td :props="props" class="num">{{ props.value }}</q-td>',
    "fired": '<q-td :props="props"><time v-if="props.value" class="num" :datetime="props.value"></time></q-td>',
    "run": '<q-td :props="props"><a v-if="props.value" :href="props.row.href" class="mono">'
    "{{ props.value.slice(0, 8) }}</a></q-td>",
    "message": '<q-td :props="props" class="wrap-any">{{ props.value }}</q-td>',
}


class TickTable:
    """Ticks, newest first, each with the run that it started or why it started none."""

    def __init__(self) -> None:
        self._table = RowTable("Ticks", _COLUMNS, _SLOTS, key="key")

    def show(self, ticks: Sequence[ScheduledRun], time_zone: str) -> None:
        """Show these instead; nothing is sent to the browser when nothing has changed."""
        self._table.show([_row(tick, time_zone) for tick in ticks])


def _row(tick: ScheduledRun, time_zone: str) -> Row:
    time = tick.nominal_time.ToDatetime(UTC)
    form = "%Y-%m-%d %H:%M %Z"
    return {
        "key": iso(tick.nominal_time),
        "outcome": ScheduledRun.Outcome.Name(tick.outcome),
        "tick": iso(tick.nominal_time),
        "clock": by_clocks_of(time_zone, time, form) or f"{time:{form}}",
        "date": tick.date,
        "fired": iso(tick.fired_at),
        "run": tick.pipeline_logging_id,
        "href": f"/runs/{tick.tenant_id}/{tick.pipeline_logging_id}",
        "message": tick.message,
    }
