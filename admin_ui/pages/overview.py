"""How things stand."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nicegui import ui

from admin_ui.components.charts import StatusBars
from admin_ui.components.parts import card, empty
from admin_ui.components.quotas import share_class, used_share, used_text
from admin_ui.components.run_table import RunTable
from admin_ui.components.values import NOTHING, TimeText, length_text, pipeline_path
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import RunsAddress
from admin_ui.telling import keep_showing
from convergence.v1.pipeline_service_pb2 import PipelineStatistics, RunStatistics
from convergence.v1.schedule_service_pb2 import Schedule
from convergence.v1.tenant_service_pb2 import QuotaUsage, Tenant, Usage

_SECONDS = 5.0
_USAGE_SECONDS = 30.0
_BILLED = "bytes_billed_per_day"
_MOST_TENANTS = 100
_AT_A_TIME = 8
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
                self._failing = ui.element("div").classes("w-full")
            with card("Take longest"):
                self._slowest = ui.element("div").classes("w-full")
        with ui.element("div").classes("grid-2"):
            with card("Fires next"):
                self._next = ui.element("div").classes("w-full")
            with card("Service"):
                self._service = ui.element("div").classes("w-full")
        with card("Bytes billed today"):
            self._billed = ui.element("div").classes("usage")
        with card("Latest runs"):
            self._latest = RunTable(with_tenant=page.session.is_operator)
        self._shown: RunStatistics | None = None
        keep_showing(page, self._refresh, seconds=_SECONDS)
        keep_showing(page, self._refresh_usage, seconds=_USAGE_SECONDS)

    async def _refresh(self) -> None:
        client = self._page.session.client
        now = datetime.now(UTC)
        found = await client.get_run_statistics(since=now - _DAY, until=now, buckets=24)
        self._show(found)
        latest = await client.list_runs(page_size=_LATEST)
        self._latest.show(latest.runs)
        schedules = await client.list_schedules(states=[Schedule.ACTIVE], page_size=500)
        self._show_next([one for one in schedules.schedules if one.next_fire_times])
        await self._show_service()

    def _show(self, found: RunStatistics) -> None:
        counted = _sum(found)
        total = sum(counted.values())
        ended = total - sum(counted.get(name, 0) for name in ("PENDING", "RUNNING", "CANCELLING"))
        self._runs.value.text = f"{total:,}"
        self._rate.value.text = f"{100 * counted.get('SUCCESS', 0) / ended:.1f} %" if ended else NOTHING
        failed = sum(counted.get(name, 0) for name in _FAILED)
        self._rate.note.text = f"{failed:,} failed" if failed else ""
        self._queue.value.text = f"{found.pending_runs:,}"
        waits = now_since(found) if found.oldest_pending.seconds else 0
        self._queue.note.text = f"the longest for {length_text(waits)}" if waits else ""
        self._active.value.text = f"{found.active_runs:,}"
        self._bars.show(found)
        if self._shown is None or list(found.pipelines) != list(self._shown.pipelines):
            self._list(
                self._failing, sorted(found.pipelines, key=_failures, reverse=True), _failures, "Nothing failed."
            )
            slow = sorted(found.pipelines, key=lambda one: one.mean_seconds, reverse=True)
            self._list(self._slowest, slow, lambda one: one.mean_seconds, "No run has ended.")
        self._shown = found

    def _list(
        self,
        box: ui.element,
        ordered: Sequence[PipelineStatistics],
        measure: Callable[[PipelineStatistics], float],
        nothing: str,
    ) -> None:
        box.clear()
        with box:
            shown = [one for one in ordered if measure(one)][:_MOST]
            if not shown:
                empty(nothing)
            for one in shown:
                path = pipeline_path(one)
                with ui.row().classes("w-full justify-between items-center no-wrap"):
                    ui.link(path, RunsAddress(pipeline=path).url()).classes("wrap-any")
                    runs = sum(one.runs_by_status.values())
                    text = f"{_failures(one):,} of {runs:,}" if measure is _failures else length_text(one.mean_seconds)
                    ui.label(text).classes("num dim")

    def _show_next(self, schedules: list[Schedule]) -> None:
        coming = sorted(schedules, key=lambda one: one.next_fire_times[0].ToDatetime())[:_MOST]
        self._next.clear()
        with self._next:
            if not coming:
                empty("Nothing is scheduled.", "Make a schedule on the page Schedules.")
            for one in coming:
                with ui.row().classes("w-full justify-between items-center no-wrap"):
                    ui.link(f"{one.tenant_id} / {one.schedule_id}", f"/schedules/{one.tenant_id}/{one.schedule_id}")
                    TimeText(one.next_fire_times[0])

    async def _refresh_usage(self) -> None:
        session = self._page.session
        tenants = [session.tenant_id]
        if session.is_operator:
            found = await session.client.list_tenants(states=[Tenant.ACTIVE], page_size=_MOST_TENANTS)
            tenants = [one.tenant_id for one in found.tenants]
        places = asyncio.Semaphore(_AT_A_TIME)

        async def usage(tenant_id: str) -> Usage:
            async with places:
                return await session.client.get_usage(tenant_id)

        usages = await asyncio.gather(*map(usage, tenants))
        billed = [(one.tenant_id, item) for one in usages for item in one.quotas if item.quota == _BILLED]
        self._show_usage(sorted(billed, key=lambda one: one[1].used, reverse=True)[:_MOST])

    def _show_usage(self, billed: Sequence[tuple[str, QuotaUsage]]) -> None:
        self._billed.clear()
        with self._billed:
            if not billed:
                empty("No tenant is active.", "Onboard one on the page Tenants.")
            for tenant_id, item in billed:
                with ui.element("div").classes("usage-row"):
                    ui.link(tenant_id, f"/tenants/{tenant_id}").classes("wrap-any")
                    share = used_share(item)
                    with ui.element("div").classes(f"bar {share_class(share or 0)}"):
                        if share:
                            ui.element("i").style(f"width: {share}%")
                    ui.label(used_text(item)).classes("num small")

    async def _show_service(self) -> None:
        info = await self._page.session.client.get_system_info()
        self._service.clear()
        with self._service:
            for name, value in (
                ("Control store", info.control_store),
                ("Warehouse", f"{info.warehouse}, project {info.project}"),
                ("Tenants", f"{info.tenant_count:,}" if info.tenant_count else ""),
                ("Version", info.version),
            ):
                if value:
                    with ui.row().classes("w-full justify-between"):
                        ui.label(name).classes("dim")
                        ui.label(value).classes("wrap-any")
            with ui.row().classes("w-full justify-between"):
                ui.label("Up since").classes("dim")
                TimeText(info.started_at)


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


def now_since(found: RunStatistics) -> float:
    """Seconds that the oldest waiting run has waited."""
    return max(0.0, (datetime.now(UTC) - found.oldest_pending.ToDatetime(UTC)).total_seconds())


def _failures(one: PipelineStatistics) -> int:
    return sum(one.runs_by_status.get(name, 0) for name in _FAILED)
