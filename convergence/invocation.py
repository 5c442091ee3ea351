"""One invocation of the application: its arguments, and what it ends with when something outside it fails."""

import io
import sys
from collections.abc import Sequence
from typing import cast

import grpc
import typer

from convergence.app import app
from convergence.errors import Details, InvalidArgument
from convergence.output import OutputLost, abandon, guard_output, print_error, tell
from convergence.session import EXIT_NO_READER, EXIT_OUTPUT_LOST, EXIT_REFUSED

_GLOBAL_FLAGS = {"--json"}
_GLOBAL_OPTIONS = {"--target", "--api-key-file", "--tls-ca", "--tls-cert", "--tls-key"}
# Typer has click inside, at a place that depends on its version; this class is the one of all usage errors.
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])


def invoke(arguments: Sequence[str]) -> int:
    """Run the command line and answer with the exit code."""
    if sys.stdout is None:
        tell("Error: cannot write to standard output: it is closed\n")
        return EXIT_OUTPUT_LOST
    guard_output()
    try:
        return _invoke(*hoist(arguments))
    except OutputLost as lost:
        abandon(sys.stdout)
        if lost.nobody_reads:
            return EXIT_NO_READER
        tell(f"Error: {lost}\n")
        return EXIT_OUTPUT_LOST


def hoist(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The global options, which may stand anywhere, and the other arguments; what follows `--` is no option."""
    first, rest = list[str](), list[str]()
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in _GLOBAL_FLAGS or argument.startswith(tuple(f"{name}=" for name in _GLOBAL_OPTIONS)):
            first.append(argument)
        elif argument in _GLOBAL_OPTIONS:
            value = next(remaining, None)
            if value is None:  # alone it is told as what is wrong; before a command it would swallow its name
                return [*first, argument], []
            first += [argument, value]
        else:
            rest.append(argument)
    return first, rest


def _invoke(options: list[str], rest: list[str]) -> int:
    try:
        code = app([*options, *rest], prog_name="convergence", standalone_mode=False)
        sys.stdout.flush()
    except _UsageError as error:
        return _refuse(error, as_json="--json" in options)
    return code if isinstance(code, int) else 0


def _refuse(error: typer.BadParameter, *, as_json: bool) -> int:
    """Tell what is wrong with the command line."""
    if not as_json:
        usage = io.StringIO()
        error.show(usage)
        tell(usage.getvalue())
        return EXIT_REFUSED
    message = error.format_message()
    if message.startswith("Usage:"):  # it is the help, since a group was named and no command
        message = "A command is missing; see --help."
    refusal = InvalidArgument(grpc.StatusCode.INVALID_ARGUMENT, message, Details("INVALID_OPTION"))
    print_error(refusal, as_json=True)
    return EXIT_REFUSED
