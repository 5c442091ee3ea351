"""What only PostgreSQL can do to a server: cut its connections, hold its locks, refuse its values."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from server.domain.run import RunStatus
from server.following import Following
from server.store.port import RunEnd, StoreBusy
from server.store.postgres import open_postgres
from server.store.sql import keys
from server.store.sql.database import Transaction
from server.store.sql.store import SqlStore
from tests.store.records import BY, LEASE, PLANS, api_key, claim, claimed, new_run, tenant


@pytest.fixture
async def store(postgres: str) -> AsyncIterator[SqlStore]:
    opened = await open_postgres(postgres)
    yield opened
    await opened.close()


class Connections:
    """Those of the stores in a database."""

    def __init__(self, url: str, admin: psycopg.Connection[Any]) -> None:
        self.database = conninfo_to_dict(url)["dbname"]
        self.admin = admin

    def execute(self, sql: str) -> list[Any]:
        return self.admin.execute(sql.encode()).fetchall()

    def cut(self, those: str = "") -> None:
        self.execute(f"SELECT pg_terminate_backend(pid, 10000) FROM {self._of_stores}{those}")

    @property
    def _of_stores(self) -> str:
        return f"pg_stat_activity WHERE datname = '{self.database}' AND application_name = 'convergence'"

    # They ask from time to time whether their connection is alive; the others have ended transactions.
    LISTENING = " AND query IN ('LISTEN convergence', 'SELECT 1')"

    def listening(self) -> int:
        return len(self.execute(f"SELECT 1 FROM {self._of_stores}{self.LISTENING}"))

    async def wait_until_two_listen(self) -> None:
        async with asyncio.timeout(60):
            while self.listening() < 2:
                await asyncio.sleep(0.05)


@pytest.fixture
def connections(postgres: str) -> Iterator[Connections]:
    # From another database: so this one can be closed to everybody.
    with psycopg.connect(postgres, dbname="postgres", autocommit=True) as admin:
        yield Connections(postgres, admin)


async def at_rest(store: SqlStore) -> int:
    """The version when nothing more is told: who polls tells of a change each second."""
    seen = store.version
    while (version := await store.wait_for_change(seen, 2)) != seen:
        seen = version
    return seen


async def test_commits_of_others_are_noticed_after_all_connections_were_cut(
    store: SqlStore, postgres: str, connections: Connections
) -> None:
    """By notification, as before: neither store goes on polling."""
    other = await open_postgres(postgres)
    connections.cut()
    await connections.wait_until_two_listen()
    async with asyncio.timeout(60):
        seen = await at_rest(store)
    await other.accept_run(new_run(), PLANS)
    assert await store.wait_for_change(seen, 20) != seen
    await other.close()


async def test_commits_of_others_are_noticed_where_nobody_can_listen(
    store: SqlStore, postgres: str, connections: Connections
) -> None:
    """Again and again, not only once when the connection for it was lost."""
    other = await open_postgres(postgres)
    await connections.wait_until_two_listen()
    # What is connected stays so.
    connections.admin.execute(f"ALTER DATABASE {connections.database} ALLOW_CONNECTIONS false".encode())
    connections.cut(Connections.LISTENING)
    for _ in range(4):
        seen = store.version
        run = await other.accept_run(new_run(), PLANS)
        assert await store.wait_for_change(seen, 20) != seen
        assert await store.get_run(run.pipeline_logging_id) == run
    assert connections.listening() == 0
    await other.close()


@pytest.fixture
def shadowed(postgres: str) -> Iterator[Callable[[str], None]]:
    """Puts a function of a test's own before one of PostgreSQL's, for whoever connects afterwards."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} SET search_path = public, pg_catalog".encode())
        yield lambda function: admin.execute(f"CREATE OR REPLACE FUNCTION public.{function} LANGUAGE sql".encode())


async def test_a_run_is_followed_though_no_notification_comes(
    shadowed: Callable[[str], None], postgres: str, connections: Connections
) -> None:
    """As behind a pooler that takes them for nobody's."""
    shadowed("pg_notify(text, text) RETURNS void AS ''")
    follower, other = await open_postgres(postgres), await open_postgres(postgres)
    await connections.wait_until_two_listen()
    run = await other.accept_run(new_run(), PLANS)
    following = Following(follower, max_streams=9, max_streams_per_key=9)
    seen = await at_rest(follower)
    pieces = following.pieces(run.pipeline_logging_id, after=1, silence=20)
    next_piece = asyncio.create_task(anext(pieces))
    while run.pipeline_logging_id not in following._runs:
        await asyncio.sleep(0.01)
    await other.request_cancel(run.pipeline_logging_id, by=BY)
    assert [event.sequence for event in await next_piece] == [2, 3]
    assert follower.version == seen, "it was told nothing"
    await pieces.aclose()
    await following.close()
    for opened in (follower, other):
        await opened.close()


