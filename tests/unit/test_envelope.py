"""Sealed secrets: opened where they belong, and nowhere else."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.credential import Credential, CredentialKind, Sealed
from server.security.envelope import DoesNotOpen, MasterKeyMissing, Vault
from server.security.master_keys import LocalMasterKeys

PLACE: dict[str, Any] = {
    "tenant_id": "acme_corp",
    "name": "billing",
    "version": 1,
    "kind": CredentialKind.AWS_ACCESS_KEY,
}
KEYS = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY= c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MDE="


def keys(given_keys: str = KEYS, *, used: int = 0) -> LocalMasterKeys:
    opened = LocalMasterKeys(file=Path("/nowhere"), given=given_keys)
    opened.use(opened.ids[used])
    return opened


def credential(sealed: Sealed | None, **place: Any) -> Credential:
    return Credential(
        **{**PLACE, **place},
        fingerprint="",
        sealed=sealed,
        created_at=datetime(2025, 11, 18, tzinfo=UTC),
    )


@pytest.fixture
def vault() -> Vault:
    return Vault(keys())


@given(secret=st.binary(max_size=2_000))
async def test_what_was_sealed_opens(secret: bytes) -> None:
    vault = Vault(keys())
    assert await vault.open(credential(await vault.seal(secret, credential(None)))) == secret


async def test_equal_secrets_look_different(vault: Vault) -> None:
    first, second = await vault.seal(b"secret", credential(None)), await vault.seal(b"secret", credential(None))
    assert first.ciphertext != second.ciphertext
    assert first.wrapped_key != second.wrapped_key
    assert b"secret" not in first.ciphertext


@pytest.mark.parametrize(
    "other",
    [
        {"tenant_id": "rival_inc"},
        {"name": "other"},
        {"version": 2},
        {"name": "billing_"},
        {"kind": CredentialKind.AWS_ROLE},
    ],
)
async def test_a_record_that_was_moved_does_not_open(vault: Vault, other: dict[str, Any]) -> None:
    with pytest.raises(DoesNotOpen):
        await vault.open(credential(await vault.seal(b"secret", credential(None)), **other))


async def test_no_part_of_a_record_fits_another_record(vault: Vault) -> None:
    mine, other = await vault.seal(b"mine", credential(None)), await vault.seal(b"other", credential(None))
    for part in ("wrapped_key", "ciphertext"):
        mixed = mine.model_copy(update={part: getattr(other, part)})
        with pytest.raises(DoesNotOpen):
            await vault.open(credential(mixed))


@pytest.mark.parametrize("part", ["wrapped_key", "ciphertext"])
async def test_any_changed_byte_is_noticed(vault: Vault, part: str) -> None:
    sealed = await vault.seal(b"secret", credential(None))
    data = getattr(sealed, part)
    damaged = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    for wrong in [*damaged, data[:-1], data[:5], b""]:
        with pytest.raises(DoesNotOpen):
            await vault.open(credential(sealed.model_copy(update={part: wrong})))


async def test_the_master_keys_id_is_bound_as_well(vault: Vault) -> None:
    """The same key under another name: as if somebody had changed the column."""
    sealed = await vault.seal(b"secret", credential(None))
    with pytest.raises(DoesNotOpen):
        await vault.open(credential(sealed.model_copy(update={"key_id": keys().ids[1]})))
    with pytest.raises(MasterKeyMissing):
        await vault.open(credential(sealed.model_copy(update={"key_id": "mk_other"})))


async def test_a_destroyed_secret_does_not_open(vault: Vault) -> None:
    with pytest.raises(DoesNotOpen):
        await vault.open(credential(None))


async def test_another_master_key_wraps_without_a_new_ciphertext(vault: Vault) -> None:
    before = await vault.seal(b"secret", credential(None))
    after = await Vault(keys(used=1)).rewrap(credential(before))
    assert (after.key_id, after.ciphertext) == (keys().ids[1], before.ciphertext)
    only_new = Vault(keys(KEYS.split()[1]))
    assert await only_new.open(credential(after)) == b"secret"
    with pytest.raises(MasterKeyMissing):
        await only_new.open(credential(before))
