"""What the Dockerfile builds starts as the Compose file and the manifests start it, with exactly their environments.

Other than there are ports that would collide, the database, and what would go out: Google is not asked for tokens.
"""

import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.deployment.files import DOCKERFILE, Container, compose, containers, done_as_told
from tests.deployment.image import Image, Running, free_port, get
from tests.store.postgres import Postgres

ANY_PORTS = {"CONVERGENCE_GRPC_PORT": "0", "CONVERGENCE_HTTP_PORT": "0"}
KEY_FILE = "/var/lib/convergence/admin_api_key"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return Image.build(tmp_path_factory.mktemp("image"))


def ports_of(server: Running) -> tuple[int, int]:
    """Of gRPC and HTTP, once it is ready."""
    ready = dict(part.split("=", 1) for part in server.line("ready ").split()[1:])
    grpc_port, http_port = (int(ready[name].rpartition(":")[2]) for name in ("grpc", "http"))
    return grpc_port, http_port


def eventually(holds: Callable[[], bool], process: Running) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if holds():
                return
        except OSError:
            pass
        assert process.process.poll() is None, process.log.read_text()[-3000:]
        assert time.monotonic() < deadline, process.log.read_text()[-3000:]
        time.sleep(0.1)


def test_compose(image: Image, running_postgres: Postgres, tmp_path: Path) -> None:
    before = image.package()
    done_as_told(r"^\(umask 077 .+? > \.env\)$", tmp_path)
    file = tmp_path / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    services = compose(dict(line.split("=", 1) for line in file.read_text().splitlines()))["services"]
    service = services["server"]
    given = service["environment"] | ANY_PORTS | {"CONVERGENCE_DATABASE_URL": running_postgres.new_database()}
    with image.start(service["command"], given) as server:
        grpc_port, http_port = ports_of(server)
        assert get(http_port, "/readyz") == (200, '{"status": "ok"}')
        assert image.run(DOCKERFILE.healthcheck, given | {"CONVERGENCE_HTTP_PORT": str(http_port)}).returncode == 0
        # With its worker, which has the embedded warehouse.
        target = {"CONVERGENCE_TARGET": f"127.0.0.1:{grpc_port}", "CONVERGENCE_API_KEY_FILE": KEY_FILE}
        command = ["convergence", "admin", "health"]
        eventually(lambda: image.run(command, given | target).returncode == 0, server)
        check_console(image, services["console"], grpc_port)
        assert server.stop() == 0
    assert image.package() == before


def check_console(image: Image, service: Mapping[str, Any], grpc_port: int) -> None:
    port = free_port()
    own = {"CONVERGENCE_UI_SERVER": f"127.0.0.1:{grpc_port}", "CONVERGENCE_UI_PORT": str(port)}
    given = service["environment"] | own
    # Where others may be on this machine, and nobody but the console is in its container.
    elsewhere = {"CONVERGENCE_HTTP_PORT": str(free_port()), "CONVERGENCE_WORKER_HTTP_PORT": str(free_port())}
    with image.start(service["command"], given) as console:
        eventually(lambda: image.run(DOCKERFILE.healthcheck, given | elsewhere).returncode == 0, console)
        assert get(port, "/sign-in")[0] == 200
        (pod,) = (each for each in containers() if each.owner == "console")
        ask_probes(pod, {"http": port})
        began = time.monotonic()
        console.stop()
        # After the pause before its end, in Kubernetes.
        pause = int(pod.spec["lifecycle"]["preStop"]["exec"]["command"][1])
        assert time.monotonic() - began < pod.pod["terminationGracePeriodSeconds"] - pause - 5


