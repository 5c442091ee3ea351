"""BigQuery's names for the columns of a file: `[A-Za-z_][A-Za-z0-9_]{0,299}`, unique without regard to case."""

import re
from collections.abc import Sequence
from typing import Literal

from processors.files.faults import FileFault

_LONGEST = 300


def column_names(headers: Sequence[str], rule: Literal["keep", "snake_case"], file: str) -> list[str]:
    """A column name for each header, in their order; of those that are the same, the later ones get `_2`, `_3`.

    Real Cost and Usage Reports have both `resourceTags/user:Name` and `resourceTags/user:name`.

    Raises:
        FileFault: headers that no name can be made of, all of them with their positions.
    """
    named = [_snake_case(header) if rule == "snake_case" else _kept(header) for header in headers]
    nameless = [
        f"column {place} is called {header!r}" if header.strip() else f"column {place} has no name"
        for place, (header, name) in enumerate(zip(headers, named, strict=True), 1)
        if not name
    ]
    if nameless:
        raise FileFault(f"{file}: {', '.join(nameless)}; a name needs a letter or a digit")
    return _unique([_legal(name) for name in named])


def _kept(header: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", header.strip())


def _snake_case(header: str) -> str:
    """The column name that AWS gives a column of a Cost and Usage Report in Athena.

    Source: AWS Cost and Usage Reports User Guide, "Running Athena queries", "Column names": an underscore in front of
    uppercase letters, lower case, underscores for other characters, no duplicate, leading and trailing underscores; of
    a name that is too long, underscores are removed from left to right. `savingsPlan/SavingsPlanARN` is
    `savings_plan_savings_plan_a_r_n`, also in CUR 2.0.
    """
    spread = re.sub(r"([A-Z])", r"_\1", header).lower()
    name = re.sub(r"_+", "_", re.sub(r"[^a-z0-9]", "_", spread)).strip("_")
    return name.replace("_", "", max(0, len(name) - _LONGEST))


def _legal(name: str) -> str:
    return (f"_{name}" if name[0].isdigit() else name)[:_LONGEST]


def _unique(names: Sequence[str]) -> list[str]:
    """A number is taken only when no column of the file has the name already."""
    taken = {name.lower() for name in names}
    seen = set[str]()
    unique = []
    for name in names:
        chosen, number = name, 1
        while chosen.lower() in (seen if number == 1 else taken):
            number += 1
            chosen = f"{name[: _LONGEST - len(str(number)) - 1]}_{number}"
        seen.add(chosen.lower())
        taken.add(chosen.lower())
        unique.append(chosen)
    return unique
