"""What is wrong with an input, said once and completely.

A fault names its reason, its place and what would be right. Inputs are checked to the end, so that one
refusal lists everything there is to mend.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace


class Line(int):
    """A 1-based line of a file that knows its column, also 1-based."""

    column: int

    def __new__(cls, line: int, column: int) -> "Line":
        """A line that compares and counts as any other."""
        made = super().__new__(cls, line)
        made.column = column
        return made


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input."""

    reason: str
    """UPPER_SNAKE, stable: clients branch on it."""
    message: str
    """A sentence: what is wrong, and what would be right."""
    field: str = ""
    """Path of the value inside its file or request: `steps[0].source.query`, `variables.admin_email`."""
    file: str = ""
    """Path of the file relative to the configs folder's parent (`configs/gcp/cost/cost_billing.yml`), or ''."""
    line: int = 0
    """1-based line in `file`, 0 when unknown."""
    step: str = ""
    """The step_id the fault belongs to, or ''."""

    @property
    def column(self) -> int:
        """1-based column in `line`, 0 when unknown."""
        return self.line.column if isinstance(self.line, Line) else 0

    @property
    def position(self) -> str:
        """Where in the file it is: `configs/a.yml:12, step load`, or ''."""
        file = f"{self.file}:{self.line}" if self.line else self.file
        step = f"step {self.step}" if self.step else ""
        return ", ".join(part for part in (file, step) if part)

    @property
    def place(self) -> str:
        """Where it is, for a person: `configs/a.yml:12, step load, source.query`."""
        return ", ".join(part for part in (self.position, self.field) if part)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    def at(self, *, field: str = "", file: str = "", line: int = 0, step: str = "") -> "Fault":
        """The same fault with the parts of its place that were not known yet."""
        return replace(
            self,
            field=self.field or field,
            file=self.file or file,
            line=self.line or line,
            step=self.step or step,
        )


class Refused(Exception):
    """An input was refused; `faults` lists everything that is wrong with it (at least one)."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


def refuse(reason: str, message: str, *, field: str = "", step: str = "") -> Refused:
    """A refusal for a single fault: `raise refuse("INVALID_DATE", "...", field="date")`."""
    return Refused([Fault(reason=reason, message=message, field=field, step=step)])


class CannotStart(Exception):
    """A process cannot start; the message tells its operator what is wrong and what would be right."""
