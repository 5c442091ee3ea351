"""What can be wrong with a file: records that are left out and reported, and files that cannot be read at all."""

from dataclasses import dataclass

MOST_REPORTED = 100
"""Bad records of a file that are told one by one; all of them are counted."""


class FileFault(Exception):
    """A file cannot be read, or does not fit the table, in a sentence that the tenant may read."""


class ReadingStopped(Exception):
    """Somebody called `FileReader.interrupt`."""


@dataclass(frozen=True)
class BadRecord:
    """A record that is not in the result."""

    file: str
    line: int
    """Where the record begins, counted from 1 in the file as it is unpacked. For Parquet the number of the row."""
    column: str | None
    """As the file calls it; None when the fault is the record's."""
    reason: str

    def __str__(self) -> str:
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}, line {self.line}{column}: {self.reason}"
