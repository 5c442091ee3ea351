"""One backfill, live."""

from uuid import UUID

from nicegui import ui

from admin_ui.backfill_watch import follow_backfill
from admin_ui.components.backfill_facts import backfill_facts
from admin_ui.components.backfill_progress import ProgressBar, progress_text
from admin_ui.components.filter_form import choices
from admin_ui.components.parts import Awaited, action, ask, card, facts
from admin_ui.components.reasons import ask_reason
from admin_ui.components.run_table import RunTable
from admin_ui.components.values import TimeText, chip, name_text, pipeline_path, set_chip
from admin_ui.days import last_day
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.list_addresses import STATUSES, RunsAddress
from admin_ui.telling import keep_showing, showing, telling
from convergence.v1.backfill_pb2 import Backfill
from convergence.watching import BACKFILL_ENDED

_SECONDS = 3.0
_LATEST = 20


# An id is a UUID; what is none, such as `new`, is another page.
@ui.page("/backfills/{backfill_id:uuid}", response_timeout=PAGE_SECONDS)
async def backfill_page(backfill_id: UUID) -> None:
    """A backfill, as it goes on."""
    with frame("Backfill", path="/backfills") as page, showing(page):
        backfill = await page.session.client.get_backfill(str(backfill_id))
        _BackfillPage(page, backfill)


class _BackfillPage:
    def __init__(self, page: Frame, backfill: Backfill) -> None:
        self._page = page
        self._backfill = backfill
        self._counted: dict[str, int] | None = None
        ui.page_title(f"{pipeline_path(backfill)} {backfill.start_date} · Convergence")
        self._buttons()
        self._head()
        self._reason = ui.label().classes("note w-full wrap-any")
        with card("Progress"):
            self._bar = ProgressBar()
            self._progress = ui.label().classes("num")
            self._counts = ui.element("div").classes("w-full")
            self._times()
        for warning in backfill.warnings:
            ui.label(warning).classes("note w-full wrap-any")
        with card("Settings"):
            facts(backfill_facts(backfill, with_tenants=page.session.is_operator))
        with card("Latest runs"):
            self._found = Awaited("None of its runs has begun.", lines=4)
            with self._found.box:
                self._runs = RunTable(with_tenant=page.session.is_operator)
                ui.link("All of them", RunsAddress(backfill=backfill.backfill_id).url())
        self._show(backfill)
        follow_backfill(page, backfill.backfill_id, self._show)
        keep_showing(page, self._refresh, seconds=_SECONDS)

    def _buttons(self) -> None:
        if not self._page.session.may("runs:write"):
            return
        with self._page.head:
            pausing = action("Pause", self._pause, icon="pause")
            resuming = action("Resume", self._resume, icon="play_arrow")
            cancelling = action("Cancel", self._cancel, icon="block")
        pausing.bind_visibility_from(self, "_backfill", lambda one: one.state == Backfill.ACTIVE)
        resuming.bind_visibility_from(self, "_backfill", lambda one: one.state == Backfill.PAUSED)
        cancelling.bind_visibility_from(
            self, "_backfill", lambda one: one.state not in BACKFILL_ENDED | {Backfill.CANCELLING}
        )

    def _head(self) -> None:
        backfill = self._backfill
        with ui.row().classes("w-full items-center gap-3"):
            self._chip = chip(Backfill.State.Name(backfill.state))
            path = pipeline_path(backfill)
            ui.link(path, f"/pipelines/{path}").classes("text-weight-bold wrap-any")
            ui.label(f"{backfill.start_date} to {last_day(backfill)}").classes("num")
            ui.label(backfill.backfill_id).classes("mono dim wrap-any")

    def _times(self) -> None:
        with ui.element("div").classes("flex flex-wrap gap-4 dim small"):
            with ui.row().classes("gap-1"):
                ui.label("Started")
                TimeText(self._backfill.created_at)
            with ui.row().classes("gap-1") as self._ended_row:
                ui.label("Ended")
                self._ended = TimeText(self._backfill.finished_at)

    def _show(self, backfill: Backfill) -> None:
        """How it stands now."""
        self._backfill = backfill
        set_chip(self._chip, Backfill.State.Name(backfill.state))
        self._reason.text, self._reason.visible = backfill.reason, bool(backfill.reason)
        self._bar.show(backfill)
        self._progress.text = progress_text(backfill)
        self._ended.show(backfill.finished_at)
        self._ended_row.visible = bool(backfill.finished_at.seconds)
        counted = dict(backfill.runs_by_status) | {"waiting": backfill.waiting_runs, "skipped": backfill.skipped_days}
        if counted != self._counted:
            self._counted = counted
            self._show_counts()

    def _show_counts(self) -> None:
        backfill = self._backfill
        everywhere = RunsAddress(backfill=backfill.backfill_id)
        links = {
            f"{name_text(name)} {count:,}": (everywhere.url(status=(name,)), False)
            for name in STATUSES
            if (count := backfill.runs_by_status.get(name, 0))
        }
        self._counts.clear()
        with self._counts:
            choices("Runs by status", links)
            waits = f"{backfill.waiting_runs:,} have not begun" if backfill.waiting_runs else ""
            skipped = f"{backfill.skipped_days:,} days left out" if backfill.skipped_days else ""
            if told_of := ", ".join(part for part in (waits, skipped) if part):
                ui.label(told_of).classes("dim small mt-2")

    async def _refresh(self) -> None:
        session = self._page.session
        found = await session.client.list_runs(
            session.tenant_id, backfill_id=self._backfill.backfill_id, page_size=_LATEST
        )
        self._found.show(is_any=bool(found.runs))
        self._runs.show(found.runs)

    async def _pause(self) -> None:
        hint = "Runs that have begun go on."
        reason = await ask_reason("Pause this backfill?", answer="Pause it", hint=hint)
        if reason is not None:
            async with telling():
                self._show(await self._page.session.client.pause_backfill(self._backfill.backfill_id, reason=reason))

    async def _resume(self) -> None:
        async with telling():
            self._show(await self._page.session.client.resume_backfill(self._backfill.backfill_id))

    async def _cancel(self) -> None:
        hint = "Its runs that have begun are cancelled, too. What has been written stays."
        if await ask("Cancel this backfill?", answer="Cancel it", hint=hint):
            async with telling():
                self._show(await self._page.session.client.cancel_backfill(self._backfill.backfill_id))
