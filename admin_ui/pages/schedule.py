"""One schedule: what it is, when it fires, and what became of its ticks."""

from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from admin_ui.components.backfill_table import BackfillTable
from admin_ui.components.cron_words import cron_words, timing_text
from admin_ui.components.filter_form import NEWEST_FIRST, PageLinks
from admin_ui.components.next_times import NextTimes
from admin_ui.components.parts import Awaited, action, ask, card, facts
from admin_ui.components.schedule_table import schedule_path
from admin_ui.components.tick_table import TickTable
from admin_ui.components.values import NOTHING, TimeText, chip, pipeline_path, set_chip
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import BackfillsAddress, RunsAddress
from admin_ui.schedule_actions import pause, resume
from admin_ui.telling import keep_showing, showing, telling
from convergence.times import span_text
from convergence.v1.schedule_service_pb2 import Schedule

_SECONDS = 5.0
_TICKS = 50
_WINDOWS = 5


@ui.page("/schedules/{tenant_id}/{schedule_id}", response_timeout=PAGE_SECONDS)
async def schedule_page(request: Request, tenant_id: str, schedule_id: str) -> None:
    """A schedule, updated while the page is open; the address says which page of its ticks."""
    with frame(schedule_id, path="/schedules") as page, showing(page):
        schedule = await page.session.client.get_schedule(tenant_id, schedule_id)
        _SchedulePage(page, schedule, request.query_params.get("ticks", ""))


class _SchedulePage:
    def __init__(self, page: Frame, schedule: Schedule, token: str) -> None:
        self._page = page
        self._schedule = schedule
        self._token = token
        self._shown: Schedule | None = None
        self._buttons()
        self._head()
        self._reason = ui.label().classes("note w-full")
        self._tiles()
        with ui.element("div").classes("grid-2"):
            with card("Settings"):
                self._facts = ui.element("div").classes("w-full")
            with card("Fires next"):
                self._times = NextTimes()
        self._ticks()
        with card("Refresh windows") as self._windows:
            self._window_table = BackfillTable(with_tenants=False)
            address = BackfillsAddress(schedule=schedule.schedule_id, tenant=schedule.tenant_id)
            ui.link("All of them", address.url())
        self._windows.visible = False
        self._show(schedule)
        keep_showing(page, self._refresh, seconds=_SECONDS)

    def _buttons(self) -> None:
        if not self._page.session.may("runs:write"):
            return
        with self._page.head:
            pausing = action("Pause", self._pause, icon="pause")
            resuming = action("Resume", self._resume, icon="play_arrow")
            pausing.bind_visibility_from(self, "_schedule", lambda one: one.state == Schedule.ACTIVE)
            resuming.bind_visibility_from(self, "_schedule", lambda one: one.state == Schedule.PAUSED)
            edit = ui.button("Edit", icon="edit").props("no-caps outline dense color=primary").classes("px-3")
            edit.props["href"] = f"{schedule_path(self._schedule)}/edit"
            action("Delete", self._delete, icon="delete")

    def _head(self) -> None:
        schedule = self._schedule
        with ui.row().classes("w-full items-center gap-3"):
            self._chip = chip(Schedule.State.Name(schedule.state))
            if self._page.session.is_operator:
                ui.label(schedule.tenant_id).classes("text-weight-bold wrap-any")
            self._pipeline = ui.link(pipeline_path(schedule), f"/pipelines/{pipeline_path(schedule)}")
            self._pipeline.classes("wrap-any")
            address = RunsAddress(tenant=schedule.tenant_id, schedule=schedule.schedule_id)
            ui.link("Its runs", address.url()).classes("ml-auto")

    def _tiles(self) -> None:
        with ui.element("div").classes("grid-4"):
            with _tile("Next"):
                self._next = TimeText(self._schedule.created_at)
                self._no_next = ui.label(NOTHING)
            with _tile("Last run"):
                self._last = ui.link("", "#").classes("mono wrap-any")
                self._never = ui.label(NOTHING)
            with _tile("Failures in a row"):
                self._failures = ui.label().classes("num")
            with _tile("Missed ticks"):
                self._missed = ui.label().classes("num")

    def _ticks(self) -> None:
        with card("Ticks"):
            self._found = Awaited("No ticks.", "What becomes of each time that it fires is shown here.", lines=4)
            with self._found.box:
                self._tick_table = TickTable()
            self._pages = PageLinks(schedule_path(self._schedule) if self._token else "", names=NEWEST_FIRST)

    async def _refresh(self) -> None:
        client, was = self._page.session.client, self._schedule
        self._show(await client.get_schedule(was.tenant_id, was.schedule_id))
        ticks = await client.list_scheduled_runs(
            was.tenant_id, schedule_id=was.schedule_id, page_token=self._token, page_size=_TICKS
        )
        self._found.show(is_any=bool(ticks.scheduled_runs))
        self._tick_table.show(ticks.scheduled_runs, was.time_zone)
        token = ticks.next_page_token
        self._pages.show(f"{schedule_path(was)}?{urlencode({'ticks': token})}" if token else "")
        windows = await client.list_backfills(was.tenant_id, schedule_id=was.schedule_id, page_size=_WINDOWS)
        self._windows.visible = bool(windows.backfills)
        self._window_table.show(windows.backfills)

    def _show(self, schedule: Schedule) -> None:
        if schedule == self._shown:
            return
        self._shown = self._schedule = schedule
        set_chip(self._chip, Schedule.State.Name(schedule.state))
        self._reason.text = f"Paused: {schedule.pause_reason}"
        self._reason.visible = bool(schedule.pause_reason)
        self._pipeline.text = pipeline_path(schedule)
        self._pipeline.props["href"] = f"/pipelines/{pipeline_path(schedule)}"
        fires = schedule.next_fire_times
        self._next.visible, self._no_next.visible = bool(fires), not fires
        if fires:
            self._next.show(fires[0])
        self._last.visible, self._never.visible = bool(schedule.last_run), not schedule.last_run
        self._last.text = schedule.last_run[:8]
        self._last.props["href"] = f"/runs/{schedule.tenant_id}/{schedule.last_run}"
        self._failures.text = f"{schedule.consecutive_failures:,}"
        self._missed.text = f"{schedule.missed_ticks:,}"
        self._times.show(schedule)
        self._facts.clear()
        with self._facts:
            facts(settings_of(schedule))

    async def _pause(self) -> None:
        await pause(self._page, self._schedule)
        await self._look()

    async def _resume(self) -> None:
        await resume(self._page, self._schedule)
        await self._look()

    async def _look(self) -> None:
        async with telling():
            await self._refresh()

    async def _delete(self) -> None:
        schedule = self._schedule
        hint = "Its runs and the records of its ticks stay; a refresh window that goes on is cancelled."
        if not await ask(f"Delete {schedule.schedule_id}?", answer="Delete it", hint=hint):
            return
        async with telling():
            await self._page.session.client.delete_schedule(
                schedule.tenant_id, schedule.schedule_id, etag=schedule.etag
            )
            ui.navigate.to("/schedules")


