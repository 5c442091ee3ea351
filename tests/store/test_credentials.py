"""Credentials on every store: versions, deletion, what is destroyed when, and the rotation of the master key."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.domain.credential import Credential, CredentialKind
from server.domain.faults import CannotStart
from server.domain.run import RunStatus
from server.master_key import MasterKey, Rewrapped, rewrap_all
from server.security.envelope import MasterKeyMissing, Vault
from server.security.master_keys import LocalMasterKeys
from server.store.credential_port import TooManyNames, VersionTaken
from server.store.port import RequestConflict, RequestKey, RunEnd
from server.store.sql.store import SqlStore
from tests.store.conftest import Clock
from tests.store.records import BY, NOW, PLANS, api_key, new_run, tenant

ASKED = RequestKey("acme_corp", "PutCredential", "r1", "content")


@pytest.fixture
def keys(tmp_path: Path) -> LocalMasterKeys:
    made = LocalMasterKeys(file=tmp_path / "master_key")
    made.use(made.make_first())
    return made


class Shelf:
    """Puts credentials into a store."""

    def __init__(self, store: SqlStore, keys: LocalMasterKeys) -> None:
        self._store = store
        self._vault = Vault(keys)

    async def made(self, name: str = "billing", version: int = 1, *, tenant_id: str = "acme_corp") -> Credential:
        credential = Credential(
            tenant_id=tenant_id,
            name=name,
            version=version,
            kind=CredentialKind.AWS_ROLE,
            fingerprint=f"{name}{version}",
            sealed=None,
            created_at=NOW,
        )
        sealed = await self._vault.seal(f"{name} {version}".encode(), credential)
        return credential.model_copy(update={"sealed": sealed})

    async def put(self, name: str = "billing", version: int = 1, **options: Any) -> Credential:
        asked = {"by": BY, "request": None, "most_names": 100, **options}
        return await self._store.add_credential(await self.made(name, version), **asked)


@pytest.fixture
def shelf(store: SqlStore, keys: LocalMasterKeys) -> Shelf:
    return Shelf(store, keys)


async def audited(store: SqlStore) -> list[tuple[str, str]]:
    """Oldest first."""
    return [(e.action, e.subject) for e in reversed(await store.audit_events("acme_corp", before=None, limit=99))]


async def test_versions_follow_each_other(store: SqlStore, shelf: Shelf, second: SqlStore) -> None:
    first = await shelf.put()
    assert await second.last_credential("acme_corp", "billing") == first
    for wrong in (1, 3):
        with pytest.raises(VersionTaken):
            await shelf.put(version=wrong)
    newer = await shelf.put(version=2)
    assert await store.list_credentials("acme_corp", after="", limit=9) == [newer]
    assert await store.find_credential("acme_corp", "billing", 1) == first
    assert await store.list_credentials("rival_inc", after="", limit=9) == []
    assert await audited(store) == [("credential.put", "billing")] * 2


async def test_a_request_that_is_repeated_makes_one_version(store: SqlStore, shelf: Shelf) -> None:
    first = await shelf.put(request=ASKED)
    assert await shelf.put(version=2, request=ASKED) == first
    assert await store.find_credential_request(ASKED) == first
    other = replace(ASKED, content_hash="other")
    with pytest.raises(RequestConflict):
        await shelf.put(version=2, request=other)
    with pytest.raises(RequestConflict):
        await store.find_credential_request(other)
    assert await store.find_credential("acme_corp", "billing", 2) is None


async def test_what_is_deleted_is_destroyed_and_its_numbers_are_not_used_again(store: SqlStore, shelf: Shelf) -> None:
    await shelf.put()
    await shelf.put(version=2)
    assert await store.delete_credential("acme_corp", "billing", by=BY)
    assert not await store.delete_credential("acme_corp", "billing", by=BY)
    assert not await store.delete_credential("rival_inc", "billing", by=BY)
    for version in (1, 2):
        gone = await store.find_credential("acme_corp", "billing", version)
        assert gone is not None
        assert gone.sealed is None
    assert await store.list_credentials("acme_corp", after="", limit=9) == []
    assert await store.master_key_uses() == {}
    with pytest.raises(VersionTaken):
        await shelf.put()
    again = await shelf.put(version=3)
    assert await store.list_credentials("acme_corp", after="", limit=9) == [again]
    assert [item[0] for item in await audited(store)].count("credential.delete") == 1


async def test_pages_go_by_name(store: SqlStore, shelf: Shelf) -> None:
    for name in ("c", "a", "b_2", "b"):
        await shelf.put(name)
    first = await store.list_credentials("acme_corp", after="", limit=2)
    rest = await store.list_credentials("acme_corp", after=first[-1].name, limit=9)
    assert [item.name for item in (*first, *rest)] == ["a", "b", "b_2", "c"]


async def test_a_tenant_has_so_many_names_and_no_more(store: SqlStore, shelf: Shelf) -> None:
    await shelf.put("a", most_names=2)
    await shelf.put("b", most_names=2)
    with pytest.raises(TooManyNames):
        await shelf.put("c", most_names=2)
    await shelf.put("a", 2, most_names=2)
    await store.delete_credential("acme_corp", "a", by=BY)
    await shelf.put("c", most_names=2)
    with pytest.raises(TooManyNames):
        await shelf.put("a", 3, most_names=2)


async def test_a_claim_has_the_versions_that_are_the_latest_then(store: SqlStore, shelf: Shelf) -> None:
    await shelf.put()
    await shelf.put("gone")
    await store.accept_run(new_run(), PLANS)
    await shelf.put(version=2)
    await store.delete_credential("acme_corp", "gone", by=BY)
    claim = await store.claim("w", lease_seconds=30, plans=PLANS)
    assert claim is not None
    assert dict(claim.credentials) == {"billing": 2}


async def test_what_is_superseded_is_destroyed_when_no_run_can_have_it(
    store: SqlStore, shelf: Shelf, clock: Clock
) -> None:
    await shelf.put()
    await store.accept_run(new_run(), PLANS)
    claim = await store.claim("w", lease_seconds=1_000_000, plans=PLANS)
    assert claim is not None
    clock.advance(1)
    await shelf.put(version=2)
    clock.advance(600)
    assert await store.destroy_superseded_credentials() == 0
    # One that was claimed since has the second.
    await store.accept_run(replace(new_run(), pipeline_logging_id="later"), PLANS)
    assert await store.claim("w", lease_seconds=1_000_000, plans=PLANS)
    await store.finish_run(claim.lease, RunEnd(RunStatus.SUCCESS))
    assert await store.destroy_superseded_credentials() == 1
    old, kept = [await store.find_credential("acme_corp", "billing", version) for version in (1, 2)]
    assert old is not None
    assert kept is not None
    assert (old.sealed, old.deleted_at) == (None, None)
    assert kept.sealed is not None
    clock.advance(86_400)
    await store.destroy_superseded_credentials()
    assert await store.find_credential("acme_corp", "billing", 1) is None
    assert await store.find_credential("acme_corp", "billing", 2) == kept


async def test_what_was_superseded_just_now_may_be_with_a_claim_that_nobody_sees_yet(
    store: SqlStore, shelf: Shelf, clock: Clock
) -> None:
    await shelf.put()
    await shelf.put(version=2)
    assert await store.destroy_superseded_credentials() == 0
    clock.advance(301)
    assert await store.destroy_superseded_credentials() == 1


async def test_uses_and_checks_are_remembered(store: SqlStore, shelf: Shelf, clock: Clock) -> None:
    made = await shelf.put()
    await store.note_credential_use(made)
    used = clock.now
    clock.advance(10)
    await store.note_credential_use(made)
    checked = await store.note_credential_check(made, "ACCEPTED", by=BY)
    found = await store.find_credential("acme_corp", "billing", 1)
    assert found is not None
    assert (found.last_used_at, found.checked_at, found.check_status) == (used, clock.now, "ACCEPTED")
    assert checked.checked_at == clock.now
    clock.advance(30)
    await store.note_credential_use(made)
    found = await store.find_credential("acme_corp", "billing", 1)
    assert found is not None
    assert found.last_used_at == clock.now
    assert await audited(store) == [("credential.put", "billing"), ("credential.check", "billing")]


async def test_each_change_is_to_be_copied(store: SqlStore, shelf: Shelf) -> None:
    made = await shelf.put()
    await store.note_credential_check(made, "REFUSED", by=BY)
    await store.delete_credential("acme_corp", "billing", by=BY)
    noted = [(entry.kind, entry.key) for entry in await store.outbox(skip=(), limit=99)]
    assert noted == [("credential", "billing")] * 3
    await shelf.put("other")
    await store.note_all("acme_corp", by=BY)
    again = [(entry.kind, entry.key) for entry in await store.outbox(skip=(), limit=99)][4:]
    assert sorted(again) == [("credential", "billing"), ("credential", "other")]
    assert [item.name for item in await store.tenant_credentials("acme_corp", {"billing", "other"})] == [
        "billing",
        "other",
    ]
    assert await store.tenant_credentials("acme_corp", set()) == []


async def test_a_tenant_comes_with_the_kinds_of_its_credentials(store: SqlStore, shelf: Shelf) -> None:
    assert await store.tenant_and_credentials("acme_corp") is None
    await store.onboard_tenant(tenant(), api_key(), new_run(), PLANS)
    await shelf.put()
    await shelf.put("gone")
    await store.delete_credential("acme_corp", "gone", by=BY)
    found = await store.tenant_and_credentials("acme_corp")
    assert found is not None
    assert found[0].tenant_id == "acme_corp"
    assert found[1] == {"billing": CredentialKind.AWS_ROLE}


class _Interrupted(Exception):
    pass


async def test_a_rotation_that_was_interrupted_goes_on(
    store: SqlStore, shelf: Shelf, keys: LocalMasterKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await shelf.put(f"name{number}")
    monkeypatch.setattr("server.master_key._BATCH", 2)
    old, new = keys.ids[0], keys.add()

    def stop_after(most: int) -> Any:
        def told(done: int) -> None:
            if done >= most:
                raise _Interrupted

        return told

    with pytest.raises(_Interrupted):
        await rewrap_all(store, keys, stop_after(2))
    assert await store.master_key_uses() == {old: 3, new: 2}
    # Meanwhile both open, and what is new is under the new one.
    other = LocalMasterKeys(file=keys.file)
    await MasterKey(other, store).ensure()
    await Shelf(store, other).put("fresh")
    assert await rewrap_all(store, keys, lambda done: None) == Rewrapped(3, ())
    assert await store.master_key_uses() == {new: 6}
    assert keys.remove_before(new) == [old]
    for item in await store.list_credentials("acme_corp", after="", limit=99):
        assert (await Vault(keys).open(item)).startswith(item.name.encode())
    assert await rewrap_all(store, keys, lambda done: None) == Rewrapped(0, ())


async def test_what_is_damaged_keeps_nothing_else_from_the_new_key(
    store: SqlStore, shelf: Shelf, keys: LocalMasterKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is named at once."""
    monkeypatch.setattr("server.master_key._BATCH", 1)
    for name in ("a", "b", "c", "d"):
        await shelf.put(name)
    for name in ("a", "c"):
        made = await store.last_credential("acme_corp", name)
        assert made is not None
        assert made.sealed is not None
        await store.replace_sealed(made, made.sealed.model_copy(update={"wrapped_key": b"x" * 60}))
    old, new = keys.ids[0], keys.add()
    for done in (2, 0):
        found = await rewrap_all(store, keys, lambda done: None)
        assert found == Rewrapped(done, ("a of acme_corp, version 1", "c of acme_corp, version 1"))
    assert await store.master_key_uses() == {old: 2, new: 2}


