"""Envelope encryption: each secret under a key of its own, and that key under a master key.

Both encryptions are AES-256-GCM and bound to what the secret belongs to, so that a record that was moved to another
tenant, name, version or kind does not open. A master key is replaced by wrapping the small keys anew; the secrets stay.
"""

import json
import os
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.domain.credential import Credential, Sealed

KEY_BYTES = 32
_NONCE_BYTES = 12


class MasterKeyMissing(Exception):
    """There is no master key here, or not the one that is needed; the message is for the operator."""


class DoesNotOpen(Exception):
    """The record is damaged, or belongs to something else."""


class MasterKeys(Protocol):
    """Wraps and unwraps keys: keys on this machine, or a key management service. Calls may go over the network."""

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """The key encrypted under the current master key, and the id of that. Raises MasterKeyMissing."""
        ...

    async def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes:
        """The inverse; `context` is the same as before. Raises MasterKeyMissing, DoesNotOpen."""
        ...


class Vault:
    """Seals and opens the secrets of credentials."""

    def __init__(self, keys: MasterKeys) -> None:
        self._keys = keys

    async def seal(self, secret: bytes, credential: Credential) -> Sealed:
        """Encrypt a secret for the place of this credential and no other. Raises MasterKeyMissing."""
        key, context = AESGCM.generate_key(KEY_BYTES * 8), _context(credential)
        key_id, wrapped = await self._keys.wrap(key, context)
        return Sealed(key_id=key_id, wrapped_key=wrapped, ciphertext=encrypt(key, secret, context))

    async def open(self, credential: Credential) -> bytes:
        """The secret. Raises MasterKeyMissing, DoesNotOpen."""
        sealed, context = _sealed(credential), _context(credential)
        key = await self._keys.unwrap(sealed.key_id, sealed.wrapped_key, context)
        return decrypt(key, sealed.ciphertext, context)

    async def rewrap(self, credential: Credential) -> Sealed:
        """The same secret, its key under the current master key. Raises MasterKeyMissing, DoesNotOpen."""
        sealed, context = _sealed(credential), _context(credential)
        key = await self._keys.unwrap(sealed.key_id, sealed.wrapped_key, context)
        key_id, wrapped = await self._keys.wrap(key, context)
        return sealed.model_copy(update={"key_id": key_id, "wrapped_key": wrapped})


def encrypt(key: bytes, data: bytes, context: bytes) -> bytes:
    """A fresh nonce (96 bits: NIST SP 800-38D, section 8.2.2), and the encrypted data with its tag."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, context)


def decrypt(key: bytes, data: bytes, context: bytes) -> bytes:
    """The inverse. Raises DoesNotOpen."""
    try:
        return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise DoesNotOpen from None


def _sealed(credential: Credential) -> Sealed:
    if credential.sealed is None:
        raise DoesNotOpen
    return credential.sealed


def _context(credential: Credential) -> bytes:
    """Where the secret belongs, in JSON, in which no two places look the same."""
    return json.dumps([credential.tenant_id, credential.name, credential.version, credential.kind.value]).encode()
