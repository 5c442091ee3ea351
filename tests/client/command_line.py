"""The command line as a process of its own."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def documents(self):
        return [json.loads(line) for line in self.out.splitlines()]


class CommandLine:
    """Starts `python -m convergence` against the peer."""

    def __init__(self, target):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
        self.environment = kept | {"CONVERGENCE_TARGET": target, "CONVERGENCE_API_KEY": "cvg_k1_secret"}

    async def start(self, *arguments, **streams):
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE} | streams
        command = (sys.executable, "-m", "convergence", *arguments)
        return await asyncio.create_subprocess_exec(*command, env=self.environment, **pipes)

    async def __call__(self, *arguments):
        process = await self.start(*arguments)
        out, err = await process.communicate()
        return Ended(process.returncode, out.decode(), err.decode())
