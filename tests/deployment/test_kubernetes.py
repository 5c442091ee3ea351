"""The manifests are ones that Kubernetes takes, fit together, and set what the product reads."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from server.domain.faults import CannotStart
from server.security.api_keys import KeyRing
from server.security.master_keys import LocalMasterKeys
from tests.deployment.files import (
    DEPLOYMENTS,
    DOCKERFILE,
    KUBERNETES,
    MANIFESTS,
    PAGE,
    SECRET_EXAMPLE,
    Container,
    containers,
    documents,
    done_as_told,
    manifest,
)
from tests.deployment.settings import settings_of
from tests.docs.pages import code, tables

(EXAMPLE,) = documents(SECRET_EXAMPLE)
SECRET = {
    **EXAMPLE["stringData"],
    "database-url": "postgresql://convergence:p%40ss@db.example.com/convergence",
    "console-storage-secret": "signs-cookies-with-so-many-characters",
}
VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""The oldest that docs/deployment.md speaks of, and the newest that is known here."""
PROCESSES = list(containers())
EVERYONE = [*PROCESSES, *containers(initial=True)]
GRACE_SECONDS = 30


def name_of(value: Any) -> str:
    return value.place if isinstance(value, Container) else f"{value['kind']}/{value['metadata']['name']}"


@pytest.mark.parametrize("each", [*MANIFESTS, EXAMPLE], ids=name_of)
def test_it_has_the_form_of_its_kind(each: dict[str, Any]) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(each, version, strict=True)
    namespace = each["metadata"].get("namespace")
    assert namespace == ("convergence" if each["kind"] != "Namespace" else None)


@pytest.mark.parametrize("container", PROCESSES, ids=name_of)
def test_settings_exist_and_secrets_are_given_from_the_secret(
    monkeypatch: pytest.MonkeyPatch, container: Container
) -> None:
    server, console = settings_of(monkeypatch, container.environment(SECRET))
    if container.owner == "console":
        assert console.secret() == SECRET["console-storage-secret"]
        assert console.is_secure
        assert console.server == f"server:{server.grpc_port}"
    else:
        assert server.postgres_url == SECRET["database-url"]
        # Workers are not the servers': see the Deployment of the same name.
        assert server.workers == 0
        assert server.bigquery_project is not None


@pytest.mark.parametrize("container", PROCESSES, ids=name_of)
def test_ports_are_those_that_the_process_listens_on(monkeypatch: pytest.MonkeyPatch, container: Container) -> None:
    server, console = settings_of(monkeypatch, container.environment(SECRET))
    listens = {
        "server": {"grpc": server.grpc_port, "http": server.http_port},
        "worker": {"http": server.worker_http_port},
        "console": {"http": console.port},
    }
    assert container.ports == listens[container.owner]
    for probe in container.probes.values():
        assert probe.get("grpc", {}).get("port", container.ports.get("grpc")) == container.ports.get("grpc")
        assert probe.get("httpGet", {}).get("port", "http") in container.ports


@pytest.mark.parametrize("name", ["server", "console"])
def test_services_lead_to_pods(name: str) -> None:
    service, deployment = manifest("Service", name)["spec"], manifest("Deployment", name)["spec"]
    assert service["selector"].items() <= deployment["template"]["metadata"]["labels"].items()
    (container,) = (each for each in PROCESSES if each.owner == name)
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == container.ports


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_selectors_name_the_pods_and_no_others(deployment: dict[str, Any]) -> None:
    name, labels = deployment["metadata"]["name"], deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == name
    selectors = [
        deployment["spec"]["selector"],
        manifest("PodDisruptionBudget", name)["spec"]["selector"],
        manifest("NetworkPolicy", name)["spec"]["podSelector"],
        *(spread["labelSelector"] for spread in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]),
    ]
    assert all(selector == {"matchLabels": labels} for selector in selectors)


def test_the_autoscaler_alone_says_how_many_workers_there_are() -> None:
    autoscaler = manifest("HorizontalPodAutoscaler", "worker")["spec"]
    target = autoscaler["scaleTargetRef"]
    deployment = manifest(target["kind"], target["name"])
    assert target["apiVersion"] == deployment["apiVersion"]
    assert "replicas" not in deployment["spec"]
    # A share of processors is one of what was asked for.
    assert all("cpu" in each.spec["resources"]["requests"] for each in PROCESSES if each.owner == "worker")


@pytest.mark.parametrize("container", EVERYONE, ids=name_of)
def test_references_lead_somewhere(container: Container) -> None:
    volumes = {volume["name"]: volume for volume in container.pod["volumes"]}
    mounted = {mount["name"] for mount in container.spec["volumeMounts"]}
    assert mounted <= set(volumes)
    for volume in volumes.values():
        if secret := volume.get("secret"):
            assert secret["secretName"] == EXAMPLE["metadata"]["name"]
            assert {item["key"] for item in secret["items"]} <= set(EXAMPLE["stringData"])
    for variable in container.spec.get("env", ()):
        if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
            assert reference["name"] == EXAMPLE["metadata"]["name"]
            assert reference["key"] in EXAMPLE["stringData"]
    manifest("ServiceAccount", container.pod["serviceAccountName"])


