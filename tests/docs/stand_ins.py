"""Stands in for tools that the pages' commands want and a test does not have.

What a command does inside of a container is done on this machine, where RUNNING is the state folder of a server that
runs and STOPPED that of one that does not, or by PostgreSQL's own tools on a database of the test's. Files that a
command names have to be there. Whether the tools themselves take their words is not known here: what nothing stands in
for is refused, so that nobody takes it for tested.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import yaml

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"
_INSIDE = "/var/lib/convergence"
_WITH_A_VALUE = {"--env", "--namespace", "--name", "--volume", "--publish", "--stop-timeout"}


def main(tool: str, arguments: Sequence[str]) -> None:
    """Do what the tool would."""
    match tool, *arguments:
        case "docker", "compose", *rest:
            _compose(rest)
        case "docker", "exec", *rest:
            _run_inside(_words(rest)[1:])
        case "docker", "build", *_, folder:
            _find(f"{folder}/Dockerfile")
        case "docker", "run" | "tag" | "push", *_:
            pass
        case "kubectl", "exec", *rest:
            _run_inside(rest[rest.index("--") + 1 :])
        case "kubectl", "apply" | "create", *rest:
            _apply(rest)
        case "kubectl", "wait" | "port-forward" | "label" | "rollout" | "annotate" | "scale", *_:
            pass
        case "kubectl", "replace", "-f", "-":
            sys.stdin.read()
        case "gcloud", "iam" | "projects", *rest:
            _find(*(value for option, value in pairwise(rest) if option == "--file"))
        case "bq", "query" | "show" | "extract", *_:
            pass
        case "grpcurl", "-plaintext", "-H", header, "-d", body, _, method:
            _call(header, body, method)
        case "pip", "install", what:
            _check_extras(what)
        case _:
            _refuse(f"{tool} {arguments}")


def _compose(arguments: Sequence[str]) -> None:
    _find("compose.yml")
    services = yaml.safe_load(Path("compose.yml").read_text())["services"]
    match arguments:
        case "exec", *rest:
            service, *command = _words(rest)
            assert service in services
            _run_inside(command)
        case "run", *rest:
            service, *command = _words(rest)
            assert service in services
            _run_inside(command, state="STOPPED")
        case "up", "--detach", "--wait", "database":
            # On another machine, which has nothing yet.
            for tool in (["dropdb"], ["createdb", "--owner", "convergence"]):
                subprocess.run([*tool, "convergence"], check=True)
            shutil.rmtree(os.environ["STOPPED"])
            Path(os.environ["STOPPED"]).mkdir()
        case "up" | "stop" | "start" | "build", *rest:
            assert set(_words(rest)) <= set(services), rest
        case _:
            _refuse(f"docker compose {arguments}")


def _words(arguments: Sequence[str]) -> list[str]:
    """What follows the options; those that set a variable set it here."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        value = rest.pop(0) if option in _WITH_A_VALUE else ""
        if option == "--env":
            name, _, text = value.partition("=")
            os.environ[name] = text.replace(_INSIDE, os.environ["RUNNING"])
    return rest


def _run_inside(command: Sequence[str], *, state: str = "RUNNING") -> NoReturn:
    os.execvp(command[0], [word.replace(_INSIDE, os.environ[state]) for word in command])


def _apply(arguments: Sequence[str]) -> None:
    """What is applied has to be there and to be readable."""
    for before, word in pairwise(["", *arguments]):
        if before == "-f":
            files = [Path(word)] if Path(word).is_file() else sorted(Path(word).glob("*.yml"))
            assert files, word
            assert all(each["kind"] for file in files for each in yaml.safe_load_all(file.read_text()))
        if word.startswith("--from-file="):
            folder = Path(word.removeprefix("--from-file="))
            assert all(file.stat().st_size for file in folder.iterdir()), word


def _find(*paths: str) -> None:
    for path in paths:
        assert Path(path).is_file(), f"{path} is not there"


def _call(header: str, body: str, method: str) -> None:
    # The other tools need none of it, and it takes its time.
    import grpc  # noqa: PLC0415
    from google.protobuf import json_format, message_factory  # noqa: PLC0415

    from server.api.app import DESCRIPTORS  # noqa: PLC0415

    service, _, name = method.partition("/")
    found = {each.full_name: each for each in DESCRIPTORS}[service].methods_by_name[name]
    request = json_format.ParseDict(json.loads(body), message_factory.GetMessageClass(found.input_type)())
    key, _, value = header.partition(": ")
    with grpc.insecure_channel(os.environ["CONVERGENCE_TARGET"]) as channel:
        call = channel.unary_unary(f"/{method}", request_serializer=lambda message: message.SerializeToString())
        call(request, metadata=((key, value),), timeout=10)


def _check_extras(what: str) -> None:
    known = tomllib.loads(_PROJECT.read_text())["project"]["optional-dependencies"]
    folder, _, extras = what.rstrip("]").partition("[")
    assert folder == "."
    assert set(extras.split(",")) <= set(known), what


def _refuse(what: str) -> NoReturn:
    raise SystemExit(f"nothing stands in for: {what}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
