"""The wheel's client in the environment of another project, which has nothing of this one."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.service import Service
from tests.wheel import build_wheel

PROGRAM = """
import asyncio, sys
from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run

async def main() -> None:
    async with ConvergenceClient(sys.argv[1], api_key=sys.argv[2]) as client:
        run = await client.run_pipeline("acme_corp", provider="gcp", domain="example", template_name="dryrun")
        async for event in client.watch(run.tenant_id, run.pipeline_logging_id):
            pass
        ended = await client.get_run(run.tenant_id, run.pipeline_logging_id)
        print(Run.Status.Name(ended.status))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in which somebody has installed the wheel."""
    folder = tmp_path_factory.mktemp("other-project")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    made = folder / "venv/bin/python"
    command = [made, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", build_wheel(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return made


async def said(*command: object, cwd: Path) -> str:
    """What a program prints that ends well, without anything of this project in its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CONVERGENCE_", "PYTHON"))}
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def test_it_runs_a_pipeline_and_follows_it(python: Path, service: Service, acme_key: str, tmp_path: Path) -> None:
    assert await said(python, "-c", PROGRAM, service.target, acme_key, cwd=tmp_path) == "SUCCESS\n"
    key = tmp_path / "key"
    key.write_text(acme_key)
    key.chmod(0o600)
    options = ("--target", service.target, "--api-key-file", key)
    listed = await said(python.with_name("convergence"), *options, "runs", "list", "--limit", "1", cwd=tmp_path)
    assert "gcp/example/dryrun" in listed
    # The checks of files are the server's, and it is not there.
    told = await asyncio.create_subprocess_exec(
        python.with_name("convergence"), "validate", "configs", cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, error = await told.communicate()
    assert (told.returncode, "install convergence-data-pipeline[server]" in error.decode()) == (2, True)
