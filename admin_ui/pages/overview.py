"""How things stand."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nicegui import ui

from admin_ui.components.charts import StatusBars
from admin_ui.components.link_list import LinkLine, LinkList
from admin_ui.components.parts import Awaited, card
from admin_ui.components.quotas import TenantBars
from admin_ui.components.run_table import RunTable
from admin_ui.components.schedule_table import schedule_path
from admin_ui.components.service_facts import ServiceFacts
from admin_ui.components.values import NOTHING, length_text, pipeline_path
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import RunsAddress
from admin_ui.telling import keep_showing
from convergence.v1.pipeline_service_pb2 import PipelineStatistics, RunStatistics
from convergence.v1.schedule_service_pb2 import Schedule
from convergence.v1.tenant_service_pb2 import Tenant, Usage

_SECONDS = 5.0
_USAGE_SECONDS = 30.0
_BILLED = "bytes_billed_per_day"
_PAGE_SIZE = 500
_DAY = timedelta(days=1)
_LATEST = 8
_MOST = 6
_FAILED = ("FAILED", "TIMED_OUT")


@ui.page("/", response_timeout=PAGE_SECONDS)
async def overview_page() -> None:
    """The last day, the queue, what comes next."""
    with frame("Overview", path="/") as page:
        _Overview(page)


@dataclass(slots=True)
class _Tile:
    value: ui.label
    note: ui.label


class _Overview:
    def __init__(self, page: Frame) -> None:
        self._page = page
        with ui.element("div").classes("grid-4"):
            self._runs = _tile("Runs in 24 hours")
            self._rate = _tile("Succeeded")
            self._queue = _tile("Waiting")
            self._active = _tile("Running")
        with card("Runs by status, last 24 hours"):
            self._bars = StatusBars()
        with ui.element("div").classes("grid-2"):
            with card("Fail most often"):
                self._failing = LinkList("Nothing failed.")
            with card("Take longest"):
                self._slowest = LinkList("No run has ended.")
        with ui.element("div").classes("grid-2"):
            with card("Fires next"):
                self._next = LinkList("Nothing is scheduled.", "Make a schedule on the page Schedules.")
            with card("Service"):
                self._service = ServiceFacts()
        with card("Bytes billed today"):
            self._billed = TenantBars()
        with card("Latest runs"):
            self._latest = Awaited("No run yet.", "Start one from the page of a pipeline.")
            with self._latest.box:
                self._table = RunTable(with_tenant=page.session.is_operator)
        keep_showing(page, self._refresh, seconds=_SECONDS)
        keep_showing(page, self._refresh_usage, seconds=_USAGE_SECONDS)

    async def _refresh(self) -> None:
        session = self._page.session
        now = datetime.now(UTC)
        self._show(await session.client.get_run_statistics(since=now - _DAY, until=now, buckets=24))
        latest = await session.client.list_runs(page_size=_LATEST)
        self._latest.show(is_any=bool(latest.runs))
        self._table.show(latest.runs)
        schedules = await session.client.list_schedules(soonest_first=True, page_size=_MOST)
        self._next.show([_fires(one) for one in schedules.schedules if one.next_fire_times])
        health = await session.client.get_service_health() if session.is_operator else None
        self._service.show(await session.client.get_system_info(), health)

    def _show(self, found: RunStatistics) -> None:
        counted = _sum(found)
        total = sum(counted.values())
        ended = total - sum(counted.get(name, 0) for name in ("PENDING", "RUNNING", "CANCELLING"))
        self._runs.value.text = f"{total:,}"
        self._rate.value.text = f"{100 * counted.get('SUCCESS', 0) / ended:.1f} %" if ended else NOTHING
        failed = sum(counted.get(name, 0) for name in _FAILED)
        self._rate.note.text = f"{failed:,} failed" if failed else ""
        self._queue.value.text = f"{found.pending_runs:,}"
        waits = _seconds_waited(found) if found.oldest_pending.seconds else 0
        self._queue.note.text = f"the longest for {length_text(waits)}" if waits else ""
        self._active.value.text = f"{found.active_runs:,}"
        self._bars.show(found)
        failing = sorted(filter(_failures, found.pipelines), key=_failures, reverse=True)
        self._failing.show([_line(one, f"{_failures(one):,} of {_runs(one):,}") for one in failing[:_MOST]])
        slow = sorted((one for one in found.pipelines if one.mean_seconds), key=_seconds, reverse=True)
        self._slowest.show([_line(one, length_text(_seconds(one))) for one in slow[:_MOST]])

    async def _refresh_usage(self) -> None:
        session = self._page.session
        if session.is_operator:
            usages = await self._all_usages()
        else:
            usages = [await session.client.get_usage(session.tenant_id)]
        billed = [(one.tenant_id, item) for one in usages for item in one.quotas if item.quota == _BILLED]
        self._billed.show(sorted(billed, key=lambda one: one[1].used, reverse=True)[:_MOST])

    async def _all_usages(self) -> list[Usage]:
        """Of all tenants that are active."""
        usages, token = list[Usage](), ""
        while True:
            found = await self._page.session.client.list_tenants(
                states=[Tenant.ACTIVE], with_usage=True, page_size=_PAGE_SIZE, page_token=token
            )
            usages += found.usages
            if not (token := found.next_page_token):
                return usages


def _tile(name: str) -> _Tile:
    with ui.element("div").classes("card tile"):
        ui.label(name).classes("small dim")
        value = ui.label(NOTHING).classes("value")
        return _Tile(value, ui.label().classes("small dim"))


def _sum(found: RunStatistics) -> dict[str, int]:
    counted = dict[str, int]()
    for bucket in found.buckets:
        for name, count in bucket.runs_by_status.items():
            counted[name] = counted.get(name, 0) + count
    return counted


def _seconds_waited(found: RunStatistics) -> float:
    """Seconds that the oldest waiting run has waited."""
    return max(0.0, (datetime.now(UTC) - found.oldest_pending.ToDatetime(UTC)).total_seconds())


def _line(one: PipelineStatistics, value: str) -> LinkLine:
    path = pipeline_path(one)
    return LinkLine(path, RunsAddress(pipeline=path).url(), value)


def _fires(one: Schedule) -> LinkLine:
    return LinkLine(f"{one.tenant_id} / {one.schedule_id}", schedule_path(one), one.next_fire_times[0])


def _failures(one: PipelineStatistics) -> int:
    return sum(one.runs_by_status.get(name, 0) for name in _FAILED)


def _runs(one: PipelineStatistics) -> int:
    return sum(one.runs_by_status.values())


def _seconds(one: PipelineStatistics) -> float:
    return one.mean_seconds