async def test_a_credential_that_changes_during_a_rotation_stays_changed(
    store: SqlStore, shelf: Shelf, keys: LocalMasterKeys
) -> None:
    made = await shelf.put()
    keys.use(keys.add())
    sealed = await Vault(keys).rewrap(made)
    await store.delete_credential("acme_corp", "billing", by=BY)
    assert not await store.replace_sealed(made, sealed)
    assert await store.master_key_uses() == {}


async def test_all_processes_wrap_with_one_key(store: SqlStore, second: SqlStore, tmp_path: Path) -> None:
    here, there = (LocalMasterKeys(file=tmp_path / name) for name in ("here", "there"))
    await MasterKey(here, store).require([])
    assert not here.file.exists()
    await MasterKey(here, store).ensure()
    with pytest.raises(MasterKeyMissing, match=here.ids[0]):
        await MasterKey(there, second).ensure()
    assert not there.file.exists()
    there.file.write_bytes(here.file.read_bytes())
    there.file.chmod(0o600)
    await MasterKey(there, second).ensure()
    assert there.ids == here.ids
    with pytest.raises(CannotStart, match="mk_older"):
        await MasterKey(there, second).require(["mk_older"])


async def test_what_was_sealed_before_all_agreed_on_another_key_is_sealed_anew(
    store: SqlStore, shelf: Shelf, keys: LocalMasterKeys
) -> None:
    """Its key may be gone from the file by the time that it is stored."""
    await MasterKey(keys, store).ensure()
    late = await shelf.made()
    keys.add()
    await rewrap_all(store, keys, lambda done: None)
    with pytest.raises(VersionTaken):
        await store.add_credential(late, by=BY, request=None, most_names=9)
    assert await store.master_key_uses() == {}
    await shelf.put()


async def test_an_older_file_rolls_nothing_back(store: SqlStore, keys: LocalMasterKeys, tmp_path: Path) -> None:
    await MasterKey(keys, store).ensure()
    old = LocalMasterKeys(file=tmp_path / "of another machine", given=keys.file.read_text())
    new = keys.add()
    await rewrap_all(store, keys, lambda done: None)
    with pytest.raises(MasterKeyMissing, match=new):
        await rewrap_all(store, old, lambda done: None)
    assert await store.fact("master key") == new


async def test_two_who_agree_on_another_key_at_once(store: SqlStore, second: SqlStore, keys: LocalMasterKeys) -> None:
    await MasterKey(keys, store).ensure()
    keys.add()
    await asyncio.gather(*(rewrap_all(each, keys, lambda done: None) for each in (store, second)))
    assert await store.fact("master key") == keys.newest()
