"""Install the tests' BigQuery server into `.venv-bigquery`; needs a Python 3.13, of which any on the machine will do.

Ends with 1 and says why when that is impossible. The tests that need the server are skipped then.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parents[1] / ".venv-bigquery"
PYTHON = VENV / "bin" / "python"
HOME = VENV / "home"
"""The server's own home folder: DuckDB looks for its extensions there, and takes them from nowhere else."""
INSTALLED = VENV / ".installed"
"""Exists when the installation is complete."""

EXTENSIONS = (
    "from duckdb_extensions import import_extension\nfor name in ('icu', 'ducklake', 'spatial'): import_extension(name)"
)
NO_PYTHON = (
    "No Python 3.13 was found: not as python3.13 on the PATH, nor among the versions of uv or pyenv.\n"
    "The tests' BigQuery server needs it; the tests against that server will be skipped.\n"
)
NOT_INSTALLED = "The tests' BigQuery server could not be installed; the tests against it will be skipped.\n"


def main() -> int:
    """Install everything, or say why not."""
    python = next(filter(is_right, candidates()), None)
    if python is None:
        sys.stderr.write(NO_PYTHON)
        return 1
    try:
        install(python)
    except subprocess.CalledProcessError:
        sys.stderr.write(NOT_INSTALLED)
        return 1
    return 0


def candidates() -> Iterator[str]:
    """Interpreters that may be a Python 3.13, the cheapest to find first; the last one is downloaded."""
    yield sys.executable
    yield "python3.13"
    uv = shutil.which("uv")
    if uv:
        yield uv_python(uv)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob("versions/3.13.*/bin/python3.13")))
    if uv and not subprocess.run([uv, "python", "install", "--quiet", "3.13"], check=False).returncode:
        yield uv_python(uv)


def uv_python(uv: str) -> str:
    """The Python 3.13 that uv knows; an empty name when it knows none."""
    found = subprocess.run([uv, "python", "find", "3.13"], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def is_right(python: str) -> bool:
    """Whether this runs and is a Python 3.13; a shim on the PATH may be neither."""
    check = [python, "-c", "import sys, venv; sys.exit(sys.version_info[:2] != (3, 13))"]
    try:
        return subprocess.run(check, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install(python: str) -> None:
    """Make the environment anew, with the pinned packages and DuckDB's extensions, which come in packages too."""
    sys.stdout.write(f"Installing the tests' BigQuery server into {VENV.name} ...\n")
    sys.stdout.flush()
    requirements = HERE / "requirements.txt"
    subprocess.run([python, "-m", "venv", "--clear", VENV], check=True)
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--requirement", requirements], check=True)
    HOME.mkdir()
    subprocess.run(
        [PYTHON, "-c", EXTENSIONS], env={**os.environ, "HOME": str(HOME)}, stdout=subprocess.DEVNULL, check=True
    )
    INSTALLED.touch()


if __name__ == "__main__":
    sys.exit(main())
