"""Sketches of HLL_COUNT: the sorted hashes of the values, behind a mark."""

import hashlib

from server.warehouse.embedded.functions.function import Function

_MARK = b"HLL1"
_WIDTH = 8


def _sketch(values: list[bytes]) -> bytes:
    return _written({hashlib.blake2b(value, digest_size=_WIDTH).digest() for value in values})


def _written(hashes: set[bytes]) -> bytes:
    return _MARK + b"".join(sorted(hashes))


def _hashes(sketch: bytes) -> set[bytes]:
    body = sketch[len(_MARK) :]
    if not sketch.startswith(_MARK) or len(body) % _WIDTH:
        raise ValueError("the BYTES are no sketch of this warehouse's HLL_COUNT")
    return {body[at : at + _WIDTH] for at in range(0, len(body), _WIDTH)}


def _merged(sketches: list[bytes]) -> bytes:
    return _written(set().union(*map(_hashes, sketches)))


SKETCHES = (
    Function("bq_sketch", _sketch, ("BLOB[]",), "BLOB"),
    Function("bq_sketch_merged", _merged, ("BLOB[]",), "BLOB"),
    Function("bq_sketch_count", lambda sketch: len(_hashes(sketch)), ("BLOB",), "BIGINT"),
)
