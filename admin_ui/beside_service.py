"""`python -m admin_ui.beside_service`: the service and its console in one terminal, to try them out.

Each is a process of its own, as everywhere else. Ctrl-C ends both, and so does the end of either.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable

from admin_ui.settings import CannotStart, read_settings

_READY = b"ready grpc="
_KEY_FILE = "var/admin_api_key"


async def _run() -> int:
    """Run both to the end of the first; answers with the exit code of the service."""
    service = await asyncio.create_subprocess_exec(sys.executable, "-m", "server", stdout=PIPE)
    processes = [service]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _end_all, processes)
    if (target := await _ready(service)) is not None:
        processes.append(await _console(target))
        passed_on = asyncio.create_task(_pass_on(service))
        ends = [asyncio.create_task(process.wait()) for process in processes]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        _end_all(processes)
        await asyncio.gather(*(process.wait() for process in processes), passed_on)
    return await service.wait()


async def _ready(service: Process) -> str | None:
    """Print what the service says until it is ready; answers with its address, None when it has ended."""
    while line := await _line(service):
        if line.startswith(_READY):
            return line.decode().split()[1].removeprefix("grpc=")
    return None


async def _pass_on(service: Process) -> None:
    while await _line(service):
        pass


async def _line(service: Process) -> bytes:
    """The next line of the service, which is printed; b'' when there is none."""
    line = await service.stdout.readline() if service.stdout else b""
    sys.stdout.buffer.write(line)
    sys.stdout.flush()
    return line


async def _console(target: str) -> Process:
    port = target.rpartition(":")[2]
    environment = {
        "CONVERGENCE_UI_SERVER": f"127.0.0.1:{port}",
        "CONVERGENCE_UI_DEVELOPMENT": "true",
        **os.environ,
    }
    sys.stdout.write(f"sign in to the console with an API key; the first operator's is in {_KEY_FILE}\n")
    sys.stdout.flush()
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "admin_ui", env=environment)


def _end_all(processes: Iterable[Process]) -> None:
    for process in processes:
        if process.returncode is None:
            process.terminate()


def main() -> int:
    """Run both; 2 when the console cannot start as it is set up."""
    try:
        if not os.environ.get("CONVERGENCE_UI_STORAGE_SECRET"):
            os.environ.setdefault("CONVERGENCE_UI_DEVELOPMENT", "true")
        read_settings().secret()
    except CannotStart as error:
        sys.stderr.write(f"The console cannot start: {error}\n")
        return 2
    return asyncio.run(_run())


if __name__ == "__main__":
    sys.exit(main())
