"""What `pip install .` gives: the contract generated on the way, the files the server needs, a light client."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.wheel import build_wheel

ROOT = Path(__file__).resolve().parent.parent
# Everything that only the extras bring.
HEAVY = (
    "duckdb",
    "grpc_health",
    "grpc_reflection",
    "pydantic",
    "pydantic_settings",
    "pythonjsonlogger",
    "sqlglot",
    "yaml",
)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a checkout in which nothing was generated."""
    return build_wheel(tmp_path_factory.mktemp("source"))


def test_the_wheel_has_the_contract_and_the_servers_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    services = ("pipeline", "schedule", "system", "tenant")
    assert {
        f"convergence/v1/{name}_service_pb2{kind}" for name in services for kind in (".py", ".pyi", "_grpc.py")
    } <= names
    assert {
        "convergence/py.typed",
        "configs/gcp/cost/cost_billing.yml",
        "ps_templates/setup/tenants/onboarding/schemas/x_meta_pipeline_runs.json",
        "processors/gcp/bq_etl.py",
        "configs/plans.yml",
        "server/store/postgres/migrations/0001_initial.sql",
        "server/store/sqlite/migrations/0001_initial.sql",
    } <= names
    assert not {name for name in names if name.startswith(("tests/", "benchmarks/"))}


def test_the_installed_client_needs_the_base_dependencies_only(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.modules.update(dict.fromkeys({HEAVY!r}));"
        "import convergence.client, convergence.app; print(convergence.client.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.startswith(str(tmp_path))


def test_every_dependency_has_both_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    for requirement in [*project["dependencies"], *(name for extra in extras for name in extra)]:
        assert ">=" in requirement, requirement
        assert "<" in requirement, requirement
