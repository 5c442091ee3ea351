"""The first key survives a crash at any moment between its making and its announcement."""

from pathlib import Path

import pytest

from server.first_key import FILE, ensure_first_key
from server.security.api_keys import KeyRing, key_id_of
from server.security.private_files import create_private, write_private
from server.store.sql.store import SqlStore
from server.store.sqlite import open_sqlite


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
async def store(tmp_path: Path):
    opened = await open_sqlite(tmp_path / "control.sqlite3")
    yield opened
    await opened.close()


async def opens(store: SqlStore, keys: KeyRing, text: str) -> bool:
    stored = await store.find_api_key(key_id_of(text) or "")
    return stored is not None and keys.matches(text, stored.digest)


async def test_one_key_however_often_it_is_asked_for(store: SqlStore, tmp_path: Path) -> None:
    keys = KeyRing(b"p" * 32)
    text = await ensure_first_key(store, keys, tmp_path)
    assert text is not None
    assert (tmp_path / FILE).read_text() == f"{text}\n"
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    assert await ensure_first_key(store, keys, tmp_path) is None
    assert await opens(store, keys, text)


async def test_a_crash_after_the_key_became_valid(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeyRing(b"p" * 32)
    real = store.add_first_operator_key

    async def crash(key):
        await real(key)
        raise Crash

    monkeypatch.setattr(store, "add_first_operator_key", crash)
    with pytest.raises(Crash):
        await ensure_first_key(store, keys, tmp_path)
    monkeypatch.undo()
    await ensure_first_key(store, keys, tmp_path)
    assert await opens(store, keys, (tmp_path / FILE).read_text().strip())


async def test_a_crash_before_the_key_became_valid(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeyRing(b"p" * 32)

    async def crash(key):
        raise Crash

    monkeypatch.setattr(store, "add_first_operator_key", crash)
    with pytest.raises(Crash):
        await ensure_first_key(store, keys, tmp_path)
    monkeypatch.undo()
    text = await ensure_first_key(store, keys, tmp_path)
    assert text is not None
    assert (tmp_path / FILE).read_text().strip() == text
    assert await opens(store, keys, text)


def test_a_private_file_is_whole_and_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert create_private(path, b"one")
    assert not create_private(path, b"two")
    assert path.read_bytes() == b"one"
    write_private(path, b"three")
    assert path.read_bytes() == b"three"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
