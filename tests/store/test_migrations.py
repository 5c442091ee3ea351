"""Bringing a store up to date, and living with a newer one."""

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from server.domain.audit import AuditAction
from server.domain.faults import CannotStart
from server.domain.pipeline import PipelineName
from server.domain.quotas import Quotas
from server.domain.run import RunStatus, StepStatus
from server.domain.schedule import ScheduleSettings
from server.domain.tenant import SYSTEM_TENANT
from server.store.port import RunEnd, RunFilter, StepEnd
from server.store.postgres import open_postgres
from server.store.sql.database import Transaction, marks
from server.store.sql.migrations import StoreTooNew
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite
from tests.store.records import BY, PLANS, api_key, claimed, new_run, request_key, snapshot

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
    used = {use.quota.value: use.used for use in (await store.usage(["acme_corp"], PLANS))["acme_corp"]}
    assert (used["max_pending_runs"], used["max_concurrent_runs"]) == (2, 1)
    await store.close()


def row(tx: Transaction, table: str, **values: object) -> None:
    tx.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES {marks(list(values))}", list(values.values()))


def fill_the_first_version(tx: Transaction, run_ids: Mapping[RunStatus, str]) -> None:
    """As it stored a tenant with its key, and runs with all that belongs to them; the databases began apart."""
    is_postgres = bool(tx.for_update)
    row(
        tx,
        "tenants",
        tenant_id="acme_corp",
        display_name="Acme",
        state="ACTIVE",
        location="US",
        contact_emails="[]",
        allowed_sources='["shared.export.*"]',
        onboarding_run="r",
        created_at=1,
        updated_at=1,
        **({"plan": "standard", "quotas": '{"runs_per_day": 7}'} if is_postgres else {}),
    )
    row(
        tx,
        "api_keys",
        key_id="abc123",
        tenant_id="acme_corp",
        name="first",
        scopes='["runs:read"]',
        digest=b"d" * 32,
        created_at=1,
    )
    for status, run_id in run_ids.items():
        row(
            tx,
            "runs",
            pipeline_logging_id=run_id,
            tenant_id="acme_corp",
            pipeline_id="acme_corp-costs",
            provider="gcp",
            domain="cost",
            template_name="cost_billing",
            status=status,
            trigger_kind="API",
            run_date="2025-11-18",
            variables="{}",
            config_hash="c0ffee",
            created_by="abc123",
            created_at=1,
            finished_at=2 if status.is_terminal else None,
            last_sequence=1,
            lease_worker="" if status is RunStatus.PENDING else "w1",
            **({"kind": "EXECUTE"} if is_postgres else {}),
        )
        row(tx, "snapshots", pipeline_logging_id=run_id, body=snapshot("load").model_dump_json(exclude_defaults=True))
        step = {"step_id": "load", "ps_type": "gcp.bq_etl", "status": "SUCCESS" if status.is_terminal else "PENDING"}
        row(tx, "steps", pipeline_logging_id=run_id, position=0, step_id="load", body=json.dumps(step))
        row(tx, "events", pipeline_logging_id=run_id, sequence=1, time=1, body='{"log": {"message": "working"}}')
        row(
            tx,
            "requests",
            tenant_id="acme_corp",
            method="RunPipeline",
            request_id=status,
            content_hash="same",
            pipeline_logging_id=run_id,
            created_at=1,
        )
        row(tx, "outbox", tenant_id="acme_corp", kind="run", key=run_id)
    if is_postgres:
        row(tx, "queues", tenant_id="acme_corp", pending=1, active=1)


