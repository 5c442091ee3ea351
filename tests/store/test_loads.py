"""The record of what tables were loaded from: who replaces what, and that nobody loads the same twice."""

import asyncio
import re

import pytest

from server.domain.load import Load, LoadedObject
from server.domain.run import RunStatus
from server.store.port import Claim, LeaseLost, LoadConflict, RunEnd
from server.store.sql import loads
from server.store.sql.database import Transaction
from server.store.sql.store import SqlStore
from tests.store.explained import Explained
from tests.store.records import claimed, new_run, plans

TENANT = "acme_corp"


async def running(store: SqlStore) -> Claim:
    """A run whose step is at work."""
    await store.accept_run(new_run(), plans())
    held = await claimed(store)
    step = await store.start_step(held.lease, held.run.steps[0])
    return Claim(held.lease, held.run.model_copy(update={"steps": (step,)}), held.snapshot)


def load(effect_id: str, *keys: str, etag: str = "v1", mode: str = "append", **options: object) -> Load:
    objects = tuple(LoadedObject(uri=f"s3://bills/{key}", etag=etag, size=10, rows=2) for key in keys)
    known = {"table": "costs", "partition": "", "write_mode": mode, "objects": objects, **options}
    return Load.model_validate({"effect_id": effect_id, **known})


async def begin(store: SqlStore, held: Claim, wanted: Load) -> None:
    await store.record_effects(held.lease, held.run.steps[0], wanted)


async def commit(store: SqlStore, held: Claim, wanted: Load) -> None:
    await begin(store, held, wanted)
    await store.end_load(held.lease, wanted.effect_id, is_committed=True)


async def known(store: SqlStore, partition: str = "") -> dict[str, tuple[str, bool]]:
    """Each object with its version, and whether it is known to be loaded."""
    begun = [record for record in await store.begun_loads(TENANT, "costs") if record.partition == partition]
    records = [*await store.loads(TENANT, "costs", partition), *begun]
    return {one.uri[11:]: (one.etag, record.is_committed) for record in records for one in record.objects}


async def test_what_is_begun_is_known_as_loaded_when_it_was_committed(store: SqlStore) -> None:
    held = await running(store)
    await begin(store, held, load("e1", "a", "b"))
    assert await known(store) == {"a": ("v1", False), "b": ("v1", False)}
    await store.end_load(held.lease, "e1", is_committed=True)
    assert await known(store) == {"a": ("v1", True), "b": ("v1", True)}
    (record,) = await store.loads(TENANT, "costs", "")
    assert (record.pipeline_logging_id, record.step_id) == (held.run.pipeline_logging_id, "load")
    assert [one.rows for one in record.objects] == [2, 2]
    # What is known to be loaded is not undone by a late word.
    await store.end_load(held.lease, "e1", is_committed=False)
    assert await known(store) == {"a": ("v1", True), "b": ("v1", True)}
    assert await store.loads("other_tenant", "costs", "") == []


async def test_what_was_stopped_is_forgotten(store: SqlStore) -> None:
    held = await running(store)
    await begin(store, held, load("e1", "a"))
    await store.end_load(held.lease, "e1", is_committed=False)
    await store.end_load(held.lease, "no_load", is_committed=True)
    assert await known(store) == {}


@pytest.mark.parametrize("mode", ["append", "merge"])
async def test_what_is_added_takes_the_place_of_its_own_older_version(store: SqlStore, mode: str) -> None:
    held = await running(store)
    await commit(store, held, load("e1", "a", "b", mode=mode))
    await commit(store, held, load("e2", "b", etag="v2", mode=mode))
    assert await known(store) == {"a": ("v1", True), "b": ("v2", True)}


async def test_what_replaces_the_table_is_all_that_it_holds(store: SqlStore) -> None:
    held = await running(store)
    await commit(store, held, load("e1", "a", "b"))
    await commit(store, held, load("e2", "c", mode="overwrite_partition", partition="2025-11-01"))
    await commit(store, held, load("e3", "b", mode="overwrite"))
    assert await known(store) == {"b": ("v1", True)}
    assert await known(store, "2025-11-01") == {}


async def test_what_replaces_a_partition_leaves_the_others(store: SqlStore) -> None:
    held = await running(store)
    for number, day in enumerate(["2025-10-01", "2025-11-01", "2025-11-01"]):
        wanted = load(f"e{number}", f"k{number}", mode="overwrite_partition", partition=day)
        await commit(store, held, wanted)
    assert await known(store, "2025-10-01") == {"k0": ("v1", True)}
    assert await known(store, "2025-11-01") == {"k2": ("v1", True)}


async def test_a_new_table_holds_nothing_of_an_older_one_of_its_name(store: SqlStore) -> None:
    held = await running(store)
    await commit(store, held, load("e1", "a", "b"))
    await commit(store, held, load("e2", "a", gone=("e1",)))
    assert await known(store) == {"a": ("v1", True)}


async def test_the_same_version_is_not_added_twice(store: SqlStore) -> None:
    held = await running(store)
    await commit(store, held, load("e1", "a"))
    with pytest.raises(LoadConflict) as conflict:
        await begin(store, held, load("e2", "a", "b"))
    assert conflict.value.pipeline_logging_id == held.run.pipeline_logging_id
    assert await known(store) == {"a": ("v1", True)}
    # Unless that is wanted, or replaces what is there.
    await commit(store, held, load("e3", "a", again=True))
    await commit(store, held, load("e4", "a", mode="overwrite"))
    assert await known(store) == {"a": ("v1", True)}


async def test_an_attempt_that_begins_its_load_anew_is_no_conflict(store: SqlStore) -> None:
    held = await running(store)
    await begin(store, held, load("e1", "a"))
    await commit(store, held, load("e1", "a"))
    assert await known(store) == {"a": ("v1", True)}


