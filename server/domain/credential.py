"""Credentials: with what a step acts for a tenant at a provider."""

import re
from datetime import datetime
from enum import StrEnum

from server.domain.record import Record

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class CredentialKind(StrEnum):
    """What a secret consists of."""

    GCP_SERVICE_ACCOUNT = "GCP_SERVICE_ACCOUNT"
    AWS_ACCESS_KEY = "AWS_ACCESS_KEY"
    AWS_ROLE = "AWS_ROLE"
    SLACK_WEBHOOK = "SLACK_WEBHOOK"

    @property
    def provider(self) -> str:
        """Whose it is: `gcp`, `aws`, `slack`."""
        return self.value.partition("_")[0].lower()


class Sealed(Record):
    """An encrypted secret; see `server.security.envelope`."""

    key_id: str
    """The master key that `wrapped_key` is encrypted under."""
    wrapped_key: bytes
    ciphertext: bytes


class Credential(Record):
    """One version of a tenant's credential."""

    tenant_id: str
    name: str
    """How steps refer to it."""
    version: int
    """1 for the first one under this name; no number is used twice."""
    kind: CredentialKind
    fingerprint: str
    """Equal for equal secrets of one tenant; tells nothing else of them."""
    sealed: Sealed | None
    """None when it is destroyed."""
    created_at: datetime
    last_used_at: datetime | None = None
    checked_at: datetime | None = None
    check_status: str = ""
    """What the last check against the provider came to: ACCEPTED or REFUSED; '' for never checked."""
    deleted_at: datetime | None = None


def is_credential_name(name: str) -> bool:
    """Whether a credential may be called that: 1 to 63 lower-case letters, digits and _, a letter first."""
    return _NAME.fullmatch(name) is not None
