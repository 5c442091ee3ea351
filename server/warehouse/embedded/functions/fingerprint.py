"""FARM_FINGERPRINT: the Fingerprint64 of Google's FarmHash, whose values never change.

Source: the FarmHash library's `farmhashna`.
"""

from server.warehouse.embedded.functions.function import Function

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_SEED = 81
_BLOCK = 64


def fingerprint(data: bytes) -> int:
    """The fingerprint as an INT64."""
    size = len(data)
    short = next((hashed for most, hashed in _SHORT if size <= most), _of_blocks)
    value = short(data)
    return value - (1 << 64) if value >> 63 else value


def _at(data: bytes, place: int, width: int = 8) -> int:
    return int.from_bytes(data[place : place + width], "little")


def _turn(value: int, bits: int) -> int:
    value &= _MASK
    return (value >> bits | value << (64 - bits)) & _MASK


def _mix(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _pair(u: int, v: int, factor: int) -> int:
    a = _mix(((u ^ v) & _MASK) * factor)
    b = _mix(((v ^ a) & _MASK) * factor)
    return b * factor & _MASK


def _up_to_16(data: bytes) -> int:
    size = len(data)
    factor = _K2 + size * 2
    if size >= 8:
        a, b = _at(data, 0) + _K2, _at(data, size - 8)
        return _pair(_turn(b, 37) * factor + a, (_turn(a, 25) + b) * factor, factor)
    if size >= 4:
        return _pair(size + (_at(data, 0, 4) << 3), _at(data, size - 4, 4), factor)
    if size:
        y, z = data[0] + (data[size >> 1] << 8), size + (data[-1] << 2)
        return _mix(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _halves(data: bytes) -> tuple[int, int, int, int]:
    """What the first and last 16 bytes give: both sides of a pair, its first part, and the factor."""
    size = len(data)
    factor = _K2 + size * 2
    a, b = _at(data, 0) * (_K1 if size <= 32 else _K2), _at(data, 8)
    c, d = _at(data, size - 8) * factor, _at(data, size - 16) * _K2
    return _turn(a + b, 43) + _turn(c, 30) + d, a + _turn(b + _K2, 18) + c, a, factor


def _up_to_32(data: bytes) -> int:
    left, right, _, factor = _halves(data)
    return _pair(left, right, factor)


def _up_to_64(data: bytes) -> int:
    y, right, a, factor = _halves(data)
    z = _pair(y, right, factor)
    e, f = _at(data, 16) * factor, _at(data, 24)
    g = (y + _at(data, len(data) - 32)) * factor
    h = (z + _at(data, len(data) - 24)) * factor
    return _pair(_turn(e + f, 43) + _turn(g, 30) + h, e + _turn(f + a, 18) + g, factor)


_SHORT = ((16, _up_to_16), (32, _up_to_32), (64, _up_to_64))


def _weak(data: bytes, place: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_at(data, place + 8 * step) for step in range(4))
    a += w
    b = _turn(b + a + z, 21)
    c = a
    a += x + y
    return (a + z) & _MASK, (b + _turn(a, 44) + c) & _MASK


def _of_blocks(data: bytes) -> int:
    x, y = _SEED, (_SEED * _K1 + 113) & _MASK
    z = _mix(y * _K2 + 113) * _K2 & _MASK
    state = ((x * _K2 + _at(data, 0)) & _MASK, y, z, (0, 0), (0, 0))
    end = (len(data) - 1) // _BLOCK * _BLOCK
    for place in range(0, end, _BLOCK):
        state = _block(data, place, _K1, state)
    x, y, z, v, w = state
    factor = _K1 + ((z & 0xFF) << 1)
    rest = (len(data) - 1) & (_BLOCK - 1)
    w = (w[0] + rest, w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x, y, z, v, w = _block(data, end + rest - (_BLOCK - 1), factor, (x, y, z, v, w), weight=9)
    left = _pair(v[0], w[0], factor) + _mix(y) * _K0 + z
    return _pair(left, _pair(v[1], w[1], factor) + x, factor)


_State = tuple[int, int, int, tuple[int, int], tuple[int, int]]


def _block(data: bytes, place: int, factor: int, state: _State, weight: int = 1) -> _State:
    x, y, z, v, w = state
    x = _turn(x + y + v[0] + _at(data, place + 8), 37) * factor
    y = _turn(y + v[1] + _at(data, place + 48), 42) * factor
    x = (x ^ w[1] * weight) & _MASK
    y = (y + v[0] * weight + _at(data, place + 40)) & _MASK
    z = _turn(z + w[0], 33) * factor & _MASK
    v = _weak(data, place, v[1] * factor, x + w[0])
    w = _weak(data, place + 32, z + w[1], y + _at(data, place + 16))
    return z, y, x, v, w


FINGERPRINT = (Function("bq_fingerprint", fingerprint, ("BLOB",), "BIGINT"),)
