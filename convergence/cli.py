"""The command `convergence`.

It imports next to nothing before it can tell of Ctrl-C: until then Python answers with a traceback.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; ends with SystemExit and the exit code."""
    # Where Ctrl-C is ignored, as in a shell's background job, it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    # gRPC's own log lines, about a server that restarts for example, would land in the middle of the table. It
    # reads this when it is imported, so the import has to wait.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from convergence.invocation import invoke  # noqa: PLC0415

    sys.exit(invoke(sys.argv[1:] if arguments is None else arguments))


def leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Ctrl-C while nothing is under way yet: an exception in the middle of an import would be told as its failure."""
    os.write(2, b"Interrupted.\n")
    os._exit(130)
