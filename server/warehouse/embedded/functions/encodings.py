"""Texts and bytes in other forms: letters for bytes, code points, base 32, normal forms, addresses of the internet."""

import base64
import binascii
import ipaddress
import re
import unicodedata
from collections.abc import Callable

from server.warehouse.embedded.functions.function import Function

_SURROGATES = range(0xD800, 0xE000)
_LAST = 0x10FFFF
_SOUNDS = {
    letter: digit for digit, group in enumerate(("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R"), 1) for letter in group
}
_SCHEME = re.compile(r"^\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")


def _text_of_numbers(numbers: list[int]) -> str:
    """The letters of code points; 0 is none."""
    for number in numbers:
        if not 0 <= number <= _LAST or number in _SURROGATES:
            raise ValueError(f"{number} is not a code point of Unicode")
    return "".join(chr(number) for number in numbers if number)


def _octets_of_numbers(numbers: list[int]) -> bytes:
    if any(not 0 <= number <= 255 for number in numbers):
        raise ValueError("CODE_POINTS_TO_BYTES needs numbers from 0 to 255")
    return bytes(numbers)


def _from_base32(text: str) -> bytes:
    try:
        return base64.b32decode(text)
    except binascii.Error:
        raise ValueError("FROM_BASE32 needs a text in base 32") from None


def normalized(text: str, form: str, folded: bool) -> str:
    """A text in one of Unicode's normal forms, with its capitals folded or as they are."""
    plain = unicodedata.normalize(form, text)  # type: ignore[arg-type]  # the translation lets only the four through
    return unicodedata.normalize(form, plain.casefold()) if folded else plain  # type: ignore[arg-type]


def _soundex(text: str) -> str:
    """A letter and three digits; letters of one sound count once, also with H or W between them."""
    letters = [letter for letter in text.upper() if "A" <= letter <= "Z"]
    if not letters:
        return ""
    code, last = letters[0], _SOUNDS.get(letters[0])
    for letter in letters[1:]:
        sound = _SOUNDS.get(letter)
        if sound is not None and sound != last:
            code += str(sound)
        if letter not in "HW":
            last = sound
    return code[:4].ljust(4, "0")


def _distance(a: str, b: str, most: int) -> int:
    """EDIT_DISTANCE, no more than `most`: insertions, deletions and replacements of letters."""
    if most < 0:
        raise ValueError("EDIT_DISTANCE: max_distance cannot be below 0")
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (letter != other))
    return min(row[-1], most)


def _host(url: str) -> str | None:
    """NET.HOST: what stands between `//` and the port or the path."""
    found = _SCHEME.match(url)
    rest = url[found.end() :] if found else url.strip()
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    host = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
    return host.strip() or None


def _address(text: str) -> bytes:
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not an IP address") from None


def _address_or_null(text: str) -> bytes | None:
    try:
        return _address(text)
    except ValueError:
        return None


def _text_of_address(octets: bytes) -> str:
    _require_address(octets)
    return str(ipaddress.ip_address(octets))


def _require_address(octets: bytes) -> None:
    if len(octets) not in (4, 16):
        raise ValueError("an IP address has 4 or 16 bytes")


def _mask(size: int, bits: int) -> bytes:
    if size not in (4, 16) or not 0 <= bits <= size * 8:
        raise ValueError("NET.IP_NET_MASK needs 4 or 16 bytes, and no more bits than they have")
    return ((1 << size * 8) - (1 << size * 8 - bits)).to_bytes(size, "big")


def _truncated(octets: bytes, bits: int) -> bytes:
    _require_address(octets)
    mask = _mask(len(octets), bits)
    return bytes(octet & kept for octet, kept in zip(octets, mask, strict=True))


def _address_of_number(number: int) -> bytes:
    if not -(1 << 31) <= number < 1 << 32:
        raise ValueError("NET.IPV4_FROM_INT64 needs a number of 32 bits")
    return (number % (1 << 32)).to_bytes(4, "big")


def _number_of_address(octets: bytes) -> int:
    if len(octets) != 4:
        raise ValueError("NET.IPV4_TO_INT64 needs 4 bytes")
    return int.from_bytes(octets, "big")


def _each(run: Callable[[int, int], int], word: str) -> Callable[[bytes, bytes], bytes]:
    def combined(a: bytes, b: bytes) -> bytes:
        if len(a) != len(b):
            raise ValueError(f"the operator {word} needs BYTES of one length")
        return bytes(run(x, y) for x, y in zip(a, b, strict=True))

    return combined


def _shifted(octets: bytes, bits: int) -> bytes:
    """To the left by a number of bits, to the right by one below 0."""
    width = len(octets) * 8
    number = int.from_bytes(octets, "big")
    moved = number << min(bits, width) if bits >= 0 else number >> min(-bits, width)
    return (moved % (1 << width)).to_bytes(len(octets), "big")


_V, _B = "VARCHAR", "BLOB"
ENCODINGS = (
    Function("bq_letters", lambda octets: octets.decode("latin-1"), (_B,), _V),
    Function("bq_octets", lambda text: text.encode("latin-1"), (_V,), _B),
    Function("bq_text_of_octets", lambda octets: octets.decode("utf-8", "replace"), (_B,), _V),
    Function("bq_ascii_lower", lambda octets: octets.lower(), (_B,), _B),
    Function("bq_ascii_upper", lambda octets: octets.upper(), (_B,), _B),
    Function("bq_reverse", lambda text: text[::-1], (_V,), _V),
    Function("bq_numbers_of_octets", lambda octets: [*octets], (_B,), "BIGINT[]"),
    Function("bq_text_of_numbers", _text_of_numbers, ("BIGINT[]",), _V),
    Function("bq_octets_of_numbers", _octets_of_numbers, ("BIGINT[]",), _B),
    Function("bq_to_base32", lambda octets: base64.b32encode(octets).decode(), (_B,), _V),
    Function("bq_from_base32", _from_base32, (_V,), _B),
    Function("bq_normalize", normalized, (_V, _V, "BOOLEAN"), _V),
    Function("bq_soundex", _soundex, (_V,), _V),
    Function("bq_edit_distance", _distance, (_V, _V, "BIGINT"), "BIGINT"),
    Function("bq_net_host", _host, (_V,), _V, gives_null=True),
    Function("bq_net_ip_from_string", _address, (_V,), _B),
    Function("bq_net_safe_ip_from_string", _address_or_null, (_V,), _B, gives_null=True),
    Function("bq_net_ip_to_string", _text_of_address, (_B,), _V),
    Function("bq_net_ip_net_mask", _mask, ("BIGINT", "BIGINT"), _B),
    Function("bq_net_ip_trunc", _truncated, (_B, "BIGINT"), _B),
    Function("bq_net_ipv4_from_int64", _address_of_number, ("BIGINT",), _B),
    Function("bq_net_ipv4_to_int64", _number_of_address, (_B,), "BIGINT"),
    Function("bq_bytes_and", _each(lambda x, y: x & y, "&"), (_B, _B), _B),
    Function("bq_bytes_or", _each(lambda x, y: x | y, "|"), (_B, _B), _B),
    Function("bq_bytes_xor", _each(lambda x, y: x ^ y, "^"), (_B, _B), _B),
    Function("bq_bytes_not", lambda octets: bytes(255 - octet for octet in octets), (_B,), _B),
    Function("bq_bytes_shift", _shifted, (_B, "BIGINT"), _B),
    Function("bq_bytes_count", lambda octets: sum(octet.bit_count() for octet in octets), (_B,), "BIGINT"),
)
