"""Commands as processes of their own, for which the imports were done before.

Most of what `python -m convergence` costs is imports. Here one process does them, and forks for each command. All
else is as if the command had been started: its module runs anew as `__main__`, with its arguments, environment, folder
and streams, and its end is the end of a process. What a terminal shows and what signals do is tested with real starts.
"""

import asyncio
import gc
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REQUEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended: its exit code, negative for a signal, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        """What it wrote, as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Forks:
    """A process that runs `python -m module` again and again; the imports are what the module needs, or some of it.

    What the imports read of the environment is in `settings`.
    """

    def __init__(self, module: str, imports: Sequence[str], **settings: str) -> None:
        self._module = module
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.forking", str(theirs.fileno()), *imports]
            plain = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=plain | settings, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT) -> Ended:
        """Run the command to its end."""
        request = {"module": self._module, "arguments": arguments, "env": dict(environment), "folder": str(folder)}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                content = json.dumps(request).encode()
                socket.send_fds(self._requests, [content], [out.fileno(), err.fileno(), theirs.fileno()])
                theirs.close()
                code = ours.recv(16)
            out.seek(0)
            err.seek(0)
            return Ended(int(code), out.read().decode(), err.read().decode())

    async def run_async(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Ended:
        """Like `run`, while this process goes on with what it serves."""
        return await asyncio.to_thread(self.run, arguments, environment)

    def close(self) -> None:
        """End the process."""
        self._requests.close()
        self._process.wait()


def serve(requests: socket.socket) -> None:
    """Fork for each request; returns in the process that is to be the command, and when there are no more requests."""
    while True:
        content, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 3)
        if not content:
            return
        # The first fork waits for the second, so that commands may overlap.
        if not os.fork():
            out, err, reply = files
            if pid := os.fork():
                _, status = os.waitpid(pid, 0)
                os.write(reply, str(os.waitstatus_to_exitcode(status)).encode())
                os._exit(0)
            os.close(reply)
            requests.close()
            become(json.loads(content), out, err)
            return
        for file in files:
            os.close(file)
        reap()


def reap() -> None:
    """Forget the forks that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def become(command: Mapping[str, Any], out: int, err: int) -> None:
    """Run the module as Python does that is started with it."""
    for file, number in ((out, 1), (err, 2)):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(command["env"])
    os.chdir(command["folder"])
    sys.path[0] = command["folder"]
    sys.argv = [command["module"], *command["arguments"]]
    runpy.run_module(command["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        import_module(name)
    # A collection would copy all that the forks share.
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
