"""The image without a container engine: the Dockerfile's steps in a folder that stands for the root of a container.

What needs a root of its own, such as making a user, is left out. The dependencies are those of the tests' environment.
"""

import os
import re
import shutil
import site
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.deployment.files import DOCKERFILE, ROOT, is_in_build_context

_INSIDE = re.compile(r"(?<![\w./])/(?=(?:source|wheels|opt|etc|var|run|secrets)\b)")
"""The beginning of a path that is the container's own."""


@dataclass
class Running:
    """A process of the image's."""

    process: subprocess.Popen[bytes]
    log: Path

    def line(self, start: str) -> str:
        """The next line of standard output that begins so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.decode().startswith(start):
                return line.decode().strip()
        raise AssertionError(f"it ended: {self.log.read_text()[-3000:]}")

    def stop(self) -> int:
        """SIGTERM, as a container is stopped; answers the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)


class Image:
    """Built in `root`; what runs sees the paths of the container below it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def build(cls, root: Path) -> "Image":
        image = cls(root)
        context = root / "context"
        _copy_context(context)
        for word, rest in DOCKERFILE.stages[0]:
            if word == "COPY":
                _copy(rest, [context / source for source in rest.split()[:-1]], root / "source" / rest.split()[-1])
            elif word == "RUN":
                image._run_step(rest)
        for rest in DOCKERFILE.of("COPY"):
            _, source, target = rest.split()
            # Both stages have the same root here.
            if source != target:
                _copy(rest, [image.path(source)], image.path(target))
        image.path("/var/lib/convergence").mkdir(parents=True)
        # Behind the packages of the image: an editable installation that is there is none of these.
        (packages,) = image.path("/opt/convergence").glob("lib/python3*/site-packages")
        (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
        return image

    def path(self, inside: str) -> Path:
        """Where a path of the container is."""
        return Path(self.mapped(inside))

    def mapped(self, text: str) -> str:
        """A text with the paths of the container as they are here."""
        return _INSIDE.sub(f"{self.root}/", text)

    def _run_step(self, command: str) -> None:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            # What the step builds with and installs beside the package is here already.
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_DEPS": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        # `.` is the working folder of the stage.
        step = ["/bin/sh", "-ec", self.mapped(command)]
        done = subprocess.run(
            step, check=False, cwd=self.root / "source", env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What a container of the image finds in its environment when it is started with `given`."""
        of_image = {name: value.replace("$PATH", os.environ["PATH"]) for name, value in DOCKERFILE.environment.items()}
        return {
            name: self.mapped(value) for name, value in {"HOME": "/var/lib/convergence", **of_image, **given}.items()
        }

    def run(self, command: Sequence[str], given: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """A command to its end, as `docker exec` runs it."""
        return subprocess.run(
            self._found(command),
            check=False,
            cwd=self.path("/var/lib/convergence"),
            env=self.environment(given),
            capture_output=True,
            text=True,
            timeout=60,
        )

    @contextmanager
    def start(self, command: Sequence[str], given: Mapping[str, str]) -> Iterator[Running]:
        """A process that goes on; it is stopped in any case."""
        log = self.root / f"{'-'.join(command[1:])}.log"
        with (
            log.open("ab") as errors,
            subprocess.Popen(
                self._found(command),
                cwd=self.path("/var/lib/convergence"),
                env=self.environment(given),
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as process,
        ):
            try:
                yield Running(process, log)
            finally:
                process.kill()

    def _found(self, command: Sequence[str]) -> list[str]:
        """The program where the image's PATH has it."""
        program = self.path("/opt/convergence/bin") / command[0]
        return [str(program) if program.exists() else command[0], *map(self.mapped, command[1:])]

    def package(self) -> dict[Path, tuple[int, int]]:
        """Every file that a container has no business to change, with its time and size."""
        files = (path for folder in ("/opt", "/etc") for path in self.path(folder).rglob("*") if path.is_file())
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


def _copy_context(target: Path) -> None:
    """What a builder is sent of the checkout, and of that what is copied."""
    for source in {name for word, rest in DOCKERFILE.stages[0] if word == "COPY" for name in rest.split()[:-1]}:
        for path in (ROOT / source, *(ROOT / source).rglob("*")):
            inside = path.relative_to(ROOT)
            if path.is_file() and is_in_build_context(inside.as_posix()):
                (target / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target / inside)


def _copy(instruction: str, sources: Sequence[Path], target: Path) -> None:
    """As COPY does: folders by their content, files into a folder when the target ends with `/`."""
    for source in sources:
        assert source.exists(), f"COPY {instruction}: {source.name} is not in the build context"
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        else:
            into = target / source.name if instruction.endswith("/") else target
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, into)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body of an HTTP answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
