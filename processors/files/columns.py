"""The columns of a file, and what the table says of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processors.files.faults import FileFault
from processors.files.names import column_names
from processors.files.options import Field_, ReadOptions


@dataclass(frozen=True)
class Column:
    """A column of a file that is read."""

    position: int
    """In the file, from 0."""
    header: str
    """As the file calls it."""
    name: str
    field: Field_ | None
    """The table's field; None when the type is to be detected."""


def columns_of(
    headers: Sequence[str], wanted: Iterable[Field_], options: ReadOptions, file: str, *, detect: bool
) -> list[Column]:
    """The columns to read, in the file's order; names match the table's without regard to case.

    Raises:
        FileFault: headers that make no names, or columns that the table lacks when they are neither detected nor
            ignored, all of them.
    """
    fields = {field["name"].lower(): field for field in wanted}
    named = column_names(headers, options.column_names, file)
    found = [
        Column(position, header, str(field["name"]) if field else name, field)
        for position, (header, name) in enumerate(zip(headers, named, strict=True))
        for field in [fields.get(name.lower())]
    ]
    if detect:
        return found
    unknown = [column.name for column in found if column.field is None]
    if unknown and not options.ignore_unknown_values:
        raise FileFault(
            f"{file}: the file has columns that the table lacks: {', '.join(unknown)}; "
            "allow_field_addition adds them, ignore_unknown_values leaves them out"
        )
    return [column for column in found if column.field is not None]
