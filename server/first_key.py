"""Operators' keys without the API; the first is made once per installation, and never lost to a crash."""

from pathlib import Path

from server.domain.faults import CannotStart
from server.domain.tenant import ApiKey, Scope
from server.keys import new_key
from server.security.api_keys import KeyRing, NewSecret, key_id_of
from server.security.private_files import write_private
from server.store.port import ControlStore

FILE = "admin_api_key"


async def ensure_first_key(store: ControlStore, keys: KeyRing, folder: Path) -> str | None:
    """Make the key when the store has no operator's key yet; answers with its text, which is also in `folder`."""
    await _finish_interrupted(store, keys, folder)
    if await store.has_operator_key():
        return None
    secret = keys.make()
    draft = folder / f"{FILE}.{secret.key_id}"
    # On the disk before it is valid; named as the one that counts only when it is.
    write_private(draft, f"{secret.text}\n".encode())
    if not await store.add_first_operator_key(operator_key(secret, "first operator key")):
        draft.unlink()
        return None
    draft.replace(folder / FILE)
    return secret.text


async def open_key_ring(store: ControlStore, pepper: Path, *, may_create: bool) -> KeyRing:
    """The pepper of the keys in the store.

    Raises:
        CannotStart: also when another server of the same store has another pepper.
    """
    keys = KeyRing.from_file(pepper, may_create=may_create)
    if await store.agree("pepper", keys.fingerprint) != keys.fingerprint:
        raise CannotStart(
            f"{pepper} is not the pepper that the keys in the control store were made with: "
            "copy it from the other server, or restore it from the backup"
        )
    return keys


def operator_key(secret: NewSecret, name: str) -> ApiKey:
    """The record of an operator's new key."""
    return new_key(secret, None, name, (Scope.ADMIN,))


async def _finish_interrupted(store: ControlStore, keys: KeyRing, folder: Path) -> None:
    """A crash may have come between a key becoming valid and its file getting its name."""
    for draft in folder.glob(f"{FILE}.*"):  # noqa: ASYNC240 - a start, and a handful of files
        text = draft.read_text().strip()
        key_id = key_id_of(text)
        stored = await store.find_api_key(key_id) if key_id is not None else None
        if stored is not None and keys.matches(text, stored.digest):
            draft.replace(folder / FILE)
