"""Lists of schedules that are updated in place."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from nicegui import ui
from nicegui.events import GenericEventArguments

from admin_ui.components.cron_words import cron_words, timing_text
from admin_ui.components.values import iso, pipeline_path
from convergence.v1.schedule_service_pb2 import Schedule

Row = dict[str, Any]

_COLUMNS = (
    ("state", "State", "left"),
    ("id", "Schedule", "left"),
    ("tenant", "Tenant", "left"),
    ("when", "When", "left"),
    ("zone", "Zone", "left"),
    ("next", "Next", "left"),
    ("missed", "Missed", "right"),
    ("failures", "Failures in a row", "right"),
    ("last", "Last run", "left"),
    ("act", "", "right"),
)
_SLOTS = {
    "state": """<q-td :props="props"><span class="chip" :class="'s-' + props.value" :title="props.row.reason">
        {{ props.value }}</span></q-td>""",
    "id": '<q-td :props="props"><a :href="props.row.href">{{ props.value }}</a>'
    '<div class="mono dim">{{ props.row.pipeline }}</div></q-td>',
    "when": '<q-td :props="props"><span class="mono">{{ props.value }}</span>'
    '<div v-if="props.row.words" class="dim small">{{ props.row.words }}</div></q-td>',
    "next": '<q-td :props="props"><time v-if="props.value" class="num" :datetime="props.value"></time></q-td>',
    "missed": '<q-td :props="props" class="num"><template v-if="props.value">{{ props.value }}'
    '<span class="lt-sm"> missed</span></template></q-td>',
    "failures": '<q-td :props="props" class="num"><template v-if="props.value">{{ props.value }}'
    '<span class="lt-sm"> failures in a row</span></template></q-td>',
    "last": '<q-td :props="props"><a v-if="props.value" :href="props.row.run" class="mono">'
    "{{ props.value.slice(0, 8) }}</a></q-td>",
    "act": """<q-td :props="props"><q-btn v-if="props.value" flat dense round size="sm" color="primary"
        :icon="props.value === 'Pause' ? 'pause' : 'play_arrow'" :aria-label="props.value + ' ' + props.row.id"
        :title="props.value" :disable="props.row.busy" @click="$parent.$emit('act', props.row.key)" /></q-td>""",
}


class ScheduleTable:
    """Schedules, each with a link to its page.

    Args:
        act: pauses the schedule, or lets it go on; None where nobody may.
    """

    def __init__(self, *, with_tenant: bool, act: Callable[[Schedule], Awaitable[None]] | None) -> None:
        hidden = {name for name, is_hidden in (("tenant", not with_tenant), ("act", act is None)) if is_hidden}
        columns = [
            {"name": name, "label": label, "field": name, "align": align}
            for name, label, align in _COLUMNS
            if name not in hidden
        ]
        self._table = ui.table(columns=columns, rows=[], row_key="key").classes("w-full stack-table schedule-table")
        self._table.props('flat wrap-cells aria-label="Schedules"')
        for name, slot in _SLOTS.items():
            self._table.add_slot(f"body-cell-{name}", slot)
        if act is not None:
            self._table.on("act", self._on_act)
        self._act = act
        self._schedules: dict[str, Schedule] = {}
        self._busy = set[str]()

    def show(self, schedules: Sequence[Schedule]) -> None:
        """Show these instead; nothing is sent to the browser when nothing has changed."""
        self._schedules = {schedule_path(one): one for one in schedules}
        rows = [_row(one) | {"busy": key in self._busy} for key, one in self._schedules.items()]
        if rows != self._table.rows:
            self._table.rows = rows

    async def _on_act(self, event: GenericEventArguments) -> None:
        key = str(event.args)
        schedule = self._schedules.get(key)
        if schedule is None or self._act is None or key in self._busy:
            return
        self._busy.add(key)
        self.show(list(self._schedules.values()))
        try:
            await self._act(schedule)
        finally:
            self._busy.discard(key)
            self.show(list(self._schedules.values()))


def schedule_path(schedule: Schedule) -> str:
    """The page of a schedule."""
    return f"/schedules/{quote(schedule.tenant_id, safe='')}/{quote(schedule.schedule_id, safe='')}"


def _row(schedule: Schedule) -> Row:
    fires = schedule.next_fire_times
    return {
        "key": schedule_path(schedule),
        "href": schedule_path(schedule),
        "state": Schedule.State.Name(schedule.state),
        "reason": schedule.pause_reason,
        "id": schedule.schedule_id,
        "tenant": schedule.tenant_id,
        "pipeline": pipeline_path(schedule),
        "when": timing_text(schedule),
        "words": cron_words(schedule.cron),
        "zone": schedule.time_zone,
        "next": iso(fires[0]) if fires else "",
        "missed": f"{schedule.missed_ticks:,}" if schedule.missed_ticks else "",
        "failures": f"{schedule.consecutive_failures:,}" if schedule.consecutive_failures else "",
        "last": schedule.last_run,
        "run": f"/runs/{schedule.tenant_id}/{schedule.last_run}",
        "act": {Schedule.ACTIVE: "Pause", Schedule.PAUSED: "Resume"}.get(schedule.state, ""),
    }
