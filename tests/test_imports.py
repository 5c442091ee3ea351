"""Dependencies point one way. This reads every import and holds the rule that docs/architecture.md states."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("server", "processors", "convergence", "admin_ui")

# package or module -> what it may import of the project and of third parties; the longest matching rule counts.
ALLOWED: dict[str, set[str]] = {
    "server.domain": {"server.domain", "pydantic", "pydantic_core", "sqlglot"},
    "server.domain.cron": {"cronsim"},
    "server.store": {"server.store", "server.domain"},
    "server.store.postgres": {"server.store", "server.domain", "psycopg", "psycopg_pool"},
    "server.warehouse": {"server.warehouse", "server.domain", "sqlglot", "duckdb", "pydantic", "pytz"},
    "server.threads": set(),
    "server.warehouse.bigquery": {
        *("server.warehouse", "server.domain", "server.threads", "sqlglot", "pydantic", "google", "requests")
    },
    "server.warehouse.__main__": {"server.warehouse", "server.domain", "server.settings", "pydantic", "rich", "typer"},
    "server.security": {"server.security", "server.domain", "cryptography"},
    "server.metrics": {"server.domain", "prometheus_client"},
    "server.gateway": {
        *("server.gateway", "server.api", "server.domain", "server.errors", "server.metrics", "server.tracing"),
        *("aiohttp", "grpc", "google"),
    },
    "server.providers": {
        *("server.credential_forms", "server.domain", "server.errors", "server.warehouse", "boto3", "botocore")
    },
    "server.settings": {"server.domain", "server.message_settings", "pydantic", "pydantic_core", "pydantic_settings"},
    "server.message_settings": {"server.domain", "pydantic", "pydantic_settings"},
    "server.delivery": {
        *("server.delivery", "server.domain", "server.metrics", "server.security", "server.store", "server.tasks"),
        "server.threads",
    },
    "server.delivery.opening": {"server.delivery", "server.domain", "server.settings"},
    "server.delivery.smtp": {"server.delivery", "server.domain", "aiosmtplib"},
    "server.delivery.webhook": {"server.delivery", "server.domain", "aiohttp", "slack_sdk"},
    "server.delivery.public_addresses": {"aiohttp"},
    "server.delivery.lookups": {"aiohttp"},
    "processors": {"processors", "pydantic", "pydantic_core"},
    "processors.aws": {"processors", "pydantic", "botocore"},
    "processors.files": {"processors.files", "pydantic", "duckdb"},
    "server.tracing": {"server.domain", "server.otlp", "server.settings"},
    "server.otlp": {"server", "opentelemetry"},
    "convergence": {"convergence", "grpc", "google", "rich", "typer", "opentelemetry"},
    "admin_ui": {
        *(
            "admin_ui",
            "convergence",
            "nicegui",
            "fastapi",
            "starlette",
            "pydantic",
            "pydantic_settings",
            "google",
            "grpc",
        ),
        *("cron_descriptor", "pygments"),
    },
}
PROTOBUF = {"convergence.v1", "google.protobuf", "google.rpc"}


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if not name.startswith("convergence.v1"):
                yield name, path


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            found.add(node.module or "")
    return found


def is_under(name: str, parents: set[str]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


MODULES = dict(modules())


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name: str) -> None:
    rules = [rule for rule in ALLOWED if is_under(name, {rule})]
    used = {used for used in imports(MODULES[name]) if used.partition(".")[0] not in sys.stdlib_module_names}
    if rules:
        allowed = ALLOWED[max(rules, key=len)]
        assert not {used for used in used if not is_under(used, allowed)}
    if name.startswith("server") and not name.startswith(("server.api", "server.gateway")):
        assert not {used for used in used if is_under(used, PROTOBUF)}, "only server.api and server.gateway"
    if name != "server.worker.__main__" and name.startswith("server") and not name.startswith("server.warehouse"):
        assert not {used for used in used if used.startswith("server.warehouse.embedded")}, "go through the port"
    if name.startswith("server") and not name.startswith("server.warehouse.bigquery"):
        assert not {used for used in used if is_under(used, {"google.cloud", "google.auth", "google.api_core"})}
    if name.startswith("server") and name != "server.otlp":
        assert not {used for used in used if is_under(used, {"opentelemetry"})}, "it is an extra: server.tracing"
    if name.startswith("server") and name != "server.step_runner":
        assert not is_under("processors", used), "processors are reached through the registry"


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        name
        for name, path in MODULES.items()
        if name.startswith("server")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers == {"server.settings"}