def settings_of(schedule: Schedule) -> dict[str, str]:
    """What was asked for, by words for people; '' for what is not."""
    offset, refreshed, catch_up = schedule.date_offset_days, schedule.refresh_window_days, schedule.catch_up
    most = f", at most {catch_up.max_runs:,}" if catch_up.policy == Schedule.CatchUp.ALL else ""
    policy = Schedule.CatchUp.Policy.Name(catch_up.policy).lower()
    return {
        "description": schedule.description,
        "when": timing_text(schedule),
        "in words": cron_words(schedule.cron),
        "time zone": schedule.time_zone,
        "date": f"{offset:+,} days" if offset else "the day of the tick",
        "runs again": f"{refreshed:,} days before that date" if refreshed else "",
        "overlap": _name(Schedule.Overlap, schedule.overlap),
        "catch up": f"{policy}{most}, of the last {span_text(catch_up.window)}",
        "jitter": span_text(schedule.jitter),
        "pauses after": f"{schedule.pause_after_failures:,} failures in a row" if schedule.pause_after_failures else "",
        **{f"variable {name}": value for name, value in sorted(schedule.variables.items())},
        "starts": _moment(schedule.start_time),
        "ends": _moment(schedule.end_time),
        "created": _moment(schedule.created_at),
        "updated": _moment(schedule.updated_at),
    }


def _name(kind: Any, number: int) -> str:
    return str(kind.Name(number)).lower().replace("_", " ")


def _moment(stamp: Any) -> str:
    return f"{stamp.ToDatetime():%Y-%m-%d %H:%M:%S} UTC" if stamp.seconds else ""


def _tile(name: str) -> ui.element:
    with ui.element("div").classes("card tile") as box:
        ui.label(name).classes("small dim")
    return box
