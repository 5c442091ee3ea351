"""What clients in other languages, and of the last release, rely on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from convergence.channel import service_config
from server.api.app import DESCRIPTORS

ROOT = Path(__file__).resolve().parent.parent


def test_the_service_config_is_the_clients_own() -> None:
    published = json.loads((ROOT / "protos/service_config.json").read_text())
    assert published == service_config()
    (config,) = published["methodConfig"]
    methods = {(service.full_name, method.name) for service in DESCRIPTORS for method in service.methods}
    assert {(one["service"], one["method"]) for one in config["name"]} <= methods


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("  string wait_reason = 16;", "", "wait_reason"),
        ("  string wait_reason = 16;", "  string why = 16;", "why"),
        ("  string wait_reason = 16;", "  int64 wait_reason = 16;", "int64"),
    ],
    ids=["removed", "renamed", "of another type"],
)
def test_a_change_that_breaks_clients_of_the_last_release_is_found(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "hatch_build.py", tmp_path)
    changed = tmp_path / "protos/convergence/v1/run.proto"
    assert old in changed.read_text()
    changed.write_text(changed.read_text().replace(old, new))
    command = [sys.executable, "hatch_build.py", "--lint"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