def test_kubernetes(image: Image, running_postgres: Postgres, tmp_path: Path) -> None:
    before = image.package()
    done_as_told(r"^\($.+?^\)$", tmp_path)
    secret = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    secret["database-url"] = running_postgres.new_database()
    pods = {each.owner: each for each in containers()}
    for each in containers(initial=True):
        take_secrets(image, each, secret)
    # No BigQuery is there, no balancer has to notice an end, and nobody wants to wait for the run that is under way.
    nobody = {
        "CONVERGENCE_BIGQUERY_ENDPOINT": "http://127.0.0.1:9",
        "CONVERGENCE_STOP_NOTICE_SECONDS": "0",
        "CONVERGENCE_DRAIN_SECONDS": "0",
    }
    given = pods["server"].environment(secret) | ANY_PORTS | nobody
    with image.start(pods["server"].spec["command"], given) as server:
        grpc_port, http_port = ports_of(server)
        ask_probes(pods["server"], {"grpc": grpc_port, "http": http_port})
        check_worker(image, pods["worker"], secret, nobody)
        # As docs/deployment.md makes a key that no log has seen.
        made = image.run(["python", "-m", "server.operator_key", "--revoke-others"], given)
        target = {"CONVERGENCE_TARGET": f"127.0.0.1:{grpc_port}", "CONVERGENCE_API_KEY": made.stdout.strip()}
        assert "admin" in image.run(["convergence", "system", "info"], given | target).stdout
        assert server.stop() == 0
    assert image.package() == before


def check_worker(image: Image, pod: Container, secret: Mapping[str, str], settings: Mapping[str, str]) -> None:
    port = free_port()
    given = pod.environment(secret) | settings | {"CONVERGENCE_WORKER_HTTP_PORT": str(port)}
    with image.start(pod.spec["command"], given) as worker:
        eventually(lambda: get(port, "/healthz")[0] == 200, worker)
        ask_probes(pod, {"http": port})
        assert "convergence_claims_total" in get(port, "/metrics")[1]
        assert image.run(DOCKERFILE.healthcheck, given).returncode == 0
        assert worker.stop() == 0


def take_secrets(image: Image, container: Container, secret: Mapping[str, str]) -> None:
    """The files as Kubernetes mounts them, and what the container makes of them."""
    (volume,) = (volume["secret"] for volume in container.pod["volumes"] if "secret" in volume)
    for item in volume["items"]:
        file = image.path("/secrets") / item["path"]
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(secret[item["key"]])
        # The group of the pod may read them, whatever the manifest says.
        file.chmod(volume["defaultMode"] | stat.S_IRGRP)
    image.path("/run/convergence").mkdir(parents=True, exist_ok=True)
    done = image.run(container.spec["command"], {})
    assert done.returncode == 0, done.stderr
    for item in volume["items"]:
        assert stat.S_IMODE((image.path("/run/convergence") / item["path"]).stat().st_mode) == 0o400


def ask_probes(container: Container, ports: Mapping[str, int]) -> None:
    """Each probe of the container, as the kubelet asks it."""
    for probe in container.probes.values():
        if page := probe.get("httpGet"):
            assert get(ports[page["port"]], page["path"])[0] == 200
        else:
            with grpc.insecure_channel(f"127.0.0.1:{ports['grpc']}") as channel:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("is_mounted", [True, False], ids=["config-map", "folder"])
def test_pipelines_of_ones_own_stand_beside_those_of_the_image(image: Image, *, is_mounted: bool) -> None:
    own = image.path("/etc/convergence/configs/acme")
    text = (image.path("/etc/convergence/configs") / "gcp/example/dryrun.yml").read_text()
    folder = own / "..2025_11_18" if is_mounted else own
    folder.mkdir(parents=True)
    (folder / "check.yml").write_text(text)
    if is_mounted:
        # As Kubernetes mounts a ConfigMap: so that all files change at once.
        (own / "..data").symlink_to(folder.name)
        (own / "check.yml").symlink_to(Path("..data") / "check.yml")
    try:
        program = (
            "from server.catalog import Catalog; from server.settings import Settings; s = Settings.from_environment();"
            "print(*(entry.name for entry in Catalog(s.configs_dir, s.ps_templates_dir).entries() if entry.source))"
        )
        listed = image.run(["python", "-c", program], {}).stdout.split()
    finally:
        for path in sorted(own.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        own.rmdir()
    assert [name for name in listed if name.startswith("acme")] == ["acme/check"]
    assert "setup/tenants/onboarding" in listed