@pytest.mark.parametrize("container", EVERYONE, ids=name_of)
def test_containers_may_do_no_more_than_they_need(container: Container) -> None:
    uid = int(DOCKERFILE.of("USER")[0].partition(":")[0])
    pod, own = container.pod["securityContext"], container.spec["securityContext"]
    assert pod == {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": uid,
        "fsGroup": uid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container.pod["automountServiceAccountToken"] is False
    assert "memory" in container.spec["resources"]["limits"]


@pytest.mark.parametrize("container", PROCESSES, ids=name_of)
def test_what_is_written_to_is_a_volume(monkeypatch: pytest.MonkeyPatch, container: Container) -> None:
    settings_of(monkeypatch, container.environment(SECRET))
    written = {mount["mountPath"] for mount in container.spec["volumeMounts"] if not mount.get("readOnly")}
    (state,) = DOCKERFILE.of("VOLUME")
    assert written == {state, "/tmp"}


@pytest.mark.parametrize("container", PROCESSES, ids=name_of)
def test_no_variable_comes_unasked(container: Container) -> None:
    """Of a Service whose name begins so, Kubernetes would make a variable that stops the start."""
    assert container.pod["enableServiceLinks"] is False


@pytest.mark.parametrize("container", [each for each in PROCESSES if each.owner != "console"], ids=name_of)
def test_steps_may_finish_before_a_pod_is_killed(monkeypatch: pytest.MonkeyPatch, container: Container) -> None:
    server, _ = settings_of(monkeypatch, container.environment(SECRET))
    period = container.pod["terminationGracePeriodSeconds"]
    assert period >= server.stop_notice_seconds + server.drain_seconds + GRACE_SECONDS


def test_a_worker_that_stands_still_ends_by_itself_before_it_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    (worker,) = (each for each in PROCESSES if each.owner == "worker")
    server, _ = settings_of(monkeypatch, worker.environment(SECRET))
    probe = worker.spec["livenessProbe"]
    assert (probe["failureThreshold"] - 1) * probe["periodSeconds"] > server.lease_seconds


def test_browsers_come_back_to_their_console_as_long_as_a_session_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    (container,) = (each for each in PROCESSES if each.owner == "console")
    _, console = settings_of(monkeypatch, container.environment(SECRET))
    service = manifest("Service", "console")["spec"]
    assert service["sessionAffinity"] == "ClientIP"
    assert service["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] == console.session_hours * 3600


@pytest.mark.parametrize("container", PROCESSES, ids=name_of)
def test_policies_let_in_to_the_ports_that_there_are(container: Container) -> None:
    policy = manifest("NetworkPolicy", container.owner)["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == set(container.ports.values())
    assert all("from" in rule for rule in policy["ingress"])


def test_whatever_no_policy_allows_is_forbidden() -> None:
    spec = manifest("NetworkPolicy", "nothing-else")["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("name", ["server", "worker"])
def test_prometheus_is_told_where_to_look(name: str) -> None:
    (container,) = (each for each in PROCESSES if each.owner == name)
    told = manifest("Deployment", name)["spec"]["template"]["metadata"]["annotations"]
    assert told == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(container.ports["http"]),
        "prometheus.io/path": "/metrics",
    }
    # The console has no metrics.
    assert "annotations" not in manifest("Deployment", "console")["spec"]["template"]["metadata"]


# -- the Secret --------------------------------------------------------------------------------------------------------


def test_the_example_is_not_applied_by_mistake() -> None:
    """`kubectl apply -f` of a folder takes .yml, .yaml and .json: a Secret that is there would be overwritten."""
    assert SECRET_EXAMPLE.suffix not in {".yml", ".yaml", ".json"}
    assert not [each for each in MANIFESTS if each["kind"] == "Secret"]


def test_nobody_starts_with_the_texts_of_the_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    example = EXAMPLE["stringData"]
    with pytest.raises(CannotStart, match="CONVERGENCE_DATABASE_URL"):
        settings_of(monkeypatch, {"CONVERGENCE_DATABASE_URL": example["database-url"]})
    _, console = settings_of(monkeypatch, {"CONVERGENCE_UI_STORAGE_SECRET": example["console-storage-secret"]})
    with pytest.raises(Exception, match="at least 32"):
        console.secret()
    for name in ("pepper", "master-key"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(example[name])
    with pytest.raises(CannotStart, match="a pepper has 32"):
        KeyRing.from_file(tmp_path / "pepper", may_create=False)
    with pytest.raises(CannotStart, match="no master key"):
        LocalMasterKeys(file=tmp_path / "master-key")


# -- the commands of the page ------------------------------------------------------------------------------------------


def test_the_page_tells_of_every_file() -> None:
    told = {code(row[0])[0] for row in tables("docs/deployment.md", "On Kubernetes")}
    assert told == {path.name for path in KUBERNETES.iterdir() if path.suffix != ".orig"}


def test_the_command_of_the_page_puts_another_image_everywhere(tmp_path: Path) -> None:
    folder = tmp_path / "deployment" / "kubernetes"
    folder.mkdir(parents=True)
    for path in KUBERNETES.glob("*.yml"):
        (folder / path.name).write_text(path.read_text())
    done_as_told(r"^sed [^\n]+", tmp_path, IMAGE="images.example.com/convergence:1")
    pods = [
        each["spec"]["template"]["spec"]
        for path in folder.glob("*.yml")
        for each in yaml.safe_load_all(path.read_text())
        if each["kind"] == "Deployment"
    ]
    images = {spec["image"] for pod in pods for spec in [*pod.get("initContainers", ()), *pod["containers"]]}
    assert images == {"images.example.com/convergence:1"}


def test_the_command_of_the_page_makes_every_key_of_the_secret(tmp_path: Path) -> None:
    done_as_told(r"^\($.+?^\)$", tmp_path)
    assert {file.name for file in (tmp_path / "secrets").iterdir()} == set(EXAMPLE["stringData"])
    commands = re.findall(r"^kubectl create secret generic (\S+).* --from-file=secrets/", PAGE, re.MULTILINE)
    assert set(commands) == {EXAMPLE["metadata"]["name"]}
