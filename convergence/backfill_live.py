"""Shows a backfill while it happens: a bar that grows in place, plain lines, or JSON documents."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from convergence.backfill_tables import ended_runs, headline, progress, warning_lines
from convergence.live import drawn
from convergence.output import as_dict, print_json
from convergence.v1.backfill_pb2 import Backfill

_BAR_WIDTH = 60


class View(Protocol):
    """Takes the states of a backfill, one by one."""

    def show(self, backfill: Backfill) -> None:
        """Show how it is."""
        ...


async def follow_backfill(
    backfill: Backfill, states: AsyncIterator[Backfill], output: Console, *, as_json: bool
) -> Backfill:
    """Show a backfill's states to their end; answers with the last one.

    Args:
        backfill: as it is known already.
        states: of that backfill.
        output: a terminal gets the bar, anything else plain lines.
    """
    if as_json:
        return await _feed(backfill, states, JsonStates())
    if not output.is_terminal:
        return await _feed(backfill, states, PlainLines(backfill, output))
    board = Board(backfill)
    async with drawn(board, output):
        return await _feed(backfill, states, board)


async def _feed(backfill: Backfill, states: AsyncIterator[Backfill], view: View) -> Backfill:
    async for state in states:
        backfill = state
        view.show(state)
    return backfill


class JsonStates:
    """One JSON document for each state, on a line of its own."""

    def show(self, backfill: Backfill) -> None:
        """Print the state."""
        print_json(as_dict(backfill))


class PlainLines:
    """One line for each state: for files, pipes and dumb terminals."""

    def __init__(self, backfill: Backfill, output: Console) -> None:
        self._output = output
        for line in warning_lines(backfill):
            output.print(line, soft_wrap=True)
        output.print("Times are UTC.")

    def show(self, backfill: Backfill) -> None:
        """Print the state, with the time at which it came."""
        came = f"{datetime.now(UTC):%H:%M:%S} {Backfill.State.Name(backfill.state)} "
        self._output.print(Text(came).append_text(progress(backfill)), soft_wrap=True)


class Board:
    """How far the backfill is, as a bar, and what became of its runs."""

    def __init__(self, backfill: Backfill) -> None:
        self._backfill = backfill

    def show(self, backfill: Backfill) -> None:
        """Take the state in; the next drawing has it."""
        self._backfill = backfill

    def __rich__(self) -> RenderableType:
        warnings = warning_lines(self._backfill)
        return Group(headline(self._backfill), Text(), self._bar(), progress(self._backfill), *warnings)

    def _bar(self) -> RenderableType:
        # Of no runs all have ended.
        total = self._backfill.total_runs or 1
        ended = ended_runs(self._backfill) if self._backfill.total_runs else 1
        # Without the grid the bar would not end its line.
        line = Table.grid()
        line.add_row(ProgressBar(total, ended, width=_BAR_WIDTH, complete_style="cyan", finished_style="cyan"))
        return line
