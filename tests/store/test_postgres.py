"""What only PostgreSQL can do to a server: cut its connections, hold its locks, refuse its values."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from server.store.port import StoreBusy
from server.store.postgres import open_postgres
from server.store.sql import keys
from server.store.sql.database import Transaction
from server.store.sql.store import SqlStore
from tests.store.records import BY, PLANS, api_key, new_run


@pytest.fixture
async def store(postgres: str) -> AsyncIterator[SqlStore]:
    opened = await open_postgres(postgres)
    yield opened
    await opened.close()


async def test_commits_of_others_are_noticed_after_all_connections_were_cut(store: SqlStore, postgres: str) -> None:
    other = await open_postgres(postgres)
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
    seen = store.version
    run = await other.accept_run(new_run(), PLANS)
    async with asyncio.timeout(20):
        while await store.get_run(run.pipeline_logging_id) is None:
            seen = await store.wait_for_change(seen, 20)
    await other.close()


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


async def test_a_transaction_that_stood_still_for_too_long_is_told_as_busy(store: SqlStore, postgres: str) -> None:
    def stand_still(tx: Transaction) -> None:
        row = tx.execute("SELECT pg_backend_pid() AS pid").fetchone()
        assert row is not None
        tx.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
        with psycopg.connect(postgres, autocommit=True) as other:
            while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (row["pid"],)).fetchone():
                pass
        tx.execute("SELECT 1")

    for use in (store._db.write, store._db.read, store._db.scan):
        with pytest.raises(StoreBusy, match="idle-in-transaction timeout"):
            await use(stand_still)
    await store.accept_run(new_run(), PLANS)


async def test_transactions_in_each_others_way_are_repeated(store: SqlStore, postgres: str) -> None:
    """Two that lock two queues in opposite orders: PostgreSQL ends one of them, and nobody hears of it."""
    for tenant in ("alpha", "bravo"):
        await store.accept_run(new_run(tenant), PLANS)
    both = threading.Barrier(2)
    tries: list[str] = []

    def lock(tx: Transaction, first: str, second: str) -> None:
        tries.append(first)
        for tenant in (first, second):
            tx.execute("SELECT 1 FROM queues WHERE tenant_id = ? FOR UPDATE", (tenant,))
            if tenant == first and len(tries) <= 2:
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