async def test_what_the_first_version_stored_is_used_by_this_one(opening: Open, known: Path) -> None:
    run_ids = {status: str(uuid.uuid4()) for status in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.SUCCESS)}
    later = {path: path.read_text() for path in known.glob("*.sql") if not path.name.startswith("0001_")}
    for path in later:
        path.unlink()
    old = await opening(known)
    await old._db.write(lambda tx: fill_the_first_version(tx, run_ids))
    await old.close()
    for path, script in later.items():
        path.write_text(script)
    store = await opening(known)
    tenant = await store.get_tenant("acme_corp")
    assert tenant is not None
    assert tenant.allowed_sources == ("shared.export.*",)
    used = {use.quota.value: use.used for use in (await store.usage(["acme_corp"], PLANS))["acme_corp"]}
    assert (used["max_pending_runs"], used["max_concurrent_runs"]) == (1, 1)
    for status, run_id in run_ids.items():
        (run,) = await store.list_runs(RunFilter(tenant_id="acme_corp", statuses=(status,)), after=None, limit=9)
        assert run.pipeline_logging_id == run_id
        (event,) = await store.events(run_id, after=0, limit=9)
        assert event.log is not None
        assert await store.find_request(request_key(request_id=status)) == await store.get_run(run_id)
    noted = [(entry.tenant_id, entry.key) for entry in await store.outbox(skip=(), limit=9)]
    own = [("acme_corp", run_id) for run_id in run_ids.values()]
    assert noted == [*own, (SYSTEM_TENANT, "acme_corp"), (SYSTEM_TENANT, "abc123")]
    for status in (RunStatus.RUNNING, RunStatus.PENDING):
        held = await claimed(store)
        assert held.run.pipeline_logging_id == run_ids[status]
        step = await store.start_step(held.lease, held.run.steps[0])
        await store.finish_step(held.lease, StepEnd(step.model_copy(update={"status": StepStatus.SUCCESS})))
        await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS))
    retry = replace(new_run(), retry_of=run_ids[RunStatus.SUCCESS])
    (step,) = (await store.accept_run(retry, PLANS)).steps
    assert step.status is StepStatus.SUCCESS
    assert await store.check() == []
    await store.rotate_api_key("abc123", api_key(key_id="next"), overlap_seconds=60, by=BY, request=None)
    assert {key.key_id for key in await store.tenant_keys("acme_corp")} == {"abc123", "next"}
    assert [event.action for event in await store.audit_events("acme_corp", before=None, limit=1)] == [
        AuditAction.API_KEY_ROTATE
    ]
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


def test_a_migration_stays_as_it_is() -> None:
    """Stores that have it do not get it again: what changes is a migration of its own, with a line of its own."""
    folder = SERVER / "store"
    lines = (line.split() for line in (Path(__file__).parent / "migrations.sha256").read_text().splitlines())
    recorded = {path: digest for digest, path in lines}
    present = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*/migrations/*.sql")
    }
    assert present == recorded


async def test_schedules_that_were_ahead_before_are_found(opening: Open, known: Path) -> None:
    (later,) = known.glob("*_wrong_clocks.sql")
    script = later.read_text()
    later.unlink()
    old = await opening(known)
    name = PipelineName("gcp", "cost", "daily")
    settings = ScheduleSettings(name=name, cron="0 6 * * *").model_dump_json(exclude_defaults=True)
    of_name = {"provider": name.provider, "domain": name.domain, "template_name": name.template_name}

    def fill(tx: Transaction) -> None:
        for schedule_id, fired_at in (("ahead", tx.now + 10**12), ("well", tx.now)):
            of_schedule = {"tenant_id": "acme_corp", "schedule_id": schedule_id, **of_name}
            times = {"created_at": tx.now, "updated_at": tx.now}
            kept = {"settings": settings, "overlap": "SKIP", "is_paused": 0, "pause_reason": ""}
            row(tx, "schedules", **of_schedule, **kept, **times)
            told = {"run_date": "2025-11-18", "outcome": "FIRED", "message": "", "pipeline_logging_id": "r"}
            row(tx, "scheduled_runs", **of_schedule, **told, nominal_time=1, fired_at=fired_at, pipeline_id="p")

    await old._db.write(fill)
    await old.close()
    later.write_text(script)
    store = await opening(known)
    assert [one.schedule_id for one in (await store.due_schedules(skip=[], limit=9)).ahead] == ["ahead"]
    await store.close()
