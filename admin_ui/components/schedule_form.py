"""The form of a schedule, with when it would fire."""

import time
from collections.abc import Mapping, Sequence

from nicegui import ui

from admin_ui.components.next_times import NextTimes
from admin_ui.components.parts import action, card
from admin_ui.components.schedule_fields import ScheduleFields, changed_paths
from admin_ui.components.schedule_table import schedule_path
from admin_ui.frame import Frame
from admin_ui.telling import leave
from convergence.errors import Aborted, ConvergenceError, Unauthenticated
from convergence.v1.schedule_service_pb2 import Schedule

_QUIET_SECONDS = 0.6
_LOOK_SECONDS = 0.2
_UNFINISHED = "Say for whom, what and when: then the times it would fire are told here."


class ScheduleForm:
    """Makes a schedule, or changes the one that is given with its etag."""

    def __init__(
        self, page: Frame, given: Schedule, *, tenants: Sequence[str] | None, pipelines: Mapping[str, str]
    ) -> None:
        self._page = page
        self._given = given
        self._changed_at = time.monotonic()
        self._edition = 0
        with ui.element("div").classes("form-page"):
            with ui.element("div").classes("form-part"):
                self._fields = ScheduleFields(given, tenants=tenants, pipelines=pipelines, on_change=self._on_change)
            with ui.element("div").classes("form-part form-side"):
                with card("Fires next"):
                    self._times = NextTimes()
                self._fields.form.rest()
                self._anew = ui.button("Load it anew", on_click=ui.navigate.reload).props("no-caps outline dense")
                self._anew.classes("px-3 self-start").visible = False
                with ui.row().classes("w-full items-center gap-2"):
                    action("Save" if given.etag else "Create schedule", self._send, is_main=True)
                    target = schedule_path(given) if given.etag else "/schedules"
                    ui.link("Leave it", target)
        self._times.show(None, _UNFINISHED)
        self._fields.on_pipeline(self._load_variables)
        ui.timer(0.01, self._load_variables, once=True)
        ui.timer(_LOOK_SECONDS, self._look)

    def _on_change(self) -> None:
        self._changed_at = time.monotonic()
        self._edition += 1

    async def _load_variables(self) -> None:
        await self._fields.variables.load(self._page.session, self._fields.pipeline)

    async def _look(self) -> None:
        """Once nobody has typed for a moment, ask what the schedule would do."""
        changed_at = self._changed_at
        if not changed_at or time.monotonic() - changed_at < _QUIET_SECONDS:
            return
        self._changed_at, edition = 0.0, self._edition
        if not self._fields.is_begun:
            self._times.show(None, _UNFINISHED)
            return
        try:
            schedule = self._fields.read()
            if self._given.etag:
                # It exists, and only one that does not can be made.
                schedule.schedule_id = ""
            found = await self._page.session.client.preview_schedule(schedule)
        except Unauthenticated:
            leave()
            return
        except ConvergenceError as error:
            if edition == self._edition:
                self._times.show(None, "The fields have to be right first.")
                self._fields.form.show(error)
            return
        if edition == self._edition:
            self._fields.form.clear_faults()
            self._times.show(found)

    async def _send(self) -> None:
        # What is asked meanwhile about the times is not to hide why this is refused.
        self._changed_at, self._edition = 0.0, self._edition + 1
        form = self._fields.form
        made = await form.send(self._update if self._given.etag else self._create)
        self._anew.visible = isinstance(form.refused, Aborted)
        if made is not None:
            ui.navigate.to(schedule_path(made))

    async def _create(self, request_id: str) -> Schedule:
        return await self._page.session.client.create_schedule(self._fields.read(), request_id=request_id)

    async def _update(self, _: str) -> Schedule:
        schedule = self._fields.read()
        paths = changed_paths(self._given, schedule)
        return await self._page.session.client.update_schedule(schedule, paths) if paths else self._given
