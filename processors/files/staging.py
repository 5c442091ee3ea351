"""From the cells of a file to typed rows in Parquet: what all formats have in common.

A source says for each column which SQL gives the cell, which the value of a cell, and which the reason to refuse it.
One statement converts, writes the good rows and counts the others; only when there are some, a second one that keeps
the order of rows finds out which they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from processors.files.columns import Column
from processors.files.duck import Duck
from processors.files.faults import MOST_REPORTED
from processors.files.values import is_required, null_refusal, quoted


@dataclass(frozen=True)
class Cell:
    """How a column is read: `value` and `refusal` are SQL that name the cell `s<n>`, and the refusal the value `v<n>`.

    `n` is the column's place in the sequence of cells.
    """

    column: Column
    source: str
    """The SQL of the cell, over the rows of the file."""
    value: str
    refusal: str | None
    """The SQL of why the cell is refused, NULL for a good one; None when no cell ever is."""


@dataclass(frozen=True)
class Refused:
    """A row that the conversion refused."""

    ordinal: int
    """The place of the row among those that the file's structure lets pass, from 1."""
    column: Column | None
    reason: str


def not_null(column: Column, cell: str | None, place: int) -> str | None:
    """The refusal of a cell, with that of NULL added for a REQUIRED column."""
    if column.field is None or not is_required(column.field):
        return cell
    null = f"CASE WHEN v{place} IS NULL THEN {null_refusal()} END"
    return null if cell is None else f"coalesce({cell}, {null})"


def stage(duck: Duck, rows: str, cells: Sequence[Cell], into: Path, refused_row: str | None = None) -> tuple[int, int]:
    """Write the good rows of the SQL `rows` to a Parquet file with the columns' names.

    `refused_row` is the SQL of why a whole row is refused. Returns how many rows are good and how many are not.
    """
    duck.rows("CREATE OR REPLACE TEMP SEQUENCE refused")
    refusals = _refusals(cells, refused_row)
    # A branch of CASE runs for the rows that it is for, so that the sequence counts exactly these.
    good = f"CASE WHEN {_first(refusals)} IS NULL THEN true ELSE nextval('refused') IS NULL END"
    chosen = ", ".join(f"v{place} AS {quoted(cell.column.name)}" for place, cell in enumerate(cells))
    written = duck.copy(f"SELECT {chosen} FROM ({_values(rows, cells)}) WHERE {good}", into)  # noqa: S608
    (following,) = duck.row("SELECT nextval('refused')")
    return written, int(following) - 1


def refused_rows(duck: Duck, rows: str, cells: Sequence[Cell], refused_row: str | None = None) -> list[Refused]:
    """The first rows that `stage` refused, each with its first fault; `duck` is an ordered one.

    `rows` has a column `ordinal` besides.
    """
    refusals = _refusals(cells, refused_row)
    places = [None] * (refused_row is not None) + [place for place, cell in enumerate(cells) if cell.refusal]
    which = " ".join(
        f"WHEN {why} IS NOT NULL THEN {-1 if place is None else place}"
        for why, place in zip(refusals, places, strict=True)
    )
    found = duck.rows(
        f"SELECT ordinal, CASE {which} END, {_first(refusals)} AS why "  # noqa: S608
        f"FROM ({_values(rows, cells, 'ordinal, ')}) WHERE why IS NOT NULL ORDER BY ordinal LIMIT {MOST_REPORTED}"
    )
    return [Refused(ordinal, cells[place].column if place >= 0 else None, why) for ordinal, place, why in found]


def _refusals(cells: Sequence[Cell], refused_row: str | None) -> list[str]:
    return [*([refused_row] if refused_row else []), *(cell.refusal for cell in cells if cell.refusal)]


def _first(refusals: Sequence[str]) -> str:
    return f"coalesce({', '.join(refusals)})" if refusals else "NULL"


def _values(rows: str, cells: Sequence[Cell], more: str = "") -> str:
    """The rows with each cell as `s<n>` and its value as `v<n>`: each is computed once."""
    sources = ", ".join(f"{cell.source} AS s{place}" for place, cell in enumerate(cells))
    values = ", ".join(f"{cell.value} AS v{place}" for place, cell in enumerate(cells))
    return f"SELECT *, {values} FROM (SELECT *, {sources} FROM ({rows}))"  # noqa: S608
