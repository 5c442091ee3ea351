"""Texts: positions counted from either end, capitals, hashes that DuckDB does not have."""

import hashlib
from functools import partial

from server.warehouse.embedded.functions.encodings import normalized
from server.warehouse.embedded.functions.function import Function
from server.warehouse.embedded.functions.json_texts import texts_in

_folded = partial(normalized, form="NFKC", folded=True)
# Source: GoogleSQL's INITCAP, the characters that part words beside white space.
_PARTING = frozenset('[](){}/|<>!?@"^#$&~_,.:;*%+-')


def _position(text: str, part: str, position: int, occurrence: int) -> int:
    """INSTR: the place of the n-th occurrence from a position on, backwards from one below 0; 0 when there is none."""
    if position == 0 or occurrence < 1:
        raise ValueError("INSTR needs a position that is not 0 and an occurrence above 0")
    at = position - 1 if position > 0 else len(text) + position
    step = 1 if position > 0 else -1
    while 0 <= at < len(text):
        if text.startswith(part, at):
            occurrence -= 1
            if occurrence == 0:
                return at + 1
        at += step
    return 0


def _capitals(text: str, parting: str) -> str:
    """INITCAP; without own characters words are parted by white space and the usual signs."""
    own = frozenset(parting)
    begins, letters = True, []
    for letter in text:
        letters.append(letter.upper() if begins else letter.lower())
        begins = letter in own if own else letter.isspace() or letter in _PARTING
    return "".join(letters)


def _contains(text: str | None, fields: str, part: str | None) -> bool | None:
    """CONTAINS_SUBSTR without regard to capitals; of STRUCTs, arrays and JSON in any of their values."""
    if part is None:
        return None
    wanted = _folded(part)
    found = [None if value is None else wanted in _folded(value) for value in texts_in(text, fields)]
    return True if True in found else None if None in found else False


TEXTS = (
    Function("bq_contains", _contains, ("VARCHAR", "VARCHAR", "VARCHAR"), "BOOLEAN", gives_null=True, takes_null=True),
    Function("bq_instr", _position, ("VARCHAR", "VARCHAR", "BIGINT", "BIGINT"), "BIGINT"),
    Function("bq_initcap", _capitals, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    Function("bq_sha512", lambda value: hashlib.sha512(value).digest(), ("BLOB",), "BLOB"),
)
