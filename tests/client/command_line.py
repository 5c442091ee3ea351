"""The command line as a process of its own."""

import asyncio
import os
import sys

from tests.forking import Forks


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
