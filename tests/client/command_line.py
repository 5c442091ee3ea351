"""The command line as a process of its own."""

import asyncio
import os
import pty
import re
import sys

from tests.forking import Forks

# A name with markup, an emoji code and terminal control in it, and how it is to be shown.
NASTY = "[red]x[/red] :smile: \x1b[2J\x9b2J\r\n\u202e"
SHOWN = "[red]x[/red] :smile: \ufffd[2J\ufffd2J \ufffd"


class CommandLine:
    """Runs `python -m convergence` against the peer."""

    def __init__(self, target, forks: Forks):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
        self.environment = kept | {"CONVERGENCE_TARGET": target, "CONVERGENCE_API_KEY": "cvg_k1_secret"}
        self._forks = forks

    async def start(self, *arguments, **streams):
        """Python itself, started with the command."""
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE} | streams
        command = (sys.executable, "-m", "convergence", *arguments)
        return await asyncio.create_subprocess_exec(*command, env=self.environment, **pipes)

    async def __call__(self, *arguments):
        """The command to its end, without Python's start and the imports."""
        return await self._forks.run_async(arguments, self.environment)


def lines(text):
    """With one blank between columns."""
    return [" ".join(line.split()) for line in text.splitlines()]


async def in_a_terminal(cli, *arguments, columns=140):
    """The process, and the descriptor of what its terminal receives."""
    ours, theirs = pty.openpty()
    cli.environment |= {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
    process = await cli.start(*arguments, stdout=theirs)
    os.close(theirs)
    return process, ours


def read_until(descriptor, wanted=b""):
    """What the terminal receives until it has got `wanted`, or until nothing comes any more."""
    received = b""
    try:
        while not wanted or wanted not in received:
            received += os.read(descriptor, 65536)
    except OSError:  # how a terminal says that the other end is gone
        pass
    return received.decode()


async def lines_in_a_terminal(cli, *arguments, columns, code=0):
    """What it shows, without colours."""
    process, terminal = await in_a_terminal(cli, *arguments, columns=columns)
    screen = await asyncio.to_thread(read_until, terminal)
    assert await process.wait() == code
    return [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", screen).splitlines()]