async def test_an_upgrade_beside_it_adds_columns(store: SqlStore, postgres: str) -> None:
    """As a migration that works with this version does, while connections have prepared what they often ask."""

    async def ask() -> None:
        for _ in range(12):
            run = await store.accept_run(new_run(), PLANS)
            cancelled = await store.request_cancel(run.pipeline_logging_id, by=BY)
            assert await store.get_run(run.pipeline_logging_id) == cancelled

    await ask()
    with psycopg.connect(postgres, autocommit=True) as newer:
        newer.execute("ALTER TABLE runs ADD COLUMN of_a_newer_version TEXT")
    await ask()


_YEAR = 365 * 86_400


async def test_leases_and_times_are_by_the_databases_clock(shadowed: Callable[[str], None], postgres: str) -> None:
    """Which is a year ahead of this machine's, and of those of all workers."""

    def set_ahead(seconds: int) -> None:
        body = f"SELECT pg_catalog.clock_timestamp() + interval '{seconds} seconds'"
        shadowed(f"clock_timestamp() RETURNS timestamptz AS $${body}$$")

    def is_now(time: datetime | None) -> bool:
        return time is not None and abs((time - datetime.now(UTC)).total_seconds() - _YEAR) < 60

    set_ahead(_YEAR)
    first, second = await open_postgres(postgres), await open_postgres(postgres)
    run = await first.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    held = await claimed(first, "w1")
    assert await claim(second, "w2") is None, "the lease has not ended"
    step = await first.start_step(held.lease, held.run.steps[0])
    (key,) = await first.tenant_keys("acme_corp")
    (audited, *_) = await first.audit_events("acme_corp", before=None, limit=9)
    events = await first.events(run.pipeline_logging_id, after=0, limit=9)
    times = [run.created_at, held.run.started_at, step.started_at, key.created_at, audited.time]
    assert all(map(is_now, [*times, *(event.time for event in events)]))
    set_ahead(_YEAR + int(LEASE) - 10)
    assert await first.renew([held.lease], lease_seconds=LEASE) == {held.lease}
    set_ahead(_YEAR + 2 * int(LEASE) - 20)
    assert await claim(second, "w2") is None, "it was renewed"
    set_ahead(_YEAR + 2 * int(LEASE) + 60)
    taken = await claimed(second, "w2")
    assert taken.run.pipeline_logging_id == run.pipeline_logging_id
    assert await first.renew([held.lease], lease_seconds=LEASE) == frozenset()
    set_ahead(-_YEAR)
    ended = await second.finish_run(taken.lease, RunEnd(RunStatus.SUCCESS))
    assert ended.finished_at is not None
    assert ended.finished_at < run.created_at
    for opened in (first, second):
        await opened.close()


@contextmanager
def held(url: str, sql: str) -> Iterator[None]:
    """A transaction of somebody who stands still with a lock."""
    with psycopg.connect(url) as connection:
        connection.execute(sql.encode())
        yield


async def test_a_tenants_queue_that_somebody_holds_delays_nobody_else(store: SqlStore, postgres: str) -> None:
    await store.accept_run(new_run(), PLANS)
    lost = await store.claim("w1", lease_seconds=30, plans=PLANS)
    assert lost is not None
    await store.accept_run(new_run("other_tenant"), PLANS)
    other = await store.claim("w2", lease_seconds=30, plans=PLANS)
    await store.expire_worker("w1")
    with held(postgres, "SELECT 1 FROM queues WHERE tenant_id = 'acme_corp' FOR UPDATE"):
        waiting = [asyncio.create_task(store.accept_run(new_run(), PLANS)) for _ in range(20)]
        async with asyncio.timeout(3):
            assert other is not None
            assert await store.renew([other.lease], lease_seconds=30) == {other.lease}
            assert await store.find_api_key("nothing") is None
            assert await store.get_run(other.run.pipeline_logging_id) is not None
    await asyncio.gather(*waiting)


