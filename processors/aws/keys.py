"""Which objects of a bucket a step means: patterns of keys, and days in them."""

import re
from collections.abc import Iterator
from datetime import date

_DIRECTIVE = re.compile(r"%(.?)")
_WILD = re.compile(r"\*\*/|\*\*|\*|\?")
_AS_REGEX = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def with_day(key: str, day: date) -> str:
    """The key with the day in it: `%Y`, `%m` and `%d` as strftime writes them, `%%` for a `%`.

    Raises:
        ValueError: another letter behind a `%`.
    """
    known = {"Y": f"{day.year:04}", "m": f"{day.month:02}", "d": f"{day.day:02}", "%": "%"}

    def written(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise ValueError(f"{match[0]!r} in {key[:200]!r}: write %Y, %m or %d, and %% for a single %")
        return known[match[1]]

    return _DIRECTIVE.sub(written, key)


def fixed_part(pattern: str) -> str:
    """What all keys begin with that match the pattern."""
    return _WILD.split(pattern, maxsplit=1)[0]


def matcher(pattern: str) -> re.Pattern[str]:
    """Matches keys: `*` and `?` stand for what has no `/`, `**` for anything; everything else for itself."""
    return re.compile("".join(_translated(pattern)), re.DOTALL)


def _translated(pattern: str) -> Iterator[str]:
    position = 0
    for wild in _WILD.finditer(pattern):
        yield re.escape(pattern[position : wild.start()])
        yield _AS_REGEX[wild[0]]
        position = wild.end()
    yield re.escape(pattern[position:])
