"""`python -m server.validate PATH...`: checks pipeline files, suites and plans without a server.

`convergence validate` is the same. Each fault is a line, `file:line:column: [REASON] message`, as editors read them.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from server.domain.faults import CannotStart, Fault
from server.registry import Registry
from server.settings import Settings
from server.validation import Checked, Validation, schemas

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


@app.command()
def validate(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files, or folders with all that is in them.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    schema: Annotated[
        Literal["pipeline", "suite", "plans"] | None,
        typer.Option("--schema", help="Print the JSON Schema of such files instead."),
    ] = None,
) -> None:
    """Check pipeline files; exit code 1 when something is wrong with them."""
    settings = Settings.from_environment()
    registry = Registry(folder=settings.processors_dir)
    if schema:
        _print(json.dumps(schemas(registry)[schema](), indent=2))
        return
    if not paths:
        raise typer.BadParameter("give files or folders", param_hint="PATH")
    validation = Validation(registry, templates=settings.ps_templates_dir, project=settings.project)
    found = list(validation.check(paths))
    _print(json.dumps(_as_json(found), indent=2) if as_json else "\n".join(_lines(found)))
    raise typer.Exit(1 if any(one.faults for one in found) else 0)


def _lines(found: Sequence[Checked]) -> Iterator[str]:
    for one in found:
        for fault in one.faults:
            place = ":".join(str(part) for part in (_shown(one.place(fault)), fault.line, fault.column) if part)
            about = ", ".join(part for part in (f"step {fault.step}" if fault.step else "", fault.field) if part)
            yield f"{place}: [{fault.reason}] {about + ': ' if about else ''}{fault.message}"
    wrong = sum(bool(one.faults) for one in found)
    files = "1 file" if len(found) == 1 else f"{len(found):,} files"
    well = "all is well" if found else "the server reads none of what was named"
    yield f"{files}: {f'{wrong:,} with faults' if wrong else well}"


def _as_json(found: Sequence[Checked]) -> dict[str, Any]:
    return {"files": len(found), "faults": [_fault(one, fault) for one in found for fault in one.faults]}


def _fault(one: Checked, fault: Fault) -> dict[str, Any]:
    return {
        "path": _shown(one.place(fault)),
        "line": int(fault.line),
        "column": fault.column,
        "reason": fault.reason,
        "step": fault.step,
        "field": fault.field,
        "message": fault.message,
    }


def _shown(path: Path) -> str:
    """As somebody would write it who stands here."""
    return os.path.relpath(path) if path.is_absolute() else str(path)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    """Check what the arguments name; 2 when that cannot be done."""
    try:
        app()
    except CannotStart as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
