"""Keeps secrets out of what people read: logs, events, error messages."""

import re

_SECRET = re.compile(r"cvg_([0-9a-z]{1,32})_[A-Za-z0-9_-]{8,}")


def redact(text: str) -> str:
    """The text without the secrets of API keys; the key's id stays, so that it can be found and revoked."""
    return _SECRET.sub(r"cvg_\1_[redacted]", text)
