"""API keys and the audit log, on every store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.audit import Actor, AuditAction
from server.domain.tenant import ApiKey
from server.store.port import CallerKeyEnded, KeyNotActive, KeyPosition, RequestConflict, RequestKey
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import BY, NOW, PLANS, api_key, new_run, tenant

ASKED = RequestKey("acme_corp", "CreateApiKey", "r1", "content")


def key(key_id: str, *, tenant_id: str | None = "acme_corp") -> ApiKey:
    return api_key(tenant_id, key_id)


async def told(store: SqlStore, tenant_id: str | None = "acme_corp") -> list[tuple[str, str, Actor]]:
    """The audit log, oldest first."""
    events = await store.audit_events(tenant_id, before=None, limit=99)
    return [(event.action, event.subject, Actor(event.key_id, event.peer)) for event in reversed(events)]


async def test_a_key_is_made_once_for_a_request(store: SqlStore, second: SqlStore) -> None:
    first = await store.create_api_key(key("one"), by=BY, request=ASKED)
    assert await second.create_api_key(key("two"), by=BY, request=ASKED) == first == key("one")
    assert await store.find_key_request(ASKED) == first
    assert await store.find_api_key("two") is None
    assert await told(store) == [("api_key.create", "one", BY)]
    other = replace(ASKED, content_hash="other")
    for ask in (store.find_key_request(other), store.create_api_key(key("two"), by=BY, request=other)):
        with pytest.raises(RequestConflict):
            await ask


async def test_the_same_request_id_of_another_tenant_is_another_request(store: SqlStore) -> None:
    for name, owner in (("one", "acme_corp"), ("two", "rival_inc"), ("three", None)):
        asked = replace(ASKED, tenant_id=owner or "")
        assert (await store.create_api_key(key(name, tenant_id=owner), by=BY, request=asked)).key_id == name


async def test_a_rotated_key_ends_with_the_overlap(store: SqlStore, clock: Clock) -> None:
    await store.create_api_key(key("old"), by=BY, request=None)
    asked = replace(ASKED, method="RotateApiKey")
    for name in ("new", "again"):
        made = await store.rotate_api_key("old", key(name), overlap_seconds=60, by=BY, request=asked)
        assert made.key_id == "new"
    old = await store.find_api_key("old")
    assert old is not None
    assert old.expires_at == clock.now + timedelta(seconds=60)
    assert await told(store) == [("api_key.create", "old", BY), ("api_key.rotate", "old", BY)]
    (event, _) = await store.audit_events("acme_corp", before=None, limit=99)
    assert event.details["successor"] == "new"
    # It has its successor: another one would come with as short a life as it has left.
    with pytest.raises(KeyNotActive):
        await store.rotate_api_key("old", key("third"), overlap_seconds=3600, by=BY, request=None)
    assert await store.find_api_key("old") == old
    assert await store.find_api_key("third") is None


async def test_a_key_that_ends_earlier_gets_no_more_time(store: SqlStore, clock: Clock) -> None:
    end = clock.now + timedelta(seconds=30)
    await store.create_api_key(key("old").model_copy(update={"expires_at": end}), by=BY, request=None)
    await store.rotate_api_key("old", key("new"), overlap_seconds=60, by=BY, request=None)
    old = await store.find_api_key("old")
    assert old is not None
    assert (old.expires_at, old.revoked_at) == (end, None)


async def test_a_successor_lives_as_long_as_the_old_key_was_made_for(store: SqlStore, clock: Clock) -> None:
    for name, life in (("short", timedelta(days=90)), ("long", datetime(9999, 12, 30, tzinfo=UTC) - clock.now)):
        await store.create_api_key(key(name).model_copy(update={"expires_at": clock.now + life}), by=BY, request=None)
    clock.advance(7 * 86_400)
    ends = []
    for name in ("short", "long"):
        made = await store.rotate_api_key(name, key(f"new {name}"), overlap_seconds=60, by=BY, request=None)
        ends.append(made.expires_at)
    assert ends == [clock.now + timedelta(days=90), datetime(9999, 12, 31, tzinfo=UTC)]


async def test_without_an_overlap_a_rotated_key_ends_by_no_clock_but_the_stores(store: SqlStore, clock: Clock) -> None:
    await store.create_api_key(key("old"), by=BY, request=None)
    await store.rotate_api_key("old", key("new"), overlap_seconds=0, by=BY, request=None)
    old = await store.find_api_key("old")
    assert old is not None
    assert old.revoked_at == clock.now


async def test_nobody_makes_a_key_with_one_that_has_ended(store: SqlStore) -> None:
    """A server may not have noticed yet."""
    await store.create_api_key(key("thief"), by=BY, request=None)
    await store.create_api_key(key("old"), by=BY, request=None)
    await store.revoke_api_key(key("thief"), by=BY)
    thief = Actor("thief", "ipv4:10.0.0.66:1")
    for ask in (
        store.create_api_key(key("new"), by=thief, request=None),
        store.rotate_api_key("old", key("new"), overlap_seconds=60, by=thief, request=None),
    ):
        with pytest.raises(CallerKeyEnded):
            await ask
    assert await store.find_api_key("new") is None


async def test_all_operators_but_one_are_ended_at_once(store: SqlStore, second: SqlStore) -> None:
    for name in ("one", "two", "kept"):
        await store.create_api_key(key(name, tenant_id=None), by=BY, request=None)
    await store.create_api_key(key("tenants"), by=BY, request=None)
    await second.revoke_other_operators("kept", by=BY)
    ended = {item.key_id for item in await store.list_api_keys(None, after=None, limit=9) if item.revoked_at}
    assert ended == {"one", "two"}
    tenants = await store.find_api_key("tenants")
    assert tenants is not None
    assert tenants.revoked_at is None
    assert {subject for action, subject, _ in await told(store, None) if action == "api_key.revoke"} == ended


async def test_a_key_that_has_ended_has_no_successor(store: SqlStore, clock: Clock) -> None:
    await store.create_api_key(key("revoked"), by=BY, request=None)
    await store.revoke_api_key(key("revoked"), by=BY)
    await store.create_api_key(key("expired").model_copy(update={"expires_at": clock.now}), by=BY, request=None)
    for old in ("revoked", "expired", "unknown"):
        with pytest.raises(KeyNotActive):
            await store.rotate_api_key(old, key("new"), overlap_seconds=0, by=BY, request=None)
    assert await store.find_api_key("new") is None
    assert "api_key.rotate" not in {action for action, _, _ in await told(store)}


async def test_a_key_is_revoked_once(store: SqlStore, clock: Clock) -> None:
    await store.create_api_key(key("one"), by=BY, request=None)
    first = await store.revoke_api_key(key("one"), by=BY)
    clock.advance(5)
    assert await store.revoke_api_key(key("one"), by=BY) == first
    assert first.revoked_at == clock.now - timedelta(seconds=5)
    assert await told(store) == [("api_key.create", "one", BY), ("api_key.revoke", "one", BY)]


async def test_keys_come_newest_first_in_pages(store: SqlStore, clock: Clock) -> None:
    """Made two at a time, so that their ids decide."""
    for number in (1, 0, 3, 2, 4):
        await store.create_api_key(key(f"key{number}"), by=BY, request=None)
        clock.advance(number % 2 == 0)
    await store.create_api_key(key("operator", tenant_id=None), by=BY, request=None)
    page = await store.list_api_keys("acme_corp", after=None, limit=3)
    assert [item.key_id for item in page] == ["key4", "key3", "key2"]
    after = KeyPosition(page[-1].created_at, page[-1].key_id)
    assert [item.key_id for item in await store.list_api_keys("acme_corp", after=after, limit=3)] == ["key1", "key0"]
    assert [item.key_id for item in await store.list_api_keys(None, after=None, limit=3)] == ["operator"]


async def test_the_last_use_never_goes_back(store: SqlStore, clock: Clock) -> None:
    await store.create_api_key(key("one"), by=BY, request=None)
    for seconds in (60, 30):
        await store.note_key_uses({"one": NOW + timedelta(seconds=seconds), "unknown": NOW})
    found = await store.find_api_key("one")
    assert found is not None
    assert found.last_used_at == NOW + timedelta(seconds=60)


async def test_each_change_of_a_run_is_told(store: SqlStore) -> None:
    run = await store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    await store.claim("w1", lease_seconds=60, plans=PLANS)
    operator = Actor("key9", "ipv4:10.0.0.9:1")
    await store.expire_run(run.pipeline_logging_id, by=operator)
    for _ in range(2):
        await store.request_cancel(run.pipeline_logging_id, by=operator)
    assert await told(store) == [
        (AuditAction.TENANT_ONBOARD, "acme_corp", BY),
        (AuditAction.RUN_ACCEPT, run.pipeline_logging_id, BY),
        (AuditAction.RUN_RESCUE, run.pipeline_logging_id, operator),
        (AuditAction.RUN_CANCEL, run.pipeline_logging_id, operator),
    ]


async def test_what_is_refused_is_not_told(store: SqlStore) -> None:
    run = await store.accept_run(new_run(), PLANS)
    await store.request_cancel(run.pipeline_logging_id, by=BY)
    before = await told(store, None)
    await store.request_cancel(run.pipeline_logging_id, by=BY)
    await store.request_cancel("unknown", by=BY)
    assert not await store.expire_run(run.pipeline_logging_id, by=BY)
    assert await told(store, None) == before


async def test_the_audit_log_comes_newest_first_in_pages(store: SqlStore) -> None:
    for number in range(3):
        await store.create_api_key(key(f"key{number}"), by=BY, request=None)
    await store.create_api_key(key("operator", tenant_id=None), by=BY, request=None)
    page = await store.audit_events("acme_corp", before=None, limit=2)
    assert [event.subject for event in page] == ["key2", "key1"]
    rest = await store.audit_events("acme_corp", before=page[-1].number, limit=2)
    assert [event.subject for event in rest] == ["key0"]
    assert [subject for _, subject, _ in await told(store, None)] == ["key0", "key1", "key2", "operator"]
