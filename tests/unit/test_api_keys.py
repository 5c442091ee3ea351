import re
import stat
from pathlib import Path

import pytest

from server.domain.faults import CannotStart
from server.security.api_keys import KeyRing, key_id_of
from server.security.redaction import redact


def test_a_key_matches_its_own_digest_only() -> None:
    ring = KeyRing(b"p" * 32)
    first, second = ring.make(), ring.make()
    assert re.fullmatch(r"cvg_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", first.text)
    assert ring.matches(first.text, first.digest)
    assert not ring.matches(second.text, first.digest)
    assert not ring.matches(first.text[:-1], first.digest)
    assert not ring.matches(first.text.replace(first.key_id, second.key_id), first.digest)


def test_another_pepper_makes_every_key_worthless() -> None:
    secret = KeyRing(b"p" * 32).make()
    assert not KeyRing(b"q" * 32).matches(secret.text, secret.digest)


@pytest.mark.parametrize(
    ("key", "key_id"),
    [
        ("cvg_abc123_secret", "abc123"),
        ("cvg_abc123_se_cr-et", "abc123"),
        ("cvg_abc123_", None),
        ("cvg__secret", None),
        ("cvg_abc123", None),
        ("abc_abc123_secret", None),
        ("cvg_ab'c_secret", None),
        ("cvg_abc123_" + "x" * 200, None),
        ("", None),
    ],
)
def test_the_id_inside_a_key(key: str, key_id: str | None) -> None:
    assert key_id_of(key) == key_id


def test_the_pepper_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    secret = KeyRing.from_file(path, may_create=True).make()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyRing.from_file(path, may_create=True).matches(secret.text, secret.digest)


def test_a_pepper_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    KeyRing.from_file(path, may_create=True)
    path.chmod(0o644)
    with pytest.raises(CannotStart, match="chmod 600"):
        KeyRing.from_file(path, may_create=True)


def test_a_damaged_pepper_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    path.touch(mode=0o600)
    with pytest.raises(CannotStart, match="0 bytes"):
        KeyRing.from_file(path, may_create=True)


def test_secrets_are_taken_out_of_texts_and_ids_stay() -> None:
    secret = KeyRing(b"p" * 32).make()
    told = redact(f"key {secret.text}, again {secret.text}!")
    assert told == f"key cvg_{secret.key_id}_[redacted], again cvg_{secret.key_id}_[redacted]!"


def test_a_pepper_that_keys_depend_on_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="backup"):
        KeyRing.from_file(tmp_path / "pepper", may_create=False)
    assert not (tmp_path / "pepper").exists()
