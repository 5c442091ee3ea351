"""The Dockerfile says what is there, and its health check finds out whether a process answers."""

import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from admin_ui.settings import ConsoleSettings
from server.settings import _CLIENT_VARIABLES, Settings
from tests.certificates import Authority
from tests.deployment.files import DEPLOYMENT, DEPLOYMENTS, DOCKERFILE, ROOT, compose, containers, is_in_build_context
from tests.deployment.image import free_port
from tests.deployment.settings import settings_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
UID = "10001"


def test_the_settings_of_the_image_exist_and_are_what_it_exposes(monkeypatch: pytest.MonkeyPatch) -> None:
    server, console = settings_of(monkeypatch, {})
    (exposed,) = DOCKERFILE.of("EXPOSE")
    assert exposed.split() == [str(port) for port in (server.grpc_port, server.http_port, console.port)]
    # One address to look at, whichever of the two it is.
    assert server.worker_http_port == server.http_port
    assert {server.grpc_host, server.http_host, console.host} == {"0.0.0.0"}
    (volume,) = DOCKERFILE.of("VOLUME")
    assert {server.state_dir, console.state_dir.parent} == {Path(volume)}
    # What an operator puts in place of the shipped plans is read, too.
    assert server.plans_file.parent == server.configs_dir


def test_every_setting_that_is_spoken_of_exists() -> None:
    """Also those in comments, and on the page."""
    files = [ROOT / "Dockerfile", ROOT / "docs" / "deployment.md", *DEPLOYMENT.rglob("*.*")]
    spoken_of = {name for path in files for name in re.findall(r"CONVERGENCE_\w*[A-Z]\b", path.read_text())}
    prefixes = ((Settings, "CONVERGENCE_"), (ConsoleSettings, "CONVERGENCE_UI_"))
    known = {f"{prefix}{name.upper()}" for settings, prefix in prefixes for name in settings.model_fields}
    assert spoken_of <= known | _CLIENT_VARIABLES


def test_it_is_of_a_python_that_the_project_is_for() -> None:
    text = (ROOT / "Dockerfile").read_text()
    bases = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    (version,) = {base.removeprefix("python:").removesuffix("-slim") for base in bases}
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_nobody_in_it_is_root() -> None:
    assert DOCKERFILE.of("USER") == [f"{UID}:{UID}"]
    (made,) = (rest for rest in DOCKERFILE.of("RUN") if "useradd" in rest)
    assert f"groupadd --gid {UID} " in made
    assert f"useradd --uid {UID} " in made
    words = [word for word, _ in DOCKERFILE.stages[-1]]
    assert "RUN" not in words[words.index("USER") :]


def test_commands_are_modules() -> None:
    services = compose({"POSTGRES_PASSWORD": "p", "CONSOLE_STORAGE_SECRET": "s"})["services"]
    commands = [service["command"] for service in services.values() if "command" in service]
    for command in [DOCKERFILE.command, *commands, *(container.spec["command"] for container in containers())]:
        assert command[:2] == ["python", "-m"]
        assert find_spec(f"{command[2]}.__main__"), command


def test_one_image_of_this_version_is_used_everywhere() -> None:
    services = compose({"POSTGRES_PASSWORD": "p", "CONSOLE_STORAGE_SECRET": "s"})["services"]
    pods = [each["spec"]["template"]["spec"] for each in DEPLOYMENTS]
    used = {spec["image"] for pod in pods for spec in [*pod.get("initContainers", ()), *pod["containers"]]}
    used |= {service["image"] for name, service in services.items() if name != "database"}
    assert used == {f"convergence:{PROJECT['version']}"}


@pytest.mark.parametrize(("path", "is_sent"), [
    ("server/__main__.py", True),
    ("protos/convergence/v1/run.proto", True),
    ("deployment/healthcheck.py", True),
    ("convergence/client.py", True),
    ("convergence/v1/run_pb2.py", False),
    ("server/__pycache__/settings.cpython-311.pyc", False),
    ("var/pepper", False),
    (".git/config", False),
    (".venv/bin/python", False),
    ("deployment/.env", False),
    ("deployment/server.env", False),
    ("tests/conftest.py", False),
])  # fmt: skip
def test_a_builder_is_sent_what_it_needs_and_nothing_secret(path: str, is_sent: bool) -> None:
    assert is_in_build_context(path) is is_sent


# -- its health check --------------------------------------------------------------------------------------------------


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """No word on standard error."""


class Unwell(Healthy):
    def do_GET(self) -> None:
        self.send_error(503)


@contextmanager
def answering(kind: type[BaseHTTPRequestHandler], tls: Path | None = None) -> Iterator[str]:
    """A process like ours; answers its port."""
    server = HTTPServer(("127.0.0.1", 0), kind)
    if tls:
        context = Authority("somebody").issue("somewhere").server_context(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield str(server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


def healthcheck(**settings: str) -> int:
    nobody = str(free_port())
    ports = dict.fromkeys(("CONVERGENCE_HTTP_PORT", "CONVERGENCE_WORKER_HTTP_PORT", "CONVERGENCE_UI_PORT"), nobody)
    command = [sys.executable, str(DEPLOYMENT / "healthcheck.py")]
    return subprocess.run(command, check=False, env=ports | settings, timeout=30).returncode


@pytest.mark.parametrize("name", ["CONVERGENCE_HTTP_PORT", "CONVERGENCE_WORKER_HTTP_PORT", "CONVERGENCE_UI_PORT"])
def test_a_process_that_answers_is_healthy(name: str) -> None:
    with answering(Healthy) as port:
        assert healthcheck(**{name: port}) == 0


@pytest.mark.parametrize(("name", "certificate"), [
    ("CONVERGENCE_HTTP_PORT", "CONVERGENCE_TLS_CERTIFICATE_FILE"),
    ("CONVERGENCE_UI_PORT", "CONVERGENCE_UI_TLS_CERTIFICATE"),
])  # fmt: skip
def test_also_one_that_speaks_tls(tmp_path: Path, name: str, certificate: str) -> None:
    with answering(Healthy, tls=tmp_path) as port:
        assert healthcheck(**{name: port, certificate: "certificate.pem"}) == 0
        assert healthcheck(**{name: port}) == 1


def test_nobody_and_an_unwell_process_are_not() -> None:
    assert healthcheck() == 1
    with answering(Unwell) as port:
        assert healthcheck(CONVERGENCE_HTTP_PORT=port) == 1
