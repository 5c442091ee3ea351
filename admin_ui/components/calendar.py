"""What fires in the coming days, day by day."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from nicegui import ui

from admin_ui.components.next_times import by_clocks_of
from admin_ui.components.parts import card
from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.schedule_table import schedule_path
from admin_ui.components.values import pipeline_path
from convergence.v1.schedule_service_pb2 import Schedule

FIRES = 10
"""How many times of each schedule the service tells at most."""
_DAYS = timedelta(days=7)

_COLUMNS = {"time": "Time", "id": "Schedule", "tenant": "Tenant", "pipeline": "Pipeline", "there": "Its zone"}
_SLOTS = {
    "time": '<q-td :props="props"><span class="num">{{ props.row.clock }}</span> '
    '<time class="num dim small" :datetime="props.value"></time></q-td>',
    "id": '<q-td :props="props"><a :href="props.row.href">{{ props.value }}</a>'
    '<div v-if="props.row.note" class="dim small">{{ props.row.note }}</div></q-td>',
    "pipeline": '<q-td :props="props" class="mono dim">{{ props.value }}</q-td>',
    "there": '<q-td :props="props" class="num dim">{{ props.value }}</q-td>',
}


class Calendar:
    """The times of schedules in the coming seven days, a table a day."""

    def __init__(self, *, with_tenant: bool) -> None:
        self._with_tenant = with_tenant
        self._box = ui.element("div").classes("w-full").style("display: grid; gap: 18px")
        self._tables: dict[str, RowTable] = {}

    def show(self, schedules: Sequence[Schedule]) -> bool:
        """Show these instead, and say whether there is anything."""
        days = _days(schedules, datetime.now(UTC))
        if list(days) != list(self._tables):
            self._box.clear()
            with self._box:
                self._tables = {day: self._day(day) for day in days}
        for day, rows in days.items():
            self._tables[day].show(rows)
        return bool(days)

    def _day(self, day: str) -> RowTable:
        without = () if self._with_tenant else ("tenant",)
        with card(f"{datetime.fromisoformat(day):%A, %d %B %Y} (UTC)"):
            return RowTable(day, _COLUMNS, _SLOTS, key="key", without=without).classes("calendar")


def _days(schedules: Sequence[Schedule], now: datetime) -> dict[str, list[Row]]:
    rows = sorted(
        (row for schedule in schedules for row in _rows(schedule, now + _DAYS)),
        key=lambda row: (row["time"], row["key"]),
    )
    days = dict[str, list[Row]]()
    for row in rows:
        days.setdefault(row["time"][:10], []).append(row)
    return days


def _rows(schedule: Schedule, until: datetime) -> list[Row]:
    times = [stamp.ToDatetime(UTC) for stamp in schedule.next_fire_times]
    rows = [
        {
            "key": f"{schedule_path(schedule)} {time.isoformat()}",
            "time": time.isoformat(),
            "clock": f"{time:%H:%M:%S}".removesuffix(":00"),
            "there": by_clocks_of(schedule.time_zone, time, "%a %H:%M %Z"),
            "id": schedule.schedule_id,
            "href": schedule_path(schedule),
            "tenant": schedule.tenant_id,
            "pipeline": pipeline_path(schedule),
            "note": "",
        }
        for time in times
        if time < until
    ]
    if len(rows) == FIRES:
        rows[-1]["note"] = f"and again after this: only the next {FIRES} times of a schedule are told"
    return rows
