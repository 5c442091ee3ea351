"""Master keys on this machine: in a file that only its owner reads, or in the environment.

One key a line, 32 random bytes in base64, the newest last.
"""

import base64
import binascii
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from server.domain.faults import CannotStart
from server.security.envelope import KEY_BYTES, MasterKeyMissing, decrypt, encrypt
from server.security.private_files import require_private, write_private


class LocalMasterKeys:
    """The `MasterKeys` of an installation without a key management service.

    A file is read anew when it lacks a key that is asked for, so that a key may be added while servers run.
    """

    def __init__(self, *, file: Path, given: str | None = None) -> None:
        """`given`: the keys themselves, in place of the file. Raises CannotStart when either holds no keys."""
        self.file = file
        self.is_given = given is not None
        self.where = str(file) if given is None else "CONVERGENCE_MASTER_KEY"
        self._keys = _read(file) if given is None else _parsed(given, self.where)
        self._used = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the keys, the newest last."""
        return tuple(self._keys)

    def newest(self) -> str | None:
        """The id of the last key, or None when there are none."""
        return self.ids[-1] if self._keys else None

    def has(self, name: str) -> bool:
        """Whether the key is here, or has come into the file. Raises MasterKeyMissing when that cannot be read."""
        if name not in self._keys and not self.is_given:
            try:
                # What was there once still opens what it has wrapped, whatever has become of the file.
                self._keys = {**self._keys, **_read(self.file)}
            except CannotStart as error:
                raise MasterKeyMissing(str(error)) from None
        return name in self._keys

    def use(self, name: str) -> None:
        """Wrap with that key from now on."""
        self._used = name

    def make_first(self) -> str:
        """Make the file with a new key, unless another process has made it; answers the newest key's id."""
        with self._alone():
            if not self._keys:
                self._write([secrets.token_bytes(KEY_BYTES)])
        return self.ids[-1]

    def add(self) -> str:
        """Put a new key into the file; answers its id."""
        with self._alone():
            self._write([*self._keys.values(), secrets.token_bytes(KEY_BYTES)])
        return self.ids[-1]

    def remove_before(self, name: str) -> list[str]:
        """Take the keys out of the file that are older than that one; answers their ids."""
        with self._alone():
            older = list(self._keys)[: self.ids.index(name)]
            if older:
                self._write([key for key_id, key in self._keys.items() if key_id not in older])
        return older

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Change the file as it is now, and let nobody else change it meanwhile."""
        lock = self.file.with_name(f"{self.file.name}.lock")
        with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._keys = _read(self.file)
            yield

    def _write(self, keys: Iterable[bytes]) -> None:
        write_private(self.file, b"".join(map(_line, keys)))
        self._keys = _read(self.file)

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """See the port."""
        return self._used, encrypt(self._key(self._used), key, _with_id(context, self._used))

    async def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes:
        """See the port."""
        return decrypt(self._key(key_id), wrapped, _with_id(context, key_id))

    def _key(self, name: str) -> bytes:
        if not self.has(name):
            raise MasterKeyMissing(f"{self.where} has no master key {name}")
        return self._keys[name]


def key_id(key: bytes) -> str:
    """Names a key, and tells nothing else of 32 random bytes."""
    return f"mk_{hashlib.sha256(b'convergence master key' + key).hexdigest()[:16]}"


def _read(file: Path) -> dict[str, bytes]:
    """The keys of a file by their ids; none when there is no file."""
    if not file.exists():
        return {}
    require_private(file)
    return _parsed(file.read_text(errors="replace"), str(file))


def _parsed(text: str, where: str) -> dict[str, bytes]:
    keys = [_decoded(line, where) for line in text.split()]
    if not keys:
        raise CannotStart(f"{where} holds no master key; restore it from the backup")
    return {key_id(key): key for key in keys}


def _decoded(line: str, where: str) -> bytes:
    try:
        key = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise CannotStart(
            f"{where} holds something that is no master key: each is {KEY_BYTES} random bytes in base64, "
            "as `openssl rand -base64 32` makes them"
        )
    return key


def _line(key: bytes) -> bytes:
    return base64.b64encode(key) + b"\n"


def _with_id(context: bytes, name: str) -> bytes:
    return context + b"\n" + name.encode()
