"""Reads what an operator deploys with: the Dockerfile, the Compose file, the Kubernetes manifests."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENT = ROOT / "deployment"
KUBERNETES = DEPLOYMENT / "kubernetes"
SECRET_EXAMPLE = KUBERNETES / "secret.yml.example"
PAGE = (ROOT / "docs" / "deployment.md").read_text()

_CONTINUED = re.compile(r"\\\n\s*")
_VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")


class Dockerfile:
    """The instructions of each stage."""

    def __init__(self, text: str) -> None:
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        self.stages: list[list[tuple[str, str]]] = []
        for line in _CONTINUED.sub("", "\n".join(lines)).splitlines():
            word, _, rest = line.partition(" ")
            if word == "FROM":
                self.stages.append([])
            if word:
                self.stages[-1].append((word, rest))

    def of(self, word: str) -> list[str]:
        """What the last stage has of an instruction."""
        return [rest for found, rest in self.stages[-1] if found == word]

    @cached_property
    def environment(self) -> dict[str, str]:
        """What a container finds in its environment."""
        return dict(pair.split("=", 1) for rest in self.of("ENV") for pair in rest.split())

    @property
    def command(self) -> list[str]:
        (text,) = self.of("CMD")
        found: list[str] = json.loads(text)
        return found

    @property
    def healthcheck(self) -> list[str]:
        (text,) = self.of("HEALTHCHECK")
        found: list[str] = json.loads(text.partition(" CMD ")[2])
        return found


DOCKERFILE = Dockerfile((ROOT / "Dockerfile").read_text())


def is_in_build_context(path: str) -> bool:
    """What .dockerignore says of a file: the last rule that fits it, or a folder above it, counts."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    places = [PurePosixPath(path), *PurePosixPath(path).parents[:-1]]
    included = True
    for rule in rules:
        if any(_fits(rule.removeprefix("!"), place) for place in places):
            included = rule.startswith("!")
    return included


def _fits(pattern: str, place: PurePosixPath) -> bool:
    if pattern.startswith("**/"):
        return place.name == pattern.removeprefix("**/")
    return len(place.parts) == len(PurePosixPath(pattern).parts) and fnmatchcase(str(place), pattern)


def compose(given: Mapping[str, str]) -> dict[str, Any]:
    """The Compose file with the variables filled in. Raises KeyError for one that is not given."""
    lines = (DEPLOYMENT / "compose.yml").read_text().splitlines()
    filled = (_VARIABLE.sub(lambda variable: given[variable[1]], line) for line in lines if line.strip()[:1] != "#")
    found: dict[str, Any] = yaml.safe_load("\n".join(filled))
    return found


def done_as_told(command: str, folder: Path, **variables: str) -> None:
    """Do in a folder what docs/deployment.md tells to type: the one command that the pattern finds."""
    (found,) = (match[0] for match in re.finditer(command, PAGE, re.MULTILINE | re.DOTALL))
    given = {"PATH": os.environ["PATH"], **variables}
    subprocess.run(["/bin/sh", "-ec", found], check=True, cwd=folder, env=given, capture_output=True)


def documents(path: Path) -> list[dict[str, Any]]:
    """The manifests in a file."""
    return list(yaml.safe_load_all(path.read_text()))


MANIFESTS = [manifest for path in sorted(KUBERNETES.glob("*.yml")) for manifest in documents(path)]
"""What `kubectl apply -f deployment/kubernetes/` applies."""


def manifest(kind: str, name: str) -> dict[str, Any]:
    (found,) = (each for each in MANIFESTS if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


DEPLOYMENTS = [each for each in MANIFESTS if each["kind"] == "Deployment"]


@dataclass(frozen=True)
class Container:
    """A container of a Deployment's pods."""

    owner: str
    """The name of the Deployment."""
    pod: dict[str, Any]
    spec: dict[str, Any]

    @property
    def place(self) -> str:
        return f"{self.owner}/{self.spec['name']}"

    def environment(self, secret: Mapping[str, str]) -> dict[str, str]:
        """What the manifests give it, with what the Secret holds. Raises KeyError when a reference leads nowhere."""
        found = dict[str, str]()
        for source in self.spec.get("envFrom", ()):
            found |= manifest("ConfigMap", source["configMapRef"]["name"])["data"]
        for variable in self.spec.get("env", ()):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            found[variable["name"]] = secret[reference["key"]] if reference else variable["value"]
        return found

    @property
    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in self.spec.get("ports", ())}

    @property
    def probes(self) -> dict[str, dict[str, Any]]:
        return {name: self.spec[name] for name in self.spec if name.endswith("Probe")}


def containers(*, initial: bool = False) -> Iterator[Container]:
    """Those that run, or with `initial` those that come before them."""
    for deployment in DEPLOYMENTS:
        pod = deployment["spec"]["template"]["spec"]
        for spec in pod.get("initContainers" if initial else "containers", ()):
            yield Container(deployment["metadata"]["name"], pod, spec)
