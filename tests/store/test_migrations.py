"""Bringing a store up to date, and living with a newer one."""

import sqlite3
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from server.domain.faults import CannotStart
from server.domain.quotas import Quotas
from server.store.postgres import open_postgres
from server.store.sql.migrations import StoreTooNew
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite
from tests.store.records import PLANS, new_run

SERVER = Path(__file__).resolve().parents[2] / "server"

Open = Callable[[Path], Awaitable[SqlStore]]


@pytest.fixture(params=["sqlite", "postgres"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens one store with the migrations in a folder."""
    if request.param == "sqlite":
        return lambda folder: open_sqlite(tmp_path / "c.sqlite3", migrations=folder)
    url = request.getfixturevalue("postgres")
    return lambda folder: open_postgres(url, migrations=folder)


@pytest.fixture
def known(request: pytest.FixtureRequest, opening: Open, tmp_path: Path) -> Path:
    """A copy of the migrations that this version knows."""
    driver = request.node.callspec.params["opening"]
    folder = tmp_path / "migrations"
    folder.mkdir()
    for script in (SERVER / "store" / driver / "migrations").glob("*.sql"):
        (folder / script.name).write_text(script.read_text())
    return folder


def newest(folder: Path) -> int:
    return max(int(path.name[:4]) for path in folder.glob("*.sql"))


async def test_a_newer_store_is_refused(opening: Open, known: Path) -> None:
    this_version = newest(known)
    newer = known / f"{this_version + 1:04}_newer.sql"
    newer.write_text("ALTER TABLE runs ADD COLUMN novelty TEXT NOT NULL DEFAULT '';\n")
    await (await opening(known)).close()
    newer.unlink()
    with pytest.raises(StoreTooNew, match=f"has migration {this_version + 1}, this version knows {this_version}"):
        await opening(known)


async def test_an_older_version_goes_on_beside_one_that_it_can_live_with(opening: Open, known: Path) -> None:
    """As while servers are brought up to date one after the other: it also starts again."""
    this_version = newest(known)
    before = await opening(known)
    newer = known / f"{this_version + 1:04}_newer.sql"
    newer.write_text(f"-- works with: {this_version}\nALTER TABLE runs ADD COLUMN novelty TEXT NOT NULL DEFAULT '';\n")
    after = await opening(known)
    newer.unlink()
    again = await opening(known)
    for store in (before, after, again):
        run = await store.accept_run(new_run(), PLANS)
        assert await before.get_run(run.pipeline_logging_id) == run
    for store in (before, after, again):
        await store.close()


async def test_a_migration_that_fails_is_tried_again(opening: Open, known: Path) -> None:
    script = known / f"{newest(known) + 1:04}_next.sql"
    script.write_text("CREATE TABLE novelty (n INTEGER);\nCREATE TABLE novelty (n INTEGER);\n")
    with pytest.raises((CannotStart, Exception), match="novelty"):
        await opening(known)
    script.write_text("CREATE TABLE novelty (n INTEGER);\n")
    store = await opening(known)
    await store.accept_run(new_run(), PLANS)
    await store.close()


async def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """With its tenants' limits, and with the numbers of runs that wait and are active."""
    path = tmp_path / "c.sqlite3"
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE TABLE migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)")
        for number in (1, 2, 3):
            (script,) = (SERVER / "store" / "sqlite" / "migrations").glob(f"{number:04}_*.sql")
            old.executescript(script.read_text())
            old.execute("INSERT INTO migrations VALUES (?, 0)", (number,))
        old.execute("INSERT INTO tenants VALUES ('acme_corp', 'Acme', 'ACTIVE', 'US', '[]', '[]', 'r', 0, 0, 1000000)")
        for number, status in enumerate(("PENDING", "PENDING", "RUNNING", "SUCCESS")):
            old.execute(
                "INSERT INTO runs (pipeline_logging_id, tenant_id, pipeline_id, provider, domain, template_name,"
                " status, trigger_kind, run_date, variables, config_hash, created_at, created_by, finished_at)"
                " VALUES (?, 'acme_corp', 'p', 'gcp', '', 't', ?, 'API', '2025-11-18', '{}', '', 0, '', ?)",
                (f"run{number}", status, 1 if status == "SUCCESS" else None),
            )
        old.commit()
    store = await open_sqlite(path)
    tenant = await store.get_tenant("acme_corp")
    assert tenant is not None
    assert tenant.quotas == Quotas(maximum_bytes_billed=1_000_000)
    used = {use.quota.value: use.used for use in await store.usage("acme_corp", PLANS)}
    assert (used["max_pending_runs"], used["max_concurrent_runs"]) == (2, 1)
    await store.close()


async def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    with pytest.raises(CannotStart, match="CONVERGENCE_DATABASE_URL does not answer") as refused:
        await open_postgres("postgresql://convergence:very-secret@127.0.0.1:1/convergence")
    assert "very-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("taken", "says"), [("CREATE", "permission denied for schema public"), ("ALL", "no schema has been selected")]
)
async def test_a_user_without_rights_is_told_which_it_needs(postgres: str, taken: str, says: str) -> None:
    role = f"r{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"REVOKE {taken} ON SCHEMA public FROM PUBLIC".encode())
        admin.execute(f"CREATE ROLE {role} LOGIN".encode())
    with pytest.raises(CannotStart, match="it has to own the database or its schema") as refused:
        await open_postgres(postgres.replace("//postgres:", f"//{role}:very-secret"))
    assert f"the user of CONVERGENCE_DATABASE_URL cannot make its tables: {says}" in str(refused.value)
    assert "very-secret" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        "host/my%40database",
        "host/database?user=a@b&password=c@d",
        "/database?host=@socket",
        "a%40b:c%40d@host/database",
    ],
)
async def test_where_an_at_sign_is_no_mistake(given: str) -> None:
    with pytest.raises(CannotStart, match="does not answer"):
        await open_postgres(f"postgresql://{given}".replace("host/", "127.0.0.1:1/"))


async def test_times_are_the_databases(postgres: str) -> None:
    store = await open_postgres(postgres)
    run = await store.accept_run(new_run(), PLANS)
    with psycopg.connect(postgres) as connection:
        row = connection.execute("SELECT abs(extract(epoch FROM now()) * 1e6 - created_at) FROM runs").fetchone()
    assert row is not None
    assert row[0] < 60_000_000
    assert run.created_at.tzinfo is not None
    await store.close()
