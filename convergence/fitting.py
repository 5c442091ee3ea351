"""Lists with one line a row in any terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from convergence.output import clean, table

_GAP = 2
_PIPELINE_WIDTH = 8


class FittingTable:
    """Leaves columns out until a row fits into a line of the terminal; PIPELINE is shortened first. A file gets all.

    Args:
        rows: at least one; each has a cell for every column.
        expendable: columns in the order in which they are left out, where there are such.
        numbers: columns that are aligned to the right.
        whole: columns that are never shortened.
        below: columns that are not left out: each cell gets a line of its own, below its row.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, str | Text]],
        *,
        expendable: Sequence[str],
        numbers: Sequence[str],
        whole: Sequence[str],
        below: Sequence[str] = (),
    ) -> None:
        self._rows = [{name: _cell(value) for name, value in row.items()} for row in rows]
        self._expendable = [name for name in expendable if name in self._rows[0]]
        self._numbers = numbers
        self._whole = whole
        self._below = below

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = {name: max(len(name), *(row[name].cell_len for row in self._rows)) for name in self._rows[0]}
        names = self._fitting(widths, options.max_width) if console.is_terminal else list(widths)
        rows = [[row[name] for name in names] for row in self._rows]
        made = table(*names, rows=rows, numbers=self._numbers, whole=self._whole, shortened=console.is_terminal)
        below = [name for name in self._below if name not in names]
        if not below:
            yield made
            return
        head, *lines = console.render_lines(made, options, pad=False)
        yield from _line(head)
        for line, row in zip(lines, self._rows, strict=True):
            yield from _line(line)
            yield from (Text("  ").append_text(row[name]) for name in below if row[name])

    def _fitting(self, widths: dict[str, int], width: int) -> list[str]:
        names = list(widths)
        for name in self._expendable:
            if name == "PIPELINE":
                widths[name] = min(widths[name], _PIPELINE_WIDTH)
            if sum(widths[kept] + _GAP for kept in names) - _GAP <= width:
                break
            names.remove(name)
        return names


def _line(segments: Sequence[Segment]) -> RenderResult:
    yield from segments
    yield Segment.line()


def _cell(value: str | Text) -> Text:
    return value if isinstance(value, Text) else Text(clean(value))
