"""Master keys in a file, and in the environment."""

import base64
import stat
from pathlib import Path

import pytest

from server.domain.faults import CannotStart
from server.security.envelope import MasterKeyMissing
from server.security.master_keys import LocalMasterKeys

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "master_key"


def test_the_first_key_is_its_owners_only(file: Path) -> None:
    made = LocalMasterKeys(file=file).make_first()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(base64.b64decode(file.read_text())) == 32
    # Another process that is as late uses the one that is there.
    assert LocalMasterKeys(file=file).make_first() == made
    assert LocalMasterKeys(file=file).ids == (made,)


def test_a_key_that_is_added_is_the_newest_and_seen_by_others(file: Path) -> None:
    keys = LocalMasterKeys(file=file)
    first, other = keys.make_first(), LocalMasterKeys(file=file)
    second = keys.add()
    assert keys.ids == (first, second)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert other.newest() == first
    assert other.has(second)
    assert other.newest() == second
    assert keys.remove_before(first) == []
    assert keys.remove_before(second) == [first]
    assert LocalMasterKeys(file=file).ids == (second,)
    # Another process still opens what it could open, until it ends.
    assert other.has(first)


def test_two_who_change_the_file_lose_nothing_of_each_other(file: Path) -> None:
    here, there = LocalMasterKeys(file=file), LocalMasterKeys(file=file)
    made = here.make_first()
    assert there.make_first() == made
    added = [here.add(), there.add()]
    assert LocalMasterKeys(file=file).ids == (made, *added)
    assert here.remove_before(added[0]) == [made]
    assert there.remove_before(added[0]) == []


def test_a_file_that_is_gone_for_a_moment_takes_no_key_with_it(file: Path) -> None:
    keys = LocalMasterKeys(file=file)
    made, content = keys.make_first(), file.read_bytes()
    file.unlink()
    assert not keys.has("mk_other")
    assert keys.has(made)
    file.touch(mode=0o600)
    file.write_bytes(content)
    assert keys.add() != made
    assert keys.has(made)


def test_a_file_that_others_may_read_is_refused(file: Path) -> None:
    keys = LocalMasterKeys(file=file)
    keys.make_first()
    file.chmod(0o640)
    with pytest.raises(CannotStart, match="chmod 600"):
        LocalMasterKeys(file=file)
    with pytest.raises(MasterKeyMissing, match="chmod 600"):
        keys.has("mk_other")


@pytest.mark.parametrize("text", ["", "\n", "short", base64.b64encode(bytes(31)).decode(), f"{KEY}\n?", "é" * 44])
def test_what_is_no_key_is_refused_and_not_told(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(CannotStart, match=str(file)) as refused:
        LocalMasterKeys(file=file)
    assert not text.strip() or text not in str(refused.value)
    if text.strip():
        with pytest.raises(CannotStart, match="CONVERGENCE_MASTER_KEY"):
            LocalMasterKeys(file=file, given=text)


async def test_keys_that_are_given_need_no_file(file: Path) -> None:
    keys = LocalMasterKeys(file=file, given=KEY)
    keys.use(keys.ids[0])
    name, wrapped = await keys.wrap(bytes(32), b"context")
    assert await keys.unwrap(name, wrapped, b"context") == bytes(32)
    assert not keys.has("mk_other")
    assert not file.exists()
