"""The catalogue of pipelines."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from admin_ui.components.faults import fault_place
from admin_ui.components.parts import Awaited, card, empty
from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.values import NOTHING, length_text, pipeline_path
from admin_ui.frame import PAGE_SECONDS, Frame, frame
from admin_ui.telling import keep_showing
from convergence.v1.pipeline_service_pb2 import PipelineStatistics, PipelineSummary

_SECONDS = 10.0
_PERIOD = timedelta(days=7)
_LONGEST_TEXT = 200
_STATUSES = ("SUCCESS", "FAILED", "TIMED_OUT", "CANCELLED", "CANCELLING", "RUNNING", "PENDING")
_GOING_ON = frozenset({"CANCELLING", "RUNNING", "PENDING"})

_COLUMNS = {
    "path": "Pipeline",
    "description": "Description",
    "steps": "Steps",
    "state": "File",
    "runs": "Runs in 7 days",
    "rate": "Succeeded",
    "seconds": "Mean duration",
}
_SORTABLE = frozenset(_COLUMNS) - {"description"}
_SLOTS = {
    "path": '<q-td :props="props"><a :href="props.row.href" class="text-weight-medium">{{ props.row.name }}</a>'
    '<div class="small dim">{{ props.row.group }}</div></q-td>',
    "description": '<q-td :props="props" class="wide-cell"><div class="wrap-any">{{ props.value }}</div>'
    '<ul v-if="props.row.faults.length" class="faults"><li v-for="fault in props.row.faults">'
    '<div class="wrap-any">{{ fault.message }}</div>'
    '<div class="mono wrap-any">{{ fault.place }}</div></li></ul></q-td>',
    "steps": '<q-td :props="props" class="num"><span class="stack-label dim">Steps </span>{{ props.value }}</q-td>',
    "state": '<q-td :props="props"><span class="chip" :class="props.row.valid ? \'s-SUCCESS\' : \'s-FAILED\'">'
    "{{ props.value }}</span></q-td>",
    "runs": '<q-td :props="props"><span class="stack-label dim">7 days </span>'
    '<a v-if="props.value" :href="props.row.runs_href"'
    ' :title="props.row.counted" class="share"><span class="num">{{ props.value.toLocaleString("en") }}</span>'
    '<span class="share-bar"><i v-for="part in props.row.shares" :class="\'b-\' + part[0]"'
    ' :style="{ flexGrow: part[1] }"></i></span></a><span v-else class="dim">none</span></q-td>',
    "rate": '<q-td :props="props" class="num"><span class="stack-label dim">Succeeded </span>'
    "{{ props.row.rate_text }}</q-td>",
    "seconds": '<q-td :props="props" class="num"><span class="stack-label dim">Mean </span>'
    "{{ props.row.seconds_text }}</q-td>",
}


@ui.page("/pipelines", response_timeout=PAGE_SECONDS)
async def pipelines_page(request: Request) -> None:
    """Every pipeline that the service has a file for, also those that are broken, and how its runs went."""
    text = request.query_params.get("text", "")[:_LONGEST_TEXT]
    with frame("Pipelines", path="/pipelines") as page:
        _Pipelines(page, text)


class _Pipelines:
    def __init__(self, page: Frame, text: str) -> None:
        self._page = page
        self._rows: list[Row] | None = None
        self._text = text
        with ui.row().classes("w-full items-center gap-3"):
            box = ui.input("Filter", value=text, on_change=lambda event: self._narrow(event.value or ""))
            box.props(f"outlined dense clearable debounce=150 maxlength={_LONGEST_TEXT} type=search").classes(
                "search-box"
            )
            self._count = ui.label().classes("dim num").props("role=status")
        self._found = Awaited("There are no pipelines.", "The service reads them from its folder configs/.")
        with self._found.box:
            with card() as self._card:
                self._table = RowTable(
                    "Pipelines", _COLUMNS, _SLOTS, key="path", right=("steps", "rate", "seconds"), sortable=_SORTABLE
                )
            self._no_match = empty("No pipeline has that in its name, its description or its faults.")
        keep_showing(page, self._refresh, seconds=_SECONDS)

    async def _refresh(self) -> None:
        session = self._page.session
        now = datetime.now(UTC)
        found = [pipeline async for pipeline in session.client.iter_pipelines()]
        counted = await session.client.get_run_statistics(session.tenant_id, since=now - _PERIOD, until=now, buckets=1)
        self._rows = _rows(found, {pipeline_path(one): one for one in counted.pipelines})
        self._show()

    def _narrow(self, text: str) -> None:
        self._text = text
        ui.navigate.history.replace(f"/pipelines?{urlencode({'text': text})}" if text else "/pipelines")
        self._show()

    def _show(self) -> None:
        """The pipelines that have every word of the filter; nothing is sent when nothing has changed."""
        if self._rows is None:
            return
        words = self._text.lower().split()
        rows = [row for row in self._rows if all(word in row["searched"] for word in words)]
        self._table.show(rows)
        self._found.show(is_any=bool(self._rows))
        self._card.visible, self._no_match.visible = bool(rows), not rows
        self._count.text = f"{len(rows)} of {len(self._rows)}" if words else f"{len(rows)} pipelines"


def _rows(found: Iterable[PipelineSummary], counted: Mapping[str, PipelineStatistics]) -> list[Row]:
    return [{**_described(one), **_went(one, counted.get(pipeline_path(one)))} for one in found]


def _described(one: PipelineSummary) -> Row:
    path = pipeline_path(one)
    faults = [{"message": fault.message, "place": fault_place(fault)} for fault in one.faults]
    texts = [path, one.description, *(text for fault in faults for text in fault.values())]
    return {
        "path": path,
        "href": f"/pipelines/{path}",
        "name": one.template_name,
        "group": f"{one.provider} / {one.domain}" if one.domain else one.provider,
        "description": one.description,
        "steps": one.step_count,
        "valid": one.valid,
        "state": "VALID" if one.valid else "BROKEN",
        "faults": faults,
        "searched": " ".join(texts).lower(),
    }


def _went(one: PipelineSummary, counted: PipelineStatistics | None) -> Row:
    """How its runs of the period went."""
    by_status = dict(counted.runs_by_status) if counted else {}
    ended = sum(count for name, count in by_status.items() if name not in _GOING_ON)
    rate = by_status.get("SUCCESS", 0) / ended if ended else -1.0
    seconds = counted.mean_seconds if counted else 0.0
    shares = [(name, by_status[name]) for name in _STATUSES if by_status.get(name)]
    return {
        "runs": sum(by_status.values()),
        "runs_href": f"/runs?{urlencode({'pipeline': pipeline_path(one)})}",
        "shares": shares,
        "counted": ", ".join(f"{count:,} {name.lower().replace('_', ' ')}" for name, count in shares),
        "rate": rate,
        "rate_text": f"{100 * rate:.0f} %" if ended else NOTHING,
        "seconds": seconds,
        "seconds_text": length_text(seconds) or NOTHING,
    }
