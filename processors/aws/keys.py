"""Which objects of a bucket a step means: patterns of keys, and days in them."""

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import date

_DIRECTIVE = re.compile(r"%(.?)")
_WILD = re.compile(r"(?:\*\*/)+|\*\*|\*|\?")
_TOKEN = re.compile(rf"{_WILD.pattern}|.", re.DOTALL)


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


def matcher(pattern: str) -> Callable[[str], bool]:
    """Matches keys: `*` and `?` stand for what has no `/`, `**` for anything; everything else for itself."""
    fixed = fixed_part(pattern)
    rest = _Places(pattern[len(fixed) :])
    return lambda key: key.startswith(fixed) and rest.match(key[len(fixed) :])


class _Places:
    """A pattern, followed through a key with all the places in it at once where the key may be, as bits.

    A tenant may choose the pattern and the keys. A regular expression could then take years, and hold the worker.
    """

    def __init__(self, pattern: str) -> None:
        self._after = defaultdict[str, int](int)
        """The places from which a character leads on."""
        self._after_one = self._stay = self._stay_in_folder = self._skip = self._skip_two = 0
        place = 1
        for token in _TOKEN.findall(pattern):
            match token:
                case "?":
                    self._after_one |= place
                case "*":
                    self._stay_in_folder |= place
                    self._skip |= place
                case _ if token.startswith("**/"):
                    # Nothing, or anything that ends with a slash: a place before it, and one within.
                    self._skip |= place
                    self._skip_two |= place
                    place <<= 1
                    self._stay |= place
                    self._after["/"] |= place
                case _ if token.startswith("**"):
                    self._stay |= place
                    self._skip |= place
                case _:
                    self._after[token] |= place
            place <<= 1
        self._end = place

    def match(self, key: str) -> bool:
        """Whether the whole key matches."""
        places = self._with_skipped(1)
        for character in key:
            is_within = character != "/"
            after = self._after.get(character, 0) | (self._after_one if is_within else 0)
            stay = self._stay | (self._stay_in_folder if is_within else 0)
            places = self._with_skipped((places & after) << 1 | places & stay)
            if not places:
                return False
        return bool(places & self._end)

    def _with_skipped(self, places: int) -> int:
        while (more := places | (places & self._skip) << 1 | (places & self._skip_two) << 2) != places:
            places = more
        return places
