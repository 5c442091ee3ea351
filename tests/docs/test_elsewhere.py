"""What the pages tell to type on other machines: with tools, or in places, that a test does not have."""

import sys
from collections.abc import AsyncIterator
from itertools import groupby
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from server.store.opening import open_store
from tests.docs import stand_ins
from tests.docs.pages import PAGES, blocks
from tests.docs.terminal import Terminal
from tests.store.postgres import Postgres

TOOLS = ("docker", "kubectl", "gcloud", "bq", "grpcurl", "pip")
# What is not run here, and where the same is.
EXCUSED = {
    ("docs/bigquery.md", "On BigQuery"): "wants a Google project; tests/e2e start servers on one that speaks BigQuery",
    ("docs/bigquery.md", "Who it is to Google"): "asks Google; tests/e2e/test_credentials.py asks a server of its own",
    ("docs/console.md", "Start it"): "has no end; tests/console start it like that",
    ("docs/operations.md", "Several servers and workers"): "have no end; tests/deployment/test_start.py starts them",
}
CHAPTERS = {
    place: [block.text for block in found]
    for page in PAGES
    for place, found in groupby(
        (block for block in blocks(page) if block.language == "sh"), lambda block: (block.page, block.chapter)
    )
}


def test_no_excuse_is_left_over() -> None:
    assert EXCUSED.keys() <= CHAPTERS.keys()


def test_no_block_is_of_a_kind_that_nothing_looks_at() -> None:
    known = {"console", "sh", "yaml", "python", "text", "json", "dockerfile", "yml", "mermaid"}
    assert {block.language for page in PAGES for block in blocks(page)} <= known


@pytest.fixture(scope="module")
async def database(running_postgres: Postgres) -> AsyncIterator[str]:
    """The URL of a service's database, which is called as in the Compose file."""
    url = running_postgres.new_database()
    own = url.replace(str(conninfo_to_dict(url)["dbname"]), "convergence")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE ROLE convergence SUPERUSER LOGIN")
        admin.execute("CREATE DATABASE convergence OWNER convergence")
        store = await open_store(database_url=own, path=Path())
        await store.close()
        yield own
        admin.execute("DROP DATABASE convergence WITH (FORCE)")
        admin.execute("DROP ROLE convergence")


def tables(database: str) -> set[str]:
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {str(name) for (name,) in rows}


@pytest.fixture(scope="module")
def elsewhere(terminal: Terminal, database: str) -> Terminal:
    """A terminal with a server, a tenant and the tools."""
    tools = terminal.checkout / "tools"
    tools.mkdir()
    for tool in TOOLS:
        path = tools / tool
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{stand_ins.__file__}" {tool} "$@"\n')
        path.chmod(0o755)
    (terminal.checkout / "Dockerfile").touch()
    (terminal.checkout / "volume").mkdir()
    (terminal.checkout / "volume/pepper").write_text("a pepper")
    assert "ready grpc=" in terminal.type("make run")
    host = conninfo_to_dict(database)["host"]
    with psycopg.connect(database) as connection:
        (postgres_tools,) = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone() or ()
    for command in (
        "source .venv/bin/activate",
        f'export PATH="$PWD/tools:{postgres_tools}:$PATH" PGHOST="{host}" PGUSER=postgres',
        'export RUNNING="$PWD/var" STOPPED="$PWD/volume" CONVERGENCE_API_KEY_FILE="$PWD/var/admin_api_key"',
        "convergence tenants onboard acme_corp",
        """echo '{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "'$(printf %040d 1)'"}' > key.json""",
        "convergence credentials put bills key.json --kind aws-access-key --tenant acme_corp",
    ):
        printed = terminal.type(command)
        assert terminal.code == 0, printed
    return terminal


@pytest.mark.parametrize("place", [place for place in CHAPTERS if place not in EXCUSED], ids=" ".join)
def test_chapter(elsewhere: Terminal, place: tuple[str, str]) -> None:
    commands = "".join(CHAPTERS[place])
    printed = elsewhere.type(f"(set -ex\n{commands})")
    assert elsewhere.code == 0, printed


def test_what_compose_has_backed_up_is_there_again(elsewhere: Terminal, database: str) -> None:
    """After the chapter has moved it to empty volumes."""
    assert (elsewhere.checkout / "volume/pepper").read_text() == "a pepper"
    assert {"runs", "tenants", "api_keys"} <= tables(database)
