"""Lists of schedules that are updated in place."""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from nicegui.events import GenericEventArguments

from admin_ui.components.cron_words import cron_words, timing_text
from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.values import iso, pipeline_path
from convergence.v1.schedule_service_pb2 import Schedule

_COLUMNS = {
    "state": "State",
    "id": "Schedule",
    "tenant": "Tenant",
    "when": "When",
    "zone": "Zone",
    "next": "Next",
    "missed": "Missed",
    "failures": "Failures in a row",
    "last": "Last run",
    "act": "Actions",
}
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
        without = {name for name, is_hidden in (("tenant", not with_tenant), ("act", act is None)) if is_hidden}
        self._table = RowTable(
            "Schedules", _COLUMNS, _SLOTS, key="key", right=("missed", "failures", "act"), without=without
        ).classes("schedule-table")
        if act is not None:
            self._table.on("act", self._on_act)
        self._act = act
        self._schedules: dict[str, Schedule] = {}
        self._busy = set[str]()

    def show(self, schedules: Sequence[Schedule]) -> None:
        """Show these instead; nothing is sent to the browser when nothing has changed."""
        self._schedules = {schedule_path(one): one for one in schedules}
        self._table.show([_row(one) | {"busy": key in self._busy} for key, one in self._schedules.items()])

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