async def test_of_two_runs_that_load_the_same_at_once_one_does(store: SqlStore, second: SqlStore) -> None:
    runs = [await running(store) for _ in range(4)]
    beginning = (
        begin(either, held, load(f"e{number}", "a", "b"))
        for number, (held, either) in enumerate(zip(runs, [store, second] * 2, strict=True))
    )
    answers = await asyncio.gather(*beginning, return_exceptions=True)
    assert [type(answer) for answer in answers if answer] == [LoadConflict] * 3
    assert len(await store.begun_loads(TENANT, "costs")) == 1


async def test_who_replaces_waits_for_everybody_who_loads(store: SqlStore) -> None:
    held = await running(store)
    await begin(store, held, load("e1", "a"))
    with pytest.raises(LoadConflict):
        await begin(store, held, load("e2", "z", mode="overwrite"))
    await begin(store, held, load("e3", "z"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (load("e1", "a", mode="overwrite"), load("e2", "z")),
        (load("e1", "a", mode="overwrite_partition", partition="2025-11-01"), load("e2", "z", mode="overwrite")),
        (load("e1", "a"), load("e2", "z", mode="overwrite_partition", partition="2025-11-01")),
    ],
    ids=["add while the table is replaced", "replace with a partition", "replace a partition that is added to"],
)
async def test_nobody_loads_where_another_load_replaces(store: SqlStore, first: Load, second: Load) -> None:
    held = await running(store)
    await begin(store, held, first)
    with pytest.raises(LoadConflict):
        await begin(store, held, second)
    await store.end_load(held.lease, "e1", is_committed=True)
    await begin(store, held, second)


async def test_two_partitions_are_replaced_side_by_side(store: SqlStore) -> None:
    held = await running(store)
    for number, day in enumerate(["2025-10-01", "2025-11-01"]):
        await begin(store, held, load(f"e{number}", "a", mode="overwrite_partition", partition=day))


async def test_a_table_that_another_run_has_made_and_filled_meanwhile_keeps_its_record(store: SqlStore) -> None:
    held = await running(store)
    await commit(store, held, load("old", "a"))
    await commit(store, held, load("meanwhile", "a", gone=("old",)))
    with pytest.raises(LoadConflict):
        await begin(store, held, load("e2", "a", gone=("old",)))


async def test_who_has_lost_the_run_does_not_say_what_became_of_its_load(store: SqlStore) -> None:
    held = await running(store)
    await begin(store, held, load("e1", "a"))
    await store.expire_worker(held.lease.worker_id)
    again = await claimed(store)
    step = await store.start_step(again.lease, again.run.steps[0])
    # The next worker carries out the same effect.
    await store.record_effects(again.lease, step, load("e1", "a"))
    with pytest.raises(LeaseLost):
        await store.end_load(held.lease, "e1", is_committed=False)
    await store.end_load(again.lease, "e1", is_committed=True)
    assert await known(store) == {"a": ("v1", True)}


async def test_a_removed_dataset_holds_nothing(store: SqlStore) -> None:
    held = await running(store)
    await commit(store, held, load("e1", "a"))
    await store.finish_run(held.lease, RunEnd(RunStatus.SUCCESS, deletes_dataset=True))
    assert await known(store) == {}


async def test_of_many_objects_those_that_are_asked_for_are_told(store: SqlStore) -> None:
    held = await running(store)
    await commit(store, held, load("e1", *map(str, range(1_200))))
    wanted = [f"s3://bills/{number}" for number in range(600, 1_800)]
    (record,) = await store.loads(TENANT, "costs", "", uris=wanted)
    assert len(record.objects) == 600
    assert await store.loads(TENANT, "costs", "", uris=[]) == []


async def test_a_newer_version_in_one_partition_leaves_what_another_one_holds(store: SqlStore) -> None:
    held = await running(store)
    await commit(store, held, load("e1", "a", partition="2025-11-17"))
    await commit(store, held, load("e2", "a", etag="v2", partition="2025-11-18"))
    assert await known(store, "2025-11-17") == {"a": ("v1", True)}
    assert await known(store, "2025-11-18") == {"a": ("v2", True)}
    await commit(store, held, load("e3", "a", etag="v3", partition="2025-11-18"))
    assert await known(store, "2025-11-18") == {"a": ("v3", True)}


def multiply(tx: Transaction) -> None:
    """Thousands of objects like the one that is there."""
    row = dict(tx.execute("SELECT * FROM loaded_objects").fetchone())  # type: ignore[call-overload]
    others = [{**row, "uri": f"s3://bills/{n}", "effect_id": f"e{n}"} for n in range(100, 3_100)]
    sql = f"INSERT INTO loaded_objects ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    tx.executemany(sql, [tuple(other.values()) for other in others])
    if tx.for_update:
        tx.execute("ANALYZE loaded_objects")


async def test_a_load_reads_the_same_however_much_was_loaded_before(store: SqlStore) -> None:
    held = await running(store)
    await commit(store, held, load("e1", "a"))
    await store._db.write(multiply)
    await begin(store, held, load("e2", "b"))

    def look(tx: Transaction) -> list[str]:
        plans = []
        for ask in (
            lambda explained: loads.begun(explained, TENANT, "costs"),
            lambda explained: loads.loads(explained, TENANT, "costs", "", ["s3://bills/a"]),
        ):
            explained = Explained(tx, "loaded_objects")
            assert len(ask(explained)) == 1
            plans.append(explained.plan)
        return plans

    begun, of_objects = await store._db.read(look)
    assert "loaded_objects_begun" in begun, begun
    assert re.search(r"uri=\?|\(uri = ", of_objects), of_objects
