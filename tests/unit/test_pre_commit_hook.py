"""The hook for pre-commit, called as pre-commit calls it: in the top folder, with files behind the command."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
[HOOK] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


def chosen(folder: Path) -> list[str]:
    """The names of the files that the hook is for; `types` it has none, which means all files."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return [name for name in names if re.search(HOOK["files"], name)]


def commit(folder: Path) -> tuple[int, str]:
    """Exit code, and what is printed."""
    command = shlex.join([*shlex.split(HOOK["entry"]), *HOOK.get("args", []), *chosen(folder)])
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder, env={**plain, "PATH": path}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with the shipped files, and others beside them."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github/ci.yml").write_text("on: push\n")
    return tmp_path


def test_it_installs_what_the_checks_need() -> None:
    """From this repository, whose base install has the command line alone."""
    assert (HOOK["id"], HOOK["language"], HOOK["additional_dependencies"]) == (
        "convergence-validate",
        "python",
        [".[server]"],
    )
    assert HOOK.keys() == {"id", "name", "description", "entry", "language", "additional_dependencies", "files"}


def test_right_files_pass(folder: Path) -> None:
    code, printed = commit(folder)
    assert (code, printed) == (0, f"{len(chosen(folder))} files: all is well\n")


def test_a_wrong_file_does_not(folder: Path) -> None:
    """Nor does it where the files are a part of something larger."""
    (folder / "finops").mkdir()
    wrong = (folder / "configs").rename(folder / "finops/configs") / "gcp/example/dryrun.yml"
    wrong.write_text(wrong.read_text().replace("write_mode:", "writemode:"))
    code, printed = commit(folder)
    assert code == 1
    assert f"{wrong.relative_to(folder)}:" in printed
    assert "[UNKNOWN_FIELD]" in printed


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        ("configs/plans.yml", True),
        ("configs/acme/cost/daily.yaml", True),
        ("finops/configs/acme/daily.yml", True),
        ("configs/data_quality/expectations/billing.yml", True),
        ("configs/pipeline.schema.json", False),
        ("configs/acme/cost/daily.yml.bak", False),
        ("configs/acme/costyml", False),
        ("myconfigs/acme/daily.yml", False),
        ("configs_of_others/daily.yml", False),
        ("configs.yml", False),
        (".github/workflows/ci.yml", False),
    ],
)
def test_which_files_it_is_for(name: str, *, is_ours: bool) -> None:
    assert bool(re.search(HOOK["files"], name)) == is_ours