async def test_a_run_whose_tenant_is_held_is_passed_over(store: SqlStore, postgres: str) -> None:
    await store.accept_run(new_run(), PLANS)
    assert await store.claim("w1", lease_seconds=30, plans=PLANS) is not None
    await store.expire_worker("w1")
    await store.accept_run(new_run("other_tenant"), PLANS)
    with held(postgres, "SELECT 1 FROM queues WHERE tenant_id = 'acme_corp' FOR UPDATE"):
        async with asyncio.timeout(3):
            claim = await store.claim("w2", lease_seconds=30, plans=PLANS)
    assert claim is not None
    assert claim.run.tenant_id == "other_tenant"


async def test_a_waiting_run_that_somebody_holds_is_passed_over(store: SqlStore, postgres: str) -> None:
    """For the tenant's next one; and where it has no other, for another tenant's."""
    held_run, following_run = [await store.accept_run(new_run(), PLANS) for _ in range(2)]
    await store.accept_run(new_run("other_tenant"), PLANS)
    waits = f"SELECT 1 FROM runs WHERE pipeline_logging_id = '{held_run.pipeline_logging_id}' FOR UPDATE"
    with held(postgres, waits):
        async with asyncio.timeout(3):
            claims = [await store.claim("w1", lease_seconds=30, plans=PLANS) for _ in range(3)]
    assert [found.run.tenant_id for found in claims if found] == ["acme_corp", "other_tenant"]
    assert claims[0] is not None
    assert claims[0].run.pipeline_logging_id == following_run.pipeline_logging_id
    last = await store.claim("w1", lease_seconds=30, plans=PLANS)
    assert last is not None
    assert last.run.pipeline_logging_id == held_run.pipeline_logging_id


async def test_a_database_that_only_reads_is_busy(store: SqlStore, postgres: str) -> None:
    """As after a failover, when an address leads to a standby for a while."""
    run = await store.accept_run(new_run(), PLANS)
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} SET default_transaction_read_only = on".encode())
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
        with pytest.raises(StoreBusy, match="read-only"):
            await store.accept_run(new_run(), PLANS)
    assert await store.get_run(run.pipeline_logging_id) == run


async def test_a_transaction_that_stood_still_for_too_long_is_told_as_busy(store: SqlStore) -> None:
    def stand_still(tx: Transaction) -> None:
        row = tx.execute("SELECT pg_backend_pid() AS pid").fetchone()
        assert row is not None
        tx.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
        # Its process, and not its row in pg_stat_activity: while it is ending, what it says last may be lost.
        while Path(f"/proc/{row['pid']}").exists():
            pass
        tx.execute("SELECT 1")

    for use in (store._db.write, store._db.read, store._db.scan):
        with pytest.raises(StoreBusy):
            await use(stand_still)
    await store.accept_run(new_run(), PLANS)


async def test_transactions_in_each_others_way_are_repeated(store: SqlStore, postgres: str) -> None:
    """Two that lock two queues in opposite orders: PostgreSQL ends one of them, and nobody hears of it."""
    for name in ("alpha", "bravo"):
        await store.accept_run(new_run(name), PLANS)
    both = threading.Barrier(2)
    tries: list[str] = []

    def lock(tx: Transaction, first: str, second: str) -> None:
        tries.append(first)
        for name in (first, second):
            tx.execute("SELECT 1 FROM queues WHERE tenant_id = ? FOR UPDATE", (name,))
            if name == first and len(tries) <= 2:
                both.wait(10)

    await asyncio.gather(
        store._db.write(lambda tx: lock(tx, "alpha", "bravo")), store._db.write(lambda tx: lock(tx, "bravo", "alpha"))
    )
    # The one that was ended may meet the other one again.
    assert len(tries) >= 3


async def test_no_successor_outlives_the_end_of_all_other_operators(store: SqlStore, postgres: str) -> None:
    """One that is made at the same moment, in a transaction that the other cannot see."""
    await store.create_api_key(api_key(None, "old"), by=BY, request=None)
    inside, go_on = threading.Event(), threading.Event()

    def rotate(tx: Transaction) -> None:
        keys.rotate(tx, "old", api_key(None, "successor"), overlap_micros=60, by=BY, request=None)
        inside.set()
        assert go_on.wait(20)

    rotating = asyncio.create_task(store._db.write(rotate))
    await asyncio.to_thread(inside.wait, 20)
    ending = asyncio.create_task(store.revoke_other_operators("kept", by=BY))
    with psycopg.connect(postgres, autocommit=True) as other:
        while not other.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone():
            await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(rotating, ending)
    found = await store.list_api_keys(None, after=None, limit=9)
    assert {item.key_id: item.revoked_at is not None for item in found} == {"old": True, "successor": True}
