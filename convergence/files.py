"""Checks pipeline files on this machine, by the server's own checks: they are there where it is installed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from convergence.session import EXIT_REFUSED, current_session

_CHECKS = "server.validate"
# The code itself is in every installation; what it is made of comes with the extra.
_OF_THE_EXTRA = ("pydantic_settings", "sqlglot", "yaml")


def validate(
    ctx: typer.Context,
    paths: Annotated[list[Path] | None, typer.Argument(help="Files, or folders with all that is in them.")] = None,
    *,
    schema: Annotated[
        Literal["pipeline", "suite", "plans"] | None,
        typer.Option("--schema", help="Print the JSON Schema of such files instead."),
    ] = None,
) -> None:
    """Check pipeline files, suites and plans without a server; exit code 1 when something is wrong with them."""
    if not all(map(find_spec, _OF_THE_EXTRA)):
        told = "the checks are the server's, and it is not set up here: install convergence-data-pipeline[server]"
        typer.echo(f"Error: {told}", err=True)
        raise typer.Exit(EXIT_REFUSED)
    if not paths and not schema:
        raise typer.BadParameter("give files or folders", param_hint="PATH")
    options = [*(["--json"] if current_session(ctx).as_json else []), *(["--schema", schema] if schema else [])]
    # Not what a folder called `server` holds where somebody happens to be: -P.
    command = [sys.executable, "-P", "-m", _CHECKS, *options, "--", *map(str, paths or [])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - a module of this installation
