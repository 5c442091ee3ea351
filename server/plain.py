"""Values from processors as the system keeps them: JSON, bounded, without secrets.

A processor may answer with anything; what is stored must be readable for ever by every client.
"""

import math
from collections.abc import Mapping
from typing import Any

from server.security.redaction import REDACTED, is_secret_name, redact

MAX_TEXT = 4_096
_MAX_DEPTH = 6
_MAX_ITEMS = 500
_MAX_CHARACTERS = 64 * 1_024
# Beyond it a JSON number is no longer the same number for every reader (RFC 8259, section 6).
_MAX_EXACT = 2**53
_MAX_ROWS = 2**63 - 1


def plain_text(value: object) -> str:
    """Text without secrets and without what UTF-8 cannot hold, at most MAX_TEXT characters."""
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 - foreign __str__
        text = f"[{type(value).__name__} whose text raises {type(error).__name__}]"
    return redact(text[: 2 * MAX_TEXT].encode(errors="replace").decode())[:MAX_TEXT]


def plain_mapping(values: object) -> dict[str, Any]:
    """A mapping as JSON; anything else is an empty one."""
    return _Budget().mapping(values, 0) if isinstance(values, Mapping) else {}


def row_count(value: object) -> int:
    """A number of rows that every store can hold; 0 for what is none."""
    return min(value, _MAX_ROWS) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


class _Budget:
    """Bounds one answer, however its items are nested."""

    def __init__(self) -> None:
        self._items = _MAX_ITEMS
        self._characters = _MAX_CHARACTERS

    def mapping(self, values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        return {
            self._text(key): REDACTED if _is_secret(key, value) else self._value(value, depth)
            for key, value in values.items()
            if self._take()
        }

    def _take(self) -> bool:
        self._items -= 1
        return self._items >= 0

    def _text(self, value: object) -> str:
        text = plain_text(value)[: self._characters]
        self._characters -= len(text)
        return text

    def _value(self, value: object, depth: int) -> Any:
        if isinstance(value, Mapping | list | tuple | set | frozenset) and depth >= _MAX_DEPTH:
            return f"[{type(value).__name__} too deep to keep]"
        if isinstance(value, Mapping):
            return self.mapping(value, depth + 1)
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(item, depth + 1) for item in value if self._take()]
        return value if _is_plain(value) else self._text(value)


def _is_plain(value: object) -> bool:
    """Whether JSON and every reader of it keep the value as it is."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) <= _MAX_EXACT)


def _is_secret(key: object, value: object) -> bool:
    """A number or a yes under the name of a secret tells how many there are, or whether there is one."""
    return not isinstance(value, int | float | None) and is_secret_name(plain_text(key))
