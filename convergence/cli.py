"""The command `convergence`."""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends with SystemExit and the exit code."""
    # gRPC's own log lines, about a server that restarts for example, would land in the middle of the table. It
    # reads this when it is imported, so the import has to wait.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from convergence.app import app, hoist  # noqa: PLC0415

    app(hoist(sys.argv[1:] if arguments is None else arguments), prog_name="convergence")
