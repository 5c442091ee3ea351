"""One run, live."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from urllib.parse import urlencode

from nicegui import ui

from admin_ui.components.parts import action, ask, card, facts
from admin_ui.components.run_inputs import RunInputs
from admin_ui.components.run_log import RunLog
from admin_ui.components.run_results import RunResults
from admin_ui.components.run_table import run_path
from admin_ui.components.timeline import Timeline
from admin_ui.components.values import (
    NOTHING,
    TimeText,
    bytes_text,
    chip,
    count_text,
    length_text,
    name_text,
    pipeline_path,
    seconds_between,
    set_chip,
)
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.run_watch import follow
from admin_ui.telling import showing, telling
from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run, RunEvent, StepRun
from convergence.watching import ENDED

_DRAW_SECONDS = 1.0
_QUEUE_SECONDS = 3.0
_MOST_RESULTS = 200


@ui.page("/runs/{tenant_id}/{run_id}", response_timeout=PAGE_SECONDS)
async def run_page(tenant_id: str, run_id: str) -> None:
    """What a run is, does and was given."""
    with frame("Run", path="/runs") as page, showing(page):
        run = await page.session.client.get_run(tenant_id, run_id)
        page.rename(f"{run.pipeline_id}, {run.date}")
        _RunPage(page, run)


class _RunPage:
    def __init__(self, page: Frame, run: Run) -> None:
        self._page = page
        self._run = run
        self._head()
        self._problem = ui.label().classes("problem").props("role=alert")
        self._facts()
        with card("Steps"):
            self._timeline = Timeline(run)
        with card():
            self._log = RunLog(f"{run_path(run)}/log")
        self._inputs = RunInputs()
        self._results = RunResults()
        self._show(run)
        follow(page, run.tenant_id, run.pipeline_logging_id, self._on_event)
        self._drawing = ui.timer(_DRAW_SECONDS, self._draw)
        self._queue_looks = ui.timer(_QUEUE_SECONDS, self._look_at_queue)
        ui.timer(0.01, self._load, once=True)

    def _head(self) -> None:
        run = self._run
        with ui.row().classes("w-full items-center gap-3"):
            self._chip = chip(Run.Status.Name(run.status))
            ui.label(run.pipeline_logging_id).classes("mono dim wrap-any")
            self._neighbours = ui.row().classes("ml-auto gap-3")
        self._page.head.visible = self._page.session.may("runs:write")
        with self._page.head:
            self._cancel_button = action("Cancel", self._cancel, icon="block")
            self._retry_button = action("Retry", self._retry, icon="replay")
            query = urlencode(
                {"tenant": run.tenant_id, "date": run.date, **{f"v.{k}": v for k, v in run.variables.items()}}
            )
            ui.button("Run with changes", icon="edit").props(
                f'href="/pipelines/{pipeline_path(run)}?{query}" no-caps outline dense color=primary'
            ).classes("px-3")

    def _facts(self) -> None:
        run = self._run
        with ui.element("div").classes("grid-4"):
            with _tile("Accepted"):
                TimeText(run.created_at)
            with _tile("Started"):
                self._started = TimeText(run.started_at)
            with _tile("Ended"):
                self._ended = TimeText(run.finished_at)
            with _tile("Duration"):
                self._took = ui.label().classes("num")
        with card():
            with ui.row().classes("gap-3"):
                ui.link(pipeline_path(run), f"/pipelines/{pipeline_path(run)}")
                if run.schedule_id:
                    ui.link(f"schedule {run.schedule_id}", f"/schedules/{run.tenant_id}/{run.schedule_id}")
                if run.backfill_id:
                    ui.link(f"backfill {run.backfill_id}", f"/backfills/{run.backfill_id}")
                if run.retry_of:
                    ui.link(f"retries {run.retry_of}", f"/runs/{run.tenant_id}/{run.retry_of}")
            facts(
                {
                    "tenant": run.tenant_id,
                    "trigger": name_text(Run.Trigger.Name(run.trigger)),
                    "asked for by": run.created_by,
                    "config": run.config_hash[:16],
                }
            )
            self._waits = ui.label(waiting_text(run))
            self._costs = ui.label().classes("dim small")

    def _show(self, run: Run) -> None:
        """What of the page depends on how the run stands."""
        set_chip(self._chip, Run.Status.Name(run.status))
        ended = run.status in ENDED
        self._cancel_button.visible = not ended
        self._retry_button.visible = ended and run.status != Run.SUCCESS
        self._problem.visible = bool(run.error_message)
        self._problem.text = run.error_message

    def _on_event(self, event: RunEvent) -> None:
        self._log.add(event)
        kind = event.WhichOneof("event")
        if kind == "step":
            self._timeline.update_step(event.step)
        elif kind == "run":
            was_open = self._run.status not in ENDED
            self._run.MergeFrom(Run(status=event.run.status, started_at=event.run.started_at))
            self._run.finished_at.CopyFrom(event.run.finished_at)
            self._run.error_message, self._run.failed_step = event.run.error_message, event.run.failed_step
            self._timeline.update_run(event.run)
            self._show(self._run)
            if was_open and event.run.status in ENDED:
                ui.timer(0.01, self._load, once=True)

    def _draw(self) -> None:
        run = self._run
        self._log.send()
        self._timeline.draw()
        self._took.text = length_text(seconds_between(run.started_at, run.finished_at)) or NOTHING
        self._started.show(run.started_at)
        self._ended.show(run.finished_at)
        if run.status in ENDED:
            # What came last is shown, and nothing more comes.
            self._drawing.interval = 3.0

    async def _load(self) -> None:
        """What is asked for when the page is opened and when the run ends: inputs, checks, writes, neighbours."""
        client, run = self._page.session.client, self._run
        async with telling():
            inputs = await client.get_run_inputs(run.tenant_id, run.pipeline_logging_id)
            self._inputs.show(list(inputs.steps))
            found = await client.list_data_quality_results(
                run.tenant_id, pipeline_logging_id=run.pipeline_logging_id, page_size=_MOST_RESULTS
            )
            self._results.show_checks(list(found.results), is_all=not found.next_page_token)
            latest = await client.get_run(run.tenant_id, run.pipeline_logging_id)
            self._results.show_writes(list(latest.steps))
            self._show_costs(list(latest.steps))
            await self._show_neighbours()

    async def _look_at_queue(self) -> None:
        """Ask why it waits, which changes without an event."""
        run = self._run
        if run.status == Run.PENDING:
            with suppress(ConvergenceError):
                found = await self._page.session.client.get_run(run.tenant_id, run.pipeline_logging_id)
                self._waits.text = waiting_text(found)
        else:
            self._waits.text = ""
            self._queue_looks.deactivate()

    def _show_costs(self, steps: list[StepRun]) -> None:
        billed = sum(step.bytes_billed for step in steps)
        told = (
            count_text(sum(step.rows_processed for step in steps), "row"),
            f"{bytes_text(sum(step.bytes_processed for step in steps))} read",
            f"{bytes_text(billed)} billed{self._price(billed)}",
            f"{sum(step.slot_milliseconds for step in steps) / 1000:,.1f} slot seconds",
        )
        self._costs.text = " · ".join(told)

    def _price(self, billed: int) -> str:
        """What that costs, where it costs anything."""
        price = billed / 2**40 * self._page.session.info.price_per_tib_usd
        return f", {price:.4f} USD" if price >= 0.0001 else ""

    async def _show_neighbours(self) -> None:
        """The runs of the pipeline right before and behind this one."""
        client, run = self._page.session.client, self._run
        moment = run.created_at.ToDatetime(UTC)
        earlier = await client.list_runs(run.tenant_id, pipeline=run.pipeline_id, created_before=moment, page_size=1)
        later = await client.list_runs(
            run.tenant_id, pipeline=run.pipeline_id, created_after=moment, oldest_first=True, page_size=2
        )
        others = [one for one in later.runs if one.pipeline_logging_id != run.pipeline_logging_id]
        self._neighbours.clear()
        with self._neighbours:
            for name, found in (("← Earlier", list(earlier.runs)), ("Later →", others)):
                if found:
                    ui.link(name, run_path(found[0]))

    async def _cancel(self) -> None:
        run = self._run
        if await ask("Cancel this run?", answer="Cancel it", hint="What a step has written stays."):
            async with telling():
                await self._page.session.client.cancel_run(run.tenant_id, run.pipeline_logging_id)

    async def _retry(self) -> None:
        run = self._run
        async with telling():
            again = await self._page.session.client.retry_run(run.tenant_id, run.pipeline_logging_id)
            ui.navigate.to(run_path(again))


@contextmanager
def _tile(name: str) -> Iterator[None]:
    with ui.element("div").classes("card tile"):
        ui.label(name).classes("small dim")
        yield


def waiting_text(run: Run) -> str:
    """Why the run has not begun; '' when it has."""
    return f"Waits: {run.wait_reason}, place {run.queue_position:,}" if run.wait_reason else ""
