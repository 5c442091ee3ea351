"""Quoted texts of GoogleSQL, read by the rules of its reference and by nothing of ours.

Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#string_and_bytes_literals
"""

import re

_START = re.compile(r"""(?P<prefix>[rR][bB]?|[bB][rR]?|)(?P<quote>'''|\"\"\"|'|")""")
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_PLAIN |= {mark: mark for mark in "\\?\"'`"}
_NUMBERED = re.compile(
    r"(?P<octal>[0-3][0-7]{2})|[xX](?P<hex>[0-9a-fA-F]{2})|(?:u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8}))"
)


def decoded(sql: str, start: int) -> tuple[str | bytes, int]:
    """The value of the quoted text that starts there, and where it ends. Raises ValueError when there is none."""
    opening = _START.match(sql, start)
    if not opening:
        raise ValueError(f"no quoted text starts at {sql[start : start + 20]!r}")
    prefix, quote, position = opening["prefix"].lower(), opening["quote"], opening.end()
    value = b""
    while not sql.startswith(quote, position):
        character = sql[position : position + 1]
        if not character or (character in "\r\n" and len(quote) == 1):
            raise ValueError("the quoted text has no end")
        if character == "\\" and "r" not in prefix:
            piece, position = _escape(sql, position + 1, is_bytes="b" in prefix)
        else:
            width = 2 if character == "\\" or sql.startswith("\r\n", position) else 1
            piece = sql[position : position + width].replace("\r\n", "\n").replace("\r", "\n").encode()
            position += width
        value += piece
    return value if "b" in prefix else value.decode(), position + len(quote)


def _escape(sql: str, position: int, *, is_bytes: bool) -> tuple[bytes, int]:
    """What stands behind a backslash, and where it ends."""
    if (character := sql[position : position + 1]) in _PLAIN:
        return _PLAIN[character].encode(), position + 1
    if not (number := _NUMBERED.match(sql, position)):
        raise ValueError(f"\\{character} is no escape sequence")
    code = int(number["octal"], 8) if number["octal"] else int(number["hex"] or number["u"] or number["U"], 16)
    if is_bytes and not (number["octal"] or number["hex"]):
        raise ValueError("bytes have no \\u")
    return bytes([code]) if is_bytes else chr(code).encode(), number.end()
