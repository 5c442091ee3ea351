"""Types what the pages say into a shell, in a copy of the product."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT, Block, blocks

_PARTS = (
    "server",
    "processors",
    "configs",
    "ps_templates",
    "convergence",
    "protos",
    "examples",
    "admin_ui",
    "deployment",
)
_CTRL_C = "^C"
# What differs from run to run, in the order in which it is replaced.
_VOLATILE = (
    (r"cvg_[0-9a-f]{12}_[\w-]{43}", "<key>"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
    (r"\b[0-9a-f]{64}\b", "<hash>"),
    (r"\b[0-9a-f]{32}\b", "<name>"),
    (r"\b[0-9a-f]{12}\b", "<key id>"),
    (r"\d{4}-\d\d-\d\d", "<date>"),
    (r"\d\d:\d\d:\d\d(\.\d+)?(\+00:00)?", "<time>"),
    (r"\b\d+\.\d s\b", "<seconds>"),
    (r"within [\d,]+ ms", "<soon>"),
    (r"up to date|[\d,]+ changes to come", "<mirrored>"),
    (r"127\.0\.0\.1:\d+", "<address>"),
    (r"process \d+", "process <number>"),
    (r"[─━]+", "─"),
    (r"\s+", " "),
)


@dataclass
class Typed:
    """A command with what the page shows below it."""

    line: int
    command: str
    shown: list[str]


def typed(block: Block) -> list[Typed]:
    """The commands of a console block; one whose line ends in a backslash goes on in the next."""
    found = list[Typed]()
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ ") or line == _CTRL_C:
            found.append(Typed(number, line.removeprefix("$ "), []))
        else:
            assert found, f"{block.page}:{number}: a console block starts with a command"
            if found[-1].command.endswith("\\"):
                found[-1].command += f"\n{line}"
            else:
                found[-1].shown.append(line)
    return found


class Terminal:
    """A shell whose variables live from command to command, and at most one server."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder
        self._variables = folder / ".variables"
        self._server: subprocess.Popen[str] | None = None
        self.code = 0
        """Of the last command."""
        for part in _PARTS:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        # Without pyproject.toml `make` could not change the environment that the tests run in.
        shutil.copy(ROOT / "Makefile", folder)
        (folder / ".venv").symlink_to(sys.prefix)
        # What `make test` and pytest put into the environment is not in a user's terminal.
        foreign = ("CONVERGENCE_", "MAKE", "MFLAGS", "PYTEST")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self._environment = {
            **kept,
            "COLUMNS": "120",
            "CONVERGENCE_GRPC_PORT": "0",
            "CONVERGENCE_HTTP_PORT": "0",
            "CONVERGENCE_UI_PORT": str(_free_port()),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._variables.touch()

    def play(self, page: str) -> list[str]:
        """Do everything that a page says; answers with what was not as it says."""
        return [problem for block in blocks(page) for problem in self._play(block)]

    def _play(self, block: Block) -> Iterator[str]:
        if block.file:
            path = self.checkout / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            commands = typed(block)
            for entry, after in zip(commands, [*commands[1:], None], strict=True):
                printed = self.type(entry.command)
                may_fail = after is not None and after.command == "echo $?"
                yield from self._problems(block, entry, printed, may_fail=may_fail)

    def _problems(self, block: Block, entry: Typed, printed: str, *, may_fail: bool) -> Iterator[str]:
        place = f"{block.page}:{entry.line}: {entry.command}"
        if self.code and not may_fail:
            yield f"{place}\nended with code {self.code}:\n{printed}"
        elif not _is_as_shown(entry.shown, printed):
            shown = "\n".join(entry.shown)
            yield f"{place}\nprinted:\n{printed}\nand the page shows:\n{shown}"

    def type(self, command: str) -> str:
        """Type a command; answers with what is printed."""
        if command == _CTRL_C:
            return self.stop()
        if command == "make run":
            return self._start()
        if target := re.fullmatch(r"make (\w+)", command):
            return self._find_target(target[1])
        return self._run(command)

    def _find_target(self, target: str) -> str:
        """Other targets take long and are run elsewhere: here they must exist."""
        self.code = int(re.search(rf"^{target}:", (self.checkout / "Makefile").read_text(), re.MULTILINE) is None)
        return ""

    def _run(self, command: str) -> str:
        script = f"set -a\n. {self._variables}\n(exit {self.code})\n{command}\ncode=$?\n"
        script += f"export -p > {self._variables}\nexit $code\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.checkout,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        self.code = done.returncode
        return done.stdout

    def _start(self) -> str:
        assert self._server is None, "a server is running already"
        # `-o setup`: everything is installed.
        with (self.checkout / "server.log").open("a") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", f". {self._variables}\nexec make -o setup run"],
                cwd=self.checkout,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        printed, self.code = "", 1
        for line in self._server.stdout or ():
            printed += line
            if line.startswith("ready grpc="):
                addresses = dict(part.split("=", 1) for part in line.split()[1:])
                self._run(f"export CONVERGENCE_TARGET={addresses['grpc']} API=http://{addresses['http']}")
            if line.startswith("console at "):
                break
        return printed or (self.checkout / "server.log").read_text()

    def stop(self) -> str:
        """Press Ctrl-C in the server's terminal, if there is one."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGINT)
            self._server.communicate(timeout=60)
            self._server = None
        self.code = 0
        return ""


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _is_as_shown(shown: list[str], printed: str) -> bool:
    if not any(line.strip() for line in shown):
        return True
    pattern = "".join(_pattern(line) for line in map(_normal, shown) if line)
    lines = [normal for line in printed.splitlines() if (normal := _normal(line))]
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def _pattern(line: str) -> str:
    return r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*?") + r"\n"


def _normal(line: str) -> str:
    for volatile, name in _VOLATILE:
        line = re.sub(volatile, name, line)
    return line.strip()
