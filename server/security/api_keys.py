"""API keys: `cvg_<key id>_<secret>`, of which only a keyed digest is kept."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

from server.domain.faults import CannotStart
from server.security.private_files import create_private, require_private

_PREFIX = "cvg"
_SECRET_BYTES = 32
_PEPPER_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A fresh key: `text` is shown once, the rest is stored."""

    key_id: str
    text: str
    digest: bytes


class KeyRing:
    """Makes keys and checks them, with the server's pepper."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper

    @classmethod
    def from_file(cls, path: Path, *, may_create: bool) -> "KeyRing":
        """Use the pepper in `path`; a missing file is made, readable by its owner only.

        Raises:
            CannotStart: others may read the file, it does not hold a pepper, or it is missing and may not be made.
        """
        if not path.exists() and not may_create:
            # With another one no key would open anything any more.
            raise CannotStart(
                f"{path} is missing, and the keys in the control store need it; restore it from the backup"
            )
        if not path.exists() and create_private(path, pepper := secrets.token_bytes(_PEPPER_BYTES)):
            return cls(pepper)
        return cls(_read_pepper(path))

    @property
    def fingerprint(self) -> str:
        """Tells this pepper from another one, and nothing else of it."""
        return hmac.new(self._pepper, b"fingerprint", hashlib.sha256).hexdigest()[:32]

    def fingerprint_of(self, data: bytes) -> str:
        """Tells this data from other data, and nothing else of it."""
        return hmac.new(self._pepper, b"data" + data, hashlib.sha256).hexdigest()[:32]

    def make(self) -> NewSecret:
        """A new key of 32 random bytes."""
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(_SECRET_BYTES)
        return NewSecret(key_id, f"{_PREFIX}_{key_id}_{secret}", self._digest(key_id, secret))

    def matches(self, key: str, digest: bytes) -> bool:
        """Whether `key` is the one that `digest` was made of, in constant time."""
        _, key_id, secret = _split(key)
        return hmac.compare_digest(self._digest(key_id, secret), digest)

    def _digest(self, key_id: str, secret: str) -> bytes:
        return hmac.new(self._pepper, f"{key_id}:{secret}".encode(), hashlib.sha256).digest()


def key_id_of(key: str) -> str | None:
    """The id inside a key, or None when the text is no key."""
    prefix, key_id, secret = _split(key)
    return key_id if prefix == _PREFIX and key_id.isalnum() and secret and len(key) <= 200 else None


def _split(key: str) -> tuple[str, str, str]:
    prefix, key_id, secret = [*key.split("_", 2), "", ""][:3]
    return prefix, key_id, secret


def _read_pepper(path: Path) -> bytes:
    require_private(path)
    pepper = path.read_bytes()
    if len(pepper) < _PEPPER_BYTES:
        raise CannotStart(f"{path} holds {len(pepper)} bytes; a pepper has {_PEPPER_BYTES}. Restore it from the backup")
    return pepper
