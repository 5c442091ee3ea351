"""What a benchmark finds."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROUNDS = 3
"""Repetitions of what is measured."""


@dataclass(frozen=True)
class Reach:
    """What a figure should come to."""

    number: float
    is_least: bool
    of_limit: bool

    def __str__(self) -> str:
        sign = "≥" if self.is_least else "≤"
        return f"{sign} {self.number:g}{' of limit' if self.of_limit else ''}"


def at_least(number: float) -> Reach:
    """The figure itself."""
    return Reach(number, is_least=True, of_limit=False)


def at_most(number: float) -> Reach:
    """The figure itself."""
    return Reach(number, is_least=False, of_limit=False)


def at_least_of_limit(number: float) -> Reach:
    """The figure, as a multiple of its limit."""
    return Reach(number, is_least=True, of_limit=True)


def at_most_of_limit(number: float) -> Reach:
    """The figure, as a multiple of its limit."""
    return Reach(number, is_least=False, of_limit=True)


@dataclass(frozen=True)
class Figure:
    """One number: the median over the repetitions, unless its name says otherwise."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    """What the machine, or the same thing in other circumstances, gave in the same run; in the same unit."""
    limit_name: str = ""
    reach: Reach | None = None

    @property
    def ratio(self) -> float | None:
        """Of the limit."""
        return self.value / self.limit if self.limit else None

    @property
    def is_reached(self) -> bool | None:
        """Whether it comes to what it should; None where nothing is wanted."""
        if self.reach is None:
            return None
        measured = self.ratio if self.reach.of_limit else self.value
        if measured is None:
            return None
        return measured >= self.reach.number if self.reach.is_least else measured <= self.reach.number

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "limit": None if self.limit is None else round(self.limit, 4),
            "limit_name": self.limit_name,
            "ratio": None if self.ratio is None else round(self.ratio, 4),
            "reach": str(self.reach) if self.reach else "",
            "is_reached": self.is_reached,
        }


async def medians(measure: Callable[[Path], Awaitable[Sequence[Figure]]], folder: Path) -> list[Figure]:
    """Measure several times, in folders of their own: the median of each figure, and that of its limit."""
    rounds = [await measure(folder / str(number)) for number in range(ROUNDS)]
    return [
        replace(
            same[0],
            value=statistics.median(figure.value for figure in same),
            limit=None if same[0].limit is None else statistics.median(figure.limit or 0 for figure in same),
        )
        for same in zip(*rounds, strict=True)
    ]


def centile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent are not above."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
