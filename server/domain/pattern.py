"""Regular expressions of pipeline files, matched in linear time.

Python's own engine can take hours over forty characters, and holds every other thread meanwhile. pydantic brings
Rust's, which cannot: it has no look-around and no back-references.
"""

from functools import lru_cache
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError


class InvalidPattern(ValueError):
    """A text is not a regular expression that can be matched in linear time; the message says why."""


def require_pattern(pattern: str) -> None:
    """Raises InvalidPattern."""
    try:
        _matcher(pattern)
    except SchemaError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InvalidPattern(f"pattern is not a regular expression ({reason})") from None


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches."""
    try:
        _matcher(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> TypeAdapter[str]:
    # \A and \z: a line break at the end is part of the text.
    whole = StringConstraints(pattern=rf"\A(?:{pattern})\z")
    return TypeAdapter(Annotated[str, whole])
