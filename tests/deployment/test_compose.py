"""The Compose file is one, and what it sets is what the product reads."""

import subprocess
import sys
from fnmatch import fnmatchcase

import pytest
import yaml

from tests.deployment.files import DEPLOYMENT, DOCKERFILE, PAGE, ROOT, compose
from tests.deployment.settings import settings_of

SECRETS = {"POSTGRES_PASSWORD": "of-the-database", "CONSOLE_STORAGE_SECRET": "signs-cookies-with-so-many-characters"}
SERVICES = compose(SECRETS)["services"]
OURS = {name: SERVICES[name] for name in ("server", "console")}
GRACE_SECONDS = 30


def test_it_has_the_form_of_compose_files() -> None:
    schema = "vendor.compose-spec"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(DEPLOYMENT / "compose.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_its_settings_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = settings_of(monkeypatch, SERVICES["server"]["environment"])
    user, password = (SERVICES["database"]["environment"][f"POSTGRES_{name}"] for name in ("USER", "PASSWORD"))
    database = SERVICES["database"]["environment"]["POSTGRES_DB"]
    assert server.postgres_url == f"postgresql://{user}:{password}@database/{database}"
    _, console = settings_of(monkeypatch, SERVICES["console"]["environment"])
    assert console.secret() == SECRETS["CONSOLE_STORAGE_SECRET"]
    assert console.server == f"server:{server.grpc_port}"


def test_published_ports_are_those_of_the_settings_and_for_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    server, console = settings_of(monkeypatch, {})
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    ports = (server.grpc_port, server.http_port, console.port)
    assert published == [f"127.0.0.1:{port}:{port}" for port in ports]


@pytest.mark.parametrize("missing", SECRETS)
def test_nothing_starts_without_its_secrets(missing: str) -> None:
    text = (DEPLOYMENT / "compose.yml").read_text()
    assert f"${{{missing}:?" in text
    with pytest.raises(KeyError, match=missing):
        compose({name: value for name, value in SECRETS.items() if name != missing})


def test_what_is_kept_is_in_volumes() -> None:
    volumes = compose(SECRETS)["volumes"]
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", ())]
    assert {mount.partition(":")[0] for mount in mounts} == set(volumes)
    (state,) = DOCKERFILE.of("VOLUME")
    assert all(service["volumes"][0].partition(":")[2] == state for service in OURS.values())


@pytest.mark.parametrize("name", OURS)
def test_containers_may_do_no_more_than_they_need(name: str) -> None:
    service = OURS[name]
    # The image's user, who is not root.
    assert "user" not in service
    assert service["read_only"]
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_steps_may_finish_before_the_server_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = settings_of(monkeypatch, SERVICES["server"]["environment"])
    period = int(SERVICES["server"]["stop_grace_period"].removesuffix("s"))
    assert period >= server.stop_notice_seconds + server.drain_seconds + GRACE_SECONDS


def test_an_operators_own_files_stay_out_of_git() -> None:
    files = [entry["path"] for service in OURS.values() for entry in service["env_file"]]
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for name in [".env", "compose.override.yml", *files]:
        assert any(fnmatchcase(f"/deployment/{name}", pattern) for pattern in ignored), name


def test_the_two_compose_files_of_the_page_fit_together() -> None:
    """What docs/deployment.md shows as an override has the same form, and names the same services."""
    shown = PAGE.partition("```yml\n")[2].partition("```")[0]
    assert set(yaml.safe_load(shown)["services"]) <= set(SERVICES)
